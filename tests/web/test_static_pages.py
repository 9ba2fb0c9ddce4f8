"""The exported demo tree as its readers walk through it: every link leads to a file of the tree or to outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from lxml import etree, html

from feeds.static.files import OWN, path_of
from feeds.static.site_files import Exporter

BASE = "http://127.0.0.1:8000"
_ATTRIBUTES = {"href", "src", "action", "xmlUrl", "htmlUrl", "uri", "poster", "data"}
_NUMBER = re.compile(r"\d+")


@pytest.fixture(scope="module")
def tree(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    report = Exporter(demo.runtime).export(str(folder))
    assert report.written > 500 and not report.faults
    return folder


def addresses_in(path: Path) -> Iterator[str]:
    """All that a file links to; for pages, but for what authors wrote into their articles."""
    if path.suffix == ".html":
        page = html.fromstring(path.read_bytes())
        for body in page.xpath("//article//*[contains(concat(' ', @class, ' '), ' body ')]"):
            body.clear()
    elif path.suffix == ".json":
        yield from _strings(json.loads(path.read_text("utf-8")))
        return
    else:
        page = etree.fromstring(path.read_bytes())
    for element in page.iter(etree.Element):
        yield from (value for name, value in element.attrib.items() if name in _ATTRIBUTES)
        if element.tag in ("link", "id", "guid", "{http://www.w3.org/2005/Atom}icon") and (element.text or "").startswith(
            "http"
        ):
            yield str(element.text)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("content_html", "content_text", "summary", "title", "name"):
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str) and value.startswith(("/", BASE)):
        yield value


def own(tree: Path) -> list[Path]:
    return [
        path
        for path in tree.rglob("*")
        if path.suffix in (".html", ".atom", ".rss", ".json", ".opml") and OWN not in path.parts
    ]


def test_every_link_leads_to_a_file_of_the_tree_or_to_outside(tree: Path) -> None:
    followed = 0
    for path in own(tree):
        for link in addresses_in(path):
            whole = urljoin(BASE + "/", link)
            if not whole.startswith(BASE + "/") or whole == f"{BASE}/hub":
                continue  # which hub feeds name is a setting
            parts = urlsplit(whole)
            assert not parts.query, (path, link)
            assert (tree / path_of(unquote(parts.path))).is_file() or (tree / unquote(parts.path)[1:]).is_file(), (path, link)
            followed += 1
    assert followed > 5000


def test_permalinks_of_articles_are_redirects_to_their_pages(tree: Path) -> None:
    table = json.loads((tree / OWN / "redirects.json").read_text("utf-8"))
    assert len(table) > 30
    for permalink, address in table.items():
        assert permalink.startswith("/") and (tree / path_of(unquote(address))).is_file()


def test_pages_offer_nothing_that_needs_the_service(tree: Path) -> None:
    for path in tree.rglob("*.html"):
        page = html.fromstring(path.read_bytes())
        text = path.read_text("utf-8")
        assert not page.xpath("//form | //button | //input"), path
        assert page.xpath("//script/@src") == ["/static/page.js"], path  # it copies addresses, and finds names on its page
        assert not re.search(r'"/(subscribe|preferences|confirm|unsubscribe|operator|select|search)\b', text), path


def test_past_digests_can_be_read_and_followed(tree: Path) -> None:
    footer = html.fromstring((tree / "index.html").read_bytes()).xpath("//footer//a/@href")
    assert "/digests/" in footer and "/subscribe" not in footer
    assert (tree / "digests" / "index.html").is_file()
    assert etree.fromstring((tree / "digests.atom").read_bytes()).tag == "{http://www.w3.org/2005/Atom}feed"


def test_where_a_service_is_named_its_forms_are_offered(new_site: Callable[..., Any], tmp_path: Path) -> None:
    site = new_site(article_url="", service_url="https://mail.example.org")
    site.set("newsletter.yaml", "enabled: true\n")
    site.write("1.md", tags=["Linux"])
    site.rescan()
    Exporter(site.runtime).export(str(tmp_path / "out"))
    page = html.fromstring((tmp_path / "out" / "tags" / "Linux.html").read_bytes())
    assert page.xpath("//form/@action") == ["https://mail.example.org/subscribe"]
    assert "https://mail.example.org/subscribe" in page.xpath("//footer//a/@href")


def test_error_pages_are_in_the_tree_and_lead_home(tree: Path) -> None:
    for code in (404, 410):
        page = html.fromstring((tree / f"{code}.html").read_bytes())
        assert str(code) in page.text_content()
        assert "/" in page.xpath("//main//a/@href")
        assert _NUMBER.search(page.xpath("string(//p[@class='kicker'])"))
