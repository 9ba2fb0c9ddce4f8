"""OPML lists: every feed, in a form that readers take in, and as w3c/feedvalidator wants it."""

from __future__ import annotations

import email.utils
from typing import Any

import listparser
import pytest
from lxml import etree

from feeds.model import FACETS
from feeds.syndication import documents, lookup


def outlines(data: bytes) -> list[Any]:
    root = etree.fromstring(data)
    assert (root.tag, root.get("version")) == ("opml", "2.0")
    assert [child.tag for child in root] == ["head", "body"]
    heads = [child.tag for child in root[0]]
    assert len(set(heads)) == len(heads)
    assert root.findtext("head/title")
    assert all(outline.get("text") for outline in root.iter("outline"))
    return [outline for outline in root.iter("outline") if outline.get("type") == "rss"]


def config_of(site: Any) -> Any:
    return site.runtime.edition().config


def test_the_list_of_all_feeds_names_each_with_its_address_and_title(demo: Any) -> None:
    found = outlines(demo.runtime.read(documents.opml, config_of(demo), None))
    states = [state for state, _selection in demo.runtime.read(lookup.list_feeds)]
    assert len(found) == len(states) > 20
    assert [outline.get("title") for outline in found] == [state.title for state in states]
    for outline in found:
        url = outline.get("xmlUrl")
        assert url.isascii()
        assert url.endswith(".atom")
        assert outline.get("htmlUrl") == url.removesuffix(".atom")


def test_the_list_of_all_feeds_is_grouped_by_facet(demo: Any) -> None:
    body = etree.fromstring(demo.runtime.read(documents.opml, config_of(demo), None)).find("body")
    groups = [outline for outline in body if outline.get("type") is None]
    assert [group.get("text") for group in groups] == ["Linux 中国", "标签", "译者"]
    assert [outline.get("xmlUrl").rpartition("/")[2] for outline in body if outline.get("type")] == ["all.atom"]


def test_folders_and_head_are_what_a_validator_knows(demo: Any) -> None:
    """feedvalidator: MissingOutlineType for a title without a type, UndefinedElement for `docs`, which tell readers nothing."""
    root = etree.fromstring(demo.runtime.read(documents.opml, config_of(demo), None))
    assert {child.tag for child in root.find("head")} <= {
        "title",
        "dateCreated",
        "dateModified",
        "ownerName",
        "ownerEmail",
        "ownerId",
    }
    assert all("title" not in outline.attrib for outline in root.iter("outline") if outline.get("type") is None)


def test_the_list_of_one_facet_is_flat_and_holds_no_other(demo: Any) -> None:
    found = outlines(demo.runtime.read(documents.opml, config_of(demo), FACETS["translator"]))
    assert found
    assert all("/translators/" in outline.get("xmlUrl") for outline in found)
    assert {outline.getparent().tag for outline in found} == {"body"}


def test_the_list_of_a_facet_without_terms_is_an_empty_folder(site: Any) -> None:
    """OPML 2.0: a body has one outline or more."""
    site.settle("feeds.yaml", facets={"selector": {"enabled": True}})
    site.rescan()
    data = site.runtime.read(documents.opml, config_of(site), FACETS["selector"])
    assert outlines(data) == []
    assert [dict(outline.attrib) for outline in etree.fromstring(data).iter("outline")] == [{"text": "Linux 中国 · 选题"}]


def test_the_date_is_that_of_the_newest_article_and_the_bytes_stay(demo: Any) -> None:
    data = demo.runtime.read(documents.opml, config_of(demo), None)
    assert data == demo.runtime.read(documents.opml, config_of(demo), None)
    date = email.utils.parsedate_to_datetime(etree.fromstring(data).findtext("head/dateModified"))
    assert date == max(state.updated for state, _selection in demo.runtime.read(lookup.list_feeds))


@pytest.mark.parametrize("title", ['Quotes " and <angles> & more', "内核 🐧"])
def test_any_title_survives(site: Any, title: str) -> None:
    site.settle("site.yaml", title=title)
    site.write("1.md", tags=['a "quoted" <tag> & more'])
    site.rescan()
    found = outlines(site.runtime.read(documents.opml, config_of(site), None))
    assert found[0].get("title") == title
    assert any('a "quoted" <tag> & more' in outline.get("text") for outline in found)


#: What the validator knows of (its `opmlHead`); `docs` of the specification is not among them.
HEAD = {"title", "dateCreated", "dateModified", "ownerName", "ownerEmail", "ownerId"}


@pytest.mark.parametrize("facet", [None, "tag", "translator"])
def test_the_lists_have_nothing_that_the_validator_warns_of(demo: Any, facet: str | None) -> None:
    root = etree.fromstring(demo.runtime.read(documents.opml, config_of(demo), FACETS[facet] if facet else None))
    assert {element.tag for element in root.find("head")} <= HEAD
    assert email.utils.parsedate_to_datetime(root.findtext("head/dateModified")).utcoffset() is not None
    for outline in root.iter("outline"):
        if outline.get("type") is None:
            assert dict(outline.attrib).keys() == {"text"}, "more than a text needs a type"
            assert len(outline) > 0
        else:
            assert {"type", "text", "title", "xmlUrl", "htmlUrl", "language"} == set(outline.attrib)
            assert outline.get("xmlUrl").startswith("http://") and outline.get("htmlUrl").startswith("http://")


def test_another_parser_finds_the_same_feeds_titles_and_groups(demo: Any) -> None:
    found = listparser.parse(demo.runtime.read(documents.opml, config_of(demo), None))
    assert not found.bozo, found.bozo_exception
    assert (found.version, found.meta.title) == ("opml2", "Linux 中国")
    states = [state for state, _selection in demo.runtime.read(lookup.list_feeds)]
    assert [feed.title for feed in found.feeds] == [state.title for state in states]
    assert found.meta.modified_parsed == max(state.updated for state in states)
    grouped = {feed.url: [name for path in feed.categories for name in path] for feed in found.feeds}
    assert {tuple(names) for names in grouped.values()} == {(), ("Linux 中国",), ("标签",), ("译者",)}
    assert [url for url, names in grouped.items() if names == ["Linux 中国"]] == ["http://127.0.0.1:8000/feeds/kernel.atom"]
