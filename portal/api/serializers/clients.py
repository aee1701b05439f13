"""Clients and their secrets on the wire."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from portal.api.serializers.change_requests import ChangeRequestSerializer
from portal.api.serializers.common import PageQuery, StepName, StrictSerializer, Text, WholeNumber, optional_text, page_of
from portal.api.serializers.metadata import ClientMetadataDocument, ClientMetadataSerializer
from registry.models import Client
from registry.transitions import CLIENT

LONGEST_SECRET_SECONDS: Final = 10 * 366 * 86_400
LONGEST_OVERLAP_SECONDS: Final = 30 * 86_400


class ClientSerializer(serializers.Serializer):
    """An app."""

    reference = serializers.UUIDField()
    client_id = serializers.CharField()
    organization = serializers.SlugField(source="organization.slug")
    name = serializers.CharField(allow_blank=True)
    source = serializers.ChoiceField(Client.Source.choices)  # type: ignore[assignment]
    stage = serializers.ChoiceField(Client.Stage.choices)
    state = serializers.ChoiceField(Client.State.choices)
    state_reason = serializers.CharField(allow_blank=True)
    state_changed_at = serializers.DateTimeField()
    paused_by_owner = serializers.BooleanField()
    offered_to_owner = serializers.BooleanField(help_text="A draft of our staff that an owner has not claimed yet.")
    trust = serializers.ChoiceField(Client.Trust.choices)
    trust_expires_at = serializers.DateTimeField(allow_null=True)
    is_resource_server = serializers.BooleanField()
    created = serializers.DateTimeField()
    updated = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    metadata = ClientMetadataSerializer()


class NewClient(StrictSerializer):
    """An app to register, in test."""

    metadata = ClientMetadataDocument()


class ClientReplacement(NewClient):
    """The whole metadata of an app; what is left out is no longer registered."""

    justification = optional_text(help_text="For the reviewer, when the edit needs one.")


class FindingSerializer(serializers.Serializer):
    """Something to say about a value that was accepted."""

    code = serializers.CharField()
    level = serializers.ChoiceField(["warning", "note"])
    field = serializers.CharField()
    sentence = serializers.CharField()
    hint = serializers.CharField(allow_blank=True)


class ClientUpdateSerializer(serializers.Serializer):
    """What became of an edit: applied, or waiting as `change_request` for the reasons given."""

    client = ClientSerializer()
    change_request = ChangeRequestSerializer(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    findings = FindingSerializer(many=True)


class ClientTransition(StrictSerializer):
    """A step of an app."""

    step = StepName(list(CLIENT))
    reason = optional_text(help_text="In words that the partner reads; some steps need it.")


class GoLive(StrictSerializer):
    """Asking for an app to go live."""

    justification = optional_text(help_text="What the reviewer should know.")


class ClientQuery(PageQuery):
    """Which apps."""

    state = serializers.ChoiceField(Client.State.choices, required=False)
    stage = serializers.ChoiceField(Client.Stage.choices, required=False)
    source = serializers.ChoiceField(Client.Source.choices, required=False)  # type: ignore[assignment]


class SecretSerializer(serializers.Serializer):
    """A secret without its value; `tail` is how that ends."""

    id = serializers.IntegerField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    tail = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class NewSecretSerializer(serializers.Serializer):
    """A secret just made. This is the only answer that holds its value."""

    secret = SecretSerializer(source="row")
    value = serializers.CharField()


class SecretTerms(StrictSerializer):
    """What a new secret is like. Two may live at a time; `end_others_in` ends the others after so many seconds."""

    label = Text(required=False, allow_blank=True, default="", max_length=60)  # type: ignore[assignment]
    expires_in = WholeNumber(required=False, min_value=60, max_value=LONGEST_SECRET_SECONDS, help_text="Seconds; never without it.")
    end_others_in = WholeNumber(required=False, min_value=0, max_value=LONGEST_OVERLAP_SECONDS, help_text="Seconds.")


ClientPageSerializer: Any = page_of(ClientSerializer)
SecretPageSerializer: Any = page_of(SecretSerializer)
