"""A backup is a file that anybody may have made: what is wrong with it is said in one sentence, and nothing else happens.

Each case is a way to doctor a sound backup. Every one is read by the process with limits that `feeds restore` has.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.database import backup, backup_file
from feeds.database.tables import metadata
from feeds.errors import DatabaseError, SchemaError
from feeds.private_files import temporary_beside

from .conftest import NOW

Doctor = Callable[[Path], object]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with some rows."""
    folder = tmp_path_factory.mktemp("sound")
    engine = database.connect(f"sqlite:///{folder / 'feeds.db'}", create=True)
    database.ensure_tables(engine)
    with database.writing(engine) as connection:
        rows = [{"name": "generation", "value": "3"}, {"name": "changed", "value": str(NOW)}, {"name": "secret", "value": "x"}]
        connection.execute(sa.insert(metadata.tables["state"]), rows)
        connection.execute(sa.insert(metadata.tables["selections"]), [{"query": f"tag=t{one}"} for one in range(50)])
        connection.execute(
            sa.insert(metadata.tables["suppressions"]),
            [{"mailbox_hash": f"{one:040x}", "reason": "bounced", "since": NOW} for one in range(2000)],
        )
    backup.back_up(engine, folder / "copy.db")
    engine.dispose()
    return folder / "copy.db"


def run(*statements: str) -> Doctor:
    def doctor(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return doctor


def instead_of(table: str, statement: str) -> Doctor:
    return run(f"ALTER TABLE {table} RENAME TO aside", statement)


def overwrite(start: int, data: bytes) -> Doctor:
    def doctor(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(data)

    return doctor


def text(content: bytes) -> Doctor:
    return lambda path: path.write_bytes(content)


def replace(make: Callable[[Path], object]) -> Doctor:
    def doctor(path: Path) -> None:
        path.unlink()
        make(path)

    return doctor


def sparse(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)


COUNT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
REQUEST = "INSERT INTO requests (token_hash, mailbox_hash, network, created, expires, wanted) VALUES ('x', 'x', '', 0, 0,"
#: name -> what is done to the file, and what the sentence says.
DOCTORED: dict[str, tuple[Doctor, str]] = {
    "empty": (text(b""), "not a database"),
    "no database": (text(b"no database at all" * 500), "not a database"),
    "the header alone": (text(b"SQLite format 3\0"), "no backup"),
    "zeros": (text(bytes(1 << 20)), "not a database"),
    "a hole of a terabyte for content": (replace(lambda path: (path.touch(), sparse(path))), "not a database"),
    "a folder": (replace(lambda path: path.mkdir()), "not a file"),
    "a pipe": (replace(os.mkfifo), "not a file"),
    "a device": (replace(lambda path: path.symlink_to("/dev/zero")), "not a file"),
    "nothing": (replace(lambda _path: None), "no such file"),
    "a link to nothing": (replace(lambda path: path.symlink_to("nowhere")), "no such file"),
    "a link to itself": (replace(lambda path: path.symlink_to(path.name)), "Too many levels|no such file"),
    "a log beside it": (lambda path: path.with_name(f"{path.name}-wal").write_bytes(b"x" * 100), "beside it"),
    "a journal beside it": (lambda path: path.with_name(f"{path.name}-journal").write_bytes(b"x" * 100), "beside it"),
    "another program's tables": (run("DROP TABLE alembic_version"), "no backup of this service"),
    "no version": (run("DELETE FROM alembic_version"), "names no version"),
    "two versions": (run("INSERT INTO alembic_version VALUES ('0001')"), "names no version"),
    "a version of bytes": (run("UPDATE alembic_version SET version_num = x'ff'"), "names no version"),
    "a version that never was": (run("UPDATE alembic_version SET version_num = '0000'"), "names no version"),
    "a version that is a program": (run("UPDATE alembic_version SET version_num = 'head'"), "names no version"),
    "an older version than its tables": (run("UPDATE alembic_version SET version_num = '0001'"), "no backup of this service"),
    "a newer version": (run("UPDATE alembic_version SET version_num = '9999'"), "newer than this program"),
    "a table is missing": (run("DROP TABLE suppressions"), "suppressions is not a table"),
    "a column is missing": (run("ALTER TABLE suppressions DROP COLUMN since"), "suppressions is not a table"),
    "a view that never ends": (
        instead_of("selections", f"CREATE VIEW selections AS SELECT x AS key, x AS query FROM ({COUNT})"),
        "selections",
    ),
    "a view that never ends for a version": (
        instead_of("alembic_version", f"CREATE VIEW alembic_version(version_num) AS {COUNT}"),
        "no backup",
    ),
    "a virtual table": (instead_of("selections", "CREATE VIRTUAL TABLE selections USING fts5(key, query)"), "selections"),
    "a computed column": (
        instead_of("selections", "CREATE TABLE selections(key INTEGER PRIMARY KEY, query TEXT AS (hex(zeroblob(1000000))))"),
        "selections",
    ),
    "a table that says it is a view": (run("UPDATE sqlite_schema SET type = 'view' WHERE name = 'selections'"), "no backup"),
    "text for a number": (run("UPDATE suppressions SET since = 'soon' WHERE rowid = 77"), "since"),
    "a fraction": (run("UPDATE suppressions SET since = 0.5 WHERE rowid = 77"), "since"),
    "bytes for a text": (run("UPDATE suppressions SET reason = x'ff00' WHERE rowid = 77"), "reason"),
    "a text that is not UTF-8": (run("UPDATE suppressions SET reason = CAST(x'ff' AS TEXT) WHERE rowid = 77"), "not UTF-8"),
    "NULL where there is none": (
        instead_of("suppressions", "CREATE TABLE suppressions AS SELECT NULL AS mailbox_hash, reason, since FROM aside"),
        "NOT NULL",
    ),
    "a zone that is none": (run("INSERT INTO cohorts VALUES (1, 'weekly', 0, '../../etc/passwd')"), "timezone has a text"),
    "an address of two lines": (
        run("INSERT INTO outbox VALUES (1, 'a@example.org' || char(10) || 'Bcc: b@c', '', '', 'pending', 0, 0, 0, '')"),
        "recipient has a text",
    ),
    "JSON that is none": (run(f"{REQUEST} '{{')"), "wanted has a text"),
    "JSON without an end": (run(f"{REQUEST} replace(hex(zeroblob(50000)), '00', '['))"), "wanted has a text"),
    "a key twice": (
        instead_of("suppressions", "CREATE TABLE suppressions AS SELECT 'x' AS mailbox_hash, reason, since FROM aside"),
        "UNIQUE",
    ),
    "a number beyond 32 bits": (
        run("INSERT INTO cohorts VALUES (1, 'weekly', 3000000000, 'UTC')"),
        "day has a number out of range",
    ),
    "a row that belongs to none": (
        run("INSERT INTO subscriptions VALUES (1, 9, 'weekly', 9, '', 0, NULL, NULL)"),
        "belongs to none",
    ),
    "a text of a hundred megabytes": (
        run("UPDATE suppressions SET reason = printf('%100000000s', 'x') WHERE rowid = 1"),
        "no backup|memory",
    ),
    "a page that is garbage": (overwrite(4096 * 30, b"\xff" * 4096 * 8), "no backup"),
    "pages that are swapped": (overwrite(4096 * 5, bytes(range(256)) * 64), "no backup"),
    "half of it": (lambda path: os.truncate(path, path.stat().st_size // 2), "no backup"),
    "a schema of another kind": (
        run("UPDATE sqlite_schema SET sql = 'CREATE TABLE selections(' WHERE name = 'selections'"),
        "no backup",
    ),
    "pages for tables": (run("UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'suppressions'"), "no backup"),
}


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process with limits is ready at once, as a copy of this one, which has no threads."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(backup_file.multiprocessing, "get_context", lambda _method: context)


@pytest.fixture
def doctored(sound: Path, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "copy.db"
    path.write_bytes(sound.read_bytes())
    yield path


@pytest.mark.parametrize("name", DOCTORED)
def test_what_is_wrong_with_a_file_is_one_sentence(doctored: Path, tmp_path: Path, name: str) -> None:
    doctor, words = DOCTORED[name]
    doctor(doctored)
    draft = tmp_path / "draft.db"
    draft.touch()
    with pytest.raises((DatabaseError, SchemaError), match=words) as caught:
        backup_file.extract(doctored, draft, 60)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert str(caught.value).startswith(str(doctored))
    assert draft.stat().st_size < backup_file.COPY_BYTES * 4


def as_version(version: str) -> Doctor:
    """A sound file of an older version, as its program would have made it."""

    def make(path: Path) -> None:
        engine = database.connect(f"sqlite:///{path}", create=True, wal=False)
        database.migrate(engine, to=version)
        engine.dispose()
        path.with_name(f"{path.name}.migrate.lock").unlink()

    return replace(make)


#: What does not matter: nothing of it is read.
HARMLESS: dict[str, Doctor] = {
    "as it was made": lambda _path: None,
    "a trigger": run(f"CREATE TRIGGER t AFTER INSERT ON selections BEGIN INSERT INTO selections(query) {COUNT}; END"),
    "a trigger on every table that is read": run(
        "CREATE TRIGGER t BEFORE DELETE ON suppressions BEGIN SELECT RAISE(ABORT, 'no'); END"
    ),
    "a view and a table of another name": run(f"CREATE VIEW v AS {COUNT}", "CREATE TABLE more(x)"),
    "an index that computes": run("CREATE INDEX i ON selections(hex(query))"),
    "a hole of a terabyte behind it": sparse,
    "an empty log beside it": lambda path: path.with_name(f"{path.name}-wal").touch(),
    "for reading only": lambda path: path.chmod(0o400),
    "a link to it": lambda path: path.rename(path.with_name("real.db")) and path.symlink_to("real.db"),
    "WAL mode": run("PRAGMA journal_mode=WAL", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "pages of another size": run("PRAGMA page_size=1024", "VACUUM"),
    "a check that fails": run("UPDATE sqlite_schema SET sql = replace(sql, 'reason TEXT', 'reason TEXT CHECK (0)')"),
    **{f"version {version}": as_version(version) for version in database.versions()},
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_not_matter_is_not_read(doctored: Path, tmp_path: Path, name: str) -> None:
    HARMLESS[name](doctored)
    beside = sorted(path.name for path in tmp_path.iterdir())
    before = doctored.read_bytes() if doctored.stat().st_size < 1 << 30 else b""
    with temporary_beside(tmp_path / "feeds.db") as draft, backup_file.opened(doctored, draft) as engine:
        assert database.version(engine) == database.HEAD
        with engine.connect() as connection:
            objects = set(connection.exec_driver_sql("SELECT type FROM sqlite_schema").scalars())
            assert objects == {"table", "index"}
            if not name.startswith("version"):
                assert database.count_rows(connection, metadata.tables["suppressions"]) == 2000
    assert sorted(path.name for path in tmp_path.iterdir()) == beside, "nothing is made beside it"
    assert not before or doctored.read_bytes() == before


def test_a_file_that_takes_too_long_is_given_up(doctored: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.db"
    draft.touch()
    with pytest.raises(DatabaseError, match="takes more than 0 s to read"):
        backup_file.extract(doctored, draft, 0.0)
