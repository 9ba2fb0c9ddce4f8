"""What the application is given of a request: the environment of PEP 3333, made of an RSGI scope."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from granian import _futures

from feeds.web.rsgi import complete_environ, make_environ


class Headers(list[tuple[str, str]]):
    def items(self) -> list[tuple[str, str]]:
        return list(self)


def environ(*headers: tuple[str, str], **changes: Any) -> dict[str, Any]:
    scope = {
        "method": "GET",
        "path": "/",
        "query_string": "",
        "client": "192.0.2.7:50123",
        "server": "127.0.0.1:8000",
        "scheme": "http",
        "http_version": "1.1",
        "authority": None,
    }
    found = SimpleNamespace(**{**scope, **changes}, headers=Headers(headers))
    return complete_environ(make_environ(found), found) | {"wsgi.input": None}


@pytest.mark.parametrize(
    "header",
    ["x_forwarded_for", "x-forwarded_for", "sec_fetch_site", "content_length", "_", "transfer_encoding", "x_request-id"],
)
def test_a_header_with_an_underscore_passes_for_no_other(header: str) -> None:
    assert environ((header, "x")) == environ()


def test_headers_that_come_more_than_once_are_one_list_and_cookies_one_line() -> None:
    found = environ(("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2"), ("cookie", "a=1"), ("cookie", "b=2"))
    assert found["HTTP_X_FORWARDED_FOR"] == "1.1.1.1,2.2.2.2" and found["HTTP_COOKIE"] == "a=1;b=2"
    plain = environ(("content-type", "text/plain"), ("content-length", "5"))
    assert plain["CONTENT_TYPE"] == "text/plain" and plain["CONTENT_LENGTH"] == "5" and "HTTP_CONTENT_TYPE" not in plain


def test_text_is_bytes_as_characters() -> None:
    found = environ(path="/tags/内核.atom", query_string="tag=内核")
    assert found["PATH_INFO"].encode("latin-1").decode() == "/tags/内核.atom"
    assert found["QUERY_STRING"].encode("latin-1").decode() == "tag=内核"


@pytest.mark.parametrize(
    ("client", "address"), [("192.0.2.7:1", "192.0.2.7"), ("[2001:db8::1]:443", "2001:db8::1"), ("", ""), ("unix:", "unix")]
)
def test_the_peer_is_an_address_without_its_port(client: str, address: str) -> None:
    assert environ(client=client)["REMOTE_ADDR"] == address


def test_the_host_is_the_headers_or_that_of_the_address() -> None:
    assert environ(("host", "a.example"))["HTTP_HOST"] == "a.example"
    assert environ(authority="b.example")["HTTP_HOST"] == "b.example"
    assert environ()["HTTP_HOST"] == ""


def test_nothing_of_the_services_own_environment_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDS_OPERATOR_TOKEN", "seen")
    assert "seen" not in map(str, environ().values())


def test_the_server_has_what_spares_requests_without_a_body_the_event_loop() -> None:
    """Without it all is answered the same way, and a third slower: see `_answer_directly` in feeds.web.server."""
    assert callable(_futures._cbsched_aioschedule(None, None, None))
