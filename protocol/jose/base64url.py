"""Base64url without padding, in its one canonical spelling (RFC 7515, section 2; RFC 4648, section 3.5)."""

from __future__ import annotations

import base64
import binascii
from typing import Final

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PADDING: Final = (b"", b"", b"==", b"=")
_TO_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
# The last character of a shorter group may only be one whose unused bits are zero; of a whole group it may be any, and one alone is none.
_LAST_OF_GROUP: Final = (frozenset(ALPHABET), frozenset(b""), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def decode_base64url(text: str) -> bytes:
    """Return the bytes of `text`; raises ValueError for padding, other characters and non-zero trailing bits."""
    encoded = text.encode()
    if encoded.translate(None, ALPHABET):
        raise ValueError("not canonical base64url")
    return decode_checked_base64url(encoded)


def decode_checked_base64url(encoded: bytes) -> bytes:
    """Do the same with what is known to hold characters of `ALPHABET` only."""
    remainder = len(encoded) % 4
    if encoded and encoded[-1] not in _LAST_OF_GROUP[remainder]:
        raise ValueError("not canonical base64url")
    return binascii.a2b_base64(encoded.translate(_TO_STANDARD_ALPHABET) + _PADDING[remainder])


def encode_base64url(data: bytes) -> str:
    """Return `data` as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
