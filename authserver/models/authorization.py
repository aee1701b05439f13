"""Authorization requests that wait for a person, and what people consented to."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from authserver.models.generations import BelongsToGeneration


class AuthorizationRequest(BelongsToGeneration):
    """A request whose parameters were verified. It stays here; pages and pushed URIs only carry a handle (PAR-07).

    It is used up when a code is issued, not at the first visit, so that signing in and reloading work (PAR-11).
    """

    class Origin(models.TextChoices):
        """How the parameters came."""

        PARAMETERS = "parameters", "Plain parameters"
        REQUEST_OBJECT = "request_object", "Signed request object"
        PUSHED = "pushed", "Pushed"

    reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, help_text="Of the pushed request_uri.")
    application = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="authorization_requests")
    origin = models.CharField(max_length=16, choices=Origin.choices)
    signed = models.BooleanField(default=False, help_text="Whether a request object of the app held the parameters.")
    parameters = models.JSONField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    created = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["digest"], condition=~models.Q(digest=""), name="pushed_request_once")]
        indexes = [models.Index(fields=["expires"]), models.Index(fields=["application", "credential_generation"])]

    def __str__(self) -> str:
        return str(self.reference)


class Consent(models.Model):
    """The scopes a person lets an app have, remembered until they take it back at /account/."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents")
    application = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="consents")
    scopes = models.JSONField(default=list)
    given_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "application"], name="consent_once")]

    def __str__(self) -> str:
        return f"{self.user} to {self.application}"
