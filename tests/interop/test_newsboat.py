"""newsboat, a reader of Debian's, subscribes, refreshes and sees an edit."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feedparser
import pytest

pytestmark = pytest.mark.interop


def reload(newsboat: str, folder: Path, urls: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Refresh all feeds; returns feed address -> (guid, title) of each item in newsboat's own store."""
    (folder / "urls").write_text("\n".join(urls) + "\n")
    (folder / "config").write_text("cleanup-on-quit no\nmax-items 0\n")
    command = [newsboat, "-q", "-C", "config", "-u", "urls", "-c", "cache.db", "-x", "reload"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env={"HOME": str(folder)})
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(folder / "cache.db") as database:
        rows = database.execute("SELECT feedurl, guid, title FROM rss_item ORDER BY pubDate DESC, id").fetchall()
    found: dict[str, list[tuple[str, str]]] = {url: [] for url in urls}
    for url, guid, title in rows:
        found[url].append((guid, title))
    return found


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_newsboat_reads_a_tag_and_a_translator(live: Any, tool: Callable[[str], str], tmp_path: Path, format: str) -> None:
    for path in ("/tags/C++", "/translators/Demo-Max", "/tags/HTML"):
        url = f"{live.base}{path}.{format}"
        folder = tmp_path / path.rpartition("/")[2]
        folder.mkdir()
        found = reload(tool("newsboat"), folder, [url])
        entries = feedparser.parse(live.request(f"{path}.{format}")[2]).entries
        assert len(entries) > 1
        assert sorted(found[url]) == sorted((entry.id, entry.title) for entry in entries)


def test_a_second_refresh_brings_nothing_twice_and_an_edit_changes_the_item(
    live: Any, tool: Callable[[str], str], tmp_path: Path
) -> None:
    url = f"{live.base}/all.atom"
    first = reload(tool("newsboat"), tmp_path, [url])
    assert len(first[url]) == 20
    for _ in range(2):
        assert reload(tool("newsboat"), tmp_path, [url]) == first
    newest = feedparser.parse(live.request("/all.atom")[2]).entries[0]
    article = next(path for path in (live.site_root / "articles").rglob("*.md") if newest.id.endswith(f"/{path.stem}"))
    article.write_text(article.read_text("utf-8").replace(newest.title, "A corrected title"), "utf-8")
    live.wait(lambda: b"A corrected title" in live.request("/all.atom")[2], 10)
    after = reload(tool("newsboat"), tmp_path, [url])
    assert len(after[url]) == 20
    assert (newest.id, "A corrected title") in after[url]
