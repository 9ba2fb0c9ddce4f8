"""What a command loads, as its own process says: start-up is most of what a short command costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: What draws pages, and what only sends, edits or measures. Each costs more than a look at the tables.
WEB = {"flask", "jinja2", "werkzeug"}


def loaded(*arguments: str | Path) -> set[str]:
    """Run a command; return all modules that it and the processes it forked have imported."""
    command = [sys.executable, "-X", "importtime", "-m", "feeds", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr[-2000:]
    rows = (line.rpartition("|") for line in ended.stderr.splitlines() if line.startswith("import time:"))
    return {name.strip() for _times, _bar, name in rows}


@pytest.fixture
def config(site: Any) -> Path:
    site.write("1.md", tags=["Linux"], translator="geekpi")
    site.rescan()
    path: Path = site.config_dir
    return path


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_feeds_alone_are_exported_without_the_web_application(config: Path, tmp_path: Path) -> None:
    found = loaded("export", "--feeds-only", "--config", config, tmp_path / "out")
    assert (tmp_path / "out" / "all.atom").is_file() and (tmp_path / "out" / "feeds.opml").is_file()
    assert "feedgen" in packages(found) and not packages(found) & WEB


def test_an_export_of_the_whole_site_in_which_nothing_changed_loads_no_web_application(config: Path, tmp_path: Path) -> None:
    assert packages(loaded("export", "--config", config, tmp_path / "out")) >= WEB
    assert not packages(loaded("export", "--config", config, tmp_path / "out")) & WEB
