"""Public keys and certificates in PEM form, as JWKs (RFC 7468; RFC 7517; RFC 7638). A private key is refused and never handed on (J07)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_public_key

from protocol.constants import KEYS_PER_SET_LIMIT
from protocol.errors import InvalidKeySet
from protocol.jose.algorithms import ALGORITHMS
from protocol.jose.key_material import load_material
from protocol.jose.keys import thumbprint_of

# Labels of PEM (also of formats that look like it) and of PuTTY files, in any case, that stand before a private key.
_PRIVATE: Final = re.compile(r"--\s{0,9}BEGIN[ A-Z0-9]{0,40}PRIVATE KEY|Private-Lines:|PuTTY-User-Key-File", re.IGNORECASE)
_PUBLIC_LABELS: Final = ("PUBLIC KEY", "RSA PUBLIC KEY")
_CERTIFICATE: Final = "CERTIFICATE"
_BLOCK_CHARACTERS: Final = 16 * 1024
_ALGORITHM_OF_CURVE: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")
_NOT_READABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)


@dataclass(frozen=True, slots=True)
class PemKeys:
    """Public JWKs in order, each named by its thumbprint, and by position until when the certificate around it is valid, in seconds."""

    jwks: tuple[dict[str, Any], ...]
    certificate_ends: dict[int, int]


def parse_public_pem(text: str) -> PemKeys:
    """Return the public keys of a text with PEM blocks; certificates give their keys, and nothing of them is verified.

    Raises `InvalidKeySet` with reason private_key, pem, too_many_keys or what is wrong with a key, and its position.
    """
    if is_private_pem(text):
        raise InvalidKeySet("private_key", "This is a private key.")
    blocks = list(_blocks(text))
    if not blocks:
        raise InvalidKeySet("pem", "There is no block from -----BEGIN to -----END in this text.")
    if len(blocks) > KEYS_PER_SET_LIMIT:
        raise InvalidKeySet("too_many_keys", f"At most {KEYS_PER_SET_LIMIT} keys are converted at once.")
    keys: list[dict[str, Any]] = []
    ends: dict[int, int] = {}
    for position, (label, body) in enumerate(blocks):
        key, end = _load(label, body, position)
        keys.append(_public_jwk(key, position))
        if end is not None:
            ends[position] = end
    return PemKeys(tuple(keys), ends)


def is_private_pem(text: str) -> bool:
    """Say whether a text is, or may be, a private key: by its label, or as bare base64 without one."""
    if _PRIVATE.search(text):
        return True
    bare = "".join(text.split())
    if "-" in bare or not 40 <= len(bare) <= _BLOCK_CHARACTERS:
        return False
    try:
        load_der_private_key(base64.b64decode(bare, validate=True), password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError:  # it is encrypted
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield label and body of each block that is complete."""
    for piece in text.split("-----BEGIN ")[1:]:
        label, _, rest = piece.partition("-----")
        body, mark, _ = rest.partition(f"-----END {label}-----")
        if mark:
            yield label, body


def _load(label: str, body: str, position: int) -> tuple[object, int | None]:
    pem = f"-----BEGIN {label}-----\n{body.strip()}\n-----END {label}-----\n".encode("ascii", "replace")
    if len(pem) > _BLOCK_CHARACTERS:
        raise InvalidKeySet("pem", "The block is too long for a public key.", position=position)
    try:
        if label in _PUBLIC_LABELS:
            return load_pem_public_key(pem), None
        if label == _CERTIFICATE:
            certificate = x509.load_pem_x509_certificate(pem)
            return certificate.public_key(), int(certificate.not_valid_after_utc.timestamp())
    except _NOT_READABLE:
        raise InvalidKeySet("pem", "The block cannot be read as a public key or certificate.", position=position) from None
    raise InvalidKeySet("pem", "Only the blocks PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE hold public keys.", position=position)


def _public_jwk(key: object, position: int) -> dict[str, Any]:
    """Return the JWK; an RSA key works with several algorithms, so that it names none."""
    if isinstance(key, RSAPublicKey):
        algorithm, named = "RS256", False
    elif isinstance(key, EllipticCurvePublicKey) and key.curve.name in _ALGORITHM_OF_CURVE:
        algorithm, named = _ALGORITHM_OF_CURVE[key.curve.name], True
    elif isinstance(key, Ed25519PublicKey):
        algorithm, named = "EdDSA", True
    else:
        sentence = "Only RSA keys, EC keys on P-256, P-384 or P-521, and Ed25519 keys are used."
        raise InvalidKeySet("kty", sentence, position=position)
    exported: dict[str, Any] = ALGORITHMS[algorithm].primitive.to_jwk(key, as_dict=True)
    members: dict[str, Any] = {name: exported[name] for name in _MEMBERS if name in exported}
    try:
        kid = thumbprint_of(load_material(members, allow_ed448=False).members)
    except InvalidKeySet as error:
        raise InvalidKeySet(error.reason, error.description, position=position) from None
    return {**members, "kid": kid, "use": "sig", **({"alg": algorithm} if named else {})}
