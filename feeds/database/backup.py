"""Copy a whole database into another, of either kind, as it was at one instant: backup, restore, moving to another database.

A backup is an SQLite file with the tables of the program that made it: any SQLite tool opens it, and it can be restored into
either kind of database, or used as it is. Jobs of workers are not in it; they can be derived from its rows.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import sqlalchemy as sa

from ..errors import DatabaseError
from ..private_files import make_private_folder, temporary_beside
from . import engine as database
from .tables import issues, metadata, state

#: Rows that are in memory at a time.
ROWS = 5000
#: What a database that was carried over answers to processes that would still write to it.
MOVED = "this database was carried over to another one, and is kept as it was: see FEEDS_DATABASE_URL"
#: Why an issue of a restored database is paused: it may have been sent after the copy was made.
RESTORED = "restored from a backup: what went out after it was made is not known"

#: Called with the number of rows so far.
Progress = Callable[[int], None]
Counts = dict[str, int]


def back_up(source: sa.Engine, path: Path, progress: Progress | None = None, known_in: Path | None = None) -> Counts:
    """Write a copy to a new file, readable for its owner alone; the service goes on. Returns the rows of each table.

    Raises DatabaseError where the file exists. The file appears under its name only once it is complete. `known_in`: var/, see
    `temporary_beside`.
    """
    if path.exists():
        raise DatabaseError(f"{path}: exists, and a backup overwrites nothing")
    make_private_folder(path.parent)
    with temporary_beside(path, known_in) as draft:
        if source.dialect.name == "sqlite":
            with source.connect() as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (str(draft),))
            with open_engine(f"sqlite:///{draft}", wal=False) as target, database.reading(target) as written:
                found = {table.name: database.count_rows(written, table) for table in metadata.sorted_tables}
        else:
            with open_engine(f"sqlite:///{draft}", create=True, wal=False) as target:
                database.ensure_tables(target)
                with database.reading(source) as rows, database.writing(target) as written:
                    found = copy(rows, written, progress)
        with draft.open("rb") as file:
            os.fsync(file)
        os.link(draft, path)  # unlike a rename, it fails where another process was faster
    return found


def restore(target: sa.Engine, path: Path, progress: Progress | None = None) -> Counts:
    """Replace everything by a backup, in one transaction, while the service runs. Returns the rows of each table.

    Workers see a new generation and read again. Issues that were open are paused. A backup of an older version is brought up to
    date, in a copy. Raises DatabaseError for a file that is not a backup, SchemaError for one of a newer version.
    """
    with _readable(path) as source, database.lock(target, "rescan"), database.reading(source) as rows:
        with database.writing(target, durable=True) as written:
            generation = _generation(written)
            for table in reversed(metadata.sorted_tables):
                written.execute(sa.delete(table))
            found = copy(rows, written, progress)
            newer = str(max(generation, _generation(rows)) + 1)
            written.execute(sa.update(state).where(state.c.name == "generation").values(value=newer))
            unfinished = issues.c.status == "open"
            written.execute(sa.update(issues).where(unfinished).values(status="paused", reason=RESTORED))
        return found


def carry_over(source: sa.Engine, target: sa.Engine, progress: Progress | None = None) -> Counts:
    """Move everything into a database that has no rows yet, and close the source for writing, for good.

    Nothing can be written to the source from the instant that is copied. Raises DatabaseError, and leaves both as they were,
    where the target is in use, or where the copy is not complete; SchemaError where the source is of another version.
    """
    database.check_tables(source)
    database.ensure_tables(target)
    with database.lock(source, "rescan"), database.writing(source, durable=True) as rows:
        if is_closed(rows):
            raise DatabaseError(f"{source.url.database}: {MOVED}")
        with database.writing(target, durable=True) as written:
            if used := [table.name for table in metadata.sorted_tables if database.count_rows(written, table)]:
                raise DatabaseError(f"the new database is in use: there are rows in {', '.join(used)}")
            found = copy(rows, written, progress)
            copied = {table.name: database.count_rows(written, table) for table in metadata.sorted_tables}
            if short := [name for name, number in found.items() if copied[name] != number]:
                raise DatabaseError(f"the copy is not complete: {', '.join(short)}")
        # Processes that still have it open must not take in what would be lost: a subscription, a mark of delivery.
        for table in metadata.sorted_tables:
            for change in ("INSERT", "UPDATE", "DELETE"):
                rows.exec_driver_sql(
                    f"CREATE TRIGGER moved_{table.name}_{change.lower()} BEFORE {change} ON {table.name} "
                    f"BEGIN SELECT RAISE(ABORT, '{MOVED}'); END"
                )
    return found


def is_closed(connection: sa.Connection) -> bool:
    """Return whether this SQLite database was carried over to another."""
    query = sa.text("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'moved\\_%' ESCAPE '\\' LIMIT 1")
    return connection.dialect.name == "sqlite" and connection.execute(query).first() is not None


def summary(counts: Mapping[str, int]) -> str:
    """Return the size of a copy in words.

    >>> summary({"articles": 3, "subscribers": 2, "deliveries": 0})
    '3 articles, 2 subscribers, 0 deliveries'
    """
    return f"{counts['articles']} articles, {counts['subscribers']} subscribers, {counts['deliveries']} deliveries"


def copy(source: sa.Connection, target: sa.Connection, progress: Progress | None = None) -> Counts:
    """Copy all rows of all tables into tables that have none. Returns the rows of each table."""
    found: Counts = {}
    done = 0
    for table in metadata.sorted_tables:
        before = done
        rows = source.execution_options(stream_results=True).execute(sa.select(table))
        for part in rows.partitions(ROWS):
            database.insert_rows(target, table, [tuple(row) for row in part])
            done += len(part)
            if progress:
                progress(done)
        database.continue_keys(source, target, table)
        found[table.name] = done - before
    return found


def _generation(connection: sa.Connection) -> int:
    value = connection.execute(sa.select(state.c.value).where(state.c.name == "generation")).scalar()
    return int(value) if value is not None else 0


@contextlib.contextmanager
def open_engine(url: str, *, create: bool = False, wal: bool = True) -> Iterator[sa.Engine]:
    """Yield an engine, and close all of its connections at the end."""
    engine = database.connect(url, create=create, wal=wal)
    try:
        yield engine
    finally:
        engine.dispose()


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[sa.Engine]:
    """Yield a copy of the backup at this program's version: the backup itself is not touched."""
    if not path.is_file():
        raise DatabaseError(f"{path}: no such file")
    with tempfile.TemporaryDirectory(prefix="feeds-restore-") as folder:
        draft = Path(folder) / "backup.db"
        with open_engine(f"sqlite:///{path}", wal=False) as original:
            try:
                with original.connect() as connection:
                    connection.exec_driver_sql("PRAGMA schema_version")
            except sa.exc.DatabaseError as error:
                raise DatabaseError(f"{path}: no backup: {error.orig}") from None
            with original.connect() as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (str(draft),))
        with open_engine(f"sqlite:///{draft}", wal=False) as engine:
            if not database.version(engine):
                raise DatabaseError(f"{path}: no backup of this service")
            database.migrate(engine)
            yield engine
