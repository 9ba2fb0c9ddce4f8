"""Directories: hundreds of terms to look through, by use or by name, whole or by a part of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.catalog.terms import OTHER_LETTER, index_letter
from feeds.model import Term
from feeds.syndication.pages import directory_page


def names(page: Any) -> list[str]:
    return list(page.xpath("//ul[@class='directory']/li/a[1]/text()"))


def client_of(site: Any, make_client: Callable[[Any], Client]) -> Callable[[str], Any]:
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    site.rescan()
    client = make_client(site)

    def page(address: str) -> Any:
        answered = client.get(address, headers={"Accept-Language": "en"})
        if answered.status_code != 200:
            return None
        made = html.fromstring(answered.data)
        made.set("robots", answered.headers.get("X-Robots-Tag", ""))
        return made

    return page


@pytest.fixture
def ask(site: Any, make_client: Callable[[Any], Client]) -> Callable[[str], Any]:
    """The parsed page at an address, with what its headers say to crawlers; None where there is none."""
    tags = ["内核", "Nginx", "网络", "音乐", "Ubuntu", "安全", "éclair", ".NET", "100%", "绿色", "路由", "systemd"]
    site.write("1.md", tags=tags)
    site.write("2.md", tags=["Ubuntu", "网络"])
    site.write("3.md", tags=["Ubuntu"])
    return client_of(site, make_client)


@pytest.fixture
def long(site: Any, make_client: Callable[[Any], Client]) -> Callable[[str], Any]:
    """The same of a site with 450 translators."""
    for number in range(5):
        site.write(f"{number + 1}.md", translator="、".join(f"t{number}-{one:03}" for one in range(90)))
    return client_of(site, make_client)


def test_the_most_used_come_first(ask: Callable[[str], Any]) -> None:
    assert names(ask("/tags/"))[:2] == ["Ubuntu", "网络"]


def test_by_name_han_characters_stand_where_their_pinyin_does(ask: Callable[[str], Any]) -> None:
    page = ask("/tags/?sort=name")
    assert names(page) == [
        ".NET", "100%", "安全", "éclair", "路由", "绿色", "内核", "Nginx", "systemd", "Ubuntu", "网络", "音乐",
    ]  # fmt: skip
    assert page.xpath("//h2[@class='letter']/text()") == ["#", "A", "E", "L", "N", "S", "U", "W", "Y"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("NET", [".NET"]), ("网", ["网络"]), ("E", [".NET", "systemd"]), ("100%", ["100%"])],
)
def test_a_part_of_a_name_is_enough_in_any_case(ask: Callable[[str], Any], text: str, found: list[str]) -> None:
    page = ask("/tags/?q=" + text.replace("%", "%25"))
    assert sorted(names(page)) == sorted(found)
    assert page.xpath("//main//input[@name='q']/@value") == [text]


def test_what_no_name_has_can_be_searched_for_everywhere(ask: Callable[[str], Any]) -> None:
    page = ask("/tags/?q=zz%26z")
    assert names(page) == []
    assert page.xpath("//main//a[contains(@href, '/search')]/@href") == ["/search?q=zz%26z"]


def test_pages_of_a_long_directory_hold_each_term_once_in_one_order(long: Callable[[str], Any]) -> None:
    for sort in ("", "?sort=name"):
        address, met = "/translators/" + sort, []
        while address:
            page = long(address)
            met += names(page)
            following = page.xpath("//link[@rel='next']/@href")
            assert following == page.xpath("//main//a[@rel='next']/@href")
            address = "".join(following)
        assert len(met) == len(set(met)) == 450
    assert met == sorted(met)


def test_each_page_names_its_own_address_and_its_neighbours(long: Callable[[str], Any]) -> None:
    page = long("/translators/?page=2")
    assert page.xpath("//link[@rel='canonical']/@href") == ["http://localhost/translators/?page=2"]
    assert page.xpath("//link[@rel='prev' or @rel='next']/@href") == ["/translators/", "/translators/?page=3"]
    assert long("/translators/?page=1").xpath("//link[@rel='canonical']/@href") == ["http://localhost/translators/"]


def test_only_the_usual_order_of_all_terms_is_for_crawlers(long: Callable[[str], Any]) -> None:
    assert long("/tags/").get("robots") == long("/translators/?page=2").get("robots") == ""
    assert long("/translators/?q=t").get("robots") == long("/translators/?sort=name").get("robots") == "noindex, follow"


def test_a_page_that_there_is_not_is_not_found_and_nonsense_does_no_harm(long: Callable[[str], Any]) -> None:
    assert long("/translators/?page=4") is None
    for query in ("page=0", "page=x", "sort=evil", "q=%00", "q=" + "x" * 1500):
        assert long(f"/tags/?{query}") is not None, query


def test_the_filter_stays_while_the_order_changes(long: Callable[[str], Any]) -> None:
    page = long("/translators/?q=t5")
    assert page.xpath("//p[@class='sorts']/a/@href") == ["/translators/", "/translators/?q=t5&sort=name"]
    assert long("/translators/?q=t5&sort=name").xpath("//form[@class='sift']/input[@type='hidden']/@value") == ["name"]


def test_a_directory_of_the_demo_fits_into_one_page(demo_client: Client) -> None:
    page = html.fromstring(demo_client.get("/tags/").data)
    assert not page.xpath("//main//nav") and len(names(page)) > 40


@given(st.lists(st.text(max_size=8), unique=True), st.integers(1, 5))
def test_whatever_terms_are_called_the_pages_hold_each_of_them_once(given_names: list[str], size: int) -> None:
    terms = [Term("tag", name, name) for name in given_names]
    met: list[str] = []
    for number in range(1, directory_page(terms, "name", "", 1, size).pages + 1):
        met += [term.name for _letter, some in directory_page(terms, "name", "", number, size).groups for term in some]
    assert sorted(met) == sorted(given_names)


@given(st.text(max_size=12))
def test_every_name_has_a_place_in_the_alphabet(name: str) -> None:
    letter = index_letter(name)
    assert letter == OTHER_LETTER or (letter.isascii() and letter.isupper() and len(letter) == 1)
