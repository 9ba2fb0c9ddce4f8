"""Who follows what, for the console: all feeds as a table, one feed by day. In numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from .. import urls
from ..audience import requests
from ..audience.requests import Counts
from ..config.models import Config
from ..database.tables import bounces, subscribers
from ..model import FeedState
from ..newsletter.delivery import issue_status
from ..syndication import documents

#: What the table looks back on, and the plots (days, today included).
RECENT, PLOTTED = 7, 90
PAGE = 50
#: Columns to sort by, and whether the largest comes first.
ORDERS: Mapping[str, bool] = {
    "feed": False,
    "articles": True,
    "changed": True,
    "requests": True,
    "unchanged": True,
    "readers": True,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One feed. `changed` is when its document last did; counts are of the last RECENT days."""

    state: FeedState
    changed: datetime
    counts: Counts
    readers: int


@dataclass(frozen=True, slots=True)
class Table:
    """One page of the feeds: `found` fit, on `pages` pages."""

    rows: Sequence[Row]
    found: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    counts: Counts
    readers: int


@dataclass(frozen=True, slots=True)
class History:
    """One feed: every day of the last PLOTTED, the oldest first; `told` are the readers by aggregator."""

    row: Row
    days: Sequence[Day]
    told: Mapping[str, int]


def table(connection: sa.Connection, config: Config, text: str, order: str, page: int, now: float) -> Table:
    """Feeds whose title or address has `text` in it."""
    folded = urls.fold(text.strip())
    since = requests.today(config.zone, now) - RECENT + 1
    counts, readers = requests.by_path(connection, since), requests.readers_by_path(connection, since)
    rows = [
        _row(config, state, counts, readers)
        for state in documents.states(connection)
        if folded in urls.fold(state.title) or folded in urls.fold(state.path)
    ]
    rows.sort(key=lambda row: _sort_key(row, order), reverse=ORDERS.get(order, False))
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(page, 1), pages)
    return Table(rows[(page - 1) * PAGE : page * PAGE], len(rows), page, pages)


def _row(config: Config, state: FeedState, counts: Mapping[str, Counts], readers: Mapping[str, int]) -> Row:
    changed = datetime.fromtimestamp(state.changed, config.zone)
    return Row(state, changed, counts.get(state.path, Counts()), readers.get(state.path, 0))


def _sort_key(row: Row, order: str) -> tuple[object, str]:
    values: Mapping[str, object] = {
        "articles": row.state.articles,
        "changed": row.state.changed,
        "requests": row.counts.requests,
        "unchanged": row.counts.unchanged,
        "readers": row.readers,
    }
    return values.get(order, ""), row.state.path


def history(connection: sa.Connection, config: Config, path: str, now: float) -> History | None:
    """None where no feed has the path."""
    state = documents.state_at(connection, path)
    if state is None:
        return None
    today = requests.today(config.zone, now)
    since, recent = today - PLOTTED + 1, today - RECENT + 1
    counts, readers = requests.by_day(connection, path, since), requests.readers_by_day(connection, path, since)
    days = [Day(date.fromordinal(day), counts.get(day, Counts()), readers.get(day, 0)) for day in range(since, today + 1)]
    week = Counts()
    for day, one in counts.items():
        week = week.plus(one) if day >= recent else week
    told = requests.told_of(connection, path, recent)
    return History(_row(config, state, {path: week}, {path: sum(told.values())}), days, told)


# Subscribers by day, in numbers: who came, who left, what came back. Nobody is listed.

#: Days that are plotted, today included.
PLOTTED_WEEKS = 90


@dataclass(frozen=True, slots=True)
class SubscriberDay:
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
    days: Sequence[SubscriberDay]


def growth(connection: sa.Connection, config: Config, now: float) -> Growth:
    today = requests.today(config.zone, now)
    first = today - PLOTTED_WEEKS + 1
    start = int(datetime.combine(date.fromordinal(first), datetime.min.time(), config.zone).timestamp())
    s = subscribers.c
    came = _by_day(connection, config, s.confirmed, start, now)
    left = _by_day(connection, config, s.ended, start, now)
    bounced = _by_day(connection, config, bounces.c.at, start, now)
    active = _active_before(connection, start)
    days = []
    for day in range(first, today + 1):
        active += came.get(day, 0) - left.get(day, 0)
        days.append(SubscriberDay(date.fromordinal(day), came.get(day, 0), left.get(day, 0), active, bounced.get(day, 0)))
    return Growth(issue_status.subscriber_counts(connection), days)


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
