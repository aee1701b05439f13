"""The mail that a step would send, before it is made: the same words from the same place, and nothing is written or sent."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models

from portal.notices import render_mails
from registry.actors import Actor
from registry.audit import object_id_of
from registry.models import AuditEvent, Notice, Organization
from registry.notice_kinds import KINDS, Voice
from registry.notice_recipients import find_recipients

# What follows is how to change notices, and the number that the event will get.
_SIGNATURE = "\n-- \n"


@dataclass(frozen=True, slots=True)
class MailPreview:
    """What would be sent, and to whom; nothing is when `addresses` is empty."""

    subject: str = ""
    body: str = ""
    addresses: tuple[str, ...] = ()


def is_mailed(event: str) -> bool:
    """Say whether people of the partner are mailed about events of this name."""
    return any(part.voice == Voice.PARTNER for part in KINDS.get(event, ()))


def preview_mail(event: str, subject: models.Model, organization: Organization, actor: Actor, reason: str) -> MailPreview:
    """Return the mail to the partner that `actor` would cause by doing `event` to `subject` with these words."""
    if not is_mailed(event):
        return MailPreview()
    row = AuditEvent(
        event=event,
        actor_kind=actor.kind,
        actor_label=actor.label,
        organization=organization,
        object_type=subject._meta.model_name or "",
        object_id=object_id_of(subject),
        object_label=str(subject),
        reason=reason,
        request_id=actor.request_id,
    )
    notice = Notice(event=row)
    recipients = [recipient for recipient in find_recipients(notice) if recipient.voice == Voice.PARTNER]
    mails = list(render_mails(notice, recipients))
    if not mails:
        return MailPreview()
    first = mails[0]
    return MailPreview(first.subject, first.body.partition(_SIGNATURE)[0].strip(), tuple(mail.address for mail in mails))
