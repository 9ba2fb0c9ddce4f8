"""Every route with every kind of address, query, header and body: an answer that is meant, by the lane as by Flask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.config.environment import Environment
from feeds.web.app import create_app, make_app
from feeds.web.fast_path import FastPath

from .asking import Answered, ask, is_sound
from .mutating import damaged, listed, noise, seeds
from .rounds import fuzz

TOKEN = "open-sesame-0123456789"
METHODS = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "FOO", "get", ""]
SEGMENT = st.one_of(st.sampled_from([b"", *listed("segments")]), noise(3))
PARAMETERS = "q page sort tag not-tag select facet term mode path to said saved action".split()
QUERY = st.one_of(
    st.just(b""),
    noise(5),
    damaged(seeds("fuzz/seeds/selections")),
    st.dictionaries(st.sampled_from(PARAMETERS), noise(3), max_size=3).map(
        lambda found: "&".join(f"{name}={quote(value)}" for name, value in found.items()).encode()
    ),
)
_NAMED = [line.split(b"\t", 1) for line in listed("headers")]
HEADERS = st.lists(
    st.sampled_from(_NAMED).flatmap(lambda line: st.tuples(st.just(line[0]), st.just(line[1]) | noise(2))), max_size=4
).map(lambda found: {name.decode(): value.decode("latin-1") for name, value in found})
_FORM = "application/x-www-form-urlencoded"
TYPES = st.sampled_from(
    [None, "", _FORM, f"{_FORM}; charset=utf-16", "text/plain", "application/json", "\xff/;;"]
    + [f"multipart/form-data{rest}" for rest in ("", "; boundary=b", "; boundary=" + "b" * 300)]
)


@pytest.fixture(scope="module")
def house(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A house of one's own: with articles, a newsletter, a hub, a console, and a feed that the operator named."""
    site = type(demo)(tmp_path_factory.mktemp("house") / "site", article_url="", base_url="http://127.0.0.1:8000")
    site.environment = Environment.read(site.config_dir, {"FEEDS_OPERATOR_TOKEN": TOKEN})
    named = [{"name": "kernel", "title": "内核", "select": {"tag": ["Linux"]}}]
    site.settle("feeds.yaml", feeds=named, moved={"tags/old": "tags/Linux"}, gone=["tags/gone"], websub={"hub": "builtin"})
    site.set("newsletter.yaml", 'enabled: true\nfrom: "digest@example.org"\n')
    for number, tag in enumerate(["Linux", "Linux", "C++", "..", "TCP/IP", "内核", "x.atom", "می\u200cخواهم", "~2F"]):
        site.write(f"{number}.md", tags=[tag, "Linux"], translator="geekpi", date=f"20{10 + number}-01-01 00:00:00")
    site.rescan()
    yield site
    site.remove()


@pytest.fixture(scope="module")
def lane(house: Any) -> FastPath:
    return create_app(house.environment)


@pytest.fixture(scope="module")
def routes(house: Any) -> list[tuple[str, ...]]:
    """Each route cut at its variables: (`/tags/`, `.atom`) is one with one variable."""
    rules = make_app(house.environment).url_map.iter_rules()
    found = {tuple(re.split(r"<[^>]+>", rule.rule)) for rule in rules}
    documents = {("/tags/", extension) for extension in (".atom", ".rss", ".json", "")}
    documents |= {("/translators/", ".atom"), ("/feeds/", ".json"), ("/tags/Linux/archive/", ".atom"), ("/tags/", "/page/", "")}
    return sorted(found | documents)


@pytest.fixture(scope="module")
def operator(lane: FastPath) -> str:
    """A cookie that is let in."""
    client = Client(lane)
    client.post("/operator/sign-in", data={"token": TOKEN})
    return f"operator={client.get_cookie('operator', path='/operator').value}"


def fill(route: tuple[str, ...], segments: list[bytes]) -> bytes:
    parts = [part.encode() for part in route]
    return b"".join(part + segment for part, segment in zip(parts, [*segments, b""], strict=False))


def test_every_route_is_asked(routes: list[tuple[str, ...]]) -> None:
    assert len(routes) > 50 and max(map(len, routes)) <= 3


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO"])
def test_every_route_takes_every_method_or_says_which(lane: FastPath, routes: list[tuple[str, ...]], method: str) -> None:
    for route in routes:
        found = ask(lane, fill(route, [b"x", b"1"]), method=method)
        is_sound(found)
        assert found.status != 405 or found.headers["Allow"], route


@fuzz(
    150,
    data=st.data(),
    segments=st.lists(SEGMENT, min_size=2, max_size=2),
    encoded=st.booleans(),
    query=QUERY,
    method=st.sampled_from(METHODS),
    headers=HEADERS,
    body=noise(4),
    kind=TYPES,
    signed_in=st.booleans(),
)
def test_every_route_answers_whatever_is_asked_of_it(
    lane: FastPath, routes: list[tuple[str, ...]], operator: str, data: st.DataObject, segments: list[bytes], **asked: Any
) -> None:
    path = fill(data.draw(st.sampled_from(routes)), segments)
    path = unquote_to_bytes(path) if asked["encoded"] else path
    headers = {**asked["headers"], **({"Cookie": operator} if asked["signed_in"] else {})}
    body = b"" if asked["method"] in ("GET", "HEAD") else asked["body"]
    is_sound(ask(lane, path, asked["query"], asked["method"], headers, body, asked["kind"]))


DOCUMENTS = [b"/all.atom", b"/all.rss", b"/all.json", b"/tags/Linux.atom", b"/tags/C++.json", b"/tags/Linux/archive/2012.atom"]


def comparable(found: Answered) -> tuple[int, dict[str, str], bytes]:
    """Each request has a name of its own."""
    return found.status, {name: value for name, value in found.headers.items() if name != "X-Request-Id"}, found.body


@fuzz(
    90,
    path=st.sampled_from(DOCUMENTS),
    headers=HEADERS,
    method=st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST", "FOO"]),
    own=st.sampled_from(["", "ETag", "Last-Modified", "both", "packed"]),
)
def test_the_lane_answers_as_flask_does(lane: FastPath, path: bytes, headers: dict[str, str], method: str, own: str) -> None:
    """The lane has the document; Flask, asked directly, has to find it anew."""
    headers.pop("Host", None)  # Flask refuses what is no host; documents do not depend on it
    known = ask(lane, path)
    assert known.status == 200
    if own in ("ETag", "both"):
        headers = {**headers, "If-None-Match": known.headers["Etag"]}
    if own in ("Last-Modified", "both"):
        headers = {**headers, "If-Modified-Since": known.headers["Last-Modified"]}
    if own == "packed":
        headers = {**headers, "If-None-Match": ask(lane, path, headers={"Accept-Encoding": "gzip"}).headers["Etag"]}
    quick, slow = ask(lane, path, b"", method, headers), ask(lane.app, path, b"", method, headers)
    is_sound(quick)
    if headers.get("Sec-Fetch-Dest") != "document":
        assert comparable(quick) == comparable(slow)


@fuzz(60, query=QUERY, extension=st.sampled_from([b".atom", b".rss", b".json", b"", b".exe"]), headers=HEADERS)
def test_any_selection_is_a_feed_a_redirect_or_refused_with_words(
    lane: FastPath, query: bytes, extension: bytes, headers: dict[str, str]
) -> None:
    found = ask(lane, b"/select" + extension, query, headers=headers)
    is_sound(found)
    assert found.status in (200, 301, 302, 304, 400, 404, 412)
    if found.status == 301:
        address, _mark, rest = found.headers["Location"].partition("?")
        again = ask(lane, unquote_to_bytes(address), rest.encode())
        assert again.status in (200, 304, 400, 404), "one redirect is enough"


@fuzz(12, query=QUERY)
def test_no_page_sends_a_form_or_a_reader_elsewhere(lane: FastPath, query: bytes) -> None:
    for path in (b"/subscribe", b"/select", b"/search", b"/operator/sign-in", b"/tags/"):
        found = ask(lane, path, query)
        is_sound(found)
        target = found.headers.get("Location", "/")
        assert target.startswith("/") and not target.startswith(("//", "/\\")), target
