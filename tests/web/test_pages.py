"""Pages for people: what they say, where their links lead, what they never do."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import brotli
import feedparser
import pytest
from lxml import html
from werkzeug.test import Client

from feeds import resources
from feeds.monitoring import health
from feeds.syndication import lookup

BASE = "http://127.0.0.1:8000"  # of the default configuration


def links_of(page: Any, address: str) -> Iterator[tuple[str, str]]:
    """(element, absolute address) of everything that the page refers to."""
    for element, _attribute, link, _position in page.iterlinks():
        yield element.tag, urldefrag(urljoin(BASE + address, link))[0]


@pytest.fixture(scope="module")
def crawled(demo_client: Client) -> dict[str, Any]:
    """Every page that can be reached from the home page: path -> parsed page. Fails on a link of ours that does not answer."""
    pages: dict[str, Any] = {}
    waiting, seen = ["/"], {"/"}
    while waiting:
        address = waiting.pop()
        answered = demo_client.get(address)
        assert answered.status_code == 200, f"{address} gives {answered.status_code}"
        if answered.mimetype != "text/html":
            continue
        pages[address] = html.fromstring(answered.data)
        frame = copy.deepcopy(pages[address])
        for body in frame.xpath("//*[contains(concat(' ', @class, ' '), ' body ')]"):
            body.clear()  # links inside an article are its author's: they lead where the site was, not here
        for form in frame.xpath("//form[@method='post']"):
            del form.attrib["action"]  # looking must not act
        for endless in frame.xpath("//a[@rel='nofollow']"):
            endless.drop_tag()  # the builder leads to every selection there could be
        for _tag, link in links_of(frame, address):
            parts = urlsplit(link)
            own = f"{parts.path}?{parts.query}" if parts.query else parts.path
            if link.startswith(BASE) and own not in seen:
                seen.add(own)
                waiting.append(own)
    return pages


def test_every_link_of_every_page_of_the_demo_answers_without_a_redirect(crawled: dict[str, Any], demo: Any) -> None:
    assert {"/", "/tags/", "/translators/", "/about/feeds", "/all"} <= crawled.keys()
    assert sum(path.startswith("/articles/") for path in crawled) == demo.runtime.read(health.catalog_status)["articles"]
    assert len(crawled) > 100


def test_every_feed_has_a_page_that_can_be_reached(crawled: dict[str, Any], demo: Any) -> None:
    from feeds import urls

    assert {f"/{urls.encode(state.path)}" for state, _selection in demo.runtime.read(lookup.list_feeds)} <= crawled.keys()


def test_every_page_names_its_language_title_and_viewport_and_has_one_heading(crawled: dict[str, Any]) -> None:
    for address, page in crawled.items():
        assert page.get("lang") == "zh-CN", address
        assert page.findtext(".//title").strip(), address
        assert page.xpath("count(//meta[@name='viewport'])") == 1, address
        assert page.xpath("count(//h1)") >= 1, address
        assert page.xpath("count(//main)") == 1, address


def test_titles_tell_pages_apart(crawled: dict[str, Any], demo: Any) -> None:
    from feeds import urls

    titles = [
        crawled[f"/{urls.encode(state.path)}"].findtext(".//title").strip()
        for state, _selection in demo.runtime.read(lookup.list_feeds)
    ]
    assert len(set(titles)) == len(titles)


def test_every_page_leads_readers_to_feeds_that_work(crawled: dict[str, Any], demo_client: Client) -> None:
    checked: dict[str, str] = {}
    for address, page in crawled.items():
        found = page.xpath("//link[@rel='alternate'][@type!='text/markdown']")
        kinds = {link.get("type") for link in found}
        if address.startswith("/digests/"):  # past digests have one feed
            assert kinds == {"application/atom+xml"}, address
        else:
            assert kinds == {"application/atom+xml", "application/rss+xml", "application/feed+json"}, address
        for link in found:
            assert link.get("title"), address
            checked[link.get("href")] = link.get("type")
    for href, media_type in checked.items():
        answered = demo_client.get(href.removeprefix(BASE))
        assert (answered.status_code, answered.mimetype) == (200, media_type), href


def test_the_page_of_a_term_leads_to_the_feeds_of_that_term(crawled: dict[str, Any]) -> None:
    page = crawled["/tags/C++"]
    assert {link.get("href") for link in page.xpath("//link[@rel='alternate']")} == {
        f"{BASE}/tags/C++{extension}" for extension in (".atom", ".rss", ".json")
    }


def test_no_page_has_an_inline_script_or_style_or_anything_from_another_host_but_pictures(crawled: dict[str, Any]) -> None:
    for address, page in crawled.items():
        runs = "//script[not(@src)][not(@type='application/ld+json')]"  # what is JSON is data
        assert not page.xpath(f"{runs} | //iframe | //object | //embed | //style | //@style | //@onclick"), address
        assert page.xpath("//script/@src") == [f"/static/{'select' if address.startswith('/select') else 'page'}.js"], address
        for tag, link in links_of(page, address):
            assert tag in ("a", "img", "link", "form", "time", "blockquote", "q", "meta") or link.startswith(BASE), (
                address,
                tag,
            )
        for link in page.xpath("//link[@rel='stylesheet']/@href | //script/@src"):
            assert urljoin(BASE + address, link).startswith(BASE)


def test_every_picture_has_an_alternative_text(crawled: dict[str, Any]) -> None:
    for address, page in crawled.items():
        assert not page.xpath("//img[not(@alt)]"), address


def test_pages_of_many_articles_are_turned_and_together_show_each_once(demo_client: Client, demo: Any) -> None:
    address, shown = "/all", []
    while address:
        page = html.fromstring(demo_client.get(address).data)
        shown += [link for link in page.xpath("//main//a/@href") if urlsplit(link).path.startswith("/articles/")]
        following = page.xpath("//main//a[@rel='next']/@href")
        address = following[0] if following else ""
    assert len(dict.fromkeys(shown)) == demo.runtime.read(health.catalog_status)["articles"]


def links_to_articles(data: bytes) -> list[str]:
    found = [link for link in html.fromstring(data).xpath("//main//h3/a/@href") if "/articles/" in link]
    return [urlsplit(link).path for link in found]


def test_older_pages_are_numbered_from_the_oldest_and_stay_as_articles_are_added(web_site: Any, make_client: Any) -> None:
    for number in range(31, 66):
        web_site.write(f"{number}.md", tags=["Linux"], date=f"2021-01-01 00:{number - 30:02}:00")
    web_site.rescan()
    pages = [make_client(web_site).get(f"/tags/Linux/page/{number}").data for number in (1, 2)]
    assert [links_to_articles(page) for page in pages] == [
        [f"/articles/{number}" for number in range(20, 0, -1)],
        [f"/articles/{number}" for number in range(40, 20, -1)],
    ]
    assert links_to_articles(make_client(web_site).get("/tags/Linux").data) == [f"/articles/{n}" for n in range(65, 40, -1)]
    web_site.write("99.md", tags=["Linux"], date="2022-01-01 00:00:00")
    web_site.rescan()
    assert [make_client(web_site).get(f"/tags/Linux/page/{number}").data for number in (1, 2)] == pages


@pytest.mark.parametrize("address", ["/all/page/0", "/all/page/2", "/all/page/01", "/all/page/x", "/nothing/page/1"])
def test_a_page_that_does_not_exist_is_not_found(filled_client: Client, address: str) -> None:
    assert filled_client.get(address).status_code == 404


def test_older_pages_of_a_moved_or_misspelt_tag_are_elsewhere(filled_client: Client) -> None:
    assert filled_client.get("/tags/linux/page/1").headers["Location"] == "/tags/Linux/page/1"
    assert filled_client.get("/tags/旧名/page/1").headers["Location"] == "/tags/Linux/page/1"


def test_terms_without_a_feed_are_named_but_not_linked_to(site: Any, make_client: Any) -> None:
    site.settle("site.yaml", article_url="", base_url="http://localhost")
    site.set("feeds.yaml", "facets: {tag: {min_articles: 2}}\ngone: [tags/AI]")
    for number in (1, 2):
        site.write(f"{number}.md", tags=["Linux", "AI", f"rare {number}"])
    site.rescan()
    client = make_client(site)
    for address in ("/", "/tags/", "/all", "/articles/1"):
        page = html.fromstring(client.get(address).data)
        assert {link for link in page.xpath("//main//a/@href") if link.startswith("/tags/") and "." not in link} <= {
            "/tags/Linux",
            "/tags/",
            "/tags/?sort=name",
        }, address
    assert "rare 1" in client.get("/articles/1").text


@pytest.mark.parametrize("before", ["0", "-1", "99999999999999999999999", "x", "", "1e5", "٣"])
def test_a_page_cursor_that_is_none_does_no_harm(demo_client: Client, before: str) -> None:
    assert demo_client.get("/all", query_string={"before": before}).status_code == 200


def test_a_page_says_its_security_in_headers(demo_client: Client) -> None:
    for address in ("/", "/tags/", "/tags/C++", "/articles/101", "/about/feeds", "/nothing"):
        headers = demo_client.get(address).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"]
        assert "Set-Cookie" not in headers


def test_pages_are_compressed_have_validators_and_vary(demo_client: Client) -> None:
    answered = demo_client.get("/tags/", headers={"Accept-Encoding": "gzip"})
    assert answered.headers["Content-Encoding"] == "gzip"
    assert {"Accept-Encoding", "Accept-Language"} <= {name.strip() for name in answered.headers["Vary"].split(",")}
    assert gzip.decompress(answered.data) == demo_client.get("/tags/").data
    tag = answered.headers["ETag"]
    again = demo_client.get("/tags/", headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == tag
    assert again.headers["Vary"] == answered.headers["Vary"]
    assert demo_client.get("/tags/").headers["ETag"] != tag, "each coding has its own strong tag"
    head = demo_client.head("/tags/")
    assert (head.status_code, head.data) == (200, b"")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "zh-CN"), ("en", "en"), ("en-GB,en;q=0.9,zh;q=0.1", "en"), ("zh-TW", "zh-CN"), ("fr", "zh-CN"), ("en;q=0", "zh-CN")],
)
def test_the_pages_own_words_are_in_the_readers_language(demo_client: Client, accepted: str, language: str) -> None:
    answered = demo_client.get("/tags/", headers={"Accept-Language": accepted} if accepted else {})
    assert answered.headers["Content-Language"] == language
    assert html.fromstring(answered.data).get("lang") == language


def test_terms_and_titles_are_escaped(site: Any, make_client: Callable[[Any], Client]) -> None:
    evil = '<script>alert("x")</script>'
    site.settle("site.yaml", title=evil, article_url="", base_url="http://localhost")
    site.write(
        "1.md", tags=[evil, "{{ 7*7 }}"], title=evil, translator=evil, author=evil, excerpt=evil, body="{{ config }} {% raw %}"
    )
    site.rescan()
    client = make_client(site)
    for address in ("/", "/tags/", "/all", "/articles/1", "/translators/", "/tags/nothing"):
        text = client.get(address).text
        assert "<script>" not in text, address
        assert "{{ config }}" in text or address != "/articles/1"


def test_a_template_of_the_operator_comes_first(site: Any, make_client: Callable[[Any], Client]) -> None:
    folder = site.root / "templates" / "web"
    folder.mkdir(parents=True)
    (folder / "about.html").write_text("<p>mine: {{ site.title }}</p>")
    site.rescan()
    assert make_client(site).get("/about/feeds").text == "<p>mine: Linux 中国</p>"


def test_an_article_that_lives_elsewhere_is_not_shown_twice(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.write("7.md", title="Elsewhere")
    site.rescan()
    answered = make_client(site).get("/articles/7")
    assert (answered.status_code, answered.headers["Location"]) == (302, "https://linux.cn/article-7-1.html")


def test_the_opml_lists_are_served_for_readers(demo_client: Client) -> None:
    for address in ("/feeds.opml", "/tags.opml", "/translators.opml"):
        answered = demo_client.get(address)
        assert answered.status_code == 200
        assert answered.headers["Content-Type"] == "text/x-opml; charset=utf-8"
        assert answered.headers["Access-Control-Allow-Origin"] == "*"
        assert demo_client.get(address, headers={"If-None-Match": answered.headers["ETag"]}).status_code == 304
    assert demo_client.get("/authors.opml").status_code == 404
    assert demo_client.get("/Tags.OPML").status_code == 404
    for asked, address in (("/Tags.opml", "/tags.opml"), ("/FEEDS.opml", "/feeds.opml")):
        assert demo_client.get(asked).headers["Location"] == address


@pytest.mark.parametrize("address", ["/feeds.opml", "/tags.opml"])
def test_the_opml_lists_are_compressed_and_every_coding_has_a_304_of_its_own(demo_client: Client, address: str) -> None:
    plain = demo_client.get(address)
    tags = {plain.headers["ETag"]}
    for encoding, unpack in (("gzip", gzip.decompress), ("br", brotli.decompress)):
        asked = {"Accept-Encoding": encoding}
        answered = demo_client.get(address, headers=asked)
        assert answered.headers["Content-Encoding"] == encoding
        assert answered.headers["Vary"] == "Accept-Encoding"
        assert len(answered.data) < len(plain.data) / 3
        assert unpack(answered.data) == plain.data
        again = demo_client.get(address, headers={**asked, "If-None-Match": answered.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        head = demo_client.head(address, headers=asked)
        assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", answered.headers["ETag"])
        tags.add(answered.headers["ETag"])
    assert len(tags) == 3


@pytest.mark.parametrize("folder", ["tags", "translators"])
def test_a_directory_links_and_announces_its_opml_list(demo_client: Client, folder: str) -> None:
    page = html.fromstring(demo_client.get(f"/{folder}/").data)
    assert f"/{folder}.opml" in page.xpath("//main//a/@href")
    assert page.xpath("//link[@rel='outline']/@href") == ["/feeds.opml", f"/{folder}.opml"]
    [title] = page.xpath(f"//link[@href='/{folder}.opml']/@title")
    assert title.endswith(" · Linux 中国 (OPML)")
    assert {f"http://127.0.0.1:8000{href}.atom" for href in page.xpath("//ul[@class='directory']/li/a[1]/@href")} == {
        outline.get("xmlurl") for outline in html.fromstring(demo_client.get(f"/{folder}.opml").data).iter("outline")
    }


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_the_opml_lists_are_sent_compressed_with_a_tag_of_their_own(demo_client: Client, encoding: str) -> None:
    plain = demo_client.get("/feeds.opml")
    answered = demo_client.get("/feeds.opml", headers={"Accept-Encoding": encoding})
    assert answered.headers["Content-Encoding"] == encoding
    assert answered.headers["ETag"] != plain.headers["ETag"]
    assert {"gzip": gzip.decompress, "br": brotli.decompress}[encoding](answered.data) == plain.data
    again = {"Accept-Encoding": encoding, "If-None-Match": answered.headers["ETag"]}
    assert demo_client.get("/feeds.opml", headers=again).status_code == 304


def test_feedparser_finds_a_feed_through_the_page_of_a_term(demo_client: Client) -> None:
    page = html.fromstring(demo_client.get("/tags/C++").data)
    href = page.xpath("//link[@rel='alternate' and @type='application/atom+xml']/@href")[0]
    assert feedparser.parse(demo_client.get(href.removeprefix(BASE)).data).feed.title == "标签：C++ · Linux 中国"


def test_the_permalink_of_an_article_leads_to_its_page(web_site: Any, make_client: Any) -> None:
    """Articles link to each other by permalink, and `article_url` is empty."""
    web_site.write("99.md", permalink="/article-99-1.html", title="别处", body="正文")
    web_site.write("100.md", permalink="/article-100-1.html", body="见 [那篇](/article-99-1.html)")
    web_site.rescan()
    client = make_client(web_site)
    assert 'href="http://localhost/articles/99"' in client.get("/articles/100").text
    answered = client.get("/article-99-1.html")
    assert (answered.status_code, answered.headers["Location"]) == (301, "http://localhost/articles/99")
    assert client.get("/article-98-1.html").status_code == 404


def test_style_and_scripts_stay_small(demo_client: Client) -> None:
    found = {path.name: path.stat().st_size for path in resources.STATIC.iterdir()}
    assert sum(size for name, size in found.items() if name.endswith(".js")) < 20_000
    assert found["style.css"] < 24_000
    for name in found:
        assert demo_client.get(f"/static/{name}").status_code == 200
