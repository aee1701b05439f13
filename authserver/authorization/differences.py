"""Showing a developer how a redirect URI differs from a registered one: where both begin and end alike. Pure.

Anybody may send a redirect URI, so the work must grow with its length only; difflib takes seconds for one letter five hundred times.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Literal

SHOWN_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters: in both, only received, or only registered."""

    text: str
    kind: Literal["same", "received", "registered"]


def nearest(received: str, registered: Collection[str]) -> str | None:
    """Return the registered value that is most like the received one, or None when nothing is registered or received."""
    if not received:
        return None
    return max(registered, key=lambda value: sum(_alike(received[:SHOWN_LIMIT], value[:SHOWN_LIMIT])), default=None)


def show_difference(received: str, registered: str) -> list[Piece]:
    """Return the pieces that make both strings, in order: what is the same, what was received, what is registered, what is the same."""
    received, registered = received[:SHOWN_LIMIT], registered[:SHOWN_LIMIT]
    start, end = _alike(received, registered)
    pieces = [
        Piece(received[:start], "same"),
        Piece(received[start : len(received) - end], "received"),
        Piece(registered[start : len(registered) - end], "registered"),
        Piece(received[len(received) - end :], "same"),
    ]
    return [piece for piece in pieces if piece.text]


def _alike(one: str, other: str) -> tuple[int, int]:
    """Return how many characters are the same at the start and, of the rest, at the end."""
    start = _begin_alike(one, other)
    return start, _begin_alike(one[start:][::-1], other[start:][::-1])


def _begin_alike(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
