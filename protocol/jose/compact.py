"""Reading a compact JWS once: what is read here is what gets verified, over the original bytes (J06, J10, J11).

RFC 7515, section 7.1; RFC 7519, section 7.2; FED-JOS-01.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from protocol.errors import InvalidJson, InvalidJwt
from protocol.jose.base64url import ALPHABET, decode_base64url
from protocol.strict_json import parse_json_object

_CHARACTERS: Final = ALPHABET + b"."
_ENCRYPTED_DOTS: Final = 4


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
    text = _gate(token, max_length)
    parts = text.split(".")
    if len(parts) != 3 or not all(parts) or text.encode("utf-8", "surrogatepass").translate(None, _CHARACTERS):
        raise InvalidJwt("shape", "The JWT is not a compact JWS: three base64url parts joined by dots.")
    header, claims, signature = parts
    return UnverifiedJwt(
        token=text,
        unverified_header=_parse_part(header, "header"),
        unverified_claims=_parse_part(claims, "payload"),
        signing_input=text[: text.rindex(".")].encode(),
        signature=_decode_part(signature, "signature"),
    )


def _gate(token: str | bytes, max_length: int) -> str:
    """Refuse by length first, then what is clearly something else, before any decoding (J10, J11)."""
    if len(token) > max_length:
        raise InvalidJwt("too_long", f"The JWT is longer than {max_length} characters.")
    try:
        text = token if isinstance(token, str) else token.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidJwt("shape", "The JWT holds characters that no JWT has.") from None
    if text.count(".") == _ENCRYPTED_DOTS:
        raise InvalidJwt("encrypted", "Encrypted JWTs (five parts) are not accepted.")
    return text


def _decode_part(text: str, part: str) -> bytes:
    try:
        return decode_base64url(text)
    except ValueError:
        raise InvalidJwt("base64url", f"The {part} of the JWT is not canonical base64url.") from None


def _parse_part(text: str, part: str) -> Mapping[str, Any]:
    """Return the JSON object of one part, read strictly (J12, J13)."""
    data = _decode_part(text, part)
    try:
        return MappingProxyType(parse_json_object(data, max_bytes=len(data)))
    except InvalidJson as error:
        raise InvalidJwt("json", f"The {part} of the JWT is refused: {error.description}", detail=error.reason) from None
