"""Write and read the tables `operator_log` (actions in the console) and `rescans` (their outcomes). Both are bounded.

Invariant: they hold no secret and no whole address, neither of mail nor of a machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .database import count_rows
from .database.tables import operator_log, rescans

#: The newest rows that stay of either; of the log as many of refused tokens besides.
LOGGED, RESCANS = 2000, 50
#: One purge for this many rows is enough.
_EVERY = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `at` in UTC seconds; `network` is a /24 or a /48, "" where it is not known."""

    at: int
    event: str
    details: str
    network: str


@dataclass(frozen=True, slots=True)
class Rescan:
    """`report` as `model.RescanReport`, empty where the rescan failed with `fault`."""

    at: int
    report: dict[str, Any]
    fault: str


def note(connection: sa.Connection, now: int, event: str, details: str, ip: str) -> None:
    """Write one line of the log; `ip` is cut to its network."""
    from .newsletter.subscribers.signup import network_prefix  # commands that only read need not load what composes mail

    row = {"at": now, "event": event, "details": details[:300], "network": network_prefix(ip)}
    key = connection.execute(sa.insert(operator_log).values(**row)).inserted_primary_key
    if key and key[0] % _EVERY == 0:
        for alike in (operator_log.c.event == "refused", operator_log.c.event != "refused"):  # guesses displace no action
            last = sa.select(operator_log.c.key).where(alike).order_by(operator_log.c.key.desc()).offset(LOGGED).limit(1)
            connection.execute(sa.delete(operator_log).where(alike, operator_log.c.key <= last.scalar_subquery()))


def entries(connection: sa.Connection, limit: int, skip: int = 0) -> Sequence[Entry]:
    """Return lines of the log, the newest first."""
    c = operator_log.c
    query = sa.select(c.at, c.event, c.details, c.network).order_by(c.key.desc()).limit(limit).offset(skip)
    return [Entry(*row) for row in connection.execute(query)]


def count(connection: sa.Connection, event: str, since: int) -> int:
    """Return how often `event` was logged after `since` (UTC seconds)."""
    return count_rows(connection, operator_log, operator_log.c.event == event, operator_log.c.at > since)


def note_rescan(connection: sa.Connection, now: int, report: Mapping[str, Any], fault: str) -> None:
    """Write a rescan that changed something, or a new fault: a fault that stays is one row, not one for each tick."""
    c = rescans.c
    before = connection.execute(sa.select(c.fault).order_by(c.key.desc()).limit(1)).scalar() or ""
    changed = any(report.get(name) for name in ("added", "changed", "removed", "renamed", "feeds_changed"))
    if not changed and fault == before:
        return
    text = json.dumps(dict(report)) if report else ""
    key = connection.execute(sa.insert(rescans).values(at=now, report=text, fault=fault)).inserted_primary_key
    if key:
        connection.execute(sa.delete(rescans).where(c.key <= key[0] - RESCANS))


def last_rescans(connection: sa.Connection, limit: int) -> Sequence[Rescan]:
    """Return the last rescans, the newest first."""
    c = rescans.c
    rows = connection.execute(sa.select(c.at, c.report, c.fault).order_by(c.key.desc()).limit(limit))
    return [Rescan(at, json.loads(report) if report else {}, fault) for at, report, fault in rows]
