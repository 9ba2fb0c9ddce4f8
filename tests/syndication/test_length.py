"""A feed has a bound of bytes: what does not fit is there with its summary, in every format; a history stays whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.check import check
from feeds.syndication.documents import places_beyond
from feeds.web.app import create_app

BOUND = 20_000


@pytest.fixture
def long_site(new_site: Callable[..., Any]) -> Any:
    """Six articles of 6,000 characters; the third newest has 30,000."""
    site = new_site(base_url="http://localhost", article_url="")
    for number in range(6):
        words = f"word{number} " * (5000 if number == 3 else 1000)
        site.write(
            f"{number}.md", title=str(number), tags=["Linux"], excerpt="short", body=words, date=f"2024-01-0{number + 1}"
        )
    site.rescan()
    return site


def wholes(data: bytes, format: str) -> dict[str, bool]:
    """Title -> whether the entry has its body, newest first."""
    if format == "json":
        items = json.loads(data)["items"]
        return {item["title"]: "word" in item.get("content_html", "") for item in items}
    entries = feedparser.parse(data).entries
    return {entry.title: any("word" in part.value for part in entry.get("content", [])) for entry in entries}


@pytest.mark.parametrize("format", ["atom", "rss", "json"])
@pytest.mark.parametrize("path", ["all", "tags/Linux", "select"])
def test_older_entries_of_a_long_feed_have_their_summaries(long_site: Any, path: str, format: str) -> None:
    query = "?tag=Linux" if path == "select" else ""
    before = Client(create_app(long_site.environment)).get(f"/{path}.{format}{query}", follow_redirects=True)
    assert all(wholes(before.data, format).values())
    long_site.settle("feeds.yaml", max_bytes=BOUND)
    long_site.rescan()
    after = Client(create_app(long_site.environment)).get(f"/{path}.{format}{query}", follow_redirects=True)
    # The third by age is too long by itself; of the others so many are whole as fit.
    assert wholes(after.data, format) == {"5": True, "4": True, "3": False, "2": False, "1": False, "0": False}
    assert len(after.data) < BOUND + 4000
    assert after.headers["ETag"] != before.headers["ETag"]


def test_no_bound_and_feeds_within_theirs_change_no_byte(long_site: Any) -> None:
    before = Client(create_app(long_site.environment)).get("/all.atom")
    long_site.settle("feeds.yaml", max_bytes=0)
    long_site.rescan()
    assert Client(create_app(long_site.environment)).get("/all.atom").data == before.data


def test_a_history_stays_whole(long_site: Any) -> None:
    long_site.settle("feeds.yaml", max_bytes=BOUND, all={"limit": 2, "archive": "month"})
    long_site.rescan()
    archive = Client(create_app(long_site.environment)).get("/all/archive/2024-01.atom")
    assert wholes(archive.data, "atom") == dict.fromkeys("543210", True)


def test_check_says_which_feeds_are_too_long(long_site: Any) -> None:
    assert not [one for one in check(long_site.environment).problems if "max_bytes" in one.reason]
    long_site.settle("feeds.yaml", max_bytes=BOUND)
    (found,) = [one for one in check(long_site.environment).problems if "max_bytes" in one.reason]
    assert (found.kind, found.path) == ("hint", str(long_site.config_dir / "feeds.yaml"))
    assert "all (4 of 6)" in found.reason and "tags/Linux (4 of 6)" in found.reason


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(1, 500))
def test_what_stays_whole_fits_and_is_the_newest(lengths: list[int], bound: int) -> None:
    beyond = places_beyond(lengths, bound)
    whole = [place for place in range(len(lengths)) if place not in beyond]
    assert sum(lengths[place] for place in whole) <= bound
    first = next((place for place in beyond if lengths[place] <= bound), len(lengths))
    assert all(lengths[place] == 0 for place in whole if place > first), "what is older than one that did not fit"
    assert first == len(lengths) or sum(lengths[place] for place in whole) + lengths[first] > bound
