"""What lets a machine register clients for an organization, and what it tried in vain."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from registry.models import Client, Membership, User


class RegistrationProfile(models.Model):
    """A named policy that staff give to initial access tokens; what registers with one keeps to it for good (DCR-IAT-05).

    `values` are those of `registry.registration_policy.NARROWABLE`.
    """

    name = models.SlugField(max_length=60, unique=True)
    description = models.CharField(max_length=200, blank=True)
    values = models.JSONField(default=dict)
    is_hardened = models.BooleanField(
        default=False, help_text="Registration access tokens end after 90 days and are replaced with every update."
    )
    is_read_only = models.BooleanField(default=False, help_text="Clients may read their registration, but not change or delete it.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class InitialAccessToken(models.Model):
    """A bearer token that registers up to `uses_limit` clients of one organization (RFC 7591, 3). Only its digest is kept.

    A token of a partner works as long as its keeper, who made or adopted it, is an owner: it ends with that very membership. One that an
    app made through the API works as long as that app does.
    """

    reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey("registry.Organization", on_delete=models.CASCADE, related_name="initial_access_tokens")
    label = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    tail = models.CharField(max_length=4, editable=False)
    stage = models.CharField(max_length=8, choices=Client.Stage.choices, default=Client.Stage.TEST)
    uses_limit = models.PositiveIntegerField(default=1)
    uses = models.PositiveIntegerField(default=0, editable=False)
    expires_at = models.DateTimeField()
    restrictions = models.JSONField(default=dict, help_text="What its clients are held to, by name of a policy value.")
    source_networks = models.JSONField(default=list, help_text="In CIDR notation; empty allows any source.")
    profile = models.ForeignKey(RegistrationProfile, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens")

    made_by_staff = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey("registry.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    kept_by = models.ForeignKey("registry.Membership", null=True, on_delete=models.SET_NULL, related_name="+")
    kept_by_app = models.ForeignKey("registry.Client", null=True, on_delete=models.SET_NULL, related_name="+")
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.label} …{self.tail}"

    @property
    def keeper(self) -> User | Client | None:
        """Return the member or app that keeps the token, None when nobody does or staff made it."""
        return self.kept_by.user if self.kept_by else self.kept_by_app

    @property
    def is_kept(self) -> bool:
        """Say whether the token is staff's, or its keeper is an owner still, or an app that is active."""
        if self.kept_by is not None:
            return self.made_by_staff or self.kept_by.role == Membership.Role.OWNER
        return self.made_by_staff or (self.kept_by_app is not None and self.kept_by_app.state == Client.State.ACTIVE)


class RefusedRegistration(models.Model):
    """A registration that was tried with an initial access token and refused, for the owners to see."""

    token = models.ForeignKey(InitialAccessToken, on_delete=models.CASCADE, related_name="refused")
    refused_at = models.DateTimeField()
    error = models.CharField(max_length=60)
    description = models.CharField(max_length=1000)
    members = models.JSONField(default=list)
    source_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-refused_at", "-id"]

    def __str__(self) -> str:
        return f"{self.refused_at:%Y-%m-%d %H:%M:%S} {self.error}"
