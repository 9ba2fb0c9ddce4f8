"""Everything from one database into another, of either kind, as it was at one instant: moving house, backup, restore.

A backup is an SQLite file with the tables of the program that made it, whatever the service keeps its own in: it can be looked
into with any SQLite tool, restored into either database, and used as it is. Jobs of workers are not in it; they say nothing
that rows do not say.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import sqlalchemy as sa

from .. import database
from ..errors import DatabaseError
from .tables import issues, metadata, state

#: Rows that are in memory at a time.
ROWS = 5000
#: A source that was left for good says so to whoever would still write to it.
MOVED = "this database was carried over to another one, and is kept as it was: see FEEDS_DATABASE_URL"
#: Why an issue of a restored database waits: nobody knows what of it went out after the copy was made.
RESTORED = "restored from a backup: what went out after it was made is not known"

#: Hears how many rows there are so far.
Progress = Callable[[int], None]
Counts = dict[str, int]


def back_up(source: sa.Engine, path: Path, progress: Progress | None = None) -> Counts:
    """Write a copy to a new file, for its owner alone; the service goes on. Returns the rows of each table.

    Raises DatabaseError where the file exists. A file that is there is whole: it gets its name when it is.
    """
    if path.exists():
        raise DatabaseError(f"{path}: exists, and a backup overwrites nothing")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _beside(path) as draft:
        if source.dialect.name == "sqlite":
            with source.connect() as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (str(draft),))
            with _open(draft) as target, database.reading(target) as written:
                found = {table.name: _count(written, table) for table in metadata.sorted_tables}
        else:
            with _open(draft) as target:
                database.ensure(target)
                with database.reading(source) as rows, database.writing(target) as written:
                    found = copy(rows, written, progress)
        _settle(draft)
        os.link(draft, path)  # unlike a rename, it refuses where someone was faster
    return found


def restore(target: sa.Engine, path: Path, progress: Progress | None = None) -> Counts:
    """Put back what a backup holds, in place of everything: all or nothing, under a service that runs.

    Workers see a new generation and read anew. Issues that were open wait for the operator. A backup of an older version is
    brought up to date, in a copy. Raises DatabaseError for what is no backup, SchemaError for one of a newer version.
    """
    with _readable(path) as source, database.exclusive(target, "rescan"), database.reading(source) as rows:
        with database.writing(target, durable=True) as written:
            generation = _generation(written)
            for table in reversed(metadata.sorted_tables):
                written.execute(sa.delete(table))
            found = copy(rows, written, progress)
            _renew(written, max(generation, _generation(rows)) + 1)
            unfinished = issues.c.status == "open"
            written.execute(sa.update(issues).where(unfinished).values(status="paused", reason=RESTORED))
        return found


def carry_over(source: sa.Engine, target: sa.Engine, progress: Progress | None = None) -> Counts:
    """Move house: everything into a database that has no rows yet. The source is closed for writing, for good.

    Nothing can be written to the source from the instant that is copied. Raises DatabaseError, and leaves both as they were,
    where the target is in use, or where the copy is not complete; SchemaError where the source is of another version.
    """
    database.ensure(source)
    database.ensure(target)
    with database.exclusive(source, "rescan"), database.writing(source, durable=True) as rows:
        if closed(rows):
            raise DatabaseError(f"{source.url.database}: {MOVED}")
        with database.writing(target, durable=True) as written:
            if used := [table.name for table in metadata.sorted_tables if _count(written, table)]:
                raise DatabaseError(f"the new database is in use: there are rows in {', '.join(used)}")
            found = copy(rows, written, progress)
            if short := [name for name, number in found.items() if _count(written, metadata.tables[name]) != number]:
                raise DatabaseError(f"the copy is not complete: {', '.join(short)}")
        _close(rows)
    return found


# -- rows ----------------------------------------------------------------------


def copy(source: sa.Connection, target: sa.Connection, progress: Progress | None = None) -> Counts:
    """All rows of all tables into tables that have none. Returns how many of each."""
    found: Counts = {}
    for table in metadata.sorted_tables:
        found[table.name] = _copy_table(source, target, table, progress, sum(found.values()))
    return found


def _copy_table(source: sa.Connection, target: sa.Connection, table: sa.Table, progress: Progress | None, before: int) -> int:
    done = 0
    found = source.execution_options(stream_results=True).execute(sa.select(table))
    for part in found.partitions(ROWS):
        database.insert_rows(target, table, [tuple(row) for row in part])
        done += len(part)
        if progress:
            progress(before + done)
    database.count_on(source, target, table)
    return done


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() or 0)


def _generation(connection: sa.Connection) -> int:
    value = connection.execute(sa.select(state.c.value).where(state.c.name == "generation")).scalar()
    return int(value) if value is not None else 0


def _renew(connection: sa.Connection, generation: int) -> None:
    connection.execute(sa.update(state).where(state.c.name == "generation").values(value=str(generation)))


# -- a house that was left -------------------------------------------------------


def closed(connection: sa.Connection) -> bool:
    """Whether this SQLite database was carried over to another."""
    query = sa.text("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'moved\\_%' ESCAPE '\\' LIMIT 1")
    return connection.dialect.name == "sqlite" and connection.execute(query).first() is not None


def _close(connection: sa.Connection) -> None:
    """Processes that still have it open must not take in what would be lost: a subscription, a mark of delivery."""
    for table in metadata.sorted_tables:
        for change in ("INSERT", "UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER moved_{table.name}_{change.lower()} BEFORE {change} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, '{MOVED}'); END"
            )


# -- files -----------------------------------------------------------------------


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A place on the same disk, for its owner alone, where a file may be drafted."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        yield Path(folder) / path.name


def _settle(path: Path) -> None:
    path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sa.Engine]:
    engine = database.connect(f"sqlite:///{path}", wal=False)
    try:
        yield engine
    finally:
        engine.dispose()


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[sa.Engine]:
    """A copy of the backup, at this program's version: the backup itself is not touched."""
    if not path.is_file():
        raise DatabaseError(f"{path}: no such file")
    with tempfile.TemporaryDirectory(prefix="feeds-restore-") as folder:
        copy = Path(folder) / "backup.db"
        with _original(path) as original, original.connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(copy),))
        with _open(copy) as engine:
            if not database.version(engine):
                raise DatabaseError(f"{path}: no backup of this service")
            database.migrate(engine)
            yield engine


@contextlib.contextmanager
def _original(path: Path) -> Iterator[sa.Engine]:
    with _open(path) as engine:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA schema_version")
        except sa.exc.DatabaseError as error:
            raise DatabaseError(f"{path}: no backup: {error.orig}") from None
        yield engine


def told(counts: Mapping[str, int]) -> str:
    """What a copy holds, in a line."""
    return f"{counts['articles']} articles, {counts['subscribers']} subscribers, {counts['deliveries']} deliveries"


def carry_over_from(url: str, target: sa.Engine, progress: Progress | None = None) -> Counts:
    """Carry everything of the database at `url` over into `target`, which has nothing yet; the other one is closed then."""
    source = database.connect(url)
    try:
        return carry_over(source, target, progress)
    finally:
        source.dispose()
