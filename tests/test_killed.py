"""What a killed process leaves of its temporary files is private, and removed by the next start, wherever it lies."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from feeds.config.load import load_config
from feeds.database import backup
from feeds.runtime import tidy_files

from . import forking
from .newsletter.club import Club

#: The process ends where the first complete temporary file would be renamed into its place.
RUN = """
import os, signal, sys
os.fsync = lambda _descriptor: os.kill(os.getpid(), signal.SIGKILL)
from feeds.cli import main
main(sys.argv[1:], standalone_mode=False)
"""
COMMANDS = [
    "backup {elsewhere}/backup.db",
    "backup {var}/backup.db",
    "subscribers export {elsewhere}/readers.csv",
    "subscribers export {var}/readers.csv",
    "restore {elsewhere}/old.db --yes",
    "digest preview",
    "digest preview --out {elsewhere}/preview",
    "digest send --to reader@example.org",
]


def temporaries(folder: Path) -> list[Path]:
    return [Path(place, name) for place, _folders, files in os.walk(folder) for name in files if "feeds-tmp" in name]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_next_start_removes_what_a_killed_command_left(site: Any, command: str) -> None:
    Club(site).join()
    names = {"elsewhere": site.root / "elsewhere", "var": site.root / "var"}
    names["elsewhere"].mkdir(mode=0o755)
    config = ["--config", str(site.config_dir)]
    if command.startswith("restore"):
        backup.back_up(site.runtime.engine, names["elsewhere"] / "old.db")
    words = [word.format(**names) for word in command.split()]
    killed = forking.run([sys.executable, "-c", RUN, *words, *config], capture_output=True, text=True, check=False)
    left = temporaries(site.root)
    assert killed.returncode == -9 and left, killed.stderr
    assert [path for path in left if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    tidy_files(site.environment, load_config(site.environment))  # as every start does, and `feeds check`
    assert temporaries(site.root) == []
