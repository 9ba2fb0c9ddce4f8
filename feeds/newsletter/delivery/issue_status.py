"""Status of issues and age of the queue; what an operator may do about an issue: pause, resume, cancel, retry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ...database.tables import deliveries, issues, outbox, subscribers
from ...model import Issue
from .delivery_rows import select_open

STATUSES = ("pending", "sending", "sent", "retry", "failed", "uncertain", "cancelled")
#: The reason of an issue that an operator has let go on: being late does not hold it up again.
RESUMED = "resumed by the operator"
_WAITING = ("pending", "retry")
#: The first condition repeats that of the partial index: SQLite takes the index only then.
_FIRST = sa.text("""\
SELECT d.next_at, d.updated FROM deliveries AS d
WHERE d.status IN ('pending', 'retry', 'sending', 'uncertain') AND d.issue = :issue AND d.status = :status
ORDER BY d.next_at LIMIT 1""")


@dataclass(frozen=True, slots=True)
class Troubled:
    """A message that failed, or is uncertain: a server may have taken it. `reply`: its words; `address` "" if erased."""

    issue: str
    address: str
    status: str
    reply: str


def due_issues(connection: sa.Connection, only: int | None = None) -> list[Any]:
    """Return the open issues, the oldest first: key, id, due, planned_at, reason. `only`: that one, if it is open."""
    c = issues.c
    query = sa.select(c.key, c.id, c.due, c.planned_at, c.reason).where(c.status == "open")
    query = query if only is None else query.where(c.key == only)
    return list(connection.execute(query.order_by(c.due, c.key)))


def count_due(connection: sa.Connection, issue: int, now: int) -> int:
    """Return how many messages of an issue are due and in the hands of no process."""
    condition = "d.status IN ('pending', 'retry') AND d.next_at <= :now AND d.owner = ''"
    [(number,)] = select_open(connection, "count(*)", condition, {"issue": issue, "now": now})
    return int(number)


def has_work(connection: sa.Connection, now: int, only: int | None = None) -> bool:
    """Return whether an open issue (`only`: that one) has a row that is due or being sent, or only waits to be closed.

    The sender of a row that is being sent may be dead.
    """
    due = "(d.status = 'sending' OR (d.status IN ('pending', 'retry') AND d.next_at <= :now)) LIMIT 1"
    keys = [issue.key for issue in due_issues(connection, only)]
    return any(select_open(connection, "1", due, {"issue": key, "now": now}) or not _is_open(connection, key) for key in keys)


def _is_open(connection: sa.Connection, issue: int) -> bool:
    return bool(select_open(connection, "1", "d.status IN ('pending', 'retry', 'sending') LIMIT 1", {"issue": issue}))


def close_finished(connection: sa.Connection) -> None:
    """Mark issues without an open row as done; uncertain rows do not keep them open."""
    done = [issue.key for issue in due_issues(connection) if not _is_open(connection, issue.key)]
    if done:
        connection.execute(sa.update(issues).where(issues.c.key.in_(done)).values(status="done"))


def pause_late(connection: sa.Connection, now: int, hours: int) -> list[int]:
    """Pause open issues of which nothing was sent for so many hours, after a long outage or from a restored backup.

    One that an operator has resumed goes on. Returns their keys.
    """
    late, paused = now - hours * 3600, []
    for issue in due_issues(connection):
        if issue.planned_at < late and not issue.reason:
            query = sa.select(sa.func.max(deliveries.c.updated)).where(deliveries.c.issue == issue.key)
            if (connection.execute(query).scalar() or 0) < late:
                pause(connection, issue.key, f"nothing of it was sent for more than {hours} hours")
                paused.append(issue.key)
    return paused


def issues_by_status(connection: sa.Connection) -> dict[str, int]:
    """Return how many issues are open, and how many are paused until an operator decides."""
    c = issues.c
    query = sa.select(c.status, sa.func.count()).where(c.status.in_(("open", "paused"))).group_by(c.status)
    found = {status: number for status, number in connection.execute(query)}
    return {"open": found.get("open", 0), "paused": found.get("paused", 0)}


def troubled(connection: sa.Connection, limit: int = 1000) -> list[Troubled]:
    """Return messages that are uncertain or failed: uncertain ones first, then those of the newest issue."""
    d, s = deliveries.c, subscribers.c
    query = sa.select(issues.c.id, s.address, d.status, d.reply).join(issues, issues.c.key == d.issue)
    query = query.outerjoin(subscribers, s.key == d.subscriber).where(d.status.in_(("uncertain", "failed")))
    query = query.order_by(d.status.desc(), issues.c.due.desc(), d.subscriber).limit(limit)
    return [Troubled(id, address or "", status, reply) for id, address, status, reply in connection.execute(query)]


def counts(connection: sa.Connection, issue: int | None = None) -> dict[str, int]:
    """Return how many issues (one, or all) there are, and how many deliveries are in each status."""
    wanted = [] if issue is None else [issues.c.key == issue]
    number = connection.execute(sa.select(sa.func.count()).select_from(issues).where(*wanted)).scalar() or 0
    return {"issues": number, **statuses(connection, issue)}


def recent_issues(connection: sa.Connection, limit: int = 5) -> list[tuple[Issue, dict[str, int]]]:
    """Return the newest issues, and the number of messages of each by status."""
    from ..issues.planning import newest_issues  # planning, which counting needs nothing of

    return [(issue, counts(connection, issue.key)) for issue in newest_issues(connection, limit)]


def statuses(connection: sa.Connection, issue: int | None = None) -> dict[str, int]:
    """Return how many deliveries are in each status; reads them all."""
    d = deliveries.c
    query = sa.select(d.status, sa.func.count()).where(*[] if issue is None else [d.issue == issue]).group_by(d.status)
    found: dict[str, int] = {status: count for status, count in connection.execute(query)}
    return {status: found.get(status, 0) for status in STATUSES}


def last_reply(connection: sa.Connection) -> str:
    """Return the newest reply for which a message is to be tried again, or failed; "" where there is none."""
    d = deliveries.c
    query = sa.select(d.reply).where(d.status.in_(("retry", "failed")), d.reply != "").order_by(d.updated.desc()).limit(1)
    return str(connection.execute(query).scalar() or "")


def subscriber_counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many subscribers are in each state."""
    s = subscribers.c
    rows = connection.execute(sa.select(s.status, sa.func.count()).group_by(s.status).order_by(s.status))
    return {status: count for status, count in rows}


def oldest_delivery(connection: sa.Connection, now: int) -> int:
    """Return for how many seconds a message of an open issue has been due and unsent; 0 if none is.

    A message is due since it was planned, or since the time of its next try. One look into an index for each issue and status.
    """
    age = 0
    for issue in due_issues(connection):
        for status in _WAITING:
            row = connection.execute(_FIRST, {"issue": issue.key, "status": status}).first()
            if row and row.next_at <= now:
                age = max(age, now - max(row.next_at, row.updated))
    return age


def oldest_message(connection: sa.Connection, now: int) -> int:
    """Return for how many seconds a single message (a confirmation, a receipt) has been waiting; 0 if none is due."""
    c = outbox.c
    waiting = sa.select(sa.func.min(c.created)).where(c.status.in_(("pending", "retry", "sending")), c.next_at <= now)
    created = connection.execute(waiting).scalar()
    return 0 if created is None else max(0, now - created)


# -- operator's actions ----------------------------------------------------


def pause(connection: sa.Connection, issue: int, reason: str) -> bool:
    """Pause an open issue. Return whether it was open."""
    c = issues.c
    values = {"status": "paused", "reason": reason}
    return connection.execute(sa.update(issues).where(c.key == issue, c.status == "open").values(values)).rowcount > 0


def resume(connection: sa.Connection, issue: int) -> bool:
    """Let a paused issue go on. Return whether it was paused."""
    c = issues.c
    values = {"status": "open", "reason": RESUMED}
    return connection.execute(sa.update(issues).where(c.key == issue, c.status == "paused").values(values)).rowcount > 0


def cancel(connection: sa.Connection, issue: int, now: int) -> int:
    """Cancel an issue: nothing more of it is handed over. Return how many messages that spares, without those being sent."""
    d, c = deliveries.c, issues.c
    stopped = sa.update(issues).where(c.key == issue, c.status.in_(("open", "paused")))
    connection.execute(stopped.values(status="cancelled", reason="cancelled by the operator"))
    waiting = sa.update(deliveries).where(d.issue == issue, d.status.in_(_WAITING))
    values = {"status": "cancelled", "updated": now, "reply": "the issue was cancelled", "owner": "", "lease": 0}
    return connection.execute(waiting.values(values)).rowcount


def retry(connection: sa.Connection, now: int, issue: int | None = None, *, failed: bool = False) -> int:
    """Send uncertain messages (`failed`: those that failed, too) again, with the Message-ID that they had.

    Their issues are open again, except for cancelled ones, whose rows stay as they are. Returns how many messages.
    """
    d, c = deliveries.c, issues.c
    statuses = ("uncertain", "failed") if failed else ("uncertain",)
    wanted: list[Any] = [d.status.in_(statuses), d.issue.in_(sa.select(c.key).where(c.status != "cancelled"))]
    if issue is not None:
        wanted.append(d.issue == issue)
    again = connection.execute(sa.select(d.issue).distinct().where(*wanted)).scalars().all()
    values = {"status": "pending", "attempts": 0, "next_at": 0, "owner": "", "lease": 0, "updated": now}
    number = connection.execute(sa.update(deliveries).where(*wanted).values(values)).rowcount
    opened = sa.update(issues).where(c.key.in_(again), c.status.in_(("done", "open")))
    connection.execute(opened.values(status="open", reason=RESUMED))
    return number
