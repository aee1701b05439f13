"""Automatic registration: an entity becomes a client by a request that it signed, and by nothing else (OpenID Federation 1.0, 12.1)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from authserver.models import AuthorizationRequest
from federation.core.issuing import build_jwks
from federation.models import TrustAnchorRecord
from federation.simulator import Fault
from protocol.jose import generate_private_key, parse_unverified
from protocol.jose.base64url import encode_base64url
from registry.models import Client
from tests.authserver.authorization.support import CHALLENGE
from tests.federation.registration.sending import (
    WAYS,
    accepted,
    assert_nothing_written,
    every_way,
    refusal,
    said,
    send,
)
from tests.federation.registration.support import HARBOUR, ISSUER, LIGHTHOUSE, NORTHLIGHT, TIDEWATER, RelyingParty, World

mark = pytest.mark

# What a request object must be. Everything here is seen without its keys, so nothing is fetched for it.
GUARDS = [
    pytest.param({"aud": None}, marks=mark.spec("FED-AUT-09"), id="no aud"),
    pytest.param({"aud": "https://other.example"}, marks=mark.spec("FED-AUT-09"), id="aud of another"),
    pytest.param({"aud": [ISSUER, "https://other.example"]}, marks=mark.spec("FED-AUT-09"), id="aud of two"),
    pytest.param({"aud": [ISSUER, ISSUER]}, marks=mark.spec("FED-AUT-09"), id="aud twice"),
    pytest.param({"aud": []}, marks=mark.spec("FED-AUT-09"), id="aud of nobody"),
    pytest.param({"aud": ISSUER + "/"}, marks=mark.spec("FED-AUT-09"), id="aud with a slash"),
    pytest.param({"aud": ISSUER + "/oauth/authorize"}, marks=mark.spec("FED-AUT-09"), id="aud of the endpoint"),
    pytest.param({"client_id": None}, marks=mark.spec("FED-AUT-10"), id="no client_id"),
    pytest.param({"client_id": TIDEWATER}, marks=mark.spec("FED-AUT-10", "FED-AUT-19"), id="client_id of another"),
    pytest.param({"client_id": LIGHTHOUSE + "/"}, marks=mark.spec("FED-AUT-10"), id="client_id with a slash"),
    pytest.param({"iss": None}, marks=mark.spec("FED-AUT-11"), id="no iss"),
    pytest.param({"iss": TIDEWATER}, marks=mark.spec("FED-AUT-11"), id="iss of another"),
    pytest.param({"iss": ISSUER}, marks=mark.spec("FED-AUT-11"), id="iss of this server"),
    pytest.param({"iss": TIDEWATER, "client_id": TIDEWATER}, marks=mark.spec("FED-AUT-19"), id="the request of another"),
    pytest.param({"sub": LIGHTHOUSE}, marks=mark.spec("FED-AUT-12"), id="a sub"),
    pytest.param({"sub": "person"}, marks=mark.spec("FED-AUT-12"), id="another sub"),
    pytest.param({"jti": None}, marks=mark.spec("FED-AUT-13"), id="no jti"),
    pytest.param({"jti": ""}, marks=mark.spec("FED-AUT-13"), id="an empty jti"),
    pytest.param({"exp": None}, marks=mark.spec("FED-AUT-14"), id="no exp"),
    pytest.param({"exp": 1_000_000_000}, marks=mark.spec("FED-AUT-14"), id="expired"),
    pytest.param({"exp": "tomorrow"}, marks=mark.spec("FED-AUT-14"), id="exp in words"),
    pytest.param({"exp": 4_000_000_000}, marks=mark.spec("FED-AUT-14"), id="good for years"),
    pytest.param({"typ": "entity-statement+jwt"}, marks=mark.spec("FED-AUT-18"), id="typ of a statement"),
    pytest.param({"typ": "explicit-registration-response+jwt"}, marks=mark.spec("FED-AUT-18"), id="typ of a registration"),
    pytest.param({"typ": "trust-mark+jwt"}, marks=mark.spec("FED-AUT-18"), id="typ of a trust mark"),
    pytest.param({"typ": "jwk-set+jwt"}, marks=mark.spec("FED-AUT-18"), id="typ of a key set"),
    pytest.param({"typ": "client-authentication+jwt"}, marks=mark.spec("FED-AUT-18"), id="typ of an assertion"),
    pytest.param({"headers": {"peer_trust_chain": ["a"]}}, marks=mark.spec("FED-AUT-20"), id="only the peer's chain"),
    pytest.param({"headers": {"trust_chain": []}}, marks=mark.spec("FED-AUT-24"), id="an empty chain"),
    pytest.param({"headers": {"trust_chain": "a"}}, marks=mark.spec("FED-AUT-24"), id="a chain that is a text"),
    pytest.param({"headers": {"crit": ["trust_chain"]}}, marks=mark.spec("FED-AUT-05"), id="crit"),
    pytest.param({"headers": {"jwk": {"kty": "EC"}}}, marks=mark.spec("FED-AUT-05", "FED-AUT-27"), id="a key that it brings"),
    pytest.param({"headers": {"jku": "https://evil.example/k"}}, marks=mark.spec("FED-AUT-27"), id="a key set that it names"),
]


@every_way
@pytest.mark.parametrize("changes", GUARDS)
@pytest.mark.spec("FED-SEC-09")
@pytest.mark.threat("T11")
def test_a_request_object_that_is_not_as_it_must_be_is_refused_before_any_fetch(
    lighthouse: RelyingParty, world: World, way: str, changes: dict[str, Any]
) -> None:
    assert refusal(send(lighthouse, way, lighthouse.request_object(**changes))) in ("invalid_request_object", "invalid_client")
    assert world.fetcher.requests == ()
    assert_nothing_written()


@pytest.mark.parametrize("changes", GUARDS)
def test_the_same_counts_for_an_entity_that_is_registered(lighthouse: RelyingParty, changes: dict[str, Any]) -> None:
    assert accepted(lighthouse.authorize())
    kept = AuthorizationRequest.objects.count()
    for way in WAYS:
        assert refusal(send(lighthouse, way, lighthouse.request_object(**changes))).startswith("invalid_"), way
    assert AuthorizationRequest.objects.count() == kept


@pytest.mark.spec("FED-AUT-02", "FED-AUT-05", "FED-AUT-07", "FED-AUT-10", "FED-AUT-22", "FED-AUT-25", "PAR-17")
@every_way
def test_an_entity_registers_by_the_request_that_it_signed(lighthouse: RelyingParty, world: World, way: str) -> None:
    assert accepted(send(lighthouse, way, lighthouse.request_object()))
    assert world.fetcher.requests[0].url == f"{LIGHTHOUSE}/.well-known/openid-federation"
    client, record = lighthouse.client, lighthouse.record
    assert (client.client_id, client.source, client.state, client.trust) == (LIGHTHOUSE, "federation_automatic", "active", "valid")
    assert (record.anchor, record.superior, record.entities) == (NORTHLIGHT, HARBOUR, [LIGHTHOUSE, HARBOUR, NORTHLIGHT])
    world.fetcher.reset_counts()
    assert accepted(send(lighthouse, way, lighthouse.request_object()))
    assert (world.fetcher.requests, Client.objects.filter(client_id=LIGHTHOUSE).count()) == ((), 1)


@pytest.mark.spec("FED-AUT-15", "FED-AUT-18", "FED-AUT-09")
@every_way
@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"typ": "oauth-authz-req+jwt"},
        {"aud": [ISSUER]},
        {"iat": 0, "nbf": 0, "exp": 60},
        {"metadata": {"a": [1]}, "authority_hints": None, "purpose": ["x"], "vtr": {"y": 1}, "jwks": 7},
    ],
    ids=["typ JWT", "no typ", "typ of RFC 9101", "aud as an array", "iat and nbf", "stray claims"],
)
def test_what_real_clients_send_is_accepted(lighthouse: RelyingParty, way: str, changes: dict[str, Any]) -> None:
    changes = {name: int(time.time()) + value if name in ("iat", "nbf", "exp") else value for name, value in changes.items()}
    for _ in range(2):  # unknown, then registered
        assert accepted(send(lighthouse, way, lighthouse.request_object(**changes)))


@pytest.mark.spec("FED-AUT-05", "FED-AUT-27", "FED-AUT-28", "FED-AUT-31")
@pytest.mark.threat("T11")
@every_way
@pytest.mark.parametrize(
    "signer", ["federation key", "foreign key", "foreign key with our kid", "a key inside", "another entity's key", "cut", "changed"]
)
def test_only_a_protocol_key_of_the_entity_proves_anything(lighthouse: RelyingParty, world: World, way: str, signer: str) -> None:
    foreign, good = generate_private_key("ES256"), lighthouse.request_object()
    forgeries: dict[str, Callable[[], str]] = {
        "federation key": lambda: lighthouse.request_object(lighthouse.entity.keys[0]),
        "foreign key": lambda: lighthouse.request_object(foreign),
        "foreign key with our kid": lambda: lighthouse.request_object(replace(foreign, kid=lighthouse.key.kid)),
        "a key inside": lambda: lighthouse.request_object(foreign, jwks=build_jwks([foreign])),
        "another entity's key": lambda: lighthouse.request_object(world.add(TIDEWATER).key),
        "cut": lambda: good.rpartition(".")[0] + "." + "A" * 86,
        "changed": lambda: ".".join([good.split(".")[0], lighthouse.request_object().split(".")[1], good.split(".")[2]]),
    }
    assert refusal(send(lighthouse, way, forgeries[signer]())) == "invalid_request_object"
    assert_nothing_written()
    assert accepted(send(lighthouse, way, lighthouse.request_object()))
    kept = AuthorizationRequest.objects.count()
    assert refusal(send(lighthouse, way, forgeries[signer]())) == "invalid_request_object"
    assert AuthorizationRequest.objects.count() == kept


@pytest.mark.spec("FED-AUT-27", "FED-AUT-31")
@every_way
def test_the_keys_are_those_that_the_federation_left_standing(lighthouse: RelyingParty, world: World, way: str) -> None:
    resolved = generate_private_key("ES256")
    statement = world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]
    statement["metadata"] = {"openid_relying_party": {"jwks": build_jwks([resolved])}}
    assert refusal(send(lighthouse, way, lighthouse.request_object())) == "invalid_request_object"
    assert_nothing_written()
    assert accepted(send(lighthouse, way, lighthouse.request_object(resolved)))


def unsigned(party: RelyingParty) -> dict[str, str]:
    """Return a request of plain parameters that would be good from anybody else."""
    return {
        "client_id": party.entity_id,
        "redirect_uri": party.callback,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "s",
    }


def with_alg_none(party: RelyingParty, signature: str = "") -> str:
    """Return a request object that nobody signed."""
    parts = [encode_base64url(json.dumps(part).encode()) for part in ({"alg": "none", "kid": party.key.kid}, party.request_claims())]
    return ".".join([*parts, signature])


@pytest.mark.spec("FED-AUT-05", "FED-AUT-08", "FED-AUT-28")
@pytest.mark.threat("T11", "F14")
@every_way
def test_a_request_that_nobody_signed_is_refused_before_any_fetch(lighthouse: RelyingParty, world: World, way: str) -> None:
    if way == "PAR":
        answers = [
            world.post("/oauth/par", unsigned(lighthouse)),
            world.post("/oauth/par", {**unsigned(lighthouse), "client_secret": "x" * 43}),
            world.browser.post("/oauth/par", urlencode(unsigned(lighthouse)), content_type="application/x-www-form-urlencoded",
                               headers={"Authorization": "Basic aHR0cHMlM0ElMkYlMkZsaWdodGhvdXNlLmV4YW1wbGU6eA=="}),
        ]  # fmt: skip
    else:
        answers = [getattr(world.browser, way.lower())("/oauth/authorize", **_as_form(way, unsigned(lighthouse)))]
    answers += [send(lighthouse, way, with_alg_none(lighthouse, signature)) for signature in ("", "AAAA")]
    answers += [send(lighthouse, way, request) for request in ("a", "a.b.c", "a.b.c.d.e")]
    assert {refusal(answer) for answer in answers} <= {"invalid_client", "invalid_request_object"}
    assert world.fetcher.requests == ()
    assert_nothing_written()


def _as_form(way: str, parameters: dict[str, str]) -> dict[str, Any]:
    if way == "GET":
        return {"data": parameters}
    return {"data": urlencode(parameters), "content_type": "application/x-www-form-urlencoded"}


@pytest.mark.spec("FED-AUT-05", "FED-AUT-36")
@pytest.mark.threat("T11")
def test_a_registered_entity_goes_on_signing(lighthouse: RelyingParty, world: World) -> None:
    assert accepted(lighthouse.authorize())
    kept = AuthorizationRequest.objects.count()
    for way in ("GET", "POST"):
        answer = getattr(world.browser, way.lower())("/oauth/authorize", **_as_form(way, unsigned(lighthouse)))
        assert refusal(answer) == "invalid_request"
    assert refusal(world.post("/oauth/par", unsigned(lighthouse))) == "invalid_client"
    assert refusal(lighthouse.authorize(with_alg_none(lighthouse))) == "invalid_request_object"
    assert AuthorizationRequest.objects.count() == kept


@pytest.mark.spec("FED-AUT-06")
def test_a_request_by_reference_is_refused_before_any_fetch(lighthouse: RelyingParty, world: World) -> None:
    query = {"client_id": LIGHTHOUSE, "response_type": "code", "scope": "openid", "request_uri": f"{LIGHTHOUSE}/request.jwt"}
    assert refusal(world.browser.get("/oauth/authorize", query)) == "request_uri_not_supported"
    assert world.fetcher.requests == ()


@pytest.mark.spec("FED-AUT-13", "FED-SEC-09", "FED-SEC-11")
@pytest.mark.parametrize("first", WAYS)
def test_a_request_object_is_accepted_once(lighthouse: RelyingParty, first: str) -> None:
    request = lighthouse.request_object()
    header, payload, signature = request.split(".")
    forged = f"{header}.{payload}.{'A' * len(signature)}"
    assert refusal(send(lighthouse, first, forged)) == "invalid_request_object"  # which uses nothing up
    assert accepted(send(lighthouse, first, request))
    for way in WAYS:
        assert refusal(send(lighthouse, way, request)) == "invalid_request_object"
    again = lighthouse.request_object(jti=parse_unverified(request, max_length=10_000).unverified_claims["jti"], state="other")
    assert refusal(send(lighthouse, first, again)) == "invalid_request_object"


@pytest.mark.spec("FED-HTT-06")
@pytest.mark.parametrize(("way", "size"), [("GET", 16 * 1024), ("POST", 60 * 1024), ("PAR", 56 * 1024)])
def test_a_request_object_as_large_as_two_chains_make_it_is_taken(lighthouse: RelyingParty, way: str, size: int) -> None:
    room = (size - len(lighthouse.request_object())) * 3 // 4
    request = lighthouse.request_object(stray="x" * room)
    assert abs(len(request) - size) < 300
    assert accepted(send(lighthouse, way, request))


@pytest.mark.spec("FED-AUT-19")
@every_way
def test_what_stands_outside_is_forgotten(lighthouse: RelyingParty, way: str) -> None:
    outside = {"redirect_uri": "https://evil.example/cb", "scope": "openid profile email", "state": "outside", "nonce": "outside"}
    assert accepted(send(lighthouse, way, lighthouse.request_object(state="inside"), **outside))
    kept = AuthorizationRequest.objects.get().parameters
    assert (kept["redirect_uri"], kept["scope"], kept["state"], kept["nonce"]) == (lighthouse.callback, ["openid"], "inside", "")


@pytest.mark.spec("FED-AUT-19")
@pytest.mark.parametrize("way", ["GET", "POST"])
def test_client_id_stands_outside_too(lighthouse: RelyingParty, world: World, way: str) -> None:
    world.add(TIDEWATER)
    for outside in ({"client_id": TIDEWATER}, {"client_id": ""}):
        assert refusal(send(lighthouse, way, lighthouse.request_object(), **outside)).startswith("invalid_")
    assert_nothing_written()


@pytest.mark.spec("FED-AUT-32", "FED-AUT-36")
@pytest.mark.parametrize("way", ["GET", "POST"])
def test_an_ordinary_error_goes_to_the_app_once_everything_is_proven(lighthouse: RelyingParty, way: str) -> None:
    answer = send(lighthouse, way, lighthouse.request_object(scope="nothing", state="inside"))
    assert answer["Location"].startswith(lighthouse.callback + "?")
    assert (said(answer)["error"], said(answer)["state"]) == ("invalid_scope", "inside")
    assert refusal(send(lighthouse, "PAR", lighthouse.request_object(scope="nothing"))) == "invalid_scope"


@pytest.mark.spec("FED-AUT-33", "FED-AUT-36")
@pytest.mark.parametrize("way", ["GET", "POST"])
def test_an_unregistered_redirect_uri_ends_on_a_page(lighthouse: RelyingParty, way: str) -> None:
    for redirect_uri in ("https://evil.example/cb", lighthouse.callback + "/", None):
        assert refusal(send(lighthouse, way, lighthouse.request_object(redirect_uri=redirect_uri))) == "invalid_request"


def _unreachable(party: RelyingParty, world: World) -> None:
    party.entity.fault = Fault.NOT_FOUND


def _expelled(party: RelyingParty, world: World) -> None:
    world.federation.expel(HARBOUR, party.entity_id)


def _forged(party: RelyingParty, world: World) -> None:
    party.entity.fault = Fault.WRONG_SIGNATURE


def _expired(party: RelyingParty, world: World) -> None:
    world.federation.entities[HARBOUR].statement_fault = Fault.EXPIRED


def _elsewhere(party: RelyingParty, world: World) -> None:
    world.federation.add_authority("https://southlight.example")
    party.entity.superiors[:] = ["https://southlight.example"]
    world.federation.entities["https://southlight.example"].subordinates[party.entity_id] = {}


def _policy_violated(party: RelyingParty, world: World) -> None:
    policy = {"openid_relying_party": {"contacts": {"essential": True}}}
    world.federation.entities[HARBOUR].subordinates[party.entity_id]["metadata_policy"] = policy


def _explicit_only(party: RelyingParty, world: World) -> None:
    party.metadata["client_registration_types"] = ["explicit"]


def _bad_redirect_uri(party: RelyingParty, world: World) -> None:
    party.metadata["redirect_uris"] = ["http://lighthouse.example/callback"]


def _no_keys(party: RelyingParty, world: World) -> None:
    del party.metadata["jwks"]


TROUBLE = [
    pytest.param(_unreachable, "invalid_trust_chain", id="not found"),
    pytest.param(_expelled, "invalid_trust_chain", id="expelled"),
    pytest.param(_forged, "invalid_trust_chain", id="wrongly signed"),
    pytest.param(_expired, "invalid_trust_chain", id="expired"),
    pytest.param(_elsewhere, "invalid_trust_anchor", id="another anchor"),
    pytest.param(_policy_violated, "invalid_metadata", id="policy violated"),
    pytest.param(_explicit_only, "invalid_metadata", id="registers explicitly only"),
    pytest.param(_bad_redirect_uri, "invalid_metadata", id="redirect URI without TLS"),
    pytest.param(_no_keys, "invalid_metadata", id="no keys"),
]


@pytest.mark.spec("FED-AUT-26", "FED-AUT-33", "FED-AUT-34", "FED-AUT-35", "FED-AUT-36")
@every_way
@pytest.mark.parametrize(("trouble", "code"), TROUBLE)
def test_without_trust_nothing_is_redirected_and_the_reason_is_told_where_the_app_asked(
    lighthouse: RelyingParty, world: World, way: str, trouble: Callable[..., None], code: str
) -> None:
    trouble(lighthouse, world)
    answer = send(lighthouse, way, lighthouse.request_object())
    assert refusal(answer) == code
    assert answer.status_code == 400
    assert_nothing_written()


@pytest.mark.spec("FED-AUT-35")
def test_a_server_that_does_not_answer_is_asked_again_later(lighthouse: RelyingParty, world: World) -> None:
    lighthouse.entity.fault = Fault.SERVER_ERROR
    answer = send(lighthouse, "PAR", lighthouse.request_object())
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert_nothing_written()


@pytest.mark.spec("FED-AUT-05", "FED-AUT-22")
def test_without_a_trust_anchor_nobody_registers(lighthouse: RelyingParty, world: World) -> None:
    TrustAnchorRecord.objects.update(is_enabled=False)
    for way in WAYS:
        assert refusal(send(lighthouse, way, lighthouse.request_object())) == "invalid_client"
    assert world.fetcher.requests == ()
    assert_nothing_written()
