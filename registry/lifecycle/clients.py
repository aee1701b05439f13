"""Clients: registered, edited, suspended, closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction

from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import Actor
from registry.audit import difference_between
from registry.client_metadata import known_members
from registry.lifecycle.assessment import Assessment, assess_metadata
from registry.lifecycle.records import apply_metadata, lock_client, open_change_request, supersede_open_requests, write_metadata
from registry.lifecycle.steps import check_step, record_step
from registry.models import ChangeRequest, Client, Organization
from registry.policies import get_policy
from registry.sensitivity import reasons_for_review
from registry.transitions import CLIENT, DEVELOPER, OWNER, REVIEWER, SYSTEM


@dataclass(frozen=True, slots=True)
class Update:
    """What became of an edit: applied, or waiting as `change_request` for the `reasons` given."""

    client: Client
    assessment: Assessment
    change_request: ChangeRequest | None = None
    reasons: tuple[str, ...] = ()


def register_client(  # noqa: PLR0913 - one way in for whatever is registered; all but three are keywords
    actor: Actor,
    organization: Organization,
    document: Mapping[str, object],
    *,
    now: datetime,
    source: str = Client.Source.MANUAL,
    stage: str = Client.Stage.TEST,
    offer_to_owner: bool = False,
    is_resource_server: bool = False,
    reference: UUID | None = None,
) -> Client:
    """Register a client of `organization` from a metadata document and return it, active; with `offer_to_owner` a draft to claim.

    It takes over the `reference` of what it was prepared as, when there is one. Raises MetadataRefused with all findings, or
    TransitionRefused with reason permission, organization or limit. A second registration of the same metadata makes a second client
    (DCR-HTTP-11).
    """
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        roles = (REVIEWER,) if offer_to_owner else (OWNER, DEVELOPER, SYSTEM)
        if not actor.has_role(row, *roles):
            raise TransitionRefused("permission", f"Only {' or '.join(roles)} may do this.")
        if actor.is_self_service and (stage == Client.Stage.LIVE or is_resource_server):
            raise TransitionRefused("permission", "An app made by hand starts in test; ask for it to go live.")
        check_room(row, limit=get_policy(row).clients_limit, count=count_clients(row))
        assessment = assess_metadata(document, row, stage=stage, now=now, restrictions={})
        if assessment.errors:
            raise MetadataRefused(assessment.findings)
        client = Client(
            organization=row,
            reference=reference or uuid4(),
            source=source,
            stage=stage,
            state=Client.State.DRAFT if offer_to_owner else Client.State.ACTIVE,
            state_changed_at=now,
            offered_to_owner=offer_to_owner,
            is_resource_server=is_resource_server,
            declared_metadata=known_members(document),
            created_by=actor.user,
        )
        write_metadata(client, assessment.metadata, now=now)
        difference = difference_between({}, assessment.metadata)
        record_step(actor, "client.drafted" if offer_to_owner else "client.registered", client, row, difference=difference)
        return client


def count_clients(organization: Organization) -> int:
    """Return how many clients count towards the limit of an organization. One query."""
    return organization.clients.exclude(state=Client.State.CLOSED).count()


def check_room(organization: Organization, *, limit: int, count: int) -> None:
    """Refuse an organization that may not get another client. Raises TransitionRefused with reason organization or limit."""
    if organization.state in (Organization.State.SUSPENDED, Organization.State.REJECTED, Organization.State.CLOSED):
        raise TransitionRefused("organization", f"The organization is {organization.state_in_english}.")
    if count >= limit:
        raise TransitionRefused("limit", f"This organization has its {limit} apps; close one, or ask our staff for more.")


def update_client(client: Client, actor: Actor, document: Mapping[str, object], *, now: datetime, justification: str = "") -> Update:
    """Replace the metadata of `client` by a document; a sensitive edit of a live client becomes a ChangeRequest instead.

    Raises MetadataRefused with all findings, or TransitionRefused with reason permission, state or source; then nothing changed.
    """
    with transaction.atomic():
        row = lock_client(client)
        if not actor.has_role(row.organization, OWNER, DEVELOPER, SYSTEM):
            raise TransitionRefused("permission", "Only an owner or developer may do this.")
        if row.state == Client.State.CLOSED:
            raise TransitionRefused("state", "This app is closed.")
        if actor.is_self_service and row.source != Client.Source.MANUAL:
            raise TransitionRefused("source", "This app was not registered here by hand; change it where it was registered.")
        assessment = assess_metadata(document, row.organization, stage=row.stage, now=now, restrictions=row.restrictions)
        if assessment.errors:
            raise MetadataRefused(assessment.findings)
        reasons = reasons_for_review(row.metadata, assessment.metadata) if row.stage == Client.Stage.LIVE else ()
        if reasons:
            request = open_change_request(row, ChangeRequest.Kind.CHANGE, assessment.metadata, actor, now=now, justification=justification)
            return Update(row, assessment, request, reasons)
        apply_metadata(row, assessment.metadata, actor, now=now, declared=document)
        return Update(row, assessment)


def change_client(client: Client, step_name: str, actor: Actor, *, now: datetime, reason: str = "") -> Client:
    """Make the transition `step_name` of `transitions.CLIENT`; return the client as it is then.

    Suspending, pausing and closing increment the credential generation: every code and token dies in this transaction, and reinstating
    brings back secrets but never tokens (house decision 5). Raises TransitionRefused.
    """
    step = CLIENT[step_name]
    with transaction.atomic():
        row = lock_client(client)
        check_step(step, row.state, actor, row.organization, reason)
        if guard := _GUARDS.get(step_name):
            guard(row)
        before = row.state
        row.state, row.state_reason, row.state_changed_at = step.target or row.state, reason, now
        row.paused_by_owner = step_name == "pause"
        row.offered_to_owner = False
        if before == Client.State.ACTIVE:
            row.credential_generation += 1
        row.save()
        if step_name == "close":
            supersede_open_requests(row, actor)
        record_step(
            actor,
            step.event,
            row,
            row.organization,
            reason=reason,
            difference=difference_between({"state": before}, {"state": row.state}),
        )
        return row


def _guard_activate(row: Client) -> None:
    if row.organization.state in (Organization.State.SUSPENDED, Organization.State.REJECTED, Organization.State.CLOSED):
        raise TransitionRefused("organization", f"The organization is {row.organization.state_in_english}.")


def _guard_suspend(row: Client) -> None:
    if row.state == Client.State.SUSPENDED and not row.paused_by_owner:
        raise TransitionRefused("state", "This app is suspended already.")


def _guard_reinstate(row: Client) -> None:
    if row.paused_by_owner:
        raise TransitionRefused("paused", "An owner paused this app; only an owner can resume it.")


def _guard_resume(row: Client) -> None:
    if not row.paused_by_owner:
        raise TransitionRefused("suspended", "Our staff suspended this app; only they can reinstate it.")


_GUARDS: Final[dict[str, Callable[[Client], None]]] = {
    "activate": _guard_activate,
    "suspend": _guard_suspend,
    "reinstate": _guard_reinstate,
    "resume": _guard_resume,
}
