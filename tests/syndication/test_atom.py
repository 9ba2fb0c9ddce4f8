"""Atom documents: what this service adds to the checklist of RFC 4287, which is in `rules`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from lxml import etree

from feeds.feed_formats import load_formats

Documents = Mapping[tuple[str, str], bytes]
ATOM = "{http://www.w3.org/2005/Atom}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@pytest.fixture
def feeds(documents: Documents) -> list[tuple[str, Any]]:
    found = [(path, etree.fromstring(data)) for (path, format), data in documents.items() if format == "atom"]
    assert found
    return found


def entries(feeds: list[tuple[str, Any]]) -> Iterator[Any]:
    found = [entry for _path, feed in feeds for entry in feed.findall(f"{ATOM}entry")]
    assert found
    return iter(found)


def links(element: Any, rel: str) -> list[dict[str, str]]:
    return [dict(link.attrib) for link in element.findall(f"{ATOM}link") if link.get("rel", "alternate") == rel]


def test_a_feed_links_to_itself_and_to_its_page(feeds: list[tuple[str, Any]]) -> None:
    for path, feed in feeds:
        (own,), (page,) = links(feed, "self"), links(feed, "alternate")
        assert own["type"] == "application/atom+xml"
        assert own["href"].endswith(".atom")
        assert page["type"] == "text/html"
        assert page["href"] == (own["href"].removesuffix(".atom") if path != "all" else own["href"].removesuffix("all.atom"))


def test_an_entry_has_one_alternate_link_and_at_most_one_via(feeds: list[tuple[str, Any]]) -> None:
    for entry in entries(feeds):
        assert len(links(entry, "alternate")) == 1
        assert len(links(entry, "via")) <= 1


def test_ids_are_tag_uris_in_ascii_and_appear_once_in_a_feed(feeds: list[tuple[str, Any]]) -> None:
    tag_uri = re.compile(r"tag:[a-z0-9.@-]+,\d{4}(-\d\d(-\d\d)?)?:[!-~]+")
    for path, feed in feeds:
        found = [element.text for element in feed.iter(f"{ATOM}id")]
        assert all(tag_uri.fullmatch(id) for id in found), path
        assert len(set(found)) == len(found), path


def test_a_feed_is_as_new_as_its_newest_entry(feeds: list[tuple[str, Any]]) -> None:
    for path, feed in feeds:
        found = [entry.findtext(f"{ATOM}updated") for entry in feed.findall(f"{ATOM}entry")]
        if found:
            assert feed.findtext(f"{ATOM}updated") == max(found), path


def test_the_language_is_said(feeds: list[tuple[str, Any]]) -> None:
    assert {feed.get(LANG) for _path, feed in feeds} == {"zh-CN"}


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_the_language_is_the_sites(site: Any, body: Any, language: str) -> None:
    site.write("1.md", tags=["Linux"], translator="geekpi")
    site.settle("site.yaml", language=language)
    site.rescan()
    feed = etree.fromstring(body(site.runtime, "tags/Linux", "atom"))
    assert feed.get(LANG) == language
    assert f"<language>{language}</language>".encode() in body(site.runtime, "tags/Linux", "rss")
    assert f'"language":"{language}"'.encode() in body(site.runtime, "tags/Linux", "json")
    assert feed.findtext(f"{ATOM}title") == {"en": "Tag: Linux · Linux 中国", "zh-TW": "标签：Linux · Linux 中国"}[language]


def test_comments_are_counted_where_the_format_has_a_place_for_it(awkward: Documents) -> None:
    entry = next(
        e for e in etree.fromstring(awkward["all", "atom"]).iter(f"{ATOM}entry") if e.findtext(f"{ATOM}id")[-2:] == "/1"
    )
    assert entry.findtext("{http://purl.org/syndication/thread/1.0}total") == "12"


def test_the_rights_and_the_logo_are_the_sites(awkward: Documents) -> None:
    feed = etree.fromstring(awkward["all", "atom"])
    assert feed.findtext(f"{ATOM}rights") == "CC BY-NC 4.0"
    assert feed.findtext(f"{ATOM}logo") == "https://feeds.example/logo.png"
    assert feed.find(f"{ATOM}generator").get("version")


def test_the_media_types_are_those_of_the_standards() -> None:
    assert {name: made.media_type for name, made in load_formats().items()} == {
        "atom": "application/atom+xml",
        "rss": "application/rss+xml",
        "json": "application/feed+json",
    }
