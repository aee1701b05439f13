"""What staff want everybody to read, such as maintenance."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Banner(models.Model):
    """A sentence on top of every page, from one moment to another."""

    class Tone(models.TextChoices):
        """How it looks."""

        INFORMATION = "information", _("Information")
        WARNING = "warning", _("Warning")

    text = models.CharField(max_length=300)
    tone = models.CharField(max_length=12, choices=Tone.choices, default=Tone.INFORMATION)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["-starts_at"]
        constraints = [models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="banner_ends_after_it_starts")]

    def __str__(self) -> str:
        return self.text
