"""Python reads this at its start where a test puts this folder in PYTHONPATH: a time of day, and a disk, that the test sets.

FAULTS_TIME is a file that holds the time of day (UTC seconds). FAULTS_DISK is a folder: while the file FAULTS_DISK_HANGS is
there, whoever opens or lists anything in it waits, as for a network disk whose server is away.
"""

import os
import time

if _clock := os.environ.get("FAULTS_TIME"):

    def _now() -> float:
        with open(_clock) as file:
            return float(file.read())

    time.time = _now

if _disk := os.environ.get("FAULTS_DISK"):
    _hangs, _open, _scandir = os.environ["FAULTS_DISK_HANGS"], os.open, os.scandir

    def _wait(path: object) -> None:
        while str(path).startswith(_disk) and os.path.exists(_hangs):
            time.sleep(0.02)

    def _slow_open(path, *rest, **options):  # type: ignore[no-untyped-def]
        _wait(path)
        return _open(path, *rest, **options)

    def _slow_scandir(path="."):  # type: ignore[no-untyped-def]
        _wait(path)
        return _scandir(path)

    os.open, os.scandir = _slow_open, _slow_scandir
