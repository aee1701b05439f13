"""One mail a day about the apps that registered themselves: the first by each token or way was told at once (portal.md 4.8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import transaction

from registry.actors import Actor
from registry.models import AuditEvent, Organization, Reminder
from registry.notices import BY_MACHINES, REGISTERED, record_news
from registry.reminders import note_told

NAMED: Final = 50
_DAY: Final = timedelta(days=1)
# A server that stood still makes up for the day on which it stopped, as long as that is news.
_DAYS_MADE_UP: Final = 14
# A registration is dated before it is committed: until then a day that is over may still grow.
_LATE: Final = timedelta(minutes=5)
_SUBJECT, _STEP = "registrations", "day"


def summarize_registrations(actor: Actor, *, now: datetime) -> int:
    """Write one notice for each organization and day that is over in which apps registered themselves untold; return how many.

    Days are those of UTC, and over five minutes after midnight. One that was missed while the server stood still is made up for, up to two
    weeks back.
    """
    today = (now - _LATE).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - number * _DAY for number in range(1, _DAYS_MADE_UP + 1)]
    return sum(_summarize_day(day, actor, now) for day in reversed(days))


def _summarize_day(day: datetime, actor: Actor, now: datetime) -> int:
    told = Reminder.objects.filter(moment=day, step=_STEP, subject__startswith=f"{_SUBJECT}:").values_list("subject", flat=True)
    known = [int(subject.rpartition(":")[2]) for subject in told]
    events = AuditEvent.objects.filter(
        event=REGISTERED, time__gte=day, time__lt=day + _DAY, actor_kind__in=BY_MACHINES, notice=None, organization__isnull=False
    ).exclude(organization__in=known)
    names: dict[int, list[str]] = {}
    for organization, label, by in events.order_by("id").values_list("organization_id", "object_label", "actor_label"):
        names.setdefault(organization or 0, []).append(f"{label} (by {by})" if by else label)
    rows = Organization.objects.filter(pk__in=names, is_operator=False)
    return sum(_tell(row, names[row.pk], day, actor, now) for row in rows)


def _tell(organization: Organization, names: list[str], day: datetime, actor: Actor, now: datetime) -> bool:
    more = len(names) - NAMED
    listed = "\n".join(f"- {name}" for name in names[:NAMED]) + (f"\n- and {more} more" if more > 0 else "")
    with transaction.atomic():
        if not note_told(f"{_SUBJECT}:{organization.pk}", day, _STEP, now=now):
            return False
        words = f"On {day:%Y-%m-%d} (UTC), {len(names)} {'app' if len(names) == 1 else 'apps'} registered:\n{listed}"
        difference = {"registrations": [None, len(names)]}
        record_news(actor, "registrations.summarized", organization, organization, reason=words, difference=difference)
    return True
