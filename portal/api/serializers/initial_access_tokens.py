"""Initial access tokens and what was refused with them, on the wire."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from dcr.initial_access_tokens import LONGEST_LIFE, SHORTEST_LIFE, USES_LIMIT, standing_of
from dcr.models import InitialAccessToken
from portal.api.serializers.common import StrictSerializer, Text, WholeNumber, page_of
from registry.models import Client
from registry.registration_policy import CHOICES


class RestrictionsSerializer(serializers.Serializer):
    """What the apps of a token are held to; what is not there is not restricted."""

    grant_types = serializers.ListField(child=serializers.CharField(), required=False)
    token_endpoint_auth_methods = serializers.ListField(child=serializers.CharField(), required=False)
    allowed_scopes = serializers.ListField(child=serializers.CharField(), required=False)
    redirect_hosts = serializers.ListField(child=serializers.CharField(), required=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return what is stored."""
        return dict(instance)


class InitialAccessTokenSerializer(serializers.Serializer):
    """A token without its value; `tail` is how that ends."""

    reference = serializers.UUIDField()
    organization = serializers.SlugField(source="organization.slug")
    label = serializers.CharField()  # type: ignore[assignment]
    tail = serializers.CharField()
    stage = serializers.ChoiceField(Client.Stage.choices)
    standing = serializers.SerializerMethodField(help_text="active when it registers apps now; else why it does not, as a word.")
    uses = serializers.IntegerField()
    uses_limit = serializers.IntegerField()
    restrictions = RestrictionsSerializer()
    source_networks = serializers.ListField(child=serializers.CharField())
    profile = serializers.SlugField(source="profile.name", default=None, allow_null=True)
    made_by_staff = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)

    def get_standing(self, token: InitialAccessToken) -> str:
        """Return how the token stands now."""
        return standing_of(token, timezone.now())[0]


class NewInitialAccessTokenSerializer(serializers.Serializer):
    """A token just made. This is the only answer that holds its value."""

    initial_access_token = InitialAccessTokenSerializer(source="row")
    value = serializers.CharField()


class RestrictionTerms(StrictSerializer):
    """What the apps of a token shall be held to."""

    grant_types = serializers.ListField(child=serializers.ChoiceField(list(CHOICES["grant_types"])), required=False)
    token_endpoint_auth_methods = serializers.ListField(
        child=serializers.ChoiceField(list(CHOICES["token_endpoint_auth_methods"])), required=False
    )
    allowed_scopes = serializers.ListField(child=Text(), required=False, max_length=50)
    redirect_hosts = serializers.ListField(child=Text(), required=False)


class InitialAccessTokenTerms(StrictSerializer):
    """What a new token allows. Live apps and profiles are for our staff to give."""

    label = Text(allow_blank=True)  # type: ignore[assignment]
    expires_in = WholeNumber(
        min_value=int(SHORTEST_LIFE.total_seconds()), max_value=int(LONGEST_LIFE.total_seconds()), help_text="Seconds."
    )
    uses_limit = WholeNumber(required=False, default=1, min_value=1, max_value=USES_LIMIT)
    stage = serializers.ChoiceField(Client.Stage.choices, required=False, default=Client.Stage.TEST)
    restrictions = RestrictionTerms(required=False)
    source_networks = serializers.ListField(child=Text(), required=False)
    profile = Text(required=False, help_text="The name of a profile.")


class RefusedRegistrationSerializer(serializers.Serializer):
    """A registration that was tried with a token and refused."""

    refused_at = serializers.DateTimeField()
    error = serializers.CharField()
    description = serializers.CharField()
    members = serializers.ListField(child=serializers.CharField())
    source_address = serializers.CharField(allow_null=True)
    request_id = serializers.CharField(allow_blank=True)


InitialAccessTokenPageSerializer: Any = page_of(InitialAccessTokenSerializer)
RefusedRegistrationPageSerializer: Any = page_of(RefusedRegistrationSerializer)
