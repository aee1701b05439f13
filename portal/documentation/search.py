"""Searching the documentation: the sections of its pages and every code, in the words that the reader sees. No index is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any, Final

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import strip_tags

from portal.catalogue import FINDING_GROUPS, REASON_GROUP, STATEMENT_GROUPS, STEP_GROUP
from portal.documentation.errors import catalogue_entries
from portal.documentation.pages import BY_NAME, PAGES, page_context

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERY_LIMIT: Final = 100
WORDS_LIMIT: Final = 8
EXCERPT: Final = 160
CATALOGUES: Final = ("errors", "findings", "statements", "trust-chain")
_SECTION: Final = re.compile(r'<section[^>]*\bid="(?P<id>[^"]+)"[^>]*>\s*<h2[^>]*>(?P<title>.*?)</h2>(?P<text>.*?)</section>', re.DOTALL)
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found: where it is, what it is called, on which page, and some of its text."""

    url: str
    title: str
    page: str
    excerpt: str
    is_code: bool = False


def search(query: str) -> list[Hit]:
    """Return what holds every word of `query`, codes of that very name first, then those with the words in their title."""
    words = _words(query)
    if not words:
        return []
    found = []
    for hit, text in (*_codes(), *_sections()):
        title, whole = hit.title.casefold(), f"{hit.title} {hit.page} {text}".casefold()
        if all(word in whole for word in words):
            exact = query.strip().casefold() in (title.split(", ") if hit.is_code else [title])
            rank = (not exact, not all(word in title for word in words), hit.is_code)
            found.append((rank, Hit(hit.url, hit.title, hit.page, _excerpt(text, words), hit.is_code)))
    return [hit for _, hit in sorted(found, key=lambda one: one[0])]


def _words(query: str) -> list[str]:
    return _SPACE.sub(" ", query[:QUERY_LIMIT]).strip().casefold().split(" ")[:WORDS_LIMIT] if query.strip() else []


def _codes() -> Iterator[tuple[Hit, str]]:
    """Yield every code with its meaning and advice."""
    pages: tuple[tuple[str, Any], ...] = (
        ("errors", [((entry.code,), "", entry.meaning, entry.advice) for entry in catalogue_entries()]),
        ("findings", [(one.codes, one.title, one.meaning, one.advice) for group in FINDING_GROUPS for one in group.entries]),
        ("statements", [(one.codes, one.title, one.meaning, one.advice) for group in STATEMENT_GROUPS for one in group.entries]),
        ("trust-chain", [(one.codes, one.title, one.meaning, one.advice) for one in (*REASON_GROUP.entries, *STEP_GROUP.entries)]),
    )
    for name, entries in pages:
        address, title = reverse("docs_page", args=[name]), str(BY_NAME[name].title)
        for codes, words, meaning, advice in entries:
            yield Hit(f"{address}#{codes[0]}", str(words) or ", ".join(codes), title, "", is_code=True), f"{meaning} {advice}"


def _sections() -> Iterator[tuple[Hit, str]]:
    """Yield every section of the pages that are text."""
    context = page_context()
    for page in PAGES:
        if page.name in CATALOGUES:
            continue
        address = reverse("docs_page", args=[page.name])
        yield Hit(address, str(page.title), str(page.title), ""), str(page.summary)
        for found in _SECTION.finditer(render_to_string(page.template, context)):
            yield Hit(f"{address}#{found['id']}", _text(found["title"]), str(page.title), ""), _text(found["text"])


def _text(html: str) -> str:
    return _SPACE.sub(" ", unescape(strip_tags(html.replace("<", " <")))).strip()


def _excerpt(text: str, words: list[str]) -> str:
    """Return the part of a text around the first word."""
    places = [place for word in words if (place := text.casefold().find(word)) >= 0]
    start = max(0, min(places, default=0) - EXCERPT // 3)
    cut = text[start : start + EXCERPT]
    return f"{'… ' if start else ''}{cut}{' …' if start + EXCERPT < len(text) else ''}"
