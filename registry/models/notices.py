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
    person = models.ForeignKey(
        "registry.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="Whom it is about, if anybody."
    )
    deliveries = models.JSONField(
        default=dict, blank=True, help_text="What became of each address, so that a second try repeats no mail: sent or refused."
    )

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=models.Q(sent_at=None), name="notices_due")]

    def __str__(self) -> str:
        return str(self.event)


class NoticeReceipt(models.Model):
    """That a notice is for a person: a line of their inbox, whether or not they want mail of this kind."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="receipts")
    user = models.ForeignKey("registry.User", on_delete=models.CASCADE, related_name="notice_receipts")
    voice = models.CharField(max_length=10, help_text="As whom the person is told: partner, person or staff.")
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-notice_id"]
        constraints = [models.UniqueConstraint(fields=["notice", "user"], name="notice_once_per_person")]
        indexes = [models.Index(fields=["user"], condition=models.Q(read_at=None), name="notices_unread")]

    def __str__(self) -> str:
        return f"{self.user}: {self.notice}"


class MutedNotices(models.Model):
    """That a person wants no mail of one group of notices (`registry.notice_kinds.Group`). Those about security cannot be muted."""

    user = models.ForeignKey("registry.User", on_delete=models.CASCADE, related_name="muted_notices")
    kind = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="muted_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.kind}"


class Reminder(models.Model):
    """That people were told that something ends, or stands still, at one step before or after: each step is told once.

    `subject` names what it is about (`secret:12`), `moment` when it ends: what is prolonged is told of anew.
    """

    subject = models.CharField(max_length=120)
    moment = models.DateTimeField()
    step = models.CharField(max_length=20)
    told_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "moment", "step"], name="reminded_once_per_step")]

    def __str__(self) -> str:
        return f"{self.subject} {self.step}"
