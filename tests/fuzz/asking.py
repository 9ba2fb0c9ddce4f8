"""Requests as a server hands them over: any bytes in address, query, headers and body. What every answer must hold."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from tests.web.test_security import harmless

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    app: App,
    path: bytes,
    query: bytes = b"",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    content_type: str | None = None,
) -> Answered:
    """`path` is what the server has decoded. Raises what the application raises."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
    if method not in ("GET", "HEAD") or body:
        environ["CONTENT_LENGTH"] = str(len(body))
    if content_type is not None:
        environ["CONTENT_TYPE"] = content_type
    started: list[tuple[int, dict[str, str]]] = []

    def start(status: str, fields: list[tuple[str, str]], _exception: object = None) -> None:
        for name, value in fields:
            assert not {*"\r\n\0"} & {*name, *value}, (name, value)
            name.encode("ascii"), value.encode("latin-1")
        started.append((int(status[:3]), {name.title(): value for name, value in fields}))

    parts = app(environ, start)
    try:
        data = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    assert environ["wsgi.errors"].getvalue() == ""
    return Answered(*started[-1], data)


def is_sound(found: Answered) -> None:
    """No fault of ours, nothing that runs, headers that keep it so, and formats that are what they say."""
    assert found.status < 500 or (found.status == 503 and found.headers.get("Retry-After")), found.body[:2000]
    assert b"Traceback (most" not in found.body
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    kind = found.headers.get("Content-Type", "").partition(";")[0]
    if kind == "text/html":
        assert "default-src 'none'" in found.headers["Content-Security-Policy"]
    if found.status == 200 and found.body and "Content-Encoding" not in found.headers:
        if kind == "text/html":
            harmless(found.body.decode())
        elif kind.endswith(("+xml", "/x-opml", "/xml")):
            etree.fromstring(found.body)
        elif kind.endswith("json"):
            json.loads(found.body)
