"""Base64url without padding, in its one canonical spelling (RFC 7515, section 2; RFC 4648, section 3.5)."""

from __future__ import annotations

import base64
import re
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")
# The last character of a shorter group may only be one whose unused bits are zero.
_LAST_OF_GROUP: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


def decode_base64url(text: str) -> bytes:
    """Return the bytes of `text`; raises ValueError for padding, other characters and non-zero trailing bits."""
    remainder = len(text) % 4
    if remainder == 1 or not _ALPHABET.fullmatch(text) or (remainder and text[-1] not in _LAST_OF_GROUP[remainder]):
        raise ValueError("not canonical base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode_base64url(data: bytes) -> str:
    """Return `data` as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
