"""From an empty database to a full catalog, as a whole process: how long it takes and how much memory it needs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from .bench import Bench, Site, clean_environ
from .figures import Figure, middle, spread
from .processes import Peak, cpu_seconds
from .stores import ROOT, SHORT


def measure(bench: Bench) -> Iterator[Figure]:
    """Time and memory in separate runs: looking at a process tree's memory costs it time."""
    site = bench.site("cold", bench.store(bench.articles))
    site.store_to_memory()
    before = cpu_seconds()
    seconds = [_seconds(site) for _round in range(bench.rounds(3))]
    cpu = (cpu_seconds() - before) / len(seconds)
    note = f"{bench.articles} articles, median of {len(seconds)} ({spread(seconds)}); {cpu:.1f} s CPU of all processes"
    yield Figure("cold rescan", middle(seconds), "s", 8.0, note=note)
    note = "peak of the summed PSS, sampled every 0.1 s"
    yield Figure("cold rescan, memory of all processes", _peak(site), "MB", 500.0, note=note)
    largest = bench.growing[-1]
    many = bench.site("cold", bench.store(largest, short=True))
    note = f"bodies of {SHORT} characters, without comments"
    yield Figure(f"cold rescan of {largest:,} articles, memory", _peak(many), "MB", 400.0, note=note)


def _seconds(site: Site) -> float:
    site.forget()
    started = time.perf_counter()
    site.run("rescan")
    return time.perf_counter() - started


def _peak(site: Site) -> float:
    site.forget()
    process = subprocess.Popen(site.command("rescan"), stdout=subprocess.DEVNULL, env=clean_environ(), cwd=ROOT)
    with process, Peak(process.pid) as peak:
        if process.wait(600):
            raise RuntimeError("the rescan failed")
    return peak.pss
