"""Keys of our own: made, kept, named by thumbprint, and used for tokens that other libraries verify as well."""

from __future__ import annotations

import json
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa, x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import JWKRegistry

from protocol.errors import InvalidKeySet
from protocol.jose.algorithms import ALGORITHMS
from protocol.jose.compact import parse_unverified
from protocol.jose.keys import parse_jwk_set
from protocol.jose.purposes import ENTITY_STATEMENT, FEDERATION_REQUEST_OBJECT
from protocol.jose.signing import SigningKey, generate_private_key, issue_jwt, parse_private_jwk, parse_private_key_pem
from tests.protocol.jose.support import EVERY_ALGORITHM, claims_of, key_set, refusal, signing_key, verify

EVERY = pytest.mark.parametrize("algorithm", EVERY_ALGORITHM)
DEPRECATED = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
TYP = "entity-statement+jwt"


def issue(key: SigningKey, **options: Any) -> str:
    return issue_jwt(claims_of("entity_statement"), key, typ=TYP, **options)


@EVERY
def test_what_is_issued_is_verified(algorithm: str) -> None:
    key = signing_key(algorithm)
    token = issue(key)
    assert dict(parse_unverified(token, max_length=10_000).unverified_header) == {"alg": algorithm, "kid": key.kid, "typ": TYP}
    assert dict(verify(ENTITY_STATEMENT, token, key_set(algorithm)).claims) == claims_of("entity_statement")
    impostor = parse_jwk_set({"keys": [signing_key(algorithm, 1).public_jwk() | {"kid": key.kid}]})
    assert refusal(ENTITY_STATEMENT, token, impostor).reason == "signature"


@DEPRECATED
@EVERY
def test_another_library_verifies_what_is_issued(algorithm: str) -> None:
    key = signing_key(algorithm)
    header = {"alg": algorithm, "kid": key.kid, "typ": TYP}
    decoded = joserfc_jwt.decode(issue(key), JWKRegistry.import_key(key.public_jwk()), algorithms=[algorithm])
    assert (decoded.header, decoded.claims) == (header, claims_of("entity_statement"))


@DEPRECATED
@EVERY
def test_what_another_library_signs_is_verified(algorithm: str) -> None:
    key = signing_key(algorithm)
    header = {"alg": algorithm, "kid": key.kid, "typ": TYP}
    private = JWKRegistry.import_key(key.to_private_jwk())
    registry = jws.JWSRegistry(algorithms=[algorithm])
    token = jws.serialize_compact(header, json.dumps(claims_of("entity_statement")), private, registry=registry)
    assert verify(ENTITY_STATEMENT, token, key_set(algorithm)).key.kid == key.kid


@pytest.mark.parametrize(("issued", "published"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_the_two_names_of_ed25519_mean_the_same(issued: str, published: str) -> None:
    """RFC 9864: some partners already write the new name, others never will."""
    key = signing_key("Ed25519")
    token = issue(SigningKey(key.kid, issued, key.private_key))
    assert parse_unverified(token, max_length=10_000).unverified_header["alg"] == issued
    keys = parse_jwk_set({"keys": [key.public_jwk() | {"alg": published}]})
    assert verify(ENTITY_STATEMENT, token, keys)


@EVERY
def test_a_key_survives_export_and_import(algorithm: str) -> None:
    key = signing_key(algorithm)
    for copy in (parse_private_key_pem(key.to_pem(), algorithm), parse_private_jwk(key.to_private_jwk())):
        assert copy == key
        assert copy.public_jwk() == key.public_jwk()
        assert verify(ENTITY_STATEMENT, issue(copy), key_set(algorithm))


@EVERY
@pytest.mark.spec("FED-JOS-06")
def test_a_key_is_named_by_its_thumbprint_and_published_without_secrets(algorithm: str) -> None:
    key = signing_key(algorithm)
    jwk = key.public_jwk()
    assert jwk["kid"] == key.kid == JWKRegistry.import_key(jwk).thumbprint()
    assert (jwk["use"], jwk["alg"]) == ("sig", algorithm)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & jwk.keys()
    assert parse_jwk_set({"keys": [jwk]}).can_verify(algorithm)


@EVERY
def test_a_key_shows_nothing_secret(algorithm: str) -> None:
    key = signing_key(algorithm)
    assert key.to_private_jwk()["d"] not in repr(key) + str(key)
    assert "private_key" not in repr(key)


def test_keys_made_for_an_algorithm_fit_it_and_differ() -> None:
    for algorithm in ("ES256", "ES384", "ES512", "Ed25519", "EdDSA"):
        first, second = generate_private_key(algorithm), generate_private_key(algorithm)
        assert first.kid != second.kid
        assert parse_jwk_set({"keys": [first.public_jwk()]}).can_verify(algorithm)
    assert generate_private_key("PS256", rsa_bits=2048).private_key.key_size == 2048


@pytest.mark.threat("J01", "J02")
@pytest.mark.parametrize("algorithm", ["HS256", "none", "", "ES256K", "es256", None])
def test_no_key_is_made_or_read_for_other_algorithms(algorithm: Any) -> None:
    for attempt in (
        lambda: generate_private_key(algorithm),
        lambda: parse_private_key_pem(signing_key("ES256").to_pem(), algorithm),
        lambda: parse_private_jwk(signing_key("ES256").to_private_jwk() | {"alg": algorithm}),
    ):
        with pytest.raises(InvalidKeySet) as caught:
            attempt()
        assert caught.value.reason == "alg"


@pytest.mark.threat("J08")
def test_a_weak_rsa_key_is_neither_made_nor_read() -> None:
    with pytest.raises(InvalidKeySet) as caught:
        generate_private_key("RS256", rsa_bits=1024)
    assert caught.value.reason == "rsa_size"
    weak = pem_of(rsa.generate_private_key(65537, 1024))  # noqa: S505 - a weak key is the point
    with pytest.raises(InvalidKeySet) as caught:
        parse_private_key_pem(weak, "PS256")
    assert caught.value.reason == "rsa_size"


@pytest.mark.parametrize("algorithm", ["ES384", "ES512", "RS256", "Ed25519"])
def test_a_key_that_does_not_fit_is_refused(algorithm: str) -> None:
    key = signing_key("ES256")
    with pytest.raises(InvalidKeySet) as caught:
        parse_private_key_pem(key.to_pem(), algorithm)
    assert caught.value.reason == "alg"
    with pytest.raises(InvalidKeySet):
        parse_private_jwk(key.to_private_jwk() | {"alg": algorithm})


def pem_of(key: Any, *, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def test_what_holds_no_usable_private_key_is_refused() -> None:
    unreadable = [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem_of(signing_key("ES256").private_key, password=b"secret"),
        pem_of(x25519.X25519PrivateKey.generate()),
        pem_of(dsa.generate_private_key(2048)),
    ]
    for pem in unreadable:
        with pytest.raises(InvalidKeySet) as caught:
            parse_private_key_pem(pem, "ES256")
        assert caught.value.reason == "private_key_unreadable"
    private = signing_key("ES256").to_private_jwk()
    for jwk in (
        signing_key("ES256").public_jwk(),
        private | {"d": "AAAA"},
        private | {"x": 1},
        {"alg": "ES256"},
        {"alg": "RS256", "kty": "RSA"},
    ):
        with pytest.raises(InvalidKeySet):
            parse_private_jwk(jwk)


def test_a_header_is_added_but_never_replaced() -> None:
    key = signing_key("ES256")
    claims = claims_of("request_object")
    token = issue_jwt(claims, key, typ="oauth-authz-req+jwt", headers={"trust_chain": ["a.b.c"]})
    assert verify(FEDERATION_REQUEST_OBJECT, token).header["trust_chain"] == ["a.b.c"]
    for name in ("alg", "kid", "typ"):
        with pytest.raises(ValueError, match="come from the key"):
            issue(key, headers={name: "x"})


def test_a_type_is_left_out_on_request() -> None:
    header = parse_unverified(issue_jwt({"a": 1}, signing_key("ES256"), typ=None), max_length=1000).unverified_header
    assert set(header) == {"alg", "kid"}


@pytest.mark.threat("J14")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_claims_that_are_not_json_are_never_signed(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        issue_jwt({"exp": value}, signing_key("ES256"), typ=None)


def test_the_table_has_no_symmetric_algorithm_although_pyjwt_does() -> None:
    assert {"none", "HS256"} <= set(pyjwt.algorithms.get_default_algorithms())
    assert not {name for name in ALGORITHMS if name.startswith("HS") or name == "none"}
    with pytest.raises(TypeError):
        ALGORITHMS["HS256"] = ALGORITHMS["ES256"]  # type: ignore[index]
