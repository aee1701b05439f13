"""Tokens and codes. Each carries the generation of its client and is live only while the numbers are equal (house decision 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db import models
from oauth2_provider.models import AbstractAccessToken, AbstractGrant, AbstractIDToken, AbstractRefreshToken

from authserver.models.fields import CodeDigestField, KeyedChecksumField
from registry.models import Client

DIGEST_LENGTH: Final = 64


class BelongsToGeneration(models.Model):
    """A row that dies when its client's credential generation moves on."""

    credential_generation = models.PositiveIntegerField()
    application: Client

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new row takes the generation of the client row that authorized it."""
        if self.credential_generation is None:
            self.credential_generation = self.application.credential_generation
        super().save(*args, **kwargs)

    @property
    def is_live(self) -> bool:
        """Say whether the row belongs to the present generation of its client."""
        return self.application is not None and self.credential_generation == self.application.credential_generation


class AccessToken(BelongsToGeneration, AbstractAccessToken):
    """An opaque access token, stored as digest. It is not shown as valid once its client's generation moved on."""

    token_checksum = KeyedChecksumField(max_length=DIGEST_LENGTH)

    class Meta(AbstractAccessToken.Meta):
        constraints = [models.UniqueConstraint(fields=["token_checksum"], name="access_token_once")]
        indexes = [models.Index(fields=["expires"]), models.Index(fields=["application", "credential_generation"])]

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Say whether the token is live, not expired and carries `scopes`."""
        return self.is_live and super().is_valid(scopes)


class RefreshToken(BelongsToGeneration, AbstractRefreshToken):
    """A refresh token, stored as digest."""

    token_checksum = KeyedChecksumField(max_length=DIGEST_LENGTH)

    class Meta(AbstractRefreshToken.Meta):
        indexes = [*AbstractRefreshToken.Meta.indexes, models.Index(fields=["application", "credential_generation"])]


class Grant(BelongsToGeneration, AbstractGrant):
    """An authorization code, stored as digest."""

    code = CodeDigestField(max_length=DIGEST_LENGTH)

    class Meta(AbstractGrant.Meta):
        constraints = [models.UniqueConstraint(fields=["code"], name="code_once")]
        indexes = [models.Index(fields=["expires"]), models.Index(fields=["application", "credential_generation"])]


class IDToken(BelongsToGeneration, AbstractIDToken):
    """What is remembered of an issued ID token."""

    class Meta(AbstractIDToken.Meta):
        indexes = [models.Index(fields=["expires"]), models.Index(fields=["application", "credential_generation"])]
