"""Store and sum the tables `audience` (requests of a feed on a day) and `readers` (what aggregators reported that day).

Beside the days, `audience` holds sums of all time under the day EVER, which outlive the days: counters that Prometheus watches
must never fall. Days are counted as `date.toordinal` does, in the site's time zone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any, NamedTuple

import sqlalchemy as sa

from .. import counters
from ..counters import COUNT, Sums
from ..database.tables import audience, readers

#: The day of sums of all time.
EVER = 0
#: The path of feeds that there was no room to count one by one.
ELSEWHERE = ""
#: How many feeds of one aggregator a path may stand for on a day: three formats, http and https, with and without www.
MAX_FEEDS = 12
#: What `feeds status` looks back on (days, today included).
DAYS = 7


class Counts(NamedTuple):
    """Numbers of requests: all, those answered 304 (`unchanged`) and 429 (`refused`), and bytes of bodies (`sent`)."""

    requests: int = 0
    unchanged: int = 0
    refused: int = 0
    sent: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return the sum of both."""
        return Counts(*map(sum, zip(self, other, strict=True)))


#: (day, path of the feed, format) and (day, path of the feed, aggregator, its name of the feed).
CountKey = tuple[int, str, str]
ReaderKey = tuple[int, str, str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a web worker has counted since it last wrote; `metrics` are its counts for `counters`."""

    counts: Mapping[CountKey, Counts] = field(default_factory=dict)
    readers: Mapping[ReaderKey, int] = field(default_factory=dict)
    metrics: Sums = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.counts or self.readers or self.metrics)


@dataclass(frozen=True, slots=True)
class FeedAudience:
    """The audience of one feed. `formats`: requests of each."""

    path: str
    counts: Counts
    readers: int
    formats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Audience:
    """The audience of all feeds together and of each in `feeds`, most requested first; the readers each aggregator reported."""

    counts: Counts
    readers: int
    aggregators: Mapping[str, int]
    feeds: Sequence[FeedAudience]


_ADD = sa.text("""\
INSERT INTO audience (day, path, format, requests, unchanged, refused, sent)
VALUES (:day, :path, :format, :requests, :unchanged, :refused, :sent)
ON CONFLICT (day, path, format) DO UPDATE SET
  requests = audience.requests + excluded.requests, unchanged = audience.unchanged + excluded.unchanged,
  refused = audience.refused + excluded.refused, sent = audience.sent + excluded.sent""")
_RAISE = sa.text("""\
INSERT INTO readers (day, path, aggregator, feed, number) VALUES (:day, :path, :aggregator, :feed, :number)
ON CONFLICT (day, path, aggregator, feed) DO UPDATE SET
  number = CASE WHEN excluded.number > readers.number THEN excluded.number ELSE readers.number END""")


def add_batch(connection: sa.Connection, batch: Batch) -> None:
    """Add counts to the sums; of readers, keep the highest number of a day. In sorted order, so that workers cannot deadlock.

    Requests of all feeds together are added to `counters` by format, so that a monitor need not read the rows of each feed.
    """
    sums: dict[CountKey, Counts] = dict(batch.counts)
    metrics: Counter[counters.Key] = Counter(batch.metrics)
    for (_day, path, format), counts in batch.counts.items():
        sums[EVER, path, format] = sums.get((EVER, path, format), Counts()).plus(counts)
        for metric, number in zip(counters.FEEDS, counts, strict=True):
            metrics[metric.name, format, COUNT] += number
    if sums:
        names: tuple[str, ...] = ("day", "path", "format")
        rows = [dict(zip(names, key, strict=True)) | counts._asdict() for key, counts in sorted(sums.items())]
        connection.execute(_ADD, rows)
    if batch.readers:
        reports = sorted(_limit_feeds(connection, batch.readers).items())
        names = ("day", "path", "aggregator", "feed")
        connection.execute(_RAISE, [dict(zip(names, key, strict=True)) | {"number": number} for key, number in reports])
    counters.add(connection, metrics)


def _limit_feeds(connection: sa.Connection, reports: Mapping[ReaderKey, int]) -> dict[ReaderKey, int]:
    """Return reports with at most MAX_FEEDS names for each aggregator, path and day, so that invented ones fill no table."""
    c = readers.c
    known: dict[tuple[int, str, str], set[str]] = {}
    for day, path in sorted({key[:2] for key in reports}):
        for aggregator, feed in connection.execute(sa.select(c.aggregator, c.feed).where(c.day == day, c.path == path)):
            known.setdefault((day, path, aggregator), set()).add(feed)
    kept: dict[ReaderKey, int] = {}
    for (day, path, aggregator, feed), number in reports.items():
        names = known.setdefault((day, path, aggregator), set())
        if feed not in names and len(names) >= MAX_FEEDS:
            feed = ""
        names.add(feed)
        key = (day, path, aggregator, feed)
        kept[key] = max(number, kept.get(key, 0))
    return kept


def day_of(zone: tzinfo, now: float) -> int:
    """Return the day at `now` (UTC seconds)."""
    return datetime.fromtimestamp(now, zone).date().toordinal()


def delete_old_days(connection: sa.Connection, zone: tzinfo, now: float, days: int) -> None:
    """Delete all but the last `days`; sums of all time stay."""
    first = day_of(zone, now) - days + 1
    connection.execute(sa.delete(audience).where(audience.c.day > EVER, audience.c.day < first))
    connection.execute(sa.delete(readers).where(readers.c.day < first))


_SUMS = [sa.func.sum(audience.c[name]) for name in Counts._fields]


def summarize(connection: sa.Connection, since: int, limit: int) -> Audience:
    """Return the audience from day `since` on, with the `limit` feeds requested most; readers as `readers_by` counts them."""
    c = audience.c
    days = (c.day > EVER, c.day >= since)
    whole = connection.execute(sa.select(*_SUMS).where(*days)).one()
    by_path = readers_by(connection, since, "path")
    most = most_requested(connection, limit, *days)
    formats: dict[str, dict[str, int]] = {}
    query = sa.select(c.path, c.format, _SUMS[0]).where(c.path.in_(list(most)), *days).group_by(c.path, c.format)
    for path, format, number in connection.execute(query.order_by(c.format)):
        formats.setdefault(path, {})[format] = int(number)
    feeds = [FeedAudience(path, counts, by_path.get(path, 0), formats[path]) for path, counts in most.items()]
    counts = Counts(*(int(number or 0) for number in whole))
    return Audience(counts, sum(by_path.values()), readers_by(connection, since, "aggregator"), feeds)


def recent_as_json(connection: sa.Connection, zone: tzinfo, now: float, limit: int) -> dict[str, Any]:
    """Return the audience of the last DAYS, with the `limit` feeds requested most, as `feeds status --json` prints it."""

    def as_json(counts: Counts, readers: int) -> dict[str, int]:
        return dict(zip(("requests", "unchanged", "refused", "bytes", "readers"), (*counts, readers), strict=True))

    since = day_of(zone, now) - DAYS + 1
    found = summarize(connection, since, limit)
    feeds = [{"path": one.path, **as_json(one.counts, one.readers), "formats": dict(one.formats)} for one in found.feeds]
    whole = {"days": DAYS, "since": date.fromordinal(since).isoformat(), **as_json(found.counts, found.readers)}
    return {**whole, "aggregators": dict(found.aggregators), "feeds": feeds}


def recent_readers(connection: sa.Connection, zone: tzinfo, now: float) -> dict[str, int]:
    """Return the readers that each aggregator reported in the last DAYS, most first."""
    return readers_by(connection, day_of(zone, now) - DAYS + 1, "aggregator")


def requests_by_path(connection: sa.Connection, since: int) -> dict[str, Counts]:
    """Return path -> requests from day `since` on of every feed that was requested."""
    c = audience.c
    query = sa.select(c.path, *_SUMS).where(c.day > EVER, c.day >= since).group_by(c.path)
    return {path: Counts(*map(int, numbers)) for path, *numbers in connection.execute(query)}


def requests_by_day(connection: sa.Connection, path: str, since: int) -> dict[int, Counts]:
    """Return day -> requests of one feed, all its formats together."""
    c = audience.c
    query = sa.select(c.day, *_SUMS).where(c.path == path, c.day > EVER, c.day >= since).group_by(c.day).order_by(c.day)
    return {day: Counts(*map(int, numbers)) for day, *numbers in connection.execute(query)}


def readers_by_day(connection: sa.Connection, path: str, since: int) -> dict[int, int]:
    """Return day -> readers of one feed that aggregators reported that day, added up."""
    c = readers.c
    query = sa.select(c.day, sa.func.sum(c.number)).where(c.path == path, c.day >= since).group_by(c.day).order_by(c.day)
    return {day: int(number) for day, number in connection.execute(query)}


def readers_by(connection: sa.Connection, since: int, column: str, path: str | None = None) -> dict[str, int]:
    """Return `path` or `aggregator` (the `column`) -> readers from day `since` on, most first; of one feed or all.

    These are the highest numbers that each aggregator reported in that time, added up.
    """
    c = readers.c
    where = [c.day >= since] if path is None else [c.day >= since, c.path == path]
    highest = sa.select(c.path, c.aggregator, sa.func.max(c.number).label("number")).where(*where)
    each = highest.group_by(c.path, c.aggregator, c.feed).subquery()
    number = sa.func.sum(each.c.number).label("number")
    query = sa.select(each.c[column], number).group_by(each.c[column]).order_by(number.desc(), each.c[column])
    return {name: int(total) for name, total in connection.execute(query)}


def most_requested(connection: sa.Connection, limit: int, *where: sa.ColumnElement[bool]) -> dict[str, Counts]:
    """Return path -> requests of the `limit` feeds requested most: of all time, or of the rows given by `where`."""
    c = audience.c
    query = sa.select(c.path, *_SUMS).where(*(where or (c.day == EVER, c.path != ELSEWHERE))).group_by(c.path)
    rows = connection.execute(query.order_by(_SUMS[0].desc(), c.path).limit(limit))
    return {path: Counts(*map(int, numbers)) for path, *numbers in rows}


def requests_ever(connection: sa.Connection, paths: Sequence[str]) -> dict[str, Counts]:
    """Return path -> requests of all time of these feeds, in their order."""
    found = most_requested(connection, len(paths), audience.c.day == EVER, audience.c.path.in_(paths)) if paths else {}
    return {path: found[path] for path in paths if path in found}
