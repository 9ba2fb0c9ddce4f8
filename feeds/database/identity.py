"""Recognise a site's own database: gone, swapped, older, another site's and damaged ones are reported in words, without paths.

A site has a random id, in the table `state` and in `site-id` in var/ (see `Record`), where the clock also notes how far the
database has come: the generation of the catalog, and a sequence that every change raises. SQLite has both in the header of its
file, too (application_id, user_version), which is read without the write-ahead log: a file that was copied over the database is
seen though open connections still see the one before. A damaged one is noted in `database-fault`, beside `site-id`.

A file is never opened here but by SQLite itself: closing it would drop all locks of this process
(https://sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from .. import private_files
from ..errors import DatabaseFault
from . import backup
from . import engine as database
from .tables import metadata, state

#: Names of the files, in the site's var/.
RECORD, DAMAGE = "site-id", "database-fault"
#: Seconds between two looks at the database, and between a first sign of a fault and its confirmation.
LOOK_SECONDS, CONFIRM_SECONDS = 1.0, 0.05
#: Seconds between two checks of all pages, seconds that one may take, and how many times as long the next one waits.
CHECK_SECONDS, CHECK_AT_MOST, CHECK_SHARE = 86400.0, 30.0, 50
#: Seconds that one may take during a request that came upon damage.
CHECK_AT_USE = 3.0
#: What an operator can do, for a log or a command.
ADVICE = (
    "bring the right one back, or `feeds restore` a backup; to go on with what is there, remove var/site-id and start again"
)
REPAIR = "`feeds restore` a backup, or have it repaired by its own tools"
#: How far the sequence of a restored database is ahead of the last one that was noted: others may have seen later ones.
AHEAD = 1_000_000
_ROWS = ("site_id", "generation", "sequence")
#: PostgreSQL's error codes of damage: data, index, and input or output.
_DAMAGE_CODES = ("XX001", "XX002", "58030")
_DAMAGE_WORDS = ("malformed", "not a database", "disk i/o error", "is encrypted")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a database is not to be trusted, in words; "" for no fault.

    `readable`: what it holds may still be served, but for damaged `tables`.
    """

    words: str = ""
    readable: bool = False
    advice: str = ADVICE
    tables: tuple[str, ...] = ()


DAMAGED = Fault("the database is damaged", readable=True, advice=REPAIR)

MOVED = Fault("the database was carried over to another one", readable=True, advice="set FEEDS_DATABASE_URL to the new one")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a database says of itself: the id of its site, the generation of its catalog, the number of its last change."""

    id: str = ""
    generation: int = -1
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Record(Mark):
    """The file `site-id`: the last mark that was seen, a hash of the address of the database, the sequence in its header."""

    address: str = ""
    header: int | None = None


def is_before(sequence: int, other: int) -> bool:
    """Return whether a sequence is older. It has 32 bits and wraps around (RFC 1982).

    >>> is_before(1, 2), is_before(2, 2), is_before(2**31 - 1, -(2**31))
    (True, False, True)
    """
    return (other - sequence) % 2**32 in range(1, 2**31)


def compare(known: Mark, found: Mark) -> Fault:
    """Return what is wrong with a database that says `found` where `known` was seen before.

    >>> compare(Mark("a", 5, 9), Mark("a", 5, 8)).words
    "the database is an older copy of this site's"
    >>> compare(Mark("a", 5, 9), Mark("a", 6, 1)).words
    ''
    """
    if found.id != known.id:
        return Fault("the database is another site's" if found.id else "the database has lost the id of this site")
    older = found.generation == known.generation and is_before(found.sequence, known.sequence)
    if found.generation < known.generation or older:
        return Fault("the database is an older copy of this site's")
    return Fault()


def newest(one: Mark, other: Mark) -> Mark:
    """Return which of two marks of the same site was made later."""
    return other if compare(other, one).words else one


def describe(error: BaseException) -> Fault:
    """Return what an error says about the database itself: damage; no fault for all other errors."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlstate", None)
    text = str(original).casefold()
    if code == "42P01" or "no such table" in text:
        return Fault("the database has lost a table", readable=True, advice=REPAIR)
    if isinstance(original, sqlite3.Error) and "unable to open" in text:
        return Fault("the database file cannot be opened")
    if code == "3D000" or (code is None and 'database "' in text and "does not exist" in text):
        return Fault("the server has no such database")
    if code in _DAMAGE_CODES or (isinstance(original, sqlite3.Error) and any(words in text for words in _DAMAGE_WORDS)):
        return DAMAGED
    return Fault()


def tag(id: str) -> int:
    """Return the number that stands for a site in the header of its SQLite file; never 0."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:4], "big") >> 1 | 1


def address(engine: sa.Engine) -> str:
    """Return a hash of where the database is, without its password."""
    return hashlib.sha256(database.place(engine).encode()).hexdigest()[:16]


def read_record(folder: Path) -> Record | None:
    """Return the record in `folder`, the site's var/; None without one, or where it cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Record(**json.loads((folder / RECORD).read_text("utf-8")))
    return None


def write_record(folder: Path, record: Record) -> None:
    """Replace the record. An unwritable folder is no fault of the database: nothing is written then."""
    with contextlib.suppress(OSError):
        private_files.write_private(folder / RECORD, (json.dumps(asdict(record)) + "\n").encode())


def read_mark(connection: sa.Connection) -> Mark:
    """Return what the database says of itself."""
    rows: dict[str, str] = {
        n: v for n, v in connection.execute(sa.select(state.c.name, state.c.value).where(state.c.name.in_(_ROWS)))
    }
    sequence = rows.get("sequence", "0")
    if connection.dialect.name == "sqlite":
        sequence = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    return Mark(rows.get("site_id", ""), int(rows.get("generation", "-1")), int(sequence))


def continue_site(connection: sa.Connection, folder: Path, after: int = -1) -> Mark:
    """Make a database, in the caller's transaction, the one of the site whose var/ is `folder`; return its mark.

    Its id becomes the site's, and its generation higher than `after` and than any that the record knows: services that run see
    that it is meant. Write the record when the transaction is committed. Idempotent but for the generation.
    """
    known, found = read_record(folder), read_mark(connection)
    id = (known.id if known else "") or found.id or secrets.token_hex(16)
    rows = {"site_id": id}
    if found.generation > 0:  # else there is nothing yet that anybody could have read
        rows["generation"] = str(max(found.generation, after, known.generation if known else -1) + 1)
    _set_rows(connection, rows)
    _stamp(connection, id)
    if known and connection.dialect.name == "sqlite" and is_before(found.sequence, known.sequence + AHEAD):
        connection.exec_driver_sql(f"PRAGMA user_version={(known.sequence + AHEAD + 2**31) % 2**32 - 2**31}")
    return read_mark(connection)


def note(engine: sa.Engine, folder: Path) -> None:
    """Write the record of a database that is the site's."""
    with engine.connect() as connection:
        write_record(folder, Record(**asdict(read_mark(connection)), address=address(engine)))


def _set_rows(connection: sa.Connection, rows: dict[str, str]) -> None:
    connection.execute(sa.delete(state).where(state.c.name.in_(list(rows))))
    connection.execute(sa.insert(state), [{"name": name, "value": value} for name, value in rows.items()])


def _stamp(connection: sa.Connection, id: str) -> None:
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA application_id").scalar_one() != tag(id):
        connection.exec_driver_sql(f"PRAGMA application_id={tag(id)}")


def advance(connection: sa.Connection) -> None:
    """Raise the sequence on PostgreSQL, with each beat of the clock; on SQLite every transaction does."""
    if connection.dialect.name == "postgresql":
        _set_rows(connection, {"sequence": str(read_mark(connection).sequence + 1)})


class Watch:
    """Look at the database of one process; let its engines refuse what must not be read or written. Thread-safe.

    `folder`: the site's var/.
    """

    def __init__(self, engines: tuple[sa.Engine, ...], folder: Path) -> None:
        self.engine, self.engines, self.folder = engines[0], engines, folder
        self._fresh = self._alone = engines[0]
        if not database.is_postgresql(self.engine):  # connections without anything in their caches; to the file without its log
            self._fresh, self._alone = (database.connect_once(self.engine, how) for how in ("mode=rw", "mode=ro&immutable=1"))
            for engine in engines:
                sa.event.listen(engine, "do_connect", self._admit)
                sa.event.listen(engine, "connect", self._protect)
        self.fault = Fault()
        self._on_change: Callable[[str, str], None] = lambda _fault, _advice: None
        self._lock = threading.Lock()
        self._due = self._checked = 0.0
        self._took = 0.0
        self._seen: Mark | None = None
        self._header: tuple[int, ...] | None = None  # tag and sequence of the file, as seen last
        self._file: tuple[int, int] | None = None  # device and inode, as seen last, and as the fault was found
        self._judged: tuple[int, int] | None = None
        self._stamp_checked = 0

    @property
    def words(self) -> str:
        """The fault as of the last look."""
        return self.fault.words

    def report_to(self, on_change: Callable[[str, str], None]) -> None:
        """Call `on_change(fault, advice)` whenever a fault appears, changes or ends, and now where there is one."""
        self._on_change = on_change
        if self.fault.words:
            on_change(self.fault.words, self.fault.advice)

    def latest(self) -> Fault:
        """Return the fault, as of LOOK_SECONDS ago at most. While one thread looks, others go on with what is known."""
        if time.monotonic() >= self._due and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self.fault

    def look(self) -> Fault:
        """Look at the database now."""
        with self._lock:
            self._look()
        return self.fault

    def refuse(self, *, writing: bool = True) -> None:
        """Raise DatabaseFault where nothing may be written, or read."""
        if self.fault.words and self._inode() != self._judged:  # it was put right just now
            self.look()
        if (fault := self.latest()).words and (writing or not fault.readable):
            raise DatabaseFault(fault.words)

    def report(self, error: BaseException) -> Fault:
        """Look again after an error of a query: damage that it says is in force at once, and noted for other processes."""
        found = describe(error)
        if found.words and not self.look().words:
            if found == DAMAGED:
                found = _check_pages(self._fresh, CHECK_AT_USE) or found
                found = found if found.words else DAMAGED
            with self._lock:
                self._note_damage(found)
                self._settle(found)
        return self.fault

    def adopt(self) -> None:
        """Note which database is this site's, at the start of a command that may fill it; give it an id if it has none.

        Where there is no record (it is new, or an operator removed it), what is there is the site's. Its generation is raised,
        so that services that run already see that it is meant. Idempotent where there is a record.
        """
        known, own = read_record(self.folder), address(self.engine)
        with self.engine.connect() as connection:
            found = read_mark(connection)
        if known is None or (known.address != own and found.id in ("", known.id)):
            with database.writing(self.engine, durable=True) as connection:
                continue_site(connection, self.folder)
            self._flush_header()
            note(self.engine, self.folder)
            self.look()

    def keep(self) -> None:
        """Note how far the database has come, where it is sound. For the acting clock alone."""
        if self.fault.words or self._seen is None:
            return
        record = Record(**asdict(self._seen), address=address(self.engine), header=self._header[1] if self._header else None)
        if record != read_record(self.folder):
            write_record(self.folder, record)

    # -- what a look finds ----------------------------------------------------

    def _look(self) -> None:
        self._due = time.monotonic() + LOOK_SECONDS
        found = self._find()
        if found is not None and found.words and found != self.fault:  # it may be in the middle of being replaced or written
            time.sleep(CONFIRM_SECONDS)
            found = self._find()
        if found is not None:
            self._settle(found)

    def _settle(self, found: Fault) -> None:
        if found == self.fault:
            return
        self.fault = found
        self._judged = self._inode()
        for engine in self.engines:
            engine.update_execution_options(refuse=self.refuse if found.words else None)
            engine.dispose()
        self._on_change(found.words, found.advice)

    def _find(self) -> Fault | None:
        """Return what is wrong; None where nothing can be said: others hold a lock, or a server is away."""
        try:
            if not database.is_postgresql(self.engine) and (found := self._look_at_file()).words:
                return found
            header = self._read_header()
            if header and (found := self._compare_header(header)).words:
                return found
            with self._fresh.connect() as connection:
                tables = set(sa.inspect(connection).get_table_names())
                missing = metadata.tables.keys() - tables if _is_current(connection, tables) else set()
                found = Fault() if "state" not in tables else self._compare(read_mark(connection), header)
                found = MOVED if backup.is_closed(connection) and not found.words else found
        except ValueError:  # not a number
            return DAMAGED
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            found = describe(error)
            return found if found.words else None
        if not found.words and missing:
            found = Fault(f"the database has lost tables: {', '.join(sorted(missing))}", readable=True, advice=REPAIR)
        return found if found.words else self._noted_damage() or self._unwritable()

    def _compare_header(self, header: tuple[int, ...]) -> Fault:
        """Compare the file alone, before it is opened as a whole: a log that lies beside it would be written into it."""
        record = read_record(self.folder)
        id = record.id if record else self._seen.id if self._seen else ""
        if id and header[0] != tag(id) and (header[0] or (self._header and self._header[0])):  # 0: a copy out of PostgreSQL
            return Fault("the database is another site's")
        seen = self._seen if self._seen and self._seen.id == id else None  # else an operator began again
        before = [self._header[1]] if self._header and seen and id else []
        if record and record.header is not None and record.address == address(self.engine):
            before.append(record.header)
        if any(is_before(header[1], one) for one in before):  # unless it was restored, which raises the generation
            known = max(record.generation if record else -1, seen.generation if seen else -1)
            with self._alone.connect() as connection:
                if read_mark(connection).generation <= known:
                    return Fault("the database is an older copy of this site's")
        return Fault()

    def _compare(self, found: Mark, header: tuple[int, ...] | None) -> Fault:
        known, record = self._seen, read_record(self.folder)
        if record is not None and record.address != address(self.engine):  # it was moved, or FEEDS_DATABASE_URL is another one
            record = Record(record.id)
        if record is not None:
            known = record if known is None or known.id != record.id else newest(known, record)
        if known is not None and known.id and (fault := compare(known, found)).words:
            return fault
        if header and header[0] and header[0] != tag(found.id) and found.id:
            return Fault("the database is another site's")
        self._seen, self._header, self._file = found, header, self._inode()
        return Fault()

    def _look_at_file(self) -> Fault:
        path = str(self.engine.url.database)
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return Fault("the database file is gone")
        except OSError as error:
            return Fault(f"the database file cannot be reached: {error.strerror}")
        if not stat.S_ISREG(status.st_mode):
            return Fault("something else is in the place of the database file")
        if not status.st_size:
            return Fault("the database file is empty")
        return Fault() if os.access(path, os.R_OK) else Fault("the database file may not be read")

    def _read_header(self) -> tuple[int, ...] | None:
        """Return tag and sequence as they are in the file, whatever the write-ahead log holds; None on PostgreSQL."""
        if database.is_postgresql(self.engine):
            return None
        with self._alone.connect() as file:
            return tuple(file.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("application_id", "user_version"))

    def _unwritable(self) -> Fault:
        path = Path(str(self.engine.url.database))
        if database.is_postgresql(self.engine) or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return Fault()
        return Fault("the database is read-only", readable=True, advice="give its owner the right to write it")

    def _flush_header(self) -> None:
        """Bring the header from the write-ahead log into the file, as far as readers let it."""
        if not database.is_postgresql(self.engine):
            with contextlib.suppress(sa.exc.SQLAlchemyError), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- damage ---------------------------------------------------------------

    def check_pages(self, seconds: float = CHECK_AT_MOST) -> Fault:
        """Check all pages, or on PostgreSQL read each table; note what is found for all processes, or that all is well again.

        What takes longer than `seconds` is given up, and counts as no fault.
        """
        started = time.monotonic()
        found = _check_pages(self._fresh, seconds)
        self._checked, self._took = time.monotonic(), time.monotonic() - started
        self._stamp_checked = self._modified()
        if found is not None:
            self._note_damage(found)
        self.look()
        return self.fault

    def examine(self, seconds: float = CHECK_AT_MOST) -> Fault:
        """Look, and check all pages, for a command: nothing is noted."""
        fault = self.look()
        return fault if fault.words else _check_pages(self._fresh, seconds) or Fault()

    def check_when_due(self) -> None:
        """Check all pages at the start, once a day, and after the file was changed behind the write-ahead log."""
        pause = max(2.0, CHECK_SHARE * self._took)
        waited = time.monotonic() - self._checked
        changed = self._modified() != self._stamp_checked or (self.folder / DAMAGE).exists()
        if not self._checked or waited > CHECK_SECONDS or (changed and waited > pause):
            self.check_pages()

    def _inode(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            status = os.stat(str(self.engine.url.database))
            return status.st_dev, status.st_ino
        return None

    def _admit(self, *_arguments: object) -> None:
        """Look before a connection is opened to another file than the one that is known."""
        if self._file is not None and self._inode() != self._file:
            self.look()
        if self.fault.words and not self.fault.readable:
            raise DatabaseFault(self.fault.words)

    def _protect(self, connection: sqlite3.Connection, _record: object) -> None:
        """Refuse to read damaged tables: what a query finds there may be wrong without any error."""
        if tables := self.fault.tables:
            connection.set_authorizer(
                lambda _action, table, *_rest: sqlite3.SQLITE_DENY if table in tables else sqlite3.SQLITE_OK
            )

    def _modified(self) -> int:
        with contextlib.suppress(OSError):
            status = os.stat(str(self.engine.url.database))
            return hash((status.st_ino, status.st_mtime_ns, status.st_size))
        return 0

    def _subject(self) -> str:
        """Return what a note of damage is about: a file that was replaced is another one."""
        if database.is_postgresql(self.engine):
            return address(self.engine)
        return "{}.{}".format(*self._inode() or ("", ""))

    def _note_damage(self, found: Fault) -> None:
        path = self.folder / DAMAGE
        with contextlib.suppress(OSError):
            if not found.words:
                path.unlink(missing_ok=True)
            elif (known := self._noted_damage()) is None or known != found:
                noted = {
                    "fault": found.words,
                    "tables": found.tables,
                    "subject": self._subject(),
                    "at": int(os.stat(self.folder).st_mtime),
                }
                private_files.write_private(path, (json.dumps(noted) + "\n").encode())

    def _noted_damage(self) -> Fault | None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            noted = json.loads((self.folder / DAMAGE).read_text("utf-8"))
            if noted["subject"] == self._subject():
                return Fault(str(noted["fault"]), readable=True, advice=REPAIR, tables=tuple(noted["tables"]))
        return None


def _is_current(connection: sa.Connection, tables: Collection[str]) -> bool:
    """Return whether the database should have all tables of this program: not one that waits for `feeds migrate`."""
    if "alembic_version" not in tables:
        return "state" in tables
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == database.HEAD


def _damaged_tables(connection: sa.Connection) -> Iterator[str]:
    """Yield the tables whose rows, or the indexes they are found by, are damaged."""
    for table in metadata.sorted_tables:
        try:
            sound = connection.exec_driver_sql(f"PRAGMA integrity_check('{table.name}')").scalar() == "ok"
        except sa.exc.DBAPIError:
            sound = False
        if not sound:
            yield table.name


def _check_pages(engine: sa.Engine, seconds: float) -> Fault | None:
    """Return damage that a check of all pages finds; None where not even quick_check came to an end."""
    done = 0
    try:
        with engine.connect() as connection:
            if database.is_postgresql(engine):
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
                for table in metadata.sorted_tables:
                    connection.exec_driver_sql(f"SELECT count(*) FROM {table.name} AS t WHERE t IS NOT NULL")  # noqa: S608
                return Fault()
            timer = threading.Timer(seconds, connection.connection.driver_connection.interrupt)  # type: ignore[union-attr]
            timer.start()
            try:
                for check in ("quick_check", "integrity_check"):  # the second compares indexes with tables, which takes longer
                    if connection.exec_driver_sql(f"PRAGMA {check}(1)").scalar() != "ok":
                        return replace(DAMAGED, tables=tuple(_damaged_tables(connection)))
                    done += 1
            finally:
                timer.cancel()
                timer.join()  # it must not interrupt a connection that is closed
    except sa.exc.SQLAlchemyError as error:
        found = describe(error)
        return found if found.words else Fault() if done else None
    return Fault()
