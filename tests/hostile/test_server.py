"""The server itself, by raw bytes: requests that two servers could read differently, and connections that take their time.

What is asserted here is what docs/security.md says of it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest

from feeds.web import body_limit

from .conftest import TOKEN, Wire, read

SECOND = b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /nothing HTTP/1.1\r\nHost: x\r\n"
FORM = b"POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"

#: Refused, and the connection ended, so that nothing behind it is taken for a request.
REFUSED = {
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 0, 40\r\n\r\n",
    "a list of one length": POST + b"Content-Length: 0, 0\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nabcde",
    "a negative length": POST + b"Content-Length: -5\r\n\r\n",
    "a length in hex": POST + b"Content-Length: 0x5\r\n\r\nabcde",
    "a length beyond numbers": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "an empty length": POST + b"Content-Length: \r\n\r\n",
    "a folded header": GET + b"X-A: b\r\n c\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a length with a blank": POST + b"Content-Length : 5\r\n\r\nabcde",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not the last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding behind a control": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a coding with NUL": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "a bare CR": GET + b"X: a\rTransfer-Encoding: chunked\r\n\r\n",
    "a control in a header": GET + b"X: \x01\r\n\r\n",
    "a header without a name": GET + b": x\r\n\r\n",
    "NUL in the address": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "tabs for blanks": b"GET\t/health\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": b"GET /health\r\n\r\n",
    "another version": b"GET /health HTTP/1.2\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}
#: Answered once, and the connection ended: what follows could be either body or request.
ENDED = {
    "a length and a coding": FORM + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding and a length": FORM + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    "a chunk longer than it says": FORM + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
    "a chunk of no size": FORM + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    "a chunk beyond numbers": FORM + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n0\r\n\r\n",
    "a chunk extension with a bare LF": FORM + b"Transfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n",
    "extensions without end": FORM + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 100_000 + b"\r\nx\r\n0\r\n\r\n",
    "a body that nobody reads": POST + b"Content-Length: 1000000000\r\n\r\n",
}
#: Read as RFC 9112 reads it, and the next request is the next one.
TAKEN = {
    "a length": FORM + b"Content-Length: 5\r\n\r\nabcde",
    "the same length twice": FORM + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "chunks": FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    "chunks with extensions and trailers": FORM
    + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nabcde\r\n0\r\nContent-Length: 9\r\n\r\n",
    "bare LF": b"GET /health HTTP/1.1\nHost: x\n\n",
    "a body with GET": b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
    "HEAD, which has no body": b"HEAD /all.atom HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2 is not spoken": GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_servers_could_read_differently_is_refused(wire: Wire, name: str) -> None:
    found = wire.ask(REFUSED[name] + SECOND)
    assert (found.statuses, found.closed) == ([400], True)


@pytest.mark.parametrize("name", ENDED)
def test_nothing_is_taken_for_a_request_behind_a_doubtful_body(wire: Wire, name: str) -> None:
    found = wire.ask(ENDED[name] + SECOND)
    assert len(found.statuses) == 1 and found.statuses[0] < 500 and found.closed


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_clear_is_taken_and_the_next_request_is_the_next(wire: Wire, name: str) -> None:
    found = wire.ask(TAKEN[name] + SECOND)
    assert (found.statuses, found.closed) == ([200, 404], False)


def test_headers_have_a_bound_of_bytes_and_of_number(wire: Wire) -> None:
    assert wire.ask(GET + b"X: " + b"a" * 60_000 + b"\r\n\r\n").statuses == [200]
    for headers in (b"X: " + b"a" * 300_000 + b"\r\n", b"".join(b"X-%d: y\r\n" % number for number in range(101))):
        found = wire.ask(GET + headers + b"\r\n")
        assert found.data.startswith(b"HTTP/1.1 431") and found.closed


def test_http_2_and_websockets_are_no_way_in(wire: Wire) -> None:
    assert wire.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0").statuses in ([], [400])
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    assert wire.ask(GET + upgrade + b"\r\n").statuses == [400]


def test_large_bodies_are_refused_before_they_are_read(wire: Wire) -> None:
    for size in (body_limit.MAX_BODY + 1, 10**15):
        found = wire.ask(FORM + b"Content-Length: %d\r\n\r\nemail=" % size)
        assert (found.statuses, found.closed) == ([413], True)
    chunk = b"%x\r\n%s\r\n" % (body_limit.MAX_BODY, b"a" * body_limit.MAX_BODY)
    assert wire.ask(FORM + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n").statuses == [413]


def test_half_a_form_is_none(wire: Wire) -> None:
    with wire.connect() as connection:
        connection.sendall(FORM + b"Content-Length: 100\r\n\r\nemail=nobody%40example.org")
        connection.shutdown(socket.SHUT_WR)
        assert read(connection, 15).statuses in ([400], [])


@pytest.mark.parametrize(
    "slow",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", GET + b"\r\n"],
    ids=["nothing is sent", "half of the headers", "idle after an answer"],
)
def test_who_is_slow_with_headers_or_idle_is_let_go(wire: Wire, slow: bytes) -> None:
    with wire.connect() as connection:
        connection.sendall(slow)
        assert read(connection, 15).closed, "within 15 seconds; the server waits one here"


def test_headers_that_drip_have_no_more_time_than_others(wire: Wire) -> None:
    with wire.connect() as connection:
        connection.settimeout(0.1)
        with contextlib.suppress(ConnectionError):
            for _number in range(150):  # enough for 15 seconds
                connection.sendall(b"X: y\r\n" if _number else b"GET / HTTP/1.1\r\nHost: x\r\n")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1000):
                        return
            pytest.fail("still open")


STALLED = {
    "headers that stop": FORM,
    "a body that never begins": FORM + b"Content-Length: 100\r\n\r\n",
    "a body that stops": FORM + b"Content-Length: 100\r\n\r\nemail=",
    "chunks without an end": FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "half a chunk": FORM + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabcde",
    "a body that waits to be asked for": FORM + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    "a sign-in": FORM.replace(b"/subscribe", b"/operator/sign-in") + b"Content-Length: 100\r\n\r\ntoken=",
    "a body of a page that takes none": FORM.replace(b"/subscribe", b"/") + b"Content-Length: 100\r\n\r\n",
    "a body with GET": GET + b"Content-Length: 100\r\n\r\n",
}


@pytest.mark.parametrize("number", [64, 256])
@pytest.mark.parametrize("name", STALLED)
def test_stalled_sockets_cost_nobody_an_answer(patient: Wire, name: str, number: int) -> None:
    with contextlib.ExitStack() as waiting:
        for _number in range(number):
            waiting.enter_context(patient.connect()).sendall(STALLED[name])
        for address in ("/all.atom", "/tags/Linux.rss", "/", "/health"):
            assert patient.get(address) == 200, address
        forms = {
            "/subscribe": (b"email=", 200),
            "/operator/sign-in": (b"token=" + TOKEN.encode(), 303),
            "/unsubscribe/x": (b"List-Unsubscribe=One-Click", 404),
        }
        for address, (form, status) in forms.items():
            head = FORM.replace(b"/subscribe", address.encode()) + b"Connection: close\r\n"
            found = patient.ask(head + b"Content-Length: %d\r\n\r\n" % len(form) + form, quiet=15)
            assert found.statuses == [status], address


@pytest.mark.parametrize("drip", [b"", b"a"], ids=["nothing", "a byte now and then"])
def test_a_body_that_is_too_slow_is_answered_408_and_the_connection_ended(wire: Wire, drip: bytes) -> None:
    with wire.connect() as connection:
        connection.settimeout(0.1)
        connection.sendall(FORM + b"Content-Length: 60000\r\n\r\nemail=")
        data = b""
        for _number in range(300):  # enough for 30 seconds; the server waits one here
            with contextlib.suppress(ConnectionError):
                connection.sendall(drip)
            with contextlib.suppress(TimeoutError):
                if not (part := connection.recv(65536)):
                    break
                data += part
        else:
            pytest.fail("still open")
        assert data.startswith(b"HTTP/1.1 408")


def test_readers_that_do_not_read_hold_nobody_up(wire: Wire) -> None:
    with contextlib.ExitStack() as waiting:
        for _number in range(40):
            connection = waiting.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", wire.port))
            connection.sendall(b"GET /all.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        assert wire.get("/all.atom") == wire.get("/") == 200


def test_where_the_server_has_no_short_way_for_requests_without_a_body_all_is_answered_the_same(
    start: Callable[..., Wire], wire: Wire
) -> None:
    plain = start(timeout=1000, grace=1.0, more="server._answer_directly = lambda gateway: None")
    body = b"Content-Length: 5\r\n\r\nabcde"
    for asked in (
        b"GET /all.atom",
        b"GET /all.atom",
        b"HEAD /",
        b"GET /tags/",
        b"POST /subscribe",
        b"POST /nothing",
        b"GET /second",
    ):
        request = asked + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + (body if b"POST" in asked else b"\r\n")
        found, other = plain.ask(request, quiet=15), wire.ask(request, quiet=15)
        assert found.statuses == other.statuses != [], asked
        assert found.headers.keys() == other.headers.keys(), asked
