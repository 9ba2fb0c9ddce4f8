"""What a command costs that only reads: `feeds status`, the whole process, most of which is its start."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .bench import Bench
from .figures import Figure, middle, spread
from .processes import cpu_seconds


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    spent, waited = [], []
    site.run("status")  # modules are compiled and in memory
    for _round in range(bench.rounds(15)):
        before, started = cpu_seconds(), time.perf_counter()
        site.run("status")
        spent.append(cpu_seconds() - before)
        waited.append(time.perf_counter() - started)
    note = f"{bench.articles:,} articles, median of {len(spent)} ({spread(spent)}); {middle(waited):.2f} s"
    yield Figure("start of feeds status", middle(spent), "s CPU", 0.3, note=note)
