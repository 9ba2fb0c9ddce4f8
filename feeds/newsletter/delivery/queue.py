"""Rows of `deliveries`: claimed, noted, freed. Every change is conditional on what the row says, so the row is the lock.

pending | retry (owner, lease) -> sending -> sent | retry | failed | uncertain. A row that someone cancelled meanwhile stays so.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ...database.tables import deliveries, issues, outbox
from ...model import Recipient

# Which process has a row in hand, and whether it still lives.
#
# An owner is `host:pid:start:number`. `host` tells boots and containers apart, `start` is when the process began, so that a
# number that the system gives out again is not mistaken for the dead one.

#: How long (seconds) rows are kept for a process that may be on another machine and does not renew them.
LEASE = 120
#: A process of this machine that lives but has not renewed its rows for so long has lost them.
STALLED = 3600


def me() -> str:
    """A new name for one run of this process; two runs of one process are two owners."""
    return f"{_host()}:{os.getpid()}:{_start(os.getpid())}:{secrets.token_hex(4)}"


def alive(owner: str, lease: int, now: int) -> bool:
    """On this machine the process table decides, at once; elsewhere the lease (UTC seconds)."""
    host, pid, start, _number = (*owner.split(":"), "", "", "")[:4]
    if host != _host() or not pid.isdecimal():
        return lease > now
    return _start(int(pid)) == start and lease + STALLED > now


def _host() -> str:
    """The name, the boot and the name space of process numbers: where a process number means the same process."""
    place = ""
    with contextlib.suppress(OSError):
        place = f"{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}.{Path('/proc/self/ns/pid').stat().st_ino}"
    return f"{platform.node()}.{place}".replace(":", "_")


def _start(pid: int) -> str:
    """When a process began, in the system's own ticks; "" if there is none. A zombie is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return "0" if not Path("/proc/self/stat").exists() and _exists(pid) else ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return "" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


WAITING = ("pending", "retry")
#: Minutes until the next try; the last one again and again.
DELAYS = (1, 5, 15, 60)
#: So often a message is tried at least, however late its issue is.
MIN_ATTEMPTS = len(DELAYS)


@dataclass(slots=True, eq=False)
class Row:
    """A delivery in hand. `deadline` (UTC seconds) is when its issue's messages are given up."""

    issue: int
    recipient: Recipient
    attempts: int
    deadline: int

    @property
    def domain(self) -> str:
        return self.recipient.address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class End:
    """What a row becomes."""

    row: Row
    status: str
    reply: str = ""
    next_at: int = 0


def put_off(row: Row, reply: str, now: int) -> End:
    """Another time, or given up."""
    next_at = now + 60 * DELAYS[min(row.attempts, len(DELAYS) - 1)]
    if next_at > row.deadline and row.attempts + 1 >= MIN_ATTEMPTS:
        return End(row, "failed", f"given up after {row.attempts + 1} tries: {reply}"[:500])
    return End(row, "retry", reply, next_at)


# -- claiming --------------------------------------------------------------


def claim(connection: sa.Connection, issue: int, deadline: int, *, owner: str, now: int, limit: int) -> tuple[list[Row], int]:
    """Reserve up to `limit` rows that are due and in nobody's hands. Returns them, and how many were cancelled instead.

    Those of subscribers who are no longer active are cancelled. An empty answer and 0: nothing is free.
    """
    found = _free(connection, issue, now, limit)
    gone = [row for row in found if row.state != "active"]
    here = [row for row in found if row.state == "active"]
    _set(connection, issue, [row.subscriber for row in gone], status="cancelled", updated=now, reply="no longer subscribed")
    _set(connection, issue, [row.subscriber for row in here], owner=owner, lease=now + LEASE)
    return [_row(issue, deadline, row) for row in here], len(gone)


def _free(connection: sa.Connection, issue: int, now: int, limit: int) -> Sequence[Any]:
    columns = "d.subscriber, d.reach, d.selections, d.attempts, s.status AS state, s.address, s.language, s.timezone, s.version"
    join = 'LEFT JOIN subscribers AS s ON s."key" = d.subscriber'
    due = "d.status IN ('pending', 'retry') AND d.next_at <= :now AND d.owner = '' LIMIT :limit"
    lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE OF d SKIP LOCKED"
    return _select(connection, columns, due + lock, {"issue": issue, "now": now, "limit": limit}, join)


def _select(connection: sa.Connection, columns: str, condition: str, values: dict[str, Any], join: str = "") -> Sequence[Any]:
    """Rows of an issue that are open in any way, by their index.

    SQLite would rather read the whole issue and has to be told; it takes a partial index only where its condition is repeated.
    """
    hint = "INDEXED BY ix_deliveries_open" if connection.dialect.name == "sqlite" else ""
    text = f"""SELECT {columns} FROM deliveries AS d {hint} {join} WHERE d.issue = :issue
        AND d.status IN ('pending', 'retry', 'sending', 'uncertain') AND {condition}"""  # noqa: S608 - all of it is ours
    return connection.execute(sa.text(text), values).all()


def _row(issue: int, deadline: int, row: Any) -> Row:
    selections = tuple(map(int, row.selections.split(","))) if row.selections else ()
    reader = Recipient(row.subscriber, row.address, row.language, row.timezone, row.version, row.reach, selections)
    return Row(issue, reader, row.attempts, deadline)


def _set(connection: sa.Connection, issue: int, keys: Sequence[int], **values: Any) -> None:
    if keys:
        d = deliveries.c
        connection.execute(sa.update(deliveries).where(d.issue == issue, d.subscriber.in_(keys)).values(**values))


# -- while sending ---------------------------------------------------------

#: The two statements of every message, straight to the driver: SQLAlchemy's part would cost more than all the rest of a group.
#: An uncertain row: someone took us for dead, and we know better.
_END = """UPDATE deliveries SET status = ?, attempts = ?, next_at = ?, reply = ?, updated = ?, owner = '', lease = 0
    WHERE issue = ? AND subscriber = ?
    AND ((owner = ? AND status IN ('pending', 'retry', 'sending')) OR status = 'uncertain')"""
#: One that is being sent already, by this very owner, was noted just before the database went away without saying so.
_BEGIN = """UPDATE deliveries SET status = 'sending', updated = ?, lease = ?
    WHERE issue = ? AND owner = ? AND status IN ('pending', 'retry', 'sending')
    AND EXISTS (SELECT 1 FROM subscribers AS s WHERE s."key" = deliveries.subscriber AND s.status = 'active')
    AND EXISTS (SELECT 1 FROM issues AS i WHERE i."key" = ? AND i.status = 'open')
    AND subscriber IN ({}) RETURNING subscriber"""


def end(connection: sa.Connection, ends: Sequence[End], *, owner: str, now: int) -> None:
    """Note what became of rows that this owner has in hand."""
    if ends:
        rows = [
            (one.status, one.row.attempts + 1, one.next_at, one.reply, now, one.row.issue, one.row.recipient.subscriber, owner)
            for one in ends
        ]
        connection.exec_driver_sql(_marked(connection, _END), rows)


def begin(connection: sa.Connection, begun: Sequence[Row], *, owner: str, now: int) -> set[tuple[int, int]]:
    """Note that these are about to be handed over; (issue, subscriber) of those that may be. The others are free again.

    A row that is not ours any more, a subscriber who left, an issue that is not open: these may not.
    """
    granted: set[tuple[int, int]] = set()
    for issue in {row.issue for row in begun}:
        keys = [row.recipient.subscriber for row in begun if row.issue == issue]
        statement = _marked(connection, _BEGIN.format(", ".join("?" * len(keys))))
        values = (now, now + LEASE, issue, owner, issue, *keys)
        granted |= {(issue, subscriber) for (subscriber,) in connection.exec_driver_sql(statement, values)}
    release(connection, [row for row in begun if (row.issue, row.recipient.subscriber) not in granted], owner)
    return granted


def _marked(connection: sa.Connection, statement: str) -> str:
    return statement if connection.dialect.paramstyle == "qmark" else statement.replace("?", "%s")


_mine = sa.update(deliveries).where(
    deliveries.c.issue == sa.bindparam("of_issue"),
    deliveries.c.subscriber == sa.bindparam("of_subscriber"),
    deliveries.c.owner == sa.bindparam("by"),
)
_release = _mine.where(sa.text("status IN ('pending', 'retry')")).values(owner="", lease=0)
_renew = _mine.values(lease=sa.bindparam("until"))


def release(connection: sa.Connection, rows: Iterable[Row], owner: str) -> None:
    """Reserved and not begun: anyone may have them."""
    keys = [{"of_issue": row.issue, "of_subscriber": row.recipient.subscriber, "by": owner} for row in rows]
    if keys:
        connection.execute(_release, keys)


def renew(connection: sa.Connection, rows: Iterable[Row], owner: str, now: int) -> None:
    """Whatever this owner has in hand stays its own for another lease."""
    until = now + LEASE
    keys = [{"of_issue": row.issue, "of_subscriber": row.recipient.subscriber, "by": owner, "until": until} for row in rows]
    if keys:
        connection.execute(_renew, keys)


# -- after the dead --------------------------------------------------------


def reap(connection: sa.Connection, now: int, *, resend: bool = False, reserved: bool = True) -> int:
    """Rows of dead owners: those being sent become uncertain (`resend`: pending), the reserved ones are free again.

    `reserved` False leaves those for later: finding them reads every row that waits. Returns how many were being sent.
    """
    unfinished = connection.execute(sa.select(issues.c.key).where(issues.c.status != "done")).scalars().all()
    return sum(_reap(connection, issue, now, resend, reserved) for issue in unfinished)


def _reap(connection: sa.Connection, issue: int, now: int, resend: bool, reserved: bool) -> int:
    statuses = "('sending', 'pending', 'retry')" if reserved else "('sending')"
    condition = f"d.status IN {statuses} AND d.owner <> ''"
    owned = _select(connection, "d.subscriber, d.status, d.owner, d.lease", condition, {"issue": issue})
    leases: dict[str, int] = {}
    for row in owned:
        leases[row.owner] = max(row.lease, leases.get(row.owner, 0))
    dead = {owner for owner, lease in leases.items() if not alive(owner, lease, now)}
    theirs = [row for row in owned if row.owner in dead]
    _free_all(connection, issue, [row for row in theirs if row.status != "sending"])
    begun = [row for row in theirs if row.status == "sending"]
    _free_all(connection, issue, begun, becomes="pending" if resend else "uncertain", updated=now)
    return len(begun)


def _free_all(connection: sa.Connection, issue: int, theirs: Sequence[Any], becomes: str = "", updated: int = 0) -> None:
    """Nobody's again, but only while they are as they were read."""
    d = deliveries.c
    same = (d.issue == issue, d.subscriber == sa.bindparam("s"), d.owner == sa.bindparam("o"), d.status == sa.bindparam("was"))
    values: dict[str, Any] = {"owner": "", "lease": 0}
    if becomes:
        values |= {"status": becomes, "updated": updated, "reply": "the sender died while sending it"}
    if theirs:
        keys = [{"s": row.subscriber, "o": row.owner, "was": row.status} for row in theirs]
        connection.execute(sa.update(deliveries).where(*same).values(values), keys)


# -- issues ----------------------------------------------------------------


def free(connection: sa.Connection, issue: int, now: int, limit: int) -> int:
    """How many messages are due and in nobody's hands; counted up to `limit`."""
    due = "d.status IN ('pending', 'retry') AND d.next_at <= :now AND d.owner = '' LIMIT :limit"
    return len(_select(connection, "1", due, {"issue": issue, "now": now, "limit": limit}))


def close_finished(connection: sa.Connection) -> None:
    """Issues without an open row are done; uncertain rows do not keep them open."""
    done = [issue.key for issue in due_issues(connection) if not _is_open(connection, issue.key)]
    if done:
        connection.execute(sa.update(issues).where(issues.c.key.in_(done)).values(status="done"))


def _is_open(connection: sa.Connection, issue: int) -> bool:
    return bool(_select(connection, "1", "d.status IN ('pending', 'retry', 'sending') LIMIT 1", {"issue": issue}))


def has_work(connection: sa.Connection, issue: int, now: int) -> bool:
    """Whether any row is due or being sent (its sender may be dead), or the issue only waits to be closed."""
    due = "(d.status = 'sending' OR (d.status IN ('pending', 'retry') AND d.next_at <= :now)) LIMIT 1"
    return bool(_select(connection, "1", due, {"issue": issue, "now": now})) or not _is_open(connection, issue)


def due_issues(connection: sa.Connection, only: int | None = None) -> list[Any]:
    """Open issues, the oldest first: key, id, due, planned_at, reason. `only`: that one, if it is open."""
    c = issues.c
    query = sa.select(c.key, c.id, c.due, c.planned_at, c.reason).where(c.status == "open")
    query = query if only is None else query.where(c.key == only)
    return list(connection.execute(query.order_by(c.due, c.key)))


def pause(connection: sa.Connection, issue: int, reason: str) -> bool:
    """True if it was open."""
    c = issues.c
    values = {"status": "paused", "reason": reason}
    return connection.execute(sa.update(issues).where(c.key == issue, c.status == "open").values(values)).rowcount > 0


def last_change(connection: sa.Connection, issue: int) -> int:
    """When anything last happened to a row of this issue (UTC seconds)."""
    query = sa.select(sa.func.max(deliveries.c.updated)).where(deliveries.c.issue == issue)
    return connection.execute(query).scalar() or 0


# How long what should be on its way has been waiting. Each question is one look into an index, however many rows there are.

#: The first condition repeats that of the partial index: SQLite takes the index only then.
_FIRST = sa.text("""\
SELECT d.next_at, d.updated FROM deliveries AS d
WHERE d.status IN ('pending', 'retry', 'sending', 'uncertain') AND d.issue = :issue AND d.status = :status
ORDER BY d.next_at LIMIT 1""")


def oldest_delivery(connection: sa.Connection, now: int) -> int:
    """Seconds for which a message of an open issue has been due and unsent; 0 where none is."""
    return max((_age(connection, issue.key, now) for issue in due_issues(connection)), default=0)


def _age(connection: sa.Connection, issue: int, now: int) -> int:
    """A message is due since it was planned, or since the time of its next try."""
    found = [connection.execute(_FIRST, {"issue": issue, "status": status}).first() for status in WAITING]
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
