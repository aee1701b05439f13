"""J05: each kind of JWT offered to each verifier; only the diagonal passes."""

from __future__ import annotations

import pytest

from protocol.jose.purposes import (
    CLIENT_ASSERTION,
    ENTITY_STATEMENT,
    FEDERATION_CLIENT_ASSERTION,
    FEDERATION_REQUEST_OBJECT,
    ID_TOKEN,
    REQUEST_OBJECT,
    SOFTWARE_STATEMENT,
    VERIFIERS,
)
from protocol.jose.verifier import Verifier
from tests.protocol.jose.support import (
    CLIENT,
    EVERY_VERIFIER,
    KINDS,
    SERVER,
    SUPERIOR,
    accepted_by,
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
ABOUT_THE_KIND = {"typ", "claim_missing", "claim_forbidden", "claim_mismatch"}
AUDIENCES = (SERVER, [SERVER], CLIENT)


@pytest.mark.threat("J05")
@pytest.mark.spec("FED-ESV-30")
@EVERY
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_verifier_of_a_kind_accepts_it(kind: str, verifier: Verifier) -> None:
    """All kinds are signed by the same key, and whoever they are for is us, so nothing but the kind decides."""
    for audience in AUDIENCES if "aud" in claims_of(kind) else (None,):
        changes = {} if audience is None else {"aud": audience}
        for options in ({}, {"drop": ("typ",)}, {"header": {"typ": "JWT"}}):
            token = forge_kind(kind, **options, **changes)
            if verifier.purpose not in accepted_by(kind):
                assert refusal(verifier, token).reason in ABOUT_THE_KIND
    if verifier.purpose in accepted_by(kind):
        assert verify(verifier, forge_kind(kind)).purpose == verifier.purpose


@pytest.mark.threat("J05")
@EVERY
def test_the_type_of_another_kind_is_refused(verifier: Verifier) -> None:
    """The claims are the right ones, but the header names another kind."""
    for typ in {header_of(kind)["typ"] for kind in KINDS if "typ" in header_of(kind)} - set(verifier.types):
        assert refusal(verifier, forge_kind(kind_for(verifier), header={"typ": typ})).reason == "typ"


def test_every_verifier_is_in_the_table_under_its_name() -> None:
    assert all(VERIFIERS[name].purpose == name for name in VERIFIERS)
    assert {name for kind in KINDS for name in accepted_by(kind)} == set(VERIFIERS)


@pytest.mark.threat("J05")
@EVERY
def test_a_required_claim_that_is_missing_is_named(verifier: Verifier) -> None:
    for name in verifier.required:
        claims = claims_of(kind_for(verifier))
        del claims[name]
        error = refusal(verifier, forge(header_of(kind_for(verifier)), claims, signing_key("ES256")))
        assert (error.reason, error.claim) == ("claim_missing", name)


@pytest.mark.threat("J05")
@EVERY
def test_a_forbidden_claim_is_refused_whatever_its_value(verifier: Verifier) -> None:
    for name in verifier.forbidden:
        for value in (CLIENT, None, "", [], False):
            error = refusal(verifier, forge_kind(kind_for(verifier), **{name: value}))
            assert (error.reason, error.claim) == ("claim_forbidden", name)


WRONG_TYPES = {
    "iss": [None, 1, True, [CLIENT], {}, ""],
    "sub": [None, 1, True, [CLIENT], {}, ""],
    "jti": [None, 1, ["j"], ""],
    "aud": [None, 1, {}, [1], [SERVER, 1], [[SERVER]], True],
    "jwks": [None, [], "x"],
    "keys": [None, {}, "x"],
    "metadata": [None, [], "x"],
    "authority_hints": [None, {}, "x"],
    "trust_chain": [None, {}, "x"],
    "trust_mark_type": [None, 1, [], ""],
    "client_id": [None, 1, ["x"], ""],
    "trust_mark": [None, 1, [], ""],
    "status": [None, 1, True, ""],
    "trust_anchor": [None, 1, [], ""],
}


@pytest.mark.threat("J05")
@EVERY
def test_claims_have_their_json_type(verifier: Verifier) -> None:
    for name, values in WRONG_TYPES.items():
        if name not in verifier.required:
            continue
        for value in values:
            error = refusal(verifier, forge_kind(kind_for(verifier), **{name: value}))
            assert (error.reason, error.claim) == ("claim_type", name), value


def test_optional_identifiers_are_texts_too() -> None:
    assert refusal(ENTITY_STATEMENT, forge_kind("entity_statement", jti=5)).reason == "claim_type"
    assert refusal(REQUEST_OBJECT, forge_kind("request_object", jti=["x"])).reason == "claim_type"


@pytest.mark.spec("PKJ-03")
@pytest.mark.parametrize("verifier", [CLIENT_ASSERTION, FEDERATION_CLIENT_ASSERTION], ids=lambda verifier: verifier.purpose)
def test_a_client_speaks_about_itself_only(verifier: Verifier) -> None:
    assert refusal(verifier, forge_kind("client_assertion", sub=SUPERIOR)).reason == "claim_mismatch"


@pytest.mark.spec("JAR-06")
@pytest.mark.parametrize("verifier", [REQUEST_OBJECT, FEDERATION_REQUEST_OBJECT], ids=lambda verifier: verifier.purpose)
def test_the_issuer_of_a_request_object_is_its_client(verifier: Verifier) -> None:
    assert refusal(verifier, forge_kind("request_object", client_id=SUPERIOR)).reason == "claim_mismatch"


@pytest.mark.spec("FED-AUT-12", "FED-AUT-13", "FED-AUT-14", "FED-AUT-15")
def test_a_request_object_of_the_federation_has_jti_and_exp_but_no_sub_and_needs_no_iat() -> None:
    def token(drop: str) -> str:
        claims = {name: value for name, value in claims_of("request_object").items() if name != drop}
        return forge(header_of("request_object"), claims, signing_key("ES256"))

    assert refusal(FEDERATION_REQUEST_OBJECT, token("jti")).claim == "jti"
    assert refusal(FEDERATION_REQUEST_OBJECT, token("exp")).claim == "exp"
    assert refusal(FEDERATION_REQUEST_OBJECT, forge_kind("request_object", sub=CLIENT)).reason == "claim_forbidden"
    assert verify(FEDERATION_REQUEST_OBJECT, token("iat"))
    assert verify(REQUEST_OBJECT, token("jti"))


@pytest.mark.spec("JAR-05")
@pytest.mark.parametrize("name", ["request", "request_uri"])
def test_a_request_object_holds_no_other_request(name: str) -> None:
    assert refusal(REQUEST_OBJECT, forge_kind("request_object", **{name: "x"})).reason == "claim_forbidden"


@pytest.mark.spec("DCR-SS-03")
def test_a_software_statement_holds_no_other_statement() -> None:
    assert refusal(SOFTWARE_STATEMENT, forge_kind("software_statement", software_statement="a.b.c")).claim == "software_statement"


@pytest.mark.spec("DCR-SS-01")
def test_the_audience_of_a_software_statement_counts_when_it_is_there() -> None:
    assert verify(SOFTWARE_STATEMENT, forge_kind("software_statement"))
    assert verify(SOFTWARE_STATEMENT, forge_kind("software_statement", aud=[SERVER, CLIENT]))
    assert refusal(SOFTWARE_STATEMENT, forge_kind("software_statement", aud=CLIENT)).reason == "audience"


@pytest.mark.spec("FED-ESV-26", "FED-ESV-27")
@pytest.mark.parametrize("name", ["aud", "trust_anchor"])
def test_an_ordinary_statement_has_neither_audience_nor_trust_anchor(name: str) -> None:
    assert refusal(ENTITY_STATEMENT, forge_kind("entity_statement", **{name: SERVER})).reason == "claim_forbidden"


def test_an_expired_id_token_is_still_a_hint() -> None:
    assert verify(ID_TOKEN, forge_kind("id_token"), now=claims_of("id_token")["exp"] + 10**6).claims["sub"] == "user-1"
