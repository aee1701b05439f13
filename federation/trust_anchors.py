"""Adding trust anchors and reading them for the core."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Max, TextField
from django.db.models.functions import Cast

from federation.core.trust_chains import TrustAnchor
from federation.models import FederationRecord, OrganizationRule, RefusedEntity, TrustAnchorRecord, TrustMarkRule
from protocol.errors import TransitionRefused
from protocol.jose import FEDERATION_ENTITY_KEYS, parse_jwk_set, parse_jwk_set_once
from protocol.urls import parse_entity_identifier
from registry import audit
from registry.actors import Actor, federation_entity
from registry.lifecycle import end_trust
from registry.models import Client
from registry.transitions import OPERATOR, SYSTEM

EDITABLE: Final = ("organizations", "position", "registers_at_token_endpoint")
HIGHEST_POSITION: Final = 1000


def add_trust_anchor(
    entity_id: str, jwks: object, actor: Actor, *, now: datetime, organizations: str | None = None, only_new: bool = False
) -> TrustAnchorRecord:
    """Accept a trust anchor with these keys, or pin new keys for one that is accepted already, unless `only_new`.

    Without `organizations` an anchor keeps its rule, and a new one queues them. Raises InvalidUrl for what is no entity identifier,
    InvalidKeySet for keys that cannot be used, TransitionRefused with reason permission, duplicate or refused.
    """
    _check_operator(actor)
    name = parse_entity_identifier(entity_id).text
    public = parse_jwk_set(jwks, purpose=FEDERATION_ENTITY_KEYS).public_jwks()
    with transaction.atomic():
        before = TrustAnchorRecord.objects.select_for_update().filter(entity_id=name).first()
        if only_new:
            _check_new(name, before)
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


def _check_new(entity_id: str, before: TrustAnchorRecord | None) -> None:
    if before is not None:
        raise TransitionRefused("duplicate", "This trust anchor is known here already; its page is the place to change it.")
    if RefusedEntity.objects.filter(entity_id=entity_id).exists():
        raise TransitionRefused("refused", "This entity is refused here. Take that back before it can be a trust anchor.")


def change_trust_anchor(
    anchor: TrustAnchorRecord, actor: Actor, *, now: datetime, jwks: object | None = None, **values: Any
) -> TrustAnchorRecord:
    """Change how a trust anchor is used, and with `jwks` its pinned keys; return it. `values` are of EDITABLE.

    With other keys, every client below it is looked at soon. Saving what is there already writes nothing. Raises InvalidKeySet for keys
    that cannot be used, TransitionRefused with reason permission or value.
    """
    _check_operator(actor)
    public = None if jwks is None else parse_jwk_set(jwks, purpose=FEDERATION_ENTITY_KEYS).public_jwks()
    with transaction.atomic():
        row = TrustAnchorRecord.objects.select_for_update().get(pk=anchor.pk)
        before = _told(row)
        for name in EDITABLE:
            setattr(row, name, values.get(name, getattr(row, name)))
        row.jwks = public or row.jwks
        if row.organizations not in TrustAnchorRecord.Organizations.values or not 0 <= row.position <= HIGHEST_POSITION:
            raise TransitionRefused("value", f"The rule must be one that exists, and the position from 0 to {HIGHEST_POSITION}.")
        changed = audit.difference_between(before, _told(row))
        if changed:
            row.changed_at = now
            row.save()
            audit.record(actor, "trust_anchor.changed", row, organization=None, difference=changed)
        if "thumbprints" in changed:
            FederationRecord.objects.filter(anchor=row.entity_id, next_check_at__gt=now).update(next_check_at=now)
        return row


def _told(row: TrustAnchorRecord) -> dict[str, Any]:
    """Return what the audit trail says of a trust anchor."""
    keys = parse_jwk_set(row.jwks, purpose=FEDERATION_ENTITY_KEYS).keys
    told = {"kids": [key.kid for key in keys], "thumbprints": [key.thumbprint for key in keys]}
    return {**told, **{name: getattr(row, name) for name in EDITABLE}}


def get_trust_anchors() -> tuple[list[TrustAnchor], tuple[datetime, ...]]:
    """Return the accepted trust anchors in order of preference, and when each of them was changed last. One query."""
    rows = list(TrustAnchorRecord.objects.filter(is_enabled=True))
    anchors = [TrustAnchor(row.entity_id, parse_jwk_set_once(row.jwks, purpose=FEDERATION_ENTITY_KEYS)) for row in rows]
    return anchors, tuple(row.changed_at for row in rows)


def get_refused_entities() -> frozenset[str]:
    """Return the entities through which no chain may go, those too that were trust anchors. One query."""
    former = TrustAnchorRecord.objects.filter(is_enabled=False).order_by().values_list("entity_id")
    return frozenset(name for (name,) in RefusedEntity.objects.order_by().values_list("entity_id").union(former))


def clients_depending_on(entity_id: str) -> list[Client]:
    """Return the clients whose chain goes through an entity, with their organizations, by organization: what ends without it.

    One query; the clients come without their metadata. The text of the chain narrows it down, the chain itself decides.
    """
    chain = F("federation__entities")
    clients = Client.objects.select_related("organization").defer("metadata", "declared_metadata").exclude(state=Client.State.CLOSED)
    about = clients.annotate(entities=chain, text=Cast(chain, TextField())).filter(text__contains=f'"{entity_id}"')
    found = [client for client in about.order_by() if entity_id in client.entities]
    return sorted(found, key=lambda client: (client.organization.legal_name, client.organization_id, client.client_id))


def last_confirmed(entity_id: str) -> datetime | None:
    """Return when a chain that ends at the anchor `entity_id` was fetched and confirmed last, None when no client has one. One query."""
    found: datetime | None = FederationRecord.objects.filter(anchor=entity_id).aggregate(last=Max("checked_at"))["last"]
    return found


def rules_about(entity_id: str) -> list[TrustMarkRule | OrganizationRule]:
    """Return the rules that mean nothing without the anchor `entity_id`. Two queries."""
    marks = TrustMarkRule.objects.filter(anchor=entity_id)
    return [*marks, *OrganizationRule.objects.filter(superior=entity_id).select_related("organization")]


def distrust(entity_id: str, actor: Actor, *, now: datetime, reason: str) -> int:
    """Trust an anchor, an intermediate or a leaf no more; return how many clients lost their trust by it, in this transaction.

    Those that have another chain come back with the next sweep, without their tokens. Raises TransitionRefused with reason permission,
    reason_missing, or state when it was done before in the same words; InvalidUrl for what is no entity identifier.
    """
    _check_operator(actor)
    if not reason.strip():
        raise TransitionRefused("reason_missing", "Say why, in words that the partners will read.")
    name = parse_entity_identifier(entity_id).text
    with transaction.atomic():
        anchor = TrustAnchorRecord.objects.select_for_update().filter(entity_id=name).first()
        if anchor is not None:
            if not anchor.is_enabled:
                raise TransitionRefused("state", f"{name} is trusted no more already.")
            anchor.is_enabled, anchor.changed_at = False, now
            anchor.save(update_fields=["is_enabled", "changed_at"])
            audit.record(actor, "trust_anchor.disabled", anchor, organization=None, reason=reason)
        else:
            said = {"reason": reason, "created_at": now}
            row, created = RefusedEntity.objects.select_for_update().get_or_create(entity_id=name, defaults=said)
            if not created and row.reason == reason:
                raise TransitionRefused("state", f"{name} is trusted no more already.")
            RefusedEntity.objects.filter(pk=row.pk).update(**said)
            audit.record(actor, "entity.refused", row, organization=None, reason=reason)
        clients = clients_depending_on(name)
        ended = end_trust(clients, federation_entity(name), reason=f"{name} is trusted here no more. {reason}")
        FederationRecord.objects.filter(client__in=clients).update(next_check_at=now)
        return ended


def trust_again(entity_id: str, actor: Actor, *, now: datetime) -> bool:
    """Take a refusal back; say whether there was one. Clients come back with the next sweep. Raises TransitionRefused."""
    _check_operator(actor)
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


def _check_operator(actor: Actor) -> None:
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may say who is trusted.")
