"""J03, J04 and the shape of kid and trust chain headers: a header says alg, kid and typ, and in federation two chains."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.jose.keys import parse_jwk_set
from protocol.jose.purposes import (
    CLIENT_ASSERTION,
    ENTITY_STATEMENT,
    EXPLICIT_REGISTRATION_REQUEST,
    FEDERATION_REQUEST_OBJECT,
    ID_TOKEN,
    REQUEST_OBJECT,
)
from protocol.jose.verifier import Verifier
from tests.protocol.jose.support import (
    EVERY_VERIFIER,
    as_bytes,
    checks_spent,
    claims_of,
    forge,
    forge_kind,
    header_of,
    key_set,
    kind_for,
    refusal,
    signing_key,
    verify,
)

FORBIDDEN = {
    "jwk": signing_key("ES256", 1).public_jwk(),
    "jku": "https://evil.example/jwks.json",
    "x5u": "https://evil.example/cert.pem",
    "x5c": ["MIIB"],
    "x5t": "AAAA",
    "x5t#S256": "AAAA",
    "b64": False,
    "zip": "DEF",
    "enc": "A256GCM",
    "epk": {},
    "apu": "AA",
    "apv": "AA",
    "p2c": 10**9,
    "p2s": "AA",
    "cty": "JWT",
    "iss": "https://evil.example",
    "Alg": "ES256",
    "KID": "other",
    "": "empty",
    "unknown": None,
}
EVERY = pytest.mark.parametrize("verifier", EVERY_VERIFIER, ids=lambda verifier: verifier.purpose)


@pytest.mark.threat("J03")
@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_header_parameter_outside_of_the_list_is_refused(name: str) -> None:
    for verifier in EVERY_VERIFIER:
        token = forge_kind(kind_for(verifier), header={name: FORBIDDEN[name]})
        error = refusal(verifier, token)
        assert (error.reason, error.claim) == ("header_forbidden", name)
        assert checks_spent(verifier, token) == 0


@pytest.mark.threat("J03")
@EVERY
def test_a_key_that_comes_with_the_token_is_never_used(verifier: Verifier) -> None:
    """The token is rightly signed by the key in its own header."""
    other = signing_key("ES256", 1)
    header = header_of(kind_for(verifier)) | {"jwk": other.public_jwk(), "kid": other.kid}
    assert refusal(verifier, forge(header, claims_of(kind_for(verifier)), other)).reason == "header_forbidden"


@pytest.mark.threat("J03")
@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "crit", "b64"])
def test_a_verifier_that_takes_such_a_header_cannot_be_made(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        replace(ENTITY_STATEMENT, headers=ENTITY_STATEMENT.headers | {name})


@pytest.mark.threat("J04")
@pytest.mark.spec("FED-JOS-11")
@pytest.mark.parametrize(
    "value", [[], ["exp"], ["b64"], ["alg", "alg"], ["kid"], ["trust_chain"], ["x"], "exp", {}, None, True, 1], ids=repr
)
def test_any_crit_header_is_refused(value: object) -> None:
    for verifier in EVERY_VERIFIER:
        token = forge_kind(kind_for(verifier), header={"crit": value})
        assert refusal(verifier, token).reason == "crit"
        assert refusal(verifier, forge_kind(kind_for(verifier), header={"crit": value, "b64": False})).reason == "crit"
        assert checks_spent(verifier, token) == 0


@pytest.mark.threat("J04")
@pytest.mark.spec("FED-JOS-11")
def test_the_crit_claim_is_another_thing_and_left_to_the_federation() -> None:
    assert verify(ENTITY_STATEMENT, forge_kind("entity_statement", crit=["x"], x=1)).claims["crit"] == ["x"]


@pytest.mark.threat("J03")
@pytest.mark.spec("FED-ESV-28")
@EVERY
@pytest.mark.parametrize("name", ["trust_chain", "peer_trust_chain"])
def test_a_trust_chain_header_only_passes_where_the_verifier_names_it(name: str, verifier: Verifier) -> None:
    chains = {"trust_chain": ["a.b.c"], name: ["a.b.c"]}
    token = forge_kind(kind_for(verifier), header=chains)
    if name in verifier.headers:
        assert verify(verifier, token).header[name] == ["a.b.c"]
    else:
        assert refusal(verifier, token).reason == "header_forbidden"


def test_an_entity_statement_brings_no_chain_and_a_registration_request_may() -> None:
    assert "trust_chain" not in ENTITY_STATEMENT.headers
    assert {"trust_chain", "peer_trust_chain"} <= EXPLICIT_REGISTRATION_REQUEST.headers


@pytest.mark.spec("FED-AUT-20")
def test_the_chain_of_the_peer_is_refused_without_a_chain_of_ones_own() -> None:
    token = forge_kind("request_object", header={"peer_trust_chain": ["a.b.c"]})
    assert refusal(FEDERATION_REQUEST_OBJECT, token).reason == "trust_chain"


@pytest.mark.parametrize("value", [[], "a.b.c", [1], [""], [["a.b.c"]], {}, None], ids=repr)
def test_a_trust_chain_header_is_an_array_of_texts(value: object) -> None:
    token = forge_kind("request_object", header={"trust_chain": value})
    assert refusal(FEDERATION_REQUEST_OBJECT, token).reason == "trust_chain"


@pytest.mark.threat("J05")
@pytest.mark.spec("FED-ESV-02", "FED-TMK-02", "FED-RSL-04", "FED-JWK-04")
@pytest.mark.parametrize(
    "typ",
    ["", "jwt", "JWT ", "JOSE", "at+jwt", "application/entity-statement+jwt", "Entity-Statement+jwt", ["JWT"], None, 1],
    ids=repr,
)
def test_a_type_is_compared_exactly(typ: object) -> None:
    for verifier in EVERY_VERIFIER:
        error = refusal(verifier, forge_kind(kind_for(verifier), header={"typ": typ}))
        assert (error.reason, error.claim) == ("typ", "typ")


@pytest.mark.threat("J05")
@EVERY
def test_an_absent_or_generic_type_only_passes_where_the_verifier_says_so(verifier: Verifier) -> None:
    absent = forge_kind(kind_for(verifier), drop=("typ",))
    generic = forge_kind(kind_for(verifier), header={"typ": "JWT"})
    for token in (absent, generic):
        if verifier.untyped_allowed:
            assert verify(verifier, token)
        else:
            assert refusal(verifier, token).reason == "typ"


def test_a_policy_can_demand_the_type_of_request_objects() -> None:
    strict = replace(REQUEST_OBJECT, untyped_allowed=False)
    assert verify(strict, forge_kind("request_object"))
    assert refusal(strict, forge_kind("request_object", header={"typ": "JWT"})).reason == "typ"


def test_a_client_assertion_may_say_its_own_type() -> None:
    assert verify(CLIENT_ASSERTION, forge_kind("client_assertion", header={"typ": "client-authentication+jwt"}))


@pytest.mark.threat("J09")
@pytest.mark.spec("FED-ESV-11")
@pytest.mark.parametrize("kid", ["", "a" * 129, "a\nb", "\u0000", "caf\u00e9", None, 1, ["x"], {}, True, "\u007f"], ids=repr)
def test_a_kid_is_a_short_printable_text(kid: object) -> None:
    for verifier in EVERY_VERIFIER:
        token = forge_kind(kind_for(verifier), header={"kid": kid})
        assert refusal(verifier, token).reason in {"kid", "json"}
        assert checks_spent(verifier, token) == 0


@pytest.mark.threat("J09")
@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=140), st.sampled_from(["../../key", "' OR 1=1 --", "%00", "{}", "\\", "x" * 128])))
def test_whatever_a_kid_holds_it_names_a_key_or_nothing(kid: str) -> None:
    header = header_of("entity_statement") | {"kid": kid}
    token = forge(header, claims_of("entity_statement"), signing_key("ES256"))
    assert refusal(ENTITY_STATEMENT, token).reason in {"kid", "json", "unknown_kid"}
    assert checks_spent(ENTITY_STATEMENT, token) == 0


@pytest.mark.threat("J09")
@pytest.mark.spec("FED-ESV-11")
@EVERY
def test_a_token_without_kid_passes_only_where_allowed_and_with_one_key_that_fits(verifier: Verifier) -> None:
    token = forge_kind(kind_for(verifier), drop=("kid",))
    if verifier.require_kid:
        assert refusal(verifier, token).reason == "kid"
        return
    assert verify(verifier, token, key_set("ES256"))
    assert verify(verifier, token, key_set("ES256", "RS256"))
    assert refusal(verifier, token, key_set("RS256")).reason == "ambiguous_key"


@pytest.mark.threat("J09")
def test_a_token_without_kid_is_refused_when_two_keys_fit() -> None:
    keys = parse_jwk_set({"keys": [signing_key("ES256", number).public_jwk() for number in (0, 1)]})
    token = forge_kind("client_assertion", drop=("kid",))
    assert refusal(CLIENT_ASSERTION, token, keys).reason == "ambiguous_key"
    assert checks_spent(CLIENT_ASSERTION, token, keys) == 0


def test_the_header_is_an_object() -> None:
    for header in ([], "ES256", 1, None, b"", b"{", b"\xff"):
        assert refusal(ID_TOKEN, forge(as_bytes(header) or b"x", claims_of("id_token"), signing_key("ES256"))).reason == "json"
