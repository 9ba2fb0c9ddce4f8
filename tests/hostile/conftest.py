"""A real server that is asked by raw bytes, with the time for headers cut short; and the same application without it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.config.environment import Environment
from feeds.web.app import create_app
from tests import forking
from tests.conftest import CHECKOUT, settle_database

TOKEN = "open-sesame-0123456789"
#: As `feeds serve`, but for how long it waits for headers and for bodies.
SERVE = """
from feeds.web import body_limit, server
server.HEADER_TIMEOUT_MS = {timeout}
body_limit.GRACE = {grace}
{more}
from feeds.cli import main
main()
"""
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


@dataclass
class Answers:
    """All that came back on one connection; `closed` by the server."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """Of the answers: a body may look like one, too, but not like this server's."""
        return [int(status) for status, head in _HEAD.findall(self.data) if b"server: granian\r\n" in head or status == b"400"]

    @property
    def headers(self) -> dict[str, str]:
        """Of the first."""
        found = _HEAD.search(self.data)
        assert found is not None, self.data[:200]
        lines = found[2].decode("latin-1").strip().split("\r\n")
        return {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}


class Wire:
    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    def ask(self, *parts: bytes, quiet: float = 0.15) -> Answers:
        """Send, and read until the server closes or says no more for `quiet` seconds."""
        with self.connect() as connection:
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part)
            return read(connection, quiet)

    def get(self, path: str) -> int:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), quiet=15).statuses[0]


def read(connection: socket.socket, quiet: float) -> Answers:
    """The first answer may take its time."""
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
            connection.settimeout(quiet)
    except TimeoutError:
        return Answers(data, False)
    except ConnectionError:
        pass
    return Answers(data, True)


@pytest.fixture(scope="module")
def guarded(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The demo's own copy, with a console, a newsletter and a hub."""
    root = tmp_path_factory.mktemp("hostile")
    for name in ("config", "articles"):
        shutil.copytree(demo.root / name, root / name)
    settle_database(root, template=demo)
    return Environment.read(root / "config", {"FEEDS_OPERATOR_TOKEN": TOKEN})


@pytest.fixture(scope="module")
def client(guarded: Environment) -> Client:
    return Client(create_app(guarded))


@pytest.fixture(scope="module")
def start(guarded: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Wire]]:
    """Starts servers of one worker: `start(timeout=1000, grace=1.0)`, milliseconds for headers and seconds for bodies."""
    started: list[subprocess.Popen[bytes]] = []

    def run(timeout: int, grace: float = 5.0, more: str = "") -> Wire:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            wire = Wire(probe.getsockname()[1], tmp_path_factory.mktemp("serve") / "log")
        options = ["serve", "--config", str(guarded.config_dir), "--port", str(wire.port), "--workers", "1", "--no-clock"]
        environment = {**os.environ, "FEEDS_OPERATOR_TOKEN": TOKEN}
        with wire.log.open("wb") as log:
            command = [sys.executable, "-c", SERVE.format(timeout=timeout, grace=grace, more=more), *options]
            started.append(forking.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log, env=environment))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, IndexError):
                if wire.get("/ready") == 200:
                    return wire
            assert started[-1].poll() is None, wire.log.read_text()
            time.sleep(0.05)
        pytest.fail(wire.log.read_text())

    yield run
    for process in started:
        process.terminate()
    for process in started:
        process.wait(20)


@pytest.fixture(scope="module")
def wire(start: Callable[..., Wire]) -> Iterator[Wire]:
    """Waits a second for headers and bodies. What it has written is looked at in the end, whatever was asked."""
    yield from _watched(start(timeout=1000, grace=1.0))


@pytest.fixture(scope="module")
def patient(start: Callable[..., Wire]) -> Iterator[Wire]:
    """Waits ten minutes for headers and bodies, longer than any test: what stalls here stalls."""
    yield from _watched(start(timeout=600_000, grace=600.0))


def _watched(wire: Wire) -> Iterator[Wire]:
    yield wire
    log = wire.log.read_text("utf-8", "replace")
    assert "Traceback" not in log and "level=error" not in log and "panicked" not in log, log[-3000:]
