"""`feeds serve` in a process of its own, with an environment and a folder of its own: for copies and installed packages."""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import forking
from .newsletter.servers import free_port


@contextlib.contextmanager
def served(root: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the address of one web worker over `root`/config, without a clock."""
    port = free_port()
    command = [sys.executable, "-m", "feeds", "serve", "--no-clock", "--port", str(port), "--workers", "1"]
    process = forking.Popen([*command, "--config", str(root / "config")], env=environment, cwd=root)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
