"""Decide when issues are due: a pure question of cron fields, time zone and now. What was planned before is in the database.

A local time that a change to summer time skips is due an hour later, by the clock on the wall; one that comes twice is due the
first time. The 31st is the last day of a shorter month.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from ...config.models import Cron


#: How many days back an instant of each frequency lies at most, with some room.
_BACK = {"daily": 3, "weekly": 15, "monthly": 70}


def latest_due(frequency: str, cron: Cron, zone: ZoneInfo, now: int) -> int:
    """Return the newest instant (UTC seconds) at or before `now` at which an issue is due."""
    return next(due for due in _backwards(frequency, cron, zone, now) if due <= now)


def next_due(frequency: str, cron: Cron, zone: ZoneInfo, now: int) -> int:
    """Return the next instant (UTC seconds) after `now`."""
    last = now + _BACK[frequency] * 86400
    return [due for due in _backwards(frequency, cron, zone, last) if due > now][-1]


def _backwards(frequency: str, cron: Cron, zone: ZoneInfo, instant: int) -> Iterator[int]:
    """Yield due instants, newest first, from shortly after `instant`."""
    today = datetime.fromtimestamp(instant, zone).date()
    for back in range(-1, 2 * _BACK[frequency] + 1):
        day = today - timedelta(days=back)
        if frequency == "weekly" and day.weekday() != cron.day:
            continue
        if frequency == "monthly" and day.day != min(cron.day, calendar.monthrange(day.year, day.month)[1]):
            continue
        # fold=0 is the first of two equal local times, and takes one that does not exist by the offset of before.
        yield int(datetime.combine(day, time(cron.hour, cron.minute), zone).astimezone(UTC).timestamp())
