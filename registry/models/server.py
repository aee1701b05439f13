"""What this server keeps for itself: signing keys and secrets, encrypted with FIELD_ENCRYPTION_KEYS."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SigningKey(models.Model):
    """A key this server signs with (house decision 13)."""

    class Purpose(models.TextChoices):
        """Federation keys are never used for OAuth, nor the other way round (FED-JOS-07)."""

        PROTOCOL = "protocol", _("Protocol")
        FEDERATION = "federation", _("Federation")

    class State(models.TextChoices):
        """Next is published ahead, current signs, retired still verifies."""

        NEXT = "next", _("Next")
        CURRENT = "current", _("Current")
        RETIRED = "retired", _("Retired")

    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    algorithm = models.CharField(max_length=10)
    kid = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=8, choices=State.choices)
    public_jwk = models.JSONField()
    private_key_encrypted = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["purpose", "algorithm", "-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["purpose", "algorithm"], condition=models.Q(state="current"), name="one_current_signing_key"),
            models.UniqueConstraint(fields=["purpose", "algorithm"], condition=models.Q(state="next"), name="one_next_signing_key"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.algorithm} {self.kid[:8]} ({self.state})"


class ServerSecret(models.Model):
    """A named random secret of this server, such as the key of digests at rest."""

    name = models.CharField(max_length=40, unique=True)
    value_encrypted = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name
