"""Clients and their credentials."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import AbstractApplication

from protocol.constants import CLIENT_ID_LIMIT


def make_client_id() -> str:
    """Return a client identifier for a client that is not an entity of a federation (house decision 3)."""
    return str(uuid.uuid4())


class Client(AbstractApplication):
    """A partner's application: the swapped application model of django-oauth-toolkit (house decision 1).

    `metadata` is what is registered, in RFC 7591 members; the toolkit's columns are a projection of it. `state`, `stage`, `trust` and
    `metadata` are written by `registry.lifecycle` alone. There is no secret column: secrets are rows of `ClientSecret`.
    """

    class State(models.TextChoices):
        """What people decided (house decision 4)."""

        DRAFT = "draft", _("Draft")
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        CLOSED = "closed", _("Closed")

    class Trust(models.TextChoices):
        """What federation and checks say (house decision 4)."""

        NONE = "none", _("Not from a federation")
        VALID = "valid", _("Valid")
        STALE = "stale", _("Stale")
        SUSPECT = "suspect", _("Suspect")
        BROKEN = "broken", _("Broken")

    class Stage(models.TextChoices):
        """Where the client may be used (house decision 9)."""

        TEST = "test", _("Test")
        LIVE = "live", _("Live")

    class Source(models.TextChoices):
        """How the client was registered."""

        MANUAL = "manual", _("By hand")
        DCR = "dcr", _("Dynamic registration")
        FEDERATION_AUTOMATIC = "federation_automatic", _("Federation, automatic")
        FEDERATION_EXPLICIT = "federation_explicit", _("Federation, explicit")

    # The toolkit's columns that this record does without: secrets have rows, a user never owns a client, its CIMD is off.
    client_secret = None
    hash_client_secret = None
    user = None
    registration_source = None
    cimd_expires_at = None

    reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client_id = models.CharField(max_length=CLIENT_ID_LIMIT, default=make_client_id)
    organization = models.ForeignKey("registry.Organization", on_delete=models.PROTECT, related_name="clients")
    source = models.CharField(max_length=24, choices=Source.choices, default=Source.MANUAL)
    stage = models.CharField(max_length=8, choices=Stage.choices, default=Stage.TEST)
    state = models.CharField(max_length=12, choices=State.choices, default=State.DRAFT)
    state_reason = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(default=timezone.now)
    paused_by_owner = models.BooleanField(default=False)
    trust = models.CharField(max_length=8, choices=Trust.choices, default=Trust.NONE)
    trust_expires_at = models.DateTimeField(null=True, blank=True)
    credential_generation = models.PositiveIntegerField(default=1)
    generation_cleaned = models.PositiveIntegerField(default=1, help_text="Dead tokens before this generation are deleted.")

    metadata = models.JSONField(default=dict)
    declared_metadata = models.JSONField(default=dict)
    restrictions = models.JSONField(
        default=dict, help_text="What its registration is held to beyond the policy, from what it registered with."
    )
    is_resource_server = models.BooleanField(default=False)
    accepts_token_endpoint_audience = models.BooleanField(
        default=False, help_text="Legacy clients that send the token endpoint URL as audience of their assertion."
    )
    offered_to_owner = models.BooleanField(default=False, help_text="A draft made by staff that an owner has not claimed yet.")

    created_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["client_id"], name="client_id_once")]
        indexes = [models.Index(fields=["trust_expires_at"])]

    def __str__(self) -> str:
        return self.name or self.client_id

    @property
    def grant_types(self) -> list[str]:
        """Return the registered grant types."""
        return list(self.metadata.get("grant_types", []))

    @property
    def token_endpoint_auth_method(self) -> str:
        """Return the one method by which this client authenticates."""
        return str(self.metadata.get("token_endpoint_auth_method", "client_secret_basic"))

    @property
    def uses_secret(self) -> bool:
        """Say whether the client authenticates by secret."""
        return self.token_endpoint_auth_method in ("client_secret_basic", "client_secret_post")

    @property
    def registered_redirect_uris(self) -> list[str]:
        """Return the registered redirect URIs, exactly as registered."""
        return list(self.metadata.get("redirect_uris", []))

    @property
    def scopes(self) -> list[str]:
        """Return the registered scopes, which are a ceiling; entitlements decide what is granted."""
        return str(self.metadata.get("scope", "")).split()

    def allows_grant_type(self, *grant_types: str) -> bool:
        """Say whether one of the toolkit's `grant_types` is registered (the toolkit writes them with hyphens)."""
        registered = {grant_type.replace("_", "-") for grant_type in self.grant_types}
        return bool(registered & set(grant_types))

    def redirect_uri_allowed(self, uri: str) -> bool:
        """Say whether `uri` is registered: equal in every character, but for the port of a loopback URI (RFC 8252, 7.3)."""
        from registry.redirect_uris import redirect_uri_matches

        native = self.metadata.get("application_type") == "native"
        return any(redirect_uri_matches(registered, uri, native=native) for registered in self.registered_redirect_uris)

    def is_usable(self, request: Any) -> bool:  # noqa: ARG002 - the toolkit's signature
        """Answer the toolkit's question by the gate."""
        from registry.gate import Action, client_may_act

        return client_may_act(self, Action.TOKEN, timezone.now()).allowed


class ClientSecret(models.Model):
    """A client secret, as keyed digest. Up to two are live at a time, so that rotation needs no outage."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="secrets")
    label = models.CharField(max_length=60, blank=True)
    digest = models.CharField(max_length=64, editable=False)
    tail = models.CharField(max_length=4, editable=False)
    created_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.label or 'Secret'} …{self.tail}"


class FetchedKeySet(models.Model):
    """The last good keys fetched from an address, and how the last fetch went."""

    jwks_uri = models.CharField(max_length=2048)
    jwks = models.JSONField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    fresh_until = models.DateTimeField(null=True, blank=True)
    attempted_at = models.DateTimeField()
    failure = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.jwks_uri


class ClientKeySet(FetchedKeySet):
    """What was fetched from a client's `jwks_uri`."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="key_set")


class ClientKeyUse(models.Model):
    """Which keys a client has, by RFC 7638 thumbprint, so that a key shared between organizations is noticed (DCR-JWK-09)."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="key_uses")
    thumbprint = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["thumbprint", "client"], name="key_use_once")]

    def __str__(self) -> str:
        return self.thumbprint
