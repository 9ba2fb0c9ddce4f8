"""Real readers and the limit for greedy clients: newsboat behind nginx, feedparser, both as they are."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import feedparser
import pytest

from feeds.audience import requests
from feeds.syndication import lookup

pytestmark = pytest.mark.interop

SAME = 6
#: nginx as docs/audience.md has it: the reader's address is appended to what came along.
NGINX = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{service};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For "192.0.2.7";
    }}
  }}
}}
"""


@pytest.fixture
def strict(demo: Any, running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service that lets one client have each version SAME times an hour."""
    root = tmp_path_factory.mktemp("strict")
    site = type(demo)(root / "site")
    for path in sorted(demo.store.rglob("*.md")):
        site.write(str(path.relative_to(demo.store)), path.read_bytes())
    site.settle("site.yaml", limits={"same_version": SAME, "documents": 1000})
    site.rescan()
    service = running(site.config_dir, "--workers", "1", "--no-clock").ready()
    service.site = site
    return service


@pytest.fixture
def proxied(strict: Any, tool: Callable[[str], str], tmp_path: Path) -> Iterator[str]:
    """The address of an nginx in front of it, which says that everybody is 192.0.2.7."""
    os.environ["PATH"] += ":/usr/sbin"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""
    text = NGINX.format(folder=tmp_path, port=port, service=strict.port, user=user)
    (tmp_path / "nginx.conf").write_text(text)
    command = [tool("nginx"), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
    process = subprocess.Popen(command)
    base = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while feedparser.parse(f"{base}/feeds/none.atom").get("status") != 404:
        assert time.monotonic() < deadline, (tmp_path / "error.log").read_text()
        time.sleep(0.05)
    yield base
    process.terminate()
    process.wait(10)


def test_newsboat_imports_every_feed_and_reloads_them_again_and_again(
    proxied: str, strict: Any, tool: Callable[[str], str], tmp_path: Path
) -> None:
    paths = [row.path for row, _selection in strict.site.runtime.read(lookup.list_feeds) if row.articles]
    urls = [f"{proxied}/{urllib.parse.quote(path)}.{format}" for path in paths for format in ("atom", "rss")]
    assert len(urls) > 100
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "urls").write_text("\n".join(urls) + "\n")
    (folder / "config").write_text("max-items 0\nreload-threads 8\n")
    for _ in range(SAME + 2):
        command = [tool("newsboat"), "-q", "-C", "config", "-u", "urls", "-c", "cache.db", "-x", "reload"]
        subprocess.run(command, cwd=folder, check=True, timeout=120, env={"HOME": str(folder)})
    with sqlite3.connect(folder / "cache.db") as database:
        read = {url for (url,) in database.execute("SELECT rssurl FROM rss_feed WHERE lastmodified > 0 OR etag != ''")}
    assert read == set(urls)
    strict.stop()  # it writes its last counts
    found = strict.site.runtime.read(requests.recent_as_json, strict.site.runtime.edition().config.zone, time.time(), 1)
    assert found["refused"] == 0 and found["requests"] == len(urls) * (SAME + 2)
    assert found["unchanged"] == len(urls) * SAME, "newsboat asks for a new feed twice before it names what it has"


def parse(url: str, **options: Any) -> Any:
    return feedparser.parse(url, request_headers={"X-Forwarded-For": "192.0.2.99"}, **options)


def test_feedparser_with_validators_is_never_refused(strict: Any) -> None:
    url = f"{strict.base}/all.atom"
    known = parse(url)
    assert known.status == 200
    assert {parse(url, etag=known.etag).status for _ in range(5 * SAME)} == {304}
    assert {parse(url, modified=known.modified).status for _ in range(5 * SAME)} == {304}


def test_feedparser_without_validators_is_refused_and_told_when_to_come_back(strict: Any) -> None:
    url = f"{strict.base}/tags/HTML.atom"
    found = [parse(url) for _ in range(SAME + 2)]
    assert [one.status for one in found] == [200] * SAME + [429] * 2
    assert int(found[-1].headers["retry-after"]) >= 60
    assert parse(url, etag=found[0].etag).status == 304, "as soon as it names what it has, it is welcome"
