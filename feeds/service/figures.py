"""What a monitor watches, from one snapshot: look-ups, however large the tables are; what would be more, `census` counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .. import jobs, measures
from ..audience import records
from ..audience.records import Counts
from ..config import Config
from ..database import feeds, issues
from ..measures import Series
from ..newsletter import progress, waiting
from ..syndication.websub import rows as hub_rows
from . import audience, census, readiness, state


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
    stored, schema = state.read(connection), readiness.schema(connection)
    deliveries = census.read(connection, census.DELIVERIES)
    subscribers = census.read(connection, census.SUBSCRIBERS)
    readers = census.read(connection, census.READERS)
    return Figures(
        generation=int(stored.get("generation", "-1")),
        feeds=_number(connection, feeds),
        schema=schema,
        rescan=json.loads(stored.get("rescan", "null")),
        degraded=readiness.facts(stored, schema, now),
        beat=int(stored.get("clock", "0")),
        measured=measures.read(connection),
        requested=_requested(connection),
        readers=audience.aggregators(connection, config.zone, now) if readers is None else readers,
        subscribers=progress.subscriber_counts(connection) if subscribers is None else subscribers,
        deliveries=_deliveries(connection, deliveries),
        issues={"all": _number(connection, issues), **waiting.issues_by_status(connection)},
        waiting=_waiting(connection, now),
        hub=hub_rows.counts(connection),
        jobs=(found := jobs.counts(connection)),
        workers=jobs.workers(connection) if found else 0,
        counted_at=census.counted_at(connection),
    )


def _number(connection: sa.Connection, table: sa.FromClause) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() or 0)


def _deliveries(connection: sa.Connection, found: Mapping[str, int] | None) -> dict[str, int]:
    if found is None:
        return progress.statuses(connection)
    return {status: found.get(status, 0) for status in progress.STATUSES}


def _requested(connection: sa.Connection) -> dict[str, Counts]:
    """Which feeds these are may be known from a while ago; their numbers are of now."""
    paths = census.read(connection, census.REQUESTED)
    if paths is None:
        return records.most_requested(connection, census.MOST_REQUESTED)
    return records.ever(connection, sorted(paths))


def _waiting(connection: sa.Connection, now: int) -> dict[str, int]:
    return {
        "deliveries": waiting.oldest_delivery(connection, now),
        "outbox": waiting.oldest_message(connection, now),
        "pushes": hub_rows.oldest(connection, now),
    }
