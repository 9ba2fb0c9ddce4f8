"""One live site for all tests of a process; what they change is their own address, feed or issue."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .live_site import LiveSite

PACKAGES = Path(__file__).resolve().parents[1] / "interop" / "package.json"


@pytest.fixture(scope="session")
def live_site(running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> LiveSite:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return LiveSite(tmp_path_factory.mktemp("live_site"), port, running)


@pytest.fixture(scope="session")
def axe(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    shutil.copy(PACKAGES, folder)
    command = [tool("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert installed.returncode == 0, installed.stderr
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
