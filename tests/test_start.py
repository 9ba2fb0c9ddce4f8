"""What a command loads, as its own process says: start-up is most of what a short command costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: What draws pages.
WEB = {"flask", "jinja2", "werkzeug"}
#: What a look at the tables needs nothing of: settings with their checks, articles, documents, mail, push, the clock, logs.
HEAVY = WEB | {"pydantic", "yaml", "ruamel", "dotenv", "comrak", "lxml", "feedgen", "brotli", "css_inline", "cryptography"}
HEAVY |= {
    "flufl",
    "email_validator",
    "aiohttp",
    "apscheduler",
    "watchfiles",
    "granian",
    "structlog",
    "rich",
    "pypinyin",
    "pygal",
}
HEAVY |= {"alembic", "procrastinate", "babel", "prometheus_client", "obstore", "pydantic_core", "itsdangerous"}
#: Modules of ours that every command has.
BASIS = {"feeds.__main__", "feeds.errors", "feeds.faults", "feeds.logs"}


def loaded(*arguments: str | Path) -> set[str]:
    """Run a command; return all modules that it and the processes it forked have imported."""
    return imported("-m", "feeds", *map(str, arguments))


def imported(*arguments: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", *arguments]
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


def named(config: Path) -> set[str]:
    """What reads a `.env`, where the site has one, as it names a PostgreSQL database."""
    return {"dotenv"} if (config.parent / ".env").exists() else set()


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_feeds_alone_are_exported_without_the_web_application(config: Path, tmp_path: Path) -> None:
    found = loaded("export", "--feeds-only", "--config", config, tmp_path / "out")
    assert (tmp_path / "out" / "all.atom").is_file() and (tmp_path / "out" / "feeds.opml").is_file()
    assert "feedgen" in packages(found) and not packages(found) & WEB


def test_an_export_of_the_whole_site_in_which_nothing_changed_loads_no_web_application(config: Path, tmp_path: Path) -> None:
    assert packages(loaded("export", "--config", config, tmp_path / "out")) >= WEB
    assert not packages(loaded("export", "--config", config, tmp_path / "out")) & WEB


def test_the_state_of_a_service_is_told_by_little_more_than_the_tables(config: Path) -> None:
    found = loaded("status", "--config", config)
    assert "sqlalchemy" in found and not packages(found) & (HEAVY - named(config))
    assert not {"feeds.rescan", "feeds.scheduler", "feeds.web.app", "feeds.newsletter.issues.planning"} & found
    assert not {"feeds.websub.protocol", "feeds.tokens"} & found
    assert named(config) or "sqlalchemy.dialects.postgresql" not in found


def test_the_version_is_told_without_any_of_it() -> None:
    found = loaded("--version")
    assert not packages(found) & (HEAVY | {"sqlalchemy"})
    assert {name for name in found if name.startswith("feeds.")} <= {"feeds.cli", "feeds.cli.common", *BASIS}


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["opml"]], ids=" ".join)
def test_what_lists_feeds_loads_neither_articles_nor_mail(config: Path, words: list[str]) -> None:
    needed = {"pydantic", "pydantic_core", "lxml", "feedgen", "brotli"} | named(config)
    assert not packages(loaded(*words, "--config", config)) & (HEAVY - needed)


def test_a_process_that_parses_loads_neither_documents_nor_settings_nor_the_tables() -> None:
    found = imported("-c", "from feeds.store.parser_pool import serve")
    assert {"comrak", "nh3", "yaml"} <= packages(found)
    assert not packages(found) & (HEAVY - {"comrak", "yaml"} | {"sqlalchemy", "click"}) and "importlib.metadata" not in found
