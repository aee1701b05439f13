"""Writing a client secret as keyed digest; who may have one is `registry.credentials` (house decision 14)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from registry.compiled import CompiledInsert
from registry.digests import NewCredential, keyed_digest, random_credential
from registry.models import Client, ClientSecret, User

NewSecret = NewCredential[ClientSecret]
_PURPOSE: Final = "client-secret"
_SECRETS: Final = CompiledInsert(ClientSecret)


def digest_of_secret(value: str) -> str:
    """Return what is stored of a secret."""
    return keyed_digest(value, _PURPOSE)


def write_secret(
    client: Client, created_by: User | None, *, now: datetime, label: str = "", expires_at: datetime | None = None
) -> NewSecret:
    """Make a secret for `client` and write its row. One statement; the caller has asked whether it may."""
    value = random_credential("ccs")
    row = ClientSecret(
        client=client,
        label=label[:60],
        digest=digest_of_secret(value),
        tail=value[-4:],
        created_by=created_by,
        created_at=now,
        expires_at=expires_at,
    )
    _SECRETS.insert(row)
    return NewCredential(row, value)
