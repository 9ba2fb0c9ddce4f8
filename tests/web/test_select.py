"""Any selection as a feed: canonical addresses, the same validators as other feeds, and the page that builds them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import feedparser
import pytest
import yaml
from lxml import html
from werkzeug.test import Client

FORMATS = ("atom", "rss", "json")


@pytest.fixture
def client(filled_client: Client) -> Client:
    """These tests only ask."""
    return filled_client


def ids(client: Client, address: str) -> list[str]:
    answered = client.get(address)
    assert answered.status_code == 200, answered.text
    return [item["id"].rpartition("/")[2] for item in json.loads(answered.data)["items"]]


def moved(client: Client, address: str) -> str:
    answered = client.get(address)
    assert answered.status_code == 301
    return str(answered.headers["Location"])


# -- what is in it ---------------------------------------------------------


def test_any_all_and_none_hold_together(client: Client) -> None:
    """Articles 1 to 30 have one of 13 tags by turns, and Linux; geekpi translates the odd ones."""
    every = set(map(str, range(1, 31)))
    some = {str(number) for number in range(1, 31) if number % 13 in (1, 2)}
    odd = {str(number) for number in range(1, 31, 2)}
    assert set(ids(client, "/select.json?tag=C%23&tag=C%2B%2B")) == some
    assert set(ids(client, "/select.json?tag=C%23&tag=C%2B%2B&translator=geekpi")) == some & odd
    assert set(ids(client, "/select.json?all-tag=C%2B%2B&all-tag=Linux")) == {"1", "14", "27"}
    newest = sorted(every - odd - some, key=int, reverse=True)
    assert ids(client, "/select.json?not-tag=C%23&not-tag=C%2B%2B&not-translator=geekpi") == newest[:20]


def test_a_term_that_no_article_has_yet_fits_nothing_beside_one_that_exists(client: Client) -> None:
    assert ids(client, "/select.json?all-tag=Linux&all-tag=Tomorrow") == []
    assert len(ids(client, "/select.json?tag=Linux&tag=Tomorrow")) == 20
    assert client.get("/select.json?tag=Tomorrow").status_code == 404


# -- its address -----------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("tag=Linux&tag=C%23", "tag=C%23&tag=Linux"),
        ("translator=geekpi&tag=linux", "tag=Linux&translator=geekpi"),
        ("tag=Linux&tag=LINUX&tag=linux&tag=C%23", "tag=C%23&tag=Linux"),
        ("not-tag=C%23&tag=Linux", "tag=Linux&not-tag=C%23"),
        ("tag=K8s&tag=Linux", "tag=Kubernetes&tag=Linux"),
        ("tag=内核&tag=Linux", "tag=Linux&tag=%E5%86%85%E6%A0%B8"),
        ("tag=%e5%86%85%e6%a0%b8&tag=Linux", "tag=Linux&tag=%E5%86%85%E6%A0%B8"),
        ("tag=a+b&tag=Linux", "tag=a%20b&tag=Linux"),
    ],
)
@pytest.mark.parametrize("extension", [".atom", ".rss", ".json", ""])
def test_another_order_or_spelling_is_301_to_the_canonical_one(
    client: Client, asked: str, canonical: str, extension: str
) -> None:
    target = moved(client, f"/select{extension}?{asked}")
    assert target == f"/select{extension}?{canonical}"
    assert client.get(target).status_code == 200


def test_what_has_an_address_of_its_own_leads_there(client: Client) -> None:
    assert moved(client, "/select.atom") == "/all.atom"
    assert moved(client, "/select.rss?feed=kernel") == "/feeds/kernel.rss"
    assert moved(client, "/select?feed=kernel") == "/feeds/kernel"


@pytest.mark.parametrize("query", ["colour=red", "tag=", "&".join(f"tag={n}" for n in range(60)), "tag=" + "x" * 3000])
def test_what_is_no_selection_is_a_clear_400(client: Client, query: str) -> None:
    answered = client.get(f"/select.atom?{query}")
    assert (answered.status_code, answered.mimetype) == (400, "text/plain")
    assert len(answered.text) > 15
    assert client.get(f"/select?{query}").status_code == 400


def test_the_id_stays_when_a_term_is_spelled_otherwise(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    def feed_id(address: str) -> str:
        answered = make_client(web_site).get(address, follow_redirects=True)
        return str(feedparser.parse(answered.data).feed.id)

    before = feed_id("/select.atom?tag=C%2B%2B&tag=Linux")
    for number in range(31, 75):
        web_site.write(f"{number}.md", tags=["LINUX"], date="2021-01-01 00:00:00")
    web_site.rescan()
    assert moved(make_client(web_site), "/select.atom?tag=C%2B%2B&tag=Linux") == "/select.atom?tag=C%2B%2B&tag=LINUX"
    assert feed_id("/select.atom?tag=C%2B%2B&tag=Linux") == before


# -- the same machinery ----------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_it_names_itself_and_answers_304_to_its_validators(client: Client, format: str) -> None:
    address = f"/select.{format}?tag=C%23&tag=Linux"
    first = client.get(address)
    assert first.status_code == 200
    assert first.headers["Link"] == f'<http://localhost/hub>; rel="hub", <http://localhost{address}>; rel="self"'
    assert f"http://localhost{address}".replace("&", "&amp;" if format != "json" else "&") in first.text
    assert client.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert client.get(address, headers={"If-Modified-Since": first.headers["Last-Modified"]}).status_code == 304
    assert client.get(address).data == first.data


def test_its_etag_changes_with_its_articles_and_only_with_them(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(web_site)
    address = "/select.json?tag=C%23&tag=C%2B%2B"
    tags = [client.get(address).headers["ETag"]]
    web_site.write("90.md", tags=["Other"], date="2022-01-01 00:00:00")
    web_site.rescan()
    client_of_now = client
    tags.append(fresh(client_of_now, address))
    web_site.write("91.md", tags=["C#"], date="2022-01-02 00:00:00")
    web_site.rescan()
    tags.append(fresh(client_of_now, address))
    assert tags[0] == tags[1] != tags[2]


def fresh(client: Client, address: str) -> str:
    """The ETag once the worker has noticed the rescan."""
    import time

    time.sleep(0.25)
    return str(client.get(address).headers["ETag"])


def test_a_path_cannot_reach_what_the_cache_holds_for_a_query(client: Client) -> None:
    client.get("/select.atom?tag=C%23&tag=Linux")
    assert client.get("/select.atom%3Ftag=C%23&tag=Linux").status_code == 404


def test_it_can_be_switched_off(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    web_site.settle("feeds.yaml", select={"enabled": False})
    web_site.rescan()
    client = make_client(web_site)
    assert client.get("/select").status_code == 404
    assert client.get("/select.atom?tag=Linux&tag=C%23").status_code == 404
    assert "/select" not in client.get("/").text


# -- the page --------------------------------------------------------------


def links(page: Any, pattern: str) -> list[str]:
    return [href for href in page.xpath("//a/@href") if re.search(pattern, href)]


def test_the_page_shows_the_articles_and_the_addresses_in_three_formats(client: Client) -> None:
    page = html.fromstring(client.get("/select?tag=C%23&tag=C%2B%2B").data)
    assert "共 6 篇文章" in page.text_content()
    shown = page.xpath("//dl[@class='addresses']//code/text()")
    assert [urlsplit(url).path for url in shown] == ["/select.atom", "/select.rss", "/select.json"]
    for url in shown:
        assert client.get(url.removeprefix("http://localhost")).status_code == 200
    assert page.xpath("count(//ol[@class='articles']/li)") == 6
    found = page.xpath("//link[@rel='alternate']/@href")
    assert found == shown


def test_without_javascript_each_step_of_the_form_is_an_address(client: Client) -> None:
    def step(address: str, mode: str, facet: str, term: str) -> str:
        page = html.fromstring(client.get(address).data)
        form = page.xpath("//form[@action='/select']")[0]
        fields = [(field.get("name"), field.get("value")) for field in form.xpath(".//input[@type='hidden']")]
        answered = client.get("/select", query_string=[*fields, ("mode", mode), ("facet", facet), ("term", term)])
        while answered.status_code in (301, 302):
            address = answered.headers["Location"]
            answered = client.get(address)
        assert answered.status_code == 200
        return address

    address = step("/select", "", "tag", "linux")
    assert address == "/select?tag=Linux"
    address = step(address, "", "tag", "c#")
    address = step(address, "not-", "translator", "geekpi")
    assert address == "/select?tag=C%23&tag=Linux&not-translator=geekpi"
    page = html.fromstring(client.get(address).data)
    removing = page.xpath("//a[@class='chip']/@href")
    assert "/select?tag=Linux&not-translator=geekpi" in removing


def test_the_step_of_nothing_leaves_the_selection_as_it_is(client: Client) -> None:
    answered = client.get("/select?tag=Linux&mode=&facet=tag&term=")
    assert (answered.status_code, answered.headers["Location"]) == (302, "/select?tag=Linux")


def test_a_name_that_is_no_term_is_said_with_those_that_may_be_meant(client: Client) -> None:
    page = html.fromstring(client.get("/select?tag=C%23&tag=Linu").data)
    assert "还没有文章具备" in page.text_content()
    assert client.get(links(page, "tag=Linux")[0], follow_redirects=True).status_code == 200


def test_the_text_for_feeds_yaml_makes_the_same_feed(
    web_site: Any, client: Client, make_client: Callable[[Any], Client]
) -> None:
    address = "/select?tag=C%23&tag=%E5%86%85%E6%A0%B8&all-tag=Linux&not-translator=geekpi"
    written = html.fromstring(client.get(address).data).xpath("//pre[@class='yaml']")[0].text_content()
    [named] = yaml.safe_load(written)["feeds"]
    web_site.settle("feeds.yaml", feeds=[named])
    web_site.rescan()
    fresh_client = make_client(web_site)
    assert ids(fresh_client, f"/feeds/{named['name']}.json") == ids(fresh_client, address.replace("/select", "/select.json"))


def test_the_form_for_mail_carries_the_selection(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    web_site.set("newsletter.yaml", "enabled: true\n")
    web_site.rescan()
    client = make_client(web_site)
    page = html.fromstring(client.get("/select?tag=C%23&tag=Linux").data)
    [field] = page.xpath("//form[@action='/subscribe']//input[@name='select']")
    asked = client.get("/subscribe", query_string={"select": field.get("value")})
    assert "C#、Linux" in asked.text


def test_search_finds_terms_as_they_are_typed(client: Client) -> None:
    found = client.get("/select/terms?facet=tag&q=lin").get_json()
    assert found[0] == {"name": "Linux", "articles": 30}
    assert [term["name"] for term in client.get("/select/terms?facet=tag&q=%E5%86%85").get_json()] == ["内核"]
    assert {term["name"] for term in client.get("/select/terms?facet=translator&q=").get_json()} == {"geekpi", "wxy", "甲乙"}
    assert client.get("/select/terms?facet=colour&q=x").status_code == 404


def test_a_browser_that_opens_the_feed_is_shown_the_page(client: Client) -> None:
    answered = client.get("/select.atom?tag=C%23&tag=Linux", headers={"Sec-Fetch-Dest": "document"})
    assert answered.mimetype == "text/html"
    assert "Sec-Fetch-Dest" in answered.headers["Vary"]
    assert "private" in answered.headers["Cache-Control"]
