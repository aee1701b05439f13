"""The audit trail: append-only rows and the seals over them (house decision 17)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ActorKind(models.TextChoices):
    """Who can do things here (portal.md 4.9)."""

    USER = "user", _("Partner")
    STAFF = "staff", _("Staff")
    CLIENT = "client", _("App")
    INITIAL_ACCESS_TOKEN = "iat", _("Initial access token")
    REGISTRATION_ACCESS_TOKEN = "rat", _("Registration access token")
    SOFTWARE_STATEMENT = "statement", _("Software statement")
    FEDERATION = "federation", _("Federation")
    JOB = "job", _("Job")


class AuditEvent(models.Model):
    """One thing that happened. Database triggers refuse to change or delete it."""

    time = models.DateTimeField(default=timezone.now, editable=False)
    request_id = models.CharField(max_length=64, blank=True)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)
    organization = models.ForeignKey("registry.Organization", null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    object_type = models.CharField(max_length=30)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=254, blank=True)
    event = models.CharField(max_length=60)
    result = models.CharField(max_length=10, default="ok")
    reason = models.TextField(blank=True)
    difference = models.JSONField(default=dict)
    source_address = models.GenericIPAddressField(null=True)
    user_agent_family = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["organization", "-id"]),
            models.Index(fields=["object_type", "object_id", "-id"]),
            models.Index(fields=["event", "-id"]),
            models.Index(fields=["time"], name="audit_by_time"),
            models.Index(fields=["actor_id", "-id"], name="audit_by_actor"),
            models.Index(fields=["request_id"], name="audit_by_request"),
            models.Index(fields=["source_address", "-id"], name="audit_by_address", condition=models.Q(source_address__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S} {self.event} {self.object_label}"


class AuditSeal(models.Model):
    """A signed digest over the events from `first_id` to `last_id`, chained to the seal before."""

    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField(unique=True)
    fingerprints = models.JSONField(help_text="Event id to the first 16 digits of its digest, so that a fault names its row.")
    previous_digest = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    signature = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["last_id"]

    def __str__(self) -> str:
        return f"{self.first_id}-{self.last_id}"
