"""The outbox: which events ask for a notice, and how it is taken and settled (portal.md 4.8; house decision 16)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models, transaction
from django.db.models import F

from protocol.errors import TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.models import AuditEvent, Notice, Organization, User
from registry.models.audit import ActorKind
from registry.notice_kinds import KINDS
from registry.signals import transition_committed
from registry.transitions import OPERATOR, SYSTEM

# An app that nobody filled in a form for is news to its owners, and so is one that changes itself where it matters.
REGISTERED: Final = "client.registered"
UPDATED: Final = "client.updated"
BY_MACHINES: Final = (ActorKind.FEDERATION, ActorKind.INITIAL_ACCESS_TOKEN, ActorKind.SOFTWARE_STATEMENT)
_MATTERS: Final = frozenset(("redirect_uris", "jwks", "jwks_uri", "token_endpoint_auth_method"))
NOTIFIED: Final = frozenset(KINDS)
RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=6)
# Nobody means to mail everybody twice; who sends a form twice does.
RESEND_EVERY: Final = timedelta(minutes=1)
# With the waits between them, three days of a server that runs; one that stands still gives nothing up.
MOST_ATTEMPTS: Final = 20


def record_news(
    actor: Actor,
    event: str,
    subject: models.Model,
    organization: Organization | None,
    *,
    reason: str = "",
    difference: Mapping[str, Any] | None = None,
    person: User | None = None,
    is_news: bool = True,
) -> AuditEvent:
    """Write an audit row in the caller's transaction, with the notice that it asks for if it `is_news`; tell listeners after commit.

    `person` is whom it is about, when it is about somebody.
    """
    row = audit.record(actor, event, subject, organization=organization, reason=reason, difference=difference)
    notice = write_notice(row, person=person) if is_news else None
    transaction.on_commit(lambda: transition_committed.send_robust(sender=type(subject), event=row, subject=subject, notice=notice))
    return row


def write_notice(event: AuditEvent, *, person: User | None = None) -> Notice | None:
    """Write the notice that an event asks for, if it asks for one, in the caller's transaction."""
    if event.event not in NOTIFIED:
        return None
    if event.event == REGISTERED and event.actor_kind not in BY_MACHINES:
        return None
    if event.event == UPDATED and (event.actor_kind != ActorKind.REGISTRATION_ACCESS_TOKEN or _MATTERS.isdisjoint(event.difference)):
        return None
    return Notice.objects.create(event=event, due_at=event.time, person=person)


def claim_notice(notice: Notice, now: datetime) -> bool:
    """Take a notice to send it; say whether nobody else has. One that is not sent is due again later, ever more rarely."""
    wait = min(RETRY * 2 ** min(notice.attempts, 12), LONGEST_RETRY)
    free = Notice.objects.filter(pk=notice.pk, sent_at=None, attempts=notice.attempts)
    return bool(free.update(attempts=F("attempts") + 1, due_at=now + wait))


def note_deliveries(notice: Notice, deliveries: Mapping[str, str]) -> None:
    """Note what became of the addresses of a notice so far: `sent`, or `refused` for good."""
    Notice.objects.filter(pk=notice.pk).update(deliveries=dict(deliveries))


def note_sent(notice: Notice, now: datetime) -> None:
    """Note that a notice was sent."""
    Notice.objects.filter(pk=notice.pk).update(sent_at=now)


def due_notices(now: datetime, *, limit: int = 100) -> list[Notice]:
    """Return notices that are due, the oldest first; what was tried for three days is left alone."""
    due = Notice.objects.filter(sent_at=None, due_at__lte=now, attempts__lt=MOST_ATTEMPTS)
    return list(due.select_related("event__organization", "person").order_by("event_id")[:limit])


def get_notice(number: int) -> Notice | None:
    """Return the notice `number` with its event, organization and person, None when there is none. One query."""
    return Notice.objects.select_related("event__organization", "person").filter(pk=number).first()


def resend_notice(notice: Notice, actor: Actor, *, now: datetime) -> Notice:
    """Make a notice due again, for everybody it is for by now, whatever became of it.

    Raises TransitionRefused with reason permission, or too_soon within a minute of the last time that somebody did it.
    """
    with transaction.atomic():
        if not actor.has_role(None, OPERATOR, SYSTEM):
            raise TransitionRefused("permission", "Only an operator may send a notice again.")
        row = Notice.objects.select_for_update(of=("self",)).select_related("event__organization").get(pk=notice.pk)
        about = AuditEvent.objects.filter(object_type="notice", object_id=str(row.pk), event="notice.resent")
        last = about.values_list("time", flat=True).first()
        if last is not None and last > now - RESEND_EVERY:
            raise TransitionRefused("too_soon", "It was sent again less than a minute ago. Wait for what becomes of it.")
        row.sent_at, row.attempts, row.due_at, row.deliveries = None, 0, now, {}
        row.save(update_fields=["sent_at", "attempts", "due_at", "deliveries"])
        audit.record(actor, "notice.resent", row, organization=None, difference={"event": [None, f"{row.event_id} {row.event.event}"]})
        return row
