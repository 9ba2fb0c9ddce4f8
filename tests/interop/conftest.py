"""A live service over the demo store, as a reader would find it."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve_settled(running: Callable[..., Any], site: Any) -> Any:
    """Rescan a site whose links begin with the address that it is then served at; a service without a clock."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    site.settle("site.yaml", base_url=base)
    site.rescan()
    service = running(site.config_dir, "--workers", "1", "--no-clock", "--port", str(port))
    service.port, service.base = port, base
    return service.ready()


@pytest.fixture(scope="session")
def live(demo: Any, running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`feeds serve` with its clock. `live.site_root` is the site's folder; links begin with the address that is served."""
    root = tmp_path_factory.mktemp("live")
    for name in ("config", "articles"):
        shutil.copytree(demo.root / name, root / name)
    port = free_port()
    settings = Path(root, "config", "site.yaml")
    chosen = {**yaml.safe_load(settings.read_text("utf-8")), "base_url": f"http://127.0.0.1:{port}"}
    settings.write_text(yaml.safe_dump(chosen, allow_unicode=True), "utf-8")
    service = running(root / "config", "--workers", "1", "--port", str(port))
    service.port, service.base = port, f"http://127.0.0.1:{port}"
    service.site_root = root
    return service.ready()
