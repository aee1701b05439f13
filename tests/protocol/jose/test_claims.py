"""J14, J15 and O01: what a time is, when it holds, and who a token is for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from protocol.errors import InvalidJwt
from protocol.jose.claims import (
    AudienceRule,
    audience_contains,
    audience_contains_only,
    audience_is_exactly,
    numeric_date,
    validate_times,
)
from protocol.jose.purposes import (
    CLIENT_ASSERTION,
    ENTITY_STATEMENT,
    EXPLICIT_REGISTRATION_REQUEST,
    FEDERATION_REQUEST_OBJECT,
    ID_TOKEN,
    REQUEST_OBJECT,
    SIGNED_JWKS,
)
from protocol.jose.verifier import Verifier
from tests.protocol.jose.support import (
    CLIENT,
    EVERY_VERIFIER,
    NOW,
    SERVER,
    checks_spent,
    claims_of,
    forge,
    forge_kind,
    header_of,
    kind_for,
    refusal,
    signing_key,
    verify,
)

EVERY = pytest.mark.parametrize("verifier", EVERY_VERIFIER, ids=lambda verifier: verifier.purpose)

# Written as JSON text, since some of these are no values of Python.
NOT_TIMES = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    '"9999999999"',
    '"NaN"',
    '""',
    "true",
    "false",
    "null",
    "[]",
    "[1800000000]",
    "{}",
    "0",
    "-0",
    "0.0",
    "-1",
    "-1800000000",
    "-1e-9",
    "1099511627776",
    "1e30",
    "99999999999999999999",
    "999999999999999999999999999999",
]


@pytest.mark.threat("J14")
@pytest.mark.spec("FED-JOS-09")
@EVERY
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_what_is_not_a_time_is_refused(name: str, verifier: Verifier) -> None:
    for text in NOT_TIMES:
        payload = json.dumps(claims_of(kind_for(verifier)) | {name: "@"}).replace('"@"', text).encode()
        token = forge(header_of(kind_for(verifier)), payload, signing_key("ES256"))
        error = refusal(verifier, token)
        assert error.reason in {"numeric_date", "json"}, text
        assert error.reason == "json" or error.claim == name
        assert checks_spent(verifier, token) == 0


@pytest.mark.threat("J14")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, -(10**400), 2**40, 0, True, "1", None, b"1"])
def test_a_time_is_judged_without_help_of_the_json_reader(value: object) -> None:
    with pytest.raises(InvalidJwt) as caught:
        numeric_date({"exp": value}, "exp")
    assert (caught.value.reason, caught.value.claim) == ("numeric_date", "exp")


@pytest.mark.threat("J14")
@pytest.mark.spec("FED-JOS-09")
@EVERY
def test_times_with_fractions_and_exponents_are_times(verifier: Verifier) -> None:
    for text in (f"{NOW}.25", "1.8e9", f"{NOW}"):
        payload = json.dumps(claims_of(kind_for(verifier)) | {"iat": "@"}).replace('"@"', text).encode()
        assert verify(verifier, forge(header_of(kind_for(verifier)), payload, signing_key("ES256")))


def test_an_absent_time_is_none_and_the_range_ends_below_two_to_the_forty() -> None:
    assert numeric_date({}, "exp") is None
    assert numeric_date({"exp": 2**40 - 1}, "exp") == 2**40 - 1
    assert numeric_date({"exp": 1}, "exp") == 1


@pytest.mark.threat("J15")
@EVERY
def test_a_token_ends_with_exp_plus_leeway_to_the_second(verifier: Verifier) -> None:
    token = forge_kind(kind_for(verifier), exp=NOW + 60)
    assert verify(verifier, token, now=NOW + 60 + 59)
    if verifier is ID_TOKEN:
        assert verify(verifier, token, now=NOW + 60 + 60)
    else:
        error = refusal(verifier, token, now=NOW + 60 + 60)
        assert (error.reason, error.claim) == ("expired", "exp")


@pytest.mark.threat("J15")
@pytest.mark.parametrize(("name", "reason"), [("iat", "issued_in_future"), ("nbf", "not_yet_valid")])
@EVERY
def test_a_token_begins_at_most_a_leeway_ahead_to_the_second(name: str, reason: str, verifier: Verifier) -> None:
    times = {"exp": NOW + 120, "iat": NOW, "nbf": NOW} | {name: NOW + 60}
    assert verify(verifier, forge_kind(kind_for(verifier), **times))
    times[name] += 1
    error = refusal(verifier, forge_kind(kind_for(verifier), **times))
    assert (error.reason, error.claim) == (reason, name)


@pytest.mark.threat("J15")
@pytest.mark.spec("PKJ-05")
@pytest.mark.parametrize("verifier", [CLIENT_ASSERTION, REQUEST_OBJECT, FEDERATION_REQUEST_OBJECT], ids=lambda verifier: verifier.purpose)
def test_a_short_lived_token_lives_at_most_five_minutes_to_the_second(verifier: Verifier) -> None:
    kind = kind_for(verifier)
    assert verifier.lifetime == 300
    assert verify(verifier, forge_kind(kind, iat=NOW, exp=NOW + 300))
    assert refusal(verifier, forge_kind(kind, iat=NOW, exp=NOW + 301)).reason == "lifetime"
    assert refusal(verifier, forge_kind(kind, iat=NOW, nbf=NOW - 1, exp=NOW + 300)).reason == "lifetime"
    assert refusal(verifier, forge_kind(kind, iat=NOW - 10**6, exp=NOW + 60)).reason == "lifetime"
    assert refusal(verifier, forge_kind(kind, exp=2**40 - 1)).reason == "lifetime"


@pytest.mark.threat("J15")
def test_without_iat_the_lifetime_counts_from_now() -> None:
    claims = {name: value for name, value in claims_of("client_assertion").items() if name != "iat"}

    def token(**times: int) -> str:
        return forge(header_of("client_assertion"), claims | times, signing_key("ES256"))

    assert verify(CLIENT_ASSERTION, token(exp=NOW + 360))
    assert refusal(CLIENT_ASSERTION, token(exp=NOW + 361)).reason == "lifetime"
    assert refusal(CLIENT_ASSERTION, token(exp=NOW + 60, nbf=NOW - 10**6)).reason == "lifetime"


def test_an_entity_statement_may_live_long() -> None:
    assert verify(ENTITY_STATEMENT, forge_kind("entity_statement", iat=NOW - 10**7, exp=NOW + 10**7))


@pytest.mark.spec("FED-JWK-05")
def test_a_signed_key_set_needs_no_exp_but_its_exp_is_honoured() -> None:
    claims = {name: value for name, value in claims_of("signed_jwks").items() if name not in {"exp", "iat"}}
    assert verify(SIGNED_JWKS, forge(header_of("signed_jwks"), claims, signing_key("ES256")))
    assert refusal(SIGNED_JWKS, forge_kind("signed_jwks", exp=NOW - 61)).reason == "expired"


def test_leeway_can_be_none_at_all() -> None:
    validate_times({"exp": NOW + 1, "iat": NOW, "nbf": NOW}, now=NOW, leeway=0)
    for claims in ({"exp": NOW}, {"iat": NOW + 1}, {"nbf": NOW + 1}):
        with pytest.raises(InvalidJwt):
            validate_times(claims, now=NOW, leeway=0)


# aud, then whether it is exactly, only, or among others the server.
AUDIENCES = [
    (SERVER, True, True, True),
    ([SERVER], False, True, True),
    ([SERVER, SERVER], False, False, True),
    ([SERVER, CLIENT], False, False, True),
    ([CLIENT, SERVER], False, False, True),
    ([], False, False, False),
    (CLIENT, False, False, False),
    ([CLIENT], False, False, False),
    (SERVER + "/", False, False, False),
    (SERVER + "/token", False, False, False),
    (SERVER.upper(), False, False, False),
    (SERVER + " ", False, False, False),
    (SERVER[:-1], False, False, False),
    (SERVER + ":443", False, False, False),
    ("", False, False, False),
]


@pytest.mark.threat("O01")
@pytest.mark.parametrize(("aud", "exactly", "only", "among"), AUDIENCES, ids=repr)
def test_an_audience_is_compared_as_the_rule_says(aud: object, exactly: bool, only: bool, among: bool) -> None:
    claims = {"aud": aud}
    assert audience_is_exactly(claims, SERVER) is exactly
    assert audience_contains_only(claims, SERVER) is only
    assert audience_contains(claims, SERVER) is among


@pytest.mark.threat("O01")
@pytest.mark.parametrize("aud", [None, 1, True, {}, {SERVER: 1}, [1], [[SERVER]], [None]], ids=repr)
def test_an_audience_of_another_type_is_nobody(aud: object) -> None:
    for claims in ({"aud": aud}, {}):
        assert not audience_is_exactly(claims, SERVER)
        assert not audience_contains_only(claims, SERVER)
        assert not audience_contains(claims, SERVER)


@pytest.mark.threat("O01")
@pytest.mark.spec("PKJ-04", "FED-AUT-09", "FED-EXP-04", "JAR-06")
@pytest.mark.parametrize(("aud", "exactly", "only", "among"), AUDIENCES, ids=repr)
def test_each_verifier_holds_its_own_rule_of_audience(aud: object, exactly: bool, only: bool, among: bool) -> None:
    expected = {
        CLIENT_ASSERTION: exactly,
        FEDERATION_REQUEST_OBJECT: only,
        EXPLICIT_REGISTRATION_REQUEST: only,
        REQUEST_OBJECT: among,
    }
    for verifier, accepted in expected.items():
        token = forge_kind(kind_for(verifier), aud=aud)
        if accepted:
            assert verify(verifier, token)
        else:
            assert refusal(verifier, token).reason == "audience"
            assert checks_spent(verifier, token) == 0


def test_a_legacy_client_can_be_given_a_wider_rule() -> None:
    legacy = replace(CLIENT_ASSERTION, audience_rule=AudienceRule.CONTAINS)
    assert verify(legacy, forge_kind("client_assertion", aud=[SERVER, CLIENT]))
