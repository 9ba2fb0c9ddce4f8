"""Rows of `deliveries`: claimed, begun, ended, freed. Every change is conditional on what the row says, so the row is the lock.

pending | retry (owner, lease) -> sending -> sent | retry | failed | uncertain. A row that someone cancelled meanwhile stays so.

A row in hand names its owner, `host:pid:start:number`: one run of one process. `host` tells boots and containers apart, `start`
is when the process began, so that a number that the system gives out again is not mistaken for the dead one.
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

from ...database.tables import deliveries, issues
from ...model import Recipient

#: How long (seconds) rows are kept for a process that may be on another machine and does not renew them.
LEASE = 120
#: A process of this machine that lives but has not renewed its rows for so long has lost them.
STALLED = 3600
#: Minutes until the next try; the last one again and again.
DELAYS = (1, 5, 15, 60)
#: So often a message is tried at least, however late its issue is.
MIN_ATTEMPTS = len(DELAYS)


def new_owner() -> str:
    """Return a new name for one run of this process; two runs of one process are two owners."""
    return f"{_host()}:{os.getpid()}:{_process_start(os.getpid())}:{secrets.token_hex(4)}"


def is_alive(owner: str, lease: int, now: int) -> bool:
    """Return whether an owner may still use its rows, whose lease ends at `lease` (UTC seconds).

    On this machine the process table decides, at once; elsewhere the lease.
    """
    host, pid, start, _number = (*owner.split(":"), "", "", "")[:4]
    if host != _host() or not pid.isdecimal():
        return lease > now
    return _process_start(int(pid)) == start and lease + STALLED > now


def _host() -> str:
    """Return the name, the boot and the name space of process numbers: where a process number means the same process."""
    place = ""
    with contextlib.suppress(OSError):
        place = f"{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}.{Path('/proc/self/ns/pid').stat().st_ino}"
    return f"{platform.node()}.{place}".replace(":", "_")


def _process_start(pid: int) -> str:
    """Return when a process began, in the system's own ticks; "" where it does not run, or only as a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        try:  # a system without /proc
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except OSError:
            pass
        return "0"
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return "" if fields[0] in "ZX" else fields[19]


@dataclass(slots=True, eq=False)
class DeliveryRow:
    """A delivery in hand, to an address of `domain`. `deadline` (UTC seconds) is when its issue's messages are given up."""

    issue: int
    recipient: Recipient
    domain: str
    attempts: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a row becomes; `next_at` (UTC seconds) is the time of its next try."""

    row: DeliveryRow
    status: str
    reply: str = ""
    next_at: int = 0


def put_off(row: DeliveryRow, reply: str, now: int) -> Result:
    """Return a retry after the next of DELAYS, or a failure where that would be too late."""
    next_at = now + 60 * DELAYS[min(row.attempts, len(DELAYS) - 1)]
    if next_at > row.deadline and row.attempts + 1 >= MIN_ATTEMPTS:
        return Result(row, "failed", f"given up after {row.attempts + 1} tries: {reply}"[:500])
    return Result(row, "retry", reply, next_at)


def select_open(
    connection: sa.Connection, columns: str, condition: str, values: dict[str, Any], join: str = ""
) -> Sequence[Any]:
    """Return rows (alias d) of the issue `values["issue"]` that are open or uncertain and meet a condition, by their index.

    SQLite would rather read the whole issue and has to be told; it takes a partial index only where its condition is repeated.
    """
    hint = "INDEXED BY ix_deliveries_open" if connection.dialect.name == "sqlite" else ""
    text = f"""SELECT {columns} FROM deliveries AS d {hint} {join} WHERE d.issue = :issue
        AND d.status IN ('pending', 'retry', 'sending', 'uncertain') AND {condition}"""  # noqa: S608 - all of it is ours
    return connection.execute(sa.text(text), values).all()


def claim(
    connection: sa.Connection, issue: int, deadline: int, *, owner: str, now: int, limit: int
) -> tuple[list[DeliveryRow], int]:
    """Reserve up to `limit` rows that are due and in no process's hands; return them, and how many were cancelled instead.

    Those of subscribers who are no longer active are cancelled. An empty list and 0: nothing is free.
    """
    columns = "d.subscriber, d.reach, d.selections, d.attempts, s.status AS state"
    columns += ", s.address, s.language, s.timezone, s.version, s.changed"
    join = 'LEFT JOIN subscribers AS s ON s."key" = d.subscriber'
    due = "d.status IN ('pending', 'retry') AND d.next_at <= :now AND d.owner = '' LIMIT :limit"
    lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE OF d SKIP LOCKED"
    found = select_open(connection, columns, due + lock, {"issue": issue, "now": now, "limit": limit}, join)
    gone = [row.subscriber for row in found if row.state != "active"]
    rows = []
    for row in found:
        if row.state == "active":
            selections = tuple(map(int, row.selections.split(","))) if row.selections else ()
            reader = Recipient(
                row.subscriber, row.address, row.language, row.timezone, row.version, row.reach, selections, row.changed or 0
            )
            rows.append(DeliveryRow(issue, reader, row.address.rpartition("@")[2].lower(), row.attempts, deadline))
    for keys, values in (
        (gone, {"status": "cancelled", "updated": now, "reply": "no longer subscribed"}),
        ([row.recipient.subscriber for row in rows], {"owner": owner, "lease": now + LEASE}),
    ):
        if keys:
            d = deliveries.c
            connection.execute(sa.update(deliveries).where(d.issue == issue, d.subscriber.in_(keys)).values(**values))
    return rows, len(gone)


#: The two statements of every message, straight to the driver: SQLAlchemy's part would cost more than all the rest of a group.
#: An uncertain row: another process took us for dead, and we know better.
_END = """UPDATE deliveries SET status = ?, attempts = ?, next_at = ?, reply = ?, updated = ?, owner = '', lease = 0
    WHERE issue = ? AND subscriber = ?
    AND ((owner = ? AND status IN ('pending', 'retry', 'sending')) OR status = 'uncertain')"""
#: One that is being sent already, by this very owner, was recorded just before the database went away without saying so.
_BEGIN = """UPDATE deliveries SET status = 'sending', updated = ?, lease = ?
    WHERE issue = ? AND owner = ? AND status IN ('pending', 'retry', 'sending')
    AND EXISTS (SELECT 1 FROM subscribers AS s WHERE s."key" = deliveries.subscriber AND s.status = 'active')
    AND EXISTS (SELECT 1 FROM issues AS i WHERE i."key" = ? AND i.status = 'open')
    AND subscriber IN ({}) RETURNING subscriber"""


def end(connection: sa.Connection, results: Sequence[Result], *, owner: str, now: int) -> None:
    """Record what became of rows that this owner has in hand."""
    if results:
        values = [
            (one.status, one.row.attempts + 1, one.next_at, one.reply, now, one.row.issue, one.row.recipient.subscriber, owner)
            for one in results
        ]
        statement = _END if connection.dialect.paramstyle == "qmark" else _END.replace("?", "%s")
        connection.exec_driver_sql(statement, values)


def begin(connection: sa.Connection, rows: Sequence[DeliveryRow], *, owner: str, now: int) -> set[tuple[int, int]]:
    """Record that rows are about to be handed over; return (issue, subscriber) of those that may be.

    A row that is not ours any more, a subscriber who left, an issue that is not open: these may not, and are free again.
    """
    granted: set[tuple[int, int]] = set()
    for issue in {row.issue for row in rows}:
        keys = [row.recipient.subscriber for row in rows if row.issue == issue]
        statement = _BEGIN.format(", ".join("?" * len(keys)))
        statement = statement if connection.dialect.paramstyle == "qmark" else statement.replace("?", "%s")
        values = (now, now + LEASE, issue, owner, issue, *keys)
        granted |= {(issue, subscriber) for (subscriber,) in connection.exec_driver_sql(statement, values)}
    release(connection, [row for row in rows if (row.issue, row.recipient.subscriber) not in granted], owner)
    return granted


_OWNED = sa.update(deliveries).where(
    deliveries.c.issue == sa.bindparam("of_issue"),
    deliveries.c.subscriber == sa.bindparam("of_subscriber"),
    deliveries.c.owner == sa.bindparam("by"),
)


def release(connection: sa.Connection, rows: Iterable[DeliveryRow], owner: str) -> None:
    """Free rows that were reserved and not begun, for any process."""
    keys = [{"of_issue": row.issue, "of_subscriber": row.recipient.subscriber, "by": owner} for row in rows]
    if keys:
        freed = _OWNED.where(sa.text("status IN ('pending', 'retry')")).values(owner="", lease=0)
        connection.execute(freed, keys)


def renew(connection: sa.Connection, rows: Iterable[DeliveryRow], owner: str, now: int) -> None:
    """Extend the lease of rows that this owner has in hand."""
    keys = [{"of_issue": row.issue, "of_subscriber": row.recipient.subscriber, "by": owner} for row in rows]
    if keys:
        connection.execute(_OWNED.values(lease=now + LEASE), keys)


def reap(connection: sa.Connection, now: int, *, resend: bool = False, reserved: bool = True) -> int:
    """Free rows of dead owners: those being sent become uncertain (`resend`: pending), the reserved ones are free again.

    `reserved` False leaves those for later: finding them reads every row that waits. Returns how many were being sent.
    """
    statuses = "('sending', 'pending', 'retry')" if reserved else "('sending')"
    condition, number, d = f"d.status IN {statuses} AND d.owner <> ''", 0, deliveries.c
    for issue in connection.execute(sa.select(issues.c.key).where(issues.c.status != "done")).scalars().all():
        owned = select_open(connection, "d.subscriber, d.status, d.owner, d.lease", condition, {"issue": issue})
        leases: dict[str, int] = {}
        for row in owned:
            leases[row.owner] = max(row.lease, leases.get(row.owner, 0))
        dead = {owner for owner, lease in leases.items() if not is_alive(owner, lease, now)}
        lost = [row for row in owned if row.owner in dead]
        begun = [row for row in lost if row.status == "sending"]
        values = {"status": "pending" if resend else "uncertain", "updated": now, "reply": "the sender died while sending it"}
        for rows, changes in (([row for row in lost if row.status != "sending"], {}), (begun, values)):
            if rows:  # each only while it is as it was read
                keys = [{"s": row.subscriber, "by": row.owner, "was": row.status} for row in rows]
                freed = sa.update(deliveries).where(d.issue == issue, d.subscriber == sa.bindparam("s"))
                freed = freed.where(d.owner == sa.bindparam("by"), d.status == sa.bindparam("was"))
                connection.execute(freed.values({"owner": "", "lease": 0, **changes}), keys)
        number += len(begun)
    return number
