"""feeds.yaml changed by the program: the entry that is meant, and no other byte."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.config import edit
from feeds.config.environment import Environment
from feeds.config.load import load_config, parse_yaml
from feeds.config.models import FeedSettings
from feeds.errors import EditError
from tests.conftest import CHECKOUT
from tests.examples import some

DEFAULT = (CHECKOUT / "config" / "feeds.yaml").read_text("utf-8")
ENTRY: dict[str, Any] = {"name": "new", "title": "新的", "select": {"tag": ["内核"]}}

#: What tags and titles are made of, with all that means something to YAML.
LETTERS = string.ascii_letters + string.digits + " -_.:,#'\"[]{}&*!|>%@`?/\\+=~()内核系统：，。「」éß🎉"
TEXT = st.text(LETTERS, min_size=1, max_size=20).map(str.strip).filter(bool)
WORDS = st.one_of(
    TEXT, st.sampled_from(["No", "on", "y", "null", "~", "1.10", "007", "0x1f", "1:30", "2024-01-01", "=", "<<", "-"])
)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(list)
SELECTS = st.fixed_dictionaries(
    {},
    optional={
        "tag": NAMES,
        "translator": NAMES,
        "all": st.fixed_dictionaries({"tag": NAMES}),
        "not": st.fixed_dictionaries({"author": NAMES}),
    },
).filter(bool)
ENTRIES = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z][a-z0-9._-]{0,10}", fullmatch=True).filter(lambda name: name != "kernel"),
        "title": WORDS,
        "select": SELECTS,
    },
    optional={"description": WORDS, "limit": st.integers(1, 500), "content": st.sampled_from(["full", "summary"])},
)


def read(text: str) -> FeedSettings:
    faults: list[Any] = []
    found = parse_yaml(text, "feeds.yaml", FeedSettings, faults)
    assert found is not None, faults
    return found


# -- the shipped file --------------------------------------------------------


@given(ENTRIES)
@settings(max_examples=some(60))
def test_a_feed_that_is_added_and_removed_leaves_the_shipped_file_as_it_was(entry: dict[str, Any]) -> None:
    added = edit.put_feed(DEFAULT, entry)
    assert added.startswith(DEFAULT)
    assert edit.remove_feed(added, entry["name"], gone=False) == DEFAULT


@given(ENTRIES)
@settings(max_examples=some(60))
def test_whatever_is_written_is_read_as_it_was_meant(entry: dict[str, Any]) -> None:
    before, after = read(DEFAULT), read(edit.put_feed(DEFAULT, entry))
    *others, made = after.feeds
    assert tuple(others) == before.feeds
    assert (made.name, made.title, made.limit) == (entry["name"], entry["title"], entry.get("limit", 20))
    assert made.select.selection().as_json() == {key: entry["select"][key] for key in made.select.selection().as_json()}
    assert made.select.selection().as_json() == entry["select"]


@given(ENTRIES, ENTRIES)
@settings(max_examples=some(30))
def test_a_feed_that_is_changed_twice_is_as_it_was_changed_last(first: dict[str, Any], second: dict[str, Any]) -> None:
    changed = edit.put_feed(edit.put_feed(DEFAULT, first), {**second, "name": first["name"]})
    assert read(changed).feeds == read(edit.put_feed(DEFAULT, {**second, "name": first["name"]})).feeds


KERNEL = {
    "name": "kernel",
    "title": "内核与系统",
    "select": {"tag": ["内核", "systemd"], "not": {"translator": ["ChatGPT"]}},
    "limit": 20,
}


def test_a_feed_that_is_put_as_it_is_changes_nothing() -> None:
    assert edit.put_feed(DEFAULT, KERNEL) == DEFAULT


def test_a_changed_selection_keeps_the_words_beside_it() -> None:
    select = {"tag": ["内核", "Linux"], "all": {"tag": ["AI"]}, "not": {"translator": ["ChatGPT"]}}
    found = edit.put_feed(DEFAULT, {**KERNEL, "select": select})
    before, after = DEFAULT.splitlines(), found.splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [line.split("#")[0].strip() for line in changed] == ["tag: [内核, Linux]", "all: {tag: [AI]}"]
    assert all("#" in line for line in changed)


def test_the_only_feed_may_go_and_come_again() -> None:
    empty = edit.remove_feed(DEFAULT, "kernel", gone=False)
    assert read(empty).feeds == ()
    assert "feeds: []   " in empty and "# feeds of your own" in empty
    assert [feed.name for feed in read(edit.put_feed(empty, ENTRY)).feeds] == ["new"]
    assert edit.remove_feed(edit.put_feed(empty, ENTRY), "new", gone=False) == empty


def test_a_feed_that_goes_for_good_is_listed_as_gone() -> None:
    found = edit.remove_feed(DEFAULT, "kernel", gone=True)
    assert read(found).gone == ("feeds/kernel",)
    assert "# [tags/retired]: 410, for every format" in found


# -- what people write ---------------------------------------------------------

WRITTEN = """\
# ours
content: full   # all of it

feeds:   # by hand
  # the kernel
  - name: kernel      # never change
    title: 'Kernel: news'
    # only these
    select:
      tag: [Linux, "内核"]
    limit: 7          # few

  # the desktop
  -
    title: Desktop
    name: desktop
    select: {tag: [KDE]}
# the end
all: {limit: 5}
gone:
  - tags/old   # long ago
"""


def test_comments_order_and_quotes_of_the_changed_entry_stay() -> None:
    found = edit.put_feed(
        WRITTEN, {"name": "kernel", "title": "Kernel: news", "select": {"tag": ["Linux", "内核"]}, "limit": 9}
    )
    assert found == WRITTEN.replace("limit: 7 ", "limit: 9 ")


def test_a_setting_that_is_not_said_any_more_is_left_out() -> None:
    found = edit.put_feed(
        WRITTEN, {"name": "kernel", "title": "Kernel: news", "select": {"tag": ["Linux", "内核"]}, "limit": None}
    )
    assert read(found).feeds[0].limit == 20 and "# only these" in found and "# the desktop" in found


def test_only_the_lines_of_the_removed_entry_go() -> None:
    found = edit.remove_feed(WRITTEN, "desktop", gone=True)
    kept = [
        line
        for line in WRITTEN.splitlines()
        if line.strip() not in ("-", "title: Desktop", "name: desktop", "select: {tag: [KDE]}")
    ]
    assert [line for line in found.splitlines() if "feeds/desktop" not in line] == kept
    assert read(found).gone == ("tags/old", "feeds/desktop")


def test_a_new_entry_comes_behind_the_last_one_and_before_what_follows() -> None:
    found = edit.put_feed(WRITTEN, ENTRY)
    assert found.index("name: new") < found.index("# the end") < found.index("all:")
    assert found.replace("  - name: new\n    title: 新的\n    select: {tag: [内核]}\n", "") == WRITTEN


@pytest.mark.parametrize(
    "text",
    ["", "content: full", "content: full\n", "feeds:\n", "feeds: ~  # none\n", "feeds: [ ]\ngone: []\n", "# only words\n"],
)
def test_a_file_without_feeds_gets_its_first_one(text: str) -> None:
    found = edit.put_feed(text, ENTRY)
    assert [feed.name for feed in read(found).feeds] == ["new"]
    assert all(line in found for line in text.splitlines() if line.startswith("#") or "content" in line)


def test_line_ends_of_other_systems_stay() -> None:
    found = edit.put_feed(WRITTEN.replace("\n", "\r\n"), ENTRY)
    assert "\n" not in found.replace("\r\n", "")
    assert edit.remove_feed(found, "new", gone=False) == WRITTEN.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "{feeds: []}\n",
        "feeds: [{name: a, title: A}]\n",
        "feeds: !!seq []\n",
        "feeds: x\n",
        "feeds: [\n",
        "- a\n",
        "feeds: {a: b}\n",
    ],
)
def test_what_only_people_understand_is_left_to_them(text: str) -> None:
    with pytest.raises(EditError):
        edit.put_feed(text, ENTRY)


def test_a_feed_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(EditError, match="no feed is called"):
        edit.remove_feed(DEFAULT, "nothing", gone=False)


@given(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry["name"]), st.integers(0, 4), ENTRIES, st.booleans())
@settings(max_examples=some(50))
def test_files_of_any_style_keep_every_other_entry(
    rows: list[dict[str, Any]], indent: int, entry: dict[str, Any], flow: bool
) -> None:
    """As PyYAML writes them, with lists at several depths."""
    block = (
        yaml.safe_dump(rows, allow_unicode=True, default_flow_style=None if flow else False, sort_keys=False, width=10_000)
        if rows
        else ""
    )
    text = "content: full\nfeeds:\n" + "".join(" " * indent + line for line in block.splitlines(keepends=True)) + "gone: []\n"
    found = edit.put_feed(text, entry)
    expected = {row["name"]: row for row in rows} | {entry["name"]: entry}
    assert {feed.name: feed.title for feed in read(found).feeds} == {name: row["title"] for name, row in expected.items()}
    if entry["name"] not in {row["name"] for row in rows}:
        assert (
            read(edit.remove_feed(found, entry["name"], gone=False)).feeds
            == read(text.replace("feeds:\n", "feeds:\n" if rows else "feeds: []\n")).feeds
        )


def test_what_would_be_in_force_is_known_before_it_is_written(site: Any) -> None:
    found = load_config(Environment.read(Path(site.config_dir), {}), {"feeds.yaml": edit.put_feed("", ENTRY)})
    assert [feed.name for feed in found.feeds.feeds] == ["new"]
    assert load_config(site.environment).feeds.feeds == ()
