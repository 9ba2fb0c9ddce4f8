"""Moving house, backup, restore: everything, or nothing, on either database."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from feeds import database
from feeds.cli import main
from feeds.config.environment import SecretStr
from feeds.database import backup, tables
from feeds.database import engine as engine_module
from feeds.database import restore as restores
from feeds.database.restore import Restored, RestoreOptions
from feeds.database.tables import metadata
from feeds.errors import DatabaseError, SchemaError
from feeds.feed_formats import load_formats
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.issues.planning import paused_issues
from feeds.newsletter.subscribers import importer, unsubscribe
from feeds.newsletter.subscribers.restored import Departed
from feeds.rescan import check_marks, rescan
from feeds.runtime import Runtime
from feeds.syndication import editions, lookup

from . import postgresql
from .conftest import NOW

READERS = "email,frequency,select,timezone,language,confirmed_at,source\n" + "".join(
    f"reader{number}@example.org,weekly,tag=Linux,Asia/Shanghai,zh-CN,2024-06-01T00:00:00Z,x\n" for number in range(20)
)


def fill(site: Any) -> Any:
    """Articles, readers, an issue of which nothing was sent, keys that were given and taken back."""
    for number in range(1, 13):
        site.write(f"{number}.md", tags=["Linux", f"tag{number % 3}"], translator="wxy", date=f"2025-12-{number + 10} 00:00:00")
    site.rescan()
    (site.store / "12.md").unlink()
    site.rescan()
    runtime = site.runtime
    config = runtime.edition().config
    importer.import_csv(NewsletterContext.of(runtime, config), io.BytesIO(READERS.encode()), "readers.csv", NOW)
    runtime.tokens()
    site.write("20.md", tags=["Linux"], date="2026-01-02 00:00:00")
    site.rescan(NOW + 2 * 86400)
    digests.plan(NewsletterContext.of(runtime, config), NOW + 8 * 86400, written_at=NOW + 8 * 86400)
    return site


@pytest.fixture
def full(site: Any) -> Any:
    site.set("newsletter.yaml", "enabled: true\n")
    site.settle("site.yaml", title="甲")
    return fill(site)


def rows(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    with database.reading(engine) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in metadata.sorted_tables
        }


def documents(runtime: Runtime) -> dict[str, Any]:
    """Every feed in every format, with what conditional requests go by."""
    edition = runtime.edition()
    found: dict[str, Any] = {}
    for state, _selection in runtime.read(lookup.list_feeds):
        for name, format in load_formats().items():
            document = runtime.read(lookup.find_document, edition, state.path, format)
            found[f"{state.path}.{name}"] = (document.body, document.digest, document.changed)
    assert found
    return found


def restore(engine: sa.Engine, path: Path, now: int = NOW) -> Restored:
    """What `feeds restore` does, with the list of departures and the safety copy beside the backup."""
    folder = path.parent
    people = Departed(folder / "departures.jsonl", "", now)
    options = RestoreOptions(path, people, check_marks, folder, now, folder)
    return restores.restore(engine, options)


@pytest.fixture
def empty(postgresql_server: str) -> Iterator[sa.Engine]:
    engine = database.connect(postgresql.new(postgresql_server, ""))
    yield engine
    engine.dispose()


# -- backup and restore ------------------------------------------------------


def test_what_is_restored_serves_every_feed_byte_for_byte(full: Any, tmp_path: Path) -> None:
    before, kept = documents(full.runtime), rows(full.runtime.engine)
    counts = backup.back_up(full.runtime.engine, tmp_path / "copy.db")
    assert counts["articles"] == 12 and counts["subscribers"] == 20 and counts["deliveries"] == 20
    full.write("99.md", tags=["Linux"], date="2025-12-31 00:00:00")
    (full.store / "1.md").unlink()
    full.rescan()
    assert documents(full.runtime) != before
    assert restore(full.runtime.engine, tmp_path / "copy.db").rows == counts
    assert documents(full.runtime) == before
    after = rows(full.runtime.engine)
    for table in ("articles", "terms", "feeds", "subscribers", "subscriptions", "deliveries", "plans"):
        assert after[table] == kept[table], table
    assert set(after["departed"]) > set(kept["departed"]), "no digest brings an article twice that comes back with a rescan"


def test_a_worker_that_runs_answers_with_what_was_restored(full: Any, tmp_path: Path) -> None:
    generation = full.runtime.read(editions.load_generation)
    backup.back_up(full.runtime.engine, tmp_path / "copy.db")
    restore(full.runtime.engine, tmp_path / "copy.db")
    assert full.runtime.read(editions.load_generation) > generation, "what workers hold is of another generation"


def test_a_backup_is_for_its_owner_and_overwrites_nothing(full: Any, tmp_path: Path) -> None:
    path = tmp_path / "new" / "copy.db"
    backup.back_up(full.runtime.engine, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["copy.db"], "nothing beside it"
    made = path.read_bytes()
    with pytest.raises(DatabaseError, match="overwrites nothing"):
        backup.back_up(full.runtime.engine, path)
    assert path.read_bytes() == made
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_issues_that_were_open_wait_for_the_operator_after_a_restore(full: Any, tmp_path: Path) -> None:
    backup.back_up(full.runtime.engine, tmp_path / "copy.db")
    restore(full.runtime.engine, tmp_path / "copy.db")
    context = NewsletterContext.of(full.runtime, full.runtime.edition().config)
    assert [issue.reason for issue in full.runtime.read(paused_issues)] == [backup.RESTORED]
    assert digests.send(context, lambda: NOW + 9 * 86400).sent == 0


def test_keys_go_on_after_a_restore(full: Any, tmp_path: Path) -> None:
    """A link in an old mail must never open the page of somebody else."""
    backup.back_up(full.runtime.engine, tmp_path / "copy.db")
    restore(full.runtime.engine, tmp_path / "copy.db")
    context = NewsletterContext.of(full.runtime, full.runtime.edition().config)
    before = {row[0] for row in rows(full.runtime.engine)["subscribers"]}
    more = READERS.splitlines()[0] + "\nnew@example.org,weekly,,UTC,en,2024-06-01T00:00:00Z,x\n"
    importer.import_csv(context, io.BytesIO(more.encode()), "more.csv", NOW)
    new = {row[0] for row in rows(full.runtime.engine)["subscribers"]} - before
    assert len(new) == 1 and min(new) > max(before)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 500])
def test_what_is_no_backup_is_refused_and_changes_nothing(full: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "copy.db"
    path.write_bytes(content)
    before = rows(full.runtime.engine)
    with pytest.raises(DatabaseError, match="no backup"):
        restore(full.runtime.engine, path)
    assert rows(full.runtime.engine) == before


def test_a_backup_of_a_newer_version_is_refused(full: Any, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    backup.back_up(full.runtime.engine, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="newer than this program"):
        restore(full.runtime.engine, path)


def test_a_restore_that_breaks_leaves_everything_as_it_was(full: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup.back_up(full.runtime.engine, tmp_path / "copy.db")
    before = rows(full.runtime.engine)
    real = database.insert_rows

    def broken(connection: Any, table: sa.Table, rows: Any) -> None:
        if table.name == "memberships":
            raise OSError("the disk is full")
        real(connection, table, rows)

    monkeypatch.setattr(engine_module, "insert_rows", broken)
    with pytest.raises(OSError, match="the disk is full"):
        restore(full.runtime.engine, tmp_path / "copy.db")
    assert rows(full.runtime.engine) == before


def test_a_backup_of_either_database_goes_back_into_the_other(full: Any, empty: sa.Engine, tmp_path: Path) -> None:
    database.ensure_tables(empty)
    backup.back_up(full.runtime.engine, tmp_path / "copy.db")
    restore(empty, tmp_path / "copy.db")
    backup.back_up(empty, tmp_path / "again.db")
    once, twice = (database.connect(f"sqlite:///{tmp_path / name}.db", create=True) for name in ("copy", "again"))
    kept, back = rows(once), rows(twice)
    for table in metadata.tables:
        if table not in ("state", "issues"):
            assert back[table] == kept[table], table


def test_backup_and_restore_are_commands(full: Any, tmp_path: Path) -> None:
    def feeds(*words: str) -> Any:
        return CliRunner().invoke(main, [*words, "--config", str(full.config_dir)])

    path = str(tmp_path / "copy.db")
    made = feeds("backup", path)
    assert made.output == f"{path}: 12 articles, 20 subscribers, 20 deliveries\n"
    again = feeds("backup", path)
    assert again.exit_code == 1 and "overwrites nothing" in again.output
    asked = feeds("restore", path)
    assert asked.exit_code == 1 and "--yes" in asked.output, "there is no terminal"
    back = feeds("restore", path, "--json", "--yes")
    assert '"articles": 12' in back.output and back.exit_code == 0


# -- moving house ------------------------------------------------------------


@pytest.fixture
def old(full: Any, tmp_path: Path) -> sa.Engine:
    """The site's database as an SQLite file, as most sites begin."""
    backup.back_up(full.runtime.engine, tmp_path / "old.db")
    return database.connect(f"sqlite:///{tmp_path / 'old.db'}", create=True)


def test_a_site_moves_to_postgresql_with_everything(full: Any, old: sa.Engine, empty: sa.Engine) -> None:
    kept = rows(old)
    counts = backup.carry_over(old, empty)
    assert rows(empty) == kept and counts["subscribers"] == 20
    full.runtime.close()
    url = SecretStr(empty.url.render_as_string(hide_password=False))
    full.environment = dataclasses.replace(full.environment, database_url=url)
    before = documents(Runtime(dataclasses.replace(full.environment, database_url=SecretStr(str(old.url)))))
    moved = Runtime(full.environment)
    assert documents(moved) == before
    report = rescan(moved.engine, moved.environment, now=full.now + 60)
    assert (report.added, report.changed, report.removed, report.feeds_changed) == (0, 0, 0, 0)
    context = NewsletterContext.of(moved, moved.edition().config)
    assert digests.plan(context, NOW + 8 * 86400, written_at=NOW + 8 * 86400) == [], "what was planned is not planned again"
    moved.close()


def test_nothing_can_be_written_to_a_house_that_was_left(old: sa.Engine, empty: sa.Engine) -> None:
    backup.carry_over(old, empty)
    for statement in (
        sa.insert(tables.suppressions).values(mailbox_hash="x", reason="", since=0),
        sa.update(tables.deliveries).values(status="sent"),
        sa.delete(tables.subscribers),
    ):
        with pytest.raises(sa.exc.IntegrityError, match="carried over"), database.writing(old) as connection:
            connection.execute(statement)
    with pytest.raises(DatabaseError, match="carried over"):
        backup.carry_over(old, empty)


def test_a_house_that_is_lived_in_takes_nobody_else_in(old: sa.Engine, empty: sa.Engine) -> None:
    database.ensure_tables(empty)
    with database.writing(empty) as connection:
        connection.execute(sa.insert(tables.suppressions).values(mailbox_hash="x", reason="", since=0))
    with pytest.raises(DatabaseError, match="is in use: there are rows in suppressions"):
        backup.carry_over(old, empty)
    with database.writing(old) as connection:
        connection.execute(sa.insert(tables.suppressions).values(mailbox_hash="y", reason="", since=0))


def test_moving_is_a_command_and_the_old_service_says_where_it_went(
    full: Any, old: sa.Engine, empty: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--config", str(full.config_dir)]
    monkeypatch.setenv("FEEDS_DATABASE_URL", empty.url.render_as_string(hide_password=False))
    done = CliRunner().invoke(main, ["migrate", "--from", str(old.url), *arguments])
    assert done.exit_code == 0, done.output
    assert "carried over: 12 articles, 20 subscribers, 20 deliveries" in done.output
    assert CliRunner().invoke(main, ["status", *arguments]).exit_code == 0
    monkeypatch.setenv("FEEDS_DATABASE_URL", str(old.url))
    refused = CliRunner().invoke(main, ["status", *arguments])
    assert refused.exit_code == 1 and "carried over" in refused.output


def test_a_site_moves_back_from_postgresql(old: sa.Engine, empty: sa.Engine, tmp_path: Path) -> None:
    backup.carry_over(old, empty)
    kept = rows(empty)
    back = database.connect(f"sqlite:///{tmp_path / 'back.db'}", create=True)
    backup.carry_over(empty, back)
    assert rows(back) == kept
    with pytest.raises(sa.exc.DBAPIError, match="carried over"), database.writing(empty) as connection:
        connection.execute(sa.delete(tables.subscribers))
    with pytest.raises(DatabaseError, match="carried over"):
        backup.carry_over(empty, old)
    back.dispose()


def test_nothing_is_carried_over_into_itself_and_nothing_is_made_for_a_source_that_is_none(full: Any, tmp_path: Path) -> None:
    """Where there is nothing to carry over, no database is made either."""
    wanted = tmp_path / "new" / "feeds.db"
    for source, words in ((f"sqlite:///{tmp_path / 'none.db'}", "no database"), (f"sqlite:///{wanted}", "into itself")):
        arguments = ["migrate", "--from", source, "--config", str(full.config_dir)]
        refused = CliRunner().invoke(main, arguments, env={"FEEDS_DATABASE_URL": f"sqlite:///{wanted}"})
        assert refused.exit_code == 1 and words in refused.output, refused.output
        assert not wanted.exists()


def test_nobody_who_left_is_carried_over_as_a_subscriber(full: Any, old: sa.Engine, tmp_path: Path) -> None:
    """The source is an older copy; the list of departures knows more."""
    context = NewsletterContext.of(full.runtime, full.runtime.edition().config)
    unsubscribe.erase_address(context, "reader3@example.org", NOW)
    new = database.connect(f"sqlite:///{tmp_path / 'new.db'}", create=True)
    backup.carry_over(old, new, None, Departed(full.runtime.departures, "", NOW).settle)
    assert not [row for row in rows(new)["subscribers"] if row[2] == "reader3@example.org"]
    assert len(rows(new)["subscribers"]) == 19
    new.dispose()


def test_a_password_is_in_no_message(tmp_path: Path) -> None:
    for url in ("postgresql://me:hunter2@127.0.0.1:1/x", "mysql://me:hunter2@127.0.0.1/x", "hunter2"):
        with pytest.raises(DatabaseError) as caught:
            (tmp_path / "config").mkdir(exist_ok=True)
            from feeds.config.environment import Environment

            Runtime(Environment.read(tmp_path / "config", {"FEEDS_DATABASE_URL": url})).prepare()
        assert "hunter2" not in str(caught.value)


def test_a_folder_of_copies_keeps_the_newest_and_touches_nothing_else(full: Any, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    old = [f"feeds-2026-01-0{day}T033000Z.db" for day in range(1, 5)]
    others = ["feeds.db", "feeds-2026-01-01.db", "notes.txt", "feeds-2026-01-01T033000Z.db.gz"]
    for name in (*old, *others):
        (folder / name).write_text("x")
    runner = CliRunner()
    made = runner.invoke(main, ["backup", "--keep", "3", str(folder), "--config", str(full.config_dir), "--json"])
    assert made.exit_code == 0, made.output
    said = json.loads(made.stdout)
    new = Path(said["file"])
    assert re.fullmatch(r"feeds-\d{4}-\d\d-\d\dT\d{6}Z\.db", new.name) and new.parent == folder
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert {path.name for path in folder.iterdir()} == {*old[2:], new.name, *others}
    assert said["deleted"] == [str(folder / name) for name in old[:2]]


def test_copies_are_only_deleted_in_a_folder(full: Any, tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["backup", "--keep", "3", str(tmp_path / "a.db"), "--config", str(full.config_dir)])
    assert refused.exit_code == 2 and "wants a folder" in refused.output and not (tmp_path / "a.db").exists()
