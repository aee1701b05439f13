"""What people are told of the trust of their apps besides that it was lost: that it ends, or is in doubt for long (portal.md 4.8).

A chain that is checked and renewed never ends, so it is news only when it is not renewed: after a check that failed, or because an
explicit registration lasts no longer than its answer said.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q

from federation.models import FederationRecord, RegistrationRequest
from federation.registration import registered_last
from registry.models import AuditEvent, Client, Reminder
from registry.reminders import CHUNK, FIRST_TOLD_BEFORE, Ending, Incident, Recovery
from registry.review_times import DELAYED_AFTER_DAYS, REVIEW, is_delayed

DOUBT: Final = "doubt"
TOLD_AFTER: Final = timedelta(minutes=15)
_IN_DOUBT: Final = (Client.Trust.SUSPECT,)


def find_ending_trust(now: datetime) -> Iterator[list[Ending]]:
    """Yield the apps whose trust ends within 30 days and is not renewed, in chunks of one query each."""
    stays = Q(client__trust=Client.Trust.STALE) | Q(client__trust=Client.Trust.VALID, registration_ends__lte=F("client__trust_expires_at"))
    wanted = FederationRecord.objects.filter(stays, client__trust_expires_at__gt=now, client__trust_expires_at__lte=now + FIRST_TOLD_BEFORE)
    wanted = wanted.exclude(client__state=Client.State.CLOSED).select_related("client__organization").defer("changes")
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield [ending for row in rows if (ending := _ending(row)) is not None]
        after = rows[-1].pk


def _ending(record: FederationRecord) -> Ending | None:
    client = record.client
    if client.trust_expires_at is None:
        return None
    if client.trust == Client.Trust.STALE:
        why, since = f"The last check failed: {(record.failure or {}).get('sentence', 'no reason is known')}", None
    else:
        why, since = "Its explicit registration ends. Register it again before.", registered_last(record)
    return Ending(f"trust:{client.pk}", why, client, client.organization, client.trust_expires_at, "trust.ending", since=since)


def find_doubted(now: datetime) -> Iterator[list[Incident]]:
    """Yield the apps whose trust has been in doubt for more than 15 minutes, in chunks of two queries each."""
    wanted = Client.objects.filter(trust__in=_IN_DOUBT).exclude(state=Client.State.CLOSED).select_related("organization")
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        began = _beginnings(rows)
        yield [
            Incident(f"{DOUBT}:{row.pk}", reason, row, row.organization, "trust.unconfirmed")
            for row in rows
            for time, reason in [began.get(str(row.reference), (now, ""))]
            if time <= now - TOLD_AFTER
        ]
        after = rows[-1].pk


def _beginnings(clients: list[Client]) -> dict[str, tuple[datetime, str]]:
    """Return when the doubt about each client began, and why. One query."""
    names = [str(client.reference) for client in clients]
    events = AuditEvent.objects.filter(object_type="client", object_id__in=names, event="trust.suspect").order_by("id")
    return {name: (time, reason) for name, time, reason in events.values_list("object_id", "time", "reason")}


def ended_doubts(rows: list[Reminder]) -> list[Recovery]:
    """Return which of the told doubts are over; that trust was lost has a notice of its own. One query."""
    numbers = {int(row.subject.rpartition(":")[2]): row for row in rows}
    doubted = Q(trust__in=_IN_DOUBT) & ~Q(state=Client.State.CLOSED)
    clients = Client.objects.filter(pk__in=numbers).exclude(doubted).select_related("organization")
    trusted = (Client.Trust.VALID, Client.Trust.STALE)
    return [
        Recovery(numbers[client.pk], client, client.organization, "trust.recovered", "Its trust was confirmed again.")
        if client.trust in trusted and client.state != Client.State.CLOSED
        else Recovery(numbers[client.pk])
        for client in clients
    ]


def find_delayed_requests(now: datetime) -> Iterator[list[Incident]]:
    """Yield the entities that wait for an organization for more than two working days, in chunks of one query each."""
    wanted = RegistrationRequest.objects.filter(
        state=RegistrationRequest.State.OPEN, first_seen_at__lte=now - timedelta(days=DELAYED_AFTER_DAYS)
    ).defer("statements", "resolved_metadata")
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield [
            Incident(
                f"{REVIEW}:entity-{row.pk}", f"Waiting for an organization since {row.first_seen_at:%Y-%m-%d %H:%M} UTC.", row, None,
                "review.delayed",
            )
            for row in rows
            if is_delayed(row.first_seen_at, now)
        ]  # fmt: skip
        after = rows[-1].pk


def decided_requests(rows: list[Reminder]) -> list[Recovery]:
    """Return which of the told delays of entities are over. One query."""
    numbers = {int(row.subject.rpartition("-")[2]): row for row in rows if row.subject.startswith(f"{REVIEW}:entity-")}
    waiting = RegistrationRequest.objects.filter(pk__in=numbers, state=RegistrationRequest.State.OPEN)
    still = set(waiting.values_list("pk", flat=True))
    return [Recovery(row) for number, row in numbers.items() if number not in still]
