"""What lets a client manage its own registration."""

from __future__ import annotations

from django.db import models


class RegistrationAccessToken(models.Model):
    """The token of one client for its own registration (RFC 7592, 3), as digest; also how the client came to be.

    After a rotation the token before works until `previous_until`, for a client that did not get the answer. It is in no other table and
    of no use anywhere else (DCR-MGT-16).
    """

    client = models.OneToOneField("registry.Client", on_delete=models.CASCADE, related_name="registration_access_token")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    tail = models.CharField(max_length=4, editable=False)
    previous_digest = models.CharField(max_length=64, blank=True, db_index=True, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    is_hardened = models.BooleanField(default=False)
    is_read_only = models.BooleanField(default=False)
    initial_access_token = models.ForeignKey("dcr.InitialAccessToken", null=True, on_delete=models.SET_NULL, related_name="registrations")

    def __str__(self) -> str:
        return f"Registration access token …{self.tail}"
