"""Organizations on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from portal.api.serializers.common import PageQuery, StepName, StrictSerializer, Text, optional_text, override_text, page_of
from registry.lifecycle import submission_digest
from registry.models import Organization
from registry.transitions import ORGANIZATION


class ContactsSerializer(serializers.Serializer):
    """The e-mail address of each kind of contact."""

    business = serializers.CharField(required=False)
    technical = serializers.CharField(required=False)
    security = serializers.CharField(required=False)
    billing = serializers.CharField(required=False)
    incident = serializers.CharField(required=False)

    def to_representation(self, instance: Any) -> dict[str, str]:
        """Return the first address of each kind that has one."""
        found: dict[str, str] = {}
        for contact in instance.all():
            found.setdefault(contact.kind, contact.email)
        return found


class ContactChanges(StrictSerializer):
    """E-mail addresses to set; an empty one takes the contact away."""

    business = Text(required=False, allow_blank=True)
    technical = Text(required=False, allow_blank=True)
    security = Text(required=False, allow_blank=True)
    billing = Text(required=False, allow_blank=True)
    incident = Text(required=False, allow_blank=True)


class OrganizationSerializer(serializers.Serializer):
    """An organization as lists show it."""

    slug = serializers.SlugField()
    org_id = serializers.UUIDField()
    legal_name = serializers.CharField()
    registration_number = serializers.CharField(allow_blank=True)
    country = serializers.CharField(allow_blank=True)
    website = serializers.CharField(allow_blank=True)
    email_domains = serializers.ListField(child=serializers.CharField())
    contacts = ContactsSerializer()
    is_operator = serializers.BooleanField()
    state = serializers.ChoiceField(Organization.State.choices)
    state_reason = serializers.CharField(allow_blank=True)
    state_changed_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField(allow_null=True)


class OrganizationDetailSerializer(OrganizationSerializer):
    """An organization with the digest of what a reviewer decides on."""

    submission_digest = serializers.SerializerMethodField()

    def get_submission_digest(self, organization: Organization) -> str:
        """Return what goes into `digest` of a decision, so that exactly what was read is decided on."""
        return submission_digest(organization)


class OrganizationChanges(StrictSerializer):
    """What may be changed; what is not there stays."""

    legal_name = Text(required=False, allow_blank=True)
    registration_number = Text(required=False, allow_blank=True)
    country = Text(required=False, allow_blank=True, help_text="ISO 3166-1 alpha-2, in capital letters.")
    website = Text(required=False, allow_blank=True)
    email_domains = serializers.ListField(child=Text(), required=False)
    contacts = ContactChanges(required=False)


class NewOrganization(OrganizationChanges):
    """What an organization begins with."""

    legal_name = Text(allow_blank=True)


class OrganizationTransition(StrictSerializer):
    """A step of an organization; `digest` is the `submission_digest` that was read."""

    step = StepName(list(ORGANIZATION))
    reason = optional_text(help_text="In words that the partner reads; some steps need it.")
    override = override_text()
    digest = Text(required=False, allow_blank=False)


class OrganizationQuery(PageQuery):
    """Which organizations."""

    state = serializers.ChoiceField(Organization.State.choices, required=False)


OrganizationPageSerializer = page_of(OrganizationSerializer)
