"""Tables, migrations, transactions, locks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from feeds import database
from feeds.database import engine as engine_module
from feeds.database import tables
from feeds.errors import DatabaseError, SchemaError

from . import forking, postgresql

MIGRATIONS = Path(database.__file__).with_name("migrations")


@pytest.fixture
def sqlite(tmp_path: Path) -> sa.Engine:
    return database.connect(f"sqlite:///{tmp_path}/var/feeds.db", create=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: Any, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database of either kind, whatever this run's sites keep."""
    if request.param == "sqlite":
        made = database.connect(f"sqlite:///{tmp_path}/var/feeds.db", create=True)
    else:
        made = database.connect(postgresql.new(request.getfixturevalue("postgresql_server"), ""))
    yield made
    made.dispose()


def put(connection: sa.Connection, name: str, value: str = "x") -> None:
    connection.execute(sa.insert(tables.state).values(name=name, value=value))


def names(engine: sa.Engine) -> set[str]:
    with database.reading(engine) as connection:
        return {name for (name,) in connection.execute(sa.select(tables.state.c.name))}


# -- migrations --------------------------------------------------------------


def test_no_connection_makes_a_database(tmp_path: Path) -> None:
    missing = database.connect(f"sqlite:///{tmp_path}/var/feeds.db")
    with pytest.raises(sa.exc.OperationalError), missing.connect():
        pass
    with pytest.raises(DatabaseError, match=r"no database at .*/var/feeds\.db \(FEEDS_DATABASE_URL"):
        database.check_tables(missing)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_database_until_its_tables_are_made(tmp_path: Path) -> None:
    made = database.connect(f"sqlite:///{tmp_path}/a #%2541 b.db", create=True)
    with pytest.raises(DatabaseError, match="no database at"):
        database.check_tables(made)
    assert [path.name for path in tmp_path.iterdir()] == ["a #%41 b.db"]
    database.ensure_tables(made)
    database.check_tables(made)


def test_migrations_make_exactly_the_tables_of_the_program(engine: sa.Engine) -> None:
    database.migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        inspector = sa.inspect(connection)
        for table in tables.metadata.sorted_tables:
            made = {column["name"]: column for column in inspector.get_columns(table.name)}
            assert {name: column["nullable"] for name, column in made.items()} == {c.name: c.nullable for c in table.columns}
            key = [c.name for c in table.primary_key.columns]
            assert inspector.get_pk_constraint(table.name)["constrained_columns"] == key, table.name


def test_migrated_tables_are_stored_as_the_declared_ones(sqlite: sa.Engine, tmp_path: Path) -> None:
    engine = sqlite
    database.migrate(engine)
    declared = database.connect(f"sqlite:///{tmp_path}/declared.db", create=True)
    tables.metadata.create_all(declared)

    def rowids(which: sa.Engine) -> dict[str, bool]:
        with which.connect() as connection:
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            return {name: "WITHOUT ROWID" in sql.upper() for name, sql in rows if name != "alembic_version"}

    assert rowids(engine) == rowids(declared)


def test_the_newest_migration_is_the_one_the_program_needs() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [database.HEAD]
    newest = max(path.name for path in (MIGRATIONS / "versions").glob("*.py"))
    assert newest.startswith(database.HEAD)


def test_migrating_twice_does_nothing_the_second_time(engine: sa.Engine) -> None:
    assert database.migrate(engine) == ("", database.HEAD)
    with database.writing(engine) as connection:
        put(connection, "kept")
    assert database.migrate(engine) == (database.HEAD, database.HEAD)
    assert names(engine) == {"kept"}


def test_a_new_database_is_made_ready_and_a_ready_one_left_alone(engine: sa.Engine) -> None:
    database.ensure_tables(engine)
    database.ensure_tables(engine)
    assert database.version(engine) == database.HEAD


@pytest.mark.parametrize(("found", "words"), [("9999", "newer than this program"), ("0000", "run `feeds migrate`")])
def test_a_database_of_another_version_is_refused(engine: sa.Engine, found: str, words: str) -> None:
    database.migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": found})
    with pytest.raises(SchemaError, match=words):
        database.ensure_tables(engine)
    if found > database.HEAD:
        with pytest.raises(SchemaError, match="going back is not possible"):
            database.migrate(engine)


# -- transactions ------------------------------------------------------------


def test_a_snapshot_does_not_see_what_is_written_meanwhile(engine: sa.Engine) -> None:
    database.migrate(engine)
    with database.reading(engine) as connection:
        assert connection.execute(sa.select(tables.state)).all() == []
        with database.writing(engine) as other:
            put(other, "new")
        assert connection.execute(sa.select(tables.state)).all() == []
    assert names(engine) == {"new"}


def test_an_error_does_not_quote_the_row_that_was_refused(engine: sa.Engine) -> None:
    database.migrate(engine)
    secret = "-".join(("open", "sesame"))  # tracebacks show lines of code
    with database.writing(engine) as connection:
        put(connection, "twice")
    for insert in (
        lambda connection: put(connection, "twice", secret),
        lambda connection: database.insert_rows(connection, tables.state, [("twice", secret), (secret, "x")]),
        lambda connection: connection.execute(sa.insert(tables.state).values(name=secret)),
    ):
        with pytest.raises((sa.exc.IntegrityError, sqlite3.IntegrityError)) as refused, database.writing(engine) as connection:
            insert(connection)
        assert secret not in "".join(traceback.format_exception(refused.value))


def test_a_transaction_that_fails_leaves_nothing(engine: sa.Engine) -> None:
    database.migrate(engine)
    with pytest.raises(KeyboardInterrupt), database.writing(engine) as connection:
        put(connection, "half")
        raise KeyboardInterrupt
    assert names(engine) == set()


def test_writers_wait_for_one_another(engine: sa.Engine) -> None:
    database.migrate(engine)

    def write(name: str) -> None:
        with database.writing(engine) as connection:
            connection.execute(sa.select(tables.state)).all()
            time.sleep(0.05)
            put(connection, name)

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(engine)) == 6


def test_whole_rows_go_straight_to_the_driver(engine: sa.Engine) -> None:
    database.migrate(engine)
    with database.writing(engine) as connection:
        database.insert_rows(connection, tables.state, [("a", "'; DROP TABLE state; --"), ("b", "中文")])
        database.insert_rows(connection, tables.state, [])
    assert names(engine) == {"a", "b"}


# -- locks -------------------------------------------------------------------


def test_a_named_lock_is_held_once(engine: sa.Engine) -> None:
    database.migrate(engine)
    with database.lock(engine, "rescan") as held, database.lock(engine, "rescan", wait=False) as again:
        assert held is not None and held() and again is None
    with database.lock(engine, "rescan", wait=False) as later, database.lock(engine, "clock", wait=False) as other:
        assert later and other


def test_a_lock_falls_with_its_process(engine: sa.Engine) -> None:
    database.migrate(engine)
    program = (
        "import sys, time; from feeds import database\n"
        "with database.lock(database.connect(sys.argv[1]), 'clock'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, engine.url.render_as_string(hide_password=False)]
    with forking.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        with database.lock(engine, "clock", wait=False) as held:
            assert not held
        process.kill()
        process.wait()
        # A server learns by its socket that a client is gone, a moment later.
        for _attempt in range(100):
            with database.lock(engine, "clock", wait=False) as held:
                if held:
                    break
            time.sleep(0.1)
        assert held


def test_a_new_database_is_as_the_migrations_would_leave_it(sqlite: sa.Engine, tmp_path: Path) -> None:
    engine = sqlite
    database.ensure_tables(engine)
    migrated = database.connect(f"sqlite:///{tmp_path}/migrated.db", create=True)
    database.migrate(migrated)

    def objects(which: sa.Engine) -> set[tuple[str, str, str]]:
        with which.connect() as connection:
            rows = connection.exec_driver_sql("SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
            return {tuple(row) for row in rows}

    assert objects(engine) == objects(migrated)
    assert database.version(engine) == database.version(migrated) == database.HEAD
    assert database.migrate(engine) == (database.HEAD, database.HEAD)


# -- PostgreSQL --------------------------------------------------------------


@pytest.fixture
def server(postgresql_server: str) -> Iterator[sa.Engine]:
    made = database.connect(postgresql.new(postgresql_server))
    yield made
    made.dispose()


def test_every_text_is_ordered_by_code_points_whatever_the_locale(server: sa.Engine) -> None:
    query = """SELECT table_name, column_name, collation_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"""
    with server.connect() as connection:
        assert connection.exec_driver_sql(query).all() == []


def test_tables_that_were_migrated_order_as_those_that_were_made(postgresql_server: str) -> None:
    migrated = database.connect(postgresql.new(postgresql_server, ""))
    database.migrate(migrated)
    test_every_text_is_ordered_by_code_points_whatever_the_locale(migrated)
    migrated.dispose()


def test_writers_who_say_together_do_not_wait_for_others(server: sa.Engine) -> None:
    with database.writing(server) as first:
        put(first, "a")
        with database.writing(server, together=True) as second:
            put(second, "b")
        assert names(server) == {"b"}
    assert names(server) == {"a", "b"}


def test_a_writer_gives_up_when_its_patience_is_over_and_may_try_again(server: sa.Engine) -> None:
    hasty = database.connect(server.url.render_as_string(hide_password=False), busy_seconds=0.1)
    with database.writing(server), pytest.raises(sa.exc.OperationalError) as caught, database.writing(hasty):
        pass
    assert database.is_temporary(caught.value)
    hasty.dispose()


def test_a_connection_that_died_while_it_rested_is_replaced(server: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_IDLE_SECONDS", 0.0)
    put_away = names(server)
    with server.connect() as connection:
        mine = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    other = database.connect(server.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({mine})")
    other.dispose()
    assert names(server) == put_away


def test_a_server_that_is_away_is_a_passing_fault_and_others_are_not(server: sa.Engine) -> None:
    away = database.connect("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(sa.exc.OperationalError) as caught, away.connect():
        pass
    assert database.is_temporary(caught.value)
    with pytest.raises(sa.exc.ProgrammingError) as wrong, server.connect() as connection:
        connection.exec_driver_sql("SELECT nothing FROM nowhere")
    assert not database.is_temporary(wrong.value) and not database.is_temporary(ValueError())


def test_what_no_text_of_postgresql_can_hold_is_kept_with_what_stands_for_it(server: sa.Engine) -> None:
    with database.writing(server) as connection:
        put(connection, "a\0b")
        database.insert_rows(connection, tables.state, [("c\0d", "x")])
    assert names(server) == {"a\ufffdb", "c\ufffdd"}


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "", "postgresql"])
def test_an_address_that_names_no_database_is_told_so(url: str) -> None:
    with pytest.raises(DatabaseError, match="FEEDS_DATABASE_URL"):
        database.connect(url)
