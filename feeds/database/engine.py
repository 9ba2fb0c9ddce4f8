"""Tables, engines, transactions, migrations: the only owner of SQLAlchemy engines and DDL. Portable SQL.

SQLite has one writer at a time. On PostgreSQL `writing` keeps to that, so that nothing here is thought through twice, but for
those who say `together`: what they change is guarded row by row. Texts are compared by code points on both (collation "C").
Times are stored as integers (UTC seconds), because SQLite forgets zones; an article's place in the order of time is one
integer too (`position`, see `library.intake`).
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import (
    Column,
    MetaData,
    String,
    Table,
)

from ..errors import DatabaseError, SchemaError
from .tables import metadata

Item = TypeVar("Item")

#: The newest migration; `migrations/versions` holds them all. A test compares.
HEAD = "0008"

#: What others on PostgreSQL are asked to wait for; any number will do that no other program of this database takes.
_WRITERS = 0x66656564
#: A connection that says nothing is asked whether it still lives, and given up after half a minute: a server that was
#: cut off would otherwise be waited for until TCP gives up, in hours.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}


#: The server does the same: what a machine that went without a word held is free within a quarter of a minute.
_LEAVING = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2"


def connect(url: str, *, busy_seconds: float = 30.0, wal: bool = True) -> sa.Engine:
    """An engine for one process. Makes the folder of a new SQLite file; opens no connection yet.

    `busy_seconds`: how long a writer waits for others. Without `wal`, a database of SQLite is one file.
    Raises DatabaseError for an address that names no known database.
    """
    address = _address(url)
    if address.get_backend_name() == "postgresql":
        return _connect_postgresql(address, busy_seconds)
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        address,
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
        pool_size=8,
        max_overflow=16,
        hide_parameters=True,  # addresses and secrets would be in the log with any error
    )
    sa.event.listen(engine, "connect", functools.partial(_prepare_sqlite, wal=wal))
    return engine


def _address(url: str) -> sa.URL:
    try:
        address = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # the latter quotes what stands for the port, which may be a password
        wanted = "sqlite:///var/feeds.db or postgresql://user@host/name"
        raise DatabaseError(f"FEEDS_DATABASE_URL is no address such as {wanted}") from None
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(f"FEEDS_DATABASE_URL: {address.drivername}: only sqlite and postgresql are known")
    return address


def is_postgresql(engine: sa.Engine) -> bool:
    return engine.dialect.name == "postgresql"


def conninfo(engine: sa.Engine) -> str:
    """What libpq takes, password and all, for those who open connections of their own to PostgreSQL."""
    from psycopg.conninfo import make_conninfo

    named = engine.url.translate_connect_args(username="user", database="dbname")
    asked = {name: value for name, value in engine.url.query.items() if isinstance(value, str)}
    return make_conninfo(**{**_KEEPALIVE, **named, **asked, "application_name": "feeds", "connect_timeout": 10})


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """No text of PostgreSQL holds NUL: what a stranger sends with one is looked for, and kept, with what stands for it."""
    from psycopg.types.string import StrDumper

    class WithoutNul(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)

    connection.adapters.register_dumper(str, WithoutNul)


def _tell_no_rows(context: sa.engine.ExceptionContext) -> None:
    """PostgreSQL quotes the row that it refuses: what went wrong is told, what was being written is not.

    The exception keeps its diagnosis (`diag`), which nobody prints.
    """
    error = context.original_exception
    if (said := _without_rows(error)) and context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (f"({type(error).__module__}.{type(error).__name__}) {said}",)


def _without_rows(error: BaseException) -> str:
    """Takes the server's details from an error; returns what is left to be told, "" where it was not the server's."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary:
        error.args = (primary,)
    return primary or ""


def _note_rest(_connection: Any, record: Any) -> None:
    record.info["rested"] = time.monotonic()


def _try_rested(connection: Any, record: Any, _proxy: Any) -> None:
    """A connection that has rested may be dead, and is replaced; one that was just used is not asked, as that takes time."""
    if time.monotonic() - record.info.get("rested", time.monotonic()) > _RESTED:
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except Exception:
            raise sa.exc.DisconnectionError from None


#: Seconds after which a connection is asked whether it still lives.
_RESTED = 1.0


def _connect_postgresql(address: sa.URL, busy_seconds: float) -> sa.Engine:
    wait = f"-c lock_timeout={int(busy_seconds * 1000)} -c timezone=UTC {_LEAVING}"
    try:
        engine = sa.create_engine(
            address.set(drivername="postgresql+psycopg"),
            connect_args={
                "connect_timeout": 10,
                "application_name": "feeds",
                "options": f"{address.query.get('options', '')} {wait}".strip(),
                **_KEEPALIVE,
            },
            # What `reading` wants. Saying it of each snapshot would cost a feed a twentieth of its time.
            isolation_level="REPEATABLE READ",
            pool_size=8,
            max_overflow=16,
            hide_parameters=True,
        )
    except ModuleNotFoundError:
        raise DatabaseError("PostgreSQL needs a driver: pip install 'feeds[postgresql]'") from None
    sa.event.listen(engine, "connect", _prepare_postgresql)
    sa.event.listen(engine, "handle_error", _tell_no_rows)
    sa.event.listen(engine, "checkin", _note_rest)
    sa.event.listen(engine, "checkout", _try_rested)
    return engine


def _prepare_sqlite(connection: Any, _record: Any, wal: bool) -> None:
    # Transactions are begun by `reading` and `writing` below, not by the driver, which would begin them too late:
    # https://docs.sqlalchemy.org/en/latest/dialects/sqlite.html#serializable-isolation-savepoints-transactional-ddl
    connection.isolation_level = None
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA cache_size=-16384")


@contextlib.contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One snapshot: all reads inside see the same generation of the catalog."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        # Nothing was written; but psycopg throws its prepared statements away with every rollback.
        connection.commit()


@contextlib.contextmanager
def writing(engine: sa.Engine, *, durable: bool = False, together: bool = False) -> Iterator[sa.Connection]:
    """One transaction, begun as a writer (no upgrade from reader, which SQLite may refuse); all or nothing.

    `durable`: not lost by a power cut either. The catalog can be made anew; consent and marks of delivery cannot.
    `together`: on PostgreSQL, beside other writers; for changes that each row decides about, or that a lock guards already.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection = connection.execution_options(isolation_level="READ COMMITTED")
        if not (together or engine.dialect.name == "sqlite"):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def is_passing(error: BaseException) -> bool:
    """Whether the same may go well a little later: others held what was wanted for too long, or the server is away."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return code in _PASSING or code.startswith("08")
    if type(error.orig).__module__.startswith("psycopg"):  # without a code: the connection was refused, or is gone
        return isinstance(error, sa.exc.OperationalError)
    return isinstance(error, sa.exc.OperationalError) and "locked" in str(error.orig)


#: Serialization failure, deadlock, too many connections, lock not available, the server stops, was killed, starts
#: (https://www.postgresql.org/docs/15/errcodes-appendix.html).
_PASSING = ("40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03")


def chunks(items: Iterable[Item], size: int = 400) -> Iterator[list[Item]]:
    """Yield `items` in lists that are short enough for one statement (SQLite allows 32,766 parameters, PostgreSQL 65,535)."""
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part


def insert_rows(connection: sa.Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Whole rows, in the order of the table's columns, straight to the driver: for the table that has the most of them."""
    if rows and connection.dialect.name == "postgresql":
        _copy(connection, table, rows)
    elif rows:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        marks = ", ".join(["?"] * len(table.columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", list(rows))  # noqa: S608


def count_on(source: sa.Connection, target: sa.Connection, table: Table) -> None:
    """New keys of a table that was copied go on where those of the source had come to: no key means two people."""
    column = table.autoincrement_column
    if column is None:
        return
    last = max(_last_given(source, table), target.execute(sa.select(sa.func.max(column))).scalar() or 0)
    if target.dialect.name == "postgresql":
        target.execute(sa.select(sa.func.setval(_sequence(table), max(last, 1), last > 0)))
    elif last and table.dialect_options["sqlite"]["autoincrement"]:
        target.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        target.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, last))


def _sequence(table: Table) -> sa.ColumnElement[str]:
    assert table.autoincrement_column is not None
    return sa.func.pg_get_serial_sequence(table.name, table.autoincrement_column.name)


def _last_given(connection: sa.Connection, table: Table) -> int:
    """The highest key that was ever given, also where its row is gone."""
    if connection.dialect.name == "postgresql":
        name = connection.execute(sa.select(_sequence(table))).scalar()
        last, called = connection.execute(sa.text(f"SELECT last_value, is_called FROM {name}")).one()  # noqa: S608 - its own
        return int(last) if called else 0
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return 0
    query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int(connection.execute(query, {"name": table.name}).scalar() or 0)


def _copy(connection: sa.Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """https://www.psycopg.org/psycopg3/docs/basic/copy.html: a tenth of the time of INSERT."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        _without_rows(error)
        base = connection.dialect.loaded_dbapi.Error
        raise sa.exc.DBAPIError.instance(f"COPY {table.name}", None, error, base, hide_parameters=True) from error
    finally:
        cursor.close()


def whole_rows(connection: sa.Connection, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    """All rows of a query without parameters, as the driver gives them: a third of the time where a whole table is read."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(str(query.compile(dialect=connection.dialect)))
        return list(cursor.fetchall())
    finally:
        cursor.close()


@contextlib.contextmanager
def exclusive(engine: sa.Engine, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the named lock across processes; it falls with the process. Yields False if it is taken and not `wait`."""
    if engine.dialect.name == "sqlite":
        with _locked_file(f"{engine.url.database}.{name}.lock", wait) as held:
            yield held
        return
    with _advisory_lock(engine, name, wait) as connection:
        yield connection is not None


@contextlib.contextmanager
def tenure(engine: sa.Engine, name: str) -> Iterator[Callable[[], bool] | None]:
    """As `exclusive` without waiting, for long: gives what says whether the lock is still held, None if it is taken.

    A lock in PostgreSQL falls with its connection, which the process that holds it would not notice otherwise.
    """
    if engine.dialect.name == "sqlite":
        with exclusive(engine, name, wait=False) as held:
            yield (lambda: True) if held else None
        return
    with _advisory_lock(engine, name, wait=False) as connection:
        yield functools.partial(_answers, connection) if connection is not None else None


def _answers(connection: sa.Connection) -> bool:
    try:
        connection.execute(sa.select(1))
    except sa.exc.DBAPIError:
        return False
    return True


def _set_patience(value: Any) -> sa.ColumnElement[str]:
    return sa.func.set_config("lock_timeout", value, False)


@contextlib.contextmanager
def _advisory_lock(engine: sa.Engine, name: str, wait: bool) -> Iterator[sa.Connection | None]:
    """On a connection of its own: the server lets go of it when the connection ends, whatever ends it."""
    number = int.from_bytes(name.encode()[:7].ljust(7, b"\0"), "big")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        lock = sa.func.pg_advisory_lock(number) if wait else sa.func.pg_try_advisory_lock(number)
        patience = sa.func.current_setting("lock_timeout")
        before, _now, held = connection.execute(sa.select(patience, _set_patience("0" if wait else patience), lock)).one()
        held = held is not False
        try:
            yield connection if held else None
        finally:
            with contextlib.suppress(sa.exc.DBAPIError, sa.exc.PendingRollbackError):  # the server is away, the lock with it
                if held:
                    connection.execute(sa.select(sa.func.pg_advisory_unlock(number), _set_patience(before)))


@contextlib.contextmanager
def _locked_file(path: str, wait: bool) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def version(engine: sa.Engine) -> str:
    """The migration that the database is at; empty for a new database."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or "")


def ensure(engine: sa.Engine) -> None:
    """Make the tables of a new database; refuse one that this program does not fit."""
    found = version(engine)
    if not found:
        _create(engine)
    elif found < HEAD:
        raise SchemaError(f"the database is at {found}, this program needs {HEAD}: run `feeds migrate`")
    elif found > HEAD:
        raise SchemaError(f"the database is at {found}, newer than this program ({HEAD}): install the newer version")


_versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def _create(engine: sa.Engine) -> None:
    """All tables at once, as the migrations would leave them (a test compares), without loading Alembic."""
    with exclusive(engine, "migrate"):
        if version(engine):
            return  # another process was faster
        with writing(engine) as connection:
            metadata.create_all(connection)
            _versions.create(connection)
            connection.execute(sa.insert(_versions).values(version_num=HEAD))


def migrate(engine: sa.Engine) -> tuple[str, str]:
    """Bring the tables up to date; idempotent. Returns the versions before and after."""
    from alembic import command
    from alembic.config import Config

    with exclusive(engine, "migrate"):
        before = version(engine)
        if before > HEAD:
            raise SchemaError(f"the database is at {before}, newer than this program ({HEAD}); going back is not possible")
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _collate(connection)
    return before, HEAD


def _collate(connection: sa.Connection) -> None:
    """What migrations made as plain text is ordered by code points, too, as `Text` is."""
    if connection.dialect.name != "postgresql":
        return
    query = sa.text("""SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'""")
    for table, column in connection.execute(query).all():
        if table in metadata.tables:
            connection.exec_driver_sql(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"')
