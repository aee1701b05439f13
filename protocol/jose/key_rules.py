"""What may stand beside the numbers of a JWK: one small rule per member, in one table (DCR-JWK-03, -05, -06; RFC 7517, 4).

A rule gets the members of one key and yields `Problem`s; position and set-wide rules are in `keys`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from protocol.jose.algorithms import ALGORITHMS, ENCRYPTION_ALGORITHMS
from protocol.jose.key_material import KeyMaterial

Level = Literal["error", "warning"]

KID_LIMIT: Final = 128
KID_PATTERN: Final = re.compile(rf"[\x20-\x7e]{{1,{KID_LIMIT}}}")
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
USES: Final = ("sig", "enc")
_CERTIFICATE_CHARACTERS: Final = 16 * 1024

_OPERATIONS: Final = {
    "sign": "sig",
    "verify": "sig",
    "encrypt": "enc",
    "decrypt": "enc",
    "wrapKey": "enc",
    "unwrapKey": "enc",
    "deriveKey": "enc",
    "deriveBits": "enc",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or could be better about one key."""

    level: Level
    code: str
    sentence: str


def find_private_member(value: object) -> str | None:
    """Return the first private member name anywhere inside `value`, "kty" for a symmetric key, or None (J07)."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        inner: Iterable[Any] = ()
        if isinstance(item, list):
            inner = item
        elif isinstance(item, dict | MappingProxyType):
            if not PRIVATE_MEMBERS.isdisjoint(item):
                return min(PRIVATE_MEMBERS & item.keys())
            if item.get("kty") == "oct":
                return "kty"
            inner = item.values()
        stack.extend(member for member in inner if isinstance(member, dict | list))
    return None


def review_attributes(jwk: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what the members kid, use, alg, key_ops and x5u of one key get wrong."""
    for rule in _RULES:
        yield from rule(jwk)


def review_certificate(jwk: Mapping[str, Any], material: KeyMaterial) -> tuple[list[Problem], int | None]:
    """Return the problems of `x5c` and, when it matches the key, the second at which the certificate ends (DCR-JWK-06).

    Only the first certificate counts, and only its public key: no chain is validated here.
    """
    if "x5c" not in jwk:
        return [], None
    certificate = _parse_certificate(jwk["x5c"])
    if certificate is None:
        sentence = "'x5c' is an array of certificates in base64 (DER), and its first one cannot be read."
        return [Problem("error", "x5c", sentence)], None
    try:
        matches = certificate.public_key() == material.verifying_key
        end = int(certificate.not_valid_after_utc.timestamp())
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        matches, end = False, 0
    if not matches:
        return [Problem("error", "x5c_mismatch", "The first certificate in 'x5c' is about another key.")], None
    return [], end


def _parse_certificate(value: object) -> x509.Certificate | None:
    """Return the first certificate of an `x5c` value, or None when there is none that can be read."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        return None
    if len(value[0]) > _CERTIFICATE_CHARACTERS:
        return None
    try:
        return x509.load_der_x509_certificate(base64.b64decode(value[0], validate=True))
    except (ValueError, TypeError):
        return None


def _review_kid(jwk: Mapping[str, Any]) -> Iterator[Problem]:
    """`kid` is an opaque name, short and printable, so that it is harmless in logs and cache keys (J09)."""
    if "kid" in jwk and not (isinstance(jwk["kid"], str) and KID_PATTERN.fullmatch(jwk["kid"])):
        yield Problem("error", "kid", f"'kid' is a text of 1 to {KID_LIMIT} printable ASCII characters.")


def _review_use(jwk: Mapping[str, Any]) -> Iterator[Problem]:
    """`use` says sig or enc, nothing else (RFC 7517, 4.2)."""
    if "use" in jwk and jwk["use"] not in USES:
        yield Problem("error", "use", "'use' is either 'sig' or 'enc'.")
    elif "use" not in jwk:
        yield Problem("warning", "use_missing", "The key does not say what it is for: add 'use'.")


def _review_algorithm(jwk: Mapping[str, Any]) -> Iterator[Problem]:
    """`alg` fits the type of the key and its use (RFC 7517, 4.4)."""
    name, kty, use = jwk.get("alg"), jwk.get("kty"), jwk.get("use")
    if "alg" not in jwk:
        yield Problem("warning", "alg_missing", "The key does not say which algorithm it is for: add 'alg'.")
    elif not isinstance(name, str):
        yield Problem("error", "alg", "'alg' is a text.")
    elif name in ALGORITHMS:
        if not ALGORITHMS[name].fits(str(kty), jwk.get("crv")):
            yield Problem("error", "alg", f"A key of this type or curve cannot be used with {name}.")
        if use == "enc":
            yield Problem("error", "alg", f"{name} signs, but 'use' says that the key encrypts.")
    elif name in ENCRYPTION_ALGORITHMS:
        if kty not in ENCRYPTION_ALGORITHMS[name]:
            yield Problem("error", "alg", f"A key of this type cannot be used with {name}.")
        if use == "sig":
            yield Problem("error", "alg", f"{name} encrypts, but 'use' says that the key signs.")
    elif name == "none" or name.startswith("HS"):
        yield Problem("error", "alg", "'alg' names an algorithm that does not work with public keys.")
    else:
        yield Problem("warning", "alg_unknown", "'alg' names an algorithm that this server does not use.")


def _review_operations(jwk: Mapping[str, Any]) -> Iterator[Problem]:
    """`key_ops` is a list without repetition, of one purpose, and agrees with `use` and `alg` (RFC 7517, 4.3)."""
    if "key_ops" not in jwk:
        return
    operations = jwk["key_ops"]
    if not isinstance(operations, list) or not operations or not all(isinstance(item, str) for item in operations):
        yield Problem("error", "key_ops", "'key_ops' is an array of texts.")
        return
    if len(set(operations)) != len(operations):
        yield Problem("error", "key_ops", "'key_ops' names an operation twice.")
    purposes = {_OPERATIONS[item] for item in operations if item in _OPERATIONS}
    name = str(jwk.get("alg"))
    if name in ALGORITHMS:
        purposes.add("sig")
    elif name in ENCRYPTION_ALGORITHMS:
        purposes.add("enc")
    if jwk.get("use") in USES:
        purposes.add(jwk["use"])
    if len(purposes) > 1:
        yield Problem("error", "key_ops", "'key_ops', 'use' and 'alg' do not agree: one key either signs or encrypts.")
    elif purposes == {"sig"} and "verify" not in operations:
        yield Problem("error", "key_ops", "'key_ops' of a public key that checks signatures holds 'verify'.")


def _review_certificate_url(jwk: Mapping[str, Any]) -> Iterator[Problem]:
    """`x5u` is never fetched (DCR-JWK-06)."""
    if "x5u" in jwk:
        yield Problem("warning", "x5u_ignored", "'x5u' is ignored: this server never fetches certificates.")


_RULES: Final[tuple[Callable[[Mapping[str, Any]], Iterator[Problem]], ...]] = (
    _review_kid,
    _review_use,
    _review_algorithm,
    _review_operations,
    _review_certificate_url,
)
