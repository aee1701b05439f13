"""Columns that hold a keyed digest where the toolkit would hold a plain one (house decision 14)."""

from __future__ import annotations

from typing import Any

from django.db import models
from oauth2_provider.models import TokenChecksumField

from registry.digests import keyed_digest


class StoredDigest(str):
    """A digest as it was read from the database. Only such a value is written or looked up as it is; any other text is digested first,
    so that presenting a stored digest never matches."""

    __slots__ = ()


class _Digested(models.CharField):
    """Digests every value on its way to the database, lookups included."""

    purpose = ""

    def get_prep_value(self, value: Any) -> Any:
        """Return the digest of `value`."""
        if value is None or isinstance(value, StoredDigest):
            return value
        return keyed_digest(str(value), self.purpose)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> StoredDigest | None:  # noqa: ARG002
        """Return the stored digest, marked as such."""
        return None if value is None else StoredDigest(value)


class KeyedChecksumField(_Digested, TokenChecksumField):
    """The checksum by which the toolkit finds a token."""

    purpose = "token"


class CodeDigestField(_Digested):
    """An authorization code."""

    purpose = "code"
