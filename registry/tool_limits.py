"""How often people may make this server fetch something for them to look at, counted by each process in memory (threats.md F14, S11)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from protocol.errors import TooManyRequests
from protocol.fetch import Fetcher
from registry.outbound import BudgetedFetcher, get_fetcher
from registry.windows import WINDOW_SECONDS, WindowCounter, network_of

QUESTIONS_PER_PERSON: Final = 10
QUESTIONS_PER_NETWORK: Final = 20
QUESTIONS_OF_ALL: Final = 30
# Apart from the places for lookups that apps wait for, so that questions take none of those.
QUESTIONS_AT_ONCE: Final = 2
# What one question may cost altogether: a resolution, its keys and its trust marks.
FETCHES_PER_QUESTION: Final = 24
SECONDS_PER_QUESTION: Final = 8.0

questions: Final = WindowCounter()
_places = threading.BoundedSemaphore(QUESTIONS_AT_ONCE)


@contextmanager
def question(person: str, source: str | None) -> Iterator[Fetcher]:
    """Count a question of a person, and give the fetcher that answers it within what it may cost. Raises TooManyRequests."""
    _note(person, source)
    if not _places.acquire(blocking=False):
        raise TooManyRequests("Other addresses are being looked at just now. Ask again in a few seconds.", retry_after=5)
    try:
        yield BudgetedFetcher(get_fetcher(), fetches=FETCHES_PER_QUESTION, seconds=SECONDS_PER_QUESTION)
    finally:
        _places.release()


def _note(person: str, source: str | None) -> None:
    """Count in turn for the person, their network and everybody, so that who is refused uses up nothing of the others'."""
    counted = (
        ("person", person, QUESTIONS_PER_PERSON, "You can have {limit} addresses looked at in a minute."),
        (
            "network",
            network_of(source) if source else "",
            QUESTIONS_PER_NETWORK,
            "Your network can have {limit} addresses looked at in a minute.",
        ),
        ("all", "", QUESTIONS_OF_ALL, "Everybody together can have {limit} addresses looked at in a minute."),
    )
    for kind, name, limit, words in counted:
        if (name or kind == "all") and questions.count(kind, name) > limit:
            raise TooManyRequests(f"{words.format(limit=limit)} Wait a minute, then ask again.", retry_after=WINDOW_SECONDS)
