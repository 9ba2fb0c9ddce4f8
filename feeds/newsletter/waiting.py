"""How long what should be on its way has been waiting. Each question is one look into an index, however many rows there are."""

from __future__ import annotations

import sqlalchemy as sa

from ..database import issues, outbox
from . import rows

#: The first condition repeats that of the partial index: SQLite takes the index only then.
_FIRST = sa.text("""\
SELECT d.next_at, d.updated FROM deliveries AS d
WHERE d.status IN ('pending', 'retry', 'sending', 'uncertain') AND d.issue = :issue AND d.status = :status
ORDER BY d.next_at LIMIT 1""")


def oldest_delivery(connection: sa.Connection, now: int) -> int:
    """Seconds for which a message of an open issue has been due and unsent; 0 where none is."""
    return max((_age(connection, issue.key, now) for issue in rows.due_issues(connection)), default=0)


def _age(connection: sa.Connection, issue: int, now: int) -> int:
    """A message is due since it was planned, or since the time of its next try."""
    found = [connection.execute(_FIRST, {"issue": issue, "status": status}).first() for status in rows.WAITING]
    return max((now - max(row.next_at, row.updated) for row in found if row and row.next_at <= now), default=0)


def oldest_message(connection: sa.Connection, now: int) -> int:
    """Seconds for which a single message (a confirmation, a receipt) has been waiting; 0 where none is due."""
    c = outbox.c
    waiting = sa.select(sa.func.min(c.created)).where(c.status.in_(("pending", "retry", "sending")), c.next_at <= now)
    created = connection.execute(waiting).scalar()
    return 0 if created is None else max(0, now - created)


def issues_by_status(connection: sa.Connection) -> dict[str, int]:
    """How many issues are being sent, and how many wait for the operator."""
    c = issues.c
    query = sa.select(c.status, sa.func.count()).where(c.status.in_(("open", "paused"))).group_by(c.status)
    found = {status: number for status, number in connection.execute(query)}
    return {"open": found.get("open", 0), "paused": found.get("paused", 0)}
