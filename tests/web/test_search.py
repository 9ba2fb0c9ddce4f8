"""Search: terms of every facet and articles by their words, from every page that a service stands behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.store.search_words import MAX_LENGTH, MAX_SOUGHT, clean_query

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


def test_articles_are_found_by_words_of_their_title_then_of_their_summary(find: Callable[..., Any]) -> None:
    # Of 5 and 1 the title has it; 4 and 3 have the tag; of 2 only the summary says it.
    assert articles(find("内核")) == [5, 1, 4, 3, 2]
    assert articles(find("kernels")) == articles(find("KERNEL")) == [4, 5, 3, 2, 1], "all have the translator kernel-fan"


def test_every_word_must_be_there(find: Callable[..., Any]) -> None:
    assert articles(find("linux 内核")) == [5, 4, 3, 1, 2], "in titles and tags, then with a summary"
    assert articles(find("指南 内核")) == [2]
    assert articles(find("内核 nothing")) == []


def test_terms_of_every_facet_are_found_the_best_first(find: Callable[..., Any]) -> None:
    assert terms(find("linux")) == ["/tags/Linux", "/tags/linux-kernel", "/tags/GNU~2FLinux"]
    assert terms(find("kernel")) == ["/tags/linux-kernel", "/translators/kernel-fan"]


def test_terms_without_a_page_are_not_offered(find: Callable[..., Any]) -> None:
    assert terms(find("内核")) == ["/tags/%E5%86%85%E6%A0%B8"]
    assert terms(find("Ada")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(("%", []), ("a_b", [3]), ("_", []), ("\\", []), ("O'Reilly", [5]), ('"', []), ("a_b%", [3]), ("'a_b'", [3])),
        *(("100% *", [3]), ('"a_b', [3]), ("a_b OR x", []), ("=a_b", [3]), ("~a_b~", [3]), ("NEAR(a_b)", [])),
    ],
)
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
        assert "Type words" in page.text_content()


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
    assert articles(find("内核", page=page)) == [5, 1, 4, 3, 2]


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


@given(st.text())
def test_whatever_is_typed_becomes_a_few_printable_words(text: str) -> None:
    plain = clean_query(text)
    assert len(plain.split()) <= MAX_SOUGHT and plain == " ".join(plain.split())
    assert plain.isprintable()
    assert len(plain) <= 3 * MAX_LENGTH, "NFC makes three characters of one at the most"


# -- what is shown ---------------------------------------------------------


def shown(page: Any, number: int) -> str:
    (item,) = page.xpath(f"//main//article[.//h3/a[contains(@href, '/articles/{number}')]]")
    return html.tostring(item, encoding="unicode")


def test_what_was_found_is_marked_and_all_else_is_text(find: Callable[..., Any]) -> None:
    page = find("o'reilly 调度")
    assert page.xpath("//main//mark/text()") == ["调度", "O'Reilly"]
    assert "&lt;b&gt;" in shown(page, 5) and not page.xpath("//main//p[@class='summary']/b")


def test_of_a_body_the_part_is_shown_that_has_the_words(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.write(
        "1.md",
        title="Long",
        body=f"{'before it ' * 200}\n\nAnd then <b>TCP</b>-states & what they <i>mean</i>.{' After' * 200}",
    )
    site.rescan()
    page = html.fromstring(make_client(site).get("/search?q=state%20tcp").data)
    (text,) = page.xpath("//main//p[@class='summary']")
    assert text.xpath("./mark/text()") == ["TCP", "states"]
    assert len(text.text_content()) < 200 and "what they mean" in text.text_content()


def test_terms_and_years_narrow_a_search(find: Callable[..., Any]) -> None:
    page = find("内核")
    links = page.xpath("//ul[@class='filters']//a/@href")
    assert "/search?q=%E5%86%85%E6%A0%B8&tag=Linux" in links
    assert articles(find("内核", tag="Linux")) == [1, 2]
    assert articles(find("内核", tag="Linux", year="2020")) == [1, 2]
    assert articles(find("内核", tag="Linux", year="2019")) == articles(find("内核", tag="no such")) == []
    assert articles(find("内核", year="20x0", nonsense="1")) == [5, 1, 4, 3, 2], "what is no filter is none"
    (remove,) = find("内核", tag="Linux").xpath("//ul[@class='filters']//a[@class='chosen']/@href")
    assert remove == "/search?q=%E5%86%85%E6%A0%B8"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("kernle", ["kernels"]), ("gnu/linx", ["gnu/linux"]), ("kernle 内核", ["kernels 内核"]), ("zzzzzz", [])],
)
def test_a_typing_error_leads_to_what_was_meant(find: Callable[..., Any], typed: str, meant: list[str]) -> None:
    page = find(typed)
    assert page.xpath("//header//a[starts-with(@href, '/search')]/b/text()") == meant
    assert not articles(page) and all(articles(find(one)) for one in meant)


def test_an_error_in_chinese_is_one_of_sound(find: Callable[..., Any]) -> None:
    assert find("内合").xpath("//header//b/text()") == ["内核"]


def test_a_search_for_terms_can_be_followed(find: Callable[..., Any]) -> None:
    def follow(text: str) -> list[str]:
        return list(find(text).xpath("//p[@class='follow-search']/a/@href"))

    assert follow("linux") == ["/tags/Linux"]
    assert follow("linux kernel-fan") == ["/select?all-tag=Linux&all-translator=kernel-fan"]
    assert follow("linux 指南") == []


def test_programs_get_the_same_as_json(library: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(library)
    answered = client.get("/search.json?q=O'Reilly")
    assert answered.content_type == "application/json" and answered.headers["X-Robots-Tag"] == "noindex"
    found = json.loads(answered.data)
    assert (found["query"], found["total"], found["page"], found["pages"]) == ("O'Reilly", 1, 1, 1)
    (article,) = found["articles"]
    assert article["id"] == "5" and article["url"].endswith("/articles/5")
    assert "<mark>O&#x27;Reilly</mark>" in article["text_html"] and "&lt;b&gt;" in article["text_html"]
    assert json.loads(client.get("/search.json?q=zzz").data)["articles"] == []
    assert json.loads(client.get("/search.json").data)["total"] == 0
    assert client.get("/search.json?q=a&page=51").status_code == 404
