"""Whose an entity is: by a proven claim, a rule of staff, or the rule of its trust anchor (house decision 8)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from federation.core.resolution import Resolution
from federation.core.trust_chains import TrustChain
from federation.models import EntityClaim, OrganizationRule, RegistrationRequest, TrustAnchorRecord
from protocol.errors import AccessDenied, MetadataRefused, TransitionRefused
from protocol.urls import parse_entity_identifier
from registry import audit
from registry.actors import Actor
from registry.client_metadata.values import read_name
from registry.findings import Findings
from registry.lifecycle import create_organization
from registry.lifecycle.organizations import approve_without_review
from registry.models import Organization
from registry.notices import record_news
from registry.transitions import OPERATOR, REVIEWER, SYSTEM

NAME_LIMIT = 200


class OrganizationUnknown(AccessDenied):
    """The entity is trusted, and nobody knows whose it is; `for_staff` says that our staff shall be asked."""

    def __init__(self, *, for_staff: bool) -> None:
        self.for_staff = for_staff
        waiting = "Our staff will look at it; try again later." if for_staff else "Its operator must claim it in our portal first."
        super().__init__(f"This entity is trusted, but it belongs to no organization that is registered here. {waiting}")


def find_organization(chain: TrustChain) -> Organization | None:
    """Return the organization that a proven claim, or a rule about the nearest superior, gives the chain's subject. Two queries."""
    claim = EntityClaim.objects.select_related("organization").filter(entity_id=chain.subject.subject, proven_at__isnull=False).first()
    if claim is not None:
        return claim.organization
    superiors = list(chain.entities[1:])
    rules = OrganizationRule.objects.select_related("organization").filter(superior__in=superiors)
    nearest = min(rules, key=lambda rule: superiors.index(rule.superior), default=None)
    return nearest.organization if nearest else None


def organization_for(resolution: Resolution, actor: Actor, *, now: datetime) -> Organization:
    """Return the organization of the entity of a resolution that succeeded; one is made if its anchor's rule says so.

    Raises OrganizationUnknown.
    """
    chain = resolution.chain
    if chain is None:
        raise ValueError("the resolution did not establish trust")
    known = find_organization(chain)
    if known is not None:
        return known
    anchor = TrustAnchorRecord.objects.filter(entity_id=chain.anchor_id).first()
    rule = anchor.organizations if anchor else TrustAnchorRecord.Organizations.MATCH
    if rule == TrustAnchorRecord.Organizations.CREATE:
        return _create(resolution, chain, actor, now=now)
    raise OrganizationUnknown(for_staff=rule == TrustAnchorRecord.Organizations.QUEUE)


def _create(resolution: Resolution, chain: TrustChain, actor: Actor, *, now: datetime) -> Organization:
    """Make an organization for an entity, approved because its anchor vouches for it; the identifier is its key, never its name."""
    entity_id = chain.subject.subject
    host = parse_entity_identifier(entity_id).host
    with transaction.atomic():
        try:
            organization = create_organization(actor, entity_name(resolution) or host, now=now)
        except MetadataRefused:  # a name that no organization may have here
            organization = create_organization(actor, host, now=now)
        organization = approve_without_review(organization, actor, now=now)
        EntityClaim.objects.create(
            organization=organization, entity_id=entity_id, proof=EntityClaim.Proof.ANCHOR, challenged_at=now, proven_at=now
        )
        return organization


def queue_entity(resolution: Resolution, actor: Actor, *, now: datetime) -> RegistrationRequest:
    """Keep what staff need to decide whose a trusted entity is, and that it came again."""
    chain = resolution.chain
    if chain is None:
        raise ValueError("the resolution did not establish trust")
    with transaction.atomic():
        row, created = RegistrationRequest.objects.select_for_update().get_or_create(
            entity_id=chain.subject.subject, defaults={"first_seen_at": now, "last_seen_at": now}
        )
        row.name = entity_name(resolution)
        row.entities, row.statements = list(chain.entities), list(chain.raw)
        row.resolved_metadata = dict(resolution.metadata.metadata) if resolution.metadata else {}
        row.last_seen_at = now
        row.attempts += 0 if created else 1
        row.save()
        if created:
            record_news(actor, "registration_request.opened", row, None)
        return row


def entity_name(resolution: Resolution) -> str:
    """Return what an entity calls its organization, or itself, as its federation resolved it; nobody checked it."""
    metadata = resolution.metadata.metadata if resolution.metadata else {}
    names = (
        metadata.get("federation_entity", {}).get("organization_name"),
        *(metadata.get(entity_type, {}).get(name) for entity_type in metadata for name in ("organization_name", "client_name")),
    )
    name = next((name.strip() for name in names if isinstance(name, str) and name.strip()), "")
    # What a form would refuse as deceptive is no name here either (threats.md R07).
    return read_name(name[:NAME_LIMIT], "name", Findings()) or ""


def assign_request(request: RegistrationRequest, organization: Organization, actor: Actor, *, now: datetime) -> RegistrationRequest:
    """Say whose the entity of a request is. It registers with its next try. Raises TransitionRefused with reason permission or state."""
    with transaction.atomic():
        row = _lock(request, actor)
        if not actor.has_role(organization, REVIEWER, OPERATOR, SYSTEM):
            raise TransitionRefused("permission", "You are a member of this organization; a colleague must decide this.")
        if organization.state != Organization.State.APPROVED:
            raise TransitionRefused("organization", "The organization must be approved first.")
        _end_other_claim(row.entity_id)
        EntityClaim.objects.update_or_create(
            organization=organization,
            entity_id=row.entity_id,
            defaults={"proof": EntityClaim.Proof.STAFF, "proven_at": now, "claimed_by": actor.user, "failure": ""},
        )
        row.state, row.organization, row.decided_by, row.decided_at = RegistrationRequest.State.ASSIGNED, organization, actor.user, now
        row.save()
        audit.record(actor, "registration_request.assigned", row, organization=organization)
        return row


def dismiss_request(request: RegistrationRequest, actor: Actor, *, now: datetime, reason: str) -> RegistrationRequest:
    """Leave the entity of a request outside; it is not asked about again. Raises TransitionRefused."""
    with transaction.atomic():
        row = _lock(request, actor)
        if row.state == RegistrationRequest.State.DISMISSED:
            raise TransitionRefused("state", "This entity stays outside already. It can still be assigned.")
        if not reason.strip():
            raise TransitionRefused("reason_missing", "Say why, for the colleague who is asked about it.")
        row.state, row.reason, row.decided_by, row.decided_at = RegistrationRequest.State.DISMISSED, reason, actor.user, now
        row.save()
        audit.record(actor, "registration_request.dismissed", row, organization=None, reason=reason)
        return row


def _lock(request: RegistrationRequest, actor: Actor) -> RegistrationRequest:
    if not actor.has_role(None, REVIEWER, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only our staff may decide whose an entity is.")
    row = RegistrationRequest.objects.select_for_update().get(pk=request.pk)
    if row.state == RegistrationRequest.State.ASSIGNED:
        raise TransitionRefused("state", "This entity has its organization already.")
    return row


def _end_other_claim(entity_id: str) -> None:
    if EntityClaim.objects.filter(entity_id=entity_id, proven_at__isnull=False).exists():
        raise TransitionRefused("claimed", "An organization has proven meanwhile that this entity is its own.")


def save_organization_rule(
    superior: str, organization: Organization, actor: Actor, *, now: datetime, only_new: bool = False
) -> OrganizationRule:
    """Say that everything below `superior` belongs to `organization`; clients that are registered keep theirs.

    With `only_new` an existing rule stays as it is. Raises TransitionRefused with reason permission, duplicate, or state when it is said
    already; InvalidUrl for what is no entity identifier.
    """
    _check_operator(actor, organization)
    name = parse_entity_identifier(superior).text
    with transaction.atomic():
        rules = OrganizationRule.objects.select_related("organization").select_for_update(of=("self",))
        row, created = rules.get_or_create(superior=name, defaults={"organization": organization, "created_at": now})
        before = None if created else row.organization
        if before == organization:
            raise TransitionRefused("state", f"What registers below {name} belongs to {organization} already.")
        if before is not None and only_new:
            raise TransitionRefused("duplicate", "There is a rule about this superior; its page is the place to change it.")
        row.organization, row.created_by, row.created_at = organization, actor.user, now
        row.save()
        whose = [before and before.legal_name, organization.legal_name]
        audit.record(actor, "organization_rule.saved", row, organization=organization, difference={"organization": whose})
        return row


def delete_organization_rule(rule: OrganizationRule, actor: Actor) -> None:
    """Forget a rule; clients that are registered keep their organization. Raises TransitionRefused with reason permission."""
    _check_operator(actor)
    with transaction.atomic():
        audit.record(actor, "organization_rule.deleted", rule, organization=rule.organization)
        rule.delete()


def _check_operator(actor: Actor, organization: Organization | None = None) -> None:
    if not actor.has_role(organization, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may say whose entities are, and not about an organization of their own.")
