"""A subscriber as there are many: a real server on loopback that confirms what it has asked for and keeps what it is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request: `path` with its query, as it came over the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}


Reply = tuple[int, bytes, dict[str, str]]


@dataclass
class Subscriber:
    """`agrees` says whether a verification is confirmed; `receives` answers a delivery with a status. Both may be replaced."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    agrees: Callable[[Seen], Reply | bool] = lambda _seen: True
    receives: Callable[[Seen], Reply | int] = lambda _seen: 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        if seen.method == "POST":
            said = self.receives(seen)
            return (said, b"", {}) if isinstance(said, int) else said
        agreed = self.agrees(seen)
        if not isinstance(agreed, bool):
            return agreed
        return (200, seen.query["hub.challenge"].encode(), {}) if agreed and "hub.challenge" in seen.query else (404, b"", {})

    def of(self, method: str, path: str = "") -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.method == method and seen.path.startswith(path or "/")]

    def deliveries(self, path: str = "") -> list[Seen]:
        return self.of("POST", path)

    def verifications(self, path: str = "") -> list[Seen]:
        return self.of("GET", path)


@contextmanager
def subscriber() -> Iterator[Subscriber]:
    made = Subscriber()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text, headers = made.answer(Seen(self.command, self.path, dict(self.headers), body))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_arguments: Any) -> None:
            """A hub that has hung up, or was killed, is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def wait_for(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return found
