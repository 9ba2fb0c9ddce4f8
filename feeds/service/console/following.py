"""Who follows what, for the console: all feeds as a table, one feed by day. In numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from ... import addresses
from ...audience import records
from ...audience.records import Counts
from ...config import Config
from ...model import FeedState
from ...syndication import documents
from .. import audience

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
    folded = addresses.fold(text.strip())
    since = audience.today(config.zone, now) - RECENT + 1
    counts, readers = records.by_path(connection, since), records.readers_by_path(connection, since)
    rows = [
        _row(config, state, counts, readers)
        for state in documents.states(connection)
        if folded in addresses.fold(state.title) or folded in addresses.fold(state.path)
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
    today = audience.today(config.zone, now)
    since, recent = today - PLOTTED + 1, today - RECENT + 1
    counts, readers = records.by_day(connection, path, since), records.readers_by_day(connection, path, since)
    days = [Day(date.fromordinal(day), counts.get(day, Counts()), readers.get(day, 0)) for day in range(since, today + 1)]
    week = Counts()
    for day, one in counts.items():
        week = week.plus(one) if day >= recent else week
    told = records.told_of(connection, path, recent)
    return History(_row(config, state, {path: week}, {path: sum(told.values())}), days, told)
