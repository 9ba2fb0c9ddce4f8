"""Subscribers by day, in numbers: who came, who left, what came back. Nobody is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from ...config import Config
from ...database import bounces, subscribers
from ...newsletter import progress
from .. import audience

#: Days that are plotted, today included.
PLOTTED = 90


@dataclass(frozen=True, slots=True)
class Day:
    """`confirmed` and `left` that day; `active` at its end; `bounced` are reports of mail that did not arrive."""

    day: date
    confirmed: int
    left: int
    active: int
    bounced: int


@dataclass(frozen=True, slots=True)
class Growth:
    """`states`: how many there are in each state. Who was erased is in no number."""

    states: Mapping[str, int]
    days: Sequence[Day]


def growth(connection: sa.Connection, config: Config, now: float) -> Growth:
    today = audience.today(config.zone, now)
    first = today - PLOTTED + 1
    start = int(datetime.combine(date.fromordinal(first), datetime.min.time(), config.zone).timestamp())
    s = subscribers.c
    came = _by_day(connection, config, s.confirmed, start, now)
    left = _by_day(connection, config, s.ended, start, now)
    bounced = _by_day(connection, config, bounces.c.at, start, now)
    active = _active_before(connection, start)
    days = []
    for day in range(first, today + 1):
        active += came.get(day, 0) - left.get(day, 0)
        days.append(Day(date.fromordinal(day), came.get(day, 0), left.get(day, 0), active, bounced.get(day, 0)))
    return Growth(progress.subscriber_counts(connection), days)


def _active_before(connection: sa.Connection, start: int) -> int:
    s = subscribers.c
    there = sa.and_(s.confirmed < start, sa.or_(s.ended.is_(None), s.ended >= start))
    return int(connection.execute(sa.select(sa.func.count()).select_from(subscribers).where(there)).scalar() or 0)


def _by_day(connection: sa.Connection, config: Config, column: sa.Column[int], start: int, now: float) -> dict[int, int]:
    """Day (as `date.toordinal`) -> how many; by the hour first, so that the database need not know zones."""
    query = (
        sa.select((column // 3600).label("hour"), sa.func.count()).where(column >= start, column <= int(now)).group_by("hour")
    )
    found: dict[int, int] = {}
    for number, count in connection.execute(query.group_by("hour")):
        day = datetime.fromtimestamp(int(number) * 3600, config.zone).date().toordinal()
        found[day] = found.get(day, 0) + int(count)
    return found
