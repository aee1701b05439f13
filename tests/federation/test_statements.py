"""Entity statements: every rule of OpenID Federation 1.0, 3.1 and 3.2, broken one at a time, with the exact error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from federation.core.issuing import build_entity_configuration, issue_entity_statement
from federation.core.resolver import configuration_url, statement_url
from federation.core.statements import LATEST_TIME, parse_entity_statement
from federation.core.trust_chains import TrustAnchor, validate_trust_chain
from protocol.constants import ENTITY_STATEMENT_LIMIT
from protocol.errors import InvalidJwt, SignatureInvalid, StatementExpired, StatementInvalid
from protocol.jose import generate_private_key, verify_jwt
from protocol.jose.purposes import ENTITY_STATEMENT, EXPLICIT_REGISTRATION_RESPONSE
from tests.federation.support import (
    ANCHOR,
    INTERMEDIATE,
    LEAF,
    LIFETIME,
    NOW,
    OTHER,
    as_bytes,
    base64url,
    changed,
    configuration_claims,
    forge,
    jwks,
    key_set,
    sign,
    signing_key,
    statement_claims,
    verify_configuration,
    verify_statement,
)

MARK = "https://marks.example/audited"
OWNED = {MARK: {"sub": OTHER, "jwks": jwks(OTHER)}}
SAME_KID = {**signing_key(OTHER).public_jwk(), "kid": signing_key(LEAF).kid}
RSA_AND_EDWARDS = ("RS256", "PS256", "ES384", "ES512", "Ed25519", "EdDSA")


def mark_entry(outer: object = MARK, **claims: Any) -> dict[str, Any]:
    content = {"iss": OTHER, "sub": LEAF, "trust_mark_type": MARK, "iat": NOW, **claims}
    return {"trust_mark_type": outer, "trust_mark": sign(content, typ="trust-mark+jwt")}


def test_a_good_configuration_says_what_it_says() -> None:
    raw = sign(
        configuration_claims(
            authority_hints=[INTERMEDIATE, ANCHOR, INTERMEDIATE],
            trust_anchor_hints=[ANCHOR],
            trust_marks=[mark_entry()],
            trust_mark_issuers={MARK: [OTHER], "x": []},
            trust_mark_owners=OWNED,
        )
    )
    found = verify_configuration(raw)
    assert (found.issuer, found.subject, found.issued_at, found.expires_at) == (LEAF, LEAF, NOW, NOW + LIFETIME)
    assert found.authority_hints == (INTERMEDIATE, ANCHOR)
    assert found.metadata["openid_relying_party"]["client_name"] == "Lighthouse"
    assert found.trust_mark_issuers == {MARK: (OTHER,), "x": ()}
    assert found.trust_mark_owners[MARK].entity_id == OTHER
    assert [entry.trust_mark_type for entry in found.trust_marks] == [MARK]
    assert found.signed_by.kid == signing_key(LEAF).kid
    assert found.raw == raw


@pytest.mark.spec("FED-ESC-19")
def test_a_good_subordinate_statement_says_what_it_says() -> None:
    policy = {"openid_relying_party": {"scope": {"subset_of": ["openid"]}}}
    found = verify_statement(
        sign(
            statement_claims(
                metadata={"openid_relying_party": {"client_name": "Better"}},
                metadata_policy=policy,
                metadata_policy_crit=["regexp"],
                constraints={"max_path_length": 1},
                source_endpoint="https://anchor.example/fetch?realm=1",
                an_unknown_claim={"is": ["ignored"]},
            )
        )
    )
    assert (found.issuer, found.subject, found.metadata_policy_crit) == (ANCHOR, LEAF, ("regexp",))
    assert found.metadata_policy == policy
    assert found.constraints.max_path_length == 1
    assert found.source_endpoint == "https://anchor.example/fetch?realm=1"


# Claims of both kinds: what is changed, which claims are dropped, and the reason.
BOTH_KINDS: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({}, ("iss",), "claim_type"),
    ({}, ("sub",), "claim_type"),
    ({}, ("iat",), "claim_missing"),
    ({}, ("exp",), "claim_missing"),
    ({}, ("jwks",), "claim_missing"),
    ({"iss": 1}, (), "claim_type"),
    ({"iss": None}, (), "claim_type"),
    ({"iss": "anchor"}, (), "identifier"),
    ({"iss": "http://anchor.example"}, (), "identifier"),
    ({"iss": "https://anchor.example?a"}, (), "identifier"),
    ({"sub": "https://leaf.example#a"}, (), "identifier"),
    ({"sub": [LEAF]}, (), "claim_type"),
    ({"iat": str(NOW)}, (), "numeric_date"),
    ({"iat": True}, (), "numeric_date"),
    ({"exp": None}, (), "numeric_date"),
    ({"exp": [NOW + 1]}, (), "numeric_date"),
    ({"jwks": []}, (), "claim_type"),
    ({"jwks": None}, (), "claim_type"),
    ({"jwks": {}}, (), "shape"),
    ({"jwks": {"keys": []}}, (), "no_usable_key"),
    ({"jwks": {"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]}}, (), "private_key"),
    ({"jwks": {"keys": [signing_key(LEAF).to_private_jwk()]}}, (), "private_key"),
    ({"jwks": {"keys": [{**signing_key(LEAF).public_jwk(), "use": "enc", "alg": "ECDH-ES"}]}}, (), "use"),
    ({"jwks": {"keys": [changed(signing_key(LEAF).public_jwk(), {}, ["kid"])]}}, (), "kid_missing"),
    ({"jwks": {"keys": [signing_key(LEAF).public_jwk(), SAME_KID]}}, (), "kid_duplicate"),
    ({"crit": ["iss"]}, (), "crit"),
    ({"crit": ["jwks"]}, (), "crit"),
    ({"crit": ["unknown"], "unknown": 1}, (), "crit"),
    ({"crit": ["unknown", "unknown"], "unknown": 1}, (), "crit"),
    ({"crit": ["absent"]}, (), "crit"),
    ({"crit": []}, (), "crit"),
    ({"crit": None}, (), "crit"),
    ({"crit": [1]}, (), "crit"),
    ({"crit": "unknown"}, (), "crit"),
    ({"metadata": None}, (), "claim_type"),
    ({"metadata": []}, (), "claim_type"),
    ({"metadata": {"openid_relying_party": None}}, (), "claim_type"),
    ({"metadata": {"openid_relying_party": "x"}}, (), "claim_type"),
    ({"metadata": {"openid_relying_party": {"client_name": None}}}, (), "claim_type"),
    ({"metadata": {"a_type_nobody_knows": {"x": None}}}, (), "claim_type"),
    ({"metadata": {"federation_entity": {"jwks": jwks(LEAF)}}}, (), "claim_type"),
    ({"metadata": {"federation_entity": {"jwks_uri": "https://leaf.example/jwks"}}}, (), "claim_type"),
    ({"metadata": {"federation_entity": {"signed_jwks_uri": "https://leaf.example/jwks"}}}, (), "claim_type"),
    ({"metadata": {"federation_entity": {"federation_fetch_endpoint": "http://leaf.example/fetch"}}}, (), "endpoint"),
    ({"metadata": {"federation_entity": {"federation_fetch_endpoint": "https://leaf.example/fetch#x"}}}, (), "endpoint"),
    ({"metadata": {"federation_entity": {"federation_resolve_endpoint": 1}}}, (), "endpoint"),
    ({"metadata": {"federation_entity": {"federation_trust_mark_status_endpoint": ["https://leaf.example"]}}}, (), "endpoint"),
    ({"metadata": {"federation_entity": {"federation_list_endpoint": "https://a@leaf.example/list"}}}, (), "endpoint"),
    ({"aud": LEAF}, (), "claim_forbidden"),
    ({"aud": "https://as.example"}, (), "claim_forbidden"),
    ({"aud": []}, (), "claim_forbidden"),
    ({"trust_anchor": ANCHOR}, (), "claim_forbidden"),
]  # fmt: skip

ONLY_IN_CONFIGURATIONS: dict[str, Any] = {
    "authority_hints": [ANCHOR],
    "trust_anchor_hints": [ANCHOR],
    "trust_marks": [mark_entry()],
    "trust_mark_issuers": {MARK: []},
    "trust_mark_owners": OWNED,
}
ONLY_IN_SUBORDINATE_STATEMENTS: dict[str, Any] = {
    "constraints": {"max_path_length": 0},
    "metadata_policy": {"openid_relying_party": {"scope": {"subset_of": ["openid"]}}},
    "metadata_policy_crit": ["regexp"],
    "source_endpoint": "https://anchor.example/fetch",
}


def refusal(verify: Any, raw: str) -> StatementInvalid:
    with pytest.raises(StatementInvalid) as caught:
        verify(raw)
    assert len(caught.value.description) < 400
    return caught.value


@pytest.mark.spec("FED-ESC-01", "FED-ESC-02", "FED-ESC-04", "FED-ESC-05", "FED-ESC-06", "FED-ESC-17", "FED-ESC-18")
@pytest.mark.spec(
    "FED-JOS-04", "FED-JOS-05", "FED-JOS-09", "FED-ESV-05", "FED-ESV-09", "FED-ESV-13", "FED-ESV-16", "FED-ESV-26", "FED-ESV-27"
)
@pytest.mark.spec("FED-MET-01", "FED-MET-03", "FED-MET-04", "FED-MET-11", "FED-TCV-01")
@pytest.mark.parametrize(("changes", "drop", "reason"), BOTH_KINDS, ids=range(len(BOTH_KINDS)))
def test_a_broken_claim_is_refused_in_either_kind(changes: dict[str, Any], drop: tuple[str, ...], reason: str) -> None:
    configuration = changed(configuration_claims(), changes, drop)
    assert refusal(verify_configuration, sign(configuration, signing_key(LEAF))).reason == reason
    statement = changed(statement_claims(), changes, drop)
    assert refusal(verify_statement, sign(statement, signing_key(ANCHOR))).reason == reason


@pytest.mark.spec("FED-ESC-03", "FED-EID-08")
def test_a_configuration_without_metadata_is_refused_and_an_empty_type_is_enough() -> None:
    error = refusal(verify_configuration, sign(changed(configuration_claims(), {}, ["metadata"])))
    assert (error.reason, error.claim) == ("claim_missing", "metadata")
    assert verify_configuration(sign(configuration_claims(metadata={"oauth_client": {}}))).metadata == {"oauth_client": {}}
    assert verify_statement(sign(statement_claims())).metadata == {}


@pytest.mark.spec("FED-ESC-14", "FED-ESV-17", "FED-ESV-18", "FED-ESV-19", "FED-ESV-23", "FED-POL-01")
@pytest.mark.parametrize("claim", ONLY_IN_SUBORDINATE_STATEMENTS)
def test_a_configuration_with_a_claim_of_superiors_is_refused(claim: str) -> None:
    error = refusal(verify_configuration, sign(configuration_claims(**{claim: ONLY_IN_SUBORDINATE_STATEMENTS[claim]})))
    assert (error.reason, error.claim) == ("claim_forbidden", claim)
    assert verify_statement(sign(statement_claims(**{claim: ONLY_IN_SUBORDINATE_STATEMENTS[claim]})))


@pytest.mark.spec("FED-ESV-14", "FED-ESV-15", "FED-ESV-20", "FED-ESV-21", "FED-ESV-22", "FED-AMB-06")
@pytest.mark.parametrize("claim", ONLY_IN_CONFIGURATIONS)
def test_a_subordinate_statement_with_a_claim_of_configurations_is_refused(claim: str) -> None:
    error = refusal(verify_statement, sign(statement_claims(**{claim: ONLY_IN_CONFIGURATIONS[claim]})))
    assert (error.reason, error.claim) == ("claim_forbidden", claim)
    assert verify_configuration(sign(configuration_claims(**{claim: ONLY_IN_CONFIGURATIONS[claim]})))


BAD_IDENTIFIER_ARRAYS = [[], None, ANCHOR, {}, [1], [None], ["anchor"], ["http://anchor.example"], [ANCHOR, f"{ANCHOR}?x"], [ANCHOR] * 101]
BAD_CONFIGURATION_CLAIMS: list[tuple[str, Any, str]] = [
    *(("authority_hints", value, "") for value in BAD_IDENTIFIER_ARRAYS),
    *(("trust_anchor_hints", value, "") for value in BAD_IDENTIFIER_ARRAYS),
    ("trust_marks", {}, "claim_type"),
    ("trust_marks", None, "claim_type"),
    ("trust_marks", ["mark"], "claim_type"),
    ("trust_marks", [{"trust_mark_type": MARK}], "claim_type"),
    ("trust_marks", [{"trust_mark": mark_entry()["trust_mark"]}], "claim_type"),
    ("trust_marks", [{**mark_entry(), "trust_mark": 1}], "claim_type"),
    ("trust_marks", [{**mark_entry(), "trust_mark": "no.jwt"}], "shape"),
    ("trust_marks", [mark_entry("https://marks.example/other")], "trust_mark_type"),
    ("trust_marks", [mark_entry(trust_mark_type=[MARK])], "trust_mark_type"),
    ("trust_marks", [mark_entry()] * 21, "claim_type"),
    ("trust_mark_issuers", [], "claim_type"),
    ("trust_mark_issuers", None, "claim_type"),
    ("trust_mark_issuers", {MARK: OTHER}, "claim_type"),
    ("trust_mark_issuers", {MARK: None}, "claim_type"),
    ("trust_mark_issuers", {MARK: ["other"]}, "identifier"),
    ("trust_mark_issuers", {MARK: [1]}, "identifier"),
    ("trust_mark_owners", [], "claim_type"),
    ("trust_mark_owners", {MARK: OTHER}, "claim_type"),
    ("trust_mark_owners", {MARK: {"sub": OTHER}}, "shape"),
    ("trust_mark_owners", {MARK: {"sub": "other", "jwks": jwks(OTHER)}}, "identifier"),
    ("trust_mark_owners", {MARK: {"jwks": jwks(OTHER)}}, "identifier"),
    ("trust_mark_owners", {MARK: {"sub": OTHER, "jwks": {"keys": []}}}, "no_usable_key"),
    ("trust_mark_owners", {MARK: {"sub": OTHER, "jwks": {"keys": [signing_key(OTHER).to_private_jwk()]}}}, "private_key"),
]


@pytest.mark.spec(
    "FED-ESC-07", "FED-ESC-09", "FED-ESC-10", "FED-ESV-14", "FED-ESV-15", "FED-ESV-20", "FED-ESV-21", "FED-ESV-22", "FED-SEC-08"
)
@pytest.mark.threat("T14")
@pytest.mark.parametrize(("claim", "value", "reason"), BAD_CONFIGURATION_CLAIMS, ids=range(len(BAD_CONFIGURATION_CLAIMS)))
def test_a_broken_claim_of_configurations_is_refused(claim: str, value: Any, reason: str) -> None:
    error = refusal(verify_configuration, sign(configuration_claims(**{claim: value})))
    assert error.claim == claim
    assert error.reason == reason or (not reason and error.reason in ("claim_type", "identifier"))


BAD_STATEMENT_CLAIMS: list[tuple[str, Any]] = [
    *(("metadata_policy", value) for value in ([], None, "x", {"oauth_client": []}, {"oauth_client": None})),
    *(("metadata_policy", {"oauth_client": value}) for value in ({"scope": []}, {"scope": None}, {"scope": "openid"})),
    *(("metadata_policy_crit", value) for value in ([], None, "regexp", [1], [""], {"regexp": 1}, ["value"], ["regexp", "essential"])),
    *(("constraints", value) for value in ([], None, 1, {"max_path_length": -1}, {"naming_constraints": []})),
    *(("source_endpoint", value) for value in ("http://anchor.example/fetch", "fetch", 1, None, "https://anchor.example/fetch#a", ["https://anchor.example"])),
]  # fmt: skip


@pytest.mark.spec("FED-ESV-17", "FED-ESV-18", "FED-ESV-19", "FED-ESV-23", "FED-POL-01", "FED-ESC-15")
@pytest.mark.parametrize(("claim", "value"), BAD_STATEMENT_CLAIMS, ids=range(len(BAD_STATEMENT_CLAIMS)))
def test_a_broken_claim_of_superiors_is_refused(claim: str, value: Any) -> None:
    assert refusal(verify_statement, sign(statement_claims(**{claim: value}))).claim == claim


BAD_HEADERS: list[tuple[dict[str, Any], type[StatementInvalid], str]] = [
    ({"typ": None}, StatementInvalid, "typ"),
    ({"typ": "JWT"}, StatementInvalid, "typ"),
    ({"typ": "entity-statement+JWT"}, StatementInvalid, "typ"),
    ({"typ": "application/entity-statement+jwt"}, StatementInvalid, "typ"),
    ({"typ": "trust-mark+jwt"}, StatementInvalid, "typ"),
    ({"typ": "explicit-registration-response+jwt"}, StatementInvalid, "typ"),
    ({"typ": ["entity-statement+jwt"]}, StatementInvalid, "typ"),
    ({"alg": None}, SignatureInvalid, "alg"),
    ({"alg": "none"}, SignatureInvalid, "alg"),
    ({"alg": "None"}, SignatureInvalid, "alg"),
    ({"alg": "HS256"}, SignatureInvalid, "alg"),
    ({"alg": "ES256K"}, SignatureInvalid, "alg"),
    ({"alg": "RS256"}, SignatureInvalid, "key_mismatch"),
    ({"alg": "ES384"}, SignatureInvalid, "key_mismatch"),
    ({"kid": None}, SignatureInvalid, "kid"),
    ({"kid": ""}, SignatureInvalid, "kid"),
    ({"kid": 1}, SignatureInvalid, "kid"),
    ({"kid": "a" * 129}, SignatureInvalid, "kid"),
    ({"kid": "unknown"}, SignatureInvalid, "unknown_kid"),
    ({"kid": signing_key(LEAF).kid.upper()}, SignatureInvalid, "unknown_kid"),
    ({"crit": ["exp"]}, StatementInvalid, "crit"),
    ({"crit": []}, StatementInvalid, "crit"),
    ({"trust_chain": ["a.b.c"]}, StatementInvalid, "header_forbidden"),
    ({"peer_trust_chain": ["a.b.c"]}, StatementInvalid, "header_forbidden"),
    ({"trust_chain": ["a.b.c"], "peer_trust_chain": ["a.b.c"]}, StatementInvalid, "header_forbidden"),
    ({"jwk": signing_key(OTHER).public_jwk()}, StatementInvalid, "header_forbidden"),
    ({"jku": "https://other.example/jwks"}, StatementInvalid, "header_forbidden"),
    ({"x5c": ["AAAA"]}, StatementInvalid, "header_forbidden"),
    ({"b64": False}, StatementInvalid, "header_forbidden"),
]


@pytest.mark.spec(
    "FED-JOS-03",
    "FED-JOS-11",
    "FED-ESV-02",
    "FED-ESV-03",
    "FED-ESV-11",
    "FED-ESV-24",
    "FED-ESV-25",
    "FED-ESV-28",
    "FED-ESV-30",
    "FED-SEC-12",
)
@pytest.mark.spec("FED-TCH-06")
@pytest.mark.parametrize(("header", "kind", "reason"), BAD_HEADERS, ids=range(len(BAD_HEADERS)))
def test_a_broken_header_is_refused_in_either_kind(header: dict[str, Any], kind: type[StatementInvalid], reason: str) -> None:
    for verify, raw in (
        (verify_configuration, sign(configuration_claims(), **header)),
        (verify_statement, sign(statement_claims(), signing_key(ANCHOR), **header)),
    ):
        error = refusal(verify, raw)
        expected = "unknown_kid" if header.get("kid") == signing_key(LEAF).kid.upper() else reason
        assert (type(error), error.reason) == (kind, expected)


@pytest.mark.spec("FED-SEC-12", "FED-ESV-30")
def test_the_type_is_looked_at_before_claims_and_signature() -> None:
    raw = sign(configuration_claims(exp=NOW - LIFETIME), signing_key(OTHER), typ="trust-mark+jwt")
    assert refusal(verify_configuration, raw).reason == "typ"


@pytest.mark.spec("FED-ESV-12", "FED-ESV-10", "FED-ESV-11", "FED-TCV-03")
def test_the_one_key_that_is_named_must_have_signed_and_no_other_is_tried() -> None:
    claims = configuration_claims(jwks=jwks(LEAF, OTHER))
    assert verify_configuration(sign(claims, signing_key(OTHER))).signed_by.kid == signing_key(OTHER).kid
    error = refusal(verify_configuration, sign(claims, signing_key(OTHER), kid=signing_key(LEAF).kid))
    assert (type(error), error.reason) == (SignatureInvalid, "signature")
    error = refusal(verify_statement, sign(statement_claims(jwks=jwks(LEAF, OTHER)), signing_key(OTHER)))
    assert (type(error), error.reason) == (SignatureInvalid, "unknown_kid")


@pytest.mark.spec("FED-JOS-02")
@pytest.mark.parametrize("algorithm", RSA_AND_EDWARDS)
def test_statements_of_every_common_algorithm_verify(algorithm: str) -> None:
    key = signing_key("edwards" if algorithm.startswith("Ed") else algorithm, algorithm)
    public = {"keys": [key.public_jwk()]}
    assert verify_configuration(sign(configuration_claims(jwks=public), key)).signed_by.alg == algorithm


FORMS = [
    ("", "shape"),
    ("a.b", "shape"),
    ("a.b.c.d", "shape"),
    ("a.b.c.d.e", "encrypted"),
    ('{"payload":"a","signatures":[]}', "shape"),
    ("é.b.c", "shape"),
    (" " + sign(configuration_claims()), "shape"),
    (sign(configuration_claims()) + "\n", "shape"),
    (sign(configuration_claims()) + "=", "shape"),
    ("!.b.c", "shape"),
    ("a" * (ENTITY_STATEMENT_LIMIT + 1), "too_long"),
    (forge([], configuration_claims(), signing_key(LEAF)), "json"),
    (forge({"typ": "entity-statement+jwt"}, [1], signing_key(LEAF)), "json"),
    (forge({"alg": "ES256"}, b'{"iss":"a","iss":"b"}', signing_key(LEAF)), "json"),
    (forge({"alg": "ES256"}, b'{"iat":NaN}', signing_key(LEAF)), "json"),
    (forge({"alg": "ES256"}, b'{"iat":1e999}', signing_key(LEAF)), "json"),
    (forge({"alg": "ES256"}, b'{"iss":"\xff"}', signing_key(LEAF)), "json"),
    (forge({"alg": "ES256"}, b'\xef\xbb\xbf{}', signing_key(LEAF)), "json"),
    (forge({"alg": "ES256"}, b"[" * 40 + b"]" * 40, signing_key(LEAF)), "json"),
]  # fmt: skip


@pytest.mark.spec("FED-ESV-01", "FED-JOS-01", "FED-JOS-10", "FED-POL-04", "FED-SEC-08")
@pytest.mark.parametrize(("raw", "reason"), FORMS, ids=range(len(FORMS)))
def test_what_is_no_compact_jws_of_strict_json_is_refused(raw: str, reason: str) -> None:
    with pytest.raises(StatementInvalid) as caught:
        parse_entity_statement(raw)
    assert caught.value.reason == reason


@pytest.mark.spec("FED-POL-04", "FED-JOS-10")
def test_a_policy_that_names_an_operator_twice_is_refused_when_it_is_read() -> None:
    text = json.dumps(statement_claims(metadata_policy={"openid_relying_party": {"scope": {"subset_of": ["a"]}}}))
    twice = text.replace('"subset_of": ["a"]', '"subset_of": ["a"], "subset_of": ["b"]')
    with pytest.raises(StatementInvalid, match="twice"):
        parse_entity_statement(forge({"alg": "ES256", "kid": "a", "typ": "entity-statement+jwt"}, twice.encode(), signing_key(ANCHOR)))


@pytest.mark.spec("FED-EID-04", "FED-ESV-11")
def test_escapes_of_json_make_no_other_claim_and_no_other_value() -> None:
    payload = as_bytes(configuration_claims()).replace(b'"iss"', b'"\\u0069ss"').replace(b"https://leaf", b"https:\\/\\/leaf")
    header = {"alg": "ES256", "kid": signing_key(LEAF).kid, "typ": "entity-statement+jwt"}
    escaped = as_bytes(header).replace(b"entity-statement", b"entity\\u002dstatement")
    assert verify_configuration(forge(escaped, payload, signing_key(LEAF))).issuer == LEAF


@pytest.mark.spec("FED-EID-05", "FED-EID-04")
def test_no_unicode_normalization_makes_two_names_one() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    metadata = {"openid_relying_party": {f"client_name#{composed}": "A", f"client_name#{decomposed}": "B"}}
    found = verify_configuration(sign(configuration_claims(metadata=metadata))).metadata["openid_relying_party"]
    assert (found[f"client_name#{composed}"], found[f"client_name#{decomposed}"]) == ("A", "B")
    for name in (composed, decomposed):
        key = {**signing_key(LEAF).public_jwk(), "kid": name}
        assert refusal(verify_configuration, sign(configuration_claims(jwks={"keys": [key]}), kid=name)).reason == "kid"


TIMES = [
    ({"iat": NOW + 60}, None),
    ({"iat": NOW + 61}, "issued_in_future"),
    ({"exp": NOW - 59}, None),
    ({"exp": NOW - 60}, "expired"),
    ({"exp": NOW - 61}, "expired"),
    ({"iat": NOW - 0.5, "exp": NOW + 0.5}, None),
    ({"nbf": NOW + 60}, None),
    ({"nbf": NOW + 61}, "not_yet_valid"),
]


@pytest.mark.spec("FED-ESV-07", "FED-ESV-08", "FED-TCV-02")
@pytest.mark.parametrize(("times", "reason"), TIMES, ids=range(len(TIMES)))
def test_times_are_held_to_the_second_with_a_minute_for_other_clocks(times: dict[str, Any], reason: str | None) -> None:
    cases = ((verify_configuration, sign(configuration_claims(**times))), (verify_statement, sign(statement_claims(**times))))
    for verify, raw in cases:
        if reason is None:
            assert verify(raw)
        else:
            error = refusal(verify, raw)
            assert (type(error), error.reason) == (StatementExpired, reason)


def test_an_end_beyond_every_calendar_is_the_last_second_of_the_calendar() -> None:
    assert verify_configuration(sign(configuration_claims(exp=2**40 - 1))).expires_at == LATEST_TIME
    assert refusal(verify_configuration, sign(configuration_claims(exp=2**40))).reason == "numeric_date"


TWINS = [
    "https://leaf.example/",
    "https://LEAF.example",
    "https://leaf.example:443",
    "HTTPS://leaf.example",
    "https://leaf.example/%61",
    "https://leaf.example//",
]


@pytest.mark.spec("FED-ESV-04", "FED-EID-06", "FED-EID-04", "FED-ECP-10")
@pytest.mark.threat("T03")
@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_of_an_identifier_is_another_entity(twin: str) -> None:
    key = signing_key(LEAF)
    error = refusal(verify_configuration, sign(configuration_claims(iss=twin, sub=twin), key))
    assert (error.reason, error.claim) == ("subject", "sub")
    error = refusal(lambda raw: verify_configuration(raw, twin), sign(configuration_claims(), key))
    assert error.reason == "subject"
    assert refusal(verify_statement, sign(statement_claims(sub=twin))).reason == "subject"
    anchor_twin = twin.replace("leaf", "anchor").replace("LEAF", "ANCHOR")
    assert refusal(verify_statement, sign(statement_claims(iss=anchor_twin), signing_key(ANCHOR))).reason == "issuer"


@pytest.mark.spec("FED-ESV-04", "FED-ESC-01", "FED-ESV-30")
def test_each_kind_is_refused_where_the_other_belongs() -> None:
    about_itself = sign(configuration_claims(ANCHOR))
    error = refusal(lambda raw: verify_statement(raw, ANCHOR, ANCHOR), about_itself)
    assert error.reason == "issuer"
    assert refusal(lambda raw: verify_configuration(raw, LEAF), sign(statement_claims())).reason == "subject"
    assert refusal(lambda raw: verify_configuration(raw, ANCHOR), sign(statement_claims())).reason == "subject"


@pytest.mark.spec("FED-ESV-29", "FED-ESV-30")
def test_a_registration_response_is_no_statement_and_a_statement_no_registration_response() -> None:
    claims = statement_claims(aud=LEAF, trust_anchor=ANCHOR, authority_hints=[ANCHOR], metadata={"openid_relying_party": {}})
    del claims["jwks"]
    response = sign(claims, typ="explicit-registration-response+jwt")
    verified = verify_jwt(EXPLICIT_REGISTRATION_RESPONSE, response, key_set(ANCHOR), NOW, issuer=ANCHOR, audience=LEAF)
    assert verified.claims["authority_hints"] == [ANCHOR]
    assert refusal(verify_statement, response).reason == "typ"
    for typ in ("entity-statement+jwt", None):
        with pytest.raises(InvalidJwt, match="typ"):
            verify_jwt(EXPLICIT_REGISTRATION_RESPONSE, sign(claims, typ=typ), key_set(ANCHOR), NOW, issuer=ANCHOR, audience=LEAF)
    with pytest.raises(InvalidJwt, match="aud"):
        verify_jwt(ENTITY_STATEMENT, sign(claims), key_set(ANCHOR), NOW, issuer=ANCHOR)


@pytest.mark.spec("FED-TCH-03", "FED-TCV-06", "FED-TCH-04")
@pytest.mark.threat("T09")
def test_the_configuration_of_an_anchor_needs_a_pinned_key_that_it_also_publishes() -> None:
    good = sign(configuration_claims(ANCHOR))
    assert verify_configuration(good, ANCHOR, pinned=key_set(ANCHOR))
    with pytest.raises(SignatureInvalid) as caught:
        verify_configuration(good, ANCHOR, pinned=key_set(OTHER))
    assert caught.value.reason == "unknown_kid"
    other_keys_inside = sign(configuration_claims(ANCHOR, jwks=jwks(OTHER)))
    with pytest.raises(SignatureInvalid) as caught:
        verify_configuration(other_keys_inside, ANCHOR, pinned=key_set(ANCHOR))
    assert caught.value.reason == "own_keys"
    same_name = {**signing_key(OTHER).public_jwk(), "kid": signing_key(ANCHOR).kid}
    with pytest.raises(SignatureInvalid) as caught:
        verify_configuration(sign(configuration_claims(ANCHOR, jwks={"keys": [same_name]})), ANCHOR, pinned=key_set(ANCHOR))
    assert caught.value.reason == "own_keys"


@pytest.mark.spec("FED-EID-07", "FED-ECP-04")
@pytest.mark.parametrize(
    ("entity_id", "url"),
    [
        ("https://a.example", "https://a.example/.well-known/openid-federation"),
        ("https://a.example/", "https://a.example/.well-known/openid-federation"),
        ("https://a.example//", "https://a.example//.well-known/openid-federation"),
        ("https://a.example/p", "https://a.example/p/.well-known/openid-federation"),
        ("https://a.example/p/", "https://a.example/p/.well-known/openid-federation"),
        ("https://a.example:8443/p/q", "https://a.example:8443/p/q/.well-known/openid-federation"),
        ("https://A.example/%7Eme", "https://A.example/%7Eme/.well-known/openid-federation"),
    ],
)
def test_the_suffix_follows_the_path_and_nothing_else_is_changed(entity_id: str, url: str) -> None:
    assert configuration_url(entity_id) == url


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("https://a.example/fetch", "https://a.example/fetch?sub=https%3A%2F%2Fb.example%2Fx%3Dy%26z"),
        ("https://a.example/fetch?realm=1", "https://a.example/fetch?realm=1&sub=https%3A%2F%2Fb.example%2Fx%3Dy%26z"),
    ],
)
def test_a_fetch_endpoint_keeps_its_query_and_the_subject_cannot_add_to_it(endpoint: str, url: str) -> None:
    assert statement_url(endpoint, "https://b.example/x=y&z") == url


@pytest.mark.spec("FED-ESC-03", "FED-ESC-07", "FED-JOS-06", "FED-TMK-01")
def test_what_we_issue_is_what_we_accept() -> None:
    key = generate_private_key("ES256")
    claims = build_entity_configuration(
        LEAF, [key], {"openid_relying_party": {}}, now=NOW, lifetime=LIFETIME, authority_hints=[ANCHOR], trust_anchor_hints=[ANCHOR]
    )
    found = verify_configuration(issue_entity_statement(claims, key))
    assert (found.authority_hints, found.expires_at, found.signed_by.kid) == ((ANCHOR,), NOW + LIFETIME, found.signed_by.thumbprint)
    anchor = build_entity_configuration(ANCHOR, [key], {"federation_entity": {}}, now=NOW, lifetime=LIFETIME)
    assert "authority_hints" not in anchor
    assert validate_trust_chain([issue_entity_statement(anchor, key)], [TrustAnchor(ANCHOR, found.keys)], now=NOW).anchor_id == ANCHOR


@pytest.mark.parametrize(
    "claims",
    [configuration_claims(crit=["x" * 50_000], **{"x" * 50_000: 1}), configuration_claims(metadata={"y" * 50_000: 1})],
    ids=("crit", "metadata"),
)
def test_no_sentence_repeats_long_foreign_text(claims: dict[str, Any]) -> None:
    assert len(refusal(verify_configuration, sign({**claims, "jwks": jwks(LEAF)})).description) < 200


def test_base64url_of_another_spelling_is_refused() -> None:
    header, payload, signature = sign(configuration_claims()).split(".")
    spelled = signature[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[signature[-1]]
    assert refusal(verify_configuration, f"{header}.{payload}.{spelled}").reason == "base64url"
    assert base64url(b"\xff\xfe") == "__4"
