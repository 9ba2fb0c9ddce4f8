"""Configuration and upgrades: a setting that is wrong, two versions at the same time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from click.testing import CliRunner

from feeds import check, database
from feeds.cli import main
from feeds.database import HEAD, tables

from .house import House


def fill(site: Any) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    for id in range(1, 21):
        site.write(f"{id}.md", tags=["Linux", f"t{id % 3}"], title=f"title {id}.", date=f"2020-01-{id:02} 08:00:00")
    site.rescan()


def run(site: Any, *words: str) -> Any:
    return CliRunner().invoke(main, [*words, "--config", str(site.config_dir)])


@pytest.mark.interop
@pytest.mark.fault(
    "The configuration is broken by an edit",
    readers="every feed as before, also after a restart; edits of articles are live as ever",
    lost="nothing; the log, `feeds check`, `feeds status` and the console name file, line and column",
    heals="when the file is put right, within seconds",
)
def test_a_broken_configuration_keeps_the_last_good_one(site: Any, make_house: Callable[..., House]) -> None:
    fill(site)
    house = make_house(site, "--workers", "1").start()
    expected, good = house.everything(), (site.config_dir / "feeds.yaml").read_text("utf-8")
    with house.readers() as readers:
        site.set("feeds.yaml", good + "feeds: [{name: [}]\n")
        house.wait(lambda: "config_refused" in house.log())
        [problem] = check.check(site.runtime.environment).problems
        assert f"{problem.path}:{problem.line}:" in house.log() and problem.path.endswith("feeds.yaml")
        assert house.everything() == expected
    assert set(readers.statuses) == {200} and readers.wrong == [] and readers.unanswered == 0
    assert house.runtime is not None
    house.runtime.stop()
    house.start()
    assert house.everything() == expected, "after a restart"
    site.write("20.md", tags=["Linux"], title="an article edited meanwhile", date="2020-01-20 08:00:00")
    house.wait(lambda: house.shows("an article edited meanwhile"))
    site.set("feeds.yaml", good + "feeds: [{name: mine, title: Mine, select: {tag: [Linux]}}]\n")
    house.wait(lambda: house.get("/feeds/mine.atom")[0] == 200)


@pytest.mark.interop
@pytest.mark.fault(
    "An older program meets newer tables (a node that is still to be upgraded)",
    readers="every feed and page as before from workers that run; a node that is restarted does not come up",
    lost="nothing: the older program refuses to start and to migrate back, in words, and changes nothing",
    heals="when the newer program is installed",
)
def test_an_older_program_serves_on_and_refuses_to_start(site: Any, make_house: Callable[..., House]) -> None:
    fill(site)
    house = make_house(site, "--workers", "1").start()
    expected = house.everything()
    set_version(site, "9999")
    with house.readers() as readers:
        house.wait(lambda: house.get("/ready", Accept="application/json")[2].find(b"newer than this program") > 0)
        assert house.everything() == expected and house.get("/")[0] == 200 and house.get("/tags/t1")[0] == 200
        for words in (["serve", "--port", "1"], ["clock"], ["rescan"], ["migrate"], ["status"]):
            found = run(site, *words)
            assert found.exit_code == 1 and "newer than this program" in found.output, (words, found.output)
    assert set(readers.statuses) == {200} and readers.wrong == [] and readers.unanswered == 0
    set_version(site, HEAD)
    assert run(site, "status").exit_code == 0


def set_version(site: Any, version: str) -> None:
    with database.writing(site.runtime.engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})


@pytest.mark.interop
@pytest.mark.fault(
    "A newer program meets older tables",
    readers="what the older program serves, until it is stopped; then every feed byte for byte from the newer one",
    lost="nothing: the newer program does not start before `feeds migrate`, and says so",
    heals="with `feeds migrate`",
)
def test_a_newer_program_asks_for_migration_and_then_serves_the_same(
    site: Any, make_house: Callable[..., House], move: Callable[[str], None]
) -> None:
    fill(site)
    expected = make_house(site, "--workers", "1", "--no-clock").start()
    before = expected.everything()
    expected.close()
    go_back(site, url := f"sqlite:///{site.root}/old.db")
    move(url)
    for words in (["serve", "--port", "1"], ["rescan"], ["status"]):
        found = run(site, *words)
        assert found.exit_code == 1 and "run `feeds migrate`" in found.output, (words, found.output)
    found = run(site, "migrate")
    assert found.exit_code == 0 and HEAD in found.output, found.output
    assert make_house(site, "--workers", "1").start().everything() == before


def go_back(site: Any, url: str) -> None:
    """The same rows in tables of the version before the newest, elsewhere."""
    old = database.connect(url, create=True)
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, f"{int(HEAD) - 1:04}")
    known = sa.MetaData()
    known.reflect(old)
    with database.reading(site.runtime.engine) as source, database.writing(old) as target:
        for table in tables.metadata.sorted_tables:
            if table.name in known.tables:
                columns = [column for column in table.columns if column.name in known.tables[table.name].columns]
                rows = [row._asdict() for row in source.execute(sa.select(*columns))]
                if rows:
                    target.execute(sa.insert(known.tables[table.name]), rows)
    old.dispose()
