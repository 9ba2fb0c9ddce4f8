"""Every route x method x hostile segment, over the wire: the server answers each, and as the application does without it."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from werkzeug.test import Client

from feeds.config.environment import Environment
from feeds.web.app import create_app, make_app
from tests.fuzz.asking import ask
from tests.fuzz.mutating import listed
from tests.fuzz.rounds import EXAMPLES

from .conftest import Wire

METHODS = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "FOO"]
#: How a segment is written: every byte encoded, twice, only what must be, and in the other case.
SPELLINGS = [
    lambda raw: "".join(f"%{byte:02x}" for byte in raw),
    lambda raw: quote_from_bytes(quote_from_bytes(raw, safe="").encode(), safe=""),
    lambda raw: quote_from_bytes(raw, safe="/~.;=&'()*+,:@!$\\"),
]


def hostile(environment: Environment) -> Iterator[tuple[str, str]]:
    """(method, address): each route with a few of the segments, in turn; all of them where more examples are wanted."""
    rules = sorted({rule.rule for rule in make_app(environment).url_map.iter_rules()})
    segments = [raw for raw in listed("segments") if len(raw) < 9000]
    turn = 0
    for rule in rules:
        parts = re.split(r"<[^>]+>", rule)
        for _time in range(len(segments) if EXAMPLES else 9 if len(parts) > 1 else 2):
            turn += 1
            raw = segments[turn % len(segments)]
            segment = SPELLINGS[turn % 3](raw)[:9000]
            tail = f"?{segment}={segment}" if len(parts) == 1 else ""
            yield METHODS[turn // 5 % len(METHODS)], segment.join(parts) + tail


def test_every_route_answers_over_the_wire_as_without_it(wire: Wire, guarded: Environment) -> None:
    application = create_app(guarded)
    asked = list(hostile(guarded))
    assert len(asked) > 150
    connection = http.client.HTTPConnection("127.0.0.1", wire.port, timeout=30)
    connection._validate_path = lambda _address: None  # type: ignore[attr-defined]  # backslashes and the like are the point
    last = time.monotonic()
    for method, address in asked:
        if time.monotonic() > last + 1:  # a server may close what is idle, just when the next request is on its way
            connection.close()
        connection.request(method, address)
        answered = connection.getresponse()
        body, last = answered.read(), time.monotonic()
        assert answered.status < 500 and b"Traceback" not in body, (method, address, body[:500])
        path, _mark, query = address.partition("?")
        same = ask(application, unquote_to_bytes(path), query.encode(), method)
        tried = {answered.status, same.status} == {403, 429}  # two doors, one waiting time after a wrong token
        assert answered.status == same.status or tried, (method, address)
        assert answered.getheader("X-Content-Type-Options") == "nosniff"
        if answered.getheader("Content-Type", "").startswith("text/html"):
            assert "default-src 'none'" in answered.getheader("Content-Security-Policy", "")


@pytest.mark.parametrize(
    "address",
    ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/%2e%2e/config.py", "/static//etc/passwd", "/static/%00"],
)
def test_static_files_are_those_of_their_folder(wire: Wire, client: Client, address: str) -> None:
    assert wire.get(address) in (400, 404)
    assert client.get(address).status_code in (400, 404)
