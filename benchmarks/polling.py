"""Readers that poll: thousands of feeds with the ETag of each, and wrk that asks for them over many connections.

wrk runs `polling.lua`: each request asks for a feed by chance and sends the ETag that the reader has of it.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from feeds import selections, urls
from feeds.feed_formats import load_formats
from feeds.model import FACETS, Selection
from feeds.syndication import lookup

from .bench import Bench, Site, clean_environ
from .figures import need
from .processes import HOST, ask
from .stores import ROOT, retitle

#: Every facet has feeds.
FEEDS = {"facets": {name: {"enabled": True} for name in FACETS}}
CONNECTIONS = 1_000
#: A reader waits longer than wrk's 2 seconds.
PATIENCE = 30
_SCRIPT = ROOT / "benchmarks" / "polling.lua"


def count(bench: Bench) -> int:
    """Of different feeds that are polled."""
    return 500 if bench.quick else 5_000


def addresses_of(site: Site, wanted: int) -> list[str]:
    """So many: the feeds of all terms in all formats, those of most articles first, then combinations of two tags."""
    runtime = site.runtime()
    states = sorted(runtime.read(lookup.list_feeds), key=lambda row: (-row[0].articles, row[0].path))
    runtime.close()
    tags = [selection.any["tag"][0] for state, selection in states if state.path.startswith("tags/")]
    pairs = (selections.canonical(Selection(any={"tag": pair})) for pair in _pairs(tags))
    found = itertools.chain(
        (f"/{urls.encode(state.path)}{format.extension}" for state, _selection in states for format in load_formats().values()),
        (f"/select{format.extension}?{pair}" for pair in pairs for format in load_formats().values()),
    )
    return list(itertools.islice(found, wanted))


def _pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Any of two, those of the most used first."""
    for last in range(1, len(names)):
        yield from ((names[first], names[last]) for first in range(last))


@dataclass(frozen=True, slots=True)
class Readers:
    """Who polls: `table` is the Lua file of feeds and ETags. `learn`: they keep the ETag of what has changed.

    One request in `newcomers` comes from a reader that has nothing yet (0: none).
    """

    table: Path
    learn: bool = False
    newcomers: int = 0

    def poll(self, port: int, seconds: float, connections: int = CONNECTIONS) -> Polled:
        words = [str(self.table), "learn" if self.learn else "keep", str(self.newcomers)]
        options = ["-t1", f"-c{connections}", f"-d{seconds:.0f}s", f"--timeout={PATIENCE}s", "-s", str(_SCRIPT)]
        command = [need("wrk"), *options, f"http://{HOST}:{port}/", "--", *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 2 * PATIENCE)
        found = next((line for line in done.stdout.splitlines() if line.startswith("result ")), None)
        if found is None:
            raise RuntimeError(f"wrk said no result: {done.stdout[-500:]} {done.stderr[-500:]}")
        return Polled(**json.loads(found.partition(" ")[2]))


@dataclass(frozen=True, slots=True)
class Polled:
    """What wrk counted: `status` answers of 400 and more, `socket` connections that failed or waited PATIENCE; microseconds."""

    requests: int
    seconds: float
    unchanged: int
    changed: int
    status: int
    socket: int
    p50: float
    p99: float
    max: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def errors(self) -> int:
        return self.status + self.socket


def readers(folder: Path, port: int, paths: Sequence[str], *, learn: bool = False, newcomers: int = 0) -> Readers:
    """Readers who have the version of each feed that is out."""
    table = folder / "polled.lua"
    rows = (f"{{{json.dumps(path)}, {json.dumps(tag)}}},\n" for path, tag in _tags(port, paths))
    table.write_text("return {\n" + "".join(rows) + "}\n", "utf-8")
    return Readers(table, learn, newcomers)


def _tags(port: int, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(address, ETag): `*` stands for whatever is out, so nothing has to be rendered to tell."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    for path in paths:
        status, headers, _body = ask(connection, path, {"Accept-Encoding": "gzip", "If-None-Match": "*"})
        if status != 304:
            raise RuntimeError(f"{path} answered {status}")
        yield path, next(value for name, value in headers if name.lower() == "etag")
    connection.close()


# -- what goes on beside -------------------------------------------------------


@contextlib.contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """`work` in a thread until the block ends, which it is told by an event. What goes wrong there is raised here."""
    stopping, faults = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(stopping)
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    if faults:
        raise faults[0]


def rescans(site: Site) -> Callable[[threading.Event], None]:
    """Every file read and parsed again, over and over."""

    def work(stopping: threading.Event) -> None:
        while not stopping.is_set():
            _unless_stopped(site.command("rescan", "--full"), stopping)

    return work


def _unless_stopped(command: Sequence[str], stopping: threading.Event) -> None:
    process = subprocess.Popen(command, env=clean_environ(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if stopping.wait(0.1):
            process.terminate()
            process.wait()
            return
    if process.returncode:
        raise RuntimeError(f"{command} ended with status {process.returncode}")


def saves(site: Site, every: float = 1.0) -> Callable[[threading.Event], None]:
    """One of the newest articles gets another title, again and again."""
    newest = sorted(site.store.rglob("*.md"), key=lambda path: path.parent)[-500:]

    def work(stopping: threading.Event) -> None:
        for number in itertools.count():
            if stopping.wait(every):
                return
            retitle(newest[number * 37 % len(newest)], f"edition {number} {time.time_ns()}")

    return work
