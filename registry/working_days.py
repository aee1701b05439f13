"""Working days, Monday to Friday in UTC: how long something waits for people (portal.md 2, "Review black hole"). Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_SATURDAY: Final = 5
_DAY: Final = timedelta(days=1)
_WORKING_WEEK: Final = 5


def add_working_days(moment: datetime, days: int) -> datetime:
    """Return the moment `days` working days after `moment`; what comes in at a weekend waits from Monday 0:00 on."""
    while moment.weekday() >= _SATURDAY:
        moment = moment.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    weeks, rest = divmod(days, _WORKING_WEEK)
    moment += timedelta(weeks=weeks)
    for _ in range(rest):
        moment += _DAY
        while moment.weekday() >= _SATURDAY:
            moment += _DAY
    return moment


def working_days_between(start: datetime, end: datetime) -> int:
    """Return how many whole working days passed from `start` to `end`, never less than 0."""
    # Seven days hold five working days, so that the count is right or one too large before the loop corrects it.
    days = max(0, (end - start).days // 7 * _WORKING_WEEK)
    while add_working_days(start, days + 1) <= end:
        days += 1
    while days and add_working_days(start, days) > end:
        days -= 1
    return days
