"""JWKs, certificates and what is said about them, for the tests of key sets."""

from __future__ import annotations

import base64
import datetime
import secrets
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from protocol.errors import InvalidKeySet
from protocol.jose.keys import parse_jwk_set, review_jwk_set
from tests.protocol.jose.support import NOW, base64url, signing_key


def jwk_of(algorithm: str = "ES256", number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a public JWK; a change to None takes the member away."""
    members = signing_key(algorithm, number).public_jwk() | changes
    return {name: value for name, value in members.items() if value is not None}


def rsa_jwk(bits: int, exponent: int = 65537, *, even: bool = False) -> dict[str, Any]:
    """Return an RSA key of any size; nobody needs to know the factors of a public key."""
    modulus = secrets.randbits(bits) | 1 << (bits - 1) | 1
    modulus -= even
    octets = modulus.to_bytes((bits + 7) // 8, "big")
    return {"kty": "RSA", "n": base64url(octets), "e": base64url(exponent.to_bytes((exponent.bit_length() + 7) // 8, "big"))}


def reason_of(*keys: Any, **options: Any) -> str:
    """Return why a set is refused; the review finds the same error, and the set is accepted exactly when it finds none."""
    value = {"keys": list(keys)}
    with pytest.raises(InvalidKeySet) as caught:
        parse_jwk_set(value, **options)
    errors = [finding for finding in review_jwk_set(value, NOW, **options) if finding.level == "error"]
    assert (errors[0].code, errors[0].position) == (caught.value.reason, caught.value.position)
    return caught.value.reason


def codes(value: Any, **options: Any) -> list[tuple[str, str, int | None]]:
    return [(finding.level, finding.code, finding.position) for finding in review_jwk_set(value, NOW, **options)]


@cache
def certificate(number: int, days: int, algorithm: str = "ES256") -> str:
    """Return a self-signed certificate of a key as `x5c` holds it; it ends `days` after NOW."""
    key = signing_key(algorithm, number).private_key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    now = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1000)
    builder = builder.not_valid_before(now - datetime.timedelta(days=100)).not_valid_after(now + datetime.timedelta(days=days))
    return base64.b64encode(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)).decode()
