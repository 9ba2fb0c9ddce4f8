"""All formats: each can be read, and all say the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import feedparser
import pytest

from feeds.feed_formats import load_formats

Documents = Mapping[tuple[str, str], bytes]


def of(documents: Documents, format: str) -> Iterable[tuple[str, bytes]]:
    return ((path, data) for (path, name), data in documents.items() if name == format)


def parsed(data: bytes) -> Any:
    """What feedparser makes of it, as it arrives: markup in text is kept, so that nothing is hidden by a sanitiser."""
    return feedparser.parse(
        data,
        response_headers={"content-type": "application/xml; charset=utf-8"},
        sanitize_html=False,
        resolve_relative_uris=False,
    )


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


# -- readable --------------------------------------------------------------


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_every_feed_is_well_formed_xml_that_feedparser_reads_without_complaint(documents: Documents, format: str) -> None:
    checked = 0
    for path, data in of(documents, format):
        found = parsed(data)
        assert found.bozo == 0, f"{path}.{format}: {found.get('bozo_exception')}"
        assert found.version == {"atom": "atom10", "rss": "rss20"}[format]
        checked += 1
    assert checked == len(documents) / 3 > 0


# -- the same in all -------------------------------------------------------


def facts_of_xml(data: bytes) -> list[dict[str, Any]]:
    """What a reader of Atom or RSS learns about each entry."""
    facts = []
    for entry in parsed(data).entries:
        links = {link.rel: link.href for link in entry.links if link.rel in ("alternate", "via")}
        facts.append(
            {
                "id": entry.id,
                "title": entry.title,
                "url": links["alternate"],
                "via": links.get("via"),
                "published": datetime(*entry.published_parsed[:6]),
                "authors": [author.name for author in entry.get("authors", []) if author.get("name")],
                "translators": [person.name for person in entry.get("contributors", [])],
                "tags": list(dict.fromkeys(tag.term for tag in entry.get("tags", []))),
                "enclosures": [link.href for link in entry.links if link.rel == "enclosure"],
                "thumbnail": [found["url"] for found in entry.get("media_thumbnail", [])],
                "summary": entry.get("summary", "") if entry.get("summary_detail", {}).get("type") == "text/plain" else None,
                "content": [content.value for content in entry.get("content", [])],
            }
        )
    return facts


def facts_of_json(data: bytes) -> list[dict[str, Any]]:
    facts = []
    for item in json.loads(data)["items"]:
        translators = [person["name"] for person in item["_article"].get("translator", [])]
        published = when(item["date_published"])
        facts.append(
            {
                "id": item["id"],
                "title": item["title"],
                "url": item["url"],
                "via": item.get("external_url"),
                "published": published.replace(tzinfo=None) - (published.utcoffset() or published - published),
                "people": [person["name"] for person in item.get("authors", [])],
                "translators": translators,
                "tags": item.get("tags", []),
                "enclosures": [attachment["url"] for attachment in item.get("attachments", [])],
                "content": [item["content_html"]] if "content_html" in item else [],
            }
        )
    return facts


def test_atom_rss_and_json_agree_on_ids_titles_links_dates_people_tags_pictures_and_content(documents: Documents) -> None:
    compared = 0
    for path, _data in of(documents, "atom"):
        atom, rss = facts_of_xml(documents[path, "atom"]), facts_of_xml(documents[path, "rss"])
        plain = facts_of_json(documents[path, "json"])
        assert len(atom) == len(rss) == len(plain)
        for a, r, j in zip(atom, rss, plain, strict=True):
            for name in ("id", "title", "url", "via", "published", "translators", "tags", "enclosures", "thumbnail", "content"):
                assert a[name] == r[name], f"{path}: {a['id']}: {name}"
                if name != "thumbnail":
                    assert a[name] == j[name], f"{path}: {a['id']}: {name}"
            assert rss_creators(documents[path, "rss"], a["id"]) == a["authors"]
            assert j["people"] == list(dict.fromkeys([*a["authors"], *a["translators"]]))
            compared += 1
    assert compared > 20


def rss_creators(data: bytes, id: str) -> list[str]:
    """feedparser gives the last dc:creator only."""
    from lxml import etree

    for item in etree.fromstring(data).iter("item"):
        if item.findtext("guid") == id:
            return [found.text or "" for found in item.findall("{http://purl.org/dc/elements/1.1/}creator")]
    raise AssertionError(id)


def test_atom_and_json_agree_on_the_time_of_the_last_change(documents: Documents) -> None:
    for path, data in of(documents, "atom"):
        updated = [when(entry.updated) for entry in parsed(data).entries]
        items = json.loads(documents[path, "json"])["items"]
        assert updated == [when(item["date_modified"]) for item in items]
        for item in items:
            assert when(item["date_modified"]) >= when(item["date_published"])


@pytest.mark.parametrize("format", ["atom", "rss", "json"])
def test_a_title_with_markup_characters_arrives_as_it_was_written(awkward: Documents, format: str) -> None:
    data = awkward["tags/Linux", format]
    entries = json.loads(data)["items"] if format == "json" else parsed(data).entries
    titles = {entry["id"]: entry["title"] for entry in entries}
    assert titles["tag:linux.cn,2003:article/1"] == "A title with <b>bold</b> & friends"
    assert titles["tag:linux.cn,2003:article/four/five%20%E2%98%83"] == "<already> & escaped", "an exporter's entities"
    assert titles["tag:linux.cn,2003:article/2"] == "Control characters and separators 🐧"


@pytest.mark.parametrize("format", load_formats())
def test_the_demo_has_a_title_with_markup_and_no_reader_sees_a_tag_in_it(demo_documents: Documents, format: str) -> None:
    data = demo_documents["tags/HTML", format]
    entries = json.loads(data)["items"] if format == "json" else parsed(data).entries
    assert "What a title with <b> & friends teaches about escaping" in [entry["title"] for entry in entries]


def test_several_translators_are_each_named_and_linked_to(awkward: Documents) -> None:
    entry = next(e for e in parsed(awkward["all", "atom"]).entries if e.id.endswith("article/1"))
    assert [(p.name, p.href) for p in entry.contributors] == [
        ("wxy", "https://feeds.example/translators/wxy"),
        ("pityonline", "https://feeds.example/translators/pityonline"),
    ]


@pytest.mark.parametrize("format", load_formats())
def test_the_content_shows_who_translated_for_readers_that_know_no_contributors(awkward: Documents, format: str) -> None:
    data = awkward["translators/geekpi", format]
    if format == "json":
        contents = [item["content_html"] for item in json.loads(data)["items"]]
    else:
        contents = [entry.content[0].value for entry in parsed(data).entries]
    assert contents
    for content in contents:
        assert '译者：<a href="https://feeds.example/translators/geekpi">geekpi</a>' in content


# -- kinds of feeds --------------------------------------------------------


def test_a_summary_feed_has_plain_summaries_with_the_translator_and_no_content(awkward: Documents) -> None:
    atom, rss = parsed(awkward["feeds/brief", "atom"]).entries, parsed(awkward["feeds/brief", "rss"]).entries
    items = json.loads(awkward["feeds/brief", "json"])["items"]
    assert len(atom) == len(rss) == len(items) == 4
    for a, r, j in zip(atom, rss, items, strict=True):
        assert "content" not in a
        assert "content" not in r
        assert "content_html" not in j
        assert a.summary_detail.type == "text/plain"
        assert j["content_text"] == a.summary == j["summary"]
    first = next(j for j in items if j["id"].endswith("article/1"))
    assert first["summary"] == "Tags like <b>, ampersands & “quotes”; AT&T loses one escape.（译者：wxy、pityonline）"
    # In RSS a description is HTML: the same text, escaped once for HTML and once for XML.
    assert b"Tags like &amp;lt;b&amp;gt;, ampersands &amp;amp; " in awkward["feeds/brief", "rss"]


def test_a_feed_without_articles_is_a_valid_feed(awkward: Documents) -> None:
    for format in ("atom", "rss"):
        found = parsed(awkward["feeds/empty", format])
        assert found.bozo == 0
        assert found.feed.title == "Nothing yet · 金样 & Golden <site>"
        assert found.entries == []
    assert json.loads(awkward["feeds/empty", "json"])["items"] == []
    # A date it must have; it is not one that moves.
    assert parsed(awkward["feeds/empty", "atom"]).feed.updated == "2003-01-01T00:00:00+00:00"


@pytest.mark.parametrize("format", load_formats())
def test_an_article_with_nothing_but_an_id_is_an_entry_that_readers_can_show(awkward: Documents, format: str) -> None:
    data = awkward["all", format]
    entries = json.loads(data)["items"] if format == "json" else parsed(data).entries
    entry = next(entry for entry in entries if entry["id"] == "tag:linux.cn,2003:article/3")
    assert entry["title"] == "3"
    if format == "json":
        assert entry["content_text"] == "3"
    else:
        assert "content" not in entry


@pytest.mark.parametrize("format", load_formats())
def test_no_document_holds_a_character_that_xml_forbids_or_a_script(documents: Documents, format: str) -> None:
    forbidden = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\ufffe", "\uffff"} - set("\t\n\r")  # NotHtml: C1, too
    for path, data in of(documents, format):
        text = data.decode("utf-8")
        assert not forbidden & set(text), path
        assert "<script" not in text
        assert "&lt;script" not in text or "&amp;lt;script" in text.replace("&lt;script", "&amp;lt;script")


@pytest.mark.parametrize("format", load_formats())
def test_control_characters_are_gone_and_other_separators_stay(awkward: Documents, format: str) -> None:
    text = awkward["tags/Linux", format].decode()
    assert "A bell , a vertical  tab" in text
    assert "and an emoji 🐧." in text


# -- identity --------------------------------------------------------------


def ids(data: bytes) -> tuple[str, list[str]]:
    found = parsed(data)
    return found.feed.id, [entry.id for entry in found.entries]


def test_ids_outlive_a_new_host_a_new_title_and_an_edit(site: Any, body: Callable[..., bytes]) -> None:
    for number in range(3):
        site.write(f"{number}.md", tags=["Linux", "C++"], title=f"Title {number}", translator="geekpi")
    site.rescan()
    paths = ("all", "tags/Linux", "tags/C++", "translators/geekpi")
    before = {path: ids(body(site.runtime, path, "atom")) for path in paths}
    site.settle("site.yaml", base_url="https://elsewhere.example", title="Renamed", article_url="")
    site.write("1.md", tags=["Linux", "C++"], title="Edited", translator="geekpi", body="New text.")
    site.rescan()
    for path in paths:
        data = body(site.runtime, path, "atom")
        assert ids(data) == before[path]
        assert b"elsewhere.example" in data
        assert [item["id"] for item in json.loads(body(site.runtime, path, "json"))["items"]] == before[path][1]


def test_a_term_keeps_its_feeds_id_when_another_spelling_becomes_the_commonest(site: Any, body: Callable[..., bytes]) -> None:
    site.write("1.md", tags=["ubuntu"])
    site.rescan()
    before = ids(body(site.runtime, "tags/ubuntu", "atom"))[0]
    for number in range(2, 5):
        site.write(f"{number}.md", tags=["Ubuntu"])
    site.rescan()
    assert ids(body(site.runtime, "tags/Ubuntu", "atom"))[0] == before


def test_an_article_has_one_id_in_all_feeds(demo_documents: Documents) -> None:
    seen: dict[str, set[str]] = {}
    for _path, data in of(demo_documents, "atom"):
        for entry in parsed(data).entries:
            seen.setdefault(entry.link, set()).add(entry.id)
    assert len(seen) > 20
    assert all(len(found) == 1 for found in seen.values())


def test_feeds_have_ids_of_their_own(documents: Documents) -> None:
    found = [ids(data)[0] for _path, data in of(documents, "atom")]
    assert len(set(found)) == len(found)
    assert all(id.isascii() and id.startswith("tag:linux.cn,2003:") for id in found)
