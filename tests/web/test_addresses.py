"""Addresses: canonical ones answer, other spellings are sent there, retired ones say so, strange ones do no harm."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client

from feeds import urls
from feeds.syndication import lookup

EXTENSIONS = ("", ".atom", ".rss", ".json")


@pytest.fixture
def client(filled_client: Client) -> Client:
    """These tests only ask."""
    return filled_client


def get(client: Client, path: str, **headers: str) -> Any:
    return client.get(path, headers=headers)


def test_every_feed_and_its_page_answer_at_their_canonical_addresses(filled: Any, client: Client) -> None:
    paths = [state.path for state, _selection in filled.runtime.read(lookup.list_feeds)]
    assert {"tags/C++", "tags/C#", "tags/~2ENET", "tags/TCP~2FIP", "tags/~2E.", "tags/50%", "tags/x~2Eatom"} <= set(paths)
    for path in paths:
        for extension in EXTENSIONS:
            answered = client.get(f"/{urls.encode(path)}{extension}")
            assert answered.status_code == 200, path + extension


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("/tags/linux", "/tags/Linux"),
        ("/tags/LINUX", "/tags/Linux"),
        ("/TAGS/Linux", "/tags/Linux"),
        ("/Translators/GeekPi", "/translators/geekpi"),
        ("/tags/TCP/IP", "/tags/TCP~2FIP"),
        ("/tags/tcp%2Fip", "/tags/TCP~2FIP"),
        ("/tags/TCP~2fip", "/tags/TCP~2FIP"),
        ("/tags/.NET", "/tags/~2ENET"),
        ("/tags/c%23", "/tags/C%23"),
        ("/tags/c%2b%2b", "/tags/C++"),
        ("/tags/K8s", "/tags/Kubernetes"),
        ("/ALL", "/all"),
        ("/FEEDS/Kernel", "/feeds/kernel"),
    ],
)
def test_another_spelling_is_301_to_the_canonical_one(client: Client, asked: str, canonical: str, extension: str) -> None:
    answered = client.get(asked + extension)
    assert answered.status_code == 301
    assert answered.headers["Location"] == canonical + extension
    assert answered.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get(answered.headers["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("/tags/Linux.ATOM", "/tags/Linux.atom"),
        ("/tags/linux.Rss", "/tags/Linux.rss"),
        ("/all.JSON", "/all.json"),
        ("/tags/Linux/", "/tags/Linux"),
        ("/tags/linux/", "/tags/Linux"),
        ("/translators", "/translators/"),
        ("/Tags/", "/tags/"),
        ("/all/", "/all"),
    ],
)
def test_extensions_slashes_and_directories_have_one_spelling(client: Client, asked: str, canonical: str) -> None:
    seen = [asked]
    answered = client.get(asked)
    while answered.status_code == 301 and len(seen) < 4:
        seen.append(answered.headers["Location"])
        answered = client.get(seen[-1])
    assert answered.status_code == 200
    assert seen[-1] == canonical
    assert len(seen) > 1


def test_a_decomposed_spelling_is_sent_to_the_composed_one(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.write("1.md", tags=["Café"])
    site.rescan()
    answered = make_client(site).get("/tags/Cafe%CC%81.atom")
    assert (answered.status_code, answered.headers["Location"]) == (301, "/tags/Caf%C3%A9.atom")


def test_a_redirect_keeps_the_query(client: Client) -> None:
    assert client.get("/tags/linux.atom?a=1&b=%E5%86%85").headers["Location"] == "/tags/Linux.atom?a=1&b=%E5%86%85"


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("asked", ["/tags/%E6%97%A7%E5%90%8D", "/tags/TCP"])
def test_a_moved_feed_is_301_in_every_format_and_as_a_page(client: Client, asked: str, extension: str) -> None:
    answered = client.get(asked + extension)
    assert answered.status_code == 301
    target = {"/tags/TCP": "/tags/TCP~2FIP"}.get(asked, "/tags/Linux")
    assert answered.headers["Location"] == target + extension
    assert client.get(target + extension).status_code == 200


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("asked", ["/tags/retired", "/tags/Retired", "/feeds/old"])
def test_a_retired_feed_is_410_in_every_format_and_as_a_page(client: Client, asked: str, extension: str) -> None:
    answered = client.get(asked + extension)
    assert answered.status_code == 410
    assert answered.headers["Content-Type"].startswith("text/html")
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


def test_a_feed_can_be_moved_or_retired_while_the_service_runs(web_site: Any, make_client: Callable[[Any], Client]) -> None:
    client = make_client(web_site)
    assert client.get("/tags/C++.atom").status_code == 200
    web_site.settle("feeds.yaml", gone=["tags/C++"], moved={"tags/C#": "tags/Linux"})
    web_site.rescan()
    client.application.editions.expire()
    assert client.get("/tags/C++.atom").status_code == 410
    assert client.get("/tags/C%23.rss").headers["Location"] == "/tags/Linux.rss"


@pytest.mark.parametrize("path", ["/tags/Linu.atom", "/tags/linu", "/tags/kube.rss"])
def test_an_unknown_term_is_404_with_terms_that_may_have_been_meant(client: Client, path: str) -> None:
    answered = client.get(path)
    assert answered.status_code == 404
    name = "Kubernetes" if "kube" in path else "Linux"
    assert f'href="/tags/{name}"' in answered.text
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/authors/",
        "/authors/Ada%20Example.atom",
        "/authors.opml",
        "/nothing.opml",
        "/feeds/nothing.atom",
        "/articles/nothing",
        "/.atom",
        "/tags/.atom",
        "/tags//Linux.atom",
        "/tags/Linux.atom.gz",
        "/tags/Linux.xml",
        "/tags/~2",
        "/tags/~ZZ",
        "/tags/%FF.atom",
        "/tags/%00.atom",
        "/tags/Linux%00.atom",
        "/tags/Linux%0A.atom",
        "/tags/../all.atom",
        "/tags/%2e%2e/all.atom",
        "/tags/%2e%2e%2fall.atom",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/nothing.css",
        "/tags/<script>alert(1)</script>",
        "/tags/%3Cscript%3Ealert(1)%3C/script%3E.atom",
        "/tags/{{7*7}}",
        "/tags/' OR 1=1 --.atom",
        "/tags/%25",
        "/tags/\u202e.atom",
        "/tags/" + "%E5%86%85" * 300,
    ],
)
def test_strange_addresses_are_a_page_that_says_so(client: Client, path: str) -> None:
    answered = client.get(path)
    assert answered.status_code == 404
    assert answered.headers["Content-Type"].startswith("text/html")
    assert "<script>" not in answered.text
    assert "49</" not in answered.text, "an address must not pass through a template engine"


@pytest.mark.parametrize("path", ["/" + "x" * 5000, "/tags/" + "y" * 3000 + ".atom"])
def test_an_address_too_long_for_any_feed_is_414(client: Client, path: str) -> None:
    assert client.get(path).status_code == 414


# -- bytes on the wire -----------------------------------------------------


def raw(server: Any, request: bytes) -> bytes:
    """What comes back until the server closes the connection, or is silent for a second."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection, contextlib.suppress(OSError):
        connection.sendall(request)
        while piece := connection.recv(65536):
            received += piece
    return received


def line(server: Any, target: bytes) -> int:
    """The status of GET with this request target; 0 where the server just closes the connection."""
    answered = raw(server, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return int(answered.split(b" ", 2)[1]) if answered else 0


@pytest.mark.parametrize(
    "target",
    [
        "/tags/内核.atom".encode(),
        b"/tags/\xff\xfe.atom",
        b"/tags/%ff%fe.atom",
        b"/%",
        b"/%zz",
        b"/tags/%00",
        b"/../../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/static/../../../../etc/passwd",
        b"/static/..%2f..%2f..%2fconfig%2fsite.yaml",
        b"//",
        b"///all.atom",
        b"/tags/Linux.atom#fragment",
        b"http://elsewhere.example/all.atom",
        b"*",
        b"/" + b"a" * 20_000,
        b"/?" + b"q" * 20_000,
        b"/tags/" + b"%E5" * 2000,
    ],
    ids=lambda target: repr(target[:40]),
)
def test_no_request_line_makes_a_worker_fail(server: Any, target: bytes) -> None:
    status = line(server, target)
    assert status < 500, f"{status} for {target[:80]!r}"
    assert b"root:" not in raw(server, b"GET " + target + b" HTTP/1.0\r\n\r\n")
    assert line(server, b"/health") == 200


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/",
        "//evil.example/all.ATOM",
        "/\\evil.example/all.ATOM",
        "//tags",
        "//tags/linux.atom",
        "/%5Cevil.example/",
    ],
)
def test_a_redirect_never_leaves_the_site(server: Any, target: str) -> None:
    head = raw(server, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()).split(b"\r\n\r\n")[0]
    locations = [
        value.strip() for name, _, value in (row.partition(b":") for row in head.split(b"\r\n")) if name.lower() == b"location"
    ]
    assert all(value.startswith(b"/") and not value.startswith((b"//", b"/\\")) for value in locations), locations


def test_an_address_typed_unencoded_is_understood_or_sent_to_its_encoded_form(server: Any, demo: Any) -> None:
    path = next(state.path for state, _s in demo.runtime.read(lookup.list_feeds) if not state.path.isascii())
    assert line(server, f"/{urls.encode(path)}.atom".encode()) == 200
    assert line(server, f"/{path}.atom".encode()) in (200, 301, 400)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /all.atom\r\n\r\n",
        b"GET /all.atom HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b'GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \xff\xfe"\r\nConnection: close\r\n\r\n',
        b"GET /all.atom HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: \xff;q=\x80\r\nConnection: close\r\n\r\n",
        b"GET /all.atom HTTP/1.1\r\nHost: localhost\r\nIf-Modified-Since: \xe5\x86\x85\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Language: ;;;q=,,\xff\r\nConnection: close\r\n\r\n",
    ],
    ids=lambda request: repr(request[:40]),
)
def test_garbage_on_the_wire_leaves_the_service_well(server: Any, request_bytes: bytes) -> None:
    answered = raw(server, request_bytes)
    assert b" 500 " not in answered.split(b"\r\n", 1)[0]
    assert line(server, b"/all.atom") == 200
