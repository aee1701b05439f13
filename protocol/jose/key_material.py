"""From the members of one JWK to a public key object: sizes and encodings are checked before anything is built (J08).

Each loader raises `InvalidKeySet` without a position; the caller knows which key of the set it is. RFC 7518, 6; RFC 8037.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from protocol.errors import InvalidKeySet
from protocol.jose.algorithms import VerifyingKey
from protocol.jose.base64url import decode_base64url

RSA_BITS: Final = (2048, 8192)
RSA_EXPONENTS: Final = (65537, 2**32 - 1)
_RSA_MODULUS_CHARACTERS: Final = (RSA_BITS[1] // 8 * 4 + 2) // 3
_RSA_EXPONENT_CHARACTERS: Final = 6

_CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, int]]] = MappingProxyType(
    {"P-256": (ec.SECP256R1(), 32), "P-384": (ec.SECP384R1(), 48), "P-521": (ec.SECP521R1(), 66)}
)

# Edwards25519: the field, the curve constant, and the y coordinates of points of small order, with which anybody can sign.
_FIELD: Final = 2**255 - 19
_EDWARDS_D: Final = -121665 * pow(121666, -1, _FIELD) % _FIELD
_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    }
)
_ED448_BYTES: Final = 57


class KeyMaterial(NamedTuple):
    """A public key that passed its checks: type, curve, size in bits, the members that make it up, and the key object."""

    kty: str
    crv: str | None
    bits: int
    members: Mapping[str, str]
    verifying_key: VerifyingKey


def load_material(jwk: Mapping[str, Any], *, allow_ed448: bool) -> KeyMaterial:
    """Return the public key of `jwk`, whose `kty` is RSA, EC or OKP; raises `InvalidKeySet` (DCR-JWK-04, J08)."""
    if jwk["kty"] == "RSA":
        return _load_rsa(jwk)
    if jwk["kty"] == "EC":
        return _load_ec(jwk)
    return _load_okp(jwk, allow_ed448=allow_ed448)


def _octets(jwk: Mapping[str, Any], member: str, *, limit: int | None = None) -> bytes:
    """Return the bytes of a base64url member of at most `limit` characters."""
    text = jwk.get(member)
    if not isinstance(text, str) or not text:
        raise InvalidKeySet("member_missing", f"The key has no text member '{member}'.")
    if limit is not None and len(text) > limit:
        reason = "rsa_size" if member == "n" else "rsa_exponent"
        raise InvalidKeySet(reason, f"The member '{member}' of the key is too long: {_RSA_RULE}")
    try:
        return decode_base64url(text)
    except ValueError:
        sentence = f"The member '{member}' is not base64url without padding in its shortest form."
        raise InvalidKeySet("base64url", sentence) from None


_RSA_RULE: Final = f"RSA keys have {RSA_BITS[0]} to {RSA_BITS[1]} bits and an odd exponent, usually 65537 (AQAB)."


def _load_rsa(jwk: Mapping[str, Any]) -> KeyMaterial:
    """Return an RSA key; an integer has no leading zero byte (RFC 7518, 2, Base64urlUInt)."""
    modulus_octets = _octets(jwk, "n", limit=_RSA_MODULUS_CHARACTERS)
    exponent_octets = _octets(jwk, "e", limit=_RSA_EXPONENT_CHARACTERS)
    if modulus_octets[0] == 0 or exponent_octets[0] == 0:
        raise InvalidKeySet("base64url", "The members 'n' and 'e' are integers without a leading zero byte.")
    modulus, exponent = int.from_bytes(modulus_octets, "big"), int.from_bytes(exponent_octets, "big")
    bits = modulus.bit_length()
    if not RSA_BITS[0] <= bits <= RSA_BITS[1]:
        raise InvalidKeySet("rsa_size", f"The RSA key has {bits} bits. {_RSA_RULE}")
    if modulus % 2 == 0:
        raise InvalidKeySet("rsa_modulus", "The modulus of the RSA key is even, so it is not a product of two primes.")
    if exponent % 2 == 0 or not RSA_EXPONENTS[0] <= exponent <= RSA_EXPONENTS[1]:
        raise InvalidKeySet("rsa_exponent", f"The exponent of the RSA key is refused. {_RSA_RULE}")
    try:
        key = RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise InvalidKeySet("rsa_modulus", "The RSA key cannot be used.") from None
    return KeyMaterial("RSA", None, bits, {"e": jwk["e"], "kty": "RSA", "n": jwk["n"]}, key)


def _load_ec(jwk: Mapping[str, Any]) -> KeyMaterial:
    """Return a key on P-256, P-384 or P-521; the library refuses a point that is not on the curve."""
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in _CURVES:
        raise InvalidKeySet("curve", f"EC keys are on one of the curves {', '.join(_CURVES)}.")
    curve, size = _CURVES[name]
    x, y = _octets(jwk, "x"), _octets(jwk, "y")
    if len(x) != size or len(y) != size:
        raise InvalidKeySet("coordinate", f"The members 'x' and 'y' of a {name} key have {size} bytes each.")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)
    except ValueError:
        raise InvalidKeySet("point", f"The point of the key is not on the curve {name}.") from None
    members = {"crv": name, "kty": "EC", "x": jwk["x"], "y": jwk["y"]}
    return KeyMaterial("EC", name, curve.key_size, members, key)


def _load_okp(jwk: Mapping[str, Any], *, allow_ed448: bool) -> KeyMaterial:
    """Return an Ed25519 key, or an Ed448 key where that is allowed."""
    name = jwk.get("crv")
    if name == "Ed25519":
        bits, key = 256, _load_ed25519(_octets(jwk, "x"))
    elif name == "Ed448" and allow_ed448:
        bits, key = 456, _load_ed448(_octets(jwk, "x"))
    else:
        raise InvalidKeySet("curve", f"OKP keys are on the curve Ed25519{' or Ed448' if allow_ed448 else ''}.")
    return KeyMaterial("OKP", name, bits, {"crv": name, "kty": "OKP", "x": jwk["x"]}, key)


def _load_ed25519(octets: bytes) -> VerifyingKey:
    """Return an Ed25519 key; OpenSSL would load any 32 bytes, so the point is checked here."""
    if len(octets) != 32:
        raise InvalidKeySet("coordinate", "The member 'x' of an Ed25519 key has 32 bytes.")
    if not _is_safe_edwards_point(octets):
        raise InvalidKeySet("point", "The point of the key is not on the curve Ed25519 or has a small order.")
    return Ed25519PublicKey.from_public_bytes(octets)


def _load_ed448(octets: bytes) -> VerifyingKey:
    """Return an Ed448 key; only its length is checked."""
    if len(octets) != _ED448_BYTES:
        raise InvalidKeySet("coordinate", f"The member 'x' of an Ed448 key has {_ED448_BYTES} bytes.")
    try:
        return Ed448PublicKey.from_public_bytes(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidKeySet("point", "The Ed448 key cannot be used.") from None


@lru_cache(maxsize=1024)  # one exponentiation costs more than a signature check, and sweeps meet the same keys again
def _is_safe_edwards_point(octets: bytes) -> bool:
    """Say whether `octets` are the canonical encoding of a point that is not of small order (RFC 8032, 5.1.3)."""
    y = int.from_bytes(octets, "little") & (2**255 - 1)
    if y >= _FIELD or y in _SMALL_ORDER_Y:
        return False
    numerator, denominator = (y * y - 1) % _FIELD, (_EDWARDS_D * y * y + 1) % _FIELD
    # x squared is numerator / denominator, a square exactly when the product of the two is one (Euler).
    return pow(numerator * denominator % _FIELD, (_FIELD - 1) // 2, _FIELD) == 1
