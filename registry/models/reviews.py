"""What reviewers write: to each other, to partners, and again and again."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ReviewComment(models.Model):
    """A note about an organization, or about one of its change requests. Internal ones are read by our staff alone."""

    organization = models.ForeignKey("registry.Organization", on_delete=models.CASCADE, related_name="review_comments")
    change_request = models.ForeignKey(
        "registry.ChangeRequest", null=True, blank=True, on_delete=models.CASCADE, related_name="review_comments"
    )
    author = models.ForeignKey("registry.User", null=True, on_delete=models.SET_NULL, related_name="+")
    by_staff = models.BooleanField()
    is_internal = models.BooleanField(default=False)
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(by_staff=True) | models.Q(is_internal=False), name="only_staff_writes_internal_notes")
        ]

    def __str__(self) -> str:
        return f"{self.organization}: {self.text[:40]}"


class CannedReason(models.Model):
    """Words that reviewers use often: chosen on the review page, then edited there."""

    class Step(models.TextChoices):
        """For which step it is offered."""

        REQUEST_CHANGES = "request_changes", _("Ask for changes, send back")
        REJECT = "reject", _("Reject")
        SUSPEND = "suspend", _("Suspend")

    name = models.CharField(max_length=80, unique=True)
    step = models.CharField(max_length=20, choices=Step.choices)
    text = models.TextField()
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["step", "name"]

    def __str__(self) -> str:
        return self.name
