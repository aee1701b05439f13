"""The audit trail on the wire. A partner does not see who of staff did something, nor values that staff set among themselves."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from portal.api.serializers.common import PAGE_DEFAULT, PAGE_LIMIT, StrictSerializer
from registry.models import AuditEvent
from registry.models.audit import ActorKind

LARGEST_ID: Final = 2**63 - 1
# What a partner sees of what staff changed; of other members only that they changed.
_SHOWN: Final = ("state", "stage")


class AuditActorSerializer(serializers.Serializer):
    """Who did it. Of staff a partner sees the kind only."""

    kind = serializers.ChoiceField(ActorKind.choices)
    id = serializers.CharField(allow_blank=True)
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]


class AuditSubjectSerializer(serializers.Serializer):
    """What it was done to."""

    type = serializers.CharField()
    id = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]


class AuditEventSerializer(serializers.Serializer):
    """One thing that happened."""

    id = serializers.IntegerField()
    time = serializers.DateTimeField()
    event = serializers.CharField()
    result = serializers.CharField()
    actor = AuditActorSerializer()
    subject = AuditSubjectSerializer()
    organization = serializers.SlugField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    changed = serializers.ListField(child=serializers.CharField(), help_text="The members that differ.")
    difference = serializers.DictField(child=serializers.JSONField(), help_text="Of those, [before, after] where you may see it.")
    request_id = serializers.CharField(allow_blank=True)
    source_address = serializers.CharField(allow_null=True)

    def to_representation(self, instance: AuditEvent) -> dict[str, Any]:
        """Return the event; the context says which events are by staff and `hidden` from this caller."""
        hidden = instance.id in self.context.get("hidden", ())
        shown = {name: change for name, change in instance.difference.items() if not hidden or name in _SHOWN}
        return {
            "id": instance.id,
            "time": serializers.DateTimeField().to_representation(instance.time),
            "event": instance.event,
            "result": instance.result,
            "actor": _actor(instance, hidden=hidden),
            "subject": {"type": instance.object_type, "id": instance.object_id, "label": instance.object_label},
            "organization": instance.organization.slug if instance.organization else None,
            "reason": instance.reason,
            "changed": sorted(instance.difference),
            "difference": shown,
            "request_id": "" if hidden else instance.request_id,
            "source_address": None if hidden else instance.source_address,
        }


def _actor(event: AuditEvent, *, hidden: bool) -> dict[str, str]:
    if hidden:
        return {"kind": ActorKind.STAFF, "id": "", "label": ""}
    return {"kind": event.actor_kind, "id": event.actor_id, "label": event.actor_label}


class AuditPageSerializer(serializers.Serializer):
    """The newest events first."""

    items = AuditEventSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="Where older ones are.")


class AuditQuery(StrictSerializer):
    """Which events."""

    event = serializers.CharField(required=False, max_length=60, help_text="Exactly this event, such as client.suspended.")
    since_id = serializers.IntegerField(required=False, min_value=0, max_value=LARGEST_ID, help_text="Only events after this one.")
    before_id = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, help_text="Only events before this one.")
    limit = serializers.IntegerField(required=False, default=PAGE_DEFAULT, min_value=1, max_value=PAGE_LIMIT)
