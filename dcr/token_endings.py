"""Which initial access tokens people are told of before they end (portal.md 4.8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import F

from dcr.initial_access_tokens import with_keeper
from registry.reminders import CHUNK, FIRST_TOLD_BEFORE, TOLD_AFTER_END, Ending


def find_ending_tokens(now: datetime) -> Iterator[list[Ending]]:
    """Yield the tokens with uses left that end within 30 days, or ended just now, in chunks of one query each.

    One that registers nothing any more, because it was revoked or nobody keeps it, is left out.
    """
    wanted = with_keeper().filter(
        revoked_at=None, uses__lt=F("uses_limit"), expires_at__gt=now - TOLD_AFTER_END, expires_at__lte=now + FIRST_TOLD_BEFORE
    )
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield [
            Ending(
                f"token:{row.pk}", f"{row} has {row.uses_limit - row.uses} of {row.uses_limit} uses left.", row, row.organization,
                row.expires_at, "token.ending", "token.expired", row.created_at,
            )
            for row in rows
            if row.is_kept
        ]  # fmt: skip
        after = rows[-1].pk
