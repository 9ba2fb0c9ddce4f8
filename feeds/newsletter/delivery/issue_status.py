"""How far issues have come, and what an operator may do about it: pause, resume, cancel, retry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ...database.tables import deliveries, issues, subscribers
from .queue import WAITING, pause

__all__ = [
    "RESUMED",
    "STATUSES",
    "Troubled",
    "Uncertain",
    "cancel",
    "counts",
    "pause",
    "resume",
    "retry",
    "statuses",
    "subscriber_counts",
    "troubled",
    "uncertain_rows",
]

STATUSES = ("pending", "sending", "sent", "retry", "failed", "uncertain", "cancelled")
#: The reason of an issue that an operator has let go on: being late does not hold it up again.
RESUMED = "resumed by the operator"


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A message of which nobody knows whether it was taken. `since` in UTC seconds; `address` "" if erased."""

    issue: str
    subscriber: int
    address: str
    since: int
    reply: str


@dataclass(frozen=True, slots=True)
class Troubled:
    """A message that is uncertain or failed. `reply`: the server's words; `address` "" if erased."""

    issue: str
    address: str
    status: str
    reply: str


def troubled(connection: sa.Connection, limit: int = 1000) -> list[Troubled]:
    """Uncertain ones first, then the newest issue's."""
    d, s = deliveries.c, subscribers.c
    query = sa.select(issues.c.id, s.address, d.status, d.reply).join(issues, issues.c.key == d.issue)
    query = query.outerjoin(subscribers, s.key == d.subscriber).where(d.status.in_(("uncertain", "failed")))
    query = query.order_by(d.status.desc(), issues.c.due.desc(), d.subscriber).limit(limit)
    return [Troubled(id, address or "", status, reply) for id, address, status, reply in connection.execute(query)]


def counts(connection: sa.Connection, issue: int | None = None) -> dict[str, int]:
    """Of one issue or of all: how many issues, and how many deliveries in each status."""
    number = sa.select(sa.func.count()).select_from(issues)
    if issue is not None:
        number = number.where(issues.c.key == issue)
    return {"issues": connection.execute(number).scalar() or 0, **statuses(connection, issue)}


def statuses(connection: sa.Connection, issue: int | None = None) -> dict[str, int]:
    """How many deliveries are in each status; reads them all."""
    d = deliveries.c
    query = sa.select(d.status, sa.func.count()).group_by(d.status)
    if issue is not None:
        query = query.where(d.issue == issue)
    found: dict[str, int] = {status: count for status, count in connection.execute(query)}
    return {status: found.get(status, 0) for status in STATUSES}


def subscriber_counts(connection: sa.Connection) -> dict[str, int]:
    """How many subscribers are in each state."""
    s = subscribers.c
    rows = connection.execute(sa.select(s.status, sa.func.count()).group_by(s.status).order_by(s.status))
    return {status: count for status, count in rows}


def uncertain_rows(connection: sa.Connection, issue: int | None = None) -> list[Uncertain]:
    """The oldest issue first."""
    d, s = deliveries.c, subscribers.c
    query = sa.select(issues.c.id, d.subscriber, s.address, d.updated, d.reply).join(issues, issues.c.key == d.issue)
    query = query.outerjoin(subscribers, s.key == d.subscriber).where(d.status == "uncertain")
    query = query if issue is None else query.where(d.issue == issue)
    return [
        Uncertain(row[0], row[1], row[2] or "", row[3], row[4])
        for row in connection.execute(query.order_by(issues.c.due, d.subscriber))
    ]


def resume(connection: sa.Connection, issue: int) -> bool:
    """A paused issue goes on. True if it was paused."""
    c = issues.c
    values = {"status": "open", "reason": RESUMED}
    return connection.execute(sa.update(issues).where(c.key == issue, c.status == "paused").values(values)).rowcount > 0


def cancel(connection: sa.Connection, issue: int, now: int) -> int:
    """Nothing more of it is handed over. Returns how many messages that spares; those being sent are not among them."""
    d, c = deliveries.c, issues.c
    stopped = sa.update(issues).where(c.key == issue, c.status.in_(("open", "paused")))
    connection.execute(stopped.values(status="cancelled", reason="cancelled by the operator"))
    waiting = sa.update(deliveries).where(d.issue == issue, d.status.in_(WAITING))
    values = {"status": "cancelled", "updated": now, "reply": "the issue was cancelled", "owner": "", "lease": 0}
    return connection.execute(waiting.values(values)).rowcount


def retry(connection: sa.Connection, now: int, issue: int | None = None, *, failed: bool = False) -> int:
    """Uncertain messages (`failed`: those that failed, too) are sent again, with the Message-ID that they had.

    Their issues are open again, but for cancelled ones, whose rows stay as they are. Returns how many messages.
    """
    d, c = deliveries.c, issues.c
    statuses = ("uncertain", "failed") if failed else ("uncertain",)
    wanted: list[Any] = [d.status.in_(statuses), d.issue.in_(sa.select(c.key).where(c.status != "cancelled"))]
    if issue is not None:
        wanted.append(d.issue == issue)
    of = sa.select(d.issue).distinct().where(*wanted)
    again = [key for (key,) in connection.execute(of)]
    values = {"status": "pending", "attempts": 0, "next_at": 0, "owner": "", "lease": 0, "updated": now}
    number = connection.execute(sa.update(deliveries).where(*wanted).values(values)).rowcount
    opened = sa.update(issues).where(c.key.in_(again), c.status.in_(("done", "open")))
    connection.execute(opened.values(status="open", reason=RESUMED))
    return number
