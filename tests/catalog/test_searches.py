"""What searches find: rows of `cases/searches.yaml`, the same on SQLite and PostgreSQL (`--database`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from feeds.syndication.searches import SearchCache, search_page

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "searches.yaml").read_text("utf-8"))


@pytest.fixture
def library(new_site: Callable[..., Any], prepared: Callable[..., Any]) -> Any:
    return new_site(prepared(fill))


def fill(site: Any) -> None:
    for row in CASES["articles"]:
        fields = {name: value for name, value in row.items() if name not in ("id", "date", "summary")}
        summary = row.get("summary", "无")
        fields = {"tags": [], "translator": "", "author": "", **fields, "summary": summary, "excerpt": summary}
        site.write(f"{row['id']}.md", date=f"{row['date']} 08:00:00", **fields)
    site.rescan()


@pytest.mark.parametrize("row", CASES["searches"], ids=lambda row: f"{row['q']} {row.get('filters', '')}".strip())
def test_a_search_finds_these_articles_in_this_order(library: Any, row: dict[str, Any]) -> None:
    config = library.runtime.edition().config
    found = library.runtime.read(search_page, config, row["q"], row.get("filters", {}), 1, SearchCache())
    assert [hit.article.id for hit in found.hits] == row["found"]
    assert found.total == len(row["found"]) and found.meant == row.get("meant", "")


def test_a_change_is_found_and_what_is_gone_is_not(library: Any) -> None:
    def search(text: str) -> list[str]:
        config = library.runtime.edition().config
        page = library.runtime.read(search_page, config, text, {}, 1, SearchCache())
        return [hit.article.id for hit in page.hits]

    library.write(
        "title.md", title="另一个题目", body="没有了", summary="无", excerpt="无", date="2018-01-01 08:00:00", tags=[]
    )
    (library.store / "body.md").unlink()
    library.write("new.md", title="新内核", body="x", summary="无", excerpt="无", date="2022-01-01 08:00:00", tags=[])
    library.rescan()
    assert search("内核") == ["new", "tag", "summary", "body-older"] and search("题目") == ["title"]
