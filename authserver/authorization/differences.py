"""Showing a developer how a redirect URI differs from a registered one, character by character. Pure.

Anybody may send a redirect URI, so the work must stay small; difflib takes seconds for one letter five hundred times. It only sees what
is left between a common start and a common end, and only when that is short.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Final, Literal

SHOWN_LIMIT: Final = 500
COMPARED_LIMIT: Final = 64


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
    """Return the pieces that make both strings, in order; of a difference first what was received, then what is registered."""
    received, registered = received[:SHOWN_LIMIT], registered[:SHOWN_LIMIT]
    start, end = _alike(received, registered)
    middle = _compare(received[start : len(received) - end], registered[start : len(registered) - end])
    pieces = [Piece(received[:start], "same"), *middle, Piece(received[len(received) - end :], "same")]
    return [piece for piece in pieces if piece.text]


def _compare(received: str, registered: str) -> list[Piece]:
    """Return the pieces of the part that differs."""
    if max(len(received), len(registered)) > COMPARED_LIMIT:
        return [Piece(received, "received"), Piece(registered, "registered")]
    pieces = []
    for kind, here, to_here, there, to_there in SequenceMatcher(None, received, registered, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece(received[here:to_here], "same"))
        else:
            pieces += [Piece(received[here:to_here], "received"), Piece(registered[there:to_there], "registered")]
    return pieces


def _alike(one: str, other: str) -> tuple[int, int]:
    """Return how many characters are the same at the start and, of the rest, at the end."""
    start = _begin_alike(one, other)
    return start, _begin_alike(one[start:][::-1], other[start:][::-1])


def _begin_alike(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
