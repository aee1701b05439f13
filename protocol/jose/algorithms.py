"""The signature algorithms of this server as one table; HMAC and `none` are not in it, so they cannot be chosen (J01, J02).

PyJWT's algorithm objects sign and export keys; signatures are checked by cryptography directly, which is what PyJWT does too, only with
more steps (docs/decisions/0011). Everything around the signature is checked by us (RFC 7518, 8037, 9864).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from jwt.algorithms import Algorithm, get_default_algorithms

from protocol.constants import SIGNING_ALGORITHMS

VerifyingKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
# Key, signature and what was signed; raises InvalidSignature. A key of another type takes other arguments, which is a TypeError.
Check = Callable[[Any, bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """A JWS algorithm: the one key type and the curves it works with, and the primitive that signs and verifies."""

    name: str
    kty: str
    curves: tuple[str, ...]
    primitive: Algorithm
    check: Check

    def fits(self, kty: str, crv: str | None) -> bool:
        """Say whether a key of this type and curve may be used with the algorithm at all (J01)."""
        return kty == self.kty and (not self.curves or crv in self.curves)

    def verifies(self, key: VerifyingKey, signing_input: bytes, signature: bytes) -> bool:
        """Say whether `signature` over `signing_input` is right; an error inside a library is a no."""
        try:
            self.check(key, signature, signing_input)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False
        return True

    def sign(self, key: Any, signing_input: bytes) -> bytes:
        """Return the signature of `signing_input` by the private `key`, which must fit the algorithm."""
        return self.primitive.sign(signing_input, key)


def _ecdsa(digest: Any, size: int) -> Check:
    """Return the check of an ECDSA signature of two numbers of `size` bytes each (RFC 7518, 3.4)."""
    scheme = ECDSA(digest())

    def check(key: EllipticCurvePublicKey, signature: bytes, signing_input: bytes) -> None:
        if len(signature) != 2 * size:
            raise ValueError("the signature has the wrong length")
        first, second = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(first, second), signing_input, scheme)

    return check


def _rsa_pkcs1(digest: Any) -> Check:
    return lambda key, signature, signing_input: key.verify(signature, signing_input, PKCS1v15(), digest())


def _rsa_pss(digest: Any) -> Check:
    """Return the check of an RSASSA-PSS signature; the salt is as long as the digest (RFC 7518, 3.5)."""
    padding = PSS(mgf=MGF1(digest()), salt_length=digest.digest_size)
    return lambda key, signature, signing_input: key.verify(signature, signing_input, padding, digest())


def _edwards(key: Ed25519PublicKey | Ed448PublicKey, signature: bytes, signing_input: bytes) -> None:
    key.verify(signature, signing_input)


_CHECKS: Final[Mapping[str, Check]] = {
    "ES256": _ecdsa(SHA256, 32),
    "ES384": _ecdsa(SHA384, 48),
    "ES512": _ecdsa(SHA512, 66),
    "PS256": _rsa_pss(SHA256),
    "PS384": _rsa_pss(SHA384),
    "PS512": _rsa_pss(SHA512),
    "RS256": _rsa_pkcs1(SHA256),
    "RS384": _rsa_pkcs1(SHA384),
    "RS512": _rsa_pkcs1(SHA512),
    "Ed25519": _edwards,
    "EdDSA": _edwards,
}
_CURVES: Final = {
    "ES256": ("P-256",),
    "ES384": ("P-384",),
    "ES512": ("P-521",),
    "Ed25519": ("Ed25519",),
    # RFC 8037 uses one name for both curves; an Ed448 key is there only where a key set allows it.
    "EdDSA": ("Ed25519", "Ed448"),
}
_KEY_TYPES: Final = {"ES": "EC", "PS": "RSA", "RS": "RSA", "Ed": "OKP"}


def _build_table() -> Mapping[str, SignatureAlgorithm]:
    """Return the table of algorithms; PyJWT knows Ed25519 by its older name only (RFC 9864)."""
    primitives = get_default_algorithms()
    table = {}
    for name in SIGNING_ALGORITHMS:
        primitive = primitives["EdDSA" if name == "Ed25519" else name]
        table[name] = SignatureAlgorithm(name, _KEY_TYPES[name[:2]], _CURVES.get(name, ()), primitive, _CHECKS[name])
    return MappingProxyType(table)


ALGORITHMS: Final = _build_table()

# `alg` of keys that encrypt to the client (RFC 7518, section 4.1), by key types; nothing here decrypts.
ENCRYPTION_ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "RSA-OAEP": ("RSA",),
        "RSA-OAEP-256": ("RSA",),
        "RSA-OAEP-384": ("RSA",),
        "RSA-OAEP-512": ("RSA",),
        "ECDH-ES": ("EC", "OKP"),
        "ECDH-ES+A128KW": ("EC", "OKP"),
        "ECDH-ES+A192KW": ("EC", "OKP"),
        "ECDH-ES+A256KW": ("EC", "OKP"),
    }
)


def algorithms_agree(one: str, other: str) -> bool:
    """Say whether two `alg` names mean the same thing; EdDSA and Ed25519 do (RFC 9864)."""
    edwards = ("EdDSA", "Ed25519")
    return one == other or (one in edwards and other in edwards)
