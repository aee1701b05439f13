"""J09, J18 and J19: cheap checks first, one key, one signature check, and one text for every wrong key."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol.errors import InvalidJwt, safe_description
from protocol.jose.compact import UnverifiedJwt
from protocol.jose.keys import KeySet, parse_jwk_set
from protocol.jose.purposes import CLIENT_ASSERTION, ENTITY_STATEMENT, ID_TOKEN
from protocol.jose.verifier import VERIFICATIONS_PER_REQUEST, VerificationBudget
from tests.protocol.jose.support import (
    CLIENT,
    EVERY_VERIFIER,
    NOW,
    SUPERIOR,
    as_bytes,
    base64url,
    checks_spent,
    claims_of,
    forge,
    forge_kind,
    header_of,
    key_set,
    kind_for,
    refusal,
    signing_key,
    valid_token,
    verify,
)


def twenty_keys() -> KeySet:
    return parse_jwk_set({"keys": [signing_key("ES256", number).public_jwk() for number in range(20)]})


def bad(part: int, text: str) -> str:
    parts = forge_kind("client_assertion").split(".")
    parts[part] = text
    return ".".join(parts)


KEY = signing_key("ES256")
HEADER = header_of("client_assertion")
CLAIMS = claims_of("client_assertion")
# Each is wrong in one way before the signature, and otherwise right and rightly signed.
MALFORMED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "too long": lambda: forge_kind("client_assertion", pad="x" * 20_000),
    "two parts": lambda: forge_kind("client_assertion").rpartition(".")[0],
    "five parts": lambda: forge_kind("client_assertion") + ".AA.AA",
    "no signature": lambda: bad(2, ""),
    "characters": lambda: bad(1, "e30!"),
    "padding": lambda: bad(1, "e30="),
    "trailing bits": lambda: bad(1, "e31"),
    "header no json": lambda: forge(b"{", CLAIMS, KEY),
    "header array": lambda: forge([], CLAIMS, KEY),
    "header duplicate": lambda: forge(as_bytes(HEADER)[:-1] + b',"alg":"ES256"}', CLAIMS, KEY),
    "claims no json": lambda: forge(HEADER, b"}", KEY),
    "claims array": lambda: forge(HEADER, [CLAIMS], KEY),
    "claims duplicate": lambda: forge(HEADER, as_bytes(CLAIMS)[:-1] + b',"iss":"x"}', KEY),
    "claims deep": lambda: forge(HEADER, b'{"a":' + b"[" * 5000, KEY),
    "claims NaN": lambda: forge(HEADER, as_bytes(CLAIMS)[:-1] + b',"a":NaN}', KEY),
    "alg none": lambda: forge_kind("client_assertion", header={"alg": "none"}),
    "alg HS256": lambda: forge_kind("client_assertion", header={"alg": "HS256"}),
    "alg absent": lambda: forge_kind("client_assertion", drop=("alg",)),
    "typ": lambda: forge_kind("client_assertion", header={"typ": "entity-statement+jwt"}),
    "crit": lambda: forge_kind("client_assertion", header={"crit": ["exp"]}),
    "jwk": lambda: forge_kind("client_assertion", header={"jwk": KEY.public_jwk()}),
    "kid": lambda: forge_kind("client_assertion", header={"kid": "\n"}),
    "unknown kid": lambda: forge_kind("client_assertion", header={"kid": "other"}),
    "sub": lambda: forge_kind("client_assertion", sub=SUPERIOR),
    "jti": lambda: forge(HEADER, {name: value for name, value in CLAIMS.items() if name != "jti"}, KEY),
    "issuer": lambda: forge_kind("client_assertion", iss=SUPERIOR, sub=SUPERIOR),
    "audience": lambda: forge_kind("client_assertion", aud=CLIENT),
    "exp text": lambda: forge_kind("client_assertion", exp=str(NOW + 60)),
    "expired": lambda: forge_kind("client_assertion", exp=NOW - 61, iat=NOW - 100),
    "future": lambda: forge_kind("client_assertion", iat=NOW + 61),
    "lifetime": lambda: forge_kind("client_assertion", exp=NOW + 3600),
    "short signature": lambda: forge(HEADER, CLAIMS, signature=b"x" * 63),
    "long signature": lambda: forge(HEADER, CLAIMS, signature=b"x" * 65),
    "DER signature": lambda: forge(HEADER, CLAIMS, signature=b"\x30\x44" + b"x" * 68),
}


@pytest.mark.threat("J18")
@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_wrong_before_the_signature_costs_no_signature_check(name: str) -> None:
    budget = VerificationBudget()
    refusal(CLIENT_ASSERTION, MALFORMED[name](), issuer=CLIENT, budget=budget)
    assert budget.spent == 0


@pytest.mark.threat("J18")
@pytest.mark.parametrize("name", [name for name in MALFORMED if name != "unknown kid" and "signature" not in name] + ["no signature"])
def test_what_is_cheap_to_refuse_never_reaches_the_keys(name: str) -> None:
    """Looking up keys may mean a fetch, so it comes after everything that can be judged without them."""
    asked: list[UnverifiedJwt] = []

    def keys(jwt: UnverifiedJwt) -> KeySet:
        asked.append(jwt)
        return key_set("ES256")

    refusal(CLIENT_ASSERTION, MALFORMED[name](), keys, issuer=CLIENT)
    assert asked == []
    assert verify(CLIENT_ASSERTION, forge_kind("client_assertion"), keys, issuer=CLIENT)
    assert [jwt.unverified_claims["iss"] for jwt in asked] == [CLIENT]


@pytest.mark.threat("J09", "J18")
def test_a_right_and_a_wrong_signature_cost_one_check_each() -> None:
    for verifier in EVERY_VERIFIER:
        token = valid_token(verifier)
        assert checks_spent(verifier, token, twenty_keys()) == 1
        forged = token.rpartition(".")[0] + "." + base64url(bytes(64))
        assert refusal(verifier, forged).reason == "signature"
        assert checks_spent(verifier, forged, twenty_keys()) == 1


@pytest.mark.threat("J09")
@pytest.mark.spec("FED-ESV-11", "FED-ESV-12", "FED-TMK-17")
def test_only_the_key_that_is_named_is_tried() -> None:
    """The set holds the key that signed, but the token names another."""
    keys = twenty_keys()
    for verifier in EVERY_VERIFIER:
        for kid, reason, checks in ((signing_key("ES256", 7).kid, "signature", 1), ("nobody", "unknown_kid", 0)):
            token = forge_kind(kind_for(verifier), header={"kid": kid})
            assert refusal(verifier, token, keys).reason == reason
            assert checks_spent(verifier, token, keys) == checks


@pytest.mark.threat("J09")
def test_a_key_without_kid_is_not_found_by_one() -> None:
    nameless = {name: value for name, value in KEY.public_jwk().items() if name != "kid"}
    keys = parse_jwk_set({"keys": [nameless]})
    assert refusal(CLIENT_ASSERTION, forge_kind("client_assertion"), keys).reason == "unknown_kid"
    assert verify(CLIENT_ASSERTION, forge_kind("client_assertion", drop=("kid",)), keys)


@pytest.mark.threat("J18")
def test_one_request_gets_only_so_many_signature_checks() -> None:
    assert VERIFICATIONS_PER_REQUEST == 12
    budget, token = VerificationBudget(), forge_kind("entity_statement")
    for spent in range(12):
        assert budget.spent == spent
        verify(ENTITY_STATEMENT, token, budget=budget)
    assert refusal(ENTITY_STATEMENT, token, budget=budget).reason == "verification_budget"
    assert budget.spent == 12


def key_errors() -> dict[str, InvalidJwt]:
    """Every way in which no key verifies a token."""
    token = forge_kind("client_assertion")
    impostor = parse_jwk_set({"keys": [signing_key("ES256", 1).public_jwk() | {"kid": KEY.kid}]})
    for_encryption = parse_jwk_set({"keys": [{**KEY.public_jwk(), "use": "enc", "alg": "ECDH-ES"}]})
    return {
        "wrong key": refusal(CLIENT_ASSERTION, token, impostor),
        "wrong kid": refusal(CLIENT_ASSERTION, forge_kind("client_assertion", header={"kid": "x"})),
        "wrong type of key": refusal(CLIENT_ASSERTION, forge_kind("client_assertion", header={"alg": "RS256"})),
        "key for encryption": refusal(CLIENT_ASSERTION, token, for_encryption),
        "wrong length": refusal(CLIENT_ASSERTION, forge(HEADER, CLAIMS, signature=b"x" * 10)),
        "zeros": refusal(CLIENT_ASSERTION, forge(HEADER, CLAIMS, signature=bytes(64))),
        "no kid, many keys": refusal(CLIENT_ASSERTION, forge_kind("client_assertion", drop=("kid",)), twenty_keys()),
        "no kid, no key": refusal(CLIENT_ASSERTION, forge_kind("client_assertion", drop=("kid",)), key_set("RS256")),
    }


@pytest.mark.threat("J19")
def test_wrong_key_wrong_kid_and_wrong_signature_read_the_same() -> None:
    errors = key_errors()
    assert {error.description for error in errors.values()} == {"The signature does not verify with a key of the issuer."}
    reasons = {name: error.reason for name, error in errors.items()}
    assert reasons["wrong key"] == reasons["zeros"] == "signature"
    assert reasons["wrong kid"] == "unknown_kid"
    assert all(error.detail for error in errors.values())


@pytest.mark.threat("J19")
def test_no_description_repeats_what_the_token_said() -> None:
    hostile = '<script>alert(1)</script>\u00e9"\\'
    tokens = [
        forge_kind("client_assertion", header={hostile: 1}),
        forge_kind("client_assertion", header={"typ": hostile}),
        forge_kind("client_assertion", header={"alg": hostile}),
        forge_kind("client_assertion", header={"kid": hostile}),
        forge_kind("client_assertion", sub=hostile),
        forge_kind("client_assertion", iss=hostile, sub=hostile),
        forge_kind("client_assertion", aud=hostile),
        forge_kind("client_assertion", exp=hostile),
    ]
    for token in tokens:
        error = refusal(CLIENT_ASSERTION, token, issuer=CLIENT)
        assert "script" not in error.description
        assert safe_description(error.description) == error.description


def test_the_issuer_is_compared_code_point_by_code_point() -> None:
    token = forge_kind("entity_statement")
    assert verify(ENTITY_STATEMENT, token, issuer=SUPERIOR)
    for issuer in (SUPERIOR + "/", SUPERIOR.upper(), SUPERIOR[:-1], ""):
        assert refusal(ENTITY_STATEMENT, token, issuer=issuer).reason == "issuer"


def test_an_error_of_the_key_source_is_passed_on() -> None:
    def keys(_jwt: UnverifiedJwt) -> KeySet:
        raise InvalidJwt("unknown_issuer", "The issuer is not known here.")

    assert refusal(ENTITY_STATEMENT, forge_kind("entity_statement"), keys).reason == "unknown_issuer"


def test_a_verified_jwt_says_what_was_verified_and_by_which_key() -> None:
    verified = verify(ID_TOKEN, forge_kind("id_token"), twenty_keys())
    assert (verified.purpose, verified.key.kid, len(verified.digest)) == ("id_token", KEY.kid, 64)
    assert verified.digest != verify(ID_TOKEN, forge_kind("id_token")).digest
    with pytest.raises(AttributeError):
        verified.claims = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        verified.claims["sub"] = "x"  # type: ignore[index]


@pytest.mark.threat("J18")
def test_times_are_checked_before_a_wrong_signature() -> None:
    expired = forge_kind("client_assertion", exp=NOW - 61, iat=NOW - 100).rpartition(".")[0] + "." + base64url(bytes(64))
    assert refusal(CLIENT_ASSERTION, expired).reason == "expired"
