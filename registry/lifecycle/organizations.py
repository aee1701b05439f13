"""Organizations: created, reviewed, suspended, closed."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from secrets import token_hex
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F

from protocol.errors import MetadataRefused, TransitionRefused
from protocol.strict_json import canonical_json
from registry.actors import Actor
from registry.audit import difference_between
from registry.lifecycle.steps import check_step, record_step
from registry.models import Client, Contact, Membership, Organization, User
from registry.organization_details import OrganizationDetails, read_organization_details
from registry.transitions import ORGANIZATION, SYSTEM

EDITABLE: Final = ("legal_name", "registration_number", "country", "website", "email_domains")
# A change of identity of an approved organization is looked at by people first (portal.md 4.3, page 10).
IDENTITY: Final = ("legal_name", "registration_number", "country")


def create_organization(
    actor: Actor,
    legal_name: str,
    *,
    now: datetime,
    owner: User | None = None,
    contacts: Mapping[str, str] | None = None,
    is_operator: bool = False,
    **values: Any,
) -> Organization:
    """Create a draft organization; `owner` becomes its first owner. `contacts` maps a contact kind to an e-mail address.

    `values` are other editable fields. Raises MetadataRefused with what is wrong with them, or TransitionRefused with reason duplicate
    when the registration number is taken.
    """
    details = _read_details({"legal_name": legal_name, **values}, contacts)
    slug = _free_slug(details.values["legal_name"])
    for name in (slug, f"{slug}-{token_hex(3)}"):  # another organization of this name may take the first one at the same time
        with suppress(IntegrityError), transaction.atomic():
            organization = Organization.objects.create(
                slug=name, is_operator=is_operator, created_by=actor.user, created_at=now, **details.values
            )
            if owner is not None:
                Membership.objects.create(organization=organization, user=owner, role=Membership.Role.OWNER)
            _write_contacts(organization, details.contacts)
            record_step(actor, "org.created", organization, organization)
            return organization
    raise _duplicate()


def _read_details(values: Mapping[str, Any], contacts: Mapping[str, str] | None) -> OrganizationDetails:
    details = read_organization_details({name: value for name, value in values.items() if name in EDITABLE}, contacts)
    if details.errors:
        raise MetadataRefused(details.findings)
    return details


def _duplicate() -> TransitionRefused:
    return TransitionRefused(
        "duplicate", "An organization with this registration number is registered already. Ask a colleague there to invite you."
    )


def _free_slug(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:40] or "organization"
    if base == "new":
        base = "new-organization"
    taken = set(Organization.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in _slugs(base) if slug not in taken)


def _slugs(base: str) -> Any:
    yield base
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1


def _write_contacts(organization: Organization, contacts: Mapping[str, str]) -> dict[str, list[str]]:
    """Write the contacts that differ; return what changed, by kind, for the trail."""
    known = dict(organization.contacts.values_list("kind", "email"))
    changed = {kind: email for kind, email in contacts.items() if known.get(kind, "") != email}
    for kind, email in changed.items():
        Contact.objects.filter(organization=organization, kind=kind).delete()
        if email:
            Contact.objects.create(organization=organization, kind=kind, email=email)
    return {f"contact_{kind}": [known.get(kind, ""), email] for kind, email in changed.items()}


def update_organization(
    organization: Organization, actor: Actor, *, contacts: Mapping[str, str] | None = None, **values: Any
) -> Organization:
    """Change editable fields and contacts. Identity fields of an approved organization are refused: they need a new review.

    Raises MetadataRefused with what is wrong, or TransitionRefused with reason permission, identity, state or duplicate.
    """
    try:
        with transaction.atomic():
            row = Organization.objects.select_for_update().get(pk=organization.pk)
            if not actor.has_role(row, "owner", "reviewer"):
                raise TransitionRefused("permission", "Only an owner may do this.")
            if row.state == Organization.State.CLOSED:
                raise TransitionRefused("state", "This organization is closed.")
            details = _read_details(values, contacts)
            before = {name: getattr(row, name) for name in EDITABLE}
            after = {**before, **details.values}
            changed: dict[str, Any] = difference_between(before, after)
            if identity_is_settled(row) and not changed.keys().isdisjoint(IDENTITY) and actor.speaks_for(row):
                raise TransitionRefused("identity", "Name, registration number and country are reviewed; ask our staff to change them.")
            for name, value in after.items():
                setattr(row, name, value)
            row.save(update_fields=EDITABLE)
            changed |= _write_contacts(row, details.contacts)
            if changed:
                record_step(actor, "org.updated", row, row, difference=changed)
            return row
    except IntegrityError:
        raise _duplicate() from None


def identity_is_settled(organization: Organization) -> bool:
    """Say whether name, number and country were submitted to review, so that only staff can change them."""
    return organization.state in (Organization.State.APPROVED, Organization.State.PENDING, Organization.State.SUSPENDED)


def submission_digest(organization: Organization) -> str:
    """Return the SHA-256 of what a reviewer decides on: the organization's data, its contacts and when it was submitted."""
    content = {
        "organization": str(organization.org_id),
        "submitted_at": str(organization.submitted_at),
        "contacts": [list(contact) for contact in sorted(organization.contacts.values_list("kind", "name", "email"))],
        **{name: getattr(organization, name) for name in EDITABLE},
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def change_organization(
    organization: Organization, step_name: str, actor: Actor, *, now: datetime, reason: str = "", digest: str | None = None
) -> Organization:
    """Make the transition `step_name` of `transitions.ORGANIZATION`; return the organization as it is then.

    Suspending and closing end every token of every client in this transaction, by one UPDATE (house decision 5). `digest` is the
    `submission_digest` that the reviewer saw; when the data differs by now the step is refused (threats.md R11).
    Raises TransitionRefused with reason permission, state, reason_missing, changed or the guard's own.
    """
    step = ORGANIZATION[step_name]
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        check_step(step, row.state, actor, row, reason)
        if guard := _GUARDS.get(step_name):
            guard(row, actor)
        if digest is not None and digest != submission_digest(row):
            raise TransitionRefused("changed", "This is no longer what you reviewed. Look at it again.")
        before = row.state
        if step.target:
            row.state, row.state_reason, row.state_changed_at = step.target, reason, now
        if effect := _EFFECTS.get(step_name):
            effect(row, actor, now)
        row.save()
        record_step(actor, step.event, row, row, reason=reason, difference=difference_between({"state": before}, {"state": row.state}))
        return row


def missing_for_submission(row: Organization) -> list[str]:
    """Return, in words, what `row` still needs before it can be reviewed. One query."""
    kinds = set(row.contacts.values_list("kind", flat=True))
    missing = [label for value, label in (("country", "country"), ("website", "website")) if not getattr(row, value)]
    missing += [f"{kind} contact" for kind in (Contact.Kind.TECHNICAL, Contact.Kind.SECURITY) if kind not in kinds]
    return missing


def _guard_submit(row: Organization, actor: Actor) -> None:  # noqa: ARG001
    if missing := missing_for_submission(row):
        raise TransitionRefused("incomplete", f"Before it can be reviewed the organization needs: {', '.join(missing)}.")


def _guard_own_organization(row: Organization, actor: Actor) -> None:
    if actor.user is not None and row.memberships.filter(user=actor.user).exists():
        raise TransitionRefused("own", "You are a member of this organization; a colleague must review it.")


def _guard_assigned(row: Organization, actor: Actor) -> None:
    _guard_own_organization(row, actor)
    if row.reviewer_id and not actor.is_reviewer(row.reviewer_id):
        raise TransitionRefused("assigned", f"{row.reviewer} is reviewing this organization; assign it to yourself first.")


def _guard_reopen(row: Organization, actor: Actor) -> None:
    if row.reopened_by_owner and actor.speaks_for(row):
        raise TransitionRefused("once", "A rejected organization can be reopened once; ask our staff.")


def _guard_close(row: Organization, actor: Actor) -> None:
    live = row.clients.filter(stage=Client.Stage.LIVE).exclude(state=Client.State.CLOSED)
    if actor.speaks_for(row) and live.exists():
        raise TransitionRefused("live_apps", "Close the live apps of this organization first.")


_GUARDS: Final[dict[str, Callable[[Organization, Actor], None]]] = {
    "submit": _guard_submit,
    "assign": _guard_own_organization,
    "request_changes": _guard_assigned,
    "approve": _guard_assigned,
    "reject": _guard_assigned,
    "reopen": _guard_reopen,
    "close": _guard_close,
}


def _end_tokens(row: Organization, actor: Actor, now: datetime) -> None:  # noqa: ARG001
    row.clients.update(credential_generation=F("credential_generation") + 1)


def _note_submission(row: Organization, actor: Actor, now: datetime) -> None:  # noqa: ARG001
    row.submitted_at, row.reviewer = now, None


def _note_reviewer(row: Organization, actor: Actor, now: datetime) -> None:  # noqa: ARG001
    row.reviewer = actor.user


def _note_reopening(row: Organization, actor: Actor, now: datetime) -> None:  # noqa: ARG001
    row.reopened_by_owner = row.reopened_by_owner or actor.speaks_for(row)


_EFFECTS: Final[dict[str, Callable[[Organization, Actor, datetime], None]]] = {
    "submit": _note_submission,
    "assign": _note_reviewer,
    "reopen": _note_reopening,
    "suspend": _end_tokens,
    "close": _end_tokens,
}


def approve_without_review(organization: Organization, actor: Actor, *, now: datetime) -> Organization:
    """Approve a draft at once, for the operator's command line and the operator's own organization; only a job may.

    Raises TransitionRefused with reason permission or state.
    """
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        if not actor.has_role(row, SYSTEM):
            raise TransitionRefused("permission", "Only the command line may approve without a review.")
        if row.state != Organization.State.DRAFT:
            raise TransitionRefused("state", "Only a draft can be approved so.")
        row.state, row.state_changed_at = Organization.State.APPROVED, now
        row.save(update_fields=["state", "state_changed_at"])
        record_step(actor, "org.approved", row, row, reason="without review", difference={"state": ["draft", "approved"]})
        return row
