"""Every document keeps to every rule, and every rule has documents that break it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.feed_formats import load_formats
from feeds.model import FACETS
from feeds.syndication import documents
from feeds.urls import encode
from feeds.web.app import create_app

from .conftest import Documents
from .rules import LINES, RULES, Document, faults, history

#: Lines that no single document can show, and the test that shows them.
ELSEWHERE = {
    "A13": ("web/test_documents.py", "test_a_document_has_its_media_type_and_the_headers_that_readers_and_caches_need"),
    "M1": ("syndication/test_atom.py", "test_the_media_types_are_those_of_the_standards"),
    "A5": ("syndication/test_formats.py", "test_ids_outlive_a_new_host_a_new_title_and_an_edit"),
}
#: What the golden store has on purpose: a title that is about markup, and two articles of one second.
AWKWARD = ("V1", "V4")


def of(site: Any, documents: Documents) -> Iterator[tuple[str, Document]]:
    base = site.runtime.edition().config.site.base_url
    for (path, format), data in documents.items():
        yield format, Document(f"{base}/{encode(path)}.{format}", data)


def lists(site: Any) -> Iterator[Document]:
    config = site.runtime.edition().config
    for facet in (None, *FACETS.values()):
        if facet is None or config.feeds.facet(facet.name).enabled:
            yield Document(facet.plural if facet else "feeds", site.runtime.read(documents.opml, config, facet))


@pytest.mark.parametrize("format", load_formats())
def test_every_feed_of_the_demo_keeps_to_every_rule(demo: Any, demo_documents: Documents, format: str) -> None:
    found = [fault for name, document in of(demo, demo_documents) if name == format for fault in faults(format, document)]
    assert not found


@pytest.mark.parametrize("format", load_formats())
def test_every_archive_of_the_demo_keeps_to_every_rule(demo: Any, demo_documents: Documents, format: str) -> None:
    found = [Document(address, data) for (address, data) in archives_of(demo, demo_documents, format)]
    assert len(found) > 5
    assert not [fault for document in found for fault in faults(format, document)]


def archives_of(site: Any, documents: Documents, format: str) -> Iterator[tuple[str, bytes]]:
    client = Client(create_app(site.environment))
    for name, document in of(site, documents):
        if name == format:
            yield from history(client, site.runtime.edition().config.site.base_url, format, document.data)


@pytest.mark.parametrize("format", load_formats())
def test_every_feed_of_the_golden_store_keeps_to_every_rule(awkward: Documents, format: str) -> None:
    found = [
        fault
        for (path, name), data in awkward.items()
        if name == format
        for fault in faults(name, Document(f"https://feeds.example/{encode(path)}.{name}", data), without=AWKWARD)
    ]
    assert not found


def test_every_list_of_the_demo_keeps_to_every_rule(demo: Any) -> None:
    assert not [fault for document in lists(demo) for fault in faults("opml", document)]


# -- rules that could not fail would be none -------------------------------

XHTML = b'<title type="xhtml"><p xmlns="http://www.w3.org/1999/xhtml">x</p></title>'
_ENTRY = rb"(?s)(<entry>.*?</entry>)"
_ITEM = rb"(?s)(<item>.*?</item>)"
#: (format, line, pattern, replacement): the first match in the demo's /all is replaced.
BROKEN_XML = [
    ("atom", "A1", rb"<updated>[^<]*</updated>", b""),
    ("atom", "A1", rb"(<subtitle>[^<]*</subtitle>)", rb"\1\1"),
    ("atom", "A1", rb"(<published>[^<]*</published>)", rb"\1\1"),
    ("atom", "A2", rb"(?s)<author>.*?</author>(.*?)<author>.*?</author>", rb"\1"),
    ("atom", "A2", rb"<name>[^<]*</name>", b"<name> </name>"),
    ("atom", "A3", rb'rel="self"', b'rel="related"'),
    ("atom", "A3", rb'(<link rel="alternate"[^>]*>)', rb"\1\1"),
    ("atom", "A4", rb'(?s)<content type="html">.*?</content>(.*?)<link rel="alternate"[^>]*>', rb"\1"),
    ("atom", "A4", rb"(?s)<content .*?</content>(.*?)<summary>[^<]*</summary>", rb'<content src="https://a.example/x.png"/>\1'),
    ("atom", "A5", rb"<id>[^<]*", b"<id>article/7"),
    ("atom", "A6", rb"<title>", b"<title><b>x</b>"),
    ("atom", "A6", rb"<title>[^<]*</title>", XHTML),
    ("atom", "A7", rb"<updated>(\S{10})T", rb"<updated>\1 "),
    ("atom", "A7", rb"(<published>[^<]*)\+00:00<", rb"\1<"),
    ("atom", "A7", rb"<published>2026", b"<published>2036"),
    ("atom", "A8", rb' length="0"', b""),
    ("atom", "A8", rb'(<link rel="enclosure") type="[^"]*"', rb"\1"),
    ("atom", "A9", rb'<link rel="via" href="[^"]*"', b'<link rel="via" href="/relative"'),
    ("atom", "A9", rb'<link rel="via" href="[^"]*"', '<link rel="via" href="https://a.example/内核"'.encode()),
    ("atom", "A9", rb'<link rel="via" href="[^"]*"', b'<link rel="via" href="https://a.example/x]"'),
    ("atom", "A9", rb'<link rel="via" href="[^"]*"', b'<link rel="via" href="https://a.example/100%/"'),
    ("atom", "A9", rb' xml:lang="[^"]*"', b""),
    ("atom", "A9", rb"<icon>[^<]*", b"<icon>/icon.png"),
    ("atom", "A9", rb'(<category [^>]*)scheme="[^"]*"', rb"\1"),
    ("atom", "A10", rb"</entry>", b"<source><title>x</title></source></entry>"),
    (
        "atom",
        "A10",
        rb'(?s)<link rel="alternate" type="text/html" href="([^"]*)"/>(?=<link rel="via")',
        rb'\g<0><link rel="via" href="\1"/>',
    ),
    ("atom", "A11", _ENTRY, rb"\1\1"),
    ("atom", "A12", rb"</entry>", b"<picture>x</picture></entry>"),
    ("atom", "A12", rb"</entry>", b'<x xmlns="">x</x></entry>'),
    ("atom", "A12", rb'rel="via"', b'rel="original"'),
    ("rss", "R1", rb'version="2.0"', b'version="0.92"'),
    ("rss", "R1", rb"<description>[^<]*</description>", b""),
    ("rss", "R2", rb"(?s)(<item>)<title>[^<]*</title>(.*?)<description>[^<]*</description>", rb"\1\2"),
    ("rss", "R2", rb"</item>", b"<picture>x</picture></item>"),
    ("rss", "R2", rb"</item>", b"<comments><b>x</b></comments></item>"),
    ("rss", "R3", rb"<title>", b"<title>a &lt;b> "),
    ("rss", "R3", rb"<item><title>", b"<item><title>a &amp;#x3C;b> "),
    ("rss", "R4", rb"<pubDate>(...), (\d\d ...) 20", rb"<pubDate>\1, \2 "),
    ("rss", "R4", rb"<pubDate>...,", b"<pubDate>Xxx,"),
    ("rss", "R4", rb"<pubDate>(Mon|Tue|Wed|Thu|Fri),", b"<pubDate>Sun,"),
    ("rss", "R4", rb"\+0000</lastBuildDate>", b"CST</lastBuildDate>"),
    ("rss", "R5", _ITEM, rb"\1\1"),
    ("rss", "R5", rb' isPermaLink="false"', b""),
    ("rss", "R5", rb"<guid[^>]*>[^<]*</guid>", b""),
    ("rss", "R6", rb"(<enclosure [^>]*>)", rb"\1\1"),
    ("rss", "R6", rb'(<enclosure [^>]*)length="0"', rb"\1"),
    ("rss", "R7", rb"</item>", b"<author>Ada Example</author></item>"),
    ("rss", "R8", rb"<item>(.*?)<link>[^<]*", rb"<item>\1<link>/articles/7"),
    ("rss", "R8", rb'rel="via" href="[^"]*"', 'rel="via" href="https://a.example/内核"'.encode()),
    ("rss", "R9", rb"(?s)(<description>[^<]*</description>)(<content:encoded>.*?</content:encoded>)", rb"\2\1"),
    ("rss", "R10", rb'rel="self"', b'rel="related"'),
    ("rss", "R10", rb"<ttl>\d+", b"<ttl>1 hour"),
    ("rss", "R10", rb' domain="[^"]*"', b""),
    ("atom", "P1", rb"<generator", b'<complete xmlns="http://purl.org/syndication/history/1.0"/><generator'),
    ("rss", "P1", rb"<generator", b'<complete xmlns="http://purl.org/syndication/history/1.0"/><generator'),
    ("atom", "P3", rb"<generator", b'<archive xmlns="http://purl.org/syndication/history/1.0"/><generator'),
    ("rss", "P3", rb"<generator", b'<archive xmlns="http://purl.org/syndication/history/1.0"/><generator'),
    ("atom", "P3", rb'rel="prev-archive"', b'rel="next-archive"'),
    ("atom", "P3", rb'href="[^"]*" rel="prev-archive"', b'href="http://127.0.0.1:8000/all.atom" rel="prev-archive"'),
    ("atom", "P4", rb'rel="via"', b'rel="prev-archive"'),
    ("rss", "P4", rb'rel="via"', b'rel="current"'),
    ("atom", "V1", rb"<entry>(.*?)<title>", rb"<entry>\1<title>&lt;h1>x&lt;/h1>"),
    ("rss", "V1", rb"<item><title>", b"<item><title>&#x3C;h1>x&#x3C;/h1>"),
    ("atom", "V2", rb'<content type="html">', b'<content type="html">&lt;iframe src="https://a.example/">&lt;/iframe>'),
    ("atom", "V2", rb'<content type="html">', b'<content type="html">&lt;bdo>x&lt;/bdo>'),
    ("atom", "V2", rb'<content type="html">', b'<content type="html">&lt;p style="color: red">x&lt;/p>'),
    ("atom", "V2", rb'<content type="html">', b'<content type="html">&lt;p onclick="x()">x&lt;/p>'),
    ("atom", "V2", rb'<content type="html">', b'<content type="html">&lt;a href="/x">x&lt;/a>'),
    ("rss", "V2", rb"<content:encoded><!\[CDATA\[", rb'\g<0><img src="x.png">'),
    ("rss", "V2", rb"<content:encoded><!\[CDATA\[", rb"\g<0><p><b>x</p>"),
    ("rss", "V2", rb"<content:encoded><!\[CDATA\[", rb"\g<0><div>"),
    ("atom", "V3", rb"<title>", "<title>\ufffd".encode()),
    ("rss", "V3", rb"<title>", "<title>\x85".encode()),
    ("atom", "V5", rb'href="([^"]*)all.atom" rel="self"', rb'href="\1All.atom" rel="self"'),
    ("rss", "V5", rb'href="([^"]*)all.rss"', rb'href="\1All.rss"'),
    ("atom", "V6", rb"<summary>[^<]*</summary>", b"<summary/>"),
    ("rss", "V6", rb"<description>[^<]*</description>(?=<content)", b"<description></description>"),
    ("opml", "O1", rb'version="2.0"', b'version="3.0"'),
    ("opml", "O1", rb"</head>", b"<docs>http://opml.org/spec2.opml</docs></head>"),
    ("opml", "O1", rb"(?s)<body>.*</body>", b"<body/>"),
    ("opml", "O1", rb"(<title>[^<]*</title>)", rb"\1\1"),
    ("opml", "O1", rb' text="[^"]*"', b""),
    ("opml", "O1", rb' xmlUrl="[^"]*"', b""),
    ("opml", "O1", rb'<outline text="([^"]*)">', rb'<outline text="\1" title="\1">'),
    ("opml", "V1", rb' text="[^"]*"', b' text="x &lt;a"'),
    ("opml", "V3", rb' text="', ' text="\ufffd'.encode()),
]


def one(demo: Any, demo_documents: Documents, format: str) -> Document:
    if format == "opml":
        return next(lists(demo))
    base = demo.runtime.edition().config.site.base_url
    return Document(f"{base}/all.{format}", demo_documents["all", format])


@pytest.mark.parametrize(("format", "line", "pattern", "replacement"), BROKEN_XML)
def test_a_rule_sees_what_breaks_it(
    demo: Any, demo_documents: Documents, format: str, line: str, pattern: bytes, replacement: bytes
) -> None:
    good = one(demo, demo_documents, format)
    spoiled, times = re.subn(pattern, replacement, good.data, count=1)
    assert times == 1
    assert spoiled != good.data
    assert [fault for fault in faults(format, Document(good.address, spoiled)) if f": {line.lower()}_" in fault]


def test_a_rule_sees_two_entries_of_one_second(demo: Any, demo_documents: Documents) -> None:
    good = one(demo, demo_documents, "atom")
    same = re.sub(rb"<updated>[^<]*", b"<updated>2020-01-01T00:00:00Z", good.data)
    assert [fault for fault in faults("atom", Document(good.address, same)) if ": v4_" in fault]


BROKEN_JSON = [
    ("J1", lambda feed: feed.pop("version")),
    ("J2", lambda feed: feed["items"].append(feed["items"][0])),
    ("J2", lambda feed: feed["items"][0].update(summary="a <b>b</b><br>")),
    ("J3", lambda feed: feed["items"][0].update(external_url=feed["items"][0]["url"])),
    ("J3", lambda feed: feed["items"][0].update(date_modified="1999-01-01T00:00:00Z")),
    ("J4", lambda feed: feed.update(next_url=feed["feed_url"])),
    ("J5", lambda feed: feed["items"][0]["_article"].update({"a": [{"b.c": 1}]})),
    ("J6", lambda feed: feed.update(description="x" * 250_000)),
    ("V2", lambda feed: feed["items"][0].update(content_html="<p><script>x</script></p>")),
    ("V3", lambda feed: feed.update(title="\ufffd")),
    ("V3", lambda feed: feed.update(title="\x08")),
    ("V5", lambda feed: feed.update(feed_url="https://a.example/all.json")),
]


@pytest.mark.parametrize(("line", "spoil"), BROKEN_JSON)
def test_a_rule_sees_what_breaks_it_in_json(
    demo: Any, demo_documents: Documents, line: str, spoil: Callable[[Any], Any]
) -> None:
    good = one(demo, demo_documents, "json")
    feed = json.loads(good.data)
    spoil(feed)
    spoiled = Document(good.address, json.dumps(feed, ensure_ascii=False).encode())
    assert [fault for fault in faults("json", spoiled) if f": {line.lower()}_" in fault]


@pytest.mark.parametrize("spoil", [lambda data: b"\xef\xbb\xbf" + data, lambda data: json.dumps(json.loads(data)).encode()])
def test_a_rule_sees_json_that_is_not_plain_utf_8(
    demo: Any, demo_documents: Documents, spoil: Callable[[bytes], bytes]
) -> None:
    good = one(demo, demo_documents, "json")
    assert list(RULES["json"]["j6_it_is_utf_8_and_of_a_fine_size"](Document(good.address, spoil(good.data))))


def test_every_line_of_the_checklist_is_a_rule_or_a_test_and_every_rule_is_broken_above() -> None:
    checklist = {
        *(f"A{n}" for n in range(1, 14)),
        *(f"R{n}" for n in range(1, 11)),
        *("P1", "P3", "P4"),
        *(f"J{n}" for n in range(1, 7)),
        "M1",
        "O1",
    }
    assert checklist <= {line for lines in LINES.values() for line in lines} | {*ELSEWHERE}
    broken = {(format, line) for format, line, _pattern, _replacement in BROKEN_XML} | {
        ("json", line) for line, _spoil in BROKEN_JSON
    }
    assert {(format, line) for format, lines in LINES.items() for line in lines} == broken | {("atom", "V4")}
    for file, test in ELSEWHERE.values():
        assert test in (Path(__file__).parents[1] / file).read_text("utf-8")
