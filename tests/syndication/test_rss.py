"""RSS documents: what this service adds to RSS 2.0 and the profile of the RSS Advisory Board, which are in `rules`."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from lxml import etree

Documents = Mapping[tuple[str, str], bytes]
ATOM_LINK = "{http://www.w3.org/2005/Atom}link"
ATOM_UPDATED = "{http://www.w3.org/2005/Atom}updated"
DC = "{http://purl.org/dc/elements/1.1/}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
ASCII_URL = re.compile(r"https?://[!-~]+")


@pytest.fixture
def channels(documents: Documents) -> list[tuple[str, Any]]:
    found = []
    for (path, format), data in documents.items():
        if format == "rss":
            root = etree.fromstring(data)
            assert (root.tag, root.get("version")) == ("rss", "2.0")
            assert [child.tag for child in root] == ["channel"]
            found.append((path, root[0]))
    assert found
    return found


@pytest.fixture
def items(channels: list[tuple[str, Any]]) -> list[Any]:
    found = [item for _path, channel in channels for item in channel.findall("item")]
    assert found
    return found


def test_a_channel_has_title_link_and_description_once(channels: list[tuple[str, Any]]) -> None:
    for path, channel in channels:
        count = Counter(child.tag for child in channel)
        assert [count[name] for name in ("title", "link", "description", "language", "ttl", "generator")] == [1] * 6, path
        assert all(channel.findtext(name) for name in ("title", "link", "description")), path


def test_a_channel_links_to_its_page_and_by_atom_to_itself(channels: list[tuple[str, Any]]) -> None:
    for path, channel in channels:
        (own,) = [link for link in channel.findall(ATOM_LINK) if link.get("rel") == "self"]
        assert own.get("type") == "application/rss+xml"
        page = own.get("href").removesuffix("all.rss" if path == "all" else ".rss")
        assert channel.findtext("link") == page


def test_the_image_says_what_the_channel_says(channels: list[tuple[str, Any]]) -> None:
    for path, channel in channels:
        image = channel.find("image")
        assert image.findtext("title") == channel.findtext("title"), path
        assert image.findtext("link") == channel.findtext("link"), path
        assert ASCII_URL.fullmatch(image.findtext("url")), path


def test_plain_text_is_escaped_once_and_in_hexadecimal(awkward: Documents) -> None:
    """Profile 3.1; feedvalidator: CharacterData. `&lt;b&gt;` would be taken for a tag by some readers."""
    text = awkward["tags/Linux", "rss"].decode()
    assert "<title>A title with &#x3C;b&gt;bold&#x3C;/b&gt; &#x26; friends</title>" in text
    assert "<title>标签：Linux · 金样 &#x26; Golden &#x3C;site&gt;</title>" in text
    assert "<description>Titles &#x26; summaries</description>" in awkward["feeds/brief", "rss"].decode()
    for data in (data for (_path, format), data in awkward.items() if format == "rss"):
        assert not re.search(rb"<title>[^<]*(&lt;|&amp;)", data)


def test_the_description_of_an_item_is_html(items: list[Any]) -> None:
    """A reader that interprets it sees the text: what the text escapes is escaped again."""
    for item in items:
        description = item.findtext("description")
        if description:
            assert not re.search(r"<[a-zA-Z/]", description)
            assert html.unescape(description)


def test_guids_are_permanent_unique_and_no_links(channels: list[tuple[str, Any]]) -> None:
    for path, channel in channels:
        guids = [item.find("guid") for item in channel.findall("item")]
        assert all(guid.get("isPermaLink") == "false" for guid in guids), path
        assert len({guid.text for guid in guids}) == len(guids), path


def test_people_are_named_by_dublin_core_because_rss_wants_addresses(items: list[Any]) -> None:
    for item in items:
        assert item.find("author") is None
    assert any(item.findtext(f"{DC}creator") for item in items)
    assert any(item.findtext(f"{DC}contributor") for item in items)


def test_content_comes_after_the_description_and_the_original_is_linked(items: list[Any]) -> None:
    with_content = 0
    for item in items:
        order = [child.tag for child in item]
        if CONTENT in order and "description" in order:
            assert order.index(CONTENT) > order.index("description")
            with_content += 1
        assert len([link for link in item.findall(ATOM_LINK) if link.get("rel") == "via"]) <= 1
    assert with_content
    assert any(item.find(ATOM_LINK) is not None for item in items)


def test_the_end_of_a_cdata_section_in_an_article_ends_none(awkward: Documents) -> None:
    contents = [item.findtext(CONTENT) for item in etree.fromstring(awkward["all", "rss"]).iter("item")]
    assert any("]]&gt; inside." in (content or "") for content in contents)


def test_the_number_of_comments_is_a_number(items: list[Any]) -> None:
    assert all(item.findtext("{http://purl.org/rss/1.0/modules/slash/}comments").isdecimal() for item in items)


def test_an_edited_item_says_when_by_atom_because_rss_has_one_date(demo_documents: Documents) -> None:
    atom = etree.fromstring(demo_documents["all", "atom"]).iter("{*}entry")
    changed = {
        entry.findtext("{*}id"): entry.findtext("{*}updated")
        for entry in atom
        if entry.findtext("{*}updated") != entry.findtext("{*}published")
    }
    items = etree.fromstring(demo_documents["all", "rss"]).iter("item")
    said = {item.findtext("guid"): item.findtext(ATOM_UPDATED) for item in items if item.find(ATOM_UPDATED) is not None}
    assert said == changed
    assert said, "the demo has edited articles"
