"""Open deliveries -> transport: claim, compose, note, hand over, note. Crash-safe without asking anyone.

A row is noted as being sent before its message is handed over, what became of it before the same connection begins the next:
a kill leaves at most one row a connection in doubt, and `rows.reap` finds those. All notes are on disk before anyone goes on
(`database.writing(durable=True)`, SQLite's synchronous=FULL), so a power cut forgets none. As `desk` commits them in groups,
that costs less than the measurement's noise on a disk that syncs in 0.2 ms (`benchmarks/sending.py`); a disk that takes 10 ms
allows 100 groups a second, of as many messages as there are connections.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from threading import Event

import sqlalchemy as sa

from .. import database
from ..config import Config
from ..model import Message, Outcome
from . import owners, rows, transports
from .desk import Composer, Desk, HardFailure, PressOf, Tally
from .parcels import Transport, TransportError

__all__ = [
    "Composer",
    "HardFailure",
    "PressOf",
    "Tally",
    "deliver",
    "free",
    "has_work",
    "has_work_of",
    "open_issues",
    "reap",
    "send_one",
]

#: More than the deliveries of any issue.
_MANY = 1 << 31


def deliver(
    engine: sa.Engine,
    *,
    config: Config,
    transport: Transport,
    press_of: PressOf,
    now: Callable[[], float],
    stop: Event | None = None,
    progress: Callable[[int], None] | None = None,
    on_hard_failure: HardFailure | None = None,
    owner: str = "",
    only: int | None = None,
    limit: int | None = None,
) -> Tally:
    """Send whatever is open and due; return when nothing is left that is due `now` (UTC seconds), or after `stop`.

    `only` and `limit`: messages of one issue, about so many.

    Several processes may do this at once. `press_of` gives the composer of an issue; `progress` hears how many deliveries are
    done. What a server or a message does wrong is noted in rows and in the tally and never raised; what the database does wrong
    is raised.
    """
    me = owner or owners.me()
    return asyncio.run(
        _deliver(
            transport,
            lambda: Desk(engine, config, press_of, now, stop or Event(), progress, on_hard_failure, me, only, limit),
        )
    )


async def _deliver(transport: Transport, make: Callable[[], Desk]) -> Tally:
    desk = make()
    desk.open()
    tasks = {asyncio.create_task(_carry(transport, desk)), asyncio.create_task(desk.watch())}
    try:
        done, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _close(desk)
    return desk.tally


def _close(desk: Desk) -> None:
    """What broke the desk says more than that it cannot be closed either; its rows are those of a dead sender then."""
    if desk.failure is None:
        desk.close()
        return
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        desk.close()


async def _carry(transport: Transport, desk: Desk) -> None:
    try:
        await transport.run(desk)
    except TransportError as error:
        desk.give_up(str(error))
    await desk.settled()


def has_work(connection: sa.Connection, now: int) -> bool:
    """Whether `deliver` would find anything: rows that are due, rows of a sender that may be dead, an issue to close."""
    return any(rows.has_work(connection, issue.key, now) for issue in rows.due_issues(connection))


def open_issues(connection: sa.Connection) -> list[int]:
    """Keys, the oldest first."""
    return [issue.key for issue in rows.due_issues(connection)]


def has_work_of(connection: sa.Connection, issue: int, now: int) -> bool:
    """As `has_work`, of one issue."""
    return rows.has_work(connection, issue, now)


def free(connection: sa.Connection, issue: int, now: int) -> int:
    """How many messages are due and in nobody's hands."""
    return rows.free(connection, issue, now, _MANY)


def reap(engine: sa.Engine, config: Config, now: int) -> int:
    """Rows that dead senders left behind, put right at once: for whoever wants to see the truth without sending."""
    with database.writing(engine, durable=True, together=True) as connection:
        return rows.reap(connection, now, resend=config.newsletter.on_uncertain == "resend", reserved=False)


def send_one(config: Config, transport: Transport, message: Message) -> Outcome:
    """Send it now, outside of every issue and count: a test message."""
    return transports.carry(transport, [message])[0]
