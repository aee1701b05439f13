"""DCR-JWK-01, -03, -05, -06 and FED-JWK-07: what stands beside the keys, sets as a whole, and the review for the portal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import InvalidJson, InvalidKeySet
from protocol.jose.keys import CLIENT_KEYS, FEDERATION_ENTITY_KEYS, KeyFinding, KeySetPurpose, parse_jwk_set, review_jwk_set
from protocol.jose.purposes import ENTITY_STATEMENT
from protocol.strict_json import parse_json_object
from tests.protocol.jose.key_support import certificate, codes, jwk_of, reason_of, rsa_jwk
from tests.protocol.jose.support import NOW, forge_kind, refusal, signing_key


@pytest.mark.spec("DCR-JWK-01")
@pytest.mark.parametrize("entry", [None, 1, "key", [], {}, {"kid": "a"}, {"kty": None}, {"kty": 1}, {"kty": ""}, {"kty": ["EC"]}], ids=repr)
def test_a_key_is_an_object_with_a_type(entry: object) -> None:
    assert reason_of(jwk_of(), entry) == "kty"


@pytest.mark.spec("DCR-JWK-01")
def test_a_key_of_unknown_type_is_skipped_and_a_usable_one_must_remain() -> None:
    unknown = {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "post-quantum"}
    assert [key.kid for key in parse_jwk_set({"keys": [unknown, jwk_of()]}).keys] == [jwk_of()["kid"]]
    assert ("warning", "kty_unknown", 0) in codes({"keys": [unknown, jwk_of()]})
    assert reason_of(unknown) == "no_usable_key"
    assert reason_of() == "no_usable_key"
    assert reason_of({"kty": "ec", "kid": "case"}) == "no_usable_key"


@pytest.mark.spec("DCR-JWK-01")
@pytest.mark.parametrize(
    "value",
    [None, [], "x", 1, {}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"Keys": []}, [jwk_of()]],
    ids=lambda value: repr(value)[:20],
)
def test_a_set_is_an_object_with_an_array_of_keys(value: object) -> None:
    with pytest.raises(InvalidKeySet) as caught:
        parse_jwk_set(value)
    assert caught.value.reason == "shape"
    assert codes(value) == [("error", "shape", None)]


@pytest.mark.threat("J08")
def test_a_set_holds_at_most_twenty_keys() -> None:
    keys = [jwk_of("ES256", number) for number in range(21)]
    assert len(parse_jwk_set({"keys": keys[:20]}).keys) == 20
    assert reason_of(*keys) == "too_many_keys"
    assert reason_of(*[{"kty": "new"}] * 20, jwk_of()) == "too_many_keys"


@pytest.mark.threat("J09")
@pytest.mark.spec("DCR-JWK-03")
@pytest.mark.parametrize("kid", ["", "a" * 129, "a\nb", "\u0000", "\u00e9", 1, None, ["a"], {}, True], ids=repr)
def test_a_kid_in_a_set_is_a_short_printable_text(kid: object) -> None:
    assert reason_of({**jwk_of(), "kid": kid}) == "kid"


@pytest.mark.threat("J09")
def test_odd_but_printable_kids_are_opaque_names() -> None:
    for kid in ("../../etc/passwd", "' OR 1=1 --", " ", "~" * 128, "{}"):
        assert parse_jwk_set({"keys": [jwk_of(kid=kid)]}).keys[0].kid == kid


@pytest.mark.threat("J09")
@pytest.mark.spec("DCR-JWK-03", "FED-JOS-05")
def test_a_kid_occurs_once() -> None:
    for other in (jwk_of("RS256", kid="same"), jwk_of("ES256", 1, kid="same"), {"kty": "new", "kid": "same"}):
        assert reason_of(jwk_of(kid="same"), other) == "kid_duplicate"
    assert parse_jwk_set({"keys": [jwk_of(kid="same"), jwk_of("RS256", kid="Same")]})


@pytest.mark.spec("DCR-JWK-03", "FED-JOS-05")
def test_a_kid_is_needed_among_several_keys_and_always_in_the_federation() -> None:
    nameless = jwk_of(kid=None)
    assert parse_jwk_set({"keys": [nameless]}).keys[0].kid is None
    assert parse_jwk_set({"keys": [nameless, {"kty": "new"}]}).keys[0].kid is None
    assert reason_of(jwk_of("RS256"), nameless) == "kid_missing"
    assert reason_of(nameless, purpose=FEDERATION_ENTITY_KEYS) == "kid_missing"
    assert reason_of(jwk_of(), {"kty": "new"}, purpose=FEDERATION_ENTITY_KEYS) == "kid_missing"
    assert parse_jwk_set({"keys": [jwk_of()]}, purpose=FEDERATION_ENTITY_KEYS)


@pytest.mark.spec("DCR-JWK-05")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"use": "SIG"}, "use"),
        ({"use": "sig enc"}, "use"),
        ({"use": ["sig"]}, "use"),
        ({"use": 1}, "use"),
        ({"alg": 1}, "alg"),
        ({"alg": ["ES256"]}, "alg"),
        ({"alg": "none"}, "alg"),
        ({"alg": "HS256"}, "alg"),
        ({"alg": "ES384"}, "alg"),
        ({"alg": "RS256"}, "alg"),
        ({"alg": "EdDSA"}, "alg"),
        ({"alg": "ECDH-ES"}, "alg"),
        ({"alg": "RSA-OAEP-256", "use": "enc"}, "alg"),
        ({"alg": "ES256", "use": "enc"}, "alg"),
        ({"key_ops": "verify"}, "key_ops"),
        ({"key_ops": []}, "key_ops"),
        ({"key_ops": [1]}, "key_ops"),
        ({"key_ops": [["verify"]]}, "key_ops"),
        ({"key_ops": ["verify", "verify"]}, "key_ops"),
        ({"key_ops": ["sign"]}, "key_ops"),
        ({"key_ops": ["encrypt"]}, "key_ops"),
        ({"key_ops": ["verify", "deriveKey"]}, "key_ops"),
        ({"key_ops": ["verify", "wrapKey"], "use": None, "alg": None}, "key_ops"),
        ({"key_ops": ["deriveBits"], "use": None}, "key_ops"),
        ({"key_ops": ["verify"], "use": "enc", "alg": None}, "key_ops"),
        ({"key_ops": ["verify"], "use": "enc", "alg": ["x"]}, "alg"),
        ({"key_ops": ["custom"]}, "key_ops"),
    ],
    ids=str,
)
def test_use_key_ops_and_alg_agree(changes: dict[str, Any], reason: str) -> None:
    assert reason_of(jwk_of(**changes)) == reason


@pytest.mark.spec("DCR-JWK-05")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"alg": None},
        {"use": None},
        {"use": None, "alg": None},
        {"key_ops": ["verify"]},
        {"key_ops": ["verify"], "use": None, "alg": None},
        {"key_ops": ["verify", "sign"]},
        {"key_ops": ["verify", "custom"]},
        {"use": "enc", "alg": "ECDH-ES+A256KW", "key_ops": ["deriveKey"]},
        {"use": "enc", "alg": None},
        {"alg": "ES256K-FUTURE"},
    ],
    ids=str,
)
def test_members_that_agree_are_accepted(changes: dict[str, Any]) -> None:
    assert parse_jwk_set({"keys": [jwk_of(**changes)]})


@pytest.mark.spec("DCR-JWK-05")
def test_the_set_can_verify_the_registered_algorithm() -> None:
    assert parse_jwk_set({"keys": [jwk_of()]}, signing_algorithm="ES256").can_verify("ES256")
    assert parse_jwk_set({"keys": [jwk_of("EdDSA")]}, signing_algorithm="Ed25519")
    assert parse_jwk_set({"keys": [jwk_of("RS256", alg=None)]}, signing_algorithm="PS384")
    assert reason_of(jwk_of(), signing_algorithm="RS256") == "no_key_for_algorithm"
    assert reason_of(jwk_of(use="enc", alg=None), signing_algorithm="ES256") == "no_key_for_algorithm"
    assert reason_of(jwk_of("RS256"), signing_algorithm="PS256") == "no_key_for_algorithm"
    assert reason_of(jwk_of(), signing_algorithm="HS256") == "no_key_for_algorithm"
    assert reason_of(jwk_of(use=None, alg=None, key_ops=["custom"]), signing_algorithm="ES256") == "no_key_for_algorithm"


@pytest.mark.spec("DCR-JWK-04")
def test_the_same_key_never_signs_and_encrypts() -> None:
    signs = jwk_of("RS256", kid="a", alg=None)
    assert reason_of(signs, signs | {"kid": "b", "use": "enc"}) == "key_reuse"
    assert reason_of(signs | {"use": "enc"}, jwk_of("RS256", kid="b", alg=None)) == "key_reuse"
    # An unsaid use could be both; the set is mixed only if another key signs.
    unsaid = {name: value for name, value in signs.items() if name != "use"} | {"kid": "c"}
    assert reason_of(unsaid, signs | {"kid": "b", "use": "enc"}) == "key_reuse"
    assert ("warning", "key_repeated", 1) in codes({"keys": [signs, signs | {"kid": "b"}]})


@pytest.mark.spec("FED-JWK-07")
def test_a_mixed_set_says_use_on_every_key() -> None:
    keys = [jwk_of(), jwk_of("RS256", use="enc", alg=None), jwk_of("ES384", use=None)]
    assert reason_of(*keys) == "use_missing"
    assert parse_jwk_set({"keys": keys[:2]})


def test_federation_entity_keys_only_sign() -> None:
    assert reason_of(jwk_of(use="enc", alg=None), purpose=FEDERATION_ENTITY_KEYS) == "use"
    assert parse_jwk_set({"keys": [jwk_of(use=None)]}, purpose=FEDERATION_ENTITY_KEYS)


@pytest.mark.spec("DCR-JWK-06")
@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_certificate_is_about_its_key(algorithm: str) -> None:
    own, other = certificate(0, 365, algorithm), certificate(1, 365, algorithm)
    assert parse_jwk_set({"keys": [jwk_of(algorithm, x5c=[own])]}).keys[0].jwk["x5c"] == [own]
    assert parse_jwk_set({"keys": [jwk_of(algorithm, x5c=[own, other])]})
    assert reason_of(jwk_of(algorithm, x5c=[other])) == "x5c_mismatch"
    assert reason_of(jwk_of(algorithm, x5c=[other, own])) == "x5c_mismatch"
    assert reason_of(jwk_of("ES384", x5c=[own])) == "x5c_mismatch"


@pytest.mark.spec("DCR-JWK-06")
@pytest.mark.parametrize(
    "value",
    [None, [], "", "MIIB", [1], [""], ["MIIB"], ["!!!!"], [["MIIB"]], {}, ["A" * 20_000], [None]],
    ids=lambda v: repr(v)[:30],
)
def test_a_certificate_that_cannot_be_read_is_refused(value: object) -> None:
    assert reason_of({**jwk_of(), "x5c": value}) == "x5c"


@pytest.mark.spec("DCR-JWK-06")
def test_a_certificate_url_is_ignored_and_said_to_be() -> None:
    """Tests run without sockets, so a fetch would fail; the member is not even kept."""
    key = jwk_of(x5u="https://evil.example/cert.pem")
    assert "x5u" not in parse_jwk_set({"keys": [key]}).keys[0].jwk
    assert ("warning", "x5u_ignored", 0) in codes({"keys": [key]})


@pytest.mark.threat("J13")
def test_a_key_set_with_a_member_twice_is_refused_by_the_reader() -> None:
    text = json.dumps({"keys": [jwk_of()]})
    for twice in (
        text[:-1] + ',"keys":[]}',
        text.replace('"kty"', '"kid":"x","kty"', 1),
        text.replace('"use"', '"alg":"none","use"', 1),
    ):
        with pytest.raises(InvalidJson) as caught:
            parse_json_object(twice, max_bytes=65536)
        assert caught.value.reason == "duplicate"


def test_a_review_finds_everything_and_says_where() -> None:
    value = {"keys": [rsa_jwk(1024), jwk_of(use="x", alg="HS256"), jwk_of("ES384", x5c=["?"]), None, jwk_of("ES512")]}
    errors = [(code, position) for level, code, position in codes(value) if level == "error"]
    assert errors == [("rsa_size", 0), ("use", 1), ("alg", 1), ("x5c", 2), ("kty", 3), ("kid_missing", 0)]


def test_every_leaked_key_is_named_by_position() -> None:
    private = signing_key("ES256").to_private_jwk()
    assert codes({"keys": [jwk_of("RS256"), private, private | {"kid": "b"}]}) == [
        ("error", "private_key", 1),
        ("error", "private_key", 2),
    ]


def test_warnings_help_the_partner_and_refuse_nothing() -> None:
    value = {"keys": [jwk_of(kid=None, use=None, alg=None)]}
    expected = {("use_missing", 0), ("alg_missing", 0), ("kid_missing", 0), ("single_key", None)}
    assert {(code, position) for level, code, position in codes(value) if level == "warning"} == expected
    assert parse_jwk_set(value)
    assert codes({"keys": [jwk_of(), jwk_of("ES256", 1)]}) == []
    assert ("warning", "alg_unknown", 0) in codes({"keys": [jwk_of(alg="XYZ")]})


@pytest.mark.parametrize(
    ("days", "code"),
    [(31, None), (30, None), (29, "certificate_expires"), (0, "certificate_expired"), (-1, "certificate_expired")],
)
def test_a_certificate_near_its_end_is_a_warning(days: int, code: str | None) -> None:
    value = {"keys": [jwk_of(x5c=[certificate(0, days)])]}
    found = [finding for finding in review_jwk_set(value, NOW) if finding.code.startswith("certificate")]
    assert [(finding.code, finding.position) for finding in found] == ([(code, 0)] if code else [])
    assert parse_jwk_set(value)


def test_errors_come_before_warnings() -> None:
    levels = [level for level, _, _ in codes({"keys": [jwk_of(use=None, alg=None), rsa_jwk(512) | {"kid": "weak"}]})]
    assert levels == sorted(levels)
    assert {"error", "warning"} == set(levels)


def test_keys_are_frozen_and_show_no_material() -> None:
    (key,) = parse_jwk_set({"keys": [jwk_of()]}).keys
    with pytest.raises(AttributeError):
        key.kid = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        key.jwk["kid"] = "other"  # type: ignore[index]
    assert "verifying_key" not in repr(key)
    assert hash(key) == hash(parse_jwk_set({"keys": [jwk_of()]}).keys[0])


def test_the_set_is_given_back_with_checked_members_only() -> None:
    extra = jwk_of(x5u="https://a.example", note="hello", x5t="AAAA")
    assert parse_jwk_set({"keys": [extra, {"kty": "new"}]}).public_jwks() == {"keys": [jwk_of()]}


@pytest.mark.threat("J01")
def test_a_key_for_encryption_verifies_nothing() -> None:
    for changes in (
        {"use": "enc", "alg": None},
        {"use": None, "alg": None, "key_ops": ["deriveKey"]},
        {"use": None, "alg": "ECDH-ES"},
    ):
        keys = parse_jwk_set({"keys": [jwk_of(**changes)]})
        assert refusal(ENTITY_STATEMENT, forge_kind("entity_statement"), keys).reason == "key_mismatch"


JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["RSA", "EC", "OKP", "sig", "enc", "AQAB", "P-256", "Ed25519", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["keys", "kty", "kid", "use", "alg", "key_ops", "crv", "x", "y", "n", "e", "x5c", "x5u"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.threat("J08", "J12")
@settings(max_examples=150, deadline=None)
@given(JSON_LIKE, st.sampled_from([CLIENT_KEYS, FEDERATION_ENTITY_KEYS]))
def test_whatever_json_comes_in_is_a_key_set_or_one_error(value: Any, purpose: KeySetPurpose) -> None:
    for candidate in (value, {"keys": [value]}, {"keys": [jwk_of() | value if isinstance(value, dict) else value]}):
        findings = review_jwk_set(candidate, NOW, purpose=purpose)
        assert all(isinstance(finding, KeyFinding) and finding.sentence.isascii() for finding in findings)
        errors = {finding.code for finding in findings if finding.level == "error"}
        try:
            parse_jwk_set(candidate, purpose=purpose)
            refused_for = None
        except InvalidKeySet as error:
            refused_for = error.reason
        assert refused_for in errors if errors else refused_for is None
