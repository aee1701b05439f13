"""Adding trust anchors and reading them for the core."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from federation.core.trust_chains import TrustAnchor
from federation.models import FederationRecord, RefusedEntity, TrustAnchorRecord
from protocol.errors import TransitionRefused
from protocol.jose import FEDERATION_ENTITY_KEYS, parse_jwk_set
from protocol.urls import parse_entity_identifier
from registry import audit
from registry.actors import Actor, federation_entity
from registry.lifecycle import end_trust
from registry.models import Client
from registry.transitions import OPERATOR, SYSTEM


def add_trust_anchor(entity_id: str, jwks: object, actor: Actor, *, now: datetime, organizations: str | None = None) -> TrustAnchorRecord:
    """Accept a trust anchor with these keys, or pin new keys for one that is accepted already.

    Without `organizations` an anchor keeps its rule, and a new one queues them.
    Raises InvalidUrl for what is no entity identifier, InvalidKeySet for keys that cannot be used.
    """
    name = parse_entity_identifier(entity_id).text
    public = parse_jwk_set(jwks, purpose=FEDERATION_ENTITY_KEYS).public_jwks()
    with transaction.atomic():
        before = TrustAnchorRecord.objects.select_for_update().filter(entity_id=name).first()
        values = {"jwks": public, "is_enabled": True, "changed_at": now, **({"organizations": organizations} if organizations else {})}
        row, created = TrustAnchorRecord.objects.update_or_create(entity_id=name, defaults=values)
        pins = [[key["kid"] for key in record.jwks["keys"]] if record else None for record in (before, row)]
        event = "trust_anchor.added" if created else "trust_anchor.changed"
        audit.record(
            actor,
            event,
            row,
            organization=None,
            difference={"kids": pins, "organizations": [before and before.organizations, row.organizations]},
        )
        return row


def get_trust_anchors() -> list[TrustAnchor]:
    """Return the accepted trust anchors in order of preference. One query."""
    rows = TrustAnchorRecord.objects.filter(is_enabled=True)
    return [TrustAnchor(row.entity_id, parse_jwk_set(row.jwks, purpose=FEDERATION_ENTITY_KEYS)) for row in rows]


def get_refused_entities() -> frozenset[str]:
    """Return the entities through which no chain may go. One query."""
    return frozenset(RefusedEntity.objects.values_list("entity_id", flat=True))


def clients_depending_on(entity_id: str) -> list[Client]:
    """Return the clients whose chain goes through an entity, with their organizations, by organization: what ends without it."""
    records = FederationRecord.objects.select_related("client__organization").exclude(client__state=Client.State.CLOSED)
    found = [record.client for record in records.only("entities", "client").iterator() if entity_id in record.entities]
    return sorted(found, key=lambda client: (client.organization.legal_name, client.client_id))


def distrust(entity_id: str, actor: Actor, *, now: datetime, reason: str) -> int:
    """Trust an anchor, an intermediate or a leaf no more; return how many clients lost their trust by it, in this transaction.

    Those that have another chain come back with the next sweep, without their tokens. Raises TransitionRefused with reason permission or
    reason_missing, InvalidUrl for what is no entity identifier.
    """
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may say who is trusted.")
    if not reason.strip():
        raise TransitionRefused("reason_missing", "Say why, in words that the partners will read.")
    name = parse_entity_identifier(entity_id).text
    with transaction.atomic():
        anchor = TrustAnchorRecord.objects.select_for_update().filter(entity_id=name).first()
        if anchor is not None:
            anchor.is_enabled, anchor.changed_at = False, now
            anchor.save(update_fields=["is_enabled", "changed_at"])
            audit.record(actor, "trust_anchor.disabled", anchor, organization=None, reason=reason)
        else:
            row, _ = RefusedEntity.objects.update_or_create(entity_id=name, defaults={"reason": reason, "created_at": now})
            audit.record(actor, "entity.refused", row, organization=None, reason=reason)
        clients = clients_depending_on(name)
        ended = end_trust(clients, federation_entity(name), reason=f"{name} is trusted here no more. {reason}")
        FederationRecord.objects.filter(client__in=clients).update(next_check_at=now)
        return ended


def trust_again(entity_id: str, actor: Actor, *, now: datetime) -> bool:
    """Take a refusal back; say whether there was one. Clients come back with the next sweep. Raises TransitionRefused."""
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may say who is trusted.")
    with transaction.atomic():
        anchor = TrustAnchorRecord.objects.select_for_update().filter(entity_id=entity_id, is_enabled=False).first()
        row = RefusedEntity.objects.filter(entity_id=entity_id).first()
        if anchor is not None:
            anchor.is_enabled, anchor.changed_at = True, now
            anchor.save(update_fields=["is_enabled", "changed_at"])
            audit.record(actor, "trust_anchor.enabled", anchor, organization=None)
        if row is not None:
            audit.record(actor, "entity.accepted_again", row, organization=None)
            row.delete()
        FederationRecord.objects.filter(client__trust=Client.Trust.BROKEN).update(next_check_at=now)
        return anchor is not None or row is not None
