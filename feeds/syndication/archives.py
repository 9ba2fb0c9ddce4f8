"""The whole history of a feed in documents of fixed periods: archived feeds of RFC 5005, section 4.

A bucket is a year or a month of the site's time zone; an article is in the bucket of its date, so an article that is added
changes one document and moves no other. A bucket is closed once the feed has a younger article in a later one: from then on its
bytes stay, but for what happens to its own articles. The youngest bucket is still open: it is linked like the others, so that
a walk from the feed meets every article, and is not marked as an archive, so that nobody keeps it for good.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from .. import urls
from ..catalog import queries
from ..catalog.queries import Clauses
from ..config.models import Config
from ..model import Feed

_NAMES = {"year": re.compile(r"\d{4}"), "month": re.compile(r"\d{4}-(0[1-9]|1[0-2])")}


@dataclass(frozen=True, slots=True)
class Bucket:
    """`name` is the end of its address: 2016, 2016-05. From `first` to before `end`, in UTC seconds."""

    name: str
    first: int
    end: int

    def path(self, feed: Feed) -> str:
        return urls.archive_path(feed.path, self.name)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The buckets with articles before and after one; without a younger one it is still open."""

    older: Bucket | None
    younger: Bucket | None

    @property
    def closed(self) -> bool:
        return self.younger is not None


def named(period: str, name: str, zone: ZoneInfo) -> Bucket | None:
    """The bucket that an address means; None where such feeds have none of that name."""
    pattern = _NAMES.get(period)
    if pattern is None or not pattern.fullmatch(name) or not 1 <= int(name[:4]) <= 9998:
        return None
    year, month = int(name[:4]), int(name[5:] or 1)
    after = (year + 1, 1) if period == "year" or month == 12 else (year, month + 1)
    return Bucket(name, _midnight(year, month, zone), _midnight(*after, zone))


def _midnight(year: int, month: int, zone: ZoneInfo) -> int:
    return int(datetime(year, month, 1, tzinfo=zone).timestamp())


def holding(period: str, published: int, zone: ZoneInfo) -> Bucket | None:
    """The bucket of an instant (UTC seconds)."""
    return named(period, name_at(period, published, zone), zone)


def name_at(period: str, published: int, zone: ZoneInfo) -> str:
    local = datetime.fromtimestamp(published, zone)
    return f"{local.year:04}" if period == "year" else f"{local.year:04}-{local.month:02}"


def youngest(connection: sa.Connection, config: Config, feed: Feed, clauses: Clauses) -> Bucket | None:
    """The bucket of a feed's newest article, where a walk begins."""
    published = queries.newest_published(connection, clauses) if feed.archive else None
    return None if published is None else holding(feed.archive, published, config.zone)


def neighbours(connection: sa.Connection, config: Config, feed: Feed, clauses: Clauses, bucket: Bucket) -> Neighbours:
    older, younger = (
        queries.newest_published(connection, clauses, bucket.first),
        queries.oldest_published(connection, clauses, bucket.end),
    )
    zone, period = config.zone, feed.archive
    return Neighbours(
        None if older is None else holding(period, older, zone),
        None if younger is None else holding(period, younger, zone),
    )
