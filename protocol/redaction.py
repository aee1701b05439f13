"""Cutting credentials out of texts that are kept or shown (threats.md R05)."""

from __future__ import annotations

import re
from typing import Final

CUT: Final = "[cut]"
# Every credential this server makes starts with one of these; JWTs start with a base64url "{"; Basic credentials carry secrets too.
_CREDENTIAL: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:cac|cat|cci|ccr|ccs|crt|inv|iat|par|rat)_[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"
    r"|\b[Bb]asic [A-Za-z0-9+/=]{16,}"
)


def cut_credentials_from(text: str) -> str:
    """Return `text` with `CUT` in place of whatever has the shape of a credential."""
    return _CREDENTIAL.sub(CUT, text)
