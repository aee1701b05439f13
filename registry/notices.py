"""Which transitions people hear of. The words are the portal's; a test compares the names (portal.md 4.8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import F

from registry.models import AuditEvent, Notice
from registry.models.audit import ActorKind

# An app that nobody filled in a form for is news to its owners, and so is one that changes itself where it matters.
REGISTERED: Final = "client.registered"
UPDATED: Final = "client.updated"
_BY_MACHINES: Final = (ActorKind.FEDERATION, ActorKind.INITIAL_ACCESS_TOKEN)
_MATTERS: Final = frozenset(("redirect_uris", "jwks", "jwks_uri", "token_endpoint_auth_method"))
NOTIFIED: Final = frozenset(
    (
        *("org.submitted", "org.changes_requested", "org.approved", "org.rejected", "org.suspended", "org.reinstated"),
        *("change.requested", "change.approved", "change.sent_back", "change.rejected"),
        *("client.drafted", "client.suspended", "client.reinstated", "client.closed", REGISTERED, UPDATED),
        "client.check_failed",
        *("trust.broken", "trust.revived", "statement.ended"),
    )
)
RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=6)
GIVEN_UP_AFTER: Final = timedelta(days=3)


def write_notice(event: AuditEvent) -> Notice | None:
    """Write the notice that an event asks for, if it asks for one, in the caller's transaction."""
    if event.event not in NOTIFIED or event.organization_id is None:
        return None
    if event.event == REGISTERED and event.actor_kind not in _BY_MACHINES:
        return None
    if event.event == UPDATED and (event.actor_kind != ActorKind.REGISTRATION_ACCESS_TOKEN or _MATTERS.isdisjoint(event.difference)):
        return None
    return Notice.objects.create(event=event, due_at=event.time)


def claim_notice(notice: Notice, now: datetime) -> bool:
    """Take a notice to send it; say whether nobody else has. One that is not sent is due again later, ever more rarely."""
    wait = min(RETRY * 2 ** min(notice.attempts, 12), LONGEST_RETRY)
    free = Notice.objects.filter(pk=notice.pk, sent_at=None, attempts=notice.attempts)
    return bool(free.update(attempts=F("attempts") + 1, due_at=now + wait))


def note_sent(notice: Notice, now: datetime) -> None:
    """Note that a notice was sent."""
    Notice.objects.filter(pk=notice.pk).update(sent_at=now)


def due_notices(now: datetime, *, limit: int = 100) -> list[Notice]:
    """Return notices that are due, the oldest first; what could not be sent for days is left alone."""
    due = Notice.objects.filter(sent_at=None, due_at__lte=now, event__time__gt=now - GIVEN_UP_AFTER)
    return list(due.select_related("event__organization").order_by("event_id")[:limit])
