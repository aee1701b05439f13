"""Trust anchors that this server accepts, with their pinned keys (house decision 10)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from protocol.constants import CLIENT_ID_LIMIT


class TrustAnchorRecord(models.Model):
    """A trust anchor. Its keys come from an operator, never from the document that is checked by them."""

    class Organizations(models.TextChoices):
        """How an entity below this anchor gets its organization (house decision 8)."""

        CREATE = "create", _("Create one for it")
        MATCH = "match", _("Match a known one")
        QUEUE = "queue", _("Queue it for staff")

    entity_id = models.CharField(max_length=CLIENT_ID_LIMIT)
    jwks = models.JSONField()
    organizations = models.CharField(max_length=10, choices=Organizations.choices, default=Organizations.QUEUE)
    registers_at_token_endpoint = models.BooleanField(
        default=False, help_text="A machine client below it may register by its first token request, which carries its trust chain."
    )
    is_enabled = models.BooleanField(default=True)
    position = models.PositiveIntegerField(default=0, help_text="Anchors with a lower number are preferred when several chains are valid.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["entity_id"], name="trust_anchor_once")]

    def __str__(self) -> str:
        return self.entity_id


class RefusedEntity(models.Model):
    """An entity that an operator trusts no more, whatever its superiors say: no chain may go through it or start at it."""

    entity_id = models.CharField(max_length=CLIENT_ID_LIMIT, unique=True)
    reason = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["entity_id"]

    def __str__(self) -> str:
        return self.entity_id
