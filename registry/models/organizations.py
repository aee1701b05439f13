"""Organizations, their contacts, members and invitations."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.labels import in_english


class Organization(models.Model):  # type: ignore[django-manager-missing] # the clients' manager comes from the toolkit
    """A partner: every client belongs to exactly one. `org_id` is what tokens and introspection say.

    `state` is written by `registry.lifecycle` alone.
    """

    class State(models.TextChoices):
        """portal.md 4.4"""

        DRAFT = "draft", _("Draft")
        PENDING = "pending", _("Waiting for approval")
        CHANGES_REQUESTED = "changes_requested", _("Changes requested")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        SUSPENDED = "suspended", _("Suspended")
        CLOSED = "closed", _("Closed")

    org_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    legal_name = models.CharField(max_length=200)
    registration_number = models.CharField(max_length=60, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166-1 alpha-2")
    website = models.CharField(max_length=500, blank=True)
    email_domains = models.JSONField(default=list, blank=True)
    is_operator = models.BooleanField(default=False, editable=False)

    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT)
    state_reason = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(default=timezone.now, editable=False)
    reviewer = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    reopened_by_owner = models.BooleanField(default=False, editable=False)

    created_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    submitted_at = models.DateTimeField(null=True, blank=True, editable=False)
    terms_accepted_at = models.DateTimeField(null=True, blank=True, editable=False)

    members = models.ManyToManyField("registry.User", through="registry.Membership", related_name="organizations")

    class Meta:
        ordering = ["legal_name"]
        constraints = [
            models.UniqueConstraint(
                fields=["country", "registration_number"],
                condition=~models.Q(registration_number=""),
                name="organization_registration_number",
                violation_error_message="An organization with this registration number exists already. Ask a colleague to invite you.",
            ),
            models.UniqueConstraint(fields=["is_operator"], condition=models.Q(is_operator=True), name="one_operator_organization"),
        ]

    def __str__(self) -> str:
        return self.legal_name

    @property
    def state_in_english(self) -> str:
        """Return the word for the state as the sentences of services say it."""
        return in_english(Organization.State(self.state).label).lower()


class Contact(models.Model):
    """Who to reach at an organization, by kind."""

    class Kind(models.TextChoices):
        """What the contact is for."""

        BUSINESS = "business", _("Business")
        TECHNICAL = "technical", _("Technical")
        SECURITY = "security", _("Security")
        BILLING = "billing", _("Billing")
        INCIDENT = "incident", _("Incident")

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="contacts")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=150, blank=True)
    email = models.EmailField(max_length=254)

    class Meta:
        ordering = ["kind", "email"]
        constraints = [models.UniqueConstraint(fields=["organization", "kind", "email"], name="contact_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.email}"


class Membership(models.Model):
    """A person's role in an organization (portal.md 4.1)."""

    class Role(models.TextChoices):
        """What the member may do."""

        OWNER = "owner", _("Owner")
        DEVELOPER = "developer", _("Developer")
        VIEWER = "viewer", _("Viewer")

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey("registry.User", on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["role", "id"]
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


class Invitation(models.Model):
    """An invitation to join an organization: bound to an address, used once, for 72 hours (threats.md R10)."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=20, choices=Membership.Role.choices)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey("registry.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.email} ({self.get_role_display()})"
