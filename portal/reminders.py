"""What people are told because time passed, from every room of the server: found there, told by `registry.reminders`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dcr.token_endings import find_ending_tokens
from federation.trust_reminders import (
    DOUBT,
    decided_requests,
    ended_doubts,
    find_delayed_requests,
    find_doubted,
    find_ending_trust,
)
from registry.actors import job
from registry.endings import KEYS, find_ending_certificates, find_ending_secrets, find_unreachable_keys, recovered_keys
from registry.models import Reminder
from registry.orphans import ORPHANED, find_orphaned, led_again
from registry.registration_digests import summarize_registrations
from registry.reminders import (
    Ending,
    Incident,
    Recovery,
    end_incidents,
    open_incidents,
    purge_reminders,
    remind_of_endings,
    tell_incidents,
)
from registry.review_times import REVIEW, decided_reviews, find_delayed_reviews

ACTOR: Final = job("reminders")
ENDINGS: Final[tuple[Callable[[datetime], Iterator[list[Ending]]], ...]] = (
    find_ending_secrets,
    find_ending_certificates,
    find_ending_tokens,
    find_ending_trust,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """How incidents of one kind are found, and how it is found that they are over."""

    name: str
    find: tuple[Callable[[datetime], Iterator[list[Incident]]], ...]
    over: Callable[[list[Reminder], datetime], list[Recovery]]


INCIDENTS: Final = (
    Kind(KEYS, (find_unreachable_keys,), recovered_keys),
    Kind(DOUBT, (find_doubted,), lambda rows, _: ended_doubts(rows)),
    Kind(ORPHANED, (find_orphaned,), lambda rows, _: led_again(rows)),
    Kind(REVIEW, (find_delayed_reviews, find_delayed_requests), lambda rows, _: [*decided_reviews(rows), *decided_requests(rows)]),
)


def remind(now: datetime) -> dict[str, int]:
    """Tell what came to a step, what went wrong and what is right again; return how many of each. Works in chunks."""
    told = sum(remind_of_endings(chunk, ACTOR, now=now) for find in ENDINGS for chunk in find(now))
    return {"endings": told, **settle_incidents(now, *INCIDENTS), "forgotten": purge_reminders(now)}


def settle_incidents(now: datetime, *kinds: Kind) -> dict[str, int]:
    """Tell incidents that are new and those that are over; return how many of each."""
    over = opened = 0
    for kind in kinds:
        for rows in open_incidents(kind.name):
            over += end_incidents(kind.over(rows, now), ACTOR)
        for find in kind.find:
            opened += sum(tell_incidents(kind.name, chunk, ACTOR, now=now) for chunk in find(now))
    return {"incidents": opened, "recoveries": over}


def watch_trust(now: datetime) -> dict[str, int]:
    """Tell doubts about trust soon after their fifteen minutes."""
    return settle_incidents(now, *(kind for kind in INCIDENTS if kind.name == DOUBT))


def summarize(now: datetime) -> int:
    """Tell organizations of yesterday's registrations; return how many."""
    return summarize_registrations(ACTOR, now=now)
