"""Atom documents against the checklist of RFC 4287; most of what w3c/feedvalidator looks for is here, too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from lxml import etree

from feeds.service import FORMATS

Documents = Mapping[tuple[str, str], bytes]
ATOM = "{http://www.w3.org/2005/Atom}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
#: Registered at IANA, of those that a feed may want.
RELATIONS = {"alternate", "self", "via", "enclosure", "related", "hub", "prev-archive", "next-archive", "current", "replies"}
ASCII_URL = re.compile(r"https?://[!-~]+")


@pytest.fixture
def feeds(documents: Documents) -> list[tuple[str, Any]]:
    found = [(path, etree.fromstring(data)) for (path, format), data in documents.items() if format == "atom"]
    assert found
    return found


def entries(feeds: list[tuple[str, Any]]) -> Iterator[Any]:
    found = [entry for _path, feed in feeds for entry in feed.findall(f"{ATOM}entry")]
    assert found
    return iter(found)


def names(element: Any) -> Counter[str]:
    return Counter(child.tag.removeprefix(ATOM) for child in element if child.tag.startswith(ATOM))


def links(element: Any, rel: str) -> list[dict[str, str]]:
    return [dict(link.attrib) for link in element.findall(f"{ATOM}link") if link.get("rel", "alternate") == rel]


def test_a_feed_has_each_required_element_once_and_no_optional_one_twice(feeds: list[tuple[str, Any]]) -> None:
    for path, feed in feeds:
        assert feed.tag == f"{ATOM}feed"
        count = names(feed)
        assert [count[name] for name in ("id", "title", "updated")] == [1, 1, 1], path
        assert all(count[name] <= 1 for name in ("generator", "icon", "logo", "rights", "subtitle")), path


def test_an_entry_has_each_required_element_once_and_no_optional_one_twice(feeds: list[tuple[str, Any]]) -> None:
    for entry in entries(feeds):
        count = names(entry)
        assert [count[name] for name in ("id", "title", "updated", "published")] == [1, 1, 1, 1]
        assert all(count[name] <= 1 for name in ("content", "rights", "source", "summary"))


def test_a_feed_has_an_author_so_that_entries_of_unknown_author_are_valid(feeds: list[tuple[str, Any]]) -> None:
    for _path, feed in feeds:
        assert feed.findtext(f"{ATOM}author/{ATOM}name")


def test_no_person_is_without_a_name(feeds: list[tuple[str, Any]]) -> None:
    people = [person for entry in entries(feeds) for role in ("author", "contributor") for person in entry.findall(ATOM + role)]
    assert people
    assert all(person.findtext(f"{ATOM}name", "").strip() for person in people)


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


def test_every_relation_is_a_registered_one(feeds: list[tuple[str, Any]]) -> None:
    for _path, feed in feeds:
        assert {link.get("rel") for link in feed.iter(f"{ATOM}link")} <= RELATIONS


def test_every_address_is_absolute_and_ascii(feeds: list[tuple[str, Any]]) -> None:
    for _path, feed in feeds:
        found = [link.get("href") for link in feed.iter(f"{ATOM}link")]
        found += [element.text for name in ("icon", "logo", "uri") for element in feed.iter(ATOM + name)]
        found += [category.get("scheme") for category in feed.iter(f"{ATOM}category")]
        assert all(ASCII_URL.fullmatch(url or "") for url in found), [
            url for url in found if not ASCII_URL.fullmatch(url or "")
        ]


def test_an_enclosure_has_a_media_type_and_a_length(feeds: list[tuple[str, Any]]) -> None:
    found = [link for entry in entries(feeds) for link in links(entry, "enclosure")]
    assert found
    for link in found:
        assert link["type"].startswith("image/")
        assert link["length"].isdecimal()


def test_ids_are_tag_uris_in_ascii_and_appear_once_in_a_feed(feeds: list[tuple[str, Any]]) -> None:
    tag_uri = re.compile(r"tag:[a-z0-9.@-]+,\d{4}(-\d\d(-\d\d)?)?:[!-~]+")
    for path, feed in feeds:
        found = [element.text for element in feed.iter(f"{ATOM}id")]
        assert all(tag_uri.fullmatch(id) for id in found), path
        assert len(set(found)) == len(found), path


def test_dates_are_rfc_3339_with_a_zone_and_updated_is_not_before_published(feeds: list[tuple[str, Any]]) -> None:
    for entry in entries(feeds):
        updated, published = (entry.findtext(ATOM + name) for name in ("updated", "published"))
        assert RFC3339.fullmatch(updated)
        assert RFC3339.fullmatch(published)
        assert datetime.fromisoformat(updated) >= datetime.fromisoformat(published)


def test_a_feed_is_as_new_as_its_newest_entry(feeds: list[tuple[str, Any]]) -> None:
    for path, feed in feeds:
        found = [entry.findtext(f"{ATOM}updated") for entry in feed.findall(f"{ATOM}entry")]
        if found:
            assert feed.findtext(f"{ATOM}updated") == max(found), path


def test_text_has_no_children_and_content_is_html(feeds: list[tuple[str, Any]]) -> None:
    for entry in entries(feeds):
        for element in (entry.find(ATOM + name) for name in ("title", "summary", "content")):
            if element is not None:
                assert len(element) == 0
                assert (element.text or "").strip(), "an empty element says nothing"
        content = entry.find(f"{ATOM}content")
        assert content is None or content.get("type") == "html"


def test_no_address_in_the_content_is_relative(documents: Documents) -> None:
    """feedvalidator: ContainsRelRef."""
    found = 0
    for data in documents.values():
        for url in re.findall(r"""(?:href|src)=(?:\\?["']|&quot;)([^"'\\<>&]*)""", data.decode()):
            if url and not url.startswith(("http://", "https://", "mailto:", "ftp://", "magnet:")):
                assert "#" in url or "=" in url or not url, url  # an example of code, not a link
            found += 1
    assert found > 100


def test_the_language_is_said(feeds: list[tuple[str, Any]]) -> None:
    assert {feed.get(LANG) for _path, feed in feeds} == {"zh-CN"}


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_the_language_is_the_sites(site: Any, body: Any, language: str) -> None:
    site.write("1.md", tags=["Linux"], translator="geekpi")
    site.settle("site.yaml", language=language)
    site.rescan()
    feed = etree.fromstring(body(site.service, "tags/Linux", "atom"))
    assert feed.get(LANG) == language
    assert f"<language>{language}</language>".encode() in body(site.service, "tags/Linux", "rss")
    assert f'"language":"{language}"'.encode() in body(site.service, "tags/Linux", "json")
    assert feed.findtext(f"{ATOM}title") == {"en": "Tag: Linux · Linux 中国", "zh-TW": "标签：Linux · Linux 中国"}[language]


def test_other_elements_are_in_other_namespaces(documents: Documents) -> None:
    """A12, and feedvalidator's UndefinedElement: an extension must not look like Atom."""
    known = {
        *("feed entry id title updated published author contributor name uri link generator icon logo".split()),
        *("subtitle rights summary content category".split()),
    }
    for (path, format), data in documents.items():
        if format == "atom":
            root = etree.fromstring(data)
            assert {e.tag.removeprefix(ATOM) for e in root.iter(f"{ATOM}*")} <= known, path
            assert all(e.tag.startswith("{") for e in root.iter()), f"{path}: an element without a namespace"


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
    assert {name: made.media_type for name, made in FORMATS.items()} == {
        "atom": "application/atom+xml",
        "rss": "application/rss+xml",
        "json": "application/feed+json",
    }
