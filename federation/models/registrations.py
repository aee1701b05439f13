"""What is kept of a client's trust chain, of looking entities up, and of entities that wait for an organization."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from protocol.constants import CLIENT_ID_LIMIT


class FederationRecord(models.Model):
    """The trust chain behind a client, to decide again offline, and when to look again (FED-REG-08).

    `client.trust` says what follows from it. `leased_until` keeps two sweeps from taking the same client.
    """

    client = models.OneToOneField("registry.Client", on_delete=models.CASCADE, related_name="federation")
    entity_id = models.CharField(max_length=CLIENT_ID_LIMIT, unique=True)
    twin_digest = models.CharField(max_length=64, help_text="SHA-256 of what all twins of the identifier share (threats.md T03).")
    entity_type = models.CharField(max_length=40)
    anchor = models.CharField(max_length=CLIENT_ID_LIMIT)
    superior = models.CharField(max_length=CLIENT_ID_LIMIT, help_text="The immediate superior in the chain.")
    entities = models.JSONField(default=list, help_text="The chain's entity identifiers, subject first.")
    statements = models.JSONField(default=list, help_text="The chain as it travels: compact statements, subject first.")
    resolved_metadata = models.JSONField(default=dict, help_text="After the federation's rules, before our own.")
    changes = models.JSONField(default=list, help_text="Every value that a rule changed: whose rule, before and after.")
    trust_marks = models.JSONField(default=list, help_text="The marks that a rule of ours is about, and whether they count.")

    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    registration_ends = models.DateTimeField(null=True, blank=True, help_text="Of an explicit registration, whatever the chain says.")
    checked_at = models.DateTimeField(default=timezone.now)
    next_check_at = models.DateTimeField(null=True, blank=True, db_index=True)
    forced_at = models.DateTimeField(null=True, blank=True, help_text="When an unknown key last made us look again at once.")
    misses = models.PositiveIntegerField(default=0, help_text="Checks in a row that did not confirm the trust.")
    failure = models.JSONField(null=True, blank=True, help_text="Why the last check did not confirm the trust.")
    lease = models.CharField(max_length=32, blank=True, db_index=True)
    leased_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["twin_digest"], name="entity_without_twin")]

    def __str__(self) -> str:
        return self.entity_id


class EntityLookup(models.Model):
    """That somebody who is no client made us look an entity up: who does it now, and that it failed before (threats.md F14, S01)."""

    entity_id = models.CharField(max_length=CLIENT_ID_LIMIT, unique=True)
    host = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    lease = models.CharField(max_length=32, blank=True)
    leased_until = models.DateTimeField(null=True)
    misses = models.PositiveIntegerField(default=0)
    refused_until = models.DateTimeField(null=True)
    failure = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["host", "started_at"]), models.Index(fields=["started_at"])]

    def __str__(self) -> str:
        return self.entity_id


class RegistrationRequest(models.Model):
    """A trusted entity that no organization is known for. It is no client: staff say whose it is, or that it stays out."""

    class State(models.TextChoices):
        """What became of it."""

        OPEN = "open", _("Waiting")
        ASSIGNED = "assigned", _("Assigned")
        DISMISSED = "dismissed", _("Dismissed")

    entity_id = models.CharField(max_length=CLIENT_ID_LIMIT, unique=True)
    name = models.CharField(max_length=255, blank=True, help_text="What the entity calls itself. Nobody checked it.")
    entities = models.JSONField(default=list)
    statements = models.JSONField(default=list)
    resolved_metadata = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    organization = models.ForeignKey("registry.Organization", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=1)
    decided_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["state", "-last_seen_at"]

    def __str__(self) -> str:
        return self.entity_id
