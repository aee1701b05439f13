"""Change requests on the wire. Of staff who decide nothing is shown, as in the portal."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from portal.api.serializers.common import PageQuery, StepName, StrictSerializer, Text, optional_text, override_text, page_of
from portal.api.serializers.metadata import ClientMetadataSerializer
from registry.lifecycle.change_requests import DECISIONS
from registry.models import ChangeRequest
from registry.sensitivity import reasons_for_review


class ChangeRequestSerializer(serializers.Serializer):
    """A request about one app: to go live, or a sensitive edit. `digest` goes into the decision to approve it."""

    reference = serializers.UUIDField()
    client = serializers.UUIDField(source="client.reference")
    organization = serializers.SlugField(source="client.organization.slug")
    kind = serializers.ChoiceField(ChangeRequest.Kind.choices)
    state = serializers.ChoiceField(ChangeRequest.State.choices)
    justification = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True, help_text="Of the decision.")
    reasons = serializers.SerializerMethodField(help_text="Why an open request needs a review.")
    metadata = ClientMetadataSerializer()
    digest = serializers.CharField()
    is_assigned = serializers.SerializerMethodField(help_text="Whether a person of our staff reviews it.")
    submitted_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)

    def get_reasons(self, request: ChangeRequest) -> list[str]:
        """Return how an open edit widens what the app may do."""
        compares = request.kind == ChangeRequest.Kind.CHANGE and request.state == ChangeRequest.State.OPEN
        return list(reasons_for_review(request.client.metadata, request.metadata)) if compares else []

    def get_is_assigned(self, request: ChangeRequest) -> bool:
        """Say whether a person of our staff reviews it."""
        return request.reviewer_id is not None


class ChangeDecision(StrictSerializer):
    """A decision; to approve takes the `digest` that was read."""

    step = StepName(["assign", "approve", *DECISIONS])
    reason = optional_text(help_text="In words that the partner reads; sending back and rejecting need it.")
    override = override_text()
    digest = Text(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for the digest of what is approved."""
        if attrs["step"] == "approve" and "digest" not in attrs:
            raise serializers.ValidationError({"digest": "Send the digest of the request as you read it."}, code="required")
        return attrs


class ChangeRequestQuery(PageQuery):
    """Which change requests."""

    state = serializers.ChoiceField(ChangeRequest.State.choices, required=False)
    kind = serializers.ChoiceField(ChangeRequest.Kind.choices, required=False)


ChangeRequestPageSerializer: Any = page_of(ChangeRequestSerializer)
