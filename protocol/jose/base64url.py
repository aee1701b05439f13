"""Base64url without padding, in its one canonical spelling (RFC 7515, section 2; RFC 4648, section 3.5)."""

from __future__ import annotations

import base64
import binascii
from typing import Final

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PADDING: Final = (b"", b"", b"==", b"=")
# The last character of a shorter group may only be one whose unused bits are zero.
_LAST_OF_GROUP: Final = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}


def decode_base64url(text: str) -> bytes:
    """Return the bytes of `text`; raises ValueError for padding, other characters and non-zero trailing bits."""
    encoded, remainder = text.encode(), len(text) % 4
    if remainder == 1 or encoded.translate(None, ALPHABET) or (remainder and encoded[-1] not in _LAST_OF_GROUP[remainder]):
        raise ValueError("not canonical base64url")
    return binascii.a2b_base64(encoded.replace(b"-", b"+").replace(b"_", b"/") + _PADDING[remainder])


def encode_base64url(data: bytes) -> str:
    """Return `data` as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
