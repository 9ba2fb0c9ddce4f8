"""Work for other machines: written down in the caller's transaction, done by `feeds worker`. Law: a job only says "look there".

What is to be sent, and what was, is in rows of our own; a job lost, doubled or run again does no harm. The engine is
Procrastinate (https://procrastinate.readthedocs.io), whose tables lie beside ours in PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import database
from ..errors import DatabaseError
from . import tables

if TYPE_CHECKING:
    from procrastinate import App

#: Seconds between two signs of life of a worker, and after how many without one its jobs are given to others.
HEARTBEAT, STALLED = 5.0, 20.0
#: Under this name in `state`: the last of Procrastinate's own migrations that this database has seen.
_SCHEMA = "procrastinate"
_MANY = 2000


@dataclass(frozen=True, slots=True)
class Job:
    """`task` is a name that `tasks` knows, and the queue it waits in; it begins no sooner than `at` (UTC seconds)."""

    task: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    at: int = 0


def enqueue(connection: sa.Connection, jobs: Sequence[Job]) -> None:
    """They can be seen when, and only if, the caller's transaction is committed."""
    from procrastinate.jobs import Job as Written

    if not jobs:
        return
    written = [
        Written(
            id=None,
            queue=job.task,
            lock=None,
            queueing_lock=None,
            task_name=job.task,
            task_kwargs=dict(job.arguments),
            scheduled_at=datetime.fromtimestamp(job.at, UTC) if job.at else None,
        )
        for job in jobs
    ]
    manager, raw = _app().job_manager, connection.connection.driver_connection
    for start in range(0, len(written), _MANY):
        manager.batch_defer_jobs(written[start : start + _MANY], connection=raw)


def under_way(connection: sa.Connection, task: str, **arguments: Any) -> bool:
    """Whether such a job waits or runs."""
    query = sa.text("""SELECT 1 FROM procrastinate_jobs
        WHERE status IN ('todo', 'doing') AND task_name = :task AND args @> CAST(:arguments AS jsonb) LIMIT 1""")
    return connection.execute(query, {"task": task, "arguments": json.dumps(arguments)}).first() is not None


def counts(connection: sa.Connection) -> dict[str, int]:
    """Jobs that wait (`todo`), run (`doing`), were given up (`failed`); empty where there are no tables of Procrastinate's."""
    if connection.dialect.name != "postgresql" or not is_prepared(connection):
        return {}
    query = sa.text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
    found = {status: int(number) for status, number in connection.execute(query)}
    return {status: found.get(status, 0) for status in ("todo", "doing", "failed")}


def workers(connection: sa.Connection) -> int:
    """Workers that have given a sign of life of late."""
    query = sa.text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :seconds)")
    return int(connection.execute(query, {"seconds": STALLED}).scalar() or 0)


def is_prepared(connection: sa.Connection) -> bool:
    return connection.execute(sa.text("SELECT to_regclass('procrastinate_jobs')")).scalar() is not None


# -- tables --------------------------------------------------------------------


def prepare(engine: sa.Engine) -> None:
    """Make Procrastinate's tables, or bring them up to date. Idempotent. Raises DatabaseError where that cannot be."""
    if not database.is_postgresql(engine):
        raise DatabaseError("`workers: true` in site.yaml needs PostgreSQL: set FEEDS_DATABASE_URL, see docs/scaling.md")
    from procrastinate.schema import SchemaManager

    with database.exclusive(engine, "migrate"), database.writing(engine) as connection:
        steps = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
        known = connection.execute(sa.select(tables.state.c.value).where(tables.state.c.name == _SCHEMA)).scalar()
        if not is_prepared(connection):
            _run(connection, [SchemaManager.get_schema()])
        elif known is not None:
            _run(connection, [path.read_text("utf-8") for path in steps if path.name > known])
        if known != steps[-1].name:
            connection.execute(sa.delete(tables.state).where(tables.state.c.name == _SCHEMA))
            connection.execute(sa.insert(tables.state).values(name=_SCHEMA, value=steps[-1].name))


def _run(connection: sa.Connection, scripts: Iterable[str]) -> None:
    """Scripts of many statements, for the driver: SQLAlchemy would take their `:` and `%` for parameters."""
    cursor = connection.connection.cursor()
    try:
        for script in scripts:
            cursor.execute(script)
    finally:
        cursor.close()


# -- after the dead ------------------------------------------------------------


def rescue(engine: sa.Engine) -> int:
    """Jobs of workers that give no sign of life wait again; such workers are forgotten. Returns how many jobs. Idempotent.

    Procrastinate leaves this to its users (https://procrastinate.readthedocs.io/en/stable/howto/production/retry_stalled_jobs.html).
    """
    return asyncio.run(_rescue(database.conninfo(engine)))


async def _rescue(conninfo: str) -> int:
    async with app(conninfo).open_async() as opened:
        manager = opened.job_manager
        jobs = list(await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED))
        for job in jobs:
            await manager.retry_job(job)
        await manager.prune_stalled_workers(seconds_since_heartbeat=STALLED)
        return len(jobs)


def app(conninfo: str, connections: int = 2) -> App:
    """For who runs jobs; opens its connections when it is opened."""
    from procrastinate import App, PsycopgConnector

    return App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, max_size=connections))


def _app() -> App:
    """For writing down only: it opens no connection of its own."""
    try:
        from procrastinate import App, SyncPsycopgConnector
    except ModuleNotFoundError:
        raise DatabaseError("`workers: true` needs Procrastinate: pip install 'feeds[scale]'") from None
    return App(connector=SyncPsycopgConnector())
