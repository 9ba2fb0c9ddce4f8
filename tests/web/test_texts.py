"""Articles for programs: Markdown, at an address of its own and by negotiation, in RSS and in exports; JSON-LD; h-entry."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree, html
from werkzeug.test import Client

from feeds.static.export import Options
from feeds.static.site_files import Exporter
from feeds.store.bodies.public_source import public_source

BODY = """第一段 **粗** <!-- 只给编辑看 -->。

```html
<!-- 代码里的注释 -->
```

| a | b |
|---|---|
| 1 | 2 |

[链接][l]，脚注[^1]。

[l]: https://example.org/l
[//]: # (不给人看)

[^1]: 注。
"""


@pytest.fixture
def store(site: Any) -> Any:
    site.settle("site.yaml", base_url="http://localhost", article_url="", rights="CC BY-SA 4.0")
    site.write(
        "7.md",
        body=BODY,
        title="标题 </script><script>alert(1)</script>",
        tags=["Linux", "C++"],
        author="Ada",
        translator="geekpi, wxy",
        fromurl="https://example.org/o",
        comments_data=[{"message": "SECRET", "username": "someone"}],
    )
    site.rescan()
    return site


@pytest.fixture
def client(store: Any, make_client: Callable[[Any], Client]) -> Client:
    return make_client(store)


def header_of(text: str) -> dict[str, Any]:
    _begin, header, _body = text.split("---\n", 2)
    return {name: json.loads(value) for name, value in (line.split(": ", 1) for line in header.splitlines())}


def test_the_source_is_what_was_written_without_what_no_reader_sees(client: Client) -> None:
    answered = client.get("/articles/7.md")
    assert (answered.status_code, answered.content_type) == (200, "text/markdown; charset=utf-8")
    body = answered.text.split("---\n", 2)[2]
    for written in ("**粗**", "<!-- 代码里的注释 -->", "| 1 | 2 |", "[链接][l]", "[l]: https://example.org/l", "[^1]: 注。"):
        assert written in body
    assert "只给编辑看" not in body and "不给人看" not in body and "SECRET" not in answered.text


def test_the_header_of_the_source_has_what_the_page_shows_and_nothing_else(client: Client) -> None:
    header = header_of(client.get("/articles/7.md").text)
    assert header.pop("date") and header.pop("updated") and header.pop("summary") and header.pop("category")
    assert header == {
        "title": "标题 </script><script>alert(1)</script>",
        "url": "http://localhost/articles/7",
        "author": "Ada",
        "translator": "geekpi, wxy",
        "tags": ["Linux", "C++"],
        "language": "zh-CN",
        "original": "https://example.org/o",
        "licence": "https://creativecommons.org/licenses/by-sa/4.0/",
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/markdown", "text/markdown"),
        ("text/markdown, text/html;q=0.9, */*;q=0.1", "text/markdown"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
        ("text/*", "text/html"),
        ("", "text/html"),
        ("text/markdown;q=0", "text/html"),
        ("application/json", "text/html"),
    ],
)
def test_who_asks_for_markdown_gets_it_at_the_address_of_the_page(client: Client, accept: str, kind: str) -> None:
    answered = client.get("/articles/7", headers={"Accept": accept} if accept else {})
    assert (answered.status_code, answered.mimetype) == (200, kind)
    assert {part.strip() for part in answered.headers["Vary"].split(",")} >= {"Accept", "Accept-Encoding"}
    again = client.get("/articles/7", headers={"Accept": accept, "If-None-Match": answered.headers["ETag"]})
    assert again.status_code == 304 and "Accept" in again.headers["Vary"].split(", ")


def test_the_two_forms_of_an_article_have_tags_of_their_own(client: Client) -> None:
    page, text = (client.get("/articles/7", headers={"Accept": kind}) for kind in ("text/html", "text/markdown"))
    assert page.headers["ETag"] != text.headers["ETag"]
    assert (
        client.get("/articles/7", headers={"Accept": "text/markdown", "If-None-Match": page.headers["ETag"]}).status_code == 200
    )
    assert client.get("/articles/7.md").headers["Vary"] == "Accept-Encoding"
    assert client.get("/articles/7.md").headers["Link"] == '<http://localhost/articles/7>; rel="canonical"; type="text/html"'


def test_a_newer_file_says_nothing_before_the_rescan_that_takes_it_in_nor_while_it_is_held(store: Any, client: Client) -> None:
    before = client.get("/articles/7.md").text
    store.write("7.md", body="NEWER", title="Newer")
    assert client.get("/articles/7.md").text == before
    store.write("7.md", body="NEWER", title="Newer", draft=True, date="2999-01-01 00:00:00")
    store.rescan(accept_removals=True)
    assert client.get("/articles/7.md").status_code == client.get("/articles/7").status_code == 404
    store.write("7.md", body="NEWER", title="Newer")
    store.rescan()
    assert "NEWER" in client.get("/articles/7.md").text
    (store.store / "7.md").unlink()
    store.rescan(accept_removals=True)
    assert client.get("/articles/7.md").status_code == 404


def test_an_article_elsewhere_is_not_given_here(store: Any, make_client: Any) -> None:
    store.settle("site.yaml", base_url="http://localhost", article_url="https://example.org/{id}")
    store.rescan()
    answered = make_client(store).get("/articles/7.md")
    assert (answered.status_code, answered.headers["Location"]) == (302, "https://example.org/7")


def test_an_id_that_ends_like_the_source_of_another_keeps_its_page(store: Any, client: Client) -> None:
    store.write("a.md", body="EIGHT", id="8.md", title="Eight")
    store.rescan()
    assert client.get("/articles/8.md").mimetype == "text/html"
    assert "EIGHT" in client.get("/articles/8.md.md").text
    assert client.get("/articles/nothing.md").status_code == 404


def test_a_page_names_its_source(client: Client) -> None:
    page = html.fromstring(client.get("/articles/7").data)
    assert page.xpath("//link[@type='text/markdown']/@href") == ["http://localhost/articles/7.md"]


def test_json_ld_says_who_translated_what(client: Client) -> None:
    page = html.fromstring(client.get("/articles/7").data)
    [script] = page.xpath("//script[@type='application/ld+json']")
    assert len(page.xpath("//script")) == 2, "nothing breaks out of the element"
    found = json.loads(script.text)
    assert found["@type"] == "Article" and found["headline"] == "标题 </script><script>alert(1)</script>"
    assert [person["name"] for person in found["translator"]] == ["geekpi", "wxy"]
    assert found["translationOfWork"] == {"@type": "CreativeWork", "url": "https://example.org/o"}
    assert (found["inLanguage"], found["license"], found["author"][0]["name"]) == (
        "zh-CN",
        "https://creativecommons.org/licenses/by-sa/4.0/",
        "Ada",
    )
    assert found["datePublished"] <= found["dateModified"] and "isBasedOn" not in found


def test_an_article_is_an_h_entry(client: Client) -> None:
    page = html.fromstring(client.get("/articles/7").data)
    [entry] = page.xpath("//*[contains(@class, 'h-entry')]")

    def of(name: str) -> Any:
        return entry.xpath(f".//*[contains(concat(' ', @class, ' '), ' {name} ')]")

    assert of("p-name")[0].text_content().startswith("标题")
    assert of("u-url")[0].get("value") == "http://localhost/articles/7"
    assert of("dt-published")[0].get("datetime").startswith("20")
    assert [one.text_content() for one in of("p-author")] == ["Ada"]
    assert "第一段" in of("e-content")[0].text_content()
    assert [one.text_content().strip() for one in of("p-category")] == ["Linux", "C++"]


NAMESPACE = {"s": "http://source.scripting.com/"}


def test_rss_has_the_markdown_where_it_is_asked_for_and_whole_articles_are_given(store: Any, make_client: Any) -> None:
    def rss() -> Any:
        store.rescan()
        return etree.fromstring(make_client(store).get("/all.rss").data)

    plain = rss()
    assert not plain.xpath("//s:markdown", namespaces=NAMESPACE) and "source" not in plain.nsmap
    before = make_client(store).get("/all.rss").headers["ETag"]
    store.settle("feeds.yaml", source_markdown=True)
    found = rss()
    [text] = found.xpath("//item/s:markdown/text()", namespaces=NAMESPACE)
    assert "**粗**" in text and "只给编辑看" not in text and "source" in found.nsmap
    assert make_client(store).get("/all.rss").headers["ETag"] != before
    assert b"source.scripting.com" not in make_client(store).get("/all.atom").data
    store.settle("feeds.yaml", source_markdown=True, content="summary")
    assert not rss().xpath("//s:markdown", namespaces=NAMESPACE)


def test_an_export_has_sources_where_a_setting_asks_for_them(store: Any, client: Client, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Exporter(store.runtime).export(str(out), Options(compressed=False))
    assert not list(out.rglob("*.md")) and b"text/markdown" not in (out / "articles/7.html").read_bytes()
    store.settle("feeds.yaml", export_markdown=True)
    store.rescan()
    Exporter(store.runtime).export(str(out), Options(compressed=False))
    assert (out / "articles/7.md").read_bytes() == client.get("/articles/7.md").data
    assert b'href="http://localhost/articles/7.md"' in (out / "articles/7.html").read_bytes()


def test_a_catalog_of_an_older_program_gets_its_sources_and_no_article_is_another_one_for_it(
    store: Any, client: Client
) -> None:
    with store.runtime.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sources")
    assert "<strong>粗</strong>" in client.get("/articles/7.md").text, "meanwhile it is the HTML"
    report = store.rescan(full=True)
    assert (report.changed, report.feeds_changed) == (0, 0) and "**粗**" in client.get("/articles/7.md").text


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("a <!-- x\n\n```\nsecret\n```\n-->\nb", "a \nb\n"),
        ("a <!-- never ends\n\nsecret", "a\n"),
        ("<script>secret()</script>\ntext", "text\n"),
        ("<STYLE>secret</STYLE >\ntext", "text\n"),
        ("[comment]: <> (secret)\n\ntext", "text\n"),
        ("> [x]: /y 'secret'\n\ntext", "text\n"),
        ("<?php secret() ?>\ntext", "text\n"),
        ("a\x0bb", "ab\n"),
    ],
)
def test_what_no_reader_sees_is_left_out(body: str, seen: str) -> None:
    found = public_source(body, "<p>text</p>")
    assert "secret" not in found and " ".join(found.split()) == " ".join(seen.split())


def test_where_it_is_not_certain_that_all_of_it_is_seen_there_is_no_source() -> None:
    assert public_source("`` <!-- secret --> ``", "<p>text</p>") == ""


def test_a_long_source_takes_no_long_time() -> None:
    for piece in ("<!--", "[a]: b\n", "<script>", "[[[[", "`<!--", "> [x]:\n"):
        worker = threading.Thread(target=public_source, args=(piece * 20_000, ""), daemon=True)
        worker.start()
        worker.join(10)
        assert not worker.is_alive(), piece


@pytest.mark.parametrize(("written", "number"), [("2", 2), ("Part 2.5", 2.5), ("0", 0), ("", None)])
def test_programs_get_the_part_of_a_series_that_an_article_names(
    store: Any, client: Client, written: str, number: float | None
) -> None:
    store.write("8.md", body="EIGHT", title="Eight", series="Days", part=written)
    store.rescan()
    assert header_of(client.get("/articles/8.md").text).get("part") == number
    page = html.fromstring(client.get("/articles/8").data)
    assert json.loads(page.xpath("//script[@type='application/ld+json']")[0].text).get("position") == number


def test_titles_beside_an_article_are_marked_with_their_own_language(store: Any, client: Client) -> None:
    store.write("8.md", body="EIGHT", title="Acht", lang="de", date="2001-01-01 08:00:00")
    store.write("9.md", body="NINE", title="Neuf", lang="fr", date="2001-01-02 08:00:00")
    store.rescan()
    page = html.fromstring(client.get("/articles/9").data)
    [before] = page.xpath("//a[@rel='prev']/span[@lang]")
    assert (before.get("lang"), before.text) == ("de", "Acht")
