"""What a monitor watches, from one snapshot: look-ups, however large the tables are; what would be more, `census` counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

import sqlalchemy as sa

from .. import counters, database
from ..audience import requests
from ..audience.requests import Counts
from ..config.models import Config
from ..counters import Series
from ..database import jobs
from ..database.tables import counted, feeds, issues
from ..newsletter.delivery import issue_status
from ..syndication import editions
from ..websub import subscriptions as hub_rows
from . import health

# What is too much to be counted whenever a monitor asks: the clock counts it now and then, the table `counted` remembers it.
#
# The longer counting takes, the rarer it is done (SHARE). An issue that is over is counted the more seldom the older it is:
# what
# still happens to it (a bounce, an erased subscriber) is little and late. Counting reads and holds up nobody; each subject is
# written by itself.

#: Seconds between two counts at least, and how many times as long as counting took.
LEAST, SHARE = 15, 50
#: An issue that is over is counted again when it has grown older by this part.
AGE = 20
#: Feeds that have counters of their own in /metrics: each is four time series of whoever scrapes it.
MOST_REQUESTED = 100
DELIVERIES, SUBSCRIBERS, READERS, REQUESTED = "deliveries", "subscribers", "readers", "requested"
_OPEN = ("open", "paused")
_WAITING = ("pending", "sending", "retry")


@dataclass(frozen=True, slots=True)
class Count:
    """When something was counted (`at`, UTC seconds), how long it `took` (milliseconds), whether rows of it may still move."""

    at: int
    took: int
    moving: bool = True


def is_due(last: Count | None, now: int, over_since: int | None = None) -> bool:
    """Whether it is worth to be counted again; `over_since` (UTC seconds) of an issue that is sent."""
    if last is None or last.at > now:
        return True
    pause = max(LEAST, SHARE * last.took // 1000)
    if over_since is not None and not last.moving:  # its last rows may have moved after they were counted
        pause = max(pause, (now - over_since) // AGE)
    return now - last.at >= pause


def count(engine: sa.Engine, config: Config, now: Callable[[], float], stop: Event) -> None:
    """Whatever is due; ends early when `stop` is set."""
    for subject, part, ask in _due(engine, config, int(now())):
        if stop.is_set():
            return
        started = time.perf_counter()
        with database.reading(engine) as connection:
            numbers = ask(connection)
        took = round(1000 * (time.perf_counter() - started))
        with database.writing(engine, together=True) as connection:  # the acting clock alone counts
            _write(connection, subject, part, numbers, int(now()), took)


def _write(connection: sa.Connection, subject: str, part: int, numbers: Mapping[str, int], now: int, took: int) -> None:
    c = counted.c
    connection.execute(sa.delete(counted).where(c.subject == subject, c.part == part))
    # Where there is nothing, a row says that it was counted all the same.
    rows = {label: number for label, number in numbers.items() if number} or {"": 0}
    same = {"subject": subject, "part": part, "at": now, "took": took}
    connection.execute(sa.insert(counted), [{**same, "label": label, "number": number} for label, number in rows.items()])


Ask = Callable[[sa.Connection], Mapping[str, int]]


def _due(engine: sa.Engine, config: Config, now: int) -> Iterator[tuple[str, int, Ask]]:
    with database.reading(engine) as connection:
        last, parts = _last(connection), _parts(connection)
    whole: dict[str, Ask] = {
        SUBSCRIBERS: issue_status.subscriber_counts,
        READERS: lambda connection: requests.aggregators_audience(connection, config.zone, now),
        REQUESTED: lambda connection: _requested_feeds(requests.most_requested(connection, MOST_REQUESTED)),
    }
    for subject, ask in whole.items():
        if is_due(last.get((subject, 0)), now):
            yield subject, 0, ask
    for issue, over_since in parts:
        if is_due(last.get((DELIVERIES, issue)), now, over_since):
            yield DELIVERIES, issue, lambda connection, issue=issue: issue_status.statuses(connection, issue)  # type: ignore[misc]


def _requested_feeds(rows: Mapping[str, requests.Counts]) -> dict[str, int]:
    return {path: counts.requests for path, counts in rows.items()}


def _last(connection: sa.Connection) -> dict[tuple[str, int], Count]:
    c = counted.c
    moving = sa.func.max(sa.case((c.label.in_(_WAITING), 1), else_=0))
    query = sa.select(c.subject, c.part, sa.func.max(c.at), sa.func.max(c.took), moving).group_by(c.subject, c.part)
    return {(subject, part): Count(at, took, bool(open)) for subject, part, at, took, open in connection.execute(query)}


def _parts(connection: sa.Connection) -> list[tuple[int, int | None]]:
    """All issues, the newest first: key, and when it was planned where it is over."""
    c = issues.c
    over = sa.case((c.status.in_(_OPEN), sa.null()), else_=c.planned_at)
    return [(key, since) for key, since in connection.execute(sa.select(c.key, over).order_by(c.key.desc()))]


# -- what was counted ----------------------------------------------------------


def read(connection: sa.Connection, subject: str) -> dict[str, int] | None:
    """Label -> number, all parts together; None where it was never counted."""
    c = counted.c
    query = sa.select(c.label, sa.func.sum(c.number)).where(c.subject == subject).group_by(c.label).order_by(c.label)
    found = {label: int(number) for label, number in connection.execute(query)}
    return {label: number for label, number in found.items() if label} if found else None


def counted_at(connection: sa.Connection) -> int | None:
    """When the clock last counted anything that moves (UTC seconds)."""
    return connection.execute(sa.select(sa.func.max(counted.c.at)).where(counted.c.subject == SUBSCRIBERS)).scalar()


@dataclass(frozen=True, slots=True)
class Figures:
    """Counters (`measured`, `feeds`) never go back; the rest is how things stand.

    `rescan` is the last one that went well; `waiting` (seconds) by queue; `jobs` by status, empty where there are no workers.
    `counted_at` (UTC seconds) is when the clock last counted, None where it never did and everything was counted now.
    """

    generation: int
    feeds: int
    schema: str
    rescan: Mapping[str, Any] | None
    degraded: Mapping[str, str]
    beat: int
    measured: Mapping[str, Mapping[tuple[str, ...], Series]]
    requested: Mapping[str, Counts]
    readers: Mapping[str, int]
    subscribers: Mapping[str, int]
    deliveries: Mapping[str, int]
    issues: Mapping[str, int]
    waiting: Mapping[str, int]
    hub: Mapping[str, int]
    jobs: Mapping[str, int]
    workers: int
    counted_at: int | None


def gather(connection: sa.Connection, config: Config, now: int) -> Figures:
    stored, schema = editions.load_state(connection), health.schema(connection)
    deliveries = read(connection, DELIVERIES)
    subscribers = read(connection, SUBSCRIBERS)
    readers = read(connection, READERS)
    return Figures(
        generation=int(stored.get("generation", "-1")),
        feeds=_number(connection, feeds),
        schema=schema,
        rescan=json.loads(stored.get("rescan", "null")),
        degraded=health.facts(stored, schema, now),
        beat=int(stored.get("clock", "0")),
        measured=counters.read(connection),
        requested=_requested(connection),
        readers=requests.aggregators_audience(connection, config.zone, now) if readers is None else readers,
        subscribers=issue_status.subscriber_counts(connection) if subscribers is None else subscribers,
        deliveries=_deliveries(connection, deliveries),
        issues={"all": _number(connection, issues), **issue_status.issues_by_status(connection)},
        waiting=_waiting(connection, now),
        hub=hub_rows.counts(connection),
        jobs=(found := jobs.counts(connection)),
        workers=jobs.workers(connection) if found else 0,
        counted_at=counted_at(connection),
    )


def _number(connection: sa.Connection, table: sa.FromClause) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() or 0)


def _deliveries(connection: sa.Connection, found: Mapping[str, int] | None) -> dict[str, int]:
    if found is None:
        return issue_status.statuses(connection)
    return {status: found.get(status, 0) for status in issue_status.STATUSES}


def _requested(connection: sa.Connection) -> dict[str, Counts]:
    """Which feeds these are may be known from a while ago; their numbers are of now."""
    paths = read(connection, REQUESTED)
    if paths is None:
        return requests.most_requested(connection, MOST_REQUESTED)
    return requests.ever(connection, sorted(paths))


def _waiting(connection: sa.Connection, now: int) -> dict[str, int]:
    return {
        "deliveries": issue_status.oldest_delivery(connection, now),
        "outbox": issue_status.oldest_message(connection, now),
        "pushes": hub_rows.oldest(connection, now),
    }
