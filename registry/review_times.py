"""How long reviews take, and what has waited too long (portal.md 4.3, page 9; 4.8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from registry.models import AuditEvent, ChangeRequest, Organization, Reminder
from registry.reminders import Incident, Recovery
from registry.working_days import add_working_days

MEASURED: Final = timedelta(days=30)
MEASURED_REVIEWS: Final = 500
DELAYED_AFTER_DAYS: Final = 2
REVIEW: Final = "review"
_DECIDED: Final = ("org.approved", "org.rejected", "org.changes_requested")
_SUBMITTED: Final = "org.submitted"


def median_review_time(now: datetime) -> timedelta | None:
    """Return the median time from submission to decision of what was decided in the last 30 days; None when nothing was.

    Of more than 500 reviews the latest count. Two queries.
    """
    times = [*_organization_times(now), *_change_times(now)]
    return timedelta(seconds=median(times)) if times else None


def _organization_times(now: datetime) -> Iterator[float]:
    events = AuditEvent.objects.filter(event__in=(*_DECIDED, _SUBMITTED), time__gt=now - 2 * MEASURED).order_by("-id")
    submitted: dict[str, datetime] = {}
    for number, event, time in reversed(events.values_list("object_id", "event", "time")[: 2 * MEASURED_REVIEWS]):
        if event == _SUBMITTED:
            submitted[number] = time
        elif number in submitted and time > now - MEASURED:
            yield (time - submitted.pop(number)).total_seconds()


def _change_times(now: datetime) -> Iterator[float]:
    decided = (ChangeRequest.State.APPROVED, ChangeRequest.State.REJECTED, ChangeRequest.State.SENT_BACK)
    rows = ChangeRequest.objects.filter(state__in=decided, decided_at__gt=now - MEASURED).order_by("-decided_at")
    for submitted_at, decided_at in rows.values_list("submitted_at", "decided_at")[:MEASURED_REVIEWS]:
        if decided_at is not None:
            yield (decided_at - submitted_at).total_seconds()


def find_delayed_reviews(now: datetime) -> Iterator[list[Incident]]:
    """Yield the organizations and change requests that wait for a reviewer for more than two working days. Two queries."""
    long_ago = now - timedelta(days=DELAYED_AFTER_DAYS)
    organizations = Organization.objects.filter(state=Organization.State.PENDING, submitted_at__lte=long_ago)
    yield [
        Incident(f"{REVIEW}:organization-{row.pk}", _waits(row.submitted_at), row, row, "review.delayed")
        for row in organizations
        if row.submitted_at is not None and is_delayed(row.submitted_at, now)
    ]
    changes = ChangeRequest.objects.filter(state=ChangeRequest.State.OPEN, submitted_at__lte=long_ago).select_related(
        "client__organization"
    )
    yield [
        Incident(f"{REVIEW}:change-{row.pk}", _waits(row.submitted_at), row, row.client.organization, "review.delayed")
        for row in changes
        if is_delayed(row.submitted_at, now)
    ]


def is_delayed(since: datetime, now: datetime) -> bool:
    """Say whether what waits since `since` has waited for more than two working days."""
    return add_working_days(since, DELAYED_AFTER_DAYS) <= now


def _waits(since: datetime) -> str:
    return f"Waiting for review since {since:%Y-%m-%d %H:%M} UTC, more than {DELAYED_AFTER_DAYS} working days."


def decided_reviews(rows: list[Reminder]) -> list[Recovery]:
    """Return which of the told delays are over: what was decided has a notice of its own. Two queries."""
    numbers: dict[str, list[int]] = {"organization": [], "change": []}
    for row in rows:
        what, _, number = row.subject.partition(":")[2].partition("-")
        if what in numbers:
            numbers[what].append(int(number))
    organizations = Organization.objects.filter(pk__in=numbers["organization"], state=Organization.State.PENDING)
    changes = ChangeRequest.objects.filter(pk__in=numbers["change"], state=ChangeRequest.State.OPEN)
    waiting = {f"{REVIEW}:organization-{pk}" for pk in organizations.values_list("pk", flat=True)}
    waiting |= {f"{REVIEW}:change-{pk}" for pk in changes.values_list("pk", flat=True)}
    return [Recovery(row) for row in rows if row.subject not in waiting and not row.subject.startswith(f"{REVIEW}:entity-")]
