"""A database that knows itself: gone, swapped, older, another site's and damaged ones are said, and nothing entered is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds import database
from feeds.cli import main
from feeds.database import identity
from feeds.database.identity import Fault, Mark, compare, is_before, newest
from feeds.errors import DatabaseFault
from feeds.runtime import Runtime
from feeds.syndication import editions
from feeds.web.app import create_app

from . import postgresql
from .examples import every

PAGES = ("/all.atom", "/tags/Linux.rss", "/", "/tags/", "/articles/1", "/feeds.opml", "/tags/t1.json")
FORM = {"email": "reader@example.org", "select": "tag=Linux", "frequency": "daily"}


def fill(site: Any, number: int = 12) -> Any:
    site.settle("site.yaml", article_url="", base_url="http://localhost")
    site.set("newsletter.yaml", "enabled: true\ntransport: maildir\n")
    for id in range(1, number + 1):
        site.write(f"{id}.md", tags=["Linux", f"t{id % 3}"], date=f"2020-01-{id:02} 08:00:00", title=f"title {id}")
    site.runtime.watch.adopt()
    site.rescan(int(time.time()))
    site.runtime.tokens()  # makes the secret, which a form would
    return site


@pytest.fixture
def known(site: Any) -> Any:
    """A site whose database is known to be its own."""
    return fill(site)


@pytest.fixture
def in_a_file(known: Any) -> Any:
    if known.runtime.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite keeps a file")
    return known


def watch_of(client: Client) -> identity.Watch:
    runtime: Runtime = client.application.editions._generation.__self__
    return runtime.watch


def invoke(site: Any, *words: str) -> Any:
    return CliRunner().invoke(main, [words[0], "--config", str(site.config_dir), *words[1:]])


def change(site: Any, number: int = 3) -> None:
    """What people and rescans write."""
    for one in range(number):
        site.runtime.write(lambda connection, one=one: editions.save_state(connection, {"note": str(one)}))


class File:
    """The database file of a site: what may happen to it, and how it is put right."""

    def __init__(self, site: Any, aside: Path) -> None:
        self.site, self.path, self.aside = site, site.database, aside
        aside.mkdir()
        self.flush()
        self.older = shutil.copy(self.path, aside / "older.db")
        change(site)
        self.flush()
        self.good = shutil.copy(self.path, aside / "good.db")

    def flush(self) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def foreign(self) -> Path:
        """The database of another site, with articles of its own."""
        root = self.aside / "foreign"
        (root / "config").mkdir(parents=True)
        (root / "var").mkdir()
        with closing(sqlite3.connect(self.good)) as connection:
            connection.execute("VACUUM INTO ?", (str(root / "var" / "feeds.db"),))
        runtime = Runtime(self.site.environment.read(root / "config", {}))
        runtime.write(lambda connection: connection.execute(sa.text("DELETE FROM state WHERE name = 'site_id'")))
        runtime.watch.adopt()
        runtime.close()
        return root / "var" / "feeds.db"

    def put(self, source: Path | str) -> None:
        """Move another file into its place."""
        shutil.copy(source, self.aside / "new")
        (self.aside / "new").replace(self.path)

    def write(self, source: Path | str) -> None:
        """Copy another file over it."""
        shutil.copyfile(source, self.path)

    def aside_goes_the_folder(self) -> None:
        self.path.parent.rename(self.aside / "var")

    def directory(self) -> None:
        self.path.replace(self.aside / "moved")
        self.path.mkdir()

    def without_id(self) -> None:
        with closing(sqlite3.connect(self.older)) as connection:
            connection.execute("DELETE FROM state WHERE name = 'site_id'")
            connection.execute("PRAGMA application_id = 0")
            connection.execute("PRAGMA user_version = 1000000")
            connection.commit()
        self.put(self.older)

    def drop(self) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("DROP TABLE outbox")
            connection.commit()

    def heal(self) -> None:
        if (self.aside / "var").exists():
            (self.aside / "var").rename(self.path.parent)
            return
        if self.path.is_dir():
            self.path.rmdir()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.put(self.good)


FAULTS: dict[str, tuple[Callable[[File], object], str]] = {
    "deleted": (lambda file: file.path.unlink(), "is gone"),
    "moved away": (lambda file: file.path.rename(file.aside / "x"), "is gone"),
    "its folder unmounted": (File.aside_goes_the_folder, "is gone"),
    "truncated to nothing": (lambda file: file.write(os.devnull), "is empty"),
    "an empty file in its place": (lambda file: file.put(os.devnull), "is empty"),
    "a folder in its place": (File.directory, "something else"),
    "another file in its place": (lambda file: file.put(__file__), "damaged"),
    "garbage copied over it": (lambda file: file.write(__file__), "damaged"),
    "an older copy in its place": (lambda file: file.put(file.older), "older copy"),
    "an older copy over it": (lambda file: file.write(file.older), "older copy"),
    "another site's in its place": (lambda file: file.put(file.foreign()), "another site's"),
    "another site's over it": (lambda file: file.write(file.foreign()), "another site's"),
    "one that has lost its id": (File.without_id, "another site's|lost the id"),
    "a table dropped": (File.drop, "lost tables: outbox"),
}


@pytest.fixture
def file(in_a_file: Any, tmp_path: Path) -> File:
    return File(in_a_file, tmp_path / "aside")


@pytest.mark.parametrize("name", FAULTS)
def test_a_running_worker_says_it_refuses_forms_and_heals(file: File, name: str) -> None:
    fault, words = FAULTS[name]
    client = Client(create_app(file.site.environment))
    before = {path: client.get(path).data for path in PAGES}
    with structlog.testing.capture_logs() as logs:
        fault(file)
        for _ in range(3):
            watch_of(client).look()
            client.application.editions.expire()
            ready, alive = client.get("/ready"), client.get("/health", headers={"Accept": "application/json"})
            assert ready.status_code == 503 and any(word in ready.text for word in words.split("|")), ready.text
            assert str(file.site.root) not in ready.text and "degraded: database: " in ready.text
            assert alive.status_code == 200 and json.loads(alive.text)["degraded"]["database"]
            assert client.get("/health").text == "ok\n"
            sent = client.post("/subscribe", data=FORM, headers={"Accept-Language": "en"})
            assert sent.status_code == 503 and sent.headers["Retry-After"] and "Nothing of what you sent was kept" in sent.text
            for path, body in before.items():
                answered = client.get(path)
                assert answered.status_code == 503 or (answered.status_code == 200 and answered.data == body), path
            figures = client.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text
            assert 'feeds_degraded{fact="database"} 1.0' in figures
        assert [log["fault"] for log in logs if log["event"] == "database_fault"] == [watch_of(client).fault.words], "once"
        assert not [log for log in logs if log["event"] in ("request_failed", "database_unreachable")]
        file.heal()
        watch_of(client).look()
        client.application.editions.expire()
        assert client.get("/ready").status_code == 200 and client.get("/tags/t2.atom").status_code == 200
        assert [log["event"] for log in logs if log["event"].startswith("database_")] == [
            "database_fault",
            "database_recovered",
        ]
    assert client.post("/subscribe", data=FORM).status_code in (200, 400)
    assert 'fact="database"} 0.0' in client.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text


@pytest.mark.parametrize("name", FAULTS)
def test_commands_say_it_in_a_sentence(file: File, name: str) -> None:
    """Also after a restart: what was there before is known by the record in var/."""
    fault, words = FAULTS[name]
    file.site.runtime.watch.look()
    file.site.runtime.watch.keep()
    file.site.runtime.close()
    fault(file)
    for command in (["status"], ["status", "--json"], ["check"], ["rescan"], ["list"], ["digest", "plan"]):
        found = CliRunner().invoke(main, [*command, "--config", str(file.site.config_dir)])
        assert found.exception is None or isinstance(found.exception, SystemExit), (command, found.exception)
        if name == "its folder unmounted":  # the record is gone with it, so that a rescan begins again
            continue
        if command[0] in ("status", "check") or "table" not in name:
            assert any(word in found.output for word in words.split("|")), (command, found.output)
        if name != "a table dropped":
            assert found.exit_code == 1, command


# -- page by page ------------------------------------------------------------------


def _random(data: bytearray, at: int, size: int) -> None:
    data[at : at + size] = random.Random(at).randbytes(size)


def _zeros(data: bytearray, at: int, size: int) -> None:
    data[at : at + size] = bytes(size)


def _bit(data: bytearray, at: int, size: int) -> None:
    data[at + 5] ^= 0x40


def _swap(data: bytearray, at: int, size: int) -> None:
    other = size if at + size >= len(data) else at + size
    data[at : at + size], data[other : other + size] = data[other : other + size], data[at : at + size]


def _replace(path: Path, data: bytes) -> None:
    """Another file each time: what this process still has open of the one before must not be mixed with it."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    (path.parent / "new").write_bytes(data)
    (path.parent / "new").replace(path)


@pytest.mark.parametrize("spoil", [_random, _zeros, _bit, _swap])
def test_a_database_that_is_damaged_in_any_page_is_served_right_or_refused(
    in_a_file: Any, spoil: Callable[[bytearray, int, int], None]
) -> None:
    """Never a traceback or a 500; what a check of all pages sees is said."""
    site, path = in_a_file, in_a_file.database
    client = Client(create_app(site.environment))
    before = {path: client.get(path).data for path in ("/all.atom", "/tags/t1.json", "/tags/", "/articles/1")}
    site.runtime.watch.look()
    site.runtime.watch.keep()
    site.close()
    client.application.editions._generation.__self__.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    good = path.read_bytes()
    pages = every(4, range(0, len(good), size)) if spoil is _random else range(0, len(good), 4 * size)
    said = 0
    for at in pages:
        data = bytearray(good)
        spoil(data, at, size)
        _replace(path, data)
        client = Client(create_app(site.environment))
        with structlog.testing.capture_logs() as logs:
            watch = watch_of(client)
            fault = watch.check_pages()
            for address, body in before.items():
                answered = client.get(address)
                assert answered.status_code in (200, 503), (at // size, address, logs)
                if fault.words and answered.status_code == 200:
                    assert answered.data == body, (at // size, address)
            ready = client.get("/ready")
            assert ready.status_code == (503 if fault.words else 200), (at // size, ready.text)
            assert not [log for log in logs if log["event"] == "request_failed"], (at // size, logs)
        said += bool(fault.words)
        client.application.editions._generation.__self__.close()
    assert said > len(pages) // 2
    _replace(path, good)
    client = Client(create_app(site.environment))
    assert not watch_of(client).check_pages().words and client.get("/ready").status_code == 200


def test_a_restored_database_is_taken_up_by_a_worker_that_runs(in_a_file: Any, tmp_path: Path) -> None:
    site = in_a_file
    copy = tmp_path / "copy.db"
    assert invoke(site, "backup", str(copy)).exit_code == 0
    client = Client(create_app(site.environment))
    assert client.get("/ready").status_code == 200
    for lost in (False, True):
        change(site)
        with structlog.testing.capture_logs() as logs:
            if lost:
                site.close()
                for path in site.database.parent.glob("feeds.db*"):
                    path.unlink()
            found = CliRunner().invoke(main, ["restore", str(copy), "--yes", "--config", str(site.config_dir)])
            assert found.exit_code == 0, found.output
            watch_of(client).look()
            client.application.editions.expire()
            assert client.get("/ready").status_code == 200, client.get("/ready").text
            assert not [log for log in logs if log["event"] == "database_fault"]


def test_what_is_written_to_a_file_that_was_replaced_meanwhile_is_refused(in_a_file: Any) -> None:
    """The request began before the file went: it must not be told that all is well."""
    site = in_a_file
    with pytest.raises(DatabaseFault, match="replaced"), database.writing(site.runtime.engine, durable=True) as connection:
        editions.save_state(connection, {"note": "lost"})
        site.database.rename(site.root / "gone")


def test_no_connection_goes_on_with_a_file_or_a_log_that_is_gone(in_a_file: Any) -> None:
    site = in_a_file
    change(site)
    log = site.database.with_name("feeds.db-wal")
    if log.exists():
        log.unlink()
        change(site)
        assert log.exists(), "another log was begun"


@given(st.integers(-(2**31), 2**31 - 1), st.integers(1, 2**30))
def test_a_sequence_grows_across_its_end(begin: int, steps: int) -> None:
    later = (begin + steps + 2**31) % 2**32 - 2**31
    assert is_before(begin, later) and not is_before(later, begin) and not is_before(begin, begin)


@given(st.integers(-1, 9), st.integers(0, 9), st.integers(-1, 9), st.integers(0, 9))
def test_of_two_marks_one_is_older_or_they_are_the_same(one: int, first: int, other: int, second: int) -> None:
    a, b = Mark("x", one, first), Mark("x", other, second)
    assert (compare(a, b) == Fault()) == ((other, second) >= (one, first))
    assert newest(a, b) == max(a, b, key=lambda mark: (mark.generation, mark.sequence))
    assert compare(a, Mark("y", 99, 99)).words and compare(a, Mark("", 99, 99)).words


def test_a_busy_database_is_not_called_away(known: Any) -> None:
    """Another process writes for long: no 503 of /ready, no error event; a form that could not wait is told to come again."""
    client = Client(create_app(known.environment))
    assert client.get("/ready").status_code == 200
    error = sa.exc.OperationalError("x", None, sqlite3.OperationalError("database is locked"))
    assert database.is_busy(error) and not identity.describe(error).words
    with structlog.testing.capture_logs() as logs, known.held("state"):
        for _ in range(3):
            watch_of(client).look()
            client.application.editions.expire()
            assert client.get("/ready").status_code == 200 and client.get("/all.atom").status_code == 200
    assert not [log for log in logs if log["log_level"] == "error"]


def test_a_dropped_table_and_another_database_are_seen_on_postgresql(site: Any, postgresql_server: str) -> None:
    site.close()
    url = postgresql.new(postgresql_server)
    (site.root / ".env").write_text(f'FEEDS_DATABASE_URL="{url}"\n')
    site.environment = site.environment.read(site.config_dir, {})
    site.reopen()
    fill(site)
    client = Client(create_app(site.environment))
    assert client.get("/ready").status_code == 200
    with site.runtime.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox RENAME TO elsewhere")
    watch_of(client).look()
    assert "lost tables: outbox" in client.get("/ready").text and client.get("/ready").status_code == 503
    assert client.post("/subscribe", data=FORM).status_code == 503
    with site.runtime.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO outbox")
    assert not watch_of(client).look().words and not watch_of(client).check_pages().words
    with site.runtime.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE state SET value = 'another' WHERE name = 'site_id'")
    assert watch_of(client).look().words == "the database is another site's"
    client.application.editions._generation.__self__.close()
