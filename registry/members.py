"""Members and invitations of an organization (portal.md 4.1; threats.md R10)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from protocol.errors import TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.digests import NewCredential, keyed_digest, random_credential
from registry.inbox import forget_notices
from registry.labels import in_english
from registry.models import Invitation, Membership, Organization, User
from registry.models.users import normalize_email
from registry.notices import record_news
from registry.transitions import OWNER, REVIEWER

INVITATION_LIFETIME: Final = timedelta(hours=72)
NewInvitation = NewCredential[Invitation]
_PURPOSE: Final = "invitation"


def invite(organization: Organization, actor: Actor, *, email: str, role: str, now: datetime) -> NewInvitation:
    """Invite an address to join; only an owner may. An open invitation of the same address is revoked first.

    Raises TransitionRefused with reason permission, role or member.
    """
    address = normalize_email(email)
    _check_role(role)
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        if not actor.has_role(row, OWNER):
            raise TransitionRefused("permission", "Only an owner may invite people.")
        if row.memberships.filter(user__email=address).exists():
            raise TransitionRefused("member", f"{address} is a member already.")
        _open_invitations(row, now).filter(email=address).update(revoked_at=now)
        value = random_credential("inv")
        invitation = Invitation.objects.create(
            organization=row,
            email=address,
            role=role,
            digest=keyed_digest(value, _PURPOSE),
            invited_by=actor.user,
            created_at=now,
            expires_at=now + INVITATION_LIFETIME,
        )
        audit.record(actor, "member.invited", row, organization=row, difference={"invitation": [None, in_english(invitation)]})
        return NewCredential(invitation, value)


def _check_role(role: str) -> None:
    if role not in Membership.Role.values:
        raise TransitionRefused("role", f"A role is one of {', '.join(Membership.Role.values)}.")


def _open_invitations(organization: Organization, now: datetime):  # type: ignore[no-untyped-def]
    return organization.invitations.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)


def find_invitation(value: str, now: datetime) -> Invitation | None:
    """Return the invitation with this value if it can still be accepted: not after whoever sent it stopped being an owner (R10)."""
    by_an_owner = Membership.objects.filter(organization=OuterRef("organization"), user=OuterRef("invited_by"), role=Membership.Role.OWNER)
    open_rows = Invitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=now).select_related(
        "organization", "invited_by"
    )
    return open_rows.filter(Exists(by_an_owner), digest=keyed_digest(value, _PURPOSE)).first()


def find_former_invitation(value: str) -> Invitation | None:
    """Return the invitation with this value, also one that was used, was withdrawn or is over. One query."""
    return Invitation.objects.select_related("organization").filter(digest=keyed_digest(value, _PURPOSE)).first()


def accept_invitation(value: str, user: User, actor: Actor, *, now: datetime) -> Membership:
    """Join by an invitation: once, and only for the address it was sent to.

    Raises TransitionRefused with reason gone or address.
    """
    with transaction.atomic():
        invitation = find_invitation(value, now)
        if invitation is None:
            raise TransitionRefused("gone", "This invitation was used, was withdrawn or is older than 72 hours. Ask for a new one.")
        if invitation.email != user.email:
            raise TransitionRefused("address", f"This invitation is for {invitation.email}. Sign in with that address.")
        taken = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(accepted_at=now)
        if not taken:
            raise TransitionRefused("gone", "This invitation was used already.")
        membership, _ = Membership.objects.get_or_create(
            organization=invitation.organization, user=user, defaults={"role": invitation.role}
        )
        record_news(
            actor,
            "member.joined",
            membership.organization,
            membership.organization,
            difference={"member": [None, in_english(membership)]},
            person=user,
        )
        return membership


def revoke_invitation(invitation: Invitation, actor: Actor, *, now: datetime, reason: str = "") -> None:
    """Withdraw an invitation; an owner may, and a reviewer who says why.

    Raises TransitionRefused with reason permission or reason_missing.
    """
    with transaction.atomic():
        if not actor.has_role(invitation.organization, OWNER):
            _check_reviewer(invitation.organization, actor, reason, "Only an owner may withdraw an invitation.")
        if Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(revoked_at=now):
            audit.record(
                actor,
                "member.invitation_revoked",
                invitation.organization,
                organization=invitation.organization,
                difference={"invitation": [in_english(invitation), None]},
                reason=reason,
            )


def change_role(membership: Membership, role: str, actor: Actor) -> None:
    """Give a member another role; only an owner may, and one owner stays.

    Raises TransitionRefused with reason permission, role or last_owner.
    """
    with transaction.atomic():
        row = _lock(membership, actor, or_the_member=False)
        _check_role(role)
        if role != Membership.Role.OWNER:
            _check_not_last_owner(row)
        before, row.role = row.role, role
        row.save(update_fields=["role"])
        difference = {str(row.user): [before, role]}
        record_news(
            actor, "member.role_changed", row.organization, row.organization, difference=difference, person=row.user, is_news=before != role
        )


def remove_member(membership: Membership, actor: Actor, *, reason: str = "") -> None:
    """Remove a member, or leave; a reviewer removes one who says why. One owner stays.

    Raises TransitionRefused with reason permission, reason_missing or last_owner.
    """
    with transaction.atomic():
        row = _lock(membership, actor, or_the_member=True, reason=reason)
        _check_not_last_owner(row)
        row.delete()
        forget_notices(row.user, row.organization)
        difference = {"member": [in_english(row), None]}
        record_news(actor, "member.removed", row.organization, row.organization, difference=difference, person=row.user, reason=reason)


def _check_reviewer(organization: Organization, actor: Actor, reason: str, otherwise: str) -> None:
    """Refuse everybody but a reviewer, who must say why: the partner reads it."""
    if not actor.has_role(organization, REVIEWER):
        raise TransitionRefused("permission", otherwise)
    if not reason.strip():
        raise TransitionRefused("reason_missing", "Say why, in words that the partner will read.")


def _lock(membership: Membership, actor: Actor, *, or_the_member: bool, reason: str = "") -> Membership:
    """Return the membership, its organization locked; an owner may touch it, and with `or_the_member` whoever's it is, or a reviewer."""
    Organization.objects.select_for_update().get(pk=membership.organization_id)
    row = Membership.objects.select_related("organization", "user").get(pk=membership.pk)
    own = actor.user is not None and actor.user.pk == row.user_id
    if not (own and or_the_member) and not actor.has_role(row.organization, OWNER):
        if not or_the_member:
            raise TransitionRefused("permission", "Only an owner may change members.")
        _check_reviewer(row.organization, actor, reason, "Only an owner may change members.")
    return row


def _check_not_last_owner(row: Membership) -> None:
    owners = Membership.objects.filter(organization=row.organization, role=Membership.Role.OWNER)
    if row.role == Membership.Role.OWNER and owners.count() == 1:
        raise TransitionRefused("last_owner", "An organization keeps at least one owner. Make somebody else an owner first.")
