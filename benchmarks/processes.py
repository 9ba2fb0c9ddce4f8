"""Processes from outside: started, watched, asked, stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .bench import clean_environ
from .stores import ROOT

HOST = "127.0.0.1"


def cpu_seconds() -> float:
    """Of this process and of all children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A server for as long as the block lasts; then it is asked to end, and made to if it does not."""
    process = subprocess.Popen(
        command,
        env=clean_environ() | dict(environ or {}),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def serving(
    site_command: Sequence[str], path: str = "/health", environ: Mapping[str, str] | None = None
) -> Iterator[tuple[int, int]]:
    """(port, process id) of a server that answers; `--port` is added to the command."""
    port = free_port()
    with running([*site_command, "--port", str(port)], environ) as process:
        wait_for(port, path, process)
        yield port, process.pid


def wait_for(port: int, path: str, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    """Until the address answers 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            if get(port, path)[0] == 200:
                return
        time.sleep(0.005)
    raise RuntimeError(f"{path} did not answer within {seconds:.0f} s")


Answer = tuple[int, list[tuple[str, str]], bytes]


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        return ask(connection, path, headers)
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    connection.request("GET", path, headers=dict(headers or {}))
    response = connection.getresponse()
    return response.status, response.getheaders(), response.read()


# -- memory ------------------------------------------------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The command's name is in brackets and may hold blanks and brackets itself.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def memory(pid: int) -> tuple[float, float]:
    """(PSS, RSS) in MB: pages that several processes share count once among them in PSS, in each of them in RSS."""
    values = {"Pss": 0.0, "Rss": 0.0}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in values:
                values[name] = int(rest.split()[0]) * 1024 / 1e6
    return values["Pss"], values["Rss"]


class Peak:
    """The most memory that a process and all below it had at one time, sampled in a thread."""

    def __init__(self, pid: int, every: float = 0.1) -> None:
        self.pss = 0.0
        self._pid, self._every = pid, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(self._every):
            self.pss = max(self.pss, sum(memory(pid)[0] for pid in descendants(self._pid)))
