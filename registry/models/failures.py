"""What apps asked for and did not get, kept for two weeks so that their developers can see why (portal.md 4.3, page 22)."""

from __future__ import annotations

from django.db import models


class FailedRequest(models.Model):
    """A request of a known app that one of our endpoints refused. No value of it is kept but a redirect URI that was refused."""

    client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="failed_requests")
    time = models.DateTimeField()
    endpoint = models.CharField(max_length=40)
    error = models.CharField(max_length=60)
    description = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    redirect_uri = models.CharField(max_length=2000, blank=True)

    class Meta:
        ordering = ["-time", "-id"]
        indexes = [models.Index(fields=["client", "-time"]), models.Index(fields=["time"])]

    def __str__(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S} {self.endpoint} {self.error}"
