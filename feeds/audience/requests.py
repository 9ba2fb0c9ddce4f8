"""The tables `audience` (requests of a feed on a day) and `readers` (what aggregators told of it that day). Law: sums only.

Beside the days, `audience` holds sums of all time under the day EVER, which outlive the days: counters that Prometheus watches
must never go back.
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
from .user_agents import Claim, is_claim
from .user_agents import read as read_claim

#: Days are counted as `date.toordinal` does.
EVER = 0
#: The path of feeds that there was no room to count one by one.
ELSEWHERE = ""
#: How many feeds of one aggregator one path may stand for on a day: three formats, http and https, with and without www.
MAX_FEEDS = 12


class Counts(NamedTuple):
    """`requests` are all; of those, `unchanged` were answered 304 and `refused` 429. `sent` are bytes of bodies."""

    requests: int = 0
    unchanged: int = 0
    refused: int = 0
    sent: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(*(one + another for one, another in zip(self, other, strict=True)))


#: (day, path of the feed, format) and (day, path of the feed, aggregator, its name for the feed).
CountKey = tuple[int, str, str]
ReaderKey = tuple[int, str, str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one worker has counted since it last wrote. `measured` is how that went: see `measures`."""

    counts: Mapping[CountKey, Counts] = field(default_factory=dict)
    readers: Mapping[ReaderKey, int] = field(default_factory=dict)
    measured: Sums = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.counts or self.readers or self.measured)


@dataclass(frozen=True, slots=True)
class Followed:
    """A feed's audience. `formats`: requests of each."""

    path: str
    counts: Counts
    readers: int
    formats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Audience:
    """Of all feeds together, and of each in `feeds`, the most requested first. `aggregators`: the readers that each told of."""

    counts: Counts
    readers: int
    aggregators: Mapping[str, int]
    feeds: Sequence[Followed]


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


def add(connection: sa.Connection, batch: Batch) -> None:
    """Counts are added up; of readers the highest number of a day stays. Sorted, so that two workers never wait crosswise."""
    sums: dict[CountKey, Counts] = dict(batch.counts)
    for (_day, path, format), counts in batch.counts.items():
        sums[EVER, path, format] = sums.get((EVER, path, format), Counts()).plus(counts)
    if sums:
        rows = [
            dict(zip(("day", "path", "format"), key, strict=True)) | counts._asdict() for key, counts in sorted(sums.items())
        ]
        connection.execute(_ADD, rows)
    if batch.readers:
        told = sorted(_within_bounds(connection, batch.readers).items())
        names = ("day", "path", "aggregator", "feed")
        connection.execute(_RAISE, [dict(zip(names, key, strict=True)) | {"number": number} for key, number in told])
    counters.add(connection, {**batch.measured, **_by_format(batch)})


def _by_format(batch: Batch) -> Sums:
    """Of all feeds together, so that a monitor need not read the rows of each."""
    sums: Counter[counters.Key] = Counter()
    for (_day, _path, format), counts in batch.counts.items():
        for measure, number in zip(counters.FEEDS, counts, strict=True):
            sums[measure.name, format, COUNT] += number
    return sums


def _within_bounds(connection: sa.Connection, told: Mapping[ReaderKey, int]) -> dict[ReaderKey, int]:
    """Whoever makes up ever new names of feeds is kept to MAX_FEEDS a day; the rest counts under no name."""
    c = readers.c
    known: dict[tuple[int, str, str], set[str]] = {}
    for day, path in sorted({key[:2] for key in told}):
        for aggregator, feed in connection.execute(sa.select(c.aggregator, c.feed).where(c.day == day, c.path == path)):
            known.setdefault((day, path, aggregator), set()).add(feed)
    kept: dict[ReaderKey, int] = {}
    for (day, path, aggregator, feed), number in told.items():
        names = known.setdefault((day, path, aggregator), set())
        if feed not in names and len(names) >= MAX_FEEDS:
            feed = ""
        names.add(feed)
        key = (day, path, aggregator, feed)
        kept[key] = max(number, kept.get(key, 0))
    return kept


def purge(connection: sa.Connection, before: int) -> None:
    """Days before `before` are forgotten; sums of all time stay."""
    connection.execute(sa.delete(audience).where(audience.c.day > EVER, audience.c.day < before))
    connection.execute(sa.delete(readers).where(readers.c.day < before))


# -- what there was --------------------------------------------------------


def report(connection: sa.Connection, since: int, limit: int) -> Audience:
    """From day `since` on. Of a feed's readers: the highest number of each aggregator in that time, added up."""
    days = (audience.c.day > EVER, audience.c.day >= since)
    by_path = _readers(connection, since, "path")
    most = _most(connection, limit, *days)
    formats = _formats(connection, list(most), *days)
    feeds = [Followed(path, counts, by_path.get(path, 0), formats[path]) for path, counts in most.items()]
    return Audience(_whole(connection, *days), sum(by_path.values()), aggregators(connection, since), feeds)


def by_path(connection: sa.Connection, since: int) -> dict[str, Counts]:
    """Every feed that was asked for from day `since` on."""
    c = audience.c
    query = sa.select(c.path, *_sums()).where(c.day > EVER, c.day >= since).group_by(c.path)
    return {path: Counts(*map(int, numbers)) for path, *numbers in connection.execute(query)}


def readers_by_path(connection: sa.Connection, since: int) -> dict[str, int]:
    return _readers(connection, since, "path")


def by_day(connection: sa.Connection, path: str, since: int) -> dict[int, Counts]:
    """Of one feed, all its formats together."""
    c = audience.c
    query = sa.select(c.day, *_sums()).where(c.path == path, c.day > EVER, c.day >= since).group_by(c.day).order_by(c.day)
    return {day: Counts(*map(int, numbers)) for day, *numbers in connection.execute(query)}


def readers_by_day(connection: sa.Connection, path: str, since: int) -> dict[int, int]:
    """What aggregators told of one feed that day, added up."""
    c = readers.c
    query = sa.select(c.day, sa.func.sum(c.number)).where(c.path == path, c.day >= since).group_by(c.day).order_by(c.day)
    return {day: int(number) for day, number in connection.execute(query)}


def told_of(connection: sa.Connection, path: str, since: int) -> dict[str, int]:
    """The readers of one feed that each aggregator told of, most first."""
    c = readers.c
    highest = sa.select(c.aggregator, sa.func.max(c.number).label("number")).where(c.path == path, c.day >= since)
    each = highest.group_by(c.aggregator, c.feed).subquery()
    number = sa.func.sum(each.c.number).label("number")
    query = sa.select(each.c.aggregator, number).group_by(each.c.aggregator).order_by(number.desc(), each.c.aggregator)
    return {name: int(total) for name, total in connection.execute(query)}


def aggregators(connection: sa.Connection, since: int) -> dict[str, int]:
    """The readers that each aggregator told of from day `since` on."""
    return _readers(connection, since, "aggregator")


def _sums() -> list[sa.ColumnElement[Any]]:
    c = audience.c
    return [sa.func.sum(column) for column in (c.requests, c.unchanged, c.refused, c.sent)]


def _whole(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> Counts:
    row = connection.execute(sa.select(*_sums()).where(*where)).one()
    return Counts(*(int(number or 0) for number in row))


def _most(connection: sa.Connection, limit: int, *where: sa.ColumnElement[bool]) -> dict[str, Counts]:
    """Path -> sums, the most requested first."""
    c, sums = audience.c, _sums()
    query = sa.select(c.path, *sums).where(*where).group_by(c.path).order_by(sums[0].desc(), c.path).limit(limit)
    return {path: Counts(*map(int, numbers)) for path, *numbers in connection.execute(query)}


def _formats(connection: sa.Connection, paths: Sequence[str], *where: sa.ColumnElement[bool]) -> dict[str, dict[str, int]]:
    """Path -> format -> requests."""
    c = audience.c
    query = sa.select(c.path, c.format, _sums()[0]).where(c.path.in_(paths), *where).group_by(c.path, c.format)
    found: dict[str, dict[str, int]] = {}
    for path, format, number in connection.execute(query.order_by(c.format)):
        found.setdefault(path, {})[format] = int(number)
    return found


def _readers(connection: sa.Connection, since: int, by: str) -> dict[str, int]:
    """By `path` or by `aggregator`, most first."""
    c = readers.c
    highest = sa.select(c.path, c.aggregator, sa.func.max(c.number).label("number")).where(c.day >= since)
    each = highest.group_by(c.path, c.aggregator, c.feed).subquery()
    number = sa.func.sum(each.c.number).label("number")
    query = sa.select(each.c[by], number).group_by(each.c[by]).order_by(number.desc(), each.c[by])
    return {name: int(total) for name, total in connection.execute(query)}


def most_requested(connection: sa.Connection, limit: int) -> dict[str, Counts]:
    """Sums of all time of the `limit` feeds that were asked for most."""
    return _most(connection, limit, audience.c.day == EVER, audience.c.path != ELSEWHERE)


def ever(connection: sa.Connection, paths: Sequence[str]) -> dict[str, Counts]:
    """Sums of all time of these feeds."""
    found = _most(connection, len(paths), audience.c.day == EVER, audience.c.path.in_(paths)) if paths else {}
    return {path: found[path] for path in paths if path in found}


# Who follows what: counts come in from the web workers, `feeds status` and /metrics ask. In numbers only.

__all__ = ["ELSEWHERE", "Audience", "Batch", "Claim", "Counts", "as_json", "is_claim", "read_claim", "recent"]

#: What `feeds status` looks back on, today included.
DAYS = 7


def today(zone: tzinfo, now: float) -> int:
    return datetime.fromtimestamp(now, zone).date().toordinal()


def recent(connection: sa.Connection, zone: tzinfo, now: float, limit: int) -> Audience:
    """Of the last DAYS."""
    return report(connection, _since(zone, now), limit)


def aggregators_audience(connection: sa.Connection, zone: tzinfo, now: float) -> dict[str, int]:
    """The readers that each told of in the last DAYS."""
    return aggregators(connection, _since(zone, now))


def _since(zone: tzinfo, now: float) -> int:
    return today(zone, now) - DAYS + 1


def forget(connection: sa.Connection, zone: tzinfo, now: float, days: int) -> None:
    """All but the last `days`."""
    purge(connection, today(zone, now) - days + 1)


def as_json(found: Audience, zone: tzinfo, now: float) -> dict[str, Any]:
    def numbers(counts: Counts, readers: int) -> dict[str, int]:
        return {
            "requests": counts.requests,
            "unchanged": counts.unchanged,
            "refused": counts.refused,
            "bytes": counts.sent,
            "readers": readers,
        }

    feeds = [{"path": one.path, **numbers(one.counts, one.readers), "formats": dict(one.formats)} for one in found.feeds]
    since = date.fromordinal(_since(zone, now)).isoformat()
    whole = numbers(found.counts, found.readers)
    return {"days": DAYS, "since": since, **whole, "aggregators": dict(found.aggregators), "feeds": feeds}


def recent_as_json(connection: sa.Connection, zone: tzinfo, now: float, limit: int) -> dict[str, Any]:
    """Return the sums of the last DAYS, with the `limit` feeds requested most, as `feeds status --json` prints them."""
    return as_json(recent(connection, zone, now, limit), zone, now)
