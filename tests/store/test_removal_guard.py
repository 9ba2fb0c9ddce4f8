"""The guard of the store: files that are gone in great number take no article along until the operator says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.catalog import ingest, queries
from feeds.catalog.sort_key import Window
from feeds.cli import main
from feeds.config.environment import Environment
from feeds.config.models import Config
from feeds.database.tables import articles
from feeds.feed_formats import load_formats
from feeds.monitoring import health
from feeds.runtime import Runtime
from feeds.store.walk import WINDOW_SECONDS, RemovalGuard, paths_digest
from feeds.syndication import editions, feeds, lookup, pages
from tests.conftest import Site
from tests.examples import some

GUARD = RemovalGuard(percent=20, articles=10)
COUNTS = st.integers(0, 2000)


# -- the rule ----------------------------------------------------------------


@given(going=COUNTS, staying=COUNTS, lately=COUNTS, seen=st.integers(1, 2000), added=COUNTS)
def test_a_rescan_takes_away_a_share_or_a_few_and_never_more(
    going: int, staying: int, lately: int, seen: int, added: int
) -> None:
    rule = RemovalGuard(percent=20, articles=10, lately=lately)
    held = rule.holds_back(going, going + staying, seen=seen, added=added)
    total = going + lately
    if not going or total <= 10:
        assert not held
    elif total > (total + staying) / 5:
        assert held
    else:
        assert not held


@given(going=st.integers(1, 2000), staying=COUNTS, added=COUNTS)
def test_an_empty_store_takes_nothing_away(going: int, staying: int, added: int) -> None:
    assert GUARD.holds_back(going, going + staying, seen=0, added=added)


@given(going=COUNTS, staying=COUNTS, seen=COUNTS, added=COUNTS, percent=st.integers(0, 100), lately=COUNTS)
def test_what_the_operator_lets_go_goes(going: int, staying: int, seen: int, added: int, percent: int, lately: int) -> None:
    counts: Any = {"seen": seen, "added": added}
    assert not RemovalGuard(percent, 0, lately, accepted=True).holds_back(going, going + staying, **counts)
    assert not RemovalGuard(100, 0, lately).holds_back(going, going + staying, **counts), "switched off"


@given(going=st.integers(1, 2000), staying=st.integers(0, 3), added=st.integers(0, 3))
def test_another_folder_takes_the_old_ones_place_where_all_of_its_articles_are_others(
    going: int, staying: int, added: int
) -> None:
    moved = RemovalGuard(percent=0, articles=0, moved=True)
    assert moved.holds_back(going, going + staying, seen=1, added=added) == (staying > 0 or added == 0)


@given(st.lists(st.text(max_size=3), max_size=5), st.lists(st.text(max_size=3), max_size=5))
def test_a_mark_names_a_set_of_files(one: list[str], other: list[str]) -> None:
    one, other = [path + ".md" for path in one], [path + ".md" for path in other]
    assert (paths_digest(set(one)) == paths_digest(set(other))) == (set(one) == set(other))
    assert (paths_digest(one) == "") == (not one)


# -- in a site -----------------------------------------------------------------


def fill(site: Any, number: int = 30) -> None:
    for id in range(1, number + 1):
        site.write(f"{id}.md", tags=["Linux", f"t{id % 3}"], translator="geekpi", date=f"2020-01-{id % 28 + 1:02} 08:00:00")
    site.rescan()


def served(runtime: Runtime) -> dict[str, bytes]:
    """All feeds in all formats, with their validators."""
    edition, found = runtime.edition(), {}
    for state, _selection in runtime.read(lookup.list_feeds):
        for name, format in load_formats().items():
            document = runtime.read(lookup.find_document, edition, state.path, format)
            found[f"{state.path}.{name}"] = document.body + f"{document.digest} {document.changed}".encode()
    return found


def published(site: Any) -> set[int]:
    with site.runtime.reading() as connection:
        return {int(article.id) for article in queries.select(connection, Config().site, queries.Clauses(), Window(1000))}


@pytest.mark.parametrize("damage", ["emptied", "half", "another disk"])
def test_articles_whose_files_are_gone_stay_as_they_were_and_nothing_is_left_of_it_when_the_files_are_back(
    site: Any, damage: str
) -> None:
    fill(site)
    before, generation = served(site.runtime), site.runtime.read(editions.load_generation)
    away = site.root / "away"
    site.store.rename(away)
    if damage == "half":
        site.store.mkdir()
        for id in range(1, 16):
            (away / f"{id}.md").rename(site.store / f"{id}.md")
    else:
        site.store.mkdir()
        if damage == "another disk":
            (site.store / "lost+found").mkdir()
            (site.store / "notes.txt").write_text("not an article")
    gone = 15 if damage == "half" else 30
    for _ in range(2):
        report = site.rescan()
        assert (report.articles, report.removed, report.held) == (30, 0, gone)
        assert served(site.runtime) == before and site.runtime.read(editions.load_generation) == generation
    assert site.runtime.read(health.catalog_status)["held"] == {
        **site.runtime.read(health.catalog_status)["held"],
        "articles": gone,
        "published": 30,
    }
    for path in site.store.glob("*.md"):
        path.rename(away / path.name)
    shutil.rmtree(site.store)
    away.rename(site.store)
    report = site.rescan()
    assert (report.articles, report.added, report.changed, report.held) == (30, 0, 0, 0)
    assert served(site.runtime) == before and site.runtime.read(editions.load_generation) == generation
    assert (
        site.runtime.read(health.catalog_status)["held"] is None
        and site.runtime.read(health.catalog_status)["held_fault"] == ""
    )


def test_what_comes_and_changes_is_taken_in_while_others_are_held(site: Any) -> None:
    fill(site)
    for id in range(1, 21):
        (site.store / f"{id}.md").unlink()
    site.write("25.md", title="改过的", tags=["Linux"], date="2023-01-01 00:00:00")
    site.write("new/99.md", title="新来的", tags=["Linux"], date="2024-01-01 00:00:00")
    report = site.rescan()
    assert (report.articles, report.added, report.changed, report.removed, report.held) == (31, 1, 1, 0, 20)
    text = site.runtime.read(lookup.find_document, site.runtime.edition(), "tags/Linux", load_formats()["atom"]).body.decode()
    assert "新来的" in text and "改过的" in text


def test_files_that_moved_to_other_folders_are_not_gone(site: Any) -> None:
    fill(site)
    (site.store / "2020").mkdir()
    for id in range(1, 31):
        (site.store / f"{id}.md").rename(site.store / "2020" / f"{id}.md")
    report = site.rescan()
    assert (report.renamed, report.removed, report.held) == (30, 0, 0)


def test_files_that_come_back_elsewhere_end_the_waiting(site: Any) -> None:
    """Between two walks of one move, half of it is seen."""
    fill(site)
    away = site.root / "away"
    site.store.rename(away)
    site.store.mkdir()
    assert site.rescan().held == 30
    away.rename(site.store / "inside")
    report = site.rescan()
    assert (report.articles, report.renamed, report.removed, report.held) == (30, 30, 0, 0)


def test_a_draft_and_a_few_deleted_files_go_at_once(site: Any) -> None:
    fill(site)
    site.write("30.md", draft=True)
    for id in range(1, 11):
        (site.store / f"{id}.md").unlink()
    report = site.rescan()
    assert (report.articles, report.removed, report.held) == (19, 11, 0)


def test_a_folder_that_is_deleted_slowly_is_held_when_its_share_is_reached(site: Any) -> None:
    """A walk sees a few files fewer each time; within an hour they count together."""
    fill(site, 100)
    for id in range(1, 61):
        (site.store / f"{id}.md").unlink()
        if id % 5 == 0:
            report = site.rescan()
    assert (report.articles, report.held) == (80, 40)
    site.rescan(now=site.now + WINDOW_SECONDS + 1)
    assert site.runtime.read(health.catalog_status)["held"]["articles"] == 40, (
        "what is held stays so; time alone says nothing of it"
    )


def test_after_an_hour_as_many_again_may_go(site: Any) -> None:
    fill(site, 100)
    for id in range(1, 16):
        (site.store / f"{id}.md").unlink()
    assert site.rescan().removed == 15
    for id in range(16, 26):
        (site.store / f"{id}.md").unlink()
    assert site.rescan(now=site.now + WINDOW_SECONDS).removed == 10


def test_held_files_cost_a_walk_and_no_more(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside a file in quarantine that is read again whenever something else changes."""
    fill(site)
    site.write("twin.md", id=30)
    site.rescan()
    for id in range(1, 21):
        (site.store / f"{id}.md").unlink()
    assert site.rescan().held == 20

    def read(*_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("a rescan with nothing new to say has written")

    monkeypatch.setattr(ingest, "apply_changes", read)
    assert site.rescan().held == 20


def test_another_store_is_the_operators_word_unless_it_is_empty_or_a_part_of_the_old_one(site: Any) -> None:
    fill(site)
    other = site.root / "other"
    other.mkdir()
    site.settle("site.yaml", store="other")
    assert site.rescan().held == 30, "an empty one"
    site.settle("site.yaml", store="articles")
    assert site.rescan().held == 0
    shutil.copy(site.store / "1.md", other)
    site.settle("site.yaml", store="other")
    assert site.rescan().held == 29, "a part of the old one"
    site.settle("site.yaml", store="articles")
    assert site.rescan().held == 0
    (other / "1.md").unlink()
    (other / "900.md").write_text((site.store / "1.md").read_text("utf-8").replace("id: 1\n", "id: 900\n"), "utf-8")
    site.settle("site.yaml", store="other")
    report = site.rescan()
    assert (report.articles, report.removed, report.held) == (1, 30, 0), "another archive"


def test_held_articles_are_no_news_to_digests_and_their_pages_stay(site: Any) -> None:
    site.settle("site.yaml", article_url="")
    fill(site)

    def known() -> list[tuple[Any, ...]]:
        c = articles.c
        with site.runtime.reading() as connection:
            rows = connection.execute(sa.select(c.id, c.available, c.arrival, c.first_seen).order_by(c.id))
            return [tuple(row) for row in rows]

    before = known()
    away = site.root / "away"
    site.store.rename(away)
    site.store.mkdir()
    site.rescan()
    assert known() == before and site.runtime.read(pages.article_page, site.runtime.edition().config, "7") is not None
    shutil.rmtree(site.store)
    away.rename(site.store)
    site.rescan()
    assert known() == before
    site.rescan(full=True)
    assert known() == before


STEPS = st.lists(st.tuples(st.sets(st.integers(1, 40)), st.booleans()), min_size=1, max_size=4)


@given(steps=STEPS)
@settings(max_examples=some(8, least=3))
def test_whatever_goes_and_comes_back_the_catalog_ends_as_if_nothing_had_been_held(
    steps: list[tuple[set[int], bool]], tmp_path_factory: pytest.TempPathFactory, text_of: Any
) -> None:
    """Each step leaves just these files in the store; some are accepted. In the end all files are there."""
    site = Site(tmp_path_factory.mktemp("guard") / "site")
    texts = {id: text_of(f"{id}.md", tags=[f"t{id % 3}"]) for id in range(1, 41)}
    for id, text in texts.items():
        site.write(f"{id}.md", text)
    site.rescan()
    here = dict.fromkeys(texts, True)
    for present, accepted in steps:
        before = published(site)
        for id, text in texts.items():
            if id in present and not here[id]:
                site.write(f"{id}.md", text)
            elif id not in present and here[id]:
                (site.store / f"{id}.md").unlink()
            here[id] = id in present
        report = site.rescan(accept_removals=accepted)
        after = published(site)
        assert after >= present and after <= before | present
        assert report.articles == len(after) and report.held == len(after - present)
        if accepted:
            assert after == present
        elif not present:
            assert after == before
    for id, text in texts.items():
        if not here[id]:
            site.write(f"{id}.md", text)
    assert site.rescan().held == 0 and published(site) == set(texts)
    tags = {term.name: term.articles for term in site.runtime.read(feeds.offered_terms, site.runtime.edition().config, "tag")}
    assert tags == {"t0": 13, "t1": 14, "t2": 13}
    site.close()


# -- what the operator sees and does ---------------------------------------------


def run(site: Any, *arguments: str) -> Any:
    return CliRunner().invoke(main, [*arguments, "--config", str(site.config_dir)])


def emptied(site: Any) -> Path:
    fill(site)
    away: Path = site.root / "away"
    site.store.rename(away)
    site.store.mkdir()
    return away


def test_the_command_line_says_what_is_held_and_lets_it_go(site: Any) -> None:
    emptied(site)
    found = run(site, "rescan")
    assert found.exit_code == 1 and "--accept-removals" in found.output and "30 of 30 articles" in found.output
    assert "fault: the files of 30 of 30 articles are gone" in run(site, "status").output
    assert json.loads(run(site, "status", "--json").output)["held"]["articles"] == 30
    found = run(site, "rescan", "--accept-removals", "--json")
    assert found.exit_code == 0
    report = json.loads(found.output)
    assert (report["articles"], report["removed"], report["held"]) == (0, 30, 0)
    status = json.loads(run(site, "status", "--json").output)
    assert status["held"] is None and status["held_fault"] == ""


def test_what_was_let_go_does_not_count_against_the_next(site: Any) -> None:
    fill(site, 100)
    for id in range(1, 51):
        (site.store / f"{id}.md").unlink()
    assert site.rescan().held == 50
    assert site.rescan(accept_removals=True).removed == 50
    (site.store / "51.md").unlink()
    assert site.rescan().removed == 1


def test_the_guard_is_a_setting(site: Any) -> None:
    site.settle("site.yaml", removal={"percent": 100})
    emptied(site)
    assert site.rescan().removed == 30


def test_a_store_that_was_never_filled_is_no_fault(site: Any) -> None:
    assert site.rescan().held == 0
    assert Runtime(Environment.read(site.config_dir, {})).read(health.catalog_status)["held"] is None
