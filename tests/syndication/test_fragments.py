"""Feeds are joined from entries that are written once and kept: to the byte what feedgen and json write in one go."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds import feed_formats
from feeds.catalog import queries
from feeds.feed_formats import Atom, Category, Content, Enclosure, Entry, JsonFeed, Person, Rss, load_formats
from feeds.syndication import lookup
from feeds.syndication.documents import FragmentCache

# -- equal to the whole ----------------------------------------------------

#: What a serialiser may write in its own way.
_SPECIAL = ["&", "<", ">", '"', "'", "]]>", "<![CDATA[", "&amp;", "&#13;", "<title>", "<item>", "</channel></rss>", "</feed>"]
_SPECIAL += ["\r", "\n", "\t", "\x7f", "\x85", "\u2028", "𝄞", "中文", "xmlns:dc='x'", "\\", " ", "]}"]
_LEGAL = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
_TEXT = st.lists(st.sampled_from(_SPECIAL) | st.text(_LEGAL, max_size=8), max_size=5).map("".join)
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
_PEOPLE = st.lists(st.builds(Person, _TEXT, _TEXT), max_size=2).map(tuple)
_ENTRIES = st.builds(
    Entry,
    id=_TEXT.map("i".__add__),
    url=_TEXT.map("u".__add__),
    title=_TEXT.map("t".__add__),
    published=_TIMES,
    updated=_TIMES,
    summary=_TEXT,
    content=_TEXT,
    authors=_PEOPLE,
    translators=_PEOPLE,
    credits=st.lists(st.tuples(st.sampled_from(["translator", "reviewer"]), _PEOPLE), max_size=2).map(tuple),
    categories=st.lists(st.builds(Category, _TEXT, _TEXT), max_size=2).map(tuple),
    via=_TEXT,
    enclosure=st.none() | st.builds(Enclosure, _TEXT, _TEXT),
    comments=st.integers(0, 9),
)
_CONTENTS = st.builds(
    Content,
    id=_TEXT.map("i".__add__),
    title=_TEXT.map("t".__add__),
    subtitle=_TEXT.map("s".__add__),
    updated=_TIMES,
    language=st.sampled_from(["zh-CN", "en"]),
    author=_TEXT.map("a".__add__),
    base=st.just("https://feeds.example"),
    page=st.just("https://feeds.example/all"),
    address=_TEXT.map("https://feeds.example/".__add__),
    icon=st.just("https://feeds.example/icon.png"),
    logo=_TEXT,
    rights=_TEXT,
    ttl_minutes=st.integers(1, 99),
    version=st.just("1"),
    entries=st.lists(_ENTRIES, max_size=3),
    current=_TEXT,
    older=_TEXT,
    younger=_TEXT,
    closed=st.booleans(),
    hub=_TEXT,
)


def whole(format: Atom | Rss, content: Content) -> bytes:
    """What feedgen writes of a feed with all of its entries."""
    made = format.channel(content)
    for entry in content.entries:
        made.add_entry(format.fill(entry), order="append")
    if isinstance(format, Atom):
        return bytes(made.atom_str())
    channel, item, items = made.rss_str().partition(b"<item>")
    hexadecimal = feed_formats._hexadecimal
    return bytes(feed_formats._CHANNEL_TEXT.sub(hexadecimal, channel) + item + feed_formats._TITLE.sub(hexadecimal, items))


@pytest.mark.parametrize("format", [Atom(), Rss()], ids=lambda format: format.name)
@given(_CONTENTS)
def test_a_joined_document_is_what_feedgen_writes_in_one_go(format: Atom | Rss, content: Content) -> None:
    assert format.render(content) == whole(format, content)


@pytest.mark.parametrize("format", [Atom(), Rss()], ids=lambda format: format.name)
@given(_CONTENTS, _ENTRIES, st.sampled_from(["\x00", "\x0b", "\x1f", "\ufffe"]))
def test_text_that_xml_does_not_allow_is_refused_by_both(format: Atom | Rss, content: Content, entry: Entry, bad: str) -> None:
    illegal = replace(content, entries=[replace(entry, title=bad)])
    for render in (lambda: format.render(illegal), lambda: whole(format, illegal)):
        with pytest.raises(ValueError, match="XML compatible"):
            render()


@given(_CONTENTS)
def test_a_joined_json_feed_is_what_json_writes_in_one_go(content: Content) -> None:
    text = JsonFeed().render(content)
    feed = json.loads(text)
    assert json.dumps(feed, ensure_ascii=False, separators=(",", ":")).encode() == text
    assert [item["id"] for item in feed["items"]] == [entry.id for entry in content.entries]


# -- kept ------------------------------------------------------------------


def bodies(site: Any, path: str, fragments: FragmentCache | None = None) -> dict[str, bytes]:
    return site.runtime.read(lookup.find_bodies, site.runtime.edition(), path, fragments)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many articles were loaded each time."""
    counts: list[int] = []
    load = queries.load_articles

    def counted(connection: Any, site: Any, keys: Any, **rest: Any) -> Any:
        counts.append(len(keys))
        return load(connection, site, keys, **rest)

    monkeypatch.setattr(queries, "load_articles", counted)
    return counts


def write_some(site: Any) -> None:
    for number in range(1, 8):
        tags = ["Linux", "AI"][: number % 2 + 1]
        site.write(f"{number}.md", title=f"T{number}", tags=tags, date=f"2020-01-0{number} 00:00:00")
    site.rescan()


def test_no_article_is_loaded_whose_fragments_are_known_and_the_bytes_are_the_same(site: Any, loaded: list[int]) -> None:
    write_some(site)
    alone = {path: bodies(site, path) for path in ("all", "tags/Linux", "tags/AI")}
    loaded.clear()
    kept = FragmentCache(1 << 20)
    assert bodies(site, "all", kept) == alone["all"] and loaded == [7]
    assert bodies(site, "tags/Linux", kept) == alone["tags/Linux"] and bodies(site, "tags/AI", kept) == alone["tags/AI"]
    assert loaded == [7]
    site.write("3.md", title="Changed", tags=["Linux"], date="2020-01-03 00:00:00")
    site.rescan()
    assert b"Changed" in bodies(site, "all", kept)["atom"] and loaded == [7, 1]
    assert bodies(site, "all", kept) == bodies(site, "all")


def test_fragments_of_other_settings_and_of_summaries_are_others(site: Any) -> None:
    write_some(site)
    kept = FragmentCache(1 << 20)
    before = bodies(site, "all", kept)
    site.settle("feeds.yaml", content="summary")
    site.rescan()
    summaries = bodies(site, "all", kept)
    assert summaries == bodies(site, "all") and summaries["json"] != before["json"]
    site.settle("site.yaml", base_url="https://elsewhere.example")
    site.rescan()
    moved = bodies(site, "all", kept)
    assert moved == bodies(site, "all") and b"https://elsewhere.example" in moved["atom"]


def test_all_formats_and_one_alone_are_the_same_document(site: Any) -> None:
    write_some(site)
    edition = site.runtime.edition()
    for path, found in {path: bodies(site, path) for path in ("all", "tags/AI")}.items():
        assert list(found) == list(load_formats())
        for format in load_formats().values():
            assert site.runtime.read(lookup.find_document, edition, path, format).body == found[format.name]


# -- within a bound --------------------------------------------------------


def test_the_bytes_of_fragments_have_a_bound_and_those_used_last_stay() -> None:
    size = 1000 + FragmentCache.OVERHEAD
    kept = FragmentCache(3 * size)
    keys = [("settings", "full", "atom", str(number)) for number in range(4)]
    for key in keys[:3]:
        kept.put(key, b"x" * 1000)
    assert kept.bytes == 3 * size and kept.get(keys[0])
    kept.put(keys[3], b"y" * 1000)
    assert [kept.get(key) is not None for key in keys] == [True, False, True, True] and kept.bytes == 3 * size
    kept.put(keys[3], b"y" * 1000)
    assert kept.bytes == 3 * size
    kept.put(keys[1], b"z" * 4000)
    assert kept.bytes == 0 and kept.get(keys[1]) is None


def test_threads_may_share_fragments() -> None:
    kept, faults = FragmentCache(20 * (10 + FragmentCache.OVERHEAD)), []

    def work(seed: int) -> None:
        for turn in range(2000):
            key = ("settings", "full", "atom", str((turn * seed) % 50))
            found = kept.get(key)
            if found is None:
                kept.put(key, key[3].rjust(10).encode())
            elif found != key[3].rjust(10).encode():
                faults.append(found)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in (7, 11, 13, 17)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert faults == [] and 0 < kept.bytes <= kept.max_bytes
