"""When a feed counts as changed: exactly when its bytes do, and its time of change never goes back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feeds.feed_formats import load_formats
from feeds.syndication import lookup
from tests.examples import some

Marks = dict[str, tuple[str, int]]


def marks(site: Any) -> Marks:
    """path -> (digest, time of change) of every feed."""
    return {state.path: (state.digest, state.changed) for state, _selection in site.runtime.read(lookup.list_feeds)}


def moved(before: Marks, after: Marks) -> set[str]:
    assert all(after[path][1] > before[path][1] for path in before.keys() & after.keys() if after[path][0] != before[path][0])
    assert all(after[path][1] == before[path][1] for path in before.keys() & after.keys() if after[path][0] == before[path][0])
    return {path for path in before.keys() & after.keys() if before[path] != after[path]}


@pytest.fixture
def small(site: Any) -> Any:
    """Twelve articles, windows of three."""
    site.set("feeds.yaml", "all: {limit: 3}\nfacets: {tag: {limit: 3}, translator: {limit: 3}}\n")
    for number in range(1, 13):
        tags = ["Linux", "even" if number % 2 == 0 else "odd"]
        site.write(f"{number}.md", tags=tags, translator="geekpi", date=f"2020-01-{number:02} 00:00:00", title=f"T{number}")
    site.rescan()
    return site


# -- what moves nothing ----------------------------------------------------


def test_a_rescan_without_a_change_moves_nothing(small: Any) -> None:
    before = marks(small)
    report = small.rescan()
    assert report.feeds_changed == 0
    assert marks(small) == before


def test_a_full_rescan_of_the_same_files_moves_nothing(small: Any) -> None:
    before = marks(small)
    small.rescan(full=True)
    assert marks(small) == before


def test_a_restart_moves_nothing(small: Any) -> None:
    before = marks(small)
    small.reopen()
    small.rescan()
    assert marks(small) == before


def test_a_change_outside_the_window_moves_no_feed_but_is_kept(small: Any) -> None:
    before = marks(small)
    small.write("1.md", tags=["Linux", "odd"], translator="geekpi", date="2020-01-01 00:00:00", title="Edited")
    assert small.rescan().changed == 1
    assert moved(before, marks(small)) == set()


def test_touching_a_file_moves_nothing(small: Any) -> None:
    before = marks(small)
    small.write("12.md", tags=["Linux", "even"], translator="geekpi", date="2020-01-12 00:00:00", title="T12")
    small.rescan()
    assert marks(small) == before


def test_a_new_comment_text_moves_nothing(small: Any) -> None:
    before = marks(small)
    comments = [{"date": "2020-01-13", "message": "secret", "postip": "192.0.2.1", "username": "nick"}]
    small.write(
        "12.md", tags=["Linux", "even"], translator="geekpi", date="2020-01-12 00:00:00", title="T12", comments_data=comments
    )
    small.rescan()
    assert marks(small) == before


@pytest.mark.parametrize("setting", [{"rescan_seconds": 60}, {"max_file_bytes": 2_000_000}])
def test_a_setting_that_shows_nowhere_moves_nothing(site: Any, setting: dict[str, Any]) -> None:
    site.write("1.md", tags=["Linux"], pic="", largepic="")
    site.rescan()
    before = marks(site)
    site.settle("site.yaml", **setting)
    site.rescan()
    assert marks(site) == before


# -- what moves what -------------------------------------------------------


def test_a_new_article_moves_its_own_feeds_only(small: Any) -> None:
    before = marks(small)
    small.write("13.md", tags=["odd"], date="2020-01-13 00:00:00")
    small.rescan()
    assert moved(before, marks(small)) == {"all", "tags/odd"}


def test_an_article_taken_away_moves_its_feeds(small: Any) -> None:
    before = marks(small)
    (small.store / "12.md").unlink()
    small.rescan()
    assert moved(before, marks(small)) == {"all", "tags/Linux", "tags/even", "translators/geekpi"}


def test_a_translator_named_later_moves_the_feeds_that_show_the_article(small: Any) -> None:
    before = marks(small)
    small.write("12.md", tags=["Linux", "even"], translator="geekpi, wxy", date="2020-01-12 00:00:00", title="T12")
    small.rescan()
    assert moved(before, marks(small)) == {"all", "tags/Linux", "tags/even", "translators/geekpi"}
    assert "translators/wxy" in marks(small)


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        ("site.yaml", {"title": "Another"}),
        ("site.yaml", {"base_url": "https://another.example"}),
        ("site.yaml", {"article_url": "https://another.example{permalink}"}),
        ("site.yaml", {"image_url": "https://another.example"}),
        ("site.yaml", {"language": "en"}),
        ("site.yaml", {"rights": "CC0"}),
        ("site.yaml", {"icon": "https://i.example/i.png"}),
        ("site.yaml", {"id_authority": "another.example,2020"}),
        ("feeds.yaml", {"ttl_minutes": 5}),
        ("feeds.yaml", {"content": "summary"}),
    ],
    ids=str,
)
def test_a_setting_that_shows_everywhere_moves_every_feed(small: Any, file: str, setting: dict[str, Any]) -> None:
    before = marks(small)
    small.settle(file, **setting)
    small.rescan()
    assert moved(before, marks(small)) == set(before)


def test_a_new_limit_moves_the_feeds_that_it_lengthens(small: Any) -> None:
    before = marks(small)
    small.settle("feeds.yaml", facets={"tag": {"limit": 4}, "translator": {"limit": 3}})
    small.rescan()
    assert moved(before, marks(small)) == {"tags/Linux", "tags/even", "tags/odd"}


@pytest.mark.parametrize("facet", ["author", "selector", "reviewer"])
def test_a_facet_switched_on_moves_the_feeds_whose_people_are_linked_now(site: Any, facet: str) -> None:
    site.write("1.md", tags=["Linux"], **{"author": "", facet: "Ada"})
    site.rescan()
    before, bytes_before = marks(site), site_bytes(site)
    site.settle("feeds.yaml", facets={facet: {"enabled": True}})
    site.rescan()
    after = site_bytes(site)
    assert after["all", "json"] != bytes_before["all", "json"] or after["all", "atom"] != bytes_before["all", "atom"]
    assert {"all", "tags/Linux"} <= moved(before, marks(site))


@pytest.mark.parametrize(
    "setting",
    [{"title": "New"}, {"description": "New"}, {"content": "summary"}, {"limit": 2}, {"select": {"tag": ["odd"]}}],
    ids=str,
)
def test_a_setting_of_a_named_feed_moves_that_feed_alone(small: Any, setting: dict[str, Any]) -> None:
    named = {"name": "mine", "title": "Mine", "description": "All of them", "select": {"tag": ["Linux"]}, "limit": 3}
    small.settle("feeds.yaml", feeds=[named])
    small.rescan()
    before = marks(small)
    small.settle("feeds.yaml", feeds=[{**named, **setting}])
    small.rescan()
    assert moved(before, marks(small)) == {"feeds/mine"}


# -- time ------------------------------------------------------------------


def test_the_time_of_change_never_goes_back_with_the_clock(small: Any) -> None:
    start = marks(small)["all"]
    small.write("12.md", tags=["Linux"], date="2020-01-12 00:00:00", title="Second")
    small.rescan(now=small.now - 1000)
    second = marks(small)["all"]
    assert second[0] != start[0]
    assert second[1] == start[1] + 1
    small.write("12.md", tags=["Linux"], date="2020-01-12 00:00:00", title="Third")
    small.rescan(now=small.now + 5000)
    assert marks(small)["all"][1] == small.now > second[1]


def test_the_time_of_change_is_that_of_the_rescan_and_not_of_an_article(small: Any) -> None:
    small.write("13.md", tags=["Linux"], date="2031-01-01 00:00:00")
    small.rescan()
    assert marks(small)["tags/Linux"][1] == small.now


# -- digest and bytes ------------------------------------------------------

TITLES = st.sampled_from(["A", "B", "<b> & c", "内核"])
TERMS = st.lists(st.sampled_from(["Linux", "linux", "C++", "内核"]), max_size=3)
PEOPLE = st.sampled_from(["", "geekpi", "wxy, geekpi"])
EDIT = st.one_of(
    st.tuples(
        st.just("write"),
        st.integers(1, 4),
        st.fixed_dictionaries({"title": TITLES, "tags": TERMS, "translator": PEOPLE, "author": PEOPLE, "selector": PEOPLE}),
    ),
    st.tuples(st.just("remove"), st.integers(1, 4), st.none()),
    st.tuples(
        st.just("site.yaml"),
        st.just(0),
        st.sampled_from(
            [
                {"title": "One"},
                {"title": "Two"},
                {"language": "en"},
                {"rights": "CC0"},
                {"base_url": "https://b.example"},
                {"article_url": ""},
                {"timezone": "UTC"},
                {"image_url": ""},
                {"store": "articles"},
            ]
        ),
    ),
    st.tuples(
        st.just("feeds.yaml"),
        st.just(0),
        st.sampled_from(
            [
                {"content": "summary"},
                {"content": "full"},
                {"ttl_minutes": 7},
                {"all": {"limit": 1}},
                {"facets": {"tag": {"limit": 2}, "author": {"enabled": True}}},
                {"facets": {"selector": {"enabled": True}}},
                {"aliases": {"tag": {"内核": "Kernel"}}},
                {"feeds": [{"name": "n", "title": "N", "select": {"tag": ["Linux"], "not": {"translator": ["wxy"]}}}]},
                {"feeds": [{"name": "n", "title": "N", "select": {"tag": ["C++"]}, "content": "summary"}]},
            ]
        ),
    ),
)


def site_bytes(site: Any) -> dict[tuple[str, str], bytes]:
    edition = site.runtime.edition()
    return {
        (state.path, name): site.runtime.read(lookup.find_document, edition, state.path, format).body
        for state, _selection in site.runtime.read(lookup.list_feeds)
        for name, format in load_formats().items()
    }


@settings(max_examples=some(12, least=3))
@given(edits=st.lists(EDIT, min_size=1, max_size=6))
def test_documents_that_differ_never_have_the_same_digest(new_site: Callable[..., Any], edits: list[Any]) -> None:
    """Over any course of edits: the digest of a feed stands for its bytes in all three formats."""
    site = new_site()
    seen: dict[str, dict[str, tuple[bytes, ...]]] = {}
    for kind, number, value in [("write", 1, {"title": "A", "tags": ["Linux"]}), *edits]:
        if kind == "write":
            site.write(f"{number}.md", date=f"2020-01-0{number} 00:00:00", **value)
        elif kind == "remove":
            (site.store / f"{number}.md").unlink(missing_ok=True)
        else:
            site.settle(kind, **value)
        site.rescan()
        made = site_bytes(site)
        for path, (digest, _changed) in marks(site).items():
            bodies = tuple(made[path, name] for name in load_formats())
            known = seen.setdefault(path, {})
            assert known.setdefault(digest, bodies) == bodies, f"{path}: one digest, two documents"
    site.close()


@settings(max_examples=some(8, least=3))
@example(edits=[("write", 1, {"title": "A", "tags": [], "translator": ""}), ("remove", 1, None)])
@given(edits=st.lists(EDIT, min_size=1, max_size=5))
def test_an_updated_catalog_gives_the_bytes_of_one_from_scratch(new_site: Callable[..., Any], edits: list[Any]) -> None:
    """Incremental or from nothing: the same documents, but for ids that remember a term's first spelling, and feeds' own dates.

    These never go back: they remember what a feed has shown and shows no more.
    """
    site = new_site()
    for kind, number, value in edits:
        if kind == "write":
            # Of two spellings that are equally common the one that was first stays: that is history, and wanted.
            value = {**value, "tags": [tag for tag in value["tags"] if tag != "linux"]}
            site.write(f"{number}.md", date=f"2020-01-0{number} 00:00:00", **value)
        elif kind == "remove":
            (site.store / f"{number}.md").unlink(missing_ok=True)
        else:
            site.settle(kind, **value)
        site.rescan(accept_removals=True)
    made = site_bytes(site)
    site.forget()
    site.reopen()
    site.rescan()
    first_spelling = re.compile(rb"tag:linux\.cn,2003:(tags|translators|authors|selectors)/[^<\"]*")
    of_feed = re.compile(rb"<(updated|lastBuildDate)>[^<]*")  # the first one, before all entries

    def without_history(documents: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], bytes]:
        return {key: of_feed.sub(b"", first_spelling.sub(b"ID", data), count=1) for key, data in documents.items()}

    assert without_history(site_bytes(site)) == without_history(made)
    site.close()
