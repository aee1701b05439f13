"""Change requests: going live, and sensitive edits of a live client (threats.md R11)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import Actor
from registry.audit import difference_between
from registry.entitlements import grant_scopes
from registry.lifecycle.assessment import assess_metadata
from registry.lifecycle.records import apply_metadata, content_digest, lock_client, open_change_request
from registry.lifecycle.steps import check_step, record_step
from registry.models import ChangeRequest, Client, Entitlement, Organization
from registry.transitions import CHANGE_REQUEST, OWNER

DECISIONS: Final = ("send_back", "reject", "withdraw")


def request_go_live(client: Client, actor: Actor, *, now: datetime, justification: str = "") -> ChangeRequest:
    """Ask for `client` to go live. Its metadata must pass the rules of the live stage.

    Raises MetadataRefused with the findings that block it, or TransitionRefused with reason permission, state or organization.
    """
    with transaction.atomic():
        row = lock_client(client)
        if not actor.has_role(row.organization, OWNER):
            raise TransitionRefused("permission", "Only an owner may do this.")
        if row.stage == Client.Stage.LIVE or row.state != Client.State.ACTIVE:
            raise TransitionRefused("state", "Only an active app in test can go live.")
        if row.organization.state != Organization.State.APPROVED:
            raise TransitionRefused("organization", "The organization must be approved first.")
        assessment = assess_metadata(row.metadata, row.organization, stage=Client.Stage.LIVE, now=now, restrictions=row.restrictions)
        if assessment.errors:
            raise MetadataRefused(assessment.findings)
        return open_change_request(row, ChangeRequest.Kind.GO_LIVE, assessment.metadata, actor, now=now, justification=justification)


def assign_change(request: ChangeRequest, actor: Actor) -> ChangeRequest:
    """Note that the actor reviews this request from now on. Raises TransitionRefused with reason permission, state or own."""
    step = CHANGE_REQUEST["assign"]
    with transaction.atomic():
        client = lock_client(request.client)
        row = ChangeRequest.objects.select_for_update().get(pk=request.pk)
        check_step(step, row.state, actor, client.organization, "")
        _check_not_own(row, actor)
        before, row.reviewer = row.reviewer, actor.user
        row.save(update_fields=["reviewer"])
        record_step(actor, step.event, row, client.organization, difference={"reviewer": [str(before) if before else None, actor.label]})
        return row


def approve_change(request: ChangeRequest, actor: Actor, *, digest: str, now: datetime, reason: str = "") -> ChangeRequest:
    """Approve exactly what was reviewed: `digest` is that of the content the reviewer saw.

    Refused with reason changed when the content, the client or the rules differ by now; raises TransitionRefused or MetadataRefused.
    """
    with transaction.atomic():
        client = lock_client(request.client)
        row = ChangeRequest.objects.select_for_update().get(pk=request.pk)
        check_step(CHANGE_REQUEST["approve"], row.state, actor, client.organization, reason)
        _check_reviewer(row, actor)
        _check_unchanged(row, client, digest)
        assessment = assess_metadata(row.metadata, client.organization, stage=Client.Stage.LIVE, now=now, restrictions=client.restrictions)
        if assessment.errors:
            raise MetadataRefused(assessment.findings)
        if assessment.metadata != row.metadata:
            raise TransitionRefused("changed", "The rules of this server changed since this was submitted; send it back.")
        row.state, row.reason, row.decided_by, row.decided_at = ChangeRequest.State.APPROVED, reason, actor.user, now
        row.save()
        difference = difference_between({"stage": client.stage}, {"stage": Client.Stage.LIVE})
        client.stage = Client.Stage.LIVE
        declared = row.metadata if row.kind == ChangeRequest.Kind.CHANGE else None
        apply_metadata(client, row.metadata, actor, now=now, declared=declared)
        grant_scopes(client, client.scopes, Entitlement.Because.STAFF, evidence=f"change request {row.reference}")
        record_step(actor, "change.approved", row, client.organization, reason=reason, difference=difference)
        return row


def _check_not_own(row: ChangeRequest, actor: Actor) -> None:
    if actor.user is not None and row.submitted_by_id == actor.user.pk:
        raise TransitionRefused("own", "You submitted this; a colleague must review it.")


def _check_reviewer(row: ChangeRequest, actor: Actor) -> None:
    _check_not_own(row, actor)
    if row.reviewer_id and not actor.is_reviewer(row.reviewer_id):
        raise TransitionRefused("assigned", f"{row.reviewer} is reviewing this request; assign it to yourself first.")


def _check_unchanged(row: ChangeRequest, client: Client, digest: str) -> None:
    stored = content_digest(client, row.kind, row.metadata)
    if digest != row.digest or stored != row.digest or content_digest(client, "base", client.metadata) != row.base_digest:
        raise TransitionRefused("changed", "This is no longer what you reviewed. Look at it again.")
    if client.state != Client.State.ACTIVE or client.organization.state != Organization.State.APPROVED:
        raise TransitionRefused("state", "The app is not active, or its organization is not approved.")


def decide_change(request: ChangeRequest, step_name: str, actor: Actor, *, now: datetime, reason: str = "") -> ChangeRequest:
    """Send back, reject or withdraw a request; the client stays as it is. Raises TransitionRefused."""
    if step_name not in DECISIONS:
        raise ValueError(f"{step_name} is not one of {', '.join(DECISIONS)}")
    step = CHANGE_REQUEST[step_name]
    with transaction.atomic():
        client = lock_client(request.client)
        row = ChangeRequest.objects.select_for_update().get(pk=request.pk)
        check_step(step, row.state, actor, client.organization, reason)
        if step_name != "withdraw":
            _check_reviewer(row, actor)
        row.state, row.reason, row.decided_by, row.decided_at = step.target or row.state, reason, actor.user, now
        row.save()
        record_step(actor, step.event, row, client.organization, reason=reason)
        return row
