"""The wheel: everything that the program needs is in it, and it works far from a checkout."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.examples import FULL

pytestmark = pytest.mark.interop
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(CHECKOUT)],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_holds_templates_configuration_migrations_words_and_the_demo(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (
        "feeds/_share/templates/web/base.html",
        "feeds/_share/config/site.yaml",
        "feeds/_share/config/feeds.yaml",
        "feeds/locale/zh_CN/LC_MESSAGES/feeds.mo",
        "feeds/database/migrations/env.py",
        "feeds/web/static/style.css",
        "feeds/web/static/icon.png",
    ):
        assert path in names
    assert sum(name.startswith("feeds/_share/demo/articles/") for name in names) >= 40
    assert any(name.startswith("feeds/database/migrations/versions/0001") for name in names)
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_a_site_made_by_the_installed_wheel_is_served(wheel: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FEEDS_", "PYTHON"))}
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    if FULL:
        venv.create(tmp_path / "venv", with_pip=True)
        subprocess.run([tmp_path / "venv" / "bin" / "python", *install], check=True, timeout=300, env=environment)
    else:  # with the dependencies that are there
        environment["PYTHONPATH"] = str(tmp_path / "venv")
        command = [sys.executable, *install, "--no-deps", "--target", tmp_path / "venv"]
        subprocess.run(command, check=True, timeout=300, env=environment)
    feeds = tmp_path / "venv" / "bin" / "feeds"
    subprocess.run([feeds, "init", "site"], check=True, cwd=tmp_path, env=environment, timeout=60)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [feeds, "serve", "--config", "site/config", "--port", str(port), "--workers", "1"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        service = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=file, stdout=file)
    try:
        found = fetch(f"http://127.0.0.1:{port}/tags/C++.atom", 30)
        assert b"<feed" in found, log.read_text()
        assert b"<h1" in fetch(f"http://127.0.0.1:{port}/", 5)
        assert fetch(f"http://127.0.0.1:{port}/static/style.css", 5)
    finally:
        service.terminate()
        service.wait(20)
    assert (tmp_path / "site" / "var" / "feeds.db").is_file()


def fetch(url: str, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answered:
            body: bytes = answered.read()
            return body
        time.sleep(0.1)
    return b""
