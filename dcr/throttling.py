"""How often may be registered: per source, per token and in all, counted by each process (DCR-HTTP-10; threats.md R01)."""

from __future__ import annotations

from typing import Final

from protocol.errors import TooManyRequests
from registry.windows import WINDOW_SECONDS, WindowCounter, network_of

PER_SOURCE: Final = 120
PER_TOKEN: Final = 120
OPEN_PER_SOURCE: Final = 5
OPEN_IN_ALL: Final = 30
IN_ALL: Final = 1200

requests: Final = WindowCounter()


def note_request(source_address: str) -> None:
    """Count a request, before anything of it is read. Raises TooManyRequests."""
    _count("all", "", IN_ALL, "registrations here")
    _count("source", network_of(source_address), PER_SOURCE, "registrations from your network")


def note_token(name: str) -> None:
    """Count a request that came with a known token. Raises TooManyRequests."""
    _count("token", name, PER_TOKEN, "requests with this token")


def note_open_registration(source_address: str) -> None:
    """Count a registration without any token. Raises TooManyRequests."""
    _count("open", "", OPEN_IN_ALL, "open registrations here")
    _count("open source", network_of(source_address), OPEN_PER_SOURCE, "open registrations from your network")


def _count(kind: str, name: str, limit: int, what: str) -> None:
    if requests.count(kind, name) > limit:
        raise TooManyRequests(f"Too many {what}; wait a minute.", retry_after=WINDOW_SECONDS)
