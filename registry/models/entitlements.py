"""Scopes, and who is entitled to them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Scope(models.Model):
    """A scope of this server, in plain words."""

    name = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=100, help_text=_("What a person reads on the consent page, such as: See your bookings"))
    description = models.TextField(blank=True, help_text=_("What data it touches, for developers."))
    is_sensitive = models.BooleanField(default=False, help_text="Needs the approval of a reviewer, in test as well.")
    is_retired = models.BooleanField(default=False, help_text=_("Can no longer be asked for; existing entitlements stay."))

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Entitlement(models.Model):
    """What a client may be granted, and why: the one source of allowed scopes (house decision 7)."""

    class Kind(models.TextChoices):
        """What is allowed."""

        SCOPE = "scope", _("Scope")
        GRANT = "grant", _("Grant type")

    class Because(models.TextChoices):
        """Why it is allowed."""

        STAFF = "staff", _("A reviewer approved it")
        POLICY = "policy", _("The registration policy allows it")
        MARK = "mark", _("A trust mark")
        ROLE = "role", _("A role in the federation")
        STATEMENT = "statement", _("A software statement")

    client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="entitlements")
    kind = models.CharField(max_length=6, choices=Kind.choices, default=Kind.SCOPE)
    value = models.CharField(max_length=200)
    because = models.CharField(max_length=10, choices=Because.choices)
    evidence = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["kind", "value"]
        constraints = [models.UniqueConstraint(fields=["client", "kind", "value", "because"], name="entitlement_once")]

    def __str__(self) -> str:
        return f"{self.value} ({self.get_because_display()})"
