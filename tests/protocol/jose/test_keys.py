"""J07, J08 and DCR-JWK-02, -04: leaked, weak and odd keys."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import JWKRegistry

from protocol.errors import InvalidKeySet
from protocol.jose.keys import KeySetPurpose, parse_jwk_set
from protocol.jose.purposes import SIGNED_JWKS
from tests.protocol.jose.key_support import jwk_of, reason_of, rsa_jwk
from tests.protocol.jose.support import EVERY_ALGORITHM, base64url, forge_kind, signing_key, verify

PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


@pytest.mark.spec("DCR-JWK-04", "FED-JOS-06")
@pytest.mark.parametrize("algorithm", EVERY_ALGORITHM)
def test_a_sound_key_of_every_kind_is_read(algorithm: str) -> None:
    jwk = jwk_of(algorithm)
    (key,) = parse_jwk_set({"keys": [jwk]}).keys
    assert (key.kid, key.kty, key.crv, key.use, key.alg) == (jwk["kid"], jwk["kty"], jwk.get("crv"), "sig", algorithm)
    assert key.jwk == jwk
    assert key.thumbprint == jwk["kid"] == JWKRegistry.import_key(jwk).thumbprint()
    private = signing_key(algorithm).private_key.public_key()
    assert key.verifying_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == private.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def test_the_thumbprint_is_the_one_of_the_standard() -> None:
    """RFC 7638, 3.1."""
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
        "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
        "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
        "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert parse_jwk_set({"keys": [jwk]}).keys[0].thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.threat("J07")
@pytest.mark.spec("DCR-JWK-02", "FED-JOS-04")
@pytest.mark.parametrize("member", PRIVATE_MEMBERS)
@pytest.mark.parametrize("value", ["AAAA", "", None, [], 0], ids=repr)
def test_each_private_member_alone_burns_the_set(member: str, value: object) -> None:
    for key in ({**jwk_of(), member: value}, {**jwk_of("RS256"), member: value}, {"kty": "new", member: value}):
        with pytest.raises(InvalidKeySet) as caught:
            parse_jwk_set({"keys": [jwk_of("ES384"), key]})
        assert (caught.value.reason, caught.value.position) == ("private_key", 1)
        assert "leaked" in caught.value.description
        assert member in caught.value.description


@pytest.mark.threat("J07")
@pytest.mark.spec("DCR-JWK-02", "FED-JOS-04")
@pytest.mark.parametrize("member", PRIVATE_MEMBERS)
def test_a_private_member_is_found_wherever_it_hides(member: str) -> None:
    hidden = {member: "AAAA"}
    for value in (
        {"keys": [jwk_of(ext=hidden)]},
        {"keys": [jwk_of(ext=[[{"x": hidden}]])]},
        {"keys": [jwk_of()], "backup": [hidden]},
        {"keys": [jwk_of()], **hidden},
        {"keys": [jwk_of(), [hidden]]},
        {"keys": hidden},
        [hidden],
        hidden,
        {"keys": [jwk_of("ES384", number) for number in range(21)] + [hidden]},
    ):
        with pytest.raises(InvalidKeySet) as caught:
            parse_jwk_set(value)
        assert caught.value.reason == "private_key"


@pytest.mark.threat("J07")
@pytest.mark.spec("DCR-JWK-02", "FED-JOS-04")
def test_a_symmetric_key_burns_the_set() -> None:
    for key in (
        {"kty": "oct"},
        {"kty": "oct", "kid": "a", "alg": "HS256"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "x", "y": {"kty": "oct"}},
    ):
        assert reason_of(jwk_of(), key) == "private_key"


@pytest.mark.threat("J07")
@pytest.mark.parametrize("algorithm", EVERY_ALGORITHM)
def test_a_whole_private_key_is_refused_as_leaked_before_anything_else(algorithm: str) -> None:
    private = signing_key(algorithm).to_private_jwk()
    assert reason_of(private) == "private_key"
    assert reason_of(private, {"kty": 1}, rsa_jwk(512)) == "private_key"


@pytest.mark.threat("J07")
@pytest.mark.parametrize("member", PRIVATE_MEMBERS)
def test_a_private_member_in_a_signed_key_set_is_found_after_verification(member: str) -> None:
    verified = verify(SIGNED_JWKS, forge_kind("signed_jwks", keys=[jwk_of() | {member: "AAAA"}]))
    with pytest.raises(InvalidKeySet) as caught:
        parse_jwk_set(verified.claims)
    assert caught.value.reason == "private_key"
    assert parse_jwk_set(verify(SIGNED_JWKS, forge_kind("signed_jwks")).claims).keys


@pytest.mark.threat("J08")
@pytest.mark.spec("DCR-JWK-04")
@pytest.mark.parametrize(
    ("jwk", "reason"),
    [
        (rsa_jwk(512), "rsa_size"),
        (rsa_jwk(1024), "rsa_size"),
        (rsa_jwk(2047), "rsa_size"),
        (rsa_jwk(8193), "rsa_size"),
        (rsa_jwk(16384), "rsa_size"),
        (rsa_jwk(2048, even=True), "rsa_modulus"),
        (rsa_jwk(2048, 1), "rsa_exponent"),
        (rsa_jwk(2048, 3), "rsa_exponent"),
        (rsa_jwk(2048, 17), "rsa_exponent"),
        (rsa_jwk(2048, 65535), "rsa_exponent"),
        (rsa_jwk(2048, 65536), "rsa_exponent"),
        (rsa_jwk(2048, 65538), "rsa_exponent"),
        (rsa_jwk(2048, 2**32), "rsa_exponent"),
        (rsa_jwk(2048, 2**32 + 1), "rsa_exponent"),
        (rsa_jwk(2048, 2**2047 + 1), "rsa_exponent"),
        (rsa_jwk(2048) | {"n": None}, "member_missing"),
        (rsa_jwk(2048) | {"n": ""}, "member_missing"),
        (rsa_jwk(2048) | {"n": 65537}, "member_missing"),
        (rsa_jwk(2048) | {"e": ["AQAB"]}, "member_missing"),
        (rsa_jwk(2048) | {"e": "AAEAAQ"}, "base64url"),
        (rsa_jwk(2048) | {"e": "AQAB="}, "base64url"),
        (rsa_jwk(2048) | {"n": base64url(bytes(1) + b"\xff" * 256)}, "base64url"),
        ({"kty": "EC", "crv": "P-256"}, "member_missing"),
        (jwk_of(crv=None), "curve"),
        (jwk_of(crv="P-192"), "curve"),
        (jwk_of(crv="secp256k1", alg=None), "curve"),
        (jwk_of(crv="p-256", alg=None), "curve"),
        (jwk_of(crv=["P-256"], alg=None), "curve"),
        (jwk_of(crv="Ed25519", alg=None), "curve"),
        (jwk_of(crv="P-384", alg=None), "coordinate"),
        (jwk_of(x=base64url(bytes(32)), y=base64url(bytes(32))), "point"),
        (jwk_of(x=base64url(b"\xff" * 32)), "point"),
        (jwk_of(x=base64url(bytes(31) + b"\1"), y=base64url(bytes(31) + b"\1")), "point"),
        (jwk_of(x=base64url(bytes(33))), "coordinate"),
        (jwk_of(x=base64url(bytes(31))), "coordinate"),
        (jwk_of(y=None), "member_missing"),
        (jwk_of(y=jwk_of()["x"]), "point"),
        (jwk_of("Ed25519", crv="X25519", alg=None), "curve"),
        (jwk_of("Ed25519", crv="Ed448", alg=None), "curve"),
        (jwk_of("Ed25519", x=base64url(bytes(31))), "coordinate"),
        (jwk_of("Ed25519", x=base64url(bytes(33))), "coordinate"),
        (jwk_of("Ed25519", x=base64url(b"\2" + bytes(31))), "point"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.get("kty")),
)
def test_a_weak_or_odd_key_is_refused(jwk: dict[str, Any], reason: str) -> None:
    assert reason_of(jwk) == reason


@pytest.mark.threat("J08")
@pytest.mark.spec("DCR-JWK-04")
@pytest.mark.parametrize(
    "jwk", [rsa_jwk(2048), rsa_jwk(8192), rsa_jwk(3072, 65539), rsa_jwk(2048, 2**32 - 1), rsa_jwk(2051)], ids=lambda jwk: jwk["e"]
)
def test_rsa_keys_at_the_edges_are_accepted(jwk: dict[str, Any]) -> None:
    assert parse_jwk_set({"keys": [jwk]}).keys[0].bits >= 2048


@pytest.mark.threat("J08")
def test_a_huge_rsa_key_costs_nothing() -> None:
    for jwk in (rsa_jwk(16384), rsa_jwk(262_144), rsa_jwk(16384, 2**16383 + 1), rsa_jwk(2048, 2**65536 + 1)):
        started = time.process_time()
        assert reason_of(jwk) in {"rsa_size", "rsa_exponent"}
        assert time.process_time() - started < 0.05


@pytest.mark.threat("J08")
def test_the_length_of_an_rsa_member_is_judged_before_it_is_decoded() -> None:
    assert reason_of({"kty": "RSA", "n": "!" * 1367, "e": "AQAB"}) == "rsa_size"
    assert reason_of({"kty": "RSA", "n": "!" * 1366, "e": "AQAB"}) == "base64url"
    assert reason_of(rsa_jwk(2048) | {"e": "!" * 7}) == "rsa_exponent"


SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.threat("J08")
@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("encoded", SMALL_ORDER)
def test_an_ed25519_point_of_small_order_is_refused(encoded: str, sign: int) -> None:
    """With the point of order 1, R = A and S = 0 verifies over every message, for anybody."""
    octets = bytearray.fromhex(encoded)
    octets[31] |= sign
    assert reason_of(jwk_of("Ed25519", x=base64url(bytes(octets)))) == "point"


@pytest.mark.threat("J08")
def test_generated_ed25519_keys_are_always_sound() -> None:
    keys = [jwk_of("Ed25519", number) for number in range(20)]
    assert len(parse_jwk_set({"keys": keys}).keys) == 20


def test_ed448_is_off_unless_the_purpose_allows_it() -> None:
    private = ed448.Ed448PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed448", "x": base64url(private.public_key().public_bytes_raw())}
    allowing = KeySetPurpose("test", allow_ed448=True)
    assert reason_of(jwk) == "curve"
    (key,) = parse_jwk_set({"keys": [jwk]}, purpose=allowing).keys
    assert (key.can_verify("EdDSA"), key.can_verify("Ed25519")) == (True, False)
    assert key.signature_length() == len(private.sign(b"")) == 114
    assert reason_of(jwk | {"x": base64url(bytes(56))}, purpose=allowing) == "coordinate"


@pytest.mark.threat("J08")
@pytest.mark.parametrize("member", ["x", "y"])
def test_a_member_has_one_spelling_only(member: str) -> None:
    text = jwk_of()[member]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
    for spelling in (text + "=", twin, " " + text, text + "\n", text[:-1] + "+", text[:-1] + "."):
        assert reason_of(jwk_of(**{member: spelling})) == "base64url"


def test_the_curves_of_the_table_are_those_of_the_library() -> None:
    for algorithm, curve in (("ES256", ec.SECP256R1), ("ES384", ec.SECP384R1), ("ES512", ec.SECP521R1)):
        (key,) = parse_jwk_set({"keys": [jwk_of(algorithm)]}).keys
        assert (key.bits, key.signature_length()) == (curve().key_size, 2 * ((curve().key_size + 7) // 8))
