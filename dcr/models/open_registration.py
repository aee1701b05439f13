"""The organization of clients that registered without any token."""

from __future__ import annotations

from django.db import models


class OpenRegistration(models.Model):
    """Names the one organization that keeps the clients of open registration; it is never approved, so they stay in test."""

    organization = models.OneToOneField("registry.Organization", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(models.Value(1), name="one_open_registration")]

    def __str__(self) -> str:
        return str(self.organization)
