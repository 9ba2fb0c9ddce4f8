"""The compose file: what it starts are commands that there are, over settings that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from feeds.cli import main
from feeds.config.environment import Environment

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "packaging" / "compose.yaml").read_text("utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "feeds"}


@pytest.mark.parametrize("name", ["clock", "worker", "web"])
def test_it_starts_commands_that_there_are_with_options_that_they_take(name: str) -> None:
    program, verb, *options = OURS[name]["command"]
    assert program == "feeds"
    shown = CliRunner().invoke(main, [verb, "--help"]).output
    for option in options:
        assert not option.startswith("--") or option in shown


def test_it_is_what_the_page_on_scaling_promises() -> None:
    replicas = {name: service.get("deploy", {}).get("replicas", 1) for name, service in OURS.items()}
    assert replicas == {"setup": 1, "clock": 2, "worker": 4, "web": 3}
    assert all(service["restart"] == "always" for name, service in OURS.items() if name != "setup")


def test_what_it_changes_in_the_settings_is_there_to_be_changed() -> None:
    script = OURS["setup"]["command"][-1]
    changes = re.findall(r"sed -i 's/\^(.+?)/(.+?)/' (\S+)", script)
    assert len(changes) == 2
    for old, new, file in changes:
        lines = (ROOT / file).read_text("utf-8").splitlines()
        assert any(line.startswith(old) for line in lines), old
        assert old.partition(":")[0] == new.partition(":")[0]


def test_its_variables_are_read_by_the_program(tmp_path: Path) -> None:
    environ = {**COMPOSE["x-feeds"]["environment"]}
    (tmp_path / "config").mkdir()
    found = Environment.read(tmp_path / "config", environ)
    assert set(environ.values()) == {found.store, *filter(None, found.secrets)}
