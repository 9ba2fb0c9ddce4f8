"""Store -> catalog, the whole way: what a rescan reads, publishes, keeps and refuses."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.catalog import queries
from feeds.catalog.sort_key import Window
from feeds.config.models import FeedSettings, Newsletter, Site
from feeds.database import tables
from feeds.errors import ConfigError, StoreError
from feeds.feed_formats import load_formats
from feeds.monitoring import health
from feeds.runtime import Runtime
from feeds.store import parse, parse_settings
from feeds.syndication import editions, lookup

from . import forking
from .conftest import PARSERS


def articles(site: Any) -> dict[str, str]:
    """id -> title of all that is published."""
    with site.runtime.reading() as connection:
        return {found.id: found.title for found in queries.select(connection, Site(), queries.Clauses(), Window(10**6))}


def quarantine(site: Any) -> dict[str, str]:
    return {problem.path: problem.reason for problem in site.runtime.read(queries.list_problems)}


def terms(site: Any, facet: str = "tag") -> dict[str, int]:
    with site.runtime.reading() as connection:
        return {known.term.name: known.term.articles for known in queries.terms_of(connection, facet)}


def contents(runtime: Runtime) -> dict[str, Any]:
    """All that a reader of the catalog can see, and the bytes of all feeds, but for when each last changed."""
    edition = runtime.edition()
    with runtime.reading() as connection:
        found = queries.select(connection, edition.config.site, queries.Clauses(), Window(10**6))
        facets = {facet: queries.terms_of(connection, facet) for facet in ("tag", "translator", "author", "category")}
    states = [
        (row.path, row.title, row.articles, row.updated, row.digest, select) for row, select in runtime.read(lookup.list_feeds)
    ]
    documents = {
        path + format.extension: runtime.read(lookup.find_document, edition, path, format).body
        for path, *_rest in states
        for format in load_formats().values()
    }
    named = {facet: [(known.term, known.feed_path) for known in rows] for facet, rows in facets.items()}
    return {"articles": found, "terms": named, "states": states, "documents": documents}


@pytest.fixture
def reads(site: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of articles in the order in which rescans had them parsed."""
    asked: list[str] = []
    really = PARSERS.parse_all

    def noting(settings: Any, paths: Any, *rest: Any) -> Any:
        asked.extend(paths)
        return really(settings, paths, *rest)

    monkeypatch.setattr(PARSERS, "parse_all", noting)
    return asked


# -- what changed ------------------------------------------------------------


def test_the_first_rescan_publishes_every_article(site: Any, reads: list[str]) -> None:
    for number in range(1, 6):
        site.write(f"2020/01/{number}.md", title=f"第 {number} 篇")
    report = site.rescan()
    assert (report.articles, report.added, report.quarantined) == (5, 5, 0)
    assert articles(site) == {str(number): f"第 {number} 篇" for number in range(1, 6)}
    assert sorted(reads) == [f"2020/01/{number}.md" for number in range(1, 6)]


def test_a_rescan_without_changes_reads_and_writes_nothing(site: Any, reads: list[str]) -> None:
    site.write("1.md")
    site.rescan()
    reads.clear()
    before, generation = contents(site.runtime), site.runtime.read(editions.load_generation)
    report = site.rescan()
    assert (report.added, report.changed, report.removed, report.unchanged) == (0, 0, 0, 1)
    assert reads == [] and site.runtime.read(editions.load_generation) == generation and contents(site.runtime) == before


def test_only_files_that_changed_are_read(site: Any, reads: list[str]) -> None:
    for number in range(10):
        site.write(f"{number}.md")
    site.rescan()
    reads.clear()
    site.write("3.md", title="新")
    site.write("10.md")
    report = site.rescan()
    assert sorted(reads) == ["10.md", "3.md"]
    assert (report.added, report.changed, report.unchanged, report.articles) == (1, 1, 9, 11)
    assert articles(site)["3"] == "新"


def test_a_full_rescan_reads_everything_and_changes_nothing(site: Any, reads: list[str]) -> None:
    for number in range(5):
        site.write(f"{number}.md")
    site.rescan()
    before = contents(site.runtime)
    reads.clear()
    report = site.rescan(full=True)
    assert len(reads) == 5 and (report.changed, report.added, report.feeds_changed) == (0, 0, 0)
    assert contents(site.runtime) == before


def test_a_removed_file_takes_its_article_and_its_terms_along(site: Any) -> None:
    site.write("1.md", tags=["Linux", "内核"])
    site.write("2.md", tags=["Linux"])
    site.rescan()
    (site.store / "1.md").unlink()
    report = site.rescan()
    assert (report.removed, report.articles) == (1, 1)
    assert terms(site) == {"Linux": 1}
    assert "tags/内核" not in {row.path for row, _selection in site.runtime.read(lookup.list_feeds)}


def test_a_removed_folder_takes_all_of_its_articles_along(site: Any) -> None:
    for number in range(1, 4):
        site.write(f"2020/0{number}/{number}.md")
    site.rescan()
    shutil.rmtree(site.store / "2020" / "02")
    assert site.rescan().removed == 1
    assert set(articles(site)) == {"1", "3"}


def test_a_renamed_file_is_the_same_article(site: Any) -> None:
    site.write("old/1.md")
    site.rescan()
    before = contents(site.runtime)
    (site.store / "new").mkdir()
    (site.store / "old" / "1.md").rename(site.store / "new" / "1.md")
    report = site.rescan()
    assert (report.renamed, report.added, report.removed, report.changed) == (1, 0, 0, 0)
    assert contents(site.runtime) == before


CASES_OF_A_NAME = [
    ("hello.md", "hello.MD"),
    ("hello.md", "hello.Markdown"),
    ("Hello.md", "hello.md"),
    ("hello.md", "HELLO.MD"),
    ("2020/Folder/x.md", "2020/folder/x.md"),
    ("Hello/index.md", "hello/index.md"),
    ("hello/index.md", "Hello/Index.MD"),
    ("Straße.md", "STRASSE.md"),
    ("caf\u00e9.md", "cafe\u0301.md"),  # macOS decomposes what git composes
    ("ДОМ.md", "дом.md"),
]


@pytest.mark.parametrize(("before", "after"), CASES_OF_A_NAME)
def test_a_name_in_another_case_is_the_same_article_with_the_same_feeds(site: Any, before: str, after: str) -> None:
    site.settle("site.yaml", article_url="")
    written = {"id": ..., "permalink": ..., "title": ..., "date": "2020-01-01 00:00:00"}
    site.write(before, **written)
    site.write("other.md", **written)
    site.rescan()
    shown = contents(site.runtime)
    changed = {state.path: state.changed for state, _selection in site.runtime.read(lookup.list_feeds)}
    (site.store / after).parent.mkdir(parents=True, exist_ok=True)
    (site.store / before).rename(site.store / after)
    report = site.rescan()
    assert (report.added, report.removed, report.changed, report.renamed) == (0, 0, 0, 1)
    site.rescan(full=True)  # and so it stays
    assert contents(site.runtime) == shown
    assert {state.path: state.changed for state, _selection in site.runtime.read(lookup.list_feeds)} == changed
    site.write(after, **written, body="An edit.")
    assert (site.rescan().changed, len(articles(site))) == (1, 2)
    (site.store / after).rename(site.store / before)
    site.rescan()
    assert articles(site).keys() == {row.id for row in shown["articles"]}, "nor on the way back"


def test_a_name_in_another_case_is_not_taken_from_a_file_that_is_there(site: Any) -> None:
    for name in ("Hello.md", "hello.md"):
        site.write(name, id=..., permalink=..., title=name)
    site.rescan()
    assert articles(site) == {"Hello": "Hello.md", "hello": "hello.md"}
    (site.store / "Hello.md").unlink()
    site.write("hello.md", id=..., permalink=..., title="edited")
    site.rescan()
    assert articles(site) == {"hello": "edited"}


def test_an_id_that_is_written_counts_whatever_the_name_was(site: Any) -> None:
    site.write("Hello.md", id="one", permalink=...)
    site.rescan()
    (site.store / "Hello.md").unlink()
    site.write("hello.md", id="two", permalink=...)
    assert (site.rescan().added, set(articles(site))) == (1, {"two"})


def test_the_number_of_what_is_ignored_is_reported_also_where_nothing_changed(site: Any) -> None:
    for name in ("1.md", ".2.md", "._1.md", "1.md~", "#1.md#", ".git/1.md", "__MACOSX/1.md"):
        site.write(name, title="Hidden")
    assert (site.rescan().ignored, site.rescan().ignored) == (6, 6)
    assert articles(site) == {"1": "Hidden"} and quarantine(site) == {}


def test_a_file_renamed_over_another_replaces_it(site: Any) -> None:
    site.write("1.md", title="一")
    site.write("2.md", title="二")
    site.rescan()
    (site.store / "1.md").rename(site.store / "2.md")
    report = site.rescan()
    assert articles(site) == {"1": "一"} and quarantine(site) == {}
    assert (report.renamed, report.removed) == (1, 1)


def test_a_touched_file_is_read_and_changes_nothing(site: Any, reads: list[str]) -> None:
    path = site.write("1.md")
    site.rescan()
    before = contents(site.runtime)
    reads.clear()
    os.utime(path, (1_740_000_000, 1_740_000_000))
    report = site.rescan()
    assert reads == ["1.md"] and (report.changed, report.feeds_changed, report.unchanged) == (0, 0, 1)
    assert contents(site.runtime) == before
    reads.clear()
    site.rescan()
    assert reads == []


def test_an_edit_that_keeps_size_and_time_is_seen_by_the_change_time(site: Any) -> None:
    path = site.write("1.md", title="甲")
    site.rescan()
    status = path.stat()
    path.write_text(path.read_text("utf-8").replace("甲", "乙"), "utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    site.rescan()
    assert articles(site) == {"1": "乙"}


def test_a_file_that_may_still_be_being_written_is_read_once_more(site: Any, reads: list[str]) -> None:
    path = site.write("1.md")
    os.utime(path, (site.now, site.now))
    site.rescan(now=site.now + 1)
    site.rescan(now=site.now + 30)
    site.rescan(now=site.now + 60)
    assert reads == ["1.md", "1.md"]


def test_an_article_that_becomes_a_draft_is_withdrawn(site: Any) -> None:
    site.write("1.md")
    site.rescan()
    site.write("1.md", draft=True)
    assert site.rescan().removed == 1
    assert articles(site) == {} and quarantine(site) == {} and terms(site) == {}
    site.write("1.md")
    assert site.rescan().added == 1


def test_a_new_id_in_a_file_is_a_new_article(site: Any) -> None:
    site.write("1.md", id=1)
    site.rescan()
    site.write("1.md", id=2)
    report = site.rescan()
    assert set(articles(site)) == {"2"} and (report.added, report.removed) == (1, 1)


# -- ids ---------------------------------------------------------------------


def test_of_new_files_with_one_id_the_first_by_path_is_published(site: Any) -> None:
    site.write("b.md", id=1, title="乙")
    site.write("a.md", id=1, title="甲")
    site.rescan()
    assert articles(site) == {"1": "甲"}
    assert quarantine(site) == {"b.md": "id 1 is already used by a.md"}


def test_what_is_published_keeps_its_id_against_a_newcomer(site: Any) -> None:
    site.write("b.md", id=1, title="乙")
    site.rescan()
    site.write("a.md", id=1, title="甲")
    site.rescan()
    assert articles(site) == {"1": "乙"} and set(quarantine(site)) == {"a.md"}
    site.write("b.md", id=1, title="乙二")
    site.rescan()
    assert articles(site) == {"1": "乙二"} and set(quarantine(site)) == {"a.md"}


def test_when_the_first_of_two_with_one_id_goes_the_other_takes_over(site: Any) -> None:
    site.write("a.md", id=1, title="甲", tags=["甲"])
    site.write("b.md", id=1, title="乙", tags=["乙"])
    site.rescan()
    (site.store / "a.md").unlink()
    site.rescan()
    assert articles(site) == {"1": "乙"} and quarantine(site) == {} and terms(site) == {"乙": 1}


def test_when_the_first_of_two_with_one_id_takes_another_the_other_takes_over(site: Any) -> None:
    site.write("b.md", id=1, title="乙")
    site.rescan()
    site.write("a.md", id=1, title="甲")
    site.rescan()
    site.write("b.md", id=2, title="乙")
    site.rescan()
    assert articles(site) == {"1": "甲", "2": "乙"} and quarantine(site) == {}


def test_two_files_can_swap_their_ids_in_one_rescan(site: Any) -> None:
    site.write("a.md", id=1, title="甲", tags=["甲"])
    site.write("b.md", id=2, title="乙", tags=["乙"])
    site.rescan()
    site.write("a.md", id=2, title="甲", tags=["甲"])
    site.write("b.md", id=1, title="乙", tags=["乙"])
    site.rescan()
    assert articles(site) == {"2": "甲", "1": "乙"} and quarantine(site) == {} and terms(site) == {"甲": 1, "乙": 1}


def test_files_can_swap_their_names_and_hand_their_ids_round(site: Any) -> None:
    for name, id in (("a", 1), ("b", 2), ("c", 3)):
        site.write(f"{name}.md", id=id, title=name)
    site.rescan()
    for name, other in (("a", "x"), ("b", "a"), ("c", "b"), ("x", "c")):
        (site.store / f"{name}.md").rename(site.store / f"{other}.md")
    site.rescan()
    assert articles(site) == {"1": "a", "2": "b", "3": "c"} and quarantine(site) == {}
    for name, id in (("a", 3), ("b", 1), ("c", 2)):
        site.write(f"{name}.md", id=id, title=name)
    site.rescan()
    assert articles(site) == {"3": "a", "1": "b", "2": "c"} and quarantine(site) == {}


def test_a_file_that_claims_anothers_id_keeps_its_own_last_version_published(site: Any) -> None:
    site.write("a.md", id=1, title="甲")
    site.write("b.md", id=2, title="乙")
    site.rescan()
    site.write("a.md", id=2, title="甲二")
    site.rescan()
    assert articles(site) == {"1": "甲", "2": "乙"} and set(quarantine(site)) == {"a.md"}
    site.write("b.md", id=3, title="乙")
    site.rescan()
    assert articles(site) == {"2": "甲二", "3": "乙"} and quarantine(site) == {}


def test_a_link_to_an_article_does_not_publish_it_twice(site: Any) -> None:
    site.write("b.md", id=1)
    (site.store / "a.md").symlink_to("b.md")
    site.rescan()
    assert set(articles(site)) == {"1"} and len(quarantine(site)) == 1


# -- quarantine --------------------------------------------------------------

BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "half-written": (lambda good: good[:60], "half-written"),
    "empty": (lambda good: b"", "no front matter"),
    "not UTF-8": (lambda good: good.replace("标题".encode(), b"\xb1\xea"), "not UTF-8"),
    "not YAML": (lambda good: good.replace(b"\ntitle: ", b"\ntitle: @"), "not YAML"),
    "oversized": (lambda good: good + b"x" * 1024 * 1024, "larger than 1048576 bytes"),
    "nested": (lambda good: good + b"<div>" * 5000, "nested deeper"),
}


@pytest.mark.parametrize("damage", list(BROKEN))
def test_a_file_that_cannot_be_used_is_listed_and_its_last_good_version_stays(site: Any, damage: str) -> None:
    breaking, reason = BROKEN[damage]
    good = site.write("1.md", title="标题").read_bytes()
    site.write("2.md", title="旧")
    site.rescan()
    before = articles(site)
    site.write("1.md", breaking(good))
    site.write("2.md", title="新")
    site.write("3.md", breaking(good))
    report = site.rescan()
    assert report.quarantined == 2 and articles(site) == before | {"2": "新"}
    assert {path: reason in text for path, text in quarantine(site).items()} == {"1.md": True, "3.md": True}
    site.write("1.md", good.replace("标题".encode(), "修好".encode()))
    (site.store / "3.md").unlink()
    report = site.rescan()
    assert report.quarantined == 0 and articles(site) == {"1": "修好", "2": "新"} and quarantine(site) == {}


def test_a_removed_file_leaves_quarantine_and_takes_its_last_good_version_along(site: Any) -> None:
    site.write("1.md")
    site.rescan()
    site.write("1.md", b"---\n")
    site.rescan()
    assert set(articles(site)) == {"1"}
    (site.store / "1.md").unlink()
    site.write("2.md")
    site.rescan()
    assert set(articles(site)) == {"2"} and quarantine(site) == {}


def test_a_broken_file_is_not_read_again_until_it_changes(site: Any, reads: list[str]) -> None:
    site.write("1.md", b"---\n")
    site.rescan()
    reads.clear()
    site.rescan()
    assert reads == [] and set(quarantine(site)) == {"1.md"}


def test_the_place_of_a_fault_is_a_line_and_a_column_of_the_file(site: Any) -> None:
    site.write("1.md", "---\ntitle: x\nauthor: [a, b\ntags: []\n---\n")
    site.rescan()
    [problem] = site.runtime.read(queries.list_problems)
    assert (problem.path, problem.line, problem.column) == ("1.md", 4, 5)


def test_the_size_limit_is_a_setting(site: Any) -> None:
    site.write("1.md", body="x" * 5000)
    site.rescan()
    site.settle("site.yaml", max_file_bytes=4096)
    assert site.rescan().quarantined == 1
    assert set(articles(site)) == {"1"}, "its last good version stays"
    site.settle("site.yaml", max_file_bytes=8192)
    assert site.rescan().quarantined == 0


def _parse_here(
    settings: parse_settings.ParseSettings, paths: list[str], now: int, _workers: int | None, dates: dict[str, parse.FileDates]
) -> Iterator[list[parse.ParsedFile]]:
    yield [parse.parse_file(settings, path, now * 10**9, dates.get(path, parse.UNDATED)) for path in paths]


@pytest.fixture
def open_site(new_site: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A site that another user can use, too: permission bits mean nothing to root, so the tests become someone else."""
    folder = Path(tempfile.mkdtemp(prefix="feeds-test-"))
    made = type(new_site())(folder / "site")
    nobody = 65534
    warm = parse_settings.ParseSettings("", "Asia/Shanghai", 99)
    parse.parse_article(warm, "1.md", b"---\ntitle: a\n---\n", 0, now=1)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, nobody, nobody)
        os.seteuid(nobody)
    # Nobody might not be allowed to read Python's library, so not to start a process either.
    monkeypatch.setattr(PARSERS, "parse_all", _parse_here)
    try:
        made.reopen()
        yield made
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        made.close()
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                path.chmod(0o700)
        shutil.rmtree(folder)


def test_an_unreadable_file_is_listed_and_its_last_good_version_stays(open_site: Any) -> None:
    site = open_site
    path = site.write("1.md", title="一")
    site.write("2.md", title="二")
    site.rescan()
    path.chmod(0)
    site.write("2.md", title="二新")
    site.rescan()
    assert articles(site) == {"1": "一", "2": "二新"}
    assert quarantine(site) == {"1.md": "cannot be read: Permission denied"}
    path.chmod(0o600)
    site.rescan()
    assert quarantine(site) == {} and set(articles(site)) == {"1", "2"}


def test_articles_of_an_unreadable_folder_stay_published(open_site: Any) -> None:
    site = open_site
    site.write("a/1.md", title="一")
    site.write("a/deep/2.md", title="二")
    site.write("b/3.md", title="三")
    site.rescan()
    (site.store / "a").chmod(0)
    (site.store / "b" / "3.md").unlink()
    report = site.rescan()
    assert report.removed == 1 and articles(site) == {"1": "一", "2": "二"}
    assert quarantine(site) == {"a/": "cannot be read: Permission denied"}
    (site.store / "a").chmod(0o700)
    site.rescan()
    assert quarantine(site) == {} and articles(site) == {"1": "一", "2": "二"}


def test_an_unreadable_store_keeps_the_catalog(open_site: Any) -> None:
    site = open_site
    site.write("1.md")
    site.rescan()
    site.store.chmod(0)
    with pytest.raises(StoreError):
        site.rescan()
    site.store.chmod(0o700)
    assert set(articles(site)) == {"1"}


def test_a_missing_store_keeps_the_catalog_and_says_so(site: Any) -> None:
    site.write("1.md")
    site.rescan()
    before = contents(site.runtime)
    site.store.rename(site.root / "elsewhere")
    with pytest.raises(StoreError, match="no such folder"):
        site.rescan()
    assert "no such folder" in site.runtime.read(health.catalog_status)["rescan_fault"]
    assert contents(site.runtime) == before
    (site.root / "elsewhere").rename(site.store)
    report = site.rescan()
    assert (report.removed, report.added) == (0, 0) and site.runtime.read(health.catalog_status)["rescan_fault"] == ""


def test_links_and_names_that_cannot_be_used_are_listed_beside_good_files(site: Any) -> None:
    site.write("1.md")
    (site.root / "secret.md").write_text("---\ntitle: secret\n---\n")
    (site.store / "link.md").symlink_to("../secret.md")
    with open(os.fsencode(site.store) + b"/\xd6\xd0.md", "w") as file:
        file.write("x")
    report = site.rescan()
    assert report.quarantined == 2 and set(quarantine(site)) == {"link.md", "\\xd6\\xd0.md"} and set(articles(site)) == {"1"}
    assert site.rescan().quarantined == 2
    (site.store / "link.md").unlink()
    Path(os.fsdecode(os.fsencode(site.store) + b"/\xd6\xd0.md")).unlink()
    assert site.rescan().quarantined == 0 and quarantine(site) == {}


def test_an_article_replaced_by_a_link_out_of_the_store_is_withdrawn(site: Any) -> None:
    path = site.write("1.md")
    site.rescan()
    path.unlink()
    path.symlink_to("/etc/passwd")
    site.rescan()
    assert articles(site) == {} and set(quarantine(site)) == {"1.md"}


# -- terms -------------------------------------------------------------------


def test_spellings_that_differ_by_case_are_one_term_in_the_commonest_spelling(site: Any) -> None:
    for number, tag in enumerate(["UBUNTU", "Ubuntu", "Ubuntu", "ubuntu"]):
        site.write(f"{number}.md", tags=[tag])
    site.rescan()
    assert terms(site) == {"Ubuntu": 4}
    with site.runtime.reading() as connection:
        articles = queries.select(connection, Site(), queries.Clauses(), Window(9))
    assert {term.name for article in articles for term in article.of("tag")} == {"Ubuntu"}


def test_a_feed_keeps_its_id_when_another_spelling_becomes_commonest(site: Any) -> None:
    def id_and_path() -> tuple[str, str]:
        with site.runtime.reading() as connection:
            [known] = queries.terms_of(connection, "tag")
        document = site.runtime.read(lookup.find_document, site.runtime.edition(), known.term.path, load_formats()["atom"])
        assert f"<id>tag:linux.cn,2003:{known.feed_path}</id>".encode() in document.body
        assert known.term.name.encode() in document.body
        return known.feed_path, known.term.path

    site.write("1.md", tags=["GNOME"])
    site.rescan()
    assert id_and_path() == ("tags/GNOME", "tags/GNOME")
    site.write("2.md", tags=["Gnome"])
    site.rescan()
    assert id_and_path() == ("tags/GNOME", "tags/GNOME"), "on equal counts the present spelling stays"
    site.write("3.md", tags=["Gnome"])
    site.rescan()
    assert id_and_path() == ("tags/GNOME", "tags/Gnome")
    assert {row.path for row, _ in site.runtime.read(lookup.list_feeds)} >= {"tags/Gnome"}
    assert "tags/GNOME" not in {row.path for row, _ in site.runtime.read(lookup.list_feeds)}
    for number in (1, 2, 3):
        (site.store / f"{number}.md").unlink()
    site.rescan()
    site.write("4.md", tags=["gnome"])
    site.rescan()
    assert id_and_path()[0] == "tags/GNOME", "a term that comes back is the feed it was"


def test_articles_untouched_by_a_new_spelling_still_show_it(site: Any) -> None:
    site.write("1.md", tags=["GNOME", "桌面"])
    site.rescan()
    before = {row.path: row.digest for row, _ in site.runtime.read(lookup.list_feeds)}
    site.write("2.md", tags=["Gnome"])
    site.write("3.md", tags=["Gnome"])
    site.rescan()
    after = {row.path: row.digest for row, _ in site.runtime.read(lookup.list_feeds)}
    assert before["tags/桌面"] != after["tags/桌面"], "the feed of another tag shows the article's categories"
    document = site.runtime.read(lookup.find_document, site.runtime.edition(), "tags/桌面", load_formats()["json"])
    assert b"Gnome" in document.body and b"GNOME" not in document.body


@pytest.mark.parametrize("later", ["first", "all renamed", "all go"])
def test_the_statements_of_a_rescan_are_as_many_for_hundreds_of_terms_as_for_a_few(new_site: Any, later: str) -> None:
    counts = []
    for terms in (5, 400):
        site = new_site()
        site.settle("feeds.yaml", facets={"tag": {"min_articles": 1000}, "translator": {"min_articles": 1000}})
        for number in range(40):
            site.write(
                f"{number}.md", tags=[f"tag {number * 10 % terms + one}" for one in range(10)], translator=f"t{number % terms}"
            )
        if later != "first":
            site.rescan()
            for number in range(39):
                tags = [f"TAG {number * 10 % terms + one}" for one in range(10)]
                site.write(f"{number}.md", tags=tags) if later == "all renamed" else (site.store / f"{number}.md").unlink()
        note = mock.Mock()
        sa.event.listen(site.runtime.engine, "before_cursor_execute", note)
        report = site.rescan(accept_removals=True)
        assert (report.added, report.changed, report.removed) == {"first": (40, 0, 0), "all renamed": (0, 39, 0)}.get(
            later, (0, 0, 39)
        )
        counts.append(note.call_count)
    assert counts[1] <= counts[0] + 10, counts


def test_aliases_rejoin_terms_without_reading_a_file(site: Any, reads: list[str]) -> None:
    site.write("1.md", tags=["K8s", "云"])
    site.write("2.md", tags=["k8S"])
    site.write("3.md", tags=["Kubernetes", "K8s"])
    site.rescan()
    assert terms(site) == {"K8s": 3, "云": 1, "Kubernetes": 1}
    reads.clear()
    site.settle("feeds.yaml", aliases={"tag": {"k8s": "Kubernetes"}})
    site.rescan()
    assert terms(site) == {"Kubernetes": 3, "云": 1} and reads == []
    with site.runtime.reading() as connection:
        articles = queries.select(connection, Site(), queries.Clauses(), Window(9))
    found = {article.id: [term.name for term in article.of("tag")] for article in articles}
    assert found == {"1": ["Kubernetes", "云"], "2": ["Kubernetes"], "3": ["Kubernetes"]}
    site.write("3.md", tags=["K8S"])
    site.rescan()
    assert terms(site) == {"Kubernetes": 3, "云": 1}
    site.settle("feeds.yaml", aliases={})
    site.rescan()
    assert {name.lower(): count for name, count in terms(site).items()} == {"k8s": 3, "云": 1}


def test_an_alias_gives_a_term_the_operators_own_spelling(site: Any) -> None:
    site.write("1.md", tags=["UBUNTU"])
    site.write("2.md", tags=["UBUNTU"])
    site.settle("feeds.yaml", aliases={"tag": {"UBUNTU": "Ubuntu"}})
    site.rescan()
    assert terms(site) == {"Ubuntu": 2}


def test_several_people_in_one_field_have_a_feed_each(site: Any) -> None:
    site.write("1.md", translator="wxy, pityonline")
    site.write("2.md", translator="wxy")
    site.rescan()
    assert terms(site, "translator") == {"wxy": 2, "pityonline": 1}


# -- settings ----------------------------------------------------------------


def test_a_setting_that_decides_how_files_read_reads_them_anew(site: Any, reads: list[str]) -> None:
    site.write("1.md", date="2020-01-02 03:04:05")
    site.rescan()
    reads.clear()
    site.settle("site.yaml", timezone="UTC")
    assert site.rescan().changed == 1 and reads == ["1.md"]


def test_a_setting_that_feeds_show_changes_them_without_reading_a_file(site: Any, reads: list[str]) -> None:
    site.write("1.md")
    site.rescan()
    reads.clear()
    site.settle("site.yaml", title="另一个名字")
    assert site.rescan().feeds_changed == 2 and reads == []
    site.settle("site.yaml", rescan_seconds=5)
    generation = site.runtime.read(editions.load_generation)
    assert site.rescan().feeds_changed == 0
    assert (
        site.runtime.edition().config.site.rescan_seconds == 5 and site.runtime.read(editions.load_generation) == generation + 1
    )


def test_a_bad_edit_keeps_the_last_good_configuration_even_after_a_restart(site: Any) -> None:
    site.write("1.md")
    site.rescan()
    site.set("site.yaml", "title: 新\nstore: articles\nrescan_seconds: soon\n")
    site.write("2.md")
    report = site.rescan()
    assert report.articles == 2
    assert site.runtime.edition().config.site.title == "Linux 中国"
    assert f"{site.config_dir}/site.yaml:3:17: rescan_seconds" in site.runtime.read(health.catalog_status)["config_fault"]
    site.reopen()
    site.write("3.md")
    assert site.rescan().articles == 3
    assert site.runtime.edition().config.site.title == "Linux 中国"
    assert "site.yaml:3:17" in site.runtime.read(health.catalog_status)["config_fault"]
    site.set("site.yaml", "title: 新\nstore: articles\n")
    site.rescan()
    assert site.runtime.edition().config.site.title == "新" and site.runtime.read(health.catalog_status)["config_fault"] == ""


def test_without_any_good_configuration_a_rescan_is_refused(site: Any) -> None:
    site.set("site.yaml", "titel: x\n")
    with pytest.raises(ConfigError, match=r"site\.yaml:1:1: titel: unknown setting"):
        site.rescan()


# -- persistence -------------------------------------------------------------


def test_a_restart_serves_the_catalog_without_the_store(site: Any) -> None:
    for number in range(20):
        site.write(f"{number}.md", tags=["Linux", f"t{number % 3}"])
    site.rescan()
    before = contents(site.runtime)
    shutil.rmtree(site.store)
    assert contents(site.reopen()) == before


def test_feeds_remember_when_they_last_changed(site: Any) -> None:
    site.write("1.md", tags=["一"])
    site.write("2.md", tags=["二"])
    site.rescan(now=1_770_000_000)
    site.write("2.md", tags=["二"], title="新")
    site.rescan(now=1_770_000_100)
    site.reopen()
    changed = {row.path: row.changed for row, _ in site.runtime.read(lookup.list_feeds)}
    assert (changed["tags/一"], changed["tags/二"], changed["all"]) == (1_770_000_000, 1_770_000_100, 1_770_000_100)


PROGRAM = """
import sys, time
from pathlib import Path
from feeds.config.environment import Environment
from feeds.rescan import RescanOptions, rescan
from feeds.runtime import Runtime
runtime = Runtime(Environment.read(Path(sys.argv[1]), {}))
runtime.prepare()
print("ready", flush=True)
options = RescanOptions(workers=int(sys.argv[2]))
print(rescan(runtime.engine, runtime.environment, options, now=int(time.time())).articles, flush=True)
"""


def start(site: Any, workers: int = 1) -> subprocess.Popen[str]:
    """A rescan in a process of its own, in a session of its own."""
    command = [sys.executable, "-c", PROGRAM, str(site.config_dir), str(workers)]
    return forking.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def fill(site: Any, text_of: Any, count: int, title: str) -> None:
    plain = text_of("1.md", id=999_999, tags=["TAG", "Linux"], title="TITLE", body="正文，**强调**。\n\n" * 40)
    for number in range(count):
        text = plain.replace("999999", str(number)).replace("TAG", f"t{number % 50}").replace("TITLE", f"{title} {number}")
        path = site.store / f"{number % 20}" / f"{number}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


def test_a_rescan_killed_at_any_moment_leaves_the_old_catalog_or_the_new_one(site: Any, text_of: Any) -> None:
    count = 900
    fill(site, text_of, 300, "旧")
    site.rescan(now=int(time.time()) + 10)
    old = {str(number): f"旧 {number}" for number in range(300)}
    fill(site, text_of, count, "新")
    new = {str(number): f"新 {number}" for number in range(count)}
    site.runtime.close()
    whole = time.monotonic()
    chance = random.Random(7)
    killed = 0
    for attempt in range(5):
        process = start(site, workers=1 + attempt % 2)
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 1.2))
        killed += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.communicate()
        site.reopen()
        found = articles(site)
        assert found in (old, new)
        with site.runtime.reading() as connection:
            if connection.dialect.name == "sqlite":
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            recount = dict(
                connection.exec_driver_sql("SELECT term_key, COUNT(*) FROM memberships GROUP BY term_key").fetchall()
            )
            counted = dict(connection.exec_driver_sql("SELECT key, articles FROM terms WHERE articles > 0").fetchall())
        assert recount == counted
        site.runtime.close()
        if found == new:
            break
        assert time.monotonic() - whole < 60
    assert killed, "no rescan was caught in the middle"
    process = start(site)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, f"ready\n{count}\n"), err
    site.reopen()
    assert articles(site) == new
    assert site.rescan().changed == 0


def test_readers_of_a_killed_rescan_do_not_stay_behind(site: Any, text_of: Any) -> None:
    fill(site, text_of, 1500, "一")
    process = start(site, workers=2)
    assert process.stdout and process.stdout.readline() == "ready\n"
    children: list[int] = []
    deadline = time.monotonic() + 20
    while len(children) < 2 and process.poll() is None and time.monotonic() < deadline:
        children = _children(process.pid)
        time.sleep(0.01)
    assert process.poll() is None and len(children) >= 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 15
    while any(_alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = [child for child in children if _alive(child)]
    for child in left:
        os.kill(child, signal.SIGKILL)
    assert left == []


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{process}/task").glob("*/children")
        return [int(child) for children in tasks for child in children.read_text().split()]
    return []


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_rescans_at_once_make_one_catalog_and_no_error(site: Any, new_site: Any, text_of: Any) -> None:
    fill(site, text_of, 450, "一")
    running = [start(site), start(site), start(site, workers=2)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "ready\n450\n"), err
    other = new_site(store=str(site.store))
    other.rescan(now=int(time.time()) + 10)
    assert contents(site.runtime) == contents(other.runtime)


def test_reading_goes_on_while_a_rescan_writes(site: Any) -> None:
    site.write("1.md", title="旧")
    site.rescan()
    before = contents(site.runtime)
    with database.writing(site.runtime.engine) as connection:
        connection.execute(sa.update(tables.articles).values(title="halfway"))
        assert contents(site.runtime) == before
        connection.rollback()


def test_files_read_in_processes_give_the_same_catalog(site: Any, new_site: Any, text_of: Any) -> None:
    fill(site, text_of, 450, "一")
    other = new_site(store=str(site.store))
    later = int(time.time()) + 10
    seen: list[tuple[int, int]] = []
    site.rescan(now=later, workers=1)
    other.rescan(now=later, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert contents(site.runtime) == contents(other.runtime)
    assert seen[-1] == (450, 450) and seen == sorted(seen)


def test_the_report_of_the_last_rescan_can_be_asked_for(site: Any) -> None:
    site.write("1.md")
    report = site.rescan(now=1_770_000_000)
    status = site.reopen().read(health.catalog_status)
    assert status["rescan"]["at"] == 1_770_000_000 and status["rescan"]["added"] == report.added == 1
    json.dumps(status)


# -- what a change of the settings reads again -----------------------------------

#: Another value of every setting, and what of a store is read again for it: "all" files or "none".
OTHER: dict[str, dict[str, tuple[Any, str]]] = {
    "site.yaml": {
        "title": ("Other", "none"),
        "description": ("Other", "none"),
        "base_url": ("http://other.example", "none"),
        "service_url": ("http://other.example", "none"),
        "article_url": ("https://other.example/{id}", "none"),
        "image_url": ("https://other.example/a", "none"),
        "id_authority": ("other.example,2020", "none"),
        "timezone": ("UTC", "all"),
        "language": ("en", "none"),
        "rights": ("CC0", "none"),
        "icon": ("https://other.example/i.png", "none"),
        "logo": ("https://other.example/l.png", "none"),
        "store": ("copy", "all"),
        "rescan_seconds": (60, "none"),
        "max_file_bytes": (4096, "all"),
        "files": ({"publish": False}, "all"),
        "parser": ({"seconds": 9, "megabytes": 256}, "none"),
        "removal": ({"percent": 1, "articles": 1}, "none"),
        "store_git": ({"every_seconds": 9, "timeout_seconds": 9}, "none"),
        "workers": (True, "none"),
        "trusted_proxies": (["private"], "none"),
        "limits": ({"documents": 7}, "none"),
        "audience_days": (7, "none"),
        "security_contact": ("mailto:a@example.org", "none"),
        "metrics": ("public", "none"),
    },
    "feeds.yaml": {
        "content": ("summary", "none"),
        "ttl_minutes": (7, "none"),
        "max_bytes": (10000, "none"),
        "archives": (False, "none"),
        "brotli_archives": (True, "none"),
        "source_markdown": (True, "none"),
        "export_markdown": (True, "none"),
        "facets": ({"author": {"limit": 1, "archive": "none"}, "tag": {"enabled": False}}, "none"),
        "all": ({"limit": 1, "archive": "year"}, "none"),
        "select": ({"enabled": False}, "none"),
        "aliases": ({"tag": {"Linux": "Kernel"}}, "none"),
        "moved": ({"tags/K8s": "tags/Linux"}, "none"),
        "gone": (["tags/Linux"], "none"),
        "websub": ({"hub": "none"}, "none"),
        "feeds": ([{"name": "n", "title": "N", "select": {"tag": ["Linux"]}}], "none"),
    },
    "newsletter.yaml": {
        "enabled": (False, "none"),
        "from": ("Other <a@example.org>", "none"),
        "reply_to": ("a@example.org", "none"),
        "confirmations_from": ("a@example.org", "none"),
        "postal_address": ("Other", "none"),
        "list_id": ("list.example.org", "none"),
        "unsubscribe_mailto": ("a@example.org", "none"),
        "transport": ("smtp", "none"),
        "maildir": ("var/other", "none"),
        "frequencies": ({"daily": "08:00"}, "none"),
        "max_articles": (7, "none"),
        "late_hours": (7, "none"),
        "on_uncertain": ("resend", "none"),
        "rate": (7, "none"),
        "domain_rate": (7, "none"),
        "connections": (7, "none"),
        "messages_per_connection": (7, "none"),
        "retry_hours": (7, "none"),
        "max_errors": (7, "none"),
        "confirm_hours": (7, "none"),
        "signup": ({"per_minute": 7}, "none"),
        "bounces": ({"soft_limit": 7}, "none"),
        "dkim": ({"domain": "example.org"}, "none"),
    },
}


def test_every_setting_has_another_value_here() -> None:
    for settings in (Site, FeedSettings, Newsletter):
        assert [field.alias or name for name, field in settings.model_fields.items()] == list(OTHER[settings.file]), (
            "also a new one"
        )


@pytest.mark.parametrize("file", OTHER)
def test_a_change_reads_files_only_where_they_would_be_read_otherwise(site: Any, reads: list[str], file: str) -> None:
    for number in range(1, 4):
        site.write(f"{number}.md", body="[a](/b)", pic="/x.png")
    shutil.copytree(site.store, site.root / "copy")
    site.rescan()
    for name, (value, read) in OTHER[file].items():
        before = (site.config_dir / file).read_text() if (site.config_dir / file).exists() else ""
        site.set(file, before)
        site.settle(file, **{name: value})
        reads.clear()
        site.rescan()
        assert sorted(reads) == {"all": ["1.md", "2.md", "3.md"], "none": []}[read], name
        assert site.runtime.read(queries.list_problems) == []
        site.set(file, before)
        site.rescan()


MOVED = {
    "base_url": "http://other.example:8080",
    "article_url": "https://other.example/a/b/{id}/{permalink}",
    "image_url": "https://pictures.example/base",
}


@pytest.mark.parametrize("names", [["base_url"], ["image_url"], ["article_url"], [*MOVED]], ids=str)
def test_a_site_that_moved_shows_what_one_shows_that_was_always_there(
    new_site: Any, reads: list[str], site: Any, names: list[str]
) -> None:
    moved = {name: MOVED[name] for name in names}
    there = new_site(**moved)
    for number, body in enumerate(
        ["[a](/b) [b](c) [c](../d) [d](#e) [e](?f)", "![a](/b.png) ![b](c.png) [c](//h.example:80/d)", "x"]
    ):
        for one in (site, there):
            one.write(f"{number}.md", body=body, largepic=["/a.png", "b.png", "https://h.example/c.png"][number])
            one.write(f"page/1{number}.md", permalink="", body=body, fromurl="https://other.example/x")
    site.rescan()
    before = {row.id: row for row in contents(site.runtime)["articles"]}
    rows = kept_rows(site)
    reads.clear()
    site.settle("site.yaml", **moved)
    report = site.rescan()
    assert reads == [] and report.changed == 0 and report.feeds_changed > 0 and kept_rows(site) == rows
    there.rescan()
    now = contents(site.runtime)
    assert now == contents(there.runtime)
    assert any((row.url, row.html) != (before[row.id].url, before[row.id].html) for row in now["articles"])


def kept_rows(site: Any) -> list[tuple[Any, ...]]:
    """The rows of all articles."""
    with site.runtime.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.select(tables.articles).order_by(tables.articles.c.key))]


def test_articles_of_an_older_program_show_the_same_and_keep_what_subscribers_go_by(site: Any) -> None:
    """It kept whole addresses. Until the first rescan, and where that cannot read a file, these are shown."""
    site.settle("site.yaml", article_url="")
    for number in range(1, 4):
        site.write(f"{number}.md", body="[a](/b) [c](#d) ![e](/f.png)", pic="/x.png", permalink="")
    site.rescan()
    shown, rows = contents(site.runtime), kept_rows(site)
    older = {row.id: {"url": row.url, "picture": row.picture, "content": f"older {row.id}"} for row in shown["articles"]}
    with database.writing(site.runtime.engine) as connection:
        for row in shown["articles"]:
            a, b = tables.articles, tables.bodies
            key = connection.execute(sa.select(a.c.key).where(a.c.id == row.id)).scalar()
            connection.execute(sa.update(a).where(a.c.key == key).values(older[row.id]))
            connection.execute(sa.update(b).where(b.c.article_key == key).values(html=row.html))
        connection.execute(sa.update(tables.state).where(tables.state.c.name == "parse").values(value="older"))
    assert contents(site.runtime) == shown
    assert site.rescan(now=site.now + 86_400).changed == 3
    assert contents(site.runtime) == shown
    assert kept_rows(site) == rows, "also when they came, and with which rescan"
