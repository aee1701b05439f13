"""Encryption of private values in the database with FIELD_ENCRYPTION_KEYS: the first key encrypts, every key decrypts (threats.md S07)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_NO_KEY_FITS: Final = "A stored value cannot be decrypted: its key is missing from FIELD_ENCRYPTION_KEYS."


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS must be keys of 32 random bytes in URL-safe base64.") from None


def encrypt(value: str) -> str:
    """Return `value` encrypted under the first key."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(value.encode()).decode()


def decrypt(encrypted: str) -> str:
    """Return the value; raise ImproperlyConfigured when none of the configured keys fits."""
    try:
        return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(encrypted.encode()).decode()
    except InvalidToken:
        raise ImproperlyConfigured(_NO_KEY_FITS) from None


def encrypt_again(encrypted: str) -> str:
    """Return the same value encrypted under the first key; raise ImproperlyConfigured when none of the configured keys fits."""
    try:
        return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).rotate(encrypted.encode()).decode()
    except InvalidToken:
        raise ImproperlyConfigured(_NO_KEY_FITS) from None
