"""Reading a compact JWS once: what is read here is what gets verified, over the original bytes (J06, J10, J11).

RFC 7515, section 7.1; RFC 7519, section 7.2; FED-JOS-01.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from protocol.errors import InvalidJson, InvalidJwt
from protocol.jose.base64url import ALPHABET, decode_checked_base64url
from protocol.strict_json import parse_json_object

_CHARACTERS: Final = ALPHABET + b"."
_ENCRYPTED_DOTS: Final = 4
HEADERS_REMEMBERED: Final = 1024
# Characters. Longer ones carry trust chains, which are large and seldom come twice.
_SHORT_HEADER: Final = 512


@dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """A JWT that was read but not verified; only `parse_unverified` makes one. Nothing in it may be relied on yet."""

    token: str = field(repr=False)
    unverified_header: Mapping[str, Any]
    unverified_claims: Mapping[str, Any]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_unverified(token: str | bytes, *, max_length: int) -> UnverifiedJwt:
    """Return the parts of a compact JWS of at most `max_length` characters, without any trust in them.

    Raises `InvalidJwt` with reason `too_long`, `encrypted`, `shape`, `base64url` or `json`.
    """
    encoded = _gate(token, max_length)
    parts = encoded.split(b".")
    if len(parts) != 3 or not all(parts) or encoded.translate(None, _CHARACTERS):
        raise InvalidJwt("shape", "The JWT is not a compact JWS: three base64url parts joined by dots.")
    header, claims, signature = parts
    return UnverifiedJwt(
        encoded.decode(),
        _parse_short_header(header) if len(header) <= _SHORT_HEADER else _parse_part(header, "header"),
        _parse_part(claims, "payload"),
        encoded[: -len(signature) - 1],
        _decode_part(signature, "signature"),
    )


def _gate(token: str | bytes, max_length: int) -> bytes:
    """Refuse by length first, then what is clearly something else, before any decoding (J10, J11)."""
    if len(token) > max_length:
        raise InvalidJwt("too_long", f"The JWT is longer than {max_length} characters.")
    encoded = token.encode("utf-8", "surrogatepass") if isinstance(token, str) else token
    if not encoded.isascii():
        raise InvalidJwt("shape", "The JWT holds characters that no JWT has.")
    if encoded.count(b".") == _ENCRYPTED_DOTS:
        raise InvalidJwt("encrypted", "Encrypted JWTs (five parts) are not accepted.")
    return encoded


@lru_cache(maxsize=HEADERS_REMEMBERED)
def _parse_short_header(encoded: bytes) -> Mapping[str, Any]:
    """Return a header as `_parse_part` does, from memory when it came before: what one key signs begins alike. Bounded (S11)."""
    return _parse_part(encoded, "header")


def forget_headers() -> None:
    """Forget every header that was parsed, as in a process that has just started; for measuring."""
    _parse_short_header.cache_clear()


def _decode_part(encoded: bytes, part: str) -> bytes:
    try:
        return decode_checked_base64url(encoded)
    except ValueError:
        raise InvalidJwt("base64url", f"The {part} of the JWT is not canonical base64url.") from None


def _parse_part(encoded: bytes, part: str) -> Mapping[str, Any]:
    """Return the JSON object of one part, read strictly (J12, J13)."""
    data = _decode_part(encoded, part)
    try:
        return MappingProxyType(parse_json_object(data, max_bytes=len(data)))
    except InvalidJson as error:
        raise InvalidJwt("json", f"The {part} of the JWT is refused: {error.description}", detail=error.reason) from None
