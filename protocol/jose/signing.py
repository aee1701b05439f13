"""Keys that sign for this server, and the one function that issues JWTs (RFC 7515, 5.1; RFC 7638; RFC 9864)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.exceptions import PyJWTError

from protocol.errors import InvalidKeySet
from protocol.jose.algorithms import ALGORITHMS, SignatureAlgorithm
from protocol.jose.base64url import encode_base64url
from protocol.jose.key_material import load_material
from protocol.jose.keys import thumbprint_of

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
DEFAULT_RSA_BITS: Final = 3072
_OWN_HEADERS: Final = frozenset({"alg", "kid", "typ"})
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")
_PRIVATE_MEMBERS: Final = (*_PUBLIC_MEMBERS, "d", "p", "q", "dp", "dq", "qi")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key bound to one algorithm; `kid` is the RFC 7638 thumbprint. Its repr shows nothing secret."""

    kid: str
    algorithm: str
    private_key: PrivateKey = field(repr=False, compare=False)

    def public_jwk(self) -> dict[str, str]:
        """Return the public JWK as it is published: key members, `kid`, `use` and `alg`."""
        return _public_members(self.private_key, self.algorithm) | {"kid": self.kid, "use": "sig", "alg": self.algorithm}

    def to_pem(self) -> bytes:
        """Return the private key as unencrypted PKCS #8 PEM; the caller encrypts it before it is stored."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def to_private_jwk(self) -> dict[str, str]:
        """Return the private JWK; the caller encrypts it before it is stored."""
        exported = _export(self.private_key, self.algorithm)
        members = {name: exported[name] for name in _PRIVATE_MEMBERS if name in exported}
        return members | {"kid": self.kid, "use": "sig", "alg": self.algorithm}


def generate_private_key(algorithm: str, *, rsa_bits: int = DEFAULT_RSA_BITS) -> SigningKey:
    """Return a new key for `algorithm` (a name of `SIGNING_ALGORITHMS`); raises `InvalidKeySet` for another name or size."""
    kind = _algorithm(algorithm)
    key: PrivateKey
    if kind.kty == "RSA":
        key = rsa.generate_private_key(65537, rsa_bits)
    elif kind.kty == "EC":
        key = ec.generate_private_key(_CURVES[kind.curves[0]])
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    return _signing_key(key, algorithm)


def parse_private_key_pem(pem: bytes, algorithm: str) -> SigningKey:
    """Return the key of an unencrypted PEM for `algorithm`; raises `InvalidKeySet` when it is unreadable or does not fit."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKeySet("private_key_unreadable", "The PEM holds no private key that can be read.") from None
    return _signing_key(key, algorithm)


def parse_private_jwk(jwk: Mapping[str, Any]) -> SigningKey:
    """Return the key of a private JWK with `alg`; raises `InvalidKeySet` when it is unreadable or does not fit."""
    kind = _algorithm(jwk.get("alg"))
    try:
        key = kind.primitive.from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        raise InvalidKeySet("private_key_unreadable", "The JWK holds no private key that can be read.") from None
    return _signing_key(key, kind.name)


def issue_jwt(claims: Mapping[str, Any], key: SigningKey, *, typ: str | None, headers: Mapping[str, Any] | None = None) -> str:
    """Return a signed compact JWT with `alg`, `kid` and, unless it is None, `typ` in the header.

    `headers` adds parameters such as `trust_chain`. Raises ValueError when it names one of those three, or for claims that are
    not JSON.
    """
    header: dict[str, Any] = {"alg": key.algorithm, "kid": key.kid}
    if typ is not None:
        header["typ"] = typ
    if headers:
        if _OWN_HEADERS & headers.keys():
            raise ValueError("alg, kid and typ come from the key and the purpose")
        header |= headers
    signing_input = f"{_encode(header)}.{_encode(claims)}"
    signature = ALGORITHMS[key.algorithm].sign(key.private_key, signing_input.encode())
    return f"{signing_input}.{encode_base64url(signature)}"


def _encode(members: Mapping[str, Any]) -> str:
    return encode_base64url(json.dumps(dict(members), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())


def _algorithm(name: object) -> SignatureAlgorithm:
    if not isinstance(name, str) or name not in ALGORITHMS:
        raise InvalidKeySet("alg", f"Signing keys are for one of the algorithms {', '.join(ALGORITHMS)}.")
    return ALGORITHMS[name]


def _export(key: PrivateKey, algorithm: str) -> dict[str, Any]:
    """Return PyJWT's JWK of a private key."""
    exported: dict[str, Any] = ALGORITHMS[algorithm].primitive.to_jwk(key, as_dict=True)
    return exported


def _public_members(key: PrivateKey, algorithm: str) -> dict[str, str]:
    exported = _export(key, algorithm)
    return {name: exported[name] for name in _PUBLIC_MEMBERS if name in exported}


def _signing_key(key: object, algorithm: str) -> SigningKey:
    """Return `key` bound to `algorithm`, held to the same rules as other people's keys."""
    kind = _algorithm(algorithm)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise InvalidKeySet("private_key_unreadable", "The key is not a private RSA, EC or Ed25519 key.")
    try:
        public = _public_members(key, algorithm)
    except (PyJWTError, ValueError, TypeError, AttributeError):
        raise InvalidKeySet("alg", f"The key cannot be used with {algorithm}.") from None
    material = load_material(public, allow_ed448=False)
    if not kind.fits(material.kty, material.crv):
        raise InvalidKeySet("alg", f"The key cannot be used with {algorithm}.")
    return SigningKey(thumbprint_of(material.members), algorithm, key)
