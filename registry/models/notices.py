"""The outbox: a row per mail that a transition asks for, written with the transition (house decision 16)."""

from __future__ import annotations

from django.db import models


class Notice(models.Model):
    """That people must hear of an audit event. It is due until it was sent; a mail server that is away costs time, not the mail."""

    # No constraint: nothing may stand in the way of the trail, as with its organization.
    event = models.OneToOneField("registry.AuditEvent", on_delete=models.DO_NOTHING, related_name="notice", db_constraint=False)
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=models.Q(sent_at=None), name="notices_due")]

    def __str__(self) -> str:
        return str(self.event)
