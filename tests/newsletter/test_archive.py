"""The archive: past issues as pages and as a feed, without anything about readers."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import feedparser
import pytest
from lxml import html
from werkzeug.test import Client

from feeds.newsletter.issues import archive
from feeds.static.site_files import Exporter
from feeds.web.app import create_app

from ..syndication.rules import Document, faults

Mailing = Any
MONDAY = 1_767_571_200  # 2026-01-05T00:00:00Z
CHINESE = {"Accept-Language": "zh-CN"}


@pytest.fixture
def client(mailing: Mailing) -> Client:
    mailing.write("1", MONDAY - 3600, title="内核与 <b>你</b>", tags=["Linux"], translator="geekpi")
    mailing.write("2", MONDAY - 7200, title="第二篇", tags=["AI"])
    mailing.site.rescan(MONDAY - 10**7)
    mailing.subscribe("tag=Linux")
    mailing.subscribe("tag=AI&translator=nobody")
    mailing.plan(MONDAY)
    return Client(create_app(mailing.site.environment))


def test_the_list_names_each_issue_and_its_first_articles(client: Client) -> None:
    page = client.get("/digests/", headers=CHINESE)
    assert page.status_code == 200
    assert '<a href="/digests/weekly-2026-01-05">每周文摘 · 2026 年 1 月 5 日</a>' in page.text
    assert "内核与 &lt;b&gt;你&lt;/b&gt; · 第二篇" in page.text


def test_an_issue_is_a_page_with_all_that_was_new(client: Client) -> None:
    page = client.get("/digests/weekly-2026-01-05", headers=CHINESE)
    assert page.text.index("内核与 &lt;b&gt;") < page.text.index("第二篇")
    assert 'href="https://linux.cn/article-1-1.html"' in page.text
    assert 'href="https://feeds.example/translators/geekpi"' in page.text


def test_the_link_of_a_message_shows_what_that_message_had(client: Client) -> None:
    page = client.get("/digests/weekly-2026-01-05?reach=0&s=1", headers=CHINESE)
    assert '<h2 id="part-1"><a href="/tags/Linux">Linux</a></h2>' in page.text
    assert "第二篇" not in page.text
    assert 'rel="canonical" href="https://feeds.example/digests/weekly-2026-01-05"' in page.text


@pytest.mark.parametrize("query", ["s=99", "s=x", "s=1&reach=7", "s=" + "1." * 500, "reach=x&s=-1"])
def test_a_link_that_names_nothing_shows_the_whole_issue_or_its_part(client: Client, query: str) -> None:
    page = client.get(f"/digests/weekly-2026-01-05?{query}", headers=CHINESE)
    assert page.status_code == 200
    assert "内核与" in page.text


def test_no_address_and_no_number_of_readers_is_in_the_archive(client: Client) -> None:
    for address in ("/digests/", "/digests/weekly-2026-01-05", "/digests.atom"):
        assert "example.org" not in client.get(address).text.replace("https://example.org/original", "")


def test_the_feed_of_issues_is_read_by_feedparser(client: Client) -> None:
    answered = client.get("/digests.atom")
    feed = feedparser.parse(answered.data)
    assert not feed.bozo
    [entry] = feed.entries
    assert entry.id == "tag:linux.cn,2003:digests/weekly-2026-01-05"
    assert entry.link == "https://feeds.example/digests/weekly-2026-01-05"
    assert entry.title == "每周文摘 · 2026-01-05"
    assert "https://linux.cn/article-1-1.html" in entry.content[0].value
    again = client.get("/digests.atom", headers={"If-None-Match": answered.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_feed_of_issues_keeps_to_every_rule_and_is_sent_compressed(client: Client) -> None:
    answered = client.get("/digests.atom", headers={"Accept-Encoding": "gzip"})
    assert answered.headers["Content-Encoding"] == "gzip"
    assert not faults("atom", Document("https://feeds.example/digests.atom", gzip.decompress(answered.data)))


@pytest.mark.parametrize("address", ["/digests/weekly-1999-01-01", "/digests/..", "/digests/%00"])
def test_an_issue_that_there_never_was_is_not_found(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


def test_without_a_newsletter_there_is_no_archive(site: Any) -> None:
    site.rescan()
    client = Client(create_app(site.environment))
    assert [client.get(address).status_code for address in ("/digests/", "/digests.atom")] == [404, 404]


def test_past_issues_are_in_the_static_tree_and_stay_as_they_are(client: Client, mailing: Mailing, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not Exporter(mailing.site.runtime).export(str(out)).faults
    assert (out / "digests.atom").read_bytes() == client.get("/digests.atom").data
    page = out / "digests" / "weekly-2026-01-05.html"
    assert "内核与 &lt;b&gt;你&lt;/b&gt;" in page.read_text("utf-8") and "/subscribe" not in page.read_text("utf-8")
    assert 'href="/digests/weekly-2026-01-05"' in (out / "digests" / "index.html").read_text("utf-8")
    before = page.stat().st_mtime_ns
    mailing.write("3", MONDAY + 60, tags=["Linux"])
    mailing.site.rescan(MONDAY + 3600)
    mailing.subscribe("tag=Linux", frequency="daily")
    mailing.plan(MONDAY + 86400)
    Exporter(mailing.site.runtime).export(str(out))
    assert len(list((out / "digests").glob("*.html"))) == 3, "the list, and two issues"
    assert page.stat().st_mtime_ns == before
    assert not any(b"reader" in path.read_bytes() and b"@" in path.read_bytes() for path in out.rglob("*.html"))


def test_older_issues_are_on_numbered_pages(mailing: Mailing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(archive, "PAGE_SIZE", 2)
    mailing.subscribe(frequency="daily")
    for day in range(7):
        mailing.write(str(day), MONDAY + day * 86400 - 7200, tags=["Linux"])
        mailing.site.rescan(MONDAY + day * 86400 - 3600)
        mailing.plan(MONDAY + day * 86400)
    client = Client(create_app(mailing.site.environment))
    address, found = "/digests/", []
    while address:
        page = html.fromstring(client.get(address).data)
        found += page.xpath("//main//h2/a/@href")
        address = next(iter(page.xpath("//main//a[@rel='next']/@href")), "")
    assert len(found) == len(set(found)) == 7 and found == sorted(found, reverse=True)
    assert client.get("/digests/page/3").status_code == client.get("/digests/page/0").status_code == 404
    Exporter(mailing.site.runtime).export(str(tmp_path))
    assert {path.name for path in (tmp_path / "digests" / "page").glob("*.html")} == {"1.html", "2.html"}
