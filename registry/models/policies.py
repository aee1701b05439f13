"""The registration policy as staff edit it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _


class PolicyRecord(models.Model):
    """Values that differ from the built-in policy: for all (no organization) or for one organization.

    `values` holds members of `registry.registration_policy.RegistrationPolicy`; later records win: built in, all, organization.
    """

    organization = models.OneToOneField(
        "registry.Organization", null=True, blank=True, on_delete=models.CASCADE, related_name="policy_record"
    )
    values = models.JSONField(default=dict)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=models.Q(organization__isnull=True), name="one_policy_record_for_all")
        ]

    def __str__(self) -> str:
        if not self.organization_id:
            return _("Registration policy")
        return _("Registration policy of %(organization)s") % {"organization": self.organization}
