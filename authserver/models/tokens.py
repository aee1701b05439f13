"""Tokens and codes. Each carries the generation of its client and is live only while the numbers are equal (house decision 5)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final

from django.db import models
from oauth2_provider.models import AbstractAccessToken, AbstractGrant, AbstractIDToken, AbstractRefreshToken

from authserver.models.fields import CodeDigestField, KeyedChecksumField
from authserver.models.generations import BelongsToGeneration

DIGEST_LENGTH: Final = 64


class AccessToken(BelongsToGeneration, AbstractAccessToken):
    """An opaque access token, stored as digest. It is not shown as valid once its client's generation moved on."""

    token_checksum = KeyedChecksumField(max_length=DIGEST_LENGTH)
    family = models.UUIDField(null=True, editable=False, help_text="Of the code that it descends from.")

    class Meta(AbstractAccessToken.Meta):
        constraints = [models.UniqueConstraint(fields=["token_checksum"], name="access_token_once")]
        indexes = [
            models.Index(fields=["family"]),
            models.Index(fields=["expires"]),
            models.Index(fields=["application", "credential_generation"]),
        ]

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Say whether the token is live, not expired and carries `scopes`."""
        return self.is_live and super().is_valid(scopes)


class RefreshToken(BelongsToGeneration, AbstractRefreshToken):
    """A refresh token, stored as digest. It is used once; `token_family` names the code that it descends from."""

    token_checksum = KeyedChecksumField(max_length=DIGEST_LENGTH)
    scope = models.TextField(blank=True)

    class Meta(AbstractRefreshToken.Meta):
        indexes = [*AbstractRefreshToken.Meta.indexes, models.Index(fields=["application", "credential_generation"])]


class Grant(BelongsToGeneration, AbstractGrant):
    """An authorization code, stored as digest, and the head of the family of tokens that descend from it.

    It is kept as long as the family lives: its row is what refreshing and ending lock (threats.md O06, O07).
    """

    code = CodeDigestField(max_length=DIGEST_LENGTH)
    family = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    auth_time = models.BigIntegerField(default=0, help_text="When the person signed in, in seconds.")
    acr = models.CharField(max_length=255, blank=True, help_text="The class of the sign-in.")
    amr = models.CharField(max_length=255, blank=True, help_text="The methods of the sign-in, separated by spaces.")
    used_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True, help_text="When everything that descends from the code was ended.")

    class Meta(AbstractGrant.Meta):
        constraints = [models.UniqueConstraint(fields=["code"], name="code_once")]
        indexes = [models.Index(fields=["expires"]), models.Index(fields=["application", "credential_generation"])]

    def asked_claims(self, place: str) -> list[str]:
        """Return the claims about the person that the request named one by one for `place`: id_token or userinfo."""
        return [name for where, name in (claim.split(".") for claim in self.claims.split()) if where == place]


class IDToken(BelongsToGeneration, AbstractIDToken):
    """What is remembered of an issued ID token."""

    class Meta(AbstractIDToken.Meta):
        indexes = [models.Index(fields=["expires"]), models.Index(fields=["application", "credential_generation"])]
