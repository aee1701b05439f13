"""Apps that are being filled in."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class AppDraft(models.Model):
    """What a person has said so far of an app that is not registered yet. It is no client: nothing can be done with it.

    `answers` holds fields of the form as they were typed, by name; keys are kept only once they were read and found to be public.
    """

    reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey("registry.Organization", on_delete=models.CASCADE, related_name="app_drafts")
    answers = models.JSONField(default=dict)
    created_by = models.ForeignKey("registry.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return str(self.answers.get("client_name") or self.reference)
