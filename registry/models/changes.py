"""What waits for a person: going live, and sensitive edits of a live client."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ChangeRequest(models.Model):
    """A request about one client. It never changes after it was submitted; a new revision supersedes it (threats.md R11).

    `digest` is over the content a reviewer sees; approving carries it back and is refused when anything differs.
    """

    class Kind(models.TextChoices):
        """What is asked for."""

        GO_LIVE = "go_live", _("Go live")
        CHANGE = "change", _("Change of a live app")

    class State(models.TextChoices):
        """portal.md 4.4"""

        OPEN = "open", _("Waiting for review")
        SENT_BACK = "sent_back", _("Sent back")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        SUPERSEDED = "superseded", _("Superseded")

    reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="change_requests")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    metadata = models.JSONField()
    base_digest = models.CharField(max_length=64, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    justification = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    submitted_by = models.ForeignKey("registry.User", null=True, on_delete=models.SET_NULL, related_name="+")
    submitted_at = models.DateTimeField(default=timezone.now, editable=False)
    reviewer = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_by = models.ForeignKey("registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["submitted_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["client"], condition=models.Q(state="open"), name="one_open_change_request_per_client")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.client}"
