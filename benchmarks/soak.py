"""Half an hour of load within ten minutes, and whether any process goes on growing.

A whole `feeds serve` (two workers, its clock) with everything at once, as fast as it goes: readers poll thousands of feeds,
some of them for the first time; aggregators tell how many they read for; an article changes every second, which the hub pushes
to callbacks; an issue goes to a mail server. The memory of every process is sampled each second.

Caches fill up to their bounds by design. So half a minute of polling goes before it, and the first fifth is left out ("end
against minute two"): by then documents have reached their bound, and each worker knows the validators of every feed. A
process's figure is the median of the last tenth against that of the tenth after the first fifth, so that no single sample
decides. The share of pages that others use, too, which PSS counts, changes with whatever begins or ends elsewhere on the
machine: it wants a quiet one. FEEDS_SOAK_SECONDS says how long (600).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import polling, websub
from .bench import Bench
from .figures import Figure, NotMeasured, Traces, middle
from .load import MAIL_RATE, prepared, send_to_readers
from .polling import Polled
from .processes import descendants, free_port, memory, running, serving
from .sending import sink

#: One request in so many comes from a reader that has nothing yet.
NEWCOMERS = 20
SUBSCRIBERS = 20
FILE = "soak.json"
#: Of each line in the plot.
POINTS = 150


def measure(bench: Bench) -> Iterator[Figure | Traces]:
    seconds = 20 if bench.quick else int(os.environ.get("FEEDS_SOAK_SECONDS", "600"))
    if seconds < 20:
        raise NotMeasured("FEEDS_SOAK_SECONDS is below 20: too few samples")
    samples, found, messages = _soaked(bench, seconds)
    samples.write(bench.folder / FILE)
    yield from _judged(samples, seconds)
    yield samples.traces()
    note = (
        f"{found.requests:,.0f} requests for {polling.count(bench):,} feeds, one in {NEWCOMERS} by a new reader; "
        f"a change every second, pushed to {SUBSCRIBERS}; {messages:,} messages sent"
    )
    yield Figure("soak: errors", found.errors, "", 0, note=note)
    yield Figure("soak: requests", found.rate, "/s", None, note=f"99 of 100 answers within {found.p99 / 1000:,.0f} ms")


def _soaked(bench: Bench, seconds: int) -> tuple[Samples, Polled, int]:
    log = bench.folder / "soak-taken"
    log.unlink(missing_ok=True)
    callbacks = free_port()
    with contextlib.ExitStack() as stack:
        mail = stack.enter_context(sink(log=log))
        stack.enter_context(running([sys.executable, "-m", "benchmarks.callbacks", str(callbacks)]))
        site = prepared(bench, "soak", mail, websub.FEEDS)
        port, pid = stack.enter_context(serving(site.command("serve"), "/all.atom"))
        websub.subscribe(site, port, callbacks, SUBSCRIBERS)
        addresses = polling.addresses_of(site, polling.count(bench))
        readers = polling.readers(site.folder, port, addresses, learn=True, newcomers=NEWCOMERS)
        readers.poll(port, min(30, seconds))  # before anything changes: each worker is asked for each feed
        send_to_readers(site, 2 * seconds * MAIL_RATE, log)
        samples = Samples(pid)
        with polling.beside(polling.saves(site)), polling.beside(samples.work):
            found = readers.poll(port, seconds)
    return samples, found, log.read_bytes().count(b"\n")


@dataclass(slots=True)
class Samples:
    """(second, PSS, RSS) in MB of each process below one, by a name that tells what it does."""

    pid: int
    rows: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    def work(self, stopping: threading.Event) -> None:
        started = time.monotonic()
        names = _Names(self.pid)
        while not stopping.wait(1.0):
            for pid in descendants(self.pid):
                pss, rss = memory(pid)
                if rss and (name := names.of(pid)):
                    second = round(time.monotonic() - started, 1)
                    self.rows.setdefault(name, []).append((second, round(pss, 2), round(rss, 2)))

    def traces(self) -> Traces:
        """PSS, as often as a plot has room for."""
        step = {name: max(1, len(rows) // POINTS) for name, rows in self.rows.items()}
        return Traces({name: [(row[0], row[1]) for row in rows[:: step[name]]] for name, rows in self.rows.items()})

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"processes": self.rows}, indent=None) + "\n", "utf-8")


class _Names:
    """The parent, its workers in the order of their start, and its clock; "" for what helps them for a while."""

    def __init__(self, parent: int) -> None:
        self._known = {parent: "parent"}

    def of(self, pid: int) -> str:
        if pid not in self._known:
            self._known[pid] = self._name(pid)
        return self._known[pid]

    def _name(self, pid: int) -> str:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        known = list(self._known.values())
        if "clock" in words:
            return "clock" if "clock" not in known else ""  # what the clock forks has its words
        return f"worker {sum(name.startswith('worker') for name in known) + 1}" if "serve" in words else ""


# -- what came of it -----------------------------------------------------------


def _judged(samples: Samples, seconds: int) -> Iterator[Figure]:
    for which, label in ((1, "PSS"), (2, "RSS")):
        growth = {name: grown(rows, seconds, which) for name, rows in samples.rows.items()}
        worst = max(growth, key=lambda name: growth[name][0])
        each = "; ".join(f"{name} {before:.0f} to {after:.0f} MB" for name, (_ratio, before, after) in growth.items())
        note = f"{seconds} s, the worst is {worst}; {each}"
        yield Figure(f"soak: memory at the end, {label}", growth[worst][0], "x", 1.05, note=note)


def grown(rows: list[tuple[float, float, float]], seconds: float, which: int) -> tuple[float, float, float]:
    """(ratio, before, after): medians of a tenth of the time, after the first fifth and at the end.

    Raises RuntimeError for a process that was not there all the time.
    """

    def between(start: float, end: float) -> float:
        found = [row[which] for row in rows if start * seconds <= row[0] <= end * seconds]
        if not found:
            raise RuntimeError("a process ended or began within the soak")
        return middle(found)

    before, after = between(0.2, 0.3), between(0.9, 1.1)
    return after / before, before, after
