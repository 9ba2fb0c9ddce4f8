"""When is an issue due? A pure question of cron fields, time zone and now; what was planned before is the database's to say.

A local time that a change to summer time skips is due an hour later, by the clock on the wall; one that comes twice is due the
first time. The 31st is the last day of a shorter month.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ...config.models import Cron

#: How many days back an instant of each frequency lies at most, with some room.
_BACK = {"daily": 3, "weekly": 15, "monthly": 70}


def latest(frequency: str, cron: Cron, zone: ZoneInfo, now: int) -> int:
    """The newest instant (UTC seconds) at or before `now` at which an issue is due."""
    return next(due for due in _backwards(frequency, cron, zone, now) if due <= now)


def previous(frequency: str, cron: Cron, zone: ZoneInfo, due: int) -> int:
    """The instant before `due`."""
    return next(found for found in _backwards(frequency, cron, zone, due) if found < due)


def following(frequency: str, cron: Cron, zone: ZoneInfo, now: int) -> int:
    """The next instant after `now`: what a reader is told."""
    last = now + _BACK[frequency] * 86400
    found = [due for due in _backwards(frequency, cron, zone, last) if due > now]
    return found[-1]


def _backwards(frequency: str, cron: Cron, zone: ZoneInfo, instant: int) -> Iterator[int]:
    """Due instants, newest first, from shortly after `instant`."""
    today = datetime.fromtimestamp(instant, zone).date()
    for back in range(-1, 2 * _BACK[frequency] + 1):
        day = today - timedelta(days=back)
        if _falls_on(frequency, cron, day):
            yield _instant(day, cron, zone)


def _falls_on(frequency: str, cron: Cron, day: date) -> bool:
    if frequency == "weekly":
        return day.weekday() == cron.day
    if frequency == "monthly":
        return day.day == min(cron.day, calendar.monthrange(day.year, day.month)[1])
    return True


def _instant(day: date, cron: Cron, zone: ZoneInfo) -> int:
    # fold=0 is the first of two equal local times, and takes one that does not exist by the offset of before.
    return int(datetime.combine(day, time(cron.hour, cron.minute), zone).astimezone(UTC).timestamp())
