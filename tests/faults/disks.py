"""Disks that are full, or not there: file systems in memory, of a size that can be filled. To mount one takes root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

FILLER = "filler"


def mount(folder: Path, kibibytes: int) -> str:
    """Why not; "" if it is mounted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k,mode=0777", "feeds-tests", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


def unmount(folder: Path) -> None:
    """At once, whoever works there."""
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, *, leave: int = 0) -> None:
    """Up to the last byte, but for `leave` of them."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with open(folder / FILLER, "ab") as file:
        try:
            os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), max(1, free - leave))
        except OSError:
            raise AssertionError(f"{free} bytes are free, and cannot be taken") from None


def empty(folder: Path) -> None:
    """Somebody has made room."""
    (folder / FILLER).unlink()
