"""private_key_jwt at every endpoint (RFC 7523; client-registration.md 10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.conf import settings
from django.test import Client as Browser

from protocol.constants import CLIENT_ASSERTION_ALGORITHMS, CLIENT_ASSERTION_TYPE, CLOCK_LEEWAY
from registry.digests import keyed_digest
from registry.models import Client, ClientSecret, SingleUseValue
from registry.single_use import purge_expired
from tests.authserver.support import (
    ENDPOINTS,
    EVERY_ENDPOINT,
    FORM,
    INTROSPECT,
    REVOKE,
    TOKEN,
    Caller,
    assertion_claims,
    assertion_parameters,
    counted,
    in_threads,
    key,
    outcome,
)
from tests.protocol.jose.support import forge

Call = Callable[..., Any]
every_endpoint = pytest.mark.parametrize("endpoint", EVERY_ENDPOINT)
OK, REFUSED, MALFORMED = "200", "401 invalid_client", "400 invalid_request"
TOKEN_ENDPOINT = settings.ISSUER + TOKEN

# What `aud` may be: refused, accepted, or accepted of a client with the legacy switch only.
AUDIENCES: dict[str, tuple[Any, str]] = {
    "the issuer": (settings.ISSUER, "accepted"),
    "the issuer in an array": ([settings.ISSUER], "refused"),
    "the issuer among others": ([settings.ISSUER, "https://other.example"], "refused"),
    "the issuer with a slash": (settings.ISSUER + "/", "refused"),
    "the issuer in capitals": (settings.ISSUER.upper(), "refused"),
    "the issuer by its other name": (settings.ISSUER.replace("127.0.0.1", "localhost"), "refused"),
    "the issuer with a space": (settings.ISSUER + " ", "refused"),
    "the token endpoint": (TOKEN_ENDPOINT, "legacy"),
    "the token endpoint with a slash": (TOKEN_ENDPOINT + "/", "refused"),
    "the token endpoint in an array": ([TOKEN_ENDPOINT], "refused"),
    "both in an array": ([settings.ISSUER, TOKEN_ENDPOINT], "refused"),
    "the revocation endpoint": (settings.ISSUER + REVOKE, "refused"),
    "the introspection endpoint": (settings.ISSUER + INTROSPECT, "refused"),
    "another server": ("https://attacker.example", "refused"),
    "nothing": ("", "refused"),
    "an empty array": ([], "refused"),
    "a number": (1, "refused"),
    "an object": ({settings.ISSUER: 1}, "refused"),
    "absent": (None, "refused"),
}


@pytest.fixture
def present(call: Call) -> Callable[[str, str], str]:
    """Return a function that presents an assertion and returns the outcome in a word."""
    return lambda endpoint, assertion: outcome(call(endpoint, assertion_parameters(assertion)))


@every_endpoint
@pytest.mark.spec("PKJ-01", "PKJ-03", "PKJ-07", "PKJ-10")
def test_a_good_assertion_authenticates_with_every_algorithm_and_type(caller_by: Call, present: Call, endpoint: str) -> None:
    for algorithm in CLIENT_ASSERTION_ALGORITHMS:
        caller = caller_by("private_key_jwt", signing_key=key(algorithm))
        for typ in ("JWT", "client-authentication+jwt", None):
            assert present(endpoint, caller.assertion(typ=typ)) == OK, (algorithm, typ)


@every_endpoint
@pytest.mark.spec("PKJ-04")
@pytest.mark.threat("O01")
@pytest.mark.parametrize("legacy", [False, True], ids=["as it should be", "with the legacy switch"])
def test_the_audience_is_this_issuer_as_one_text(with_key: Caller, present: Call, endpoint: str, legacy: bool) -> None:
    Client.objects.filter(pk=with_key.client.pk).update(accepts_token_endpoint_audience=legacy)
    accepted = ("accepted", "legacy") if legacy else ("accepted",)
    expected = {name: OK if verdict in accepted else REFUSED for name, (_, verdict) in AUDIENCES.items()}
    assert {name: present(endpoint, with_key.assertion(aud=value)) for name, (value, _) in AUDIENCES.items()} == expected


@every_endpoint
@pytest.mark.spec("PKJ-01")
def test_another_or_no_assertion_type_is_refused(with_key: Caller, call: Call, endpoint: str) -> None:
    for kind in ("", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", CLIENT_ASSERTION_TYPE.upper()):
        answer = call(endpoint, {"client_assertion": with_key.assertion(), "client_assertion_type": kind})
        assert outcome(answer) == REFUSED
        assert CLIENT_ASSERTION_TYPE in answer.json()["error_description"]
    assert outcome(call(endpoint, {"client_assertion": with_key.assertion()})) == REFUSED


@every_endpoint
@pytest.mark.spec("PKJ-01")
def test_none_or_two_assertions_are_refused(with_key: Caller, call: Call, post_form: Call, endpoint: str) -> None:
    assert outcome(call(endpoint, {"client_assertion_type": CLIENT_ASSERTION_TYPE})) == REFUSED
    assert outcome(call(endpoint, assertion_parameters(""))) == REFUSED
    pairs = [*ENDPOINTS[endpoint].items(), *assertion_parameters(with_key.assertion()).items(), ("client_assertion", with_key.assertion())]
    assert outcome(post_form(endpoint, pairs)) == MALFORMED


@every_endpoint
@pytest.mark.spec("PKJ-01")
def test_client_id_is_the_subject_or_absent(with_key: Caller, call: Call, endpoint: str) -> None:
    expected = {with_key.client_id: OK, "": OK, "another": MALFORMED, with_key.client_id.upper(): MALFORMED}
    sent = {name: call(endpoint, {"client_id": name, **assertion_parameters(with_key.assertion())}) for name in expected}
    assert {name: outcome(answer) for name, answer in sent.items()} == expected


@every_endpoint
@pytest.mark.spec("PKJ-03")
def test_every_required_claim_counts(with_key: Caller, present: Call, endpoint: str) -> None:
    for claim in ("iss", "sub", "aud", "exp", "jti"):
        for value in (None, "", 7, [], {}, True, *(["another"] if claim != "jti" else [])):
            assert present(endpoint, with_key.assertion(**{claim: value})) == REFUSED, (claim, value)


@every_endpoint
@pytest.mark.spec("PKJ-03")
def test_the_keys_of_one_client_do_not_vouch_for_another(caller_by: Call, present: Call, endpoint: str) -> None:
    one, other = caller_by("private_key_jwt"), caller_by("private_key_jwt", signing_key=key("ES256", 1))
    for claims in ({"iss": other.client_id}, {"sub": other.client_id}, {"iss": other.client_id, "sub": other.client_id}):
        assert present(endpoint, one.assertion(**claims)) == REFUSED


# Seconds from now, and what becomes of it.
TIMES: dict[str, tuple[dict[str, int | None], str]] = {
    "expired within the leeway": ({"iat": -90, "exp": 1 - CLOCK_LEEWAY}, OK),
    "expired": ({"iat": -90, "exp": -CLOCK_LEEWAY}, REFUSED),
    "issued in the future within the leeway": ({"iat": CLOCK_LEEWAY, "exp": 120}, OK),
    "issued in the future": ({"iat": CLOCK_LEEWAY + 1, "exp": 120}, REFUSED),
    "valid for as long as allowed": ({"iat": 0, "exp": 300}, OK),
    "valid for too long": ({"iat": 0, "exp": 301}, REFUSED),
    "valid from a moment within the leeway": ({"iat": 0, "nbf": CLOCK_LEEWAY, "exp": 100}, OK),
    "not valid yet": ({"iat": 0, "nbf": CLOCK_LEEWAY + 1, "exp": 100}, REFUSED),
    "without iat, near": ({"iat": None, "exp": 360}, OK),
    "without iat, far": ({"iat": None, "exp": 361}, REFUSED),
}


@every_endpoint
@pytest.mark.spec("PKJ-05")
@pytest.mark.threat("J15")
def test_times_are_checked_to_the_second(with_key: Caller, present: Call, now: datetime, endpoint: str) -> None:
    start = int(now.timestamp())
    with time_machine.travel(now, tick=False):
        for name, (offsets, expected) in TIMES.items():
            claims = {claim: None if offset is None else start + offset for claim, offset in offsets.items()}
            assert present(endpoint, with_key.assertion(**claims)) == expected, name


@every_endpoint
@pytest.mark.threat("J14")
def test_what_is_no_time_is_refused(with_key: Caller, present: Call, endpoint: str) -> None:
    for claim in ("exp", "iat", "nbf"):
        for value in (True, "soon", str(int(with_key.now.timestamp())), -1, 0, 2**40, 2**63, 1.5e300, [], {}):
            assert present(endpoint, with_key.assertion(**{claim: value})) == REFUSED, (claim, value)


@pytest.mark.spec("PKJ-06", "PKJ-10")
@pytest.mark.threat("J16")
def test_an_assertion_counts_once_whatever_the_endpoint(with_key: Caller, call: Call) -> None:
    for first in EVERY_ENDPOINT:
        for second in EVERY_ENDPOINT:
            parameters = assertion_parameters(with_key.assertion())
            assert outcome(call(first, parameters)) == OK
            replayed = call(second, parameters)
            assert outcome(replayed) == REFUSED
            assert "jti" in replayed.json()["error_description"]


@pytest.mark.spec("PKJ-06")
@pytest.mark.threat("J16")
def test_a_jti_is_refused_in_another_assertion_too(with_key: Caller, present: Call) -> None:
    assert present(TOKEN, with_key.assertion(jti="one")) == OK
    assert present(TOKEN, with_key.assertion(jti="one", exp=int(with_key.now.timestamp()) + 200)) == REFUSED


@pytest.mark.spec("PKJ-06")
@pytest.mark.threat("J16")
def test_a_jti_is_remembered_for_as_long_as_its_assertion_could_be_presented(with_key: Caller, present: Call, now: datetime) -> None:
    assertion, expiry = with_key.assertion(), now + timedelta(seconds=60)
    with time_machine.travel(now, tick=False):
        assert present(TOKEN, assertion) == OK
    for seconds in (0, CLOCK_LEEWAY - 1, CLOCK_LEEWAY, CLOCK_LEEWAY + 1):
        moment = expiry + timedelta(seconds=seconds)
        purge_expired(moment)
        with time_machine.travel(moment, tick=False):
            assert present(TOKEN, assertion) == REFUSED
    assert purge_expired(expiry + timedelta(seconds=CLOCK_LEEWAY + 2)) == 1


@pytest.mark.threat("J17")
def test_two_clients_may_use_the_same_jti(caller_by: Call, present: Call) -> None:
    for number in (0, 1):
        assert present(TOKEN, caller_by("private_key_jwt", signing_key=key("ES256", number)).assertion(jti="one")) == OK


@every_endpoint
@pytest.mark.threat("J17")
def test_an_assertion_that_is_refused_does_not_use_up_its_jti(with_key: Caller, present: Call, endpoint: str) -> None:
    good = with_key.assertion(jti="one")
    head, _, signature = good.rpartition(".")
    bad = [
        f"{head}.{signature[:-8]}AAAAAAAA",
        with_key.assertion(jti="one", signer=key("ES256", 1)),
        with_key.assertion(jti="one", aud="x"),
    ]
    assert [present(endpoint, assertion) for assertion in bad] == [REFUSED] * 3
    assert not SingleUseValue.objects.exists()
    assert present(endpoint, good) == OK


@pytest.mark.spec("PKJ-06")
@pytest.mark.threat("J16")
@pytest.mark.django_db(transaction=True)
def test_of_fifty_requests_at_once_with_one_assertion_one_succeeds(with_key: Caller) -> None:
    body = urlencode({**ENDPOINTS[TOKEN], **assertion_parameters(with_key.assertion())})
    barrier = Barrier(50)

    def post() -> int:
        barrier.wait(30)
        return Browser().post(TOKEN, body, content_type=FORM).status_code

    statuses = in_threads([post] * 50)
    assert statuses.count(200) == 1, statuses
    assert set(statuses) <= {200, 401, 429}  # after thirty failures the throttle says so


@every_endpoint
@pytest.mark.spec("PKJ-07")
@pytest.mark.threat("J01", "J02")
def test_no_other_algorithm_is_accepted(with_key: Caller, present: Call, endpoint: str) -> None:
    for algorithm in ("none", "None", "", "HS256", "HS512", "es256", "ES384", "PS512", None, ["ES256"], 1):
        header, claims = {"alg": algorithm, "typ": "JWT", "kid": key().kid}, assertion_claims(with_key.client_id, with_key.now)
        assert present(endpoint, forge(header, claims, signature=b"x" * 64)) == REFUSED
        assert present(endpoint, forge(header, claims, signature=b"")) == REFUSED


@every_endpoint
@pytest.mark.spec("PKJ-07")
def test_a_registered_algorithm_is_the_only_one(caller_by: Call, present: Call, endpoint: str) -> None:
    jwk = {name: value for name, value in key("RS256").public_jwk().items() if name != "alg"}
    caller = caller_by("private_key_jwt", signing_key=key("RS256"), token_endpoint_auth_signing_alg="PS256", jwks={"keys": [jwk]})
    assert present(endpoint, caller.assertion(signer=key("PS256"))) == OK
    assert present(endpoint, caller.assertion(signer=key("RS256"))) == REFUSED


@every_endpoint
@pytest.mark.spec("PKJ-07")
@pytest.mark.threat("J03", "J04")
def test_a_header_never_brings_a_key(with_key: Caller, present: Call, endpoint: str) -> None:
    attacker = key("ES256", 1)
    values = {"jwk": attacker.public_jwk(), "jku": "https://attacker.example/jwks", "x5u": "https://attacker.example/x5u", "crit": ["exp"]}
    for name in ("jwk", "jku", "x5u", "x5c", "x5t", "crit", "b64", "trust_chain", "zip", "cty"):
        for signer in (attacker, key()):
            assertion = with_key.assertion(signer=signer, headers={name: values.get(name, ["x"])})
            assert present(endpoint, assertion) == REFUSED, name


@every_endpoint
@pytest.mark.spec("PKJ-07")
def test_the_key_is_the_registered_one_that_kid_names(caller_by: Call, present: Call, endpoint: str) -> None:
    caller = caller_by("private_key_jwt", jwks={"keys": [key("ES256", number).public_jwk() for number in (0, 1)]})
    assert [present(endpoint, caller.assertion(signer=key("ES256", number))) for number in (0, 1, 2)] == [OK, OK, REFUSED]
    claims = assertion_claims(caller.client_id, caller.now)
    for kid in (key("ES256", 1).kid, key("ES256", 2).kid, "", "../../etc/passwd", "' OR 1=1", "x" * 129, 5, None):
        header = {"alg": "ES256", "typ": "JWT", "kid": kid}
        assert present(endpoint, forge(header, claims, key("ES256", 0))) == REFUSED, kid


@every_endpoint
@pytest.mark.threat("J05")
def test_a_jwt_of_another_kind_is_no_assertion(with_key: Caller, present: Call, endpoint: str) -> None:
    for typ in ("at+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "logout+jwt", "jwt", "", "JWT "):
        assert present(endpoint, with_key.assertion(typ=typ)) == REFUSED, typ
    for claim in ("events", "nonce", "response_type"):
        assert present(endpoint, with_key.assertion(**{claim: "x"})) == REFUSED, claim


@every_endpoint
@pytest.mark.spec("PKJ-08")
def test_a_client_with_keys_never_authenticates_by_secret(with_key: Caller, call: Call, now: datetime, endpoint: str) -> None:
    with_key.secret = "left-over"
    ClientSecret.objects.create(client=with_key.client, digest=keyed_digest(with_key.secret, "client-secret"), tail="over", created_at=now)
    for method in ("client_secret_basic", "client_secret_post", "none"):
        parameters, headers = with_key.credentials(method)
        assert outcome(call(endpoint, parameters, headers)) == REFUSED


@every_endpoint
@pytest.mark.spec("PKJ-09")
@pytest.mark.threat("J19")
def test_unknown_client_wrong_key_and_wrong_algorithm_read_the_same(with_key: Caller, call: Call, endpoint: str) -> None:
    unknown = Caller(Client(client_id="5f3c7a52-0000-4000-8000-000000000000"), "private_key_jwt", with_key.now, key=key())
    attempts = (
        unknown.assertion(),
        with_key.assertion(signer=key("ES256", 1)),
        with_key.assertion()[:-6] + "AAAAAA",
        with_key.assertion(signer=key("Ed25519")),
    )
    bodies = [call(endpoint, assertion_parameters(attempt)).json() for attempt in attempts]
    assert {body.pop("instance")[:12] for body in bodies} == {"urn:request:"}
    assert all(body == bodies[0] and body["error"] == "invalid_client" for body in bodies)


@every_endpoint
@pytest.mark.spec("PKJ-09")
@pytest.mark.threat("J19")
def test_unknown_client_and_wrong_key_cost_the_same_queries(with_key: Caller, call: Call, endpoint: str) -> None:
    unknown = Caller(Client(client_id="5f3c7a52-0000-4000-8000-000000000000"), "private_key_jwt", with_key.now, key=key())
    costs = []
    for attempt in (unknown.assertion(signer=key("ES256", 1)), with_key.assertion(signer=key("ES256", 1))):
        with counted() as queries:
            assert outcome(call(endpoint, assertion_parameters(attempt))) == REFUSED
        costs.append(len(queries))
    assert costs == [1, 1]


@pytest.mark.spec("PKJ-10")
def test_metadata_names_methods_and_algorithms_of_every_endpoint(client: Browser, db: None) -> None:
    metadata = client.get("/.well-known/oauth-authorization-server").json()
    for kind in ("token", "revocation", "introspection"):
        assert metadata[f"{kind}_endpoint_auth_signing_alg_values_supported"] == list(CLIENT_ASSERTION_ALGORITHMS)
        anonymous = set() if kind == "introspection" else {"none"}
        methods = {"client_secret_basic", "client_secret_post", "private_key_jwt"} | anonymous
        assert set(metadata[f"{kind}_endpoint_auth_methods_supported"]) == methods
