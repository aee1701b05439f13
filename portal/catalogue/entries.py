"""The shape of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    Text = _StrPromise | str
    Texts = Mapping[str, tuple[Text, Text]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one or more codes mean, and what to do about it. Each code is an anchor."""

    codes: tuple[str, ...]
    meaning: Text
    advice: Text
    title: Text = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Entries about one thing; `name` is an anchor."""

    name: str
    title: Text
    entries: tuple[Entry, ...]


def group(name: str, title: Text, *tables: Texts, prefixes: Iterable[str] = ("",)) -> Group:
    """Return a group of the entries of `tables`; with `prefixes` each entry stands for one code with each of them."""
    ahead = tuple(prefixes)
    entries = (Entry(tuple(f"{prefix}{code}" for prefix in ahead), *texts) for table in tables for code, texts in table.items())
    return Group(name, title, tuple(entries))


def anchors_of(groups: Iterable[Group]) -> frozenset[str]:
    """Return every code that has an anchor."""
    return frozenset(code for one in groups for entry in one.entries for code in entry.codes)
