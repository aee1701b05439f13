"""Adding trust anchors and reading them for the core."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from federation.core.trust_chains import TrustAnchor
from federation.models import TrustAnchorRecord
from protocol.jose import FEDERATION_ENTITY_KEYS, parse_jwk_set
from protocol.urls import parse_entity_identifier
from registry import audit
from registry.actors import Actor


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
