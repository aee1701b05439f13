"""Values that count once: assertion identifiers, codes and the like, as rows with a unique key (house decision 12; threats.md J16, J17)."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import connection

from registry.models import SingleUseValue


def use_once(purpose: str, issuer: str, value: str, *, expires_at: datetime) -> bool:
    """Use `value` of `issuer` for `purpose`; return False when it was used before.

    One statement, safe between processes and databases. Call it after the signature check, never before: an unsigned value must not be
    able to use up a signed one. `expires_at` says how long the value could still be presented.
    """
    # Each part with its length, so that no two triples read the same; "1" is the version of this form (threats.md J17).
    parts = "".join(f"{len(part)}:{part}" for part in ("1", purpose, issuer, value))
    digest = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).digest()
    table = connection.ops.quote_name(SingleUseValue._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (digest, expires_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",  # noqa: S608 - the name is ours
            [digest, connection.ops.adapt_datetimefield_value(expires_at)],
        )
        return cursor.rowcount == 1


def purge_expired(now: datetime) -> int:
    """Delete values that can no longer be presented; return how many."""
    deleted, _ = SingleUseValue.objects.filter(expires_at__lt=now).delete()
    return deleted
