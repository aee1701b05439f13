"""Whom a notice is for: by role and by kind of contact, each person and each address once (portal.md 4.8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from registry.labels import within_sentence
from registry.models import ChangeRequest, Contact, Membership, MutedNotices, Notice, Organization, User
from registry.models.users import normalize_email
from registry.notice_kinds import EMAIL_CHANGED, FIXED, KINDS, Group, Part, Voice


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who is told. `user` is None for a contact of the organization, whose kind is `contact`."""

    address: str
    voice: Voice
    group: Group
    user: User | None = None
    contact: str = ""
    wants_mail: bool = True


def find_recipients(notice: Notice) -> list[Recipient]:
    """Return whom `notice`, loaded with event, organization and person, is for as of now. This server's own organization hears nothing.

    A person who is told twice is told in the voice that comes first. A contact gets mail even when its address is that of a person who
    muted such mails: the organization chose the address.
    """
    organization = notice.event.organization
    found: dict[str, Recipient] = {}
    for part in KINDS[notice.event.event]:
        if part.voice == Voice.PARTNER and (organization is None or organization.is_operator):
            continue
        for recipient in _of_part(part, notice, organization):
            known = found.setdefault(recipient.address, recipient)
            if recipient.contact and not known.wants_mail:
                found[recipient.address] = Recipient(known.address, known.voice, known.group, known.user, recipient.contact)
    return list(found.values())


def _of_part(part: Part, notice: Notice, organization: Organization | None) -> Iterator[Recipient]:
    for user in _people(part, notice, organization):
        yield Recipient(user.email, part.voice, part.group, user, wants_mail=not user.is_muted)  # type: ignore[attr-defined]
    before, _ = notice.event.difference.get("email") or (None, None)
    if before and notice.event.event == EMAIL_CHANGED:
        # The address that a thief took away is the one that the owner reads.
        yield Recipient(normalize_email(before), part.voice, part.group)
    if part.contacts and organization is not None:
        for kind, address in organization.contacts.filter(kind__in=part.contacts).order_by("id").values_list("kind", "email"):
            yield Recipient(normalize_email(address), part.voice, part.group, contact=kind)


def _people(part: Part, notice: Notice, organization: Organization | None) -> QuerySet[User]:
    """Return the people of one part with `is_muted`: whether they switched off mail of its group."""
    people = User.objects.filter(is_active=True).order_by("id")
    people = people.annotate(is_muted=Exists(MutedNotices.objects.filter(user=OuterRef("pk"), kind=part.group).exclude(kind__in=FIXED)))
    if part.voice == Voice.PERSON:
        return people.filter(pk__in=[notice.person_id])
    if part.voice == Voice.STAFF:
        return _staff(people, part, organization)
    wanted = set(part.roles)
    members = Membership.objects.filter(organization=organization)
    numbers = set(members.filter(role__in=wanted).values_list("user_id", flat=True))
    if part.to_submitter:
        # Whoever asked and has left since is not told: the answer is the organization's.
        asked = ChangeRequest.objects.filter(pk=notice.event.object_id).values("submitted_by")
        numbers |= set(members.filter(user__in=asked).values_list("user_id", flat=True))
    return people.filter(pk__in=numbers)


def _staff(people: QuerySet[User], part: Part, organization: Organization | None) -> QuerySet[User]:
    """Return staff by role, but for members of the organization, who do not decide about it; administrators where there is nobody else."""
    if organization is not None:
        people = people.exclude(pk__in=Membership.objects.filter(organization=organization).values("user"))
    by_role = people.filter(staff_role__in=part.staff)
    return by_role if by_role.exists() else people.filter(is_superuser=True)


def contact_words(kind: str) -> str:
    """Return what a kind of contact is called."""
    return within_sentence(Contact.Kind(kind).label)
