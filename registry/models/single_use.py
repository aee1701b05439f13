"""Values that count once (house decision 12)."""

from __future__ import annotations

from django.db import models


class SingleUseValue(models.Model):
    """A value that was used: `digest` covers purpose, issuer and value, so that one can never stand for another (threats.md J17)."""

    digest = models.BinaryField(max_length=32, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return bytes(self.digest).hex()
