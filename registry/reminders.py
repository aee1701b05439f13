"""Telling people, before and after, that something ends or stands still: each step once, and anew when it was prolonged (portal.md 4.8).

Each room finds what it owns, in chunks (`registry.endings`, `registry.waiting`, `dcr.token_endings`, `federation.trust_reminders`);
what is told follows from here. A row of `Reminder` says that a step was told: whoever writes it tells it, so two workers tell it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import IntegrityError, models, transaction

from registry.actors import Actor
from registry.models import Organization, Reminder
from registry.notices import record_news

CHUNK: Final = 500
DAYS_BEFORE: Final = (1, 7, 14, 30)
# From then on people are told that something ends, and lists and pages say that it ends soon.
FIRST_TOLD_BEFORE: Final = timedelta(days=max(DAYS_BEFORE))
# What ended longer ago than this is no news, as after a long stop of the server.
TOLD_AFTER_END: Final = timedelta(days=3)
KEPT: Final = timedelta(days=90)
ENDED, OPEN = "ended", "open"
# An incident is open once, whoever finds it at whichever moment: so all rows about it name the same one.
_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that ends at `moment`. `event` and `ended_event` are the names of the warning and the end; an empty one is not told.

    A step that was over when it began, at `since`, is not told: what is made for a week is no news for having a week left.
    """

    subject: str
    sentence: str
    about: models.Model
    organization: Organization
    moment: datetime
    event: str
    ended_event: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong, told once under `event`; that it is over is a `Recovery`."""

    subject: str
    sentence: str
    about: models.Model
    organization: Organization | None
    event: str


def ends_soon(end: datetime, now: datetime, *, since: datetime | None = None) -> bool:
    """Say whether something that is to end at `end` does so within 30 days; with `since`, only once half of its life is over. Pure."""
    left = end - now
    return timedelta() < left <= FIRST_TOLD_BEFORE and (since is None or left <= (end - since) / 2)


def step_of(ending: Ending, now: datetime) -> str | None:
    """Return the step that `ending` has come to, as days before or `ended`; None when there is nothing to tell."""
    if ending.moment <= now:
        return ENDED if ending.ended_event and ending.moment > now - TOLD_AFTER_END else None
    if not ending.event:
        return None
    days = next((days for days in DAYS_BEFORE if ending.moment - timedelta(days=days) <= now), None)
    if days is None or (ending.since is not None and ending.moment - timedelta(days=days) <= ending.since):
        return None
    return str(days)


def remind_of_endings(endings: Sequence[Ending], actor: Actor, *, now: datetime) -> int:
    """Tell what has come to a step that was not told; return how many. One query for the chunk, and a transaction for each told."""
    steps = {(one.subject, one.moment, step): one for one in endings if (step := step_of(one, now))}
    rows = Reminder.objects.filter(subject__in={subject for subject, _, _ in steps})
    known = set(rows.values_list("subject", "moment", "step"))
    return sum(_tell_ending(one, key[2], actor, now) for key, one in steps.items() if key not in known)


def _tell_ending(ending: Ending, step: str, actor: Actor, now: datetime) -> bool:
    event = ending.ended_event if step == ENDED else ending.event
    with transaction.atomic():
        if not note_told(ending.subject, ending.moment, step, now=now):
            return False
        record_news(actor, event, ending.about, ending.organization, reason=f"{ending.sentence} {_when(ending.moment, now)}")
    return True


def note_told(subject: str, moment: datetime, step: str, *, now: datetime) -> bool:
    """Write down, in the caller's transaction, that a step was told; say whether nobody else has."""
    try:
        with transaction.atomic():
            Reminder.objects.create(subject=subject, moment=moment, step=step, told_at=now)
    except IntegrityError:
        return False
    return True


def _when(moment: datetime, now: datetime) -> str:
    """Return when something ends, absolute and in whole days."""
    day = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if moment <= now:
        return f"It ended on {day}."
    hours = max(1, round((moment - now) / timedelta(hours=1)))
    left = f"{round(hours / 24)} days" if hours >= 36 else f"{hours} {'hour' if hours == 1 else 'hours'}"
    return f"It ends on {day}, in {left}."


def tell_incidents(kind: str, incidents: Iterable[Incident], actor: Actor, *, now: datetime) -> int:
    """Tell each incident of `kind` that was not told; return how many. `subject` of each begins with the kind and a colon."""
    found = {one.subject: one for one in incidents}
    if any(not subject.startswith(f"{kind}:") for subject in found):
        raise ValueError(f"an incident is not of the kind {kind}")
    known = set(_open_rows(kind).filter(subject__in=found).values_list("subject", flat=True))
    told = 0
    for one in (one for subject, one in found.items() if subject not in known):
        with transaction.atomic():
            if note_told(one.subject, _ONCE, OPEN, now=now):
                record_news(actor, one.event, one.about, one.organization, reason=one.sentence)
                told += 1
    return told


@dataclass(frozen=True, slots=True)
class Recovery:
    """That an incident is over, and what the trail calls that; one without an event, or without its subject, is forgotten in silence."""

    row: Reminder
    about: models.Model | None = None
    organization: Organization | None = None
    event: str = ""
    sentence: str = ""


def open_incidents(kind: str) -> Iterator[list[Reminder]]:
    """Yield the incidents of `kind` that were told and are not known to be over, in chunks."""
    after = 0
    while rows := list(_open_rows(kind).filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield rows
        after = rows[-1].pk


def _open_rows(kind: str) -> models.QuerySet[Reminder]:
    return Reminder.objects.filter(subject__startswith=f"{kind}:", step=OPEN)


def end_incidents(recoveries: Iterable[Recovery], actor: Actor) -> int:
    """Forget incidents that are over, so that the next one is told, and tell of those that have an event; return how many were told."""
    told = 0
    for one in recoveries:
        with transaction.atomic():
            mine, _ = Reminder.objects.filter(pk=one.row.pk).delete()
            if mine and one.about is not None and one.event:
                record_news(actor, one.event, one.about, one.organization, reason=one.sentence)
                told += 1
    return told


def purge_reminders(now: datetime) -> int:
    """Delete what was told of endings long past; return how many rows went. Open incidents stay."""
    return Reminder.objects.filter(moment__lt=now - KEPT).exclude(step=OPEN).delete()[0]
