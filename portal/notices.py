"""Mails about what happened: what, who did it, what to do, where. Never a secret (portal.md 4.8).

A transition writes its notice with itself (registry.notices), so nothing is mailed about what was rolled back and nothing is lost. A task
sends it right after commit; a mail server that is away costs time, and the clock wakes the task again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import models, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from kombu.exceptions import ChannelError, KombuError

from portal.context import PRODUCT_NAME
from portal.notice_subjects import find_subjects
from portal.notice_words import WORDS, actor_of, details_of, one_line, quoted, title_of
from registry.audit import done_by_staff
from registry.inbox import write_receipts
from registry.members import NewInvitation
from registry.models import Notice
from registry.notice_kinds import FIXED
from registry.notice_recipients import Recipient, contact_words, find_recipients
from registry.notices import claim_notice, due_notices, get_notice, note_deliveries, note_sent
from registry.signals import transition_committed

log = structlog.get_logger(__name__)

SENT, REFUSED = "sent", "refused"
# A mail server that refuses an address for good answers with 5xx (RFC 5321, 4.2.1).
_PERMANENT: Final = 500


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it is sent: to whom, and what it says."""

    address: str
    subject: str
    body: str


@contextmanager
def silenced() -> Iterator[None]:
    """Send no mails about transitions inside the with block; for demo data, whose people do not exist. Their inboxes are filled."""
    spoke = transition_committed.disconnect(dispatch_uid="portal.notices")
    last = Notice.objects.aggregate(last=models.Max("pk"))["last"] or 0
    try:
        yield
        for row in Notice.objects.filter(pk__gt=last, sent_at=None).select_related("event__organization", "person"):
            write_receipts(row, find_recipients(row))
        Notice.objects.filter(pk__gt=last, sent_at=None).update(sent_at=timezone.now())
    finally:
        if spoke:  # an outer block keeps its silence
            transition_committed.connect(mail_about, dispatch_uid="portal.notices")


def mail_about(sender: type[models.Model], *, notice: Notice | None, **_kwargs: Any) -> None:  # noqa: ARG001
    """Wake the task that sends the notice of a transition, if it has one; the clock finds what a broker that is away does not take."""
    if notice is not None:
        wake_sender(notice)


def wake_sender(notice: Notice) -> None:
    """Have a notice sent now, or with the next tick of the clock when the broker is away."""
    from portal.tasks import send_one_notice

    try:
        send_one_notice.apply_async((notice.pk,), retry=False)
    except (KombuError, ChannelError, OSError) as error:
        log.warning("notice_not_woken", notice=notice.pk, detail=repr(error))


def send_due_notices(now: datetime) -> int:
    """Send the notices that could not be sent before; return how many went."""
    return sum(send_notice(row, now=now) for row in due_notices(now))


def send_notice_by_number(number: int, now: datetime) -> bool:
    """Send the notice `number`, if there is one that is due and nobody else sends it; say whether it went."""
    row = get_notice(number)
    return row is not None and row.due_at <= now and send_notice(row, now=now)


def send_notice(row: Notice, *, now: datetime) -> bool:
    """Put one notice into the inboxes and mail it, unless somebody else does; say whether all of it went. What fails is due again later."""
    with transaction.atomic():
        if not claim_notice(row, now):
            return False
        recipients = find_recipients(row)
        write_receipts(row, recipients)
    mails = list(render_mails(row, recipients))
    deliveries = dict(row.deliveries)
    complete = _send([mail for mail in mails if mail.address not in deliveries], deliveries)
    note_deliveries(row, deliveries)
    if complete:
        note_sent(row, now)
    return complete


def render_mails(row: Notice, recipients: list[Recipient]) -> Iterator[Mail]:
    """Yield the mail to each recipient who wants one, in their language."""
    event = row.event
    by_staff = event.id in done_by_staff([event])
    for recipient in recipients:
        if not recipient.wants_mail and not recipient.contact:
            continue
        language = recipient.user.language if recipient.user else ""
        with translation.override(language or settings.LANGUAGE_CODE):
            (about,) = find_subjects([(event, recipient.voice)])
            title = title_of(event, recipient.voice, about.name)
            context = {
                "product": PRODUCT_NAME,
                "title": title,
                "event": event,
                "time": f"{event.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
                "organization": one_line(event.organization or ""),
                "said": quoted(event.reason),
                "actor": actor_of(event, by_staff=by_staff),
                "details": details_of(event),
                "to_do": WORDS[recipient.voice][event.event].to_do,
                "link": settings.ISSUER + about.path,
                "issuer": settings.ISSUER,
                "why": _why(recipient),
                "change": settings.ISSUER + _where_to_change(row, recipient),
            }
            yield Mail(recipient.address, _subject(title), render_to_string("mail/notice.txt", context))


def _subject(title: str) -> str:
    return f"[{PRODUCT_NAME}] {one_line(title)}"


def _why(recipient: Recipient) -> str:
    """Return why somebody gets a mail and what they can change."""
    if recipient.contact:
        words = _("This address is a %(kind)s contact of the organization. An owner can change that:")
        return words % {"kind": contact_words(recipient.contact)}
    if recipient.group in FIXED:
        return _("Mails about security cannot be switched off. Which others you get, you can change:")
    return _("Which mails you get, you can change:")


def _where_to_change(row: Notice, recipient: Recipient) -> str:
    organization = row.event.organization
    if recipient.contact and organization is not None:
        return reverse("organization_profile", args=[organization.slug])
    return reverse("account") + "#notices"


def mail_invitation(new: NewInvitation, *, request_id: str = "") -> None:
    """Mail an invitation with its link to the invited address, when the transaction around this commits.

    It has no row in the outbox: only its digest is kept, so nobody could send the link again.
    """
    row = new.row
    context = {
        "product": PRODUCT_NAME,
        "invitation": row,
        "organization": one_line(row.organization),
        "inviter": one_line(f"{row.invited_by} ({row.invited_by.email})" if row.invited_by else PRODUCT_NAME),
        "link": settings.ISSUER + reverse("invitation", args=[new.value]),
        "request_id": request_id,
        "issuer": settings.ISSUER,
    }
    title = _("Invitation to %(name)s") % {"name": row.organization.legal_name}
    mail = Mail(row.email, _subject(title), render_to_string("mail/invitation.txt", context))
    transaction.on_commit(lambda: _send([mail], {}))


def _send(mails: list[Mail], deliveries: dict[str, str]) -> bool:
    """Send mails over one connection and write into `deliveries` what became of each address; say whether none is left to try again."""
    if not mails:
        return True
    try:
        connection = get_connection()
        connection.open()
        try:
            for mail in mails:
                deliveries[mail.address] = _send_one(connection, mail)
        finally:
            connection.close()
    except (SMTPException, OSError) as error:
        log.warning("mail_failed", recipients=len(mails), detail=repr(error))
        return False
    return True


def _send_one(connection: BaseEmailBackend, mail: Mail) -> str:
    """Send one mail; return `sent`, or `refused` when the server will never take this address."""
    try:
        connection.send_messages([EmailMessage(mail.subject, mail.body, to=[mail.address])])
    except SMTPRecipientsRefused as error:
        if all(code >= _PERMANENT for code, _ in error.recipients.values()):
            log.warning("mail_refused", detail=str([code for code, _ in error.recipients.values()]))
            return REFUSED
        raise
    return SENT
