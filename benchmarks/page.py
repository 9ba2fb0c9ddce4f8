"""The results as a page of the documentation."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from .figures import Result, cells

_HEAD = """\
# Benchmarks

Written by `python -m benchmarks --write docs/benchmarks.md`; `make bench` prints the same table. Each figure stands beside the
bound that this project promises; ratios compare two programs that took turns in the same run. How a figure is measured, and
what a peer does more or less, is told at the top of its module in `benchmarks/`.

"""
_PACKAGES = ("flask", "granian", "feedgen", "lxml", "comrak", "nh3", "PyYAML", "SQLAlchemy")


def write(path: Path, results: Iterable[Result], remarks: Iterable[str]) -> None:
    rows = [cells(result) for result in results]
    table = ["| figure | measured | bound | ratio to the bound | holds | how |", "|---|---|---|---|---|---|"]
    table += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    said = [f"- {line}" for line in remarks]
    path.write_text(_HEAD + "\n".join((*table, "", *said, *([""] if said else []), _machine())) + "\n", "utf-8")


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    others = "; ".join(line for line in (_first_line("hugo", "version"), _first_line("nginx", "-v")) if line)
    return (
        f"Measured on {os.cpu_count()} cores ({platform.machine()}, {platform.system()}), Python {platform.python_version()}; "
        f"{packages}; {others or 'no peers installed'}."
    )


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).splitlines()[0][:60].strip()
