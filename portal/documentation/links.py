"""Where a code is explained: every page that shows one links there."""

from __future__ import annotations

from typing import Final

from django.urls import reverse

from portal.catalogue import FINDING_GROUPS, REASON_GROUP, STATEMENT_GROUPS, STEP_GROUP, anchors_of
from portal.documentation.errors import ADVICE

# Which page of the documentation has the anchor of a code.
_PAGES: Final[dict[str, str]] = {
    **dict.fromkeys(anchors_of((REASON_GROUP, STEP_GROUP)), "trust-chain"),
    **dict.fromkeys(anchors_of(FINDING_GROUPS), "findings"),
    **dict.fromkeys(anchors_of(STATEMENT_GROUPS), "statements"),
    **dict.fromkeys(ADVICE, "errors"),
}
# What a field itself says; nothing more is said elsewhere.
_SAY_IT_ALL: Final = ("form", "refused")
# Codes that carry another one behind them: an error of a federation, and what is wrong with the keys in a statement.
_CARRIED: Final = {"federation.": "", "statement.": "jwks."}


def documentation_of(code: str) -> str:
    """Return the address of what is said about a code, or nothing for one that is none of ours."""
    if code in _SAY_IT_ALL:
        return ""
    known = next((name for name in (code, *_carried(code)) if name in _PAGES), "")
    return f"{reverse('docs_page', args=[_PAGES[known]])}#{known}" if known else ""


def _carried(code: str) -> list[str]:
    return [instead + code.removeprefix(prefix) for prefix, instead in _CARRIED.items() if code.startswith(prefix)]
