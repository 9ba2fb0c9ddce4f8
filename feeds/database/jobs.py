"""The queue of jobs for workers on other machines: enqueued in the caller's transaction, done by `feeds worker`.

Invariant: a job only says where to look. What is to be sent, and what was, lies in rows of our own; a job that is lost, doubled
or repeated does no harm. The engine is Procrastinate (https://procrastinate.readthedocs.io), whose tables lie beside ours in
PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import DatabaseError
from . import engine as database
from .tables import state

if TYPE_CHECKING:
    from procrastinate import App

#: Seconds between two heartbeats of a worker, and without one after which its jobs are given to others.
HEARTBEAT, STALLED = 5.0, 20.0
#: Under this name in `state`: the last of Procrastinate's own migrations that this database has seen.
_SCHEMA = "procrastinate"


@dataclass(frozen=True, slots=True)
class Job:
    """`task` is the name of a task of `feeds.worker`, and its queue; the job begins no sooner than `at` (UTC seconds)."""

    task: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    at: int = 0


def enqueue(connection: sa.Connection, jobs: Sequence[Job]) -> None:
    """Enqueue jobs; workers see them when, and only if, the caller's transaction is committed."""
    if not jobs:
        return
    try:
        from procrastinate import App, SyncPsycopgConnector
        from procrastinate.jobs import Job as Row
    except ModuleNotFoundError:
        raise DatabaseError("`workers: true` needs Procrastinate: pip install 'feeds[scale]'") from None
    rows = [
        Row(
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
    manager = App(connector=SyncPsycopgConnector()).job_manager  # it opens no connection of its own
    for part in database.chunks(rows, 2000):
        manager.batch_defer_jobs(part, connection=connection.connection.driver_connection)


def is_queued(connection: sa.Connection, task: str, **arguments: Any) -> bool:
    """Return whether such a job waits or runs."""
    query = sa.text("""SELECT 1 FROM procrastinate_jobs
        WHERE status IN ('todo', 'doing') AND task_name = :task AND args @> CAST(:arguments AS jsonb) LIMIT 1""")
    return connection.execute(query, {"task": task, "arguments": json.dumps(arguments)}).first() is not None


def counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many jobs wait (`todo`), run (`doing`), were given up (`failed`); {} without Procrastinate's tables."""
    if connection.dialect.name != "postgresql" or not is_prepared(connection):
        return {}
    query = sa.text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
    found = {status: int(number) for status, number in connection.execute(query)}
    return {status: found.get(status, 0) for status in ("todo", "doing", "failed")}


def workers(connection: sa.Connection) -> int:
    """Return how many workers have a recent heartbeat."""
    query = sa.text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :seconds)")
    return int(connection.execute(query, {"seconds": STALLED}).scalar() or 0)


def is_prepared(connection: sa.Connection) -> bool:
    """Return whether Procrastinate's tables exist."""
    return connection.execute(sa.text("SELECT to_regclass('procrastinate_jobs')")).scalar() is not None


def prepare(engine: sa.Engine) -> None:
    """Make Procrastinate's tables, or bring them up to date. Idempotent. Raises DatabaseError for SQLite."""
    if not database.is_postgresql(engine):
        raise DatabaseError("`workers: true` in site.yaml needs PostgreSQL: set FEEDS_DATABASE_URL, see docs/scaling.md")
    from procrastinate.schema import SchemaManager

    with database.lock(engine, "migrate"), database.writing(engine) as connection:
        steps = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
        known = connection.execute(sa.select(state.c.value).where(state.c.name == _SCHEMA)).scalar()
        if not is_prepared(connection):
            scripts = [SchemaManager.get_schema()]
        else:
            scripts = [path.read_text("utf-8") for path in steps if known is not None and path.name > known]
        # By the driver, as they are scripts of many statements: SQLAlchemy would take their `:` and `%` for parameters.
        with contextlib.closing(connection.connection.cursor()) as cursor:
            for script in scripts:
                cursor.execute(script)
        if known != steps[-1].name:
            connection.execute(sa.delete(state).where(state.c.name == _SCHEMA))
            connection.execute(sa.insert(state).values(name=_SCHEMA, value=steps[-1].name))


def rescue(engine: sa.Engine) -> int:
    """Put jobs of dead workers back into the queue, and forget these workers. Returns how many jobs. Idempotent.

    Procrastinate leaves this to its users (https://procrastinate.readthedocs.io/en/stable/howto/production/retry_stalled_jobs.html).
    """

    async def retry_stalled() -> int:
        async with app(database.conninfo(engine)).open_async() as opened:
            manager = opened.job_manager
            jobs = list(await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED))
            for job in jobs:
                await manager.retry_job(job)
            await manager.prune_stalled_workers(seconds_since_heartbeat=STALLED)
            return len(jobs)

    return asyncio.run(retry_stalled())


def app(conninfo: str, connections: int = 2) -> App:
    """Return the application that runs jobs; its connections are opened when it is opened."""
    from procrastinate import App, PsycopgConnector

    return App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, max_size=connections))
