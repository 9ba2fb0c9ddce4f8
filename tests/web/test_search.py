"""Search: terms of every facet and articles by their words, from every page that a service stands behind."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.catalog import search
from feeds.config.models import Site
from feeds.syndication.editions import load_generation

ARTICLES = {
    1: ("内核模块入门", "从零开始"),
    2: ("写给新手的 Linux 指南", "其中一章讲内核"),
    3: ("100% 可靠的备份", "下划线 a_b 与百分号"),
    4: ("About Kernels", "A summary in English"),
    5: ("内核与调度", '《O\'Reilly》"引号"<b>'),
}


@pytest.fixture
def library(site: Any) -> Any:
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    site.settle("feeds.yaml", facets={"tag": {}, "translator": {}, "author": {"enabled": False}}, gone=["tags/内核秘史"])
    for number, (title, summary) in ARTICLES.items():
        tags = ["Linux", "linux-kernel"] if number < 3 else ["内核", "GNU/Linux", "内核秘史"]
        date = f"2020-01-0{number} 00:00:00"
        site.write(f"{number}.md", title=title, summary=summary, excerpt=summary, tags=tags, translator="kernel-fan", date=date)
    site.rescan()
    return site


@pytest.fixture
def find(library: Any, make_client: Callable[[Any], Client]) -> Callable[..., Any]:
    """The parsed page of a search."""
    client = make_client(library)

    def ask(text: str, **more: object) -> Any:
        answered = client.get("/search", query_string={"q": text, **more}, headers={"Accept-Language": "en"})
        assert answered.status_code == 200
        return html.fromstring(answered.data)

    return ask


def articles(page: Any) -> list[int]:
    return [int(link.rpartition("/")[2]) for link in page.xpath("//main//h3/a/@href")]


def terms(page: Any) -> list[str]:
    return list(page.xpath("//main//ul[@class='chips']//a/@href"))


def test_articles_are_found_by_a_part_of_their_title_then_of_their_summary(find: Callable[..., Any]) -> None:
    assert articles(find("内核")) == [5, 1, 2]
    assert articles(find("kernel")) == articles(find("KERNEL")) == [4]


def test_every_word_must_be_there_in_title_or_summary(find: Callable[..., Any]) -> None:
    assert articles(find("linux 内核")) == [2]
    assert articles(find("内核 nothing")) == []


def test_terms_of_every_facet_are_found_the_best_first(find: Callable[..., Any]) -> None:
    assert terms(find("linux")) == ["/tags/Linux", "/tags/linux-kernel", "/tags/GNU~2FLinux"]
    assert terms(find("kernel")) == ["/tags/linux-kernel", "/translators/kernel-fan"]


def test_terms_without_a_page_are_not_offered(find: Callable[..., Any]) -> None:
    assert terms(find("内核")) == ["/tags/%E5%86%85%E6%A0%B8"]
    assert terms(find("Ada")) == []


@pytest.mark.parametrize(("text", "found"), [("%", [3]), ("a_b", [3]), ("_", [3]), ("\\", []), ("O'Reilly", [5]), ('"', [5])])
def test_what_a_database_would_read_as_a_sign_is_only_text(find: Callable[..., Any], text: str, found: list[int]) -> None:
    assert articles(find(text)) == found


def test_what_was_searched_for_is_shown_as_text_and_can_be_changed(find: Callable[..., Any]) -> None:
    page = find('<script>alert("x")</script>')
    assert page.xpath("//script/@src") == ["/static/page.js"]
    assert page.xpath("//header//input[@name='q']/@value") == ['<script>alert("x")</script>']


def test_a_search_for_nothing_asks_for_words(find: Callable[..., Any]) -> None:
    for text in ("", "   ", "\x00\u2028"):
        page = find(text)
        assert articles(page) == terms(page) == []
        assert "Type a tag" in page.text_content()


def test_a_long_search_is_cut_where_everybody_sees_it(find: Callable[..., Any]) -> None:
    assert find("内核" + "x" * 5000).xpath("//header//input[@name='q']/@value") == ["内核" + "x" * 98]


def test_many_articles_are_turned_page_by_page_and_each_comes_once(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    for number in range(1, 46):
        site.write(f"{number}.md", title=f"Part {number}", date=f"2020-01-01 00:00:{number:02}")
    site.rescan()
    client, address, met = make_client(site), "/search?q=part", []
    while address:
        page = html.fromstring(client.get(address).data)
        assert page.xpath("//link[@rel='canonical']/@href") == ["http://localhost" + address]
        met += articles(page)
        address = "".join(page.xpath("//a[contains(@rel, 'next')]/@href"))
    assert met == list(range(45, 0, -1))


@pytest.mark.parametrize("page", ["0", "-1", "x", "٣", "1e3", ""])
def test_a_page_that_is_no_number_is_the_first(find: Callable[..., Any], page: str) -> None:
    assert articles(find("内核", page=page)) == [5, 1, 2]


def test_there_is_an_end_to_the_pages(demo_client: Client) -> None:
    assert demo_client.get("/search?q=a&page=51").status_code == 404


def test_results_are_cached_but_not_indexed(demo_client: Client) -> None:
    answered = demo_client.get("/search?q=linux")
    assert answered.headers["X-Robots-Tag"] == "noindex, follow"
    assert answered.headers["Cache-Control"].startswith("public, max-age=")
    again = demo_client.get("/search?q=linux", headers={"If-None-Match": answered.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("address", ["/", "/tags/", "/tags/Linux", "/articles/146", "/select", "/nothing", "/subscribe"])
def test_every_page_has_the_box(demo_client: Client, address: str) -> None:
    page = html.fromstring(demo_client.get(address).data)
    (box,) = page.xpath("//header//form[@role='search']")
    assert (box.get("method"), box.get("action")) == ("get", "/search")
    assert box.xpath("./input[@type='search']/@aria-label")


def test_more_terms_than_are_shown_are_in_their_directory(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.write("1.md", tags=[f"tag {number}" for number in range(14)])
    site.rescan()
    client = make_client(site)
    page = html.fromstring(client.get("/search?q=tag").data)
    assert len(terms(page)) == 12
    (link,) = page.xpath("//a[starts-with(@href, '/tags/?q=')]/@href")
    assert len(html.fromstring(client.get(link).data).xpath("//ul[@class='directory']/li")) == 14


WORDS = [
    "内核",
    "kernel",
    "KERNELS",
    "linux 内核",
    "内核 linux",
    "内 核",
    "%",
    "a_b",
    "\\",
    "o'reilly",
    '"',
    "b>",
    "no such",
    "a",
    "从零开始",
]


def test_the_text_that_is_kept_finds_what_a_query_finds(library: Any) -> None:
    kept = search.SearchText(100_000)
    for change in (
        lambda: None,
        lambda: library.write("2.md", title="KERNEL 2", date="2020-01-09"),
        (library.store / "5.md").unlink,
    ):
        change()
        library.rescan()
        with library.runtime.reading() as connection:
            generation = load_generation(connection)
            kept.of(connection, generation)
            records = kept.of(connection, generation)
            assert records is not None
            for word, (limit, skip) in itertools.product(WORDS, [(3, 0), (1, 1), (2, 2), (9, 0)]):
                window = connection, Site(), search.clean_query(word), limit, skip
                found = search.search_articles(*window, records)
                assert [one.id for one in found] == [one.id for one in search.search_articles(*window)], word


def test_text_is_kept_from_the_second_search_of_a_generation_on_within_its_bound(library: Any) -> None:
    kept, small = search.SearchText(100_000), search.SearchText(100)
    with library.runtime.reading() as connection:
        for generation in (1, 2):
            assert kept.of(connection, generation) is None
            first = kept.of(connection, generation)
            assert first is not None and kept.of(connection, generation) is first
        assert [small.of(connection, 1) for _time in range(3)] == [None] * 3


@given(st.text())
def test_whatever_is_typed_becomes_a_few_printable_words(text: str) -> None:
    plain = search.clean_query(text)
    assert len(plain.split()) <= search.MAX_WORDS and plain == " ".join(plain.split())
    assert plain.isprintable()
    assert len(plain) <= 3 * search.MAX_LENGTH, "NFC makes three characters of one at the most"
