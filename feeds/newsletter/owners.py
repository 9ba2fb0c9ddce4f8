"""Which process has a row in hand, and whether it still lives.

An owner is `host:pid:start:number`. `host` tells boots and containers apart, `start` is when the process began, so that a
number that the system gives out again is not mistaken for the dead one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
from pathlib import Path

#: How long (seconds) rows are kept for a process that may be on another machine and does not renew them.
LEASE = 120
#: A process of this machine that lives but has not renewed its rows for so long has lost them.
STALLED = 3600


def me() -> str:
    """A new name for one run of this process; two runs of one process are two owners."""
    return f"{_host()}:{os.getpid()}:{_start(os.getpid())}:{secrets.token_hex(4)}"


def alive(owner: str, lease: int, now: int) -> bool:
    """On this machine the process table decides, at once; elsewhere the lease (UTC seconds)."""
    host, pid, start, _number = (*owner.split(":"), "", "", "")[:4]
    if host != _host() or not pid.isdecimal():
        return lease > now
    return _start(int(pid)) == start and lease + STALLED > now


def _host() -> str:
    """The name, the boot and the name space of process numbers: where a process number means the same process."""
    place = ""
    with contextlib.suppress(OSError):
        place = f"{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}.{Path('/proc/self/ns/pid').stat().st_ino}"
    return f"{platform.node()}.{place}".replace(":", "_")


def _start(pid: int) -> str:
    """When a process began, in the system's own ticks; "" if there is none. A zombie is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return "0" if not Path("/proc/self/stat").exists() and _exists(pid) else ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return "" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
