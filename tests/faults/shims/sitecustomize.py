"""Python reads this at its start where a test puts this folder in PYTHONPATH: a time of day, and a disk, that the test sets.

FAULTS_TIME is a file that holds the time of day (UTC seconds). FAULTS_DISK is a folder: while the file FAULTS_DISK_HANGS is
there, whoever opens or lists anything in it waits, as for a network disk whose server is away. Both are looked up when they are
asked for: a process that forks others has neither.
"""

import os
import time

_time, _open, _scandir = time.time, os.open, os.scandir


def _now() -> float:
    if not (clock := os.environ.get("FAULTS_TIME")):
        return _time()
    with open(clock) as file:
        return float(file.read())


def _wait(path: object) -> None:
    disk = os.environ.get("FAULTS_DISK")
    while disk and str(path).startswith(disk) and os.path.exists(os.environ["FAULTS_DISK_HANGS"]):
        time.sleep(0.02)


def _slow_open(path, *rest, **options):  # type: ignore[no-untyped-def]
    _wait(path)
    return _open(path, *rest, **options)


def _slow_scandir(path="."):  # type: ignore[no-untyped-def]
    _wait(path)
    return _scandir(path)


time.time, os.open, os.scandir = _now, _slow_open, _slow_scandir
