"""newsboat and sfeed take in the OPML lists: every feed of the demo arrives with its title and address, and can be fetched."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feedparser
import listparser
import pytest

pytestmark = pytest.mark.interop


def run(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    environ = {"HOME": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, cwd=folder, input=stdin, capture_output=True, timeout=120, env=environ)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def listed(live: Any, path: str) -> dict[str, str]:
    """Address -> title of each feed that a list names."""
    found = listparser.parse(live.request(path)[2])
    assert not found.bozo
    return {feed.url: feed.title for feed in found.feeds}


@pytest.mark.parametrize(("path", "group"), [("/feeds.opml", True), ("/translators.opml", False)])
def test_newsboat_takes_in_every_feed_and_reads_them(
    live: Any, tool: Callable[[str], str], tmp_path: Path, path: str, group: bool
) -> None:
    expected = listed(live, path)
    assert len(expected) > 4
    (tmp_path / "feeds.opml").write_bytes(live.request(path)[2])
    (tmp_path / "config").write_text("cleanup-on-quit no\nreload-threads 2\n")
    (tmp_path / "urls").touch()
    newsboat = (tool("newsboat"), "-q", "-C", "config", "-u", "urls", "-c", "cache.db")
    run(tmp_path, *newsboat, "-i", "feeds.opml")
    lines = [shlex.split(line) for line in (tmp_path / "urls").read_text("utf-8").splitlines()]
    assert {line[0] for line in lines} == set(expected)
    assert {tag for line in lines for tag in line[1:]} == ({"Linux 中国", "标签", "译者"} if group else set())
    run(tmp_path, *newsboat, "-x", "reload")
    with sqlite3.connect(tmp_path / "cache.db") as database:
        feeds = dict(database.execute("SELECT rssurl, title FROM rss_feed"))
        items = {guid for (guid,) in database.execute("SELECT guid FROM rss_item")}  # one that is in several feeds once
    assert feeds == expected
    for url in expected:
        entries = feedparser.parse(live.request(url.removeprefix(live.base))[2]).entries
        assert entries and {entry.id for entry in entries} <= items


def test_sfeed_takes_in_every_feed_with_its_title_and_reads_one(live: Any, tool: Callable[[str], str], tmp_path: Path) -> None:
    expected = listed(live, "/feeds.opml")
    imported = run(tmp_path, tool("sfeed_opml_import"), stdin=live.request("/feeds.opml")[2]).decode()
    rows = [shlex.split(line) for line in imported.splitlines() if line.strip().startswith("feed '")]
    assert {row[2]: row[1] for row in rows} == expected
    chosen = f"{live.base}/tags/C++.atom"
    assert chosen in expected
    lines = run(tmp_path, tool("sfeed"), live.base, stdin=live.request("/tags/C++.atom")[2]).decode().splitlines()
    entries = feedparser.parse(live.request("/tags/C++.atom")[2]).entries
    assert len(entries) > 1
    assert [line.split("\t")[1] for line in lines] == [entry.title for entry in entries]
