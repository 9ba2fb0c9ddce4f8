"""Ctrl-C and SIGTERM end a service at any moment, also while it starts: without a traceback, and without "Aborted!"."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import CHECKOUT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(("verb", "after"), [("serve", 0.3), ("serve", 0.8), ("serve", 1.6), ("clock", 0.5), ("clock", 3.0)])
def test_a_signal_at_any_moment_ends_it_quietly(new_site: Any, tmp_path: Path, verb: str, after: float) -> None:
    """To the whole group, as a terminal does; each signal to a site of its own."""
    begun = {number: start(new_site(), verb, tmp_path / number.name) for number in (signal.SIGINT, signal.SIGTERM)}
    time.sleep(after)
    for number, process in begun.items():
        os.killpg(process.pid, number)
    for number, process in begun.items():
        assert process.wait(30) in (0, 130, -number), number.name
        said = (tmp_path / number.name).read_text("utf-8")
        assert "Traceback" not in said and "Aborted" not in said, number.name


def start(site: Any, verb: str, log: Path) -> subprocess.Popen[bytes]:
    port = ["--port", str(free_port()), "--workers", "1"] if verb == "serve" else []
    command = [sys.executable, "-m", "feeds", verb, "--config", str(site.config_dir), *port]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, cwd=CHECKOUT, start_new_session=True)
