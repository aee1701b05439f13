"""Keyed digests of secrets and tokens that this server made (house decision 14).

What is digested has 256 random bits, so the digest needs no salt and no slowness; the key keeps a stolen database from being checked
against guesses elsewhere. The key is a row, encrypted with FIELD_ENCRYPTION_KEYS, so that those can be rotated without ending every secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from registry.field_encryption import decrypt, encrypt
from registry.models import ServerSecret

Row = TypeVar("Row")
_keys: dict[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class NewCredential(Generic[Row]):
    """A secret or token just made. `value` exists here only; `row` keeps its digest."""

    row: Row
    value: str = field(repr=False)


def server_secret(name: str) -> bytes:
    """Return the 32 random bytes called `name`, made at first use; kept in memory, so that later calls cost no query."""
    if name not in _keys:
        row, _ = ServerSecret.objects.get_or_create(name=name, defaults={"value_encrypted": encrypt(secrets.token_hex(32))})
        _keys[name] = bytes.fromhex(decrypt(row.value_encrypted))
    return _keys[name]


def forget() -> None:
    """Read the secrets again at the next use, in this process."""
    _keys.clear()


def keyed_digest(value: str, purpose: str) -> str:
    """Return the HMAC-SHA-256 of `value` for `purpose` as 64 hexadecimal digits; equal values of two purposes differ."""
    return hmac.new(server_secret("digest"), f"{purpose}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def digests_equal(one: str, other: str) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(one, other)


def random_credential(prefix: str) -> str:
    """Return a new secret value of 256 random bits in visible ASCII; the prefix lets a log filter find it (threats.md R05)."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"
