"""How the periodic jobs of this server went."""

from __future__ import annotations

from django.db import models


class JobRecord(models.Model):
    """The last runs of one job, by the name of its task. Jobs run every few seconds, so each has one row and no history.

    `ended_at` is when one ended well last, `failed_at` when one failed last. When both are before `started_at`, the last run has not ended
    yet, or died; without `started_at` there was none.
    """

    name = models.CharField(max_length=120, unique=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    runs = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveBigIntegerField(default=0)
    failed_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
