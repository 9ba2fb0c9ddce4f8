"""One live site for all tests of a process; what they change is their own address, feed or issue."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .live_site import LiveSite


@pytest.fixture(scope="session")
def live_site(running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> LiveSite:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return LiveSite(tmp_path_factory.mktemp("live_site"), port, running)


@pytest.fixture(scope="session")
def axe(npm_packages: Path) -> str:
    """The source of axe-core, from npm."""
    return (npm_packages / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
