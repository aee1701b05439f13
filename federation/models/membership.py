"""What this server is in its federations: its immediate superiors, and the trust marks that it carries."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from protocol.constants import CLIENT_ID_LIMIT


class Superior(models.Model):
    """An immediate superior: it issues a statement about this server, whose configuration names it (authority_hints)."""

    entity_id = models.CharField(max_length=CLIENT_ID_LIMIT, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.entity_id


class OwnTrustMark(models.Model):
    """A trust mark that somebody issued to this server, as it is published; one of each type and issuer."""

    trust_mark_type = models.CharField(max_length=CLIENT_ID_LIMIT)
    issuer = models.CharField(max_length=CLIENT_ID_LIMIT)
    token = models.TextField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["trust_mark_type", "issuer"], name="own_trust_mark_once")]

    def __str__(self) -> str:
        return self.trust_mark_type
