"""When to look at a client's trust again. Pure but for the dice."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

# Retries after transient failures (threats.md 3.2), and when doubt is looked at a second and a third time.
RETRY_MINUTES: Final = (1, 2, 4, 8, 16, 30)
SECOND_LOOKS: Final = (timedelta(minutes=1), timedelta(minutes=10))
BROKEN_CHECKS: Final = timedelta(hours=1)
BROKEN_KEPT: Final = timedelta(days=30)
LONGEST_RETRY_AFTER: Final = timedelta(hours=1)


def next_check(ends: datetime, now: datetime) -> datetime:
    """Return when to look again at trust that lasts until `ends`: after 75 to 90 % of its rest, or of the longest time between checks.

    The spread keeps clients that were registered together from being checked together (threats.md X19).
    """
    rest = min(ends - now, timedelta(seconds=settings.TRUST_CHECK_SECONDS))
    return now + max(rest, timedelta(0)) * random.uniform(0.75, 0.9)  # noqa: S311 - a spread, not a secret


def next_retry(misses: int, now: datetime, retry_after: int | None) -> datetime:
    """Return when to try again after the `misses`-th transient failure in a row: growing, with full jitter, honouring Retry-After."""
    minutes = RETRY_MINUTES[min(misses, len(RETRY_MINUTES)) - 1]
    wait = timedelta(minutes=minutes) * random.uniform(0.2, 1)  # noqa: S311
    asked = min(timedelta(seconds=retry_after or 0), LONGEST_RETRY_AFTER)
    return now + max(wait, asked)


def next_look_in_doubt(misses: int, now: datetime) -> datetime | None:
    """Return when to look again after the `misses`-th sign in a row that trust is gone, None when it has been looked at often enough."""
    return now + SECOND_LOOKS[misses - 1] if misses <= len(SECOND_LOOKS) else None


def next_check_of_broken(lost_at: datetime, now: datetime) -> datetime | None:
    """Return when to look again at trust that was lost at `lost_at`: every hour, for thirty days."""
    return now + BROKEN_CHECKS * random.uniform(0.75, 1) if now - lost_at < BROKEN_KEPT else None  # noqa: S311
