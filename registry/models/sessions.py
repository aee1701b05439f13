"""Where people are signed in."""

from __future__ import annotations

from django.db import models


class UserSession(models.Model):
    """What a person is told of one of their sessions. It goes with the session, however that ends.

    The session's key is its cookie, so it is in no page and no address: `pk` names the session there.
    """

    session = models.OneToOneField("sessions.Session", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("registry.User", on_delete=models.CASCADE, related_name="sessions")
    began_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    source_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent_family = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering = ["-last_seen_at", "-id"]

    def __str__(self) -> str:
        return " ".join(part for part in (self.user_agent_family or "Unknown browser", self.source_address) if part)
