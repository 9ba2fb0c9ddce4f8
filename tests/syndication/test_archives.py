"""The whole history of a feed: a client of RFC 5005 walks from the newest document to the first article."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import feedparser
import pytest
from lxml import etree
from werkzeug.test import Client

from feeds.web.app import create_app

FH = "{http://purl.org/syndication/history/1.0}"
BASE = "http://localhost"


@pytest.fixture
def history(new_site: Callable[..., Any], prepared: Callable[..., Any]) -> Any:
    """120 articles over four years; Linux has all of them, Rust every third."""
    return new_site(prepared(fill))


def fill(site: Any) -> None:
    site.settle("site.yaml", base_url=BASE, article_url="")
    for number in range(120):
        tags = ["Linux", "Rust"] if number % 3 == 0 else ["Linux"]
        site.write(
            f"{number}.md", tags=tags, translator="geekpi", date=f"{2020 + number // 32}-{1 + number % 12:02}-10 08:00:00"
        )
    site.settle("feeds.yaml", feeds=[{"name": "kernel", "title": "Kernel", "select": {"tag": ["Rust", "Linux"]}}])
    site.rescan()


def client_of(site: Any) -> Client:
    return Client(create_app(site.environment))


def links(document: Any) -> dict[str, str]:
    return {link.rel: link.href for link in document.feed.links}


def walk(client: Client, address: str, between: Callable[[int], None] = lambda _step: None) -> list[Any]:
    """Every document from the feed to the oldest archive, as RFC 5005, section 4.1 has it."""
    documents = []
    while address:
        answered = client.get(address.removeprefix(BASE))
        assert answered.status_code == 200, address
        documents.append(feedparser.parse(answered.data))
        assert not documents[-1].bozo
        between(len(documents))
        address = links(documents[-1]).get("prev-archive", "")
    return documents


def articles(document: Any) -> list[str]:
    return [entry.id for entry in document.entries]


@pytest.mark.parametrize("format", ["atom", "rss"])
@pytest.mark.parametrize("path", ["all", "tags/Linux", "tags/Rust", "translators/geekpi", "feeds/kernel"])
def test_a_walk_meets_every_article_exactly_once(history: Any, path: str, format: str) -> None:
    feed, *archives = walk(client_of(history), f"/{path}.{format}")
    met = Counter(id for document in archives for id in articles(document))
    expected = 40 if path == "tags/Rust" else 120
    assert len(met) == expected and set(met.values()) == {1}
    assert set(articles(feed)) <= met.keys()
    assert len(archives) == (48 if path == "all" else 4)


def test_articles_that_are_added_during_a_walk_neither_hide_nor_double_others(history: Any) -> None:
    client, chance, known = client_of(history), random.Random(5), {f"{number}.md" for number in range(120)}
    before = {f"tag:linux.cn,2003:article/{name.removesuffix('.md')}" for name in known}

    def publish(step: int) -> None:
        history.write(f"{1000 + step}.md", tags=["Linux"], date="2024-06-01 00:00:00")
        history.write(f"{2000 + step}.md", tags=["Linux"], date=f"{2020 + chance.randrange(4)}-03-03 00:00:00")
        history.rescan()

    _feed, *archives = walk(client, "/tags/Linux.atom", publish)
    met = Counter(id for document in archives for id in articles(document))
    assert before <= met.keys() and set(met.values()) == {1}
    met_later = {id for document in walk(client_of(history), "/tags/Linux.atom") for id in articles(document)}
    assert met_later >= before and len(met_later) == 120 + 2 * (len(archives) + 1)


def test_the_chain_goes_both_ways(history: Any) -> None:
    _feed, *archives = walk(client_of(history), "/tags/Linux.atom")
    names = [links(document)["self"] for document in archives]
    assert names == [f"{BASE}/tags/Linux/archive/{year}.atom" for year in (2023, 2022, 2021, 2020)]
    assert [links(document).get("next-archive") for document in archives] == [None, *names[:-1]]
    assert {links(document)["current"] for document in archives} == {f"{BASE}/tags/Linux.atom"}
    assert len({document.feed.id for document in archives}) == 1


def test_json_feed_goes_back_by_next_url(history: Any) -> None:
    client, address, met = client_of(history), "/tags/Linux.json", []
    while address:
        feed = json.loads(client.get(address.removeprefix(BASE)).data)
        assert feed["feed_url"] != feed.get("next_url")
        met.append([item["id"] for item in feed["items"]])
        address = feed.get("next_url", "")
    assert sorted(map(len, met[1:])) == [24, 32, 32, 32] and len(met[0]) == 20


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_only_closed_documents_are_marked_as_archives_and_kept_for_ever(history: Any, format: str) -> None:
    client = client_of(history)
    kept = {}
    for year in (2020, 2021, 2022, 2023):
        answered = client.get(f"/tags/Linux/archive/{year}.{format}")
        marked = etree.fromstring(answered.data).find(f".//{FH}archive") is not None
        kept[year] = (marked, "max-age=31536000" in answered.headers["Cache-Control"])
    assert kept == {2020: (True, True), 2021: (True, True), 2022: (True, True), 2023: (False, False)}


def test_a_closed_document_keeps_its_bytes_while_others_change(history: Any) -> None:
    addresses = [f"/tags/Linux/archive/{year}.{format}" for year in (2020, 2021, 2022) for format in ("atom", "rss", "json")]
    before = [client_of(history).get(address).data for address in addresses]
    for number in range(200, 230):
        history.write(f"{number}.md", tags=["Linux"], date=f"{2023 + number % 3}-11-11 00:00:00")
    history.rescan()
    assert [client_of(history).get(address).data for address in addresses] == before


def test_a_deleted_article_leaves_the_feed_and_its_archive(history: Any) -> None:
    address = "/tags/Linux/archive/2020.atom"
    first = client_of(history).get(address)
    (history.store / "5.md").unlink()
    history.rescan()
    client = client_of(history)
    then = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert then.status_code == 200 and len(feedparser.parse(then.data).entries) == 31
    assert client.get(address, headers={"If-None-Match": then.headers["ETag"]}).status_code == 304


def test_a_feed_that_holds_its_whole_history_has_no_archive_links(site: Any) -> None:
    site.settle("site.yaml", base_url=BASE)
    for number in range(20):
        site.write(f"{number}.md", tags=["Few"], date=f"{2000 + number}-01-01 00:00:00")
    site.rescan()
    found = links(feedparser.parse(client_of(site).get("/tags/Few.atom").data))
    assert "prev-archive" not in found
    site.write("20.md", tags=["Few"], date="2030-01-01 00:00:00")
    site.rescan()
    found = links(feedparser.parse(client_of(site).get("/tags/Few.atom").data))
    assert found["prev-archive"] == f"{BASE}/tags/Few/archive/2030.atom"


def test_a_year_is_one_of_the_sites_time_zone(site: Any) -> None:
    site.settle("site.yaml", base_url=BASE, timezone="Asia/Shanghai")
    site.write("1.md", tags=["Linux"], date="2019-12-31 23:59:59")
    site.write("2.md", tags=["Linux"], date="2020-01-01 00:00:00")
    site.rescan()
    client = client_of(site)
    assert [len(feedparser.parse(client.get(f"/tags/Linux/archive/{year}.atom").data).entries) for year in (2019, 2020)] == [
        1,
        1,
    ]


def test_what_is_no_document_of_the_archive_is_404(history: Any) -> None:
    client = client_of(history)
    for name in ("1999", "20", "2020-05", "0000", "9999", "99999", "x", "2020/05", ".."):
        assert client.get(f"/tags/Linux/archive/{name}.atom").status_code == 404, name


def test_other_spellings_moved_and_retired_feeds_take_their_archives_along(history: Any) -> None:
    history.settle("feeds.yaml", moved={"tags/Old": "tags/Linux"}, gone=["tags/Dead"])
    history.rescan()
    client = client_of(history)
    assert client.get("/tags/linux/archive/2020.rss").headers["Location"] == "/tags/Linux/archive/2020.rss"
    assert client.get("/tags/Old/archive/2020.atom").headers["Location"] == "/tags/Linux/archive/2020.atom"
    assert client.get("/tags/Dead/archive/2020.atom").status_code == 410


def test_one_setting_takes_the_archives_of_all_feeds_away_and_gives_them_back(history: Any) -> None:
    addresses = ("/tags/Linux/archive/2020.atom", "/tags/Linux/archive/2020", "/all/archive/2020-01.json")
    client = client_of(history)
    before = {address: client.get(address).data for address in addresses}
    etag = client.get("/tags/Linux.atom").headers["ETag"]
    history.settle("feeds.yaml", archives=False)
    history.rescan()
    client = client_of(history)
    assert [client.get(address).status_code for address in addresses] == [404] * 3
    fresh = client.get("/tags/Linux.atom", headers={"If-None-Match": etag})
    assert fresh.status_code == 200 and "prev-archive" not in links(feedparser.parse(fresh.data))
    assert b"/archive/" not in client.get("/tags/Linux").data and b"next_url" not in client.get("/all.json").data
    history.settle("feeds.yaml", archives=True)
    history.rescan()
    client = client_of(history)
    assert {address: client.get(address).data for address in addresses} == before


def test_an_archive_can_be_monthly_or_none(history: Any) -> None:
    history.settle("feeds.yaml", facets={"tag": {"archive": "month"}, "translator": {"archive": "none"}})
    history.rescan()
    client = client_of(history)
    assert client.get("/tags/Linux/archive/2020-05.atom").status_code == 200
    assert client.get("/tags/Linux/archive/2020.atom").status_code == 404
    assert client.get("/translators/geekpi/archive/2020.atom").status_code == 404
    assert "prev-archive" not in links(feedparser.parse(client.get("/translators/geekpi.atom").data))


def test_people_can_leaf_through_the_archive(history: Any) -> None:
    client = client_of(history)
    assert "/tags/Linux/archive/2023" in client.get("/tags/Linux").text
    page = client.get("/tags/Linux/archive/2022").text
    assert 'href="/tags/Linux/archive/2021"' in page and 'href="/tags/Linux/archive/2023"' in page
    opened = client.get("/tags/Linux/archive/2022.atom", headers={"Sec-Fetch-Dest": "document"})
    assert opened.mimetype == "text/html"
