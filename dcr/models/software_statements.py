"""Who may vouch for software, and what clients were registered with (RFC 7591, 2.3)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import Client, FetchedKeySet


class SoftwareStatementIssuer(models.Model):
    """Somebody whose signed statements about software are believed here, and how far."""

    class Organizations(models.TextChoices):
        """Whose the clients are."""

        FIXED = "fixed", _("All belong to one organization")
        MATCH = "match", _("The claim names an organization that is known here")
        CREATE = "create", _("An unknown organization is made from the claim")

    issuer = models.CharField(max_length=2048, unique=True, help_text="The claim iss of its statements.")
    name = models.CharField(max_length=100)
    is_enabled = models.BooleanField(default=True)
    jwks = models.JSONField(null=True, blank=True, help_text="Pinned keys; or else give the address of its keys.")
    jwks_uri = models.CharField(max_length=2048, blank=True)
    algorithms = models.JSONField(default=list, help_text="Signature algorithms that are accepted of it.")
    max_age_seconds = models.PositiveIntegerField(null=True, blank=True, help_text="Statements older than this are refused; needs iat.")
    single_use = models.BooleanField(default=False, help_text="A statement needs a jti and registers or updates once.")
    claims = models.JSONField(default=list, help_text="Metadata members that its statements may set; others in them are ignored.")
    software_ids = models.JSONField(default=list, help_text="Software that is approved here; empty approves all of its software.")
    organizations = models.CharField(max_length=8, choices=Organizations.choices, default=Organizations.FIXED)
    organization = models.ForeignKey("registry.Organization", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    organization_claim = models.CharField(max_length=60, blank=True, help_text="The claim that names the organization.")
    organization_name_claim = models.CharField(max_length=60, blank=True, help_text="The claim with the name of an organization to make.")
    roles_claim = models.CharField(max_length=60, blank=True, help_text="The claim that lists roles.")
    role_scopes = models.JSONField(default=dict, help_text="Scopes by role: a client is entitled to them while its statement lasts.")
    replaces_initial_access_token = models.BooleanField(default=False, help_text="A statement alone registers.")
    stage = models.CharField(max_length=8, choices=Client.Stage.choices, default=Client.Stage.TEST)
    is_mandatory_profile = models.BooleanField(
        default=False, help_text="Addresses and keys come from the statement: redirect URIs are among its own, jwks_uri is its own."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class StatementIssuerKeys(FetchedKeySet):
    """What was fetched from the `jwks_uri` of an issuer."""

    issuer = models.OneToOneField(SoftwareStatementIssuer, on_delete=models.CASCADE, related_name="fetched_keys")


class StatementOrganization(models.Model):
    """Which organization an issuer means by a value of its claim; never found by name (house decision 8)."""

    issuer = models.ForeignKey(SoftwareStatementIssuer, on_delete=models.CASCADE, related_name="known_organizations")
    value = models.CharField(max_length=255)
    organization = models.ForeignKey("registry.Organization", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["issuer_id", "value"]
        constraints = [models.UniqueConstraint(fields=["issuer", "value"], name="statement_organization_once")]

    def __str__(self) -> str:
        return self.value


class AcceptedStatement(models.Model):
    """The software statement that a client was registered or last updated with."""

    client = models.OneToOneField("registry.Client", on_delete=models.CASCADE, related_name="software_statement")
    issuer = models.ForeignKey(SoftwareStatementIssuer, on_delete=models.PROTECT, related_name="accepted")
    statement = models.TextField(help_text="Exactly as presented; the answer carries it back (DCR-SS-07).")
    asserted = models.JSONField(default=list, help_text="The metadata members that it sets.")
    roles = models.JSONField(default=list)
    replaced_initial_access_token = models.BooleanField(
        default=False, help_text="A statement of this issuer registered without a token when this one was accepted."
    )
    accepted_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, db_index=True)
    ended_at = models.DateTimeField(null=True, help_text="When it was noticed that it no longer counts.")

    def __str__(self) -> str:
        return f"Software statement of {self.issuer}"
