"""Read a backup that nobody vouches for: into a new database of our own making, row by row, in a process with limits.

Nothing of the file runs: no trigger, view, virtual table, generated column, check or default of it. What each column may hold
is what the migrations of this program say for the version that the file names. Time, memory and the bytes that are written
are limited by the size of the file.
"""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import os
import re
import resource
import signal
import sqlite3
import stat
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ..errors import DatabaseError, FeedsError, SchemaError
from . import engine as database
from .tables import metadata

#: Seconds for any file, and bytes for which it gets one second more.
SECONDS, BYTES_A_SECOND = 60.0, 500_000
#: Memory of the process that reads, besides what it has at the start; the longest value; rows in memory at a time.
MEMORY, LONGEST, ROWS = 1 << 30, 64 << 20, 500
#: Bytes that a copy may have: so many, and so many for each of the file. Indexes that an older version had not take room.
COPY_BYTES, COPY_RATIO = 16 << 20, 3
_HEADER = b"SQLite format 3\0"
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: LONGEST,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
_KINDS: dict[str, type] = {"TEXT": str, "BLOB": bytes}


def extract(path: Path, draft: Path, seconds: float | None = None) -> None:
    """Copy the rows of a backup into the empty file `draft`, a database of this version in the end; `path` is only read.

    Raises DatabaseError with what is wrong with the file, SchemaError for one of a newer version.
    """
    size = _examine(path)
    seconds = SECONDS + size / BYTES_A_SECOND if seconds is None else seconds
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_work, args=(path, draft, size, seconds, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(seconds) else (f"it takes more than {seconds:.0f} s to read", False)
    except EOFError:  # killed by a limit
        answer = ("reading it takes more memory or time than it may", False)
    finally:
        child.kill()
        child.join()
        ours.close()
    if answer is not None:
        reason, newer = answer
        raise (SchemaError if newer else DatabaseError)(f"{path}: {reason}")


def _examine(path: Path) -> int:
    """Return the size of a file that looks like a database; raise DatabaseError for anything else, without reading it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DatabaseError(f"{path}: {'no such file' if isinstance(error, FileNotFoundError) else error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DatabaseError(f"{path}: no backup: not a file")
        if os.pread(descriptor, len(_HEADER), 0) != _HEADER:
            raise DatabaseError(f"{path}: no backup: not a database")
    finally:
        os.close(descriptor)
    for beside in (Path(f"{path}-wal"), Path(f"{path}-journal")):
        with contextlib.suppress(OSError):
            if beside.stat().st_size:
                raise DatabaseError(
                    f"{path}: {beside.name} beside it has changes that are not in it: `feeds backup` copies both"
                )
    return min(status.st_size, 4 * 512 * status.st_blocks)  # what a sparse file pretends to have buys it nothing


def _work(path: Path, draft: Path, size: int, seconds: float, answers: Connection) -> None:
    """Extract, in a process of its own, and send None, or what is wrong and whether the file is of a newer version."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        _limit(size, seconds)
        with contextlib.closing(_open(path)) as source:
            _extract(source, draft)
        answers.send(None)
    except FeedsError as error:
        answers.send((str(error), isinstance(error, SchemaError)))
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        fault = str(getattr(error, "orig", error)).splitlines()[0][:200]
        fault = "a text is not UTF-8" if "UTF-8" in fault else fault  # the message quotes it
        answers.send((f"no backup of this service: {fault}", False))
    except (MemoryError, OverflowError, OSError):
        answers.send(("reading it takes more memory or disk than it may", False))


def _limit(size: int, seconds: float) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    for name, limit in (
        (resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + MEMORY),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, COPY_BYTES + COPY_RATIO * size),
    ):
        hard = resource.getrlimit(name)[1]
        resource.setrlimit(name, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    for pragma in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _extract(source: sqlite3.Connection, draft: Path) -> None:
    tables = {name: sql for name, sql in source.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")}
    if not is_plain(source, tables, "alembic_version", ["version_num"]):
        raise DatabaseError("no backup of this service")
    versions = source.execute("SELECT version_num FROM alembic_version LIMIT 2").fetchall()
    found = versions[0][0] if len(versions) == 1 and isinstance(versions[0][0], str) else ""
    if found.isdecimal() and found > database.HEAD:
        raise SchemaError(
            f"the backup is at {found[:40]}, newer than this program ({database.HEAD}): install the newer version"
        )
    if found not in database.versions():
        raise DatabaseError("no backup of this service: it names no version")
    engine = database.connect(draft, wal=False)
    if found == database.HEAD:
        database.make_tables(engine)
    else:
        database.migrate(engine, to=found)
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as target:
        made = {name for (name,) in target.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if later := sorted(tables.keys() & metadata.tables.keys() - made):
            raise DatabaseError(f"no backup of this service: its version, {found}, has no table {later[0]}")
        target.execute("PRAGMA synchronous=OFF")
        target.execute("BEGIN")
        for name in sorted(made):
            if name != "alembic_version" and not name.startswith("sqlite_"):
                target.execute(f'DELETE FROM "{name}"')  # noqa: S608 - a table of ours
                _copy(source, target, name, tables)
        _copy_sequences(source, target, tables)
        if broken := target.execute("PRAGMA foreign_key_check").fetchone():
            raise DatabaseError(f"no backup of this service: {broken[0]}: a row belongs to none of {broken[2]}")
        target.execute("COMMIT")
    if found != database.HEAD:
        database.migrate(engine)
    engine.dispose()


def is_plain(source: sqlite3.Connection, tables: dict[str, str], name: str, columns: Sequence[str]) -> bool:
    """Return whether a table is an ordinary one with all of these columns, none of them computed."""
    if not str(tables.get(name) or "").upper().lstrip().startswith("CREATE TABLE"):
        return False
    hidden = {row[1]: row[6] for row in source.execute(f'PRAGMA table_xinfo("{name}")')}
    return all(hidden.get(column) == 0 for column in columns)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, name: str, tables: dict[str, str]) -> None:
    """Copy a table, whose name is ours, checking each value."""
    columns = [(row[1], row[2].upper()) for row in target.execute(f'PRAGMA table_info("{name}")')]
    if not is_plain(source, tables, name, [column for column, _kind in columns]):
        raise DatabaseError(f"no backup of this service: {name} is not a table with the columns of its version")
    listed, marks = ", ".join(f'"{column}"' for column, _kind in columns), ", ".join("?" * len(columns))
    kinds = [_KINDS.get(kind.partition("(")[0].partition(" ")[0], int) for _column, kind in columns]
    kinds = [str if kind.startswith("VARCHAR") else one for one, (_column, kind) in zip(kinds, columns, strict=True)]
    allowed = [{kind, type(None)} for kind in kinds]  # NULL is what the new table says
    ranges = [_range(name, column) for column, _kind in columns]
    known = _TEXTS.get(name, {})
    texts = [(at, known[column]) for at, (column, _kind) in enumerate(columns) if column in known]
    rows = source.execute(f'SELECT {listed} FROM "{name}"')  # noqa: S608 - names of ours
    while part := rows.fetchmany(ROWS):
        for shape in {tuple(map(type, row)) for row in part}:
            if wrong := [column for (column, _kind), one, fits in zip(columns, shape, allowed, strict=True) if one not in fits]:
                raise DatabaseError(f"no backup of this service: {name}.{wrong[0]} has a value of another type")
        for at, limit in enumerate(ranges):
            if limit and any(row[at] is not None and not -limit <= row[at] < limit for row in part):
                raise DatabaseError(f"no backup of this service: {name}.{columns[at][0]} has a number out of range")
        for at, fits in texts:
            if not all(row[at] is None or fits(row[at]) for row in part):
                raise DatabaseError(
                    f"no backup of this service: {name}.{columns[at][0]} has a text that the service never wrote"
                )
        target.executemany(f'INSERT INTO "{name}" ({listed}) VALUES ({marks})', part)  # noqa: S608 - names of ours


def _is_json(kind: type) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return isinstance(json.loads(text), kind)
        except (ValueError, RecursionError):
            return False

    return check


@functools.cache
def _is_zone(name: str) -> bool:
    try:
        return bool(zoneinfo.ZoneInfo(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _is_keys(text: str) -> bool:
    return re.fullmatch(r"(\d{1,15}(,\d{1,15})*)?", text, re.ASCII) is not None


def _is_address(text: str) -> bool:
    return text.isprintable() and "@" in text and len(text) < 400


#: What texts have to be that the service parses: one that is not would end a digest, or a page, whenever it is made.
_TEXTS: dict[str, dict[str, Callable[[str], bool]]] = {
    "articles": {"names": _is_json(object), "terms": _is_json(object)},
    "subscribers": {"address": _is_address, "mailbox": _is_address, "timezone": _is_zone},
    "cohorts": {"timezone": _is_zone},
    "subscriptions": {"selections": _is_keys},
    "deliveries": {"selections": _is_keys},
    "issues": {"timezone": _is_zone},
    "issue_articles": {"data": _is_json(dict)},
    "issue_sections": {"ranks": _is_keys},
    "requests": {"wanted": lambda text: text in ("", "refused") or _is_json(object)(text)},
    "outbox": {"recipient": _is_address},
}


def _range(table: str, column: str) -> int:
    """Return the limit of a column of 32 bits, which PostgreSQL keeps to; 0 for others."""
    known = metadata.tables.get(table)
    kind = known.columns[column].type if known is not None and column in known.columns else None
    return 1 << 31 if type(kind) is sa.Integer else 0


def _copy_sequences(source: sqlite3.Connection, target: sqlite3.Connection, tables: dict[str, Any]) -> None:
    """Keep the highest keys that were ever given."""
    if not is_plain(source, tables, "sqlite_sequence", ["name", "seq"]):
        return
    for name, last in source.execute("SELECT name, seq FROM sqlite_sequence LIMIT 100").fetchall():
        if name in metadata.tables and isinstance(last, int) and 0 <= last < 1 << 53:
            target.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))


@contextlib.contextmanager
def opened(path: Path, draft: Path) -> Iterator[sa.Engine]:
    """Yield the engine of a copy of the backup at this program's version, in the file `draft`."""
    extract(path, draft)
    engine = database.connect(draft, wal=False)
    try:
        yield engine
    finally:
        engine.dispose()
