"""The demo store, served for readers from outside, and a note of every request that they make.

Readers talk to a recorder, which hands each request to `feeds serve` and the answer back as it is, bodies packed or not.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests import forking
from tests.conftest import settle_database

CHECKOUT = Path(__file__).resolve().parents[2]
FEED = "/all"
MOVED, RETIRED = "/tags/Moved", "/tags/Retired"


@dataclass(frozen=True)
class Request:
    """`headers` are those that the reader sent, by lower-case name."""

    path: str
    headers: dict[str, str]
    status: int


@dataclass
class Served:
    """Addresses begin with `base`."""

    base: str
    requests: list[Request] = field(default_factory=list)

    def get(self, path: str) -> bytes:
        """A document as nobody's reader: it is not noted."""
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", path, headers={"X-Unnoted": "1"})
            answered = connection.getresponse()
            assert answered.status == 200, f"{path} is {answered.status}"
            return answered.read()
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _site(root: Path, base: str) -> Path:
    """The demo's own configuration, with most articles in one feed, one feed that moved and one that is gone."""
    for name in ("config", "demo"):
        shutil.copytree(CHECKOUT / name, root / name)
    for file, settings in (
        ("site.yaml", {"base_url": base}),
        ("feeds.yaml", {"all": {"limit": 40}, "moved": {MOVED[1:]: "tags/Python"}, "gone": [RETIRED[1:]]}),
    ):
        path = root / "config" / file
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text("utf-8")) | settings, allow_unicode=True), "utf-8")
    return root / "config"


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        status, headers, body = self._forward()
        if "X-Unnoted" not in self.headers:
            sent = {name.lower(): value for name, value in self.headers.items()}
            self.server.served.requests.append(Request(self.path, sent, status))
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def _forward(self) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.backend, timeout=30)
        try:
            # Nothing is added: what a reader does not ask for, the service must not be asked for.
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            answered = connection.getresponse()
            return answered.status, answered.getheaders(), answered.read()
        finally:
            connection.close()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextlib.contextmanager
def serving(root: Path, **variables: str) -> Iterator[Served]:
    """`root` is an empty folder for the site; `variables` are the service's alone."""
    backend = _free_port()
    recorder = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    recorder.daemon_threads = True
    served = Served(f"http://127.0.0.1:{recorder.server_address[1]}")
    recorder.__dict__.update(served=served, backend=backend)
    threading.Thread(target=recorder.serve_forever, daemon=True).start()
    config = _site(root, served.base)
    settle_database(root)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FEEDS_")} | variables
    feeds = [sys.executable, "-m", "feeds"]
    forking.run([*feeds, "rescan", "--config", str(config)], check=True, cwd=CHECKOUT, env=environment, capture_output=True)
    options = ["--config", str(config), "--port", str(backend), "--workers", "1", "--no-clock"]
    with (root / "log").open("wb") as log:
        service = forking.Popen([*feeds, "serve", *options], cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
    try:
        _wait(backend, service, root / "log")
        yield served
    finally:
        service.terminate()
        service.wait(20)
        recorder.shutdown()
        recorder.server_close()


def _wait(port: int, service: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and service.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"feeds serve is not ready:\n{log.read_text('utf-8', 'replace')}")
