"""Rows that die with the credential generation of their client (house decision 5)."""

from __future__ import annotations

from typing import Any

from django.db import models

from registry.models import Client


class BelongsToGeneration(models.Model):
    """A row that dies when its client's credential generation moves on."""

    credential_generation = models.PositiveIntegerField()
    application: Client

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new row takes the generation of the client row that authorized it."""
        if self.credential_generation is None:
            self.credential_generation = self.application.credential_generation
        super().save(*args, **kwargs)

    @property
    def is_live(self) -> bool:
        """Say whether the row belongs to the present generation of its client."""
        return self.application is not None and self.credential_generation == self.application.credential_generation
