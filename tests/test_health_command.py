"""`feeds health`: each role says in a sentence whether it does its work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from feeds.cli import main
from feeds.monitoring import health


def ask(site: Any, *options: str) -> Result:
    return CliRunner().invoke(main, ["health", "--config", str(site.config_dir), *options])


@pytest.mark.interop
def test_web_says_what_ready_says(site: Any, running: Callable[..., Any]) -> None:
    site.write("1.md", tags=["Linux"])
    site.rescan(int(time.time()))
    service = running(site.config_dir, "--workers", "1", "--no-clock").ready()
    found = ask(site, "--port", str(service.port))
    assert (found.exit_code, found.stdout) == (0, "ready\n")
    service.stop()
    found = ask(site, "--port", str(service.port))
    assert found.exit_code == 1 and "nothing answers at 127.0.0.1" in found.stderr


@pytest.mark.parametrize(("age", "code", "words"), [(None, 1, "no clock"), (5, 0, "a clock acts"), (900, 1, "silent for")])
def test_a_clock_is_well_while_any_acts(site: Any, age: int | None, code: int, words: str) -> None:
    if age is not None:
        site.runtime.write(health.write_heartbeat, time.time() - age)
    found = ask(site, "--role", "clock")
    assert found.exit_code == code and words in found.output


def test_without_workers_the_role_says_what_they_need(site: Any) -> None:
    found = ask(site, "--role", "worker")
    assert found.exit_code == 1 and "workers: true" in found.output


@pytest.mark.parametrize("role", ["clock", "worker"])
def test_a_database_that_is_away_is_a_sentence(site: Any, role: str) -> None:
    site.lose_database()
    found = ask(site, "--role", role)
    assert found.exit_code == 1 and "the database cannot be read" in found.output and "Traceback" not in found.output
