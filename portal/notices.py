"""Mails to partners: what happened, who did it, what to do, where. Never a secret (portal.md 4.8).

Transitions announce themselves after commit, so nothing is mailed about what was rolled back. A mail server that is away costs the
mail, which the log says, and never the transition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from smtplib import SMTPException
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import models, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.context import PRODUCT_NAME
from registry.members import NewInvitation
from registry.models import AuditEvent, ChangeRequest, Client, Contact, Membership, Organization
from registry.models.audit import ActorKind
from registry.signals import transition_committed

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """The words of one kind of mail. `%(name)s` is the organization or app it is about."""

    subject: _StrPromise
    to_do: _StrPromise
    to_security: bool = False


_NOTHING: Final = gettext_lazy("Nothing. We write again when something changes.")
NOTICES: Final = {
    "org.submitted": Notice(
        gettext_lazy("%(name)s was submitted for approval"), gettext_lazy("Nothing. A person looks at it, and you get a mail.")
    ),
    "org.changes_requested": Notice(
        gettext_lazy("%(name)s: changes requested"), gettext_lazy("Change what the reviewer asks for and submit it again.")
    ),
    "org.approved": Notice(gettext_lazy("%(name)s is approved"), gettext_lazy("Nothing. Your apps can now ask to go live.")),
    "org.rejected": Notice(
        gettext_lazy("%(name)s was rejected"), gettext_lazy("Read the reason. You can reopen it once and submit it again.")
    ),
    "org.suspended": Notice(
        gettext_lazy("%(name)s is suspended"),
        gettext_lazy("Its apps get no tokens, and every token ended. Answer to our staff."),
        to_security=True,
    ),
    "org.reinstated": Notice(
        gettext_lazy("%(name)s is reinstated"),
        gettext_lazy("Nothing. Your apps ask for new tokens with the credentials they have."),
        to_security=True,
    ),
    "change.requested": Notice(
        gettext_lazy("Waiting for review: %(name)s"), gettext_lazy("Nothing. A person looks at it, and you get a mail.")
    ),
    "change.approved": Notice(gettext_lazy("Approved: %(name)s"), _NOTHING),
    "change.sent_back": Notice(gettext_lazy("Sent back: %(name)s"), gettext_lazy("Change what the reviewer asks for and ask again.")),
    "change.rejected": Notice(gettext_lazy("Rejected: %(name)s"), gettext_lazy("Read the reason. The app stays as it was.")),
    "client.suspended": Notice(
        gettext_lazy("App stopped: %(name)s"),
        gettext_lazy("It gets no tokens, and every token ended. The page of the app says who can change that."),
        to_security=True,
    ),
    "client.reinstated": Notice(
        gettext_lazy("App works again: %(name)s"),
        gettext_lazy("Nothing. It asks for new tokens with the credentials it has."),
        to_security=True,
    ),
    "client.closed": Notice(gettext_lazy("App closed: %(name)s"), gettext_lazy("Nothing. This is final, and every token ended.")),
    "client.drafted": Notice(
        gettext_lazy("An app waits for you: %(name)s"), gettext_lazy("Look at it and claim it, or close it. It gets no tokens before.")
    ),
}


@contextmanager
def silenced() -> Iterator[None]:
    """Send no mails about transitions inside the with block; for demo data, whose people do not exist."""
    spoke = transition_committed.disconnect(dispatch_uid="portal.notices")
    try:
        yield
    finally:
        if spoke:  # an outer block keeps its silence
            transition_committed.connect(mail_about, dispatch_uid="portal.notices")


def mail_about(sender: type[models.Model], *, event: AuditEvent, subject: models.Model, **_kwargs: Any) -> None:  # noqa: ARG001
    """Mail the people of an organization about a transition, when it is one they get mails about."""
    notice = NOTICES.get(event.event)
    organization = event.organization
    if notice is None or organization is None or organization.is_operator:
        return
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
    _send(_recipients(organization, subject, to_security=notice.to_security), title, "mail/notice.txt", context)


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
    if event.actor_kind == ActorKind.STAFF:
        return _("our staff")
    return event.actor_label if event.actor_kind == ActorKind.USER else _("this server")


def _recipients(organization: Organization, subject: models.Model, *, to_security: bool) -> list[str]:
    """Return the owners, whoever submitted a request, and the security contact where it matters to them; each once."""
    owners = Membership.objects.filter(organization=organization, role=Membership.Role.OWNER, user__is_active=True)
    addresses = list(owners.values_list("user__email", flat=True))
    if isinstance(subject, ChangeRequest) and subject.submitted_by is not None:
        addresses.append(subject.submitted_by.email)
    if to_security:
        addresses += organization.contacts.filter(kind=Contact.Kind.SECURITY).values_list("email", flat=True)
    return list(dict.fromkeys(addresses))


def _send(addresses: Iterable[str], title: str, template: str, context: dict[str, Any]) -> None:
    """Send one mail to each address; a failure is logged and forgotten."""
    subject = f"[{PRODUCT_NAME}] {' '.join(title.split())}"
    body = render_to_string(template, context)
    messages = [EmailMessage(subject, body, to=[address]) for address in addresses]
    try:
        get_connection().send_messages(messages)
    except (SMTPException, OSError) as error:
        log.warning("mail_failed", template=template, recipients=len(messages), detail=repr(error))
