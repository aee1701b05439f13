"""Which trust marks let a client have what, by decision of staff (house decision 7)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from protocol.constants import CLIENT_ID_LIMIT


class TrustMarkRule(models.Model):
    """A trust mark of this type entitles its bearer to scopes and grant types, as long as the mark is valid."""

    trust_mark_type = models.CharField(max_length=CLIENT_ID_LIMIT)
    anchor = models.CharField(
        max_length=CLIENT_ID_LIMIT, blank=True, help_text="Only below this trust anchor; empty for every accepted one."
    )
    issuers = models.JSONField(
        default=list, blank=True, help_text="Only from these issuers; empty for all that the trust anchor lets issue it."
    )
    scopes = models.JSONField(default=list, blank=True)
    grant_types = models.JSONField(default=list, blank=True)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["trust_mark_type", "id"]
        constraints = [models.UniqueConstraint(fields=["trust_mark_type", "anchor"], name="trust_mark_rule_once")]

    def __str__(self) -> str:
        return self.trust_mark_type
