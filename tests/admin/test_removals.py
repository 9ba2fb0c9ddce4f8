"""Articles whose files are gone: the console says so, and lets them go when told to."""

from __future__ import annotations

from typing import Any

import pytest

from feeds.monitoring import health
from tests.admin.conftest import Operator


@pytest.fixture
def emptied(operator: Operator) -> Operator:
    operator.site.store.rename(operator.site.root / "away")
    operator.site.store.mkdir()
    operator.site.rescan()
    return operator


def test_nothing_is_asked_while_all_files_are_there(operator: Operator) -> None:
    operator.get("/")
    assert "accept-removals" not in operator.text


def test_the_overview_says_what_is_held_and_the_button_lets_it_go_with_the_next_rescan(emptied: Operator) -> None:
    emptied.get("/")
    assert "The files of 5 of 5 articles are gone" in emptied.text
    emptied.post("/accept-removals", mark=emptied.hidden("/accept-removals")["mark"])
    emptied.follow()
    assert "These articles go with the next rescan." in emptied.text and "have been let go" in emptied.text
    assert 'action="/operator/accept-removals"' not in emptied.text
    assert emptied.site.runtime.read(health.catalog_status)["articles"] == 5
    report = emptied.site.rescan()
    assert (report.articles, report.removed, report.held) == (0, 5, 0)
    assert "are gone" not in emptied.get("/").get_data(as_text=True)
    assert "Articles let go whose files are gone" in emptied.get("/log").get_data(as_text=True)


def test_only_what_the_page_showed_is_let_go(emptied: Operator) -> None:
    """Files that are back by now, or others that have gone since, are another matter."""
    emptied.get("/")
    mark = emptied.hidden("/accept-removals")["mark"]
    site: Any = emptied.site
    site.store.rmdir()
    (site.root / "away").rename(site.store)
    site.rescan()
    emptied.post("/accept-removals", mark=mark)
    emptied.follow()
    assert "Nothing was done" in emptied.text
    assert site.rescan().articles == 5


def test_files_that_go_between_the_word_and_the_rescan_stay(emptied: Operator) -> None:
    site: Any = emptied.site
    site.store.rmdir()
    (site.root / "away").rename(site.store)
    site.settle("site.yaml", removal={"percent": 20, "articles": 1})
    site.rescan()
    for id in (1, 2, 3):
        (site.store / f"{id}.md").unlink()
    assert site.rescan().held == 3
    emptied.get("/")
    emptied.post("/accept-removals", mark=emptied.hidden("/accept-removals")["mark"])
    (site.store / "4.md").unlink()
    report = site.rescan()
    assert (report.articles, report.removed, report.held) == (5, 0, 4), "the word was about three files"
    emptied.get("/")
    assert "The files of 4 of 5" in emptied.text and "have been let go" not in emptied.text


def test_the_words_are_chinese_for_whoever_reads_chinese(chinese: Operator) -> None:
    chinese.site.store.rename(chinese.site.root / "away")
    chinese.site.store.mkdir()
    chinese.site.rescan()
    chinese.get("/")
    assert "全部 5 篇文章中，有 5 篇的文件已不在文章库中" in chinese.text and "移除这些文章" in chinese.text
