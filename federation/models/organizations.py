"""Whose an entity is: identifiers that organizations claimed and proved, and rules that staff made (house decision 8)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from protocol.constants import CLIENT_ID_LIMIT


class EntityClaim(models.Model):
    """An organization says that an entity is its own. It counts from `proven_at` on; of one entity one claim can be proven."""

    class Proof(models.TextChoices):
        """What proved it."""

        SIGNATURE = "signature", _("A challenge signed with its federation key")
        FILE = "file", _("A file on its host")
        STAFF = "staff", _("Our staff")
        ANCHOR = "anchor", _("Its trust anchor, by whose rule the organization was made")

    organization = models.ForeignKey("registry.Organization", on_delete=models.CASCADE, related_name="entity_claims")
    entity_id = models.CharField(max_length=CLIENT_ID_LIMIT)
    challenge = models.CharField(max_length=64, blank=True, editable=False)
    challenged_at = models.DateTimeField(default=timezone.now, editable=False)
    proof = models.CharField(max_length=10, choices=Proof.choices, blank=True)
    proven_at = models.DateTimeField(null=True, blank=True)
    claimed_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    failure = models.CharField(max_length=300, blank=True, help_text="Why the last attempt to prove it failed.")

    class Meta:
        ordering = ["entity_id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "entity_id"], name="claim_once_per_organization"),
            models.UniqueConstraint(fields=["entity_id"], condition=models.Q(proven_at__isnull=False), name="entity_proven_once"),
        ]

    def __str__(self) -> str:
        return self.entity_id


class OrganizationRule(models.Model):
    """Everything below a superior belongs to an organization."""

    superior = models.CharField(max_length=CLIENT_ID_LIMIT, unique=True)
    organization = models.ForeignKey("registry.Organization", on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["superior"]

    def __str__(self) -> str:
        return gettext("Below %(superior)s") % {"superior": self.superior}
