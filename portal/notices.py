"""Mails to partners: what happened, who did it, what to do, where. Never a secret (portal.md 4.8).

A transition writes its notice with itself (registry.notices), so nothing is mailed about what was rolled back and nothing is lost. It is
sent right after commit; a mail server that is away costs time, and a task tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from smtplib import SMTPException
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import models, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.context import PRODUCT_NAME
from registry.audit import done_by_staff
from registry.members import NewInvitation
from registry.models import AuditEvent, ChangeRequest, Client, Contact, Membership, Notice, Organization
from registry.models.audit import ActorKind
from registry.notices import claim_notice, due_notices, note_sent
from registry.signals import transition_committed

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one kind of mail. `%(name)s` is the organization or app it is about."""

    subject: _StrPromise
    to_do: _StrPromise
    to_security: bool = False


_NOTHING: Final = gettext_lazy("Nothing. We write again when something changes.")
NOTICES: Final = {
    "org.submitted": Words(
        gettext_lazy("%(name)s was submitted for approval"), gettext_lazy("Nothing. A person looks at it, and you get a mail.")
    ),
    "org.changes_requested": Words(
        gettext_lazy("%(name)s: changes requested"), gettext_lazy("Change what the reviewer asks for and submit it again.")
    ),
    "org.approved": Words(gettext_lazy("%(name)s is approved"), gettext_lazy("Nothing. Your apps can now ask to go live.")),
    "org.rejected": Words(
        gettext_lazy("%(name)s was rejected"), gettext_lazy("Read the reason. You can reopen it once and submit it again.")
    ),
    "org.suspended": Words(
        gettext_lazy("%(name)s is suspended"),
        gettext_lazy("Its apps get no tokens, and every token ended. Answer to our staff."),
        to_security=True,
    ),
    "org.reinstated": Words(
        gettext_lazy("%(name)s is reinstated"),
        gettext_lazy("Nothing. Your apps ask for new tokens with the credentials they have."),
        to_security=True,
    ),
    "change.requested": Words(
        gettext_lazy("Waiting for review: %(name)s"), gettext_lazy("Nothing. A person looks at it, and you get a mail.")
    ),
    "change.approved": Words(gettext_lazy("Approved: %(name)s"), _NOTHING),
    "change.sent_back": Words(gettext_lazy("Sent back: %(name)s"), gettext_lazy("Change what the reviewer asks for and ask again.")),
    "change.rejected": Words(gettext_lazy("Rejected: %(name)s"), gettext_lazy("Read the reason. The app stays as it was.")),
    "client.suspended": Words(
        gettext_lazy("App stopped: %(name)s"),
        gettext_lazy("It gets no tokens, and every token ended. The page of the app says who can change that."),
        to_security=True,
    ),
    "client.reinstated": Words(
        gettext_lazy("App works again: %(name)s"),
        gettext_lazy("Nothing. It asks for new tokens with the credentials it has."),
        to_security=True,
    ),
    "client.closed": Words(gettext_lazy("App closed: %(name)s"), gettext_lazy("Nothing. This is final, and every token ended.")),
    "client.registered": Words(
        gettext_lazy("A new app registered itself: %(name)s"),
        gettext_lazy("Nothing, if you know it. If you do not, ask our staff to suspend it, and look at who has the keys of the entity."),
    ),
    "client.updated": Words(
        gettext_lazy("An app changed its keys or addresses: %(name)s"),
        gettext_lazy("Nothing, if you know of it. If you do not, make a new registration access token on the page of the app."),
        to_security=True,
    ),
    "client.check_failed": Words(
        gettext_lazy("App breaks our rules: %(name)s"),
        gettext_lazy("Mend what is named above before that day. The page of the app says the same, and when it is mended."),
    ),
    "trust.broken": Words(
        gettext_lazy("Trust lost: %(name)s"),
        gettext_lazy("It gets no tokens, and every token ended. The page of the app says which step failed and who can fix it."),
        to_security=True,
    ),
    "trust.revived": Words(gettext_lazy("Trusted again: %(name)s"), gettext_lazy("Nothing. It asks for new tokens with its keys.")),
    "statement.ended": Words(
        gettext_lazy("The software statement of an app ended: %(name)s"),
        gettext_lazy(
            "The scopes that it had by the statement ended. Update the registration with a new software statement to get them back."
        ),
    ),
    "client.drafted": Words(
        gettext_lazy("An app waits for you: %(name)s"), gettext_lazy("Look at it and claim it, or close it. It gets no tokens before.")
    ),
}


@contextmanager
def silenced() -> Iterator[None]:
    """Send no mails about transitions inside the with block; for demo data, whose people do not exist."""
    spoke = transition_committed.disconnect(dispatch_uid="portal.notices")
    last = Notice.objects.aggregate(last=models.Max("pk"))["last"] or 0
    try:
        yield
        Notice.objects.filter(pk__gt=last, sent_at=None).update(sent_at=timezone.now())
    finally:
        if spoke:  # an outer block keeps its silence
            transition_committed.connect(mail_about, dispatch_uid="portal.notices")


def mail_about(sender: type[models.Model], *, subject: models.Model, notice: Notice | None, **_kwargs: Any) -> None:  # noqa: ARG001
    """Send the notice that a transition wrote, if it wrote one."""
    if notice is not None:
        send_notice(notice, subject, now=timezone.now())


def send_due_notices(now: datetime) -> int:
    """Send the notices that could not be sent before; return how many went."""
    sent = 0
    for row in due_notices(now):
        subject = subject_of(row.event)
        sent += bool(subject is not None and send_notice(row, subject, now=now))
    return sent


def send_notice(row: Notice, subject: models.Model, *, now: datetime) -> bool:
    """Mail one notice unless somebody else does; say whether it went. One that fails is due again later."""
    if not claim_notice(row, now) or not _mail(row.event, subject):
        return False
    note_sent(row, now)
    return True


def subject_of(event: AuditEvent) -> models.Model | None:
    """Return what an event is about, as it is now; None when it is gone."""
    found: dict[str, Callable[[], models.Model | None]] = {
        "client": lambda: Client.objects.select_related("organization").filter(reference=event.object_id).first(),
        "organization": lambda: Organization.objects.filter(org_id=event.object_id).first(),
        "changerequest": lambda: ChangeRequest.objects.select_related("client__organization").filter(pk=event.object_id).first(),
    }
    return found[event.object_type]() if event.object_type in found else None


def _mail(event: AuditEvent, subject: models.Model) -> bool:
    """Mail the people of an organization about a transition; say whether the mail server took it."""
    notice, organization = NOTICES[event.event], event.organization
    if organization is None or organization.is_operator:
        return True
    title = notice.subject % {"name": _name_of(subject)}
    context = {
        "product": PRODUCT_NAME,
        "title": title,
        "organization": organization,
        "actor": _actor(event),
        "reason": event.reason,
        "to_do": notice.to_do,
        "link": settings.ISSUER + _address_of(subject),
        "request_id": event.request_id,
        "issuer": settings.ISSUER,
    }
    return _send(_recipients(organization, subject, to_security=notice.to_security), title, "mail/notice.txt", context)


def mail_invitation(new: NewInvitation, *, request_id: str = "") -> None:
    """Mail an invitation with its link to the invited address, when the transaction around this commits."""
    row = new.row
    context = {
        "product": PRODUCT_NAME,
        "invitation": row,
        "link": settings.ISSUER + reverse("invitation", args=[new.value]),
        "request_id": request_id,
        "issuer": settings.ISSUER,
    }
    title = _("Invitation to %(name)s") % {"name": row.organization.legal_name}
    transaction.on_commit(lambda: _send([row.email], title, "mail/invitation.txt", context))


def _name_of(subject: models.Model) -> str:
    return str(subject.client) if isinstance(subject, ChangeRequest) else str(subject)


def _address_of(subject: models.Model) -> str:
    """Return the page that a mail about `subject` links to."""
    if isinstance(subject, ChangeRequest):
        client = subject.client
        return reverse("app_change", args=[client.organization.slug, client.reference, subject.reference])
    if isinstance(subject, Client):
        return reverse("app", args=[subject.organization.slug, subject.reference])
    return reverse("organization", args=[subject.slug]) if isinstance(subject, Organization) else reverse("organizations")


def _actor(event: AuditEvent) -> str:
    """Return who did it; our staff write as one."""
    if done_by_staff([event]):
        return _("our staff")
    return event.actor_label if event.actor_kind in (ActorKind.USER, ActorKind.CLIENT) else _("this server")


def _recipients(organization: Organization, subject: models.Model, *, to_security: bool) -> list[str]:
    """Return the owners, whoever submitted a request, and the security contact where it matters to them; each once."""
    owners = Membership.objects.filter(organization=organization, role=Membership.Role.OWNER, user__is_active=True)
    addresses = list(owners.values_list("user__email", flat=True))
    if isinstance(subject, ChangeRequest) and subject.submitted_by is not None:
        addresses.append(subject.submitted_by.email)
    if to_security:
        addresses += organization.contacts.filter(kind=Contact.Kind.SECURITY).values_list("email", flat=True)
    return list(dict.fromkeys(addresses))


def _send(addresses: Iterable[str], title: str, template: str, context: dict[str, Any]) -> bool:
    """Send one mail to each address; say whether all of them were taken. A failure is in the log."""
    subject = f"[{PRODUCT_NAME}] {' '.join(title.split())}"
    body = render_to_string(template, context)
    messages = [EmailMessage(subject, body, to=[address]) for address in addresses]
    try:
        get_connection().send_messages(messages)
    except (SMTPException, OSError) as error:
        log.warning("mail_failed", template=template, recipients=len(messages), detail=repr(error))
        return False
    return True
