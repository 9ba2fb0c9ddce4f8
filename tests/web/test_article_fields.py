"""What few headers say of an article shows wherever it is read: in feeds, on pages, in digests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree, html
from werkzeug.test import Client

from feeds.newsletter.issues.preview import PreviewRequest, newest_content

NAMES = {
    "a": "http://www.w3.org/2005/Atom",
    "cc": "http://backend.userland.com/creativeCommonsRssModule",
    "thr": "http://purl.org/syndication/thread/1.0",
}
DEED = "https://creativecommons.org/licenses/by-sa/4.0/"
FORUM = "https://forum.example.org/t/1"
HEADERS = {
    "first": f"license: CC BY-SA 4.0\nseries: [Lakes]\nseries_order: 1\ncomments_url: {FORUM}",
    "second": "series: [Lakes]\nseries_order: 2\npinned: true",
    "quiet": "feed: false",
    "unsent": "newsletter: false",
}


@pytest.fixture
def blog(new_site: Callable[..., Any], prepared: Callable[..., Any]) -> Any:
    return new_site(prepared(fill))


def fill(site: Any) -> None:
    site.settle(
        "site.yaml", base_url="http://localhost", article_url="", store={"path": "articles", "kind": "plain"}, language="en"
    )
    site.settle("feeds.yaml", facets={"tag": {}, "series": {}}, all={"limit": 20})
    for number, (name, header) in enumerate(HEADERS.items()):
        site.write(
            f"{name}.md", f"---\ntitle: {name}\ndate: 2024-01-0{number + 1}\ntags: [Linux]\n{header}\n---\nText of {name}.\n"
        )
    site.rescan()


@pytest.fixture
def client(blog: Any, make_client: Callable[[Any], Client]) -> Client:
    return make_client(blog)


def page(client: Client, path: str) -> Any:
    return html.fromstring(client.get(path, headers={"Accept-Language": "en"}).get_data(as_text=True))


def test_a_licence_is_said_in_every_format_and_on_the_page(client: Client) -> None:
    atom = etree.fromstring(client.get("/all.atom").data)
    (entry,) = atom.xpath("a:entry[a:title='first']", namespaces=NAMES)
    assert entry.xpath("a:rights/text()", namespaces=NAMES) == ["CC BY-SA 4.0"]
    assert entry.xpath("a:link[@rel='license']/@href", namespaces=NAMES) == [DEED]
    assert len(atom.xpath("a:entry/a:rights", namespaces=NAMES)) == 1, "others have that of the site"
    rss = etree.fromstring(client.get("/all.rss").data)
    assert rss.xpath("//item[title='first']/cc:license/text()", namespaces=NAMES) == [DEED]
    assert DEED in json.dumps(client.get("/all.json").json)
    assert page(client, "/articles/first").xpath(f"//a[@href='{DEED}']") and not page(client, "/articles/second").xpath(
        f"//a[@href='{DEED}']"
    )


def test_comments_elsewhere_have_their_link(client: Client) -> None:
    atom = etree.fromstring(client.get("/all.atom").data)
    assert atom.xpath("a:entry/a:link[@rel='replies']/@href", namespaces=NAMES) == [FORUM]
    rss = etree.fromstring(client.get("/all.rss").data)
    assert rss.xpath("//item/comments/text()") == [FORUM]
    assert page(client, "/articles/first").xpath(f"//a[@href='{FORUM}']/text()") == ["Comments"]


def test_the_parts_of_a_series_lead_to_each_other(client: Client) -> None:
    first, second = (page(client, f"/articles/{name}") for name in ("first", "second"))
    assert "1 of 2" in " ".join(first.text_content().split()) and "2 of 2" in " ".join(second.text_content().split())
    (series,) = first.xpath("//nav[contains(@class, 'series')]")
    assert "http://localhost/articles/second" in series.xpath(".//a/@href")
    listed = [one["title"] for one in client.get("/series/Lakes.json").json["items"]]
    assert listed == ["second", "first"], "a feed has the newest first"


def test_what_is_in_no_feed_is_on_pages(client: Client) -> None:
    for path in ("/all.atom", "/tags/Linux.rss", "/all.json"):
        assert "Text of quiet" not in client.get(path).get_data(as_text=True) and "Text of unsent" in client.get(path).get_data(
            as_text=True
        )
    assert client.get("/articles/quiet").status_code == 200
    assert "quiet" in page(client, "/").text_content() and "quiet" in page(client, "/tags/Linux").text_content()


def test_what_is_pinned_comes_first_on_pages(client: Client) -> None:
    for path in ("/", "/tags/Linux"):
        (pinned,) = page(client, path).xpath("//section[@aria-labelledby='pinned']")
        assert "second" in pinned.text_content() and "first" not in pinned.text_content()
    assert [one["title"] for one in client.get("/all.json").json["items"]] == ["unsent", "second", "first"]


def test_what_no_digest_is_to_have_is_in_none(blog: Any) -> None:
    config = blog.runtime.edition().config
    with blog.runtime.reading() as connection:
        wanted = PreviewRequest("weekly", "UTC")
        content = newest_content(connection, config, wanted, 1_800_000_000, after=0)
    assert {one.title for one in content.articles} == {"first", "second", "quiet"}
    (first,) = [one for one in content.articles if one.title == "first"]
    assert first.licence is not None and first.licence.url == DEED and first.discussion == FORUM
    assert [credit.name for credit in first.series] == ["Lakes"]
