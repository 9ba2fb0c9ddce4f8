"""Feed documents over HTTP: through Flask, through the lane before it, and from a real server."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import brotli
import feedparser
import pytest
from werkzeug.test import Client

from feeds.feed_formats import load_formats
from feeds.syndication import documents, lookup
from feeds.web.conditional import ENCODINGS

Answer = tuple[int, Any, bytes]
TYPES = {
    "atom": "application/atom+xml; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
    "json": "application/feed+json; charset=utf-8",
}
UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "br": brotli.decompress, "identity": bytes}
#: What a 304 repeats of the 200 (RFC 9110, section 15.4.5), and what readers in browsers need besides.
REPEATED = ("ETag", "Last-Modified", "Vary", "Cache-Control", "Access-Control-Allow-Origin", "Link")


def through(client: Client, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
    answered = client.open(path, method=method, headers=headers or {})
    return answered.status_code, answered.headers, answered.get_data()


@pytest.fixture(params=["flask", "lane", "server"])
def ask(request: pytest.FixtureRequest, demo: Any, make_client: Callable[[Any], Client]) -> Callable[..., Answer]:
    """`ask(path, headers, method)`: of the demo store, answered by Flask (nothing cached), by the lane, or by granian."""
    if request.param == "server":
        answer: Callable[..., Answer] = request.getfixturevalue("server").request
        return answer
    if request.param == "flask":
        return lambda *args, **kwargs: through(make_client(demo), *args, **kwargs)
    client = make_client(demo)

    def ask(path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        client.get(path)  # now it is in the cache
        return through(client, path, headers, method)

    return ask


# -- a document ------------------------------------------------------------


@pytest.mark.parametrize("format", load_formats())
def test_a_document_has_its_media_type_and_the_headers_that_readers_and_caches_need(ask: Any, format: str) -> None:
    status, headers, body = ask(f"/tags/Linux.{format}")
    assert status == 200
    assert headers["Content-Type"] == TYPES[format]
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Vary"] == "Accept-Encoding, Sec-Fetch-Dest"
    assert headers["Cache-Control"].startswith("public, max-age=30")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["X-Content-Type-Options"] == "nosniff"
    base = "http://127.0.0.1:8000"
    assert headers["Link"] == f'<{base}/hub>; rel="hub", <{base}/tags/Linux.{format}>; rel="self"'
    assert headers.get("Content-Encoding") is None
    assert headers.get("Set-Cookie") is None
    assert headers["ETag"].startswith('"')


@pytest.mark.parametrize("format", load_formats())
def test_each_coding_unpacks_to_the_same_bytes_and_has_an_etag_of_its_own(ask: Any, format: str) -> None:
    answers = {encoding: ask(f"/tags/Linux.{format}", {"Accept-Encoding": encoding}) for encoding in ENCODINGS}
    for encoding, (status, headers, body) in answers.items():
        assert status == 200
        assert headers.get("Content-Encoding", "identity") == encoding
        assert int(headers["Content-Length"]) == len(body)
        assert UNPACK[encoding](body) == answers["identity"][2]
    assert len({headers["ETag"] for _status, headers, _body in answers.values()}) == 3
    assert len({headers["Last-Modified"] for _status, headers, _body in answers.values()}) == 1
    assert len(answers["br"][2]) < len(answers["identity"][2]) / 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_known_tag_gets_a_304_without_body_and_with_the_headers_of_the_200(ask: Any, encoding: str) -> None:
    _status, full, _body = ask("/tags/Linux.atom", {"Accept-Encoding": encoding})
    status, short, body = ask("/tags/Linux.atom", {"Accept-Encoding": encoding, "If-None-Match": full["ETag"]})
    assert (status, body) == (304, b"")
    for name in REPEATED:
        assert short[name] == full[name], name
    for name in ("Content-Encoding", "Content-Type"):
        assert short.get(name) is None
    assert int(short.get("Content-Length", 0)) == 0


def test_a_date_alone_gets_a_304_and_an_unknown_tag_beside_it_a_200(ask: Any) -> None:
    _status, full, _body = ask("/all.rss")
    assert ask("/all.rss", {"If-Modified-Since": full["Last-Modified"]})[0] == 304
    assert ask("/all.rss", {"If-Modified-Since": full["Last-Modified"], "If-None-Match": '"x"'})[0] == 200
    assert ask("/all.rss", {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"})[0] == 200
    assert ask("/all.rss", {"If-Modified-Since": "rubbish"})[0] == 200


def test_a_failed_precondition_gets_a_412_without_body(ask: Any) -> None:
    status, _headers, body = ask("/all.rss", {"If-Match": '"x"'})
    assert (status, body) == (412, b"")
    assert ask("/all.rss", {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"})[0] == 412


def lasting(headers: Any) -> dict[str, str]:
    """But for those that are another one each time."""
    return {name.lower(): value for name, value in headers.items() if name.lower() not in ("date", "x-request-id")}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_head_says_what_get_says_and_sends_nothing(ask: Any, encoding: str) -> None:
    _status, full, _body = ask("/tags/Linux.json", {"Accept-Encoding": encoding})
    status, headers, body = ask("/tags/Linux.json", {"Accept-Encoding": encoding}, "HEAD")
    assert (status, body) == (200, b"")
    assert lasting(headers) == lasting(full)
    assert ask("/tags/Linux.json", {"If-None-Match": full["ETag"]}, "HEAD")[0] == 304


def test_a_preflight_of_a_reader_in_a_browser_is_granted(ask: Any) -> None:
    headers = {
        "Origin": "https://reader.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "if-none-match",
    }
    status, answered, _body = ask("/all.atom", headers, "OPTIONS")
    assert status in (200, 204)
    assert answered["Access-Control-Allow-Origin"] == "*"
    assert "GET" in answered["Access-Control-Allow-Methods"]
    assert "if-none-match" in answered["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/all.atom", "/", "/tags/", "/tags/Linux"])
def test_another_method_gets_a_405_that_names_the_allowed_ones(ask: Any, path: str, method: str) -> None:
    status, headers, _body = ask(path, None, method)
    assert status == 405
    assert {"GET", "HEAD"} <= {name.strip() for name in headers["Allow"].split(",")}


def test_a_query_string_changes_nothing(ask: Any) -> None:
    plain = ask("/all.atom")
    for query in ("?", "?utm_source=x", "?" + "x" * 1000, "?before=1"):
        other = ask("/all.atom" + query)
        assert (other[0], other[1]["ETag"], other[2]) == (plain[0], plain[1]["ETag"], plain[2])


# -- one in a browser ------------------------------------------------------


def test_a_browser_that_navigates_to_a_feed_is_shown_a_page_with_an_etag_of_its_own(ask: Any) -> None:
    _status, feed, _body = ask("/tags/Linux.atom")
    status, page, body = ask("/tags/Linux.atom", {"Sec-Fetch-Dest": "document"})
    assert status == 200
    assert page["Content-Type"].startswith("text/html")
    assert b"<html" in body
    assert "Sec-Fetch-Dest" in page["Vary"]
    assert page["Cache-Control"].startswith("private")
    assert page["ETag"] != feed["ETag"]
    assert 'rel="self"' not in page.get("Link", "")
    again = ask("/tags/Linux.atom", {"Sec-Fetch-Dest": "document", "If-None-Match": page["ETag"]})
    assert again[0] == 304
    assert ask("/tags/Linux.atom", {"Sec-Fetch-Dest": "document", "If-None-Match": feed["ETag"]})[0] == 200
    assert ask("/tags/Linux.atom", {"If-None-Match": page["ETag"]})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
        {"Accept": "text/html"},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Dest": "image"},
        {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0 Safari/537.36"},
    ],
    ids=str,
)
def test_readers_are_never_shown_the_page(ask: Any, headers: dict[str, str]) -> None:
    assert ask("/tags/Linux.atom", headers)[1]["Content-Type"] == TYPES["atom"]


# -- Flask, lane and server agree ------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("condition", ["none", "same", "other"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_flask_and_the_lane_give_the_same_answer(
    web_site: Any, make_client: Callable[[Any], Client], encoding: str, condition: str, method: str
) -> None:
    client = make_client(web_site)
    tag = make_client(web_site).get("/all.atom", headers={"Accept-Encoding": encoding}).headers["ETag"]
    headers = {"Accept-Encoding": encoding}
    if condition != "none":
        headers["If-None-Match" if condition == "same" else "If-Match"] = tag if condition == "same" else '"other"'
    by_flask = through(client, "/all.atom", headers, method)
    by_lane = through(client, "/all.atom", headers, method)
    assert by_flask[0] == by_lane[0] == {"none": 200, "same": 304, "other": 412}[condition]
    assert lasting(by_flask[1]) == lasting(by_lane[1])
    assert by_flask[2] == by_lane[2]


def test_two_workers_have_the_same_etags_and_dates(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    one, two = make_client(web_site), make_client(web_site)
    for path in ("/all.atom", "/tags/Linux.rss", "/feeds/kernel.json"):
        a, b = one.get(path), two.get(path)
        assert [a.headers[name] for name in ("ETag", "Last-Modified")] == [
            b.headers[name] for name in ("ETag", "Last-Modified")
        ]
        assert a.data == b.data


def test_a_restart_keeps_etags_and_dates(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    before = make_client(web_site).get("/all.atom").headers
    web_site.reopen()
    web_site.rescan()
    after = make_client(web_site).get("/all.atom").headers
    assert (before["ETag"], before["Last-Modified"]) == (after["ETag"], after["Last-Modified"])


# -- rendering and caching -------------------------------------------------


@pytest.fixture
def renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The feeds rendered, in order; rendering itself goes on."""
    made: list[str] = []
    render = documents.render

    def counted(connection: Any, config: Any, feed: Any, *rest: Any) -> bytes:
        made.append(feed.path)
        return render(connection, config, feed, *rest)

    monkeypatch.setattr(documents, "render", counted)
    return made


def test_a_document_is_rendered_once_and_a_304_renders_nothing(client: Client, renderings: list[str]) -> None:
    tag = client.get("/all.atom").headers["ETag"]
    assert renderings == ["all"]
    for _ in range(3):
        assert client.get("/all.atom", headers={"Accept-Encoding": "br"}).status_code == 200
        assert client.get("/all.atom", headers={"If-None-Match": tag}).status_code == 304
    assert renderings == ["all"]


def test_a_304_renders_nothing_even_in_a_worker_that_has_just_started(
    web_site: Any, make_client: Callable[[Any], Client], renderings: list[str]
) -> None:
    first = make_client(web_site).get("/all.atom").headers
    renderings.clear()
    fresh = make_client(web_site)
    assert fresh.get("/all.atom", headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert fresh.get("/all.atom", headers={"If-Modified-Since": first["Last-Modified"]}).status_code == 304
    assert fresh.get("/all.atom", headers={"If-Match": '"other"'}).status_code == 412
    assert renderings == []


def later(client: Client) -> None:
    """As if a worker's moment of trust in what it knows were over."""
    client.application.editions.expire()


def test_after_a_rescan_an_unchanged_feed_is_not_rendered_again(web_site: Any, client: Client, renderings: list[str]) -> None:
    before = client.get("/translators/geekpi.atom").headers["ETag"]
    web_site.write("99.md", tags=["new"], translator="wxy", date="2020-03-01 00:00:00")
    web_site.rescan()
    renderings.clear()
    later(client)
    assert client.get("/translators/geekpi.atom").headers["ETag"] == before
    assert renderings == []


def test_after_a_rescan_a_changed_feed_is_new_for_every_worker(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    workers = [make_client(web_site), make_client(web_site)]
    before = [worker.get("/all.atom") for worker in workers]
    web_site.write("99.md", tags=["new"], title="Brand new", date="2020-03-01 00:00:00")
    web_site.rescan()
    for worker, was in zip(workers, before, strict=True):
        later(worker)
        answered = worker.get("/all.atom", headers={"If-None-Match": was.headers["ETag"]})
        assert answered.status_code == 200
        assert b"Brand new" in answered.data
        assert (
            answered.headers["Last-Modified"] > was.headers["Last-Modified"] or answered.headers["ETag"] != was.headers["ETag"]
        )


def test_a_new_configuration_never_gives_the_old_bytes_a_new_tag(web_site: Any, client: Client) -> None:
    """The worker still holds the old configuration when the rescan has already published the new one."""
    client.get("/tags/Linux.atom")
    web_site.settle("site.yaml", title="Renamed", base_url="https://new.example")
    web_site.rescan()
    # /all has not been asked for yet: the worker's edition is the old one, the catalog the new one.
    mixed = client.get("/all.atom")
    later(client)
    settled = client.get("/all.atom")
    assert b"Renamed" in settled.data
    assert (mixed.data == settled.data) == (mixed.headers["ETag"] == settled.headers["ETag"])
    assert settled.headers["Link"] == '<https://new.example/hub>; rel="hub", <https://new.example/all.atom>; rel="self"'
    if mixed.data == settled.data:
        assert mixed.headers["Link"] == settled.headers["Link"]


def test_the_cache_stays_within_its_bound(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(web_site)
    cache = client.application.cache
    cache.max_bytes = 40_000
    paths = [
        f"/{state.path}.{format}" for state, _selection in web_site.runtime.read(lookup.list_feeds) for format in load_formats()
    ]
    assert len(paths) > 30
    for _ in range(2):
        for path in paths:
            for encoding in ENCODINGS:
                assert (
                    client.get(path.replace("?", "%3F").replace("#", "%23"), headers={"Accept-Encoding": encoding}).status_code
                    == 200
                )
            assert cache.bytes <= cache.max_bytes
    held = sum(entry.size for entry in cache._documents.values())
    assert held == cache.bytes


def test_addresses_that_do_not_exist_fill_no_cache(client: Client) -> None:
    for number in range(50):
        assert client.get(f"/tags/none-{number}.atom").status_code == 404
        client.get(f"/tags/LINUX.atom?{number}")
    assert client.application.cache.bytes == 0


def test_threads_that_ask_at_once_all_get_whole_documents(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    application = make_client(web_site).application
    application.cache.max_bytes = 30_000
    expected = {path: Client(application).get(path).data for path in ("/all.atom", "/all.rss", "/tags/Linux.json")}
    wrong: list[str] = []

    def ask() -> None:
        client = Client(application)
        for _ in range(15):
            for path, data in expected.items():
                answered = client.get(path, headers={"Accept-Encoding": "gzip"})
                if answered.status_code != 200 or gzip.decompress(answered.data) != data:
                    wrong.append(path)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- a real server ---------------------------------------------------------


def test_every_feed_of_the_demo_store_is_served_and_its_self_link_is_its_address(server: Any, demo: Any) -> None:
    from urllib.parse import urlsplit

    from feeds import urls

    for state, _selection in demo.runtime.read(lookup.list_feeds):
        path = f"/{urls.encode(state.path)}.atom"
        status, _headers, body = server.request(path)
        assert status == 200, path
        own = next(link.href for link in feedparser.parse(body).feed.links if link.rel == "self")
        assert urlsplit(own).path == path


def test_a_kept_alive_connection_survives_304_head_and_412(server: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        tag = ""
        for method, headers, expected in [
            ("GET", {}, 200),
            ("GET", {"If-None-Match": "TAG"}, 304),
            ("HEAD", {}, 200),
            ("GET", {"If-Match": '"x"'}, 412),
            ("HEAD", {"If-None-Match": "TAG"}, 304),
            ("GET", {"Accept-Encoding": "br"}, 200),
        ]:
            connection.request(
                method, "/all.json", headers={name: value.replace("TAG", tag) for name, value in headers.items()}
            )
            answered = connection.getresponse()
            body = answered.read()
            assert answered.status == expected
            assert bool(body) == (method == "GET" and expected == 200)
            tag = answered.headers.get("ETag", tag)
        assert json.loads(brotli.decompress(body))["items"]
    finally:
        connection.close()


def test_feedparser_itself_gets_a_304_on_its_second_visit(server: Any) -> None:
    first = feedparser.parse(f"{server.base}/all.atom")
    assert (first.status, first.bozo) == (200, 0)
    second = feedparser.parse(f"{server.base}/all.atom", etag=first.etag, modified=first.modified)
    assert second.status == 304
    by_date = feedparser.parse(f"{server.base}/all.atom", modified=first.modified)
    assert by_date.status == 304
