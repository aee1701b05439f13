"""Human-readable members in several languages: `client_name#ja-Kana-JP` (RFC 7591, 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from registry.client_metadata.fields import LOCALIZABLE, READERS
from registry.findings import Findings

TAGS_LIMIT: Final = 20
# BCP 47, 2.1, without the grandfathered and private-use-only tags.
_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


def read_localized(document: Mapping[str, object], findings: Findings) -> Iterator[tuple[str, object]]:
    """Yield the tagged members of `document` that are valid, as given; findings go to `findings` (DCR-LANG-01 to -04)."""
    seen: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = dict.fromkeys(LOCALIZABLE, 0)
    for name, value in document.items():
        member, mark, tag = name.partition("#")
        if not mark or member not in LOCALIZABLE or value is None or value == "":
            continue
        counts[member] += 1
        if counts[member] > TAGS_LIMIT:
            findings.error("language.too_many", member, f"{member} must have at most {TAGS_LIMIT} languages.")
            return
        if len(tag) > 35 or not _TAG.fullmatch(tag):
            findings.error("language.tag", name[:80], f"{member} has a language tag that is not one of BCP 47.")
        elif (member, tag.lower()) in seen:
            findings.error("language.twice", name, f"{member} is given twice for the language {tag}.", "Keep one; case does not matter.")
        elif (read := READERS[member](value, name, findings)) is not None:
            seen[member, tag.lower()] = name
            yield name, read
