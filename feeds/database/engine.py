"""Open databases: engines, transactions, locks, bulk rows, migrations. The only owner of SQLAlchemy engines and DDL.

SQLite has one writer at a time. On PostgreSQL `writing` keeps to that, so that one reasoning holds for both, except for callers
that pass `together`: what they change is guarded row by row. Texts are compared by code points on both (collation "C"). Times
are stored as integers (UTC seconds), because SQLite has no time zones; an article's place in the order of time is one integer
too (`position`, see `catalog.sort_key`).
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Column, MetaData, String, Table

from ..errors import DatabaseError, DatabaseFault, SchemaError
from ..private_files import make_private_folder, open_private
from .tables import metadata

Item = TypeVar("Item")

#: The newest migration; `migrations/versions` holds them all. A test compares.
HEAD = "0011"

#: Key of the advisory lock that makes writers on PostgreSQL wait for each other; no other program of this database has it.
_WRITERS = 0x66656564
#: An idle connection is probed, and given up after half a minute: TCP would wait hours for a server that was cut off.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
#: The server does the same: locks of a machine that disappeared are free within a quarter of a minute.
_SERVER_KEEPALIVE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2"
#: Seconds in the pool after which a connection is probed before it is used.
_IDLE_SECONDS = 1.0
#: Of each connection to SQLite. What is deleted is overwritten with zeros, however SQLite was built: it may be an address.
_PRAGMAS = ("synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16384", "secure_delete=ON")
#: Where a connection holds what `after_commit` was given.
_AFTER = "feeds_after_commit"
#: Of both kinds. Parameters are hidden, because addresses and secrets would be in the log with any error.
_POOL: Mapping[str, Any] = {"pool_size": 8, "max_overflow": 16, "hide_parameters": True}


def connect(url: str | Path, *, create: bool = False, busy_seconds: float = 30.0, wal: bool = True) -> sa.Engine:
    """Return an engine for one process, of an address or an SQLite file; opens no connection yet.

    `create`: make the file of an SQLite database, and its folder, if it is missing. No connection ever makes one: neither a
    command that only looks, nor a service whose database was removed. `busy_seconds`: how long a writer waits for others.
    `wal`: with `create`, SQLite keeps a log beside the file from then on, so that readers and a writer do not wait for each
    other. Raises DatabaseError for an address that names no known database.
    """
    try:
        address = sa.URL.create("sqlite", database=str(url)) if isinstance(url, Path) else sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # the latter quotes what stands for the port, which may be a password
        wanted = "sqlite:///var/feeds.db or postgresql://user@host/name"
        raise DatabaseError(f"FEEDS_DATABASE_URL is no address such as {wanted}") from None
    if address.get_backend_name() == "postgresql":
        return _connect_postgresql(address, busy_seconds)
    if address.get_backend_name() != "sqlite":
        raise DatabaseError(f"FEEDS_DATABASE_URL: {address.drivername}: only sqlite and postgresql are known")
    address = address.set(query={})  # options of the driver, which this program chooses itself
    if not address.database:
        raise DatabaseError("FEEDS_DATABASE_URL names no file, as sqlite:///var/feeds.db does")
    if create:
        make_private_folder(Path(address.database).parent)
        with contextlib.suppress(FileExistsError):  # one in use is not opened: closing it would release SQLite's locks on it
            os.close(open_private(os.path.realpath(address.database), os.O_RDWR | os.O_CREAT | os.O_EXCL))
    engine = sa.create_engine(address, connect_args={"timeout": busy_seconds, "check_same_thread": False}, **_POOL)
    sa.event.listen(engine, "do_connect", _open_existing)
    sa.event.listen(engine, "handle_error", lambda context: _name_file(context.original_exception, address.database))

    def prepare(connection: Any, _record: Any) -> None:
        # Transactions are begun by `reading` and `writing` below, not by the driver, which would begin them too late:
        # https://docs.sqlalchemy.org/en/latest/dialects/sqlite.html#serializable-isolation-savepoints-transactional-ddl
        connection.isolation_level = None
        for pragma in (*(["journal_mode=WAL"] if create and wal else []), *_PRAGMAS):
            connection.execute(f"PRAGMA {pragma}")

    sa.event.listen(engine, "connect", prepare)
    if wal:
        sa.event.listen(engine, "checkout", functools.partial(_check_files, address.database))
    return engine


def connect_once(engine: sa.Engine, how: str) -> sa.Engine:
    """Return an engine of the same SQLite file without a pool, with parameters of https://sqlite.org/uri.html."""
    url = f"{Path(str(engine.url.database)).absolute().as_uri()}?{how}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(url, uri=True, check_same_thread=False, isolation_level=None, timeout=1.0)

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool, hide_parameters=True)


def temporary() -> sa.Engine:
    """Return an engine of one connection to a temporary database. Its file has no name, so that nothing outlives a kill."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect("", check_same_thread=False, isolation_level=None)

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.StaticPool)


def _check_files(path: str, _connection: Any, record: Any, _proxy: Any) -> None:
    """Replace a connection to a file, or a write-ahead log, that is no longer in its place: what it wrote would be lost."""
    for name in (path, f"{path}-wal"):
        try:
            status = os.stat(name)
        except OSError:
            found = None
        else:
            found = status.st_dev, status.st_ino
        if record.info.setdefault(name, found) != found:
            if record.info[name] is not None:
                raise sa.exc.DisconnectionError
            record.info[name] = found  # the log was made after the connection


def _open_existing(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
    """Open the file of an SQLite database if there is one; SQLite makes none: https://sqlite.org/uri.html"""
    arguments[0], options["uri"] = f"{Path(arguments[0]).absolute().as_uri()}?mode=rw", True


def _name_file(error: BaseException, path: str | None) -> None:
    """Name the file in an error of SQLite, which does not: see `faults`."""
    if type(error).__module__ == "sqlite3":
        error.filename = path  # type: ignore[attr-defined]


def _connect_postgresql(address: sa.URL, busy_seconds: float) -> sa.Engine:
    wait = f"-c lock_timeout={int(busy_seconds * 1000)} -c timezone=UTC {_SERVER_KEEPALIVE}"
    options = f"{address.query.get('options', '')} {wait}".strip()
    try:
        engine = sa.create_engine(
            address.set(drivername="postgresql+psycopg"),
            connect_args={**_KEEPALIVE, "connect_timeout": 10, "application_name": "feeds", "options": options},
            # As `reading` needs. Setting it for each snapshot would cost a feed a twentieth of its time.
            isolation_level="REPEATABLE READ",
            **_POOL,
        )
    except ModuleNotFoundError:
        raise DatabaseError("PostgreSQL needs a driver: pip install 'feeds[postgresql]'") from None
    sa.event.listen(engine, "connect", _replace_nul)
    sa.event.listen(engine, "handle_error", _hide_rows)
    sa.event.listen(engine, "checkin", lambda _connection, record: record.info.update(idle_since=time.monotonic()))
    sa.event.listen(engine, "checkout", _probe_idle)
    return engine


def _replace_nul(connection: Any, _record: Any) -> None:
    """PostgreSQL stores no NUL: U+FFFD takes its place in what strangers send, both stored and looked for."""
    from psycopg.types.string import StrDumper

    class WithoutNul(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)

    connection.adapters.register_dumper(str, WithoutNul)


def _hide_rows(context: sa.engine.ExceptionContext) -> None:
    """Report what went wrong, not the row that PostgreSQL refused: the exception keeps it in `diag`, which nobody prints."""
    error = context.original_exception
    if (message := _without_rows(error)) and context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (f"({type(error).__module__}.{type(error).__name__}) {message}",)


def _without_rows(error: BaseException) -> str:
    """Remove the server's details from an error; return the message that is left, "" for an error that is not the server's."""
    if primary := getattr(getattr(error, "diag", None), "message_primary", None):
        error.args = (primary,)
    return primary or ""


def _probe_idle(connection: Any, record: Any, _proxy: Any) -> None:
    """Replace an idle connection that is dead; one that was just used is not probed, as that takes time."""
    if time.monotonic() - record.info.get("idle_since", time.monotonic()) > _IDLE_SECONDS:
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except Exception:
            raise sa.exc.DisconnectionError from None


def is_postgresql(engine: sa.Engine) -> bool:
    """Return whether the engine is of PostgreSQL, not SQLite."""
    return engine.dialect.name == "postgresql"


def place(engine: sa.Engine) -> str:
    """Return where the database is, for people: the path of a file, or the address of a server without user and password.

    >>> place(connect("postgresql://feeds:secret@db.example.org/feeds?password=secret"))
    'postgresql://db.example.org/feeds'
    """
    url = engine.url
    if engine.dialect.name == "sqlite":
        return str(url.database)
    host = url.host or next(iter(url.normalized_query.get("host", ())), "")
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def conninfo(engine: sa.Engine) -> str:
    """Return libpq's connection string, password included, for libraries that open connections to PostgreSQL themselves."""
    from psycopg.conninfo import make_conninfo

    named = engine.url.translate_connect_args(username="user", database="dbname")
    asked = {name: value for name, value in engine.url.query.items() if isinstance(value, str)}
    return make_conninfo(**{**_KEEPALIVE, **named, **asked, "application_name": "feeds", "connect_timeout": 10})


@contextlib.contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection with one snapshot: all reads inside see the same generation of the catalog.

    Raises DatabaseFault where `identity.Watch` found that this is not the site's database.
    """
    if refuse := engine.get_execution_options().get("refuse"):
        refuse(writing=False)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        # Nothing was written, but psycopg forgets its prepared statements with every rollback.
        connection.commit()


@contextlib.contextmanager
def writing(engine: sa.Engine, *, durable: bool = False, together: bool = False) -> Iterator[sa.Connection]:
    """Yield a connection with one transaction, begun as a writer (SQLite may refuse to upgrade a reader); all or nothing.

    `durable`: survives a power cut, too. The catalog can be made again; consent and marks of delivery cannot.
    `together`: on PostgreSQL, beside other writers; for changes that each row decides about, or that a lock guards already.
    Raises DatabaseFault where the database is damaged or not the site's, or its file was replaced meanwhile: what would be
    lost is refused.
    """
    if refuse := engine.get_execution_options().get("refuse"):
        refuse(writing=True)
    with engine.connect() as connection:
        changes = 0
        if engine.dialect.name == "sqlite":
            changes = connection.connection.driver_connection.total_changes  # type: ignore[union-attr]
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection = connection.execution_options(isolation_level="READ COMMITTED")
        if not (together or engine.dialect.name == "sqlite"):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
        connection.info.pop(_AFTER, None)
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        if engine.dialect.name == "sqlite":
            _commit_change(connection, changes)
        else:
            connection.commit()
        for act in connection.info.pop(_AFTER, ()):
            act()


def after_commit(connection: sa.Connection, act: Callable[[], None]) -> None:
    """Do something outside the database once the transaction of `writing` is committed, and not at all if it is rolled back."""
    connection.info.setdefault(_AFTER, []).append(act)


def _commit_change(connection: sa.Connection, changes: int) -> None:
    """Commit on SQLite; a transaction that changed rows raises the sequence in the file's header (see `identity`)."""
    if connection.connection.driver_connection.total_changes != changes:  # type: ignore[union-attr]
        sequence = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        connection.exec_driver_sql(f"PRAGMA user_version={(sequence + 1 + 2**31) % 2**32 - 2**31}")
    connection.commit()
    path = str(connection.engine.url.database)
    try:
        status = os.stat(path)
    except OSError:
        status = None
    if (known := connection.info.get(path)) and (status is None or known != (status.st_dev, status.st_ino)):
        raise DatabaseFault("the database file was replaced meanwhile")


#: Serialization failure, deadlock, too many connections, lock not available, the server stops, was killed, starts
#: (https://www.postgresql.org/docs/15/errcodes-appendix.html).
_TEMPORARY = ("40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03")


def is_temporary(error: BaseException) -> bool:
    """Return whether a retry may succeed: others held a lock for too long, or the server is away."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if (code := getattr(error.orig, "sqlstate", None)) is not None:
        return code in _TEMPORARY or code.startswith("08")
    if type(error.orig).__module__.startswith("psycopg"):  # without a code: the connection was refused, or is gone
        return isinstance(error, sa.exc.OperationalError)
    return isinstance(error, sa.exc.OperationalError) and "locked" in str(error.orig)


def is_busy(error: BaseException) -> bool:
    """Return whether another process held a lock for longer than this one waits: the database is there, and well."""
    original = getattr(error, "orig", None)
    return isinstance(error, sa.exc.TimeoutError) or (
        isinstance(error, sa.exc.DBAPIError) and (getattr(original, "sqlstate", "") == "55P03" or "locked" in str(original))
    )


def chunks(items: Iterable[Item], size: int = 400) -> Iterator[list[Item]]:
    """Yield `items` in lists that are short enough for one statement (SQLite allows 32,766 parameters, PostgreSQL 65,535)."""
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part


def insert_rows(connection: sa.Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows, in the order of the table's columns, by the driver itself.

    PostgreSQL takes them by COPY, in a tenth of the time of INSERT: https://www.psycopg.org/psycopg3/docs/basic/copy.html
    """
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    if rows and connection.dialect.name == "sqlite":
        marks = ", ".join(["?"] * len(table.columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", list(rows))  # noqa: S608
    elif rows:
        base = connection.dialect.loaded_dbapi.Error
        try:
            with (
                contextlib.closing(connection.connection.cursor()) as cursor,
                cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(row)
        except base as error:
            _without_rows(error)
            raise sa.exc.DBAPIError.instance(f"COPY {table.name}", None, error, base, hide_parameters=True) from error


def rewrite(connection: sa.Connection, tables: Iterable[Table]) -> None:
    """Write all rows of tables of SQLite again, so that no page keeps bytes of deleted rows.

    `secure_delete` zeroes rows that are deleted, but not the copies that a page keeps when its rows move to other pages.
    """
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")  # until the end of this transaction
    for table in tables:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
        connection.exec_driver_sql(f"CREATE TEMP TABLE rewritten AS SELECT {columns} FROM {table.name} ORDER BY {keys}")  # noqa: S608
        connection.exec_driver_sql(f"DELETE FROM {table.name}")  # noqa: S608
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM temp.rewritten")  # noqa: S608
        connection.exec_driver_sql("DROP TABLE temp.rewritten")


def empty_log(engine: sa.Engine, milliseconds: int = 1000) -> bool:
    """Put the write-ahead log of SQLite into the database and make it empty; False where a reader needs it for longer."""
    with engine.connect() as connection:
        usual = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        connection.exec_driver_sql(f"PRAGMA busy_timeout={milliseconds}")  # for so long, writers wait for us
        try:
            return connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar() == 0
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={usual}")


def fetch_rows(connection: sa.Connection, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    """Return all rows of a query without parameters, as the driver gives them: a third of the time for a whole table."""
    with contextlib.closing(connection.connection.cursor()) as cursor:
        cursor.execute(str(query.compile(dialect=connection.dialect)))
        return list(cursor.fetchall())


def count_rows(connection: sa.Connection, table: sa.FromClause, *where: sa.ColumnElement[bool]) -> int:
    """Return the number of a table's rows that meet all of `where`."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar() or 0)


def continue_keys(source: sa.Connection, target: sa.Connection, table: Table, skipped: int = 0) -> None:
    """Make new keys of a copied table go on after the highest that either database ever gave: no key names two people.

    `skipped`: how many were perhaps given in a third one, which is lost.
    """
    column = table.autoincrement_column
    if column is None:
        return
    given = (_last_key(connection, table, column) for connection in (source, target))
    last = max(*given, target.execute(sa.select(sa.func.max(column))).scalar() or 0) + skipped
    if target.dialect.name == "postgresql":
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        target.execute(sa.select(sa.func.setval(sequence, max(last, 1), last > 0)))
    elif last and table.dialect_options["sqlite"]["autoincrement"]:
        target.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        target.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, last))


def _last_key(connection: sa.Connection, table: Table, column: sa.Column[Any]) -> int:
    """Return the highest key that was ever given, also where its row is gone."""
    if connection.dialect.name == "postgresql":
        name = connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))).scalar()
        last, called = connection.execute(sa.text(f"SELECT last_value, is_called FROM {name}")).one()  # noqa: S608 - its own
        return int(last) if called else 0
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return 0
    query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int(connection.execute(query, {"name": table.name}).scalar() or 0)


@contextlib.contextmanager
def lock(engine: sa.Engine, name: str, *, wait: bool = True) -> Iterator[Callable[[], bool] | None]:
    """Hold the lock `name` across processes; the end of a process releases it. Yields None if it is taken and not `wait`.

    Else yields what tells whether the lock is still held: on PostgreSQL it ends with its connection, unnoticed.
    """
    if engine.dialect.name == "sqlite":
        descriptor = open_private(f"{engine.url.database}.{name}.lock")
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield None
            else:
                yield lambda: True
        finally:
            os.close(descriptor)
        return
    with _advisory_lock(engine, name, wait) as connection:

        def is_held() -> bool:
            assert connection is not None
            try:
                connection.execute(sa.select(1))
            except sa.exc.DBAPIError:
                return False
            return True

        yield None if connection is None else is_held


@contextlib.contextmanager
def _advisory_lock(engine: sa.Engine, name: str, wait: bool) -> Iterator[sa.Connection | None]:
    """Lock on a connection of its own: the server releases it when the connection ends, whatever ends it."""
    number = int.from_bytes(name.encode()[:7].ljust(7, b"\0"), "big")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        locked = sa.func.pg_advisory_lock(number) if wait else sa.func.pg_try_advisory_lock(number)
        timeout = sa.func.current_setting("lock_timeout")
        meanwhile = sa.func.set_config("lock_timeout", "0" if wait else timeout, False)
        before, _now, held = connection.execute(sa.select(timeout, meanwhile, locked)).one()
        try:
            yield connection if held is not False else None
        finally:
            with contextlib.suppress(sa.exc.DBAPIError, sa.exc.PendingRollbackError):  # the server is away, the lock with it
                if held is not False:
                    restored = sa.func.set_config("lock_timeout", before, False)
                    connection.execute(sa.select(sa.func.pg_advisory_unlock(number), restored))


def version(engine: sa.Engine) -> str:
    """Return the migration that the database is at; "" for a new database."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or "")


_versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def ensure_tables(engine: sa.Engine) -> None:
    """Make the tables of a new database, whose file `connect` made. Raises SchemaError for one that this program does not fit.

    All tables are made at once, as the migrations would leave them (a test compares), without loading Alembic.
    """
    if not version(engine):
        with lock(engine, "migrate"):
            if version(engine):
                return  # another process was faster
            make_tables(engine)
    else:
        check_tables(engine)


def make_tables(engine: sa.Engine) -> None:
    """Make all tables of a database that no other process knows."""
    with writing(engine) as connection:
        metadata.create_all(connection)
        _versions.create(connection)
        connection.execute(sa.insert(_versions).values(version_num=HEAD))


def check_tables(engine: sa.Engine) -> None:
    """Raise DatabaseError where there is no database, or one without tables; SchemaError where this program does not fit it."""

    def missing(reason: str) -> DatabaseError:
        hint = f"FEEDS_DATABASE_URL names it, and {reason}; `feeds rescan` and `feeds serve` make a new one"
        return DatabaseError(f"no database at {place(engine)} ({hint})")

    if engine.dialect.name == "sqlite":
        try:
            size = os.stat(str(engine.url.database)).st_size
        except (FileNotFoundError, NotADirectoryError):
            raise missing("there is no such file") from None
        if not size:
            raise missing("the file is empty")
    found = version(engine)
    if not found:
        raise missing("it has no tables of this service")
    if found < HEAD:
        raise SchemaError(f"the database is at {found}, this program needs {HEAD}: run `feeds migrate`")
    if found > HEAD:
        raise SchemaError(f"the database is at {found}, newer than this program ({HEAD}): install the newer version")


def versions() -> list[str]:
    """Return all versions there have been, the oldest first: the numbers that migrations begin with."""
    return sorted(path.name[:4] for path in (Path(__file__).with_name("migrations") / "versions").glob("[0-9]*.py"))


def migrate(engine: sa.Engine, to: str = "head") -> tuple[str, str]:
    """Bring the tables up to date, or `to` an older version; idempotent. Returns the versions before and after."""
    from alembic import command
    from alembic.config import Config

    with lock(engine, "migrate"):
        before = version(engine)
        if before > HEAD:
            raise SchemaError(f"the database is at {before}, newer than this program ({HEAD}); going back is not possible")
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            if is_postgresql(engine):  # order by code points what migrations made as plain text, as `Text` is
                query = sa.text("""SELECT table_name, column_name FROM information_schema.columns
                    WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'""")
                for table, column in connection.execute(query).all():
                    if table in metadata.tables:
                        connection.exec_driver_sql(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"')
    return before, HEAD if to == "head" else to
