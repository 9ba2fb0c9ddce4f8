"""`feeds restore` as operators use it: over a database that is sound, damaged, missing or in use; killed in the middle."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from feeds import database
from feeds.cli import main
from feeds.database import backup, tables
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.subscribers import unsubscribe

from . import forking
from .conftest import CHECKOUT, NOW
from .test_backup import documents, fill, restore, rows

DAY = 86400


@pytest.fixture
def full(site: Any) -> Any:
    site.set("newsletter.yaml", "enabled: true\ntransport: maildir\n")
    return fill(site)


@pytest.fixture
def copy(full: Any) -> Path:
    """A backup of the site."""
    path: Path = full.root / "copy.db"
    backup.back_up(full.runtime.engine, path)
    return path


def feeds(site: Any, *words: str) -> Any:
    return CliRunner().invoke(main, [*words, "--config", str(site.config_dir)])


def contents(folder: Path) -> dict[str, str]:
    """What each file holds; locks are empty files that may come."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def only_sqlite(site: Any) -> None:
    if database.is_postgresql(site.runtime.engine):
        pytest.skip("it is about the file of an SQLite database")


# -- over what is damaged or missing ------------------------------------------


def gone(path: Path) -> None:
    path.unlink()


def folder_gone(path: Path) -> None:
    shutil.rmtree(path.parent)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database" * 5000)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def other_tables(path: Path) -> None:
    path.unlink()
    with contextlib.closing(__import__("sqlite3").connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")


def table_gone(path: Path) -> None:
    with contextlib.closing(__import__("sqlite3").connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("DROP TABLE subscribers")


def overwritten(page: int) -> Callable[[Path], None]:
    def overwrite(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(4096 * page)
            file.write(b"\xa5" * 4096)

    overwrite.__name__ = f"page {page}"
    return overwrite


LOSSES = [gone, folder_gone, emptied, garbage, cut, zeros, other_tables, table_gone, *map(overwritten, (0, 1, 2, 7, 20, 40))]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_a_backup_is_restored_over_a_database_that_is_damaged_or_missing(full: Any, copy: Path, lose: Any) -> None:
    only_sqlite(full)
    before, path = documents(full.runtime), full.database
    with full.runtime.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    full.runtime.close()
    lose(path)
    lost = path.read_bytes() if path.exists() else b""
    done = feeds(full, "restore", str(copy), "--yes", "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["rows"]["subscribers"] == 20
    assert bool(answer["safety_copy"]) == bool(lost)
    if lost:
        aside = Path(answer["safety_copy"])
        assert aside.parent == path.parent and stat.S_IMODE(aside.stat().st_mode) == 0o600
        assert aside.read_bytes() == lost
    assert documents(full.reopen()) == before
    with full.runtime.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [one.name for one in path.parent.iterdir() if "feeds-tmp" in one.name]
    assert feeds(full, "status").exit_code == 0


@pytest.mark.parametrize("lose", [gone, garbage, lambda _path: None], ids=["missing", "damaged", "sound"])
def test_what_is_refused_changes_nothing(full: Any, copy: Path, lose: Any) -> None:
    only_sqlite(full)
    with full.runtime.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    full.runtime.close()
    lose(full.database)
    (full.root / "doctored.db").write_bytes(copy.read_bytes()[: 4096 * 30])
    before = contents(full.root)
    for words in (("doctored.db", "--yes"), ("nothing.db", "--yes"), ("config", "--yes"), ("copy.db",)):
        refused = feeds(full, "restore", str(full.root / words[0]), *words[1:])
        assert refused.exit_code in (1, 2) and "Traceback" not in refused.output, refused.output
        assert contents(full.root) == before, words


def test_what_was_there_before_is_kept_beside_the_database(full: Any, copy: Path) -> None:
    unsubscribe.erase_address(NewsletterContext.of(full.runtime, full.runtime.edition().config), "reader3@example.org", NOW)
    kept = rows(full.runtime.engine)
    names = set()
    for _ in range(5):
        done = json.loads(feeds(full, "restore", str(copy), "--yes", "--json").stdout)
        names.add(done["safety_copy"])
        assert done["rows"]["subscribers"] == 20
    here = [path for path in full.runtime.folder.glob("feeds.db.before-restore-*")]
    assert len(names) == 5 and len(here) == 3, "the newest ones stay"
    assert str(max(here, key=lambda path: path.stat().st_mtime_ns)) == done["safety_copy"]
    first = full.root / "first.db"
    backup.back_up(full.runtime.engine, first)
    with backup.open_engine(f"sqlite:///{here[0]}", wal=False) as engine:
        assert rows(engine)["articles"] == kept["articles"]


# -- what was sent ------------------------------------------------------------


def letters(site: Any) -> list[str]:
    """The recipients of all messages that went out, in var/maildir."""
    return sorted(path.read_text("ascii", "replace").split("\nTo: ")[1].splitlines()[0] for path in maildir(site))


def maildir(site: Any) -> list[Path]:
    return [path for path in (site.root / "var" / "maildir").rglob("*") if path.is_file()]


def send(site: Any, now: int) -> None:
    context = NewsletterContext.of(site.runtime, site.runtime.edition().config)
    digests.plan(context, now)
    digests.send(context, lambda: now)


def test_nobody_gets_an_issue_or_an_article_twice_after_a_restore(full: Any, copy: Path) -> None:
    """The issue was planned before the backup and sent after it; the next one was planned and sent after it."""
    send(full, NOW + 8 * DAY + 600)
    full.write("30.md", tags=["Linux"], date="2026-01-10 00:00:00")
    full.rescan(NOW + 10 * DAY)
    send(full, NOW + 11 * DAY + 3600)
    sent = letters(full)
    assert len(sent) == 40
    restore(full.runtime.engine, copy, NOW + 11 * DAY + 7200)
    full.rescan(NOW + 11 * DAY + 7260)
    for issue in full.runtime.read(digests_paused):
        feeds(full, "digest", "resume", issue)
    send(full, NOW + 11 * DAY + 7320)
    assert letters(full) == sent
    send(full, NOW + 18 * DAY + 3600)
    assert letters(full) == sent, "there is nothing new"


def digests_paused(connection: sa.Connection) -> list[str]:
    return [row.id for row in connection.execute(sa.select(tables.issues).where(tables.issues.c.status == "paused"))]


def test_issues_that_may_have_gone_out_wait_where_the_database_was_lost(full: Any, copy: Path) -> None:
    only_sqlite(full)
    full.runtime.close()
    full.database.unlink()
    assert feeds(full, "restore", str(copy), "--yes").exit_code == 0
    full.reopen()
    full.rescan(NOW + 15 * DAY + 60)
    send(full, NOW + 15 * DAY + 120)
    assert not maildir(full)
    assert full.runtime.read(digests_paused)


def test_a_link_of_a_lost_database_opens_nobody_elses_page(full: Any, copy: Path) -> None:
    only_sqlite(full)
    context = NewsletterContext.of(full.runtime, full.runtime.edition().config)
    join(context, "late@example.org")
    [late] = [row[0] for row in rows(full.runtime.engine)["subscribers"] if row[2] == "late@example.org"]
    full.runtime.close()
    full.database.unlink()
    assert feeds(full, "restore", str(copy), "--yes").exit_code == 0
    context = NewsletterContext.of(full.reopen(), full.runtime.edition().config)
    join(context, "other@example.org")
    [other] = [row[0] for row in rows(full.runtime.engine)["subscribers"] if row[2] == "other@example.org"]
    assert other > late


def join(context: NewsletterContext, address: str) -> None:
    from feeds.newsletter.subscribers import importer
    from feeds.newsletter.subscribers.signup import SignupForm

    form = SignupForm(address, ("tag=Linux",), "weekly", timezone="UTC", language="en")
    assert importer.add_subscriber(context, form, confirmed_at="2025-06-01", source="x", now=NOW) == "confirmed"


# -- in the middle ------------------------------------------------------------


@pytest.mark.parametrize("lose", [None, garbage], ids=["sound", "damaged"])
@pytest.mark.parametrize("moment", range(4))
def test_a_restore_that_is_killed_leaves_the_old_database_or_the_new_one(full: Any, copy: Path, lose: Any, moment: int) -> None:
    only_sqlite(full)
    old = documents(full.runtime)
    full.write("99.md", tags=["Linux"], date="2025-12-31 00:00:00")
    full.rescan()
    new = documents(full.runtime)
    with full.runtime.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    full.runtime.close()
    if lose:
        lose(full.database)
    command = [sys.executable, "-m", "feeds", "restore", str(copy), "--yes", "--config", str(full.config_dir)]
    process = forking.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    # At different points of its way: its draft is there, is filled, the safety copy is there, shortly after.
    while process.poll() is None and time.monotonic() < deadline:
        seen |= {
            path.name for path in full.database.parent.iterdir() if "feeds-tmp" in path.name or "before-restore" in path.name
        }
        if len(seen) > moment:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = feeds(full, "restore", str(copy), "--yes") if lose else feeds(full, "status")
    assert done.exit_code == 0, done.output
    runtime = full.reopen()
    with runtime.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    found = documents(runtime)
    assert found in (new, old)
    feeds(full, "restore", str(copy), "--yes")
    assert not [path.name for path in full.database.parent.iterdir() if "feeds-tmp" in path.name]


def test_a_service_that_runs_answers_before_while_and_after_and_loses_nothing_that_it_accepts(
    full: Any, copy: Path, running: Callable[..., Any]
) -> None:
    service = running(full.config_dir, "--workers", "1", "--no-clock").ready()
    tokens = full.runtime.tokens()
    answers: list[int] = []
    accepted: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            answers.append(service.request("/all.atom")[0])

    def leave() -> None:
        for row in rows(full.runtime.engine)["subscribers"]:
            status, _headers, _body = service.send(
                f"/unsubscribe/{tokens.unsubscribe(row[0])}", {"List-Unsubscribe": "One-Click"}
            )
            if status == 200:
                accepted.append(row[0])

    threads = [threading.Thread(target=read), threading.Thread(target=leave)]
    for thread in threads:
        thread.start()
    restored = feeds(full, "restore", str(copy), "--yes")
    threads[1].join()
    done.set()
    threads[0].join()
    assert restored.exit_code == 0, restored.output
    assert set(answers) == {200}
    left = {row[0] for row in rows(full.runtime.engine)["subscribers"] if row[3] == "unsubscribed"}
    assert accepted and set(accepted) == left
    assert "Traceback" not in service.log()
    service.stop()


def test_a_service_whose_database_was_carried_over_says_so_and_goes_on_serving_feeds(
    full: Any, running: Callable[..., Any], tmp_path: Path
) -> None:
    only_sqlite(full)
    service = running(full.config_dir, "--workers", "1").ready()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    arguments = ["migrate", "--from", f"sqlite:///{full.database}", "--config", str(full.config_dir)]
    moved = CliRunner().invoke(main, arguments, env={"FEEDS_DATABASE_URL": new})
    assert moved.exit_code == 0, moved.output
    service.wait(lambda: service.request("/ready")[0] == 503)
    assert b"carried over" in service.request("/ready")[2]
    assert service.request("/all.atom")[0] == 200
    leaving = f"/unsubscribe/{full.runtime.tokens().unsubscribe(1)}"
    assert service.send(leaving, {"List-Unsubscribe": "One-Click"})[0] == 503
    assert service.send("/subscribe", {"email": "new@example.org", "select": "tag=Linux"})[0] in (200, 503)
    service.wait(lambda: "carried over" in service.log())
    assert service.process.poll() is None
    assert "Traceback" not in service.log()
    said = feeds(full, "status")
    assert said.exit_code == 1 and "carried over" in said.output and "Traceback" not in said.output
    service.stop()
    found = CliRunner().invoke(main, ["status", "--config", str(full.config_dir)], env={"FEEDS_DATABASE_URL": new})
    assert found.exit_code == 0, found.output
