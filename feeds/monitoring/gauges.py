"""Read everything that /metrics shows from one snapshot of the database, and count in advance what is too much for a scrape.

A scrape only looks rows up, however large the tables are. What takes longer the clock counts now and then into the table
`counted` (`count_tables`): the longer a count takes, the more seldom it is made (SHARE). An issue that is over is counted the
more seldom the older it is, because little still happens to it (a bounce, an erased subscriber), and late.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
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
from ..websub import subscriptions
from . import health

#: Seconds between two counts at least, and how many times as long as the counting took.
LEAST, SHARE = 15, 50
#: An issue that is over is counted again when its age has grown by this part.
AGE = 20
#: Feeds that have counters of their own in /metrics, however many there are: each is four time series of every monitor.
MOST_REQUESTED = 100
DELIVERIES, SUBSCRIBERS, READERS, REQUESTED = "deliveries", "subscribers", "readers", "requested"
_OPEN = ("open", "paused")
_WAITING = ("pending", "sending", "retry")


@dataclass(frozen=True, slots=True)
class LastCount:
    """When something was counted (`at`, UTC seconds), the milliseconds it `took`, whether its rows may still change."""

    at: int
    took: int
    moving: bool = True


Ask = Callable[[sa.Connection], Mapping[str, int]]


def is_due(last: LastCount | None, now: int, over_since: int | None = None) -> bool:
    """Return whether something is to be counted again; `over_since` (UTC seconds) of an issue that is sent.

    >>> is_due(LastCount(at=1000, took=10), 1014), is_due(LastCount(at=1000, took=10), 1015)
    (False, True)
    """
    if last is None or last.at > now:
        return True
    pause = max(LEAST, SHARE * last.took // 1000)
    if over_since is not None and not last.moving:  # its last rows may have changed after they were counted
        pause = max(pause, (now - over_since) // AGE)
    return now - last.at >= pause


def count_tables(engine: sa.Engine, config: Config, now: Callable[[], float], stop: Event) -> None:
    """Count everything that is due; returns early when `stop` is set. Each count is read and written by itself."""
    for subject, part, ask in _find_due(engine, config, int(now())):
        if stop.is_set():
            return
        started = time.perf_counter()
        with database.reading(engine) as connection:
            numbers = ask(connection)
        same = {"subject": subject, "part": part, "at": int(now()), "took": round(1000 * (time.perf_counter() - started))}
        # An empty count has a row, too, which says that it was made.
        rows = {label: number for label, number in numbers.items() if number} or {"": 0}
        with database.writing(engine, together=True) as connection:  # only the acting clock counts
            connection.execute(sa.delete(counted).where(counted.c.subject == subject, counted.c.part == part))
            connection.execute(sa.insert(counted), [{**same, "label": label, "number": n} for label, n in rows.items()])


def _find_due(engine: sa.Engine, config: Config, now: int) -> Iterator[tuple[str, int, Ask]]:
    """Yield (subject, its part, how it is counted); the parts of deliveries are the issues, newest first."""
    whole: dict[str, Ask] = {
        SUBSCRIBERS: issue_status.subscriber_counts,
        READERS: partial(requests.recent_readers, zone=config.zone, now=now),
        REQUESTED: lambda connection: {
            path: counts.requests for path, counts in requests.most_requested(connection, MOST_REQUESTED).items()
        },
    }
    c = counted.c
    moving = sa.func.max(sa.case((c.label.in_(_WAITING), 1), else_=0))
    last = sa.select(c.subject, c.part, sa.func.max(c.at), sa.func.max(c.took), moving).group_by(c.subject, c.part)
    over_since = sa.case((issues.c.status.in_(_OPEN), sa.null()), else_=issues.c.planned_at)
    with database.reading(engine) as connection:
        known = {(subject, part): LastCount(at, took, bool(open)) for subject, part, at, took, open in connection.execute(last)}
        parts = [tuple(row) for row in connection.execute(sa.select(issues.c.key, over_since).order_by(issues.c.key.desc()))]
    for subject, ask in whole.items():
        if is_due(known.get((subject, 0)), now):
            yield subject, 0, ask
    for issue, over in parts:
        if is_due(known.get((DELIVERIES, issue)), now, over):
            yield DELIVERIES, issue, partial(issue_status.statuses, issue=issue)


def read_counted(connection: sa.Connection, subject: str) -> dict[str, int] | None:
    """Return label -> number, all parts together; None where the clock has never counted it."""
    c = counted.c
    query = sa.select(c.label, sa.func.sum(c.number)).where(c.subject == subject).group_by(c.label).order_by(c.label)
    found = {label: int(number) for label, number in connection.execute(query)}
    return {label: number for label, number in found.items() if label} if found else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The values of all metrics; `counters` and `requested` never fall.

    `rescan` is the last one that succeeded; `waiting` (seconds) by queue; `jobs` by status, empty where there are no workers.
    `counted_at` (UTC seconds) is when the clock last counted, None where it never did and everything was counted now.
    """

    generation: int
    feeds: int
    schema: str
    rescan: Mapping[str, Any] | None
    degraded: Mapping[str, str]
    beat: int
    counters: Mapping[str, Mapping[tuple[str, ...], Series]]
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


def take_snapshot(connection: sa.Connection, config: Config, now: int, fault: str = "") -> Snapshot:
    """Return the values of all metrics at `now` (UTC seconds); what the clock has never counted is counted here."""
    stored, schema = editions.load_state(connection), health.schema_version(connection)
    subjects = (DELIVERIES, SUBSCRIBERS, READERS, REQUESTED)
    deliveries, subscribers, readers, paths = (read_counted(connection, subject) for subject in subjects)
    if deliveries is None:
        deliveries = issue_status.statuses(connection)
    if paths is None:
        requested = requests.most_requested(connection, MOST_REQUESTED)
    else:  # which feeds these are was counted a while ago; their numbers are current
        requested = requests.requests_ever(connection, sorted(paths))
    feeds_, issues_ = (database.count_rows(connection, table) for table in (feeds, issues))
    waiting = {
        "deliveries": issue_status.oldest_delivery(connection, now),
        "outbox": issue_status.oldest_message(connection, now),
        "pushes": subscriptions.oldest_due_seconds(connection, now),
    }
    return Snapshot(
        generation=int(stored.get("generation", "-1")),
        feeds=feeds_,
        schema=schema,
        rescan=json.loads(stored.get("rescan", "null")),
        degraded={**({"database": fault} if fault else {}), **health.find_degraded(stored, schema, now)},
        beat=int(stored.get("clock", "0")),
        counters=counters.read_all(connection),
        requested=requested,
        readers=requests.recent_readers(connection, config.zone, now) if readers is None else readers,
        subscribers=issue_status.subscriber_counts(connection) if subscribers is None else subscribers,
        deliveries={status: deliveries.get(status, 0) for status in issue_status.STATUSES},
        issues={"all": issues_, **issue_status.issues_by_status(connection)},
        waiting=waiting,
        hub=subscriptions.counts(connection),
        jobs=(found := jobs.counts(connection)),
        workers=jobs.workers(connection) if found else 0,
        counted_at=connection.execute(sa.select(sa.func.max(counted.c.at)).where(counted.c.subject == SUBSCRIBERS)).scalar(),
    )
