"""The signature algorithms of this server as one table; HMAC and `none` are not in it, so they cannot be chosen (J01, J02).

The primitives are PyJWT's algorithm objects; everything around the signature is checked by us (RFC 7518, 8037, 9864).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import PyJWTError

from protocol.constants import SIGNING_ALGORITHMS

VerifyingKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """A JWS algorithm: the one key type and the curves it works with, and the primitive that signs and verifies."""

    name: str
    kty: str
    curves: tuple[str, ...]
    primitive: Algorithm

    def fits(self, kty: str, crv: str | None) -> bool:
        """Say whether a key of this type and curve may be used with the algorithm at all (J01)."""
        return kty == self.kty and (not self.curves or crv in self.curves)

    def verifies(self, key: VerifyingKey, signing_input: bytes, signature: bytes) -> bool:
        """Say whether `signature` over `signing_input` is right; an error inside a library is a no."""
        try:
            # The argument is typed Any upstream, so the answer is made a bool here.
            return bool(self.primitive.verify(signing_input, key, signature))
        except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
            return False

    def sign(self, key: Any, signing_input: bytes) -> bytes:
        """Return the signature of `signing_input` by the private `key`, which must fit the algorithm."""
        return self.primitive.sign(signing_input, key)


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
        table[name] = SignatureAlgorithm(name, _KEY_TYPES[name[:2]], _CURVES.get(name, ()), primitive)
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
