"""A rescan that finds nothing changed, against the least that looking at every file can cost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from feeds import rescan

from .bench import Bench
from .figures import Figure, middle, ratio


def bare_sweep(root: Path) -> int:
    """`os.scandir` and a stat of each file, and nothing else."""
    folders, files = [str(root)], 0
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
                    files += 1
    return files


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    runtime = site.runtime()
    rescan.rescan(runtime.engine, runtime.environment, now=int(time.time()))
    ours, bare = [], []
    for _round in range(bench.rounds(31)):
        bare.append(_seconds(lambda: bare_sweep(site.store)))
        ours.append(_seconds(lambda: rescan.rescan(runtime.engine, runtime.environment, now=int(time.time()))))
    runtime.close()
    times = f"{1000 * middle(ours):.0f} ms, bare sweep {1000 * middle(bare):.0f} ms"
    note = f"{bench.articles} articles, medians of {len(ours)}: {times}"
    yield Figure("idle rescan against a bare sweep", ratio(ours, bare), "x", 2.0, note=note)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
