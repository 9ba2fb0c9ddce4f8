"""The systemd units: systemd finds nothing wrong with them, and what they start is what a wheel installs."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from feeds.cli import main

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
TIMERS = sorted(FOLDER.glob("*.timer"))


def settings(unit: Path) -> dict[str, str]:
    """The last value of each key."""
    return dict(re.findall(r"^([A-Za-z]+)=(.*)$", unit.read_text("utf-8"), re.MULTILINE))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they are where everything that they name is installed."""
    program = tmp_path / "feeds"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in (*UNITS, *TIMERS):
        (folder / unit.name).write_text(unit.read_text("utf-8").replace("/opt/feeds/bin/feeds", str(program)), "utf-8")
    return folder


@pytest.mark.interop
def test_systemd_finds_nothing_to_complain_about(installed: Path, tool: Callable[[str], str]) -> None:
    units = [str(installed / unit.name) for unit in (*UNITS, *TIMERS)]
    said = subprocess.run([tool("systemd-analyze"), "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and not said.stderr, said.stderr


@pytest.mark.interop
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_rates_them_as_well_confined(installed: Path, tool: Callable[[str], str], unit: Path) -> None:
    """`systemd-analyze security` counts from 0.0 (nothing is open) to 10.0; 2.0 is below what it calls OK."""
    command = [tool("systemd-analyze"), "security", "--offline=yes", "--threshold=20", str(installed / unit.name)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stdout.splitlines()[-1]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_they_start_a_command_that_there_is_with_options_that_it_takes(unit: Path) -> None:
    program, *arguments = settings(unit)["ExecStart"].split()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert Path(program).name in scripts
    if "--role" in arguments:
        assert arguments == ["health", "--role", "%i"], "the instance is the role"
    shown = CliRunner().invoke(main, [arguments[0], "--help"])
    assert shown.exit_code == 0
    for option in arguments[1:]:
        assert not option.startswith("--") or option in shown.stdout, option


def test_there_is_one_for_the_web_and_one_for_the_clock() -> None:
    web, clock = (settings(ROOT / "packaging" / "systemd" / f"feeds-{name}.service") for name in ("web", "clock"))
    assert "--no-clock" in web["ExecStart"] and "clock" in clock["ExecStart"]
    for unit in (web, clock):
        assert unit["User"] == "feeds" and unit["Restart"] == "always"
        assert unit["EnvironmentFile"].startswith("-"), "secrets are optional"
        assert unit["Environment"] == f"FEEDS_CONFIG=/var/lib/{unit['StateDirectory']}/config"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_all_read_the_same_variables_and_keep_what_they_write_to_themselves(unit: Path) -> None:
    """A backup of another database than the service's would be none."""
    found = settings(unit)
    assert found["EnvironmentFile"] == "-/etc/feeds/environment"
    assert found["Environment"] == "FEEDS_CONFIG=/var/lib/feeds/config"
    assert (found["UMask"], found["StateDirectoryMode"]) == ("0077", "0700")
    assert found["StateDirectory"].split()[0] == "feeds" and found["User"] == "feeds"


@pytest.mark.parametrize("timer", TIMERS, ids=lambda timer: timer.stem)
def test_a_timer_starts_a_unit_that_there_is(timer: Path) -> None:
    assert timer.with_suffix(".service") in UNITS
    assert settings(timer)["WantedBy"] == "timers.target"


def test_copies_are_put_where_the_unit_may_write_and_the_oldest_go() -> None:
    found = settings(FOLDER / "feeds-backup.service")
    assert found["Type"] == "oneshot"
    _program, *arguments = found["ExecStart"].split()
    assert arguments == ["backup", "--keep", "30", f"/var/lib/{found['StateDirectory'].split()[1]}"]


def test_the_page_installs_all_of_them() -> None:
    page = (ROOT / "docs" / "systemd.md").read_text("utf-8")
    assert "packaging/systemd/*.service packaging/systemd/*.timer" in page
    for name in ("feeds-backup.timer", "feeds-health@web.timer", "feeds-health@clock.timer"):
        assert name in page
