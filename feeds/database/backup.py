"""Copy a whole database into another, of either kind, as it was at one instant: backup, and moving to another database.

A backup is an SQLite file with the tables of the program that made it: any SQLite tool opens it, and it can be restored into
either kind of database, or used as it is. Jobs of workers are not in it; they can be derived from its rows.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from ..errors import DatabaseError, DatabaseFault
from ..private_files import make_private_folder, open_private, replace_file, temporary_beside
from . import engine as database
from .tables import metadata

#: Rows that are in memory at a time.
ROWS = 5000
#: What a database that was carried over answers to processes that would still write to it.
MOVED = "this database was carried over to another one, and is kept as it was: see FEEDS_DATABASE_URL"

_DATED = re.compile(r"feeds-\d{4}-\d\d-\d\dT\d{6}Z\.db")
#: What a damaged database answers that a restored one has replaced.
REPLACED = "this database was damaged, and a restored one is in its place"
#: Why an issue of a restored database is paused.
RESTORED = "restored from a backup: what went out after it was made is not known"

#: Called with the number of rows so far.
Progress = Callable[[int], None]
Counts = dict[str, int]


def back_up(source: sa.Engine, path: Path, progress: Progress | None = None, known_in: Path | None = None) -> Counts:
    """Write a copy to a new file, readable for its owner alone; the service goes on. Returns the rows of each table.

    Raises DatabaseError where the file exists, or the copy cannot be read back. The file appears under its name only once it
    is complete. `known_in`: var/, see `temporary_beside`.
    """
    if os.path.lexists(path):
        raise DatabaseError(f"{path}: exists, and a backup overwrites nothing")
    make_private_folder(path.parent)
    with temporary_beside(path, known_in) as draft, open_engine(draft, wal=False) as target:
        if source.dialect.name == "sqlite":
            with source.connect() as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (str(draft),))
            with database.reading(target) as written:
                found = {table.name: database.count_rows(written, table) for table in metadata.sorted_tables}
        else:
            database.make_tables(target)
            with database.reading(source) as rows, database.writing(target) as written:
                found = copy(rows, written, progress)
        with target.connect() as connection:
            if (answer := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
                raise DatabaseFault(f"{path}: the copy is damaged, and so is the database it was made of: {answer}")
        target.dispose()
        with draft.open("rb") as file:
            os.fsync(file)
        _publish(draft, path)
    return found


def dated_path(folder: Path, now: int) -> Path:
    """Return where a copy of `now` (UTC seconds) goes in a folder of copies; names sort by time.

    >>> dated_path(Path("/backup"), 0).name
    'feeds-1970-01-01T000000Z.db'
    """
    return folder / f"feeds-{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H%M%SZ}.db"


def delete_older(folder: Path, keep: int) -> list[Path]:
    """Delete all copies in a folder that `dated_path` named, but the newest `keep`; return those that went."""
    copies = sorted(path for path in folder.iterdir() if _DATED.fullmatch(path.name))
    for path in copies[:-keep]:
        path.unlink(missing_ok=True)
    return copies[:-keep]


def _publish(draft: Path, path: Path) -> None:
    """Give a complete file its name, which nobody else may have taken meanwhile."""
    try:
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            os.close(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        replace_file(draft, path)
    except FileExistsError:
        raise DatabaseError(f"{path}: exists, and a backup overwrites nothing") from None


def carry_over(
    source: sa.Engine,
    target: sa.Engine,
    progress: Progress | None = None,
    settle: Callable[[sa.Connection], object] | None = None,
) -> Counts:
    """Move everything into a database that has no rows yet, and close the source for writing, for good.

    `settle` brings the copy up to what happened since, should the source be an older one: see `restore.Settled`. Nothing can be
    written to the source from the instant that is copied. Raises DatabaseError, and leaves both as they were, where the target
    is in use, or where the copy is not complete; SchemaError where the source is of another version.
    """
    check_source(source, target)
    database.ensure_tables(target)
    with database.lock(source, "rescan"), database.writing(source, durable=True) as rows:
        if is_closed(rows):
            raise DatabaseError(f"{database.place(source)}: {MOVED}")
        with database.writing(target, durable=True) as written:
            if used := [table.name for table in metadata.sorted_tables if database.count_rows(written, table)]:
                raise DatabaseError(f"the new database is in use: there are rows in {', '.join(used)}")
            found = copy(rows, written, progress)
            copied = {table.name: database.count_rows(written, table) for table in metadata.sorted_tables}
            if short := [name for name, number in found.items() if copied[name] != number]:
                raise DatabaseError(f"the copy is not complete: {', '.join(short)}")
            if settle is not None:
                settle(written)
        close(rows)
    return found


def check_source(source: sa.Engine, target: sa.Engine) -> None:
    """Raise DatabaseError, and SchemaError, where nothing can be carried over from `source`; `target` need not exist yet."""
    if database.place(source) == database.place(target):
        raise DatabaseError(f"{database.place(source)}: it cannot be carried over into itself")
    database.check_tables(source)
    with database.reading(source) as rows:
        if is_closed(rows):
            raise DatabaseError(f"{database.place(source)}: {MOVED}")


def close(connection: sa.Connection, words: str = MOVED) -> None:
    """Refuse all changes of this database from now on: a process that has it open must not take in what would be lost."""
    if connection.dialect.name == "postgresql":
        body = f"BEGIN RAISE EXCEPTION '{words}'; END"
        connection.exec_driver_sql(f"CREATE OR REPLACE FUNCTION feeds_moved() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
    for table in metadata.sorted_tables:
        for change in ("INSERT", "UPDATE", "DELETE"):
            trigger = f"CREATE TRIGGER moved_{table.name}_{change.lower()} BEFORE {change} ON {table.name}"
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"{trigger} FOR EACH STATEMENT EXECUTE FUNCTION feeds_moved()")
            else:
                connection.exec_driver_sql(f"{trigger} BEGIN SELECT RAISE(ABORT, '{words}'); END")


def is_closed(connection: sa.Connection) -> bool:
    """Return whether this database was carried over to another."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'moved\\_%' ESCAPE '\\' LIMIT 1"
    if connection.dialect.name == "postgresql":
        query = "SELECT 1 FROM pg_proc WHERE proname = 'feeds_moved' AND pronamespace = current_schema()::regnamespace"
    return connection.execute(sa.text(query)).first() is not None


def summary(counts: Mapping[str, int]) -> str:
    """Return the size of a copy in words.

    >>> summary({"articles": 3, "subscribers": 2, "deliveries": 0})
    '3 articles, 2 subscribers, 0 deliveries'
    """
    return f"{counts['articles']} articles, {counts['subscribers']} subscribers, {counts['deliveries']} deliveries"


def copy(
    source: sa.Connection,
    target: sa.Connection,
    progress: Progress | None = None,
    tables: Sequence[sa.Table] = metadata.sorted_tables,
) -> Counts:
    """Copy all rows of tables into tables that have none. Returns the rows of each table."""
    found: Counts = {}
    done = 0
    for table in tables:
        before = done
        rows = source.execute(sa.select(table), execution_options={"stream_results": True})
        for part in rows.partitions(ROWS):
            database.insert_rows(target, table, [tuple(row) for row in part])
            done += len(part)
            if progress:
                progress(done)
        database.continue_keys(source, target, table)
        found[table.name] = done - before
    return found


@contextlib.contextmanager
def open_engine(url: str | Path, *, create: bool = False, wal: bool = True) -> Iterator[sa.Engine]:
    """Yield an engine, and close all of its connections at the end."""
    engine = database.connect(url, create=create, wal=wal)
    try:
        yield engine
    finally:
        engine.dispose()
