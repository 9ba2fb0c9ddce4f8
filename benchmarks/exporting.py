"""The static tree with packed files: from nothing, with nothing changed, and after one article of many was saved.

One change is measured from the moment of saving until `feeds rescan --watch --export`, which has been running, has written the
last file and says so; against Hugo's rebuild of the same site with three formats, which has no catalog, makes everything each
time and uses all cores. `whole` says what both make; ours has `.gz` and `.br` beside each file, too. The same by a command of
its own is told beside it. The catalog's own cost of a change is measured in `change`.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from . import peer_hugo
from .bench import Bench, Site, clean_environ
from .figures import Figure, middle, ratio, spread
from .processes import cpu_seconds
from .stores import ROOT, retitle


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("export", bench.store(bench.articles)).catalogued()
    tree = bench.folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    before = cpu_seconds()
    seconds = _export(site, tree)
    found = _files(tree)
    note = f"{bench.articles} articles, {len(found):,} files, {cpu_seconds() - before:.0f} s CPU of all processes"
    yield Figure("export from nothing", seconds, "s", 85.0, note=f"{note}; aim 60")
    idle = [_export(site, tree) for _round in range(bench.rounds(7))]
    touched = sum(1 for path, stamp in _files(tree).items() if found.get(path) != stamp)
    note = f"{bench.articles} articles, the whole command, median of {len(idle)} ({spread(idle)})"
    yield Figure("export, nothing changed", middle(idle), "s", 1.5, note=note)
    yield Figure("files touched by it", touched + len(found) - len(_files(tree)), "", 0, note=f"of {len(found):,}")
    hugo = peer_hugo.site(site.store, bench.folder / "hugo-whole-site")
    chosen = {"any article": sorted(site.store.rglob("*.md")), "the newest article": _newest(site)}
    with _following(site, tree) as follower:
        for where, articles in chosen.items():
            yield from _one_change(bench, follower, hugo, where, articles)
    alone = [_by_command(site, tree, path) for path in chosen["the newest article"] for _round in range(bench.rounds(3))]
    yield Figure("the same by a command of its own", middle(alone), "s", None, note=f"median of {len(alone)} ({spread(alone)})")


def _export(site: Site, tree: Path) -> float:
    started = time.perf_counter()
    site.run("export", str(tree))
    return time.perf_counter() - started


def _files(tree: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in tree.rglob("*"):
        status = path.stat()
        found[str(path)] = (status.st_ino, status.st_mtime_ns)
    return found


def _newest(site: Site) -> list[Path]:
    """The newest of all, so that every change shows in all of its feeds and on the first pages."""
    runtime = site.runtime()
    with runtime.reading() as connection:
        (id,) = connection.exec_driver_sql("SELECT id FROM articles ORDER BY position DESC LIMIT 1").one()
    runtime.close()
    return list(site.store.rglob(f"{id}.md"))


@contextlib.contextmanager
def _following(site: Site, tree: Path) -> Iterator[IO[str]]:
    """What a process says that rescans at each change and exports: a line of JSON after each."""
    command = site.command("rescan", "--watch", "--export", str(tree), "--json")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environ(), cwd=ROOT, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()  # the tree is up to date
        time.sleep(3)  # and files are watched
        yield process.stdout
    finally:
        process.terminate()
        process.wait(30)


def _one_change(bench: Bench, follower: IO[str], hugo: peer_hugo.Hugo, where: str, articles: list[Path]) -> Iterator[Figure]:
    first, *chosen = random.Random(4).choices(articles, k=bench.rounds(5) + 1)
    _change(follower, first)  # from now on it has in memory what it needs
    ours, builds = [], len(hugo.seconds)
    for path in chosen:
        ours.append(_change(follower, path))
        hugo.build()
    theirs = hugo.seconds[builds:]
    name = f"one change, {where}, saved to exported"
    yield Figure(name, middle(ours), "s", 0.5, note=f"{bench.articles:,} articles, median of {len(ours)} ({spread(ours)})")
    note = f"Hugo {middle(theirs):.1f} s ({spread(theirs)}); aim {1 / 100}"
    yield Figure(f"{name}, against Hugo's rebuild", ratio(ours, theirs), "x", 1 / 60, note=note)


def _change(follower: IO[str], path: Path) -> float:
    started = time.perf_counter()
    retitle(path, f"edited {time.time_ns()}")
    said = json.loads(follower.readline())
    seconds = time.perf_counter() - started
    if said["changed"] != 1 or said["export"]["written"] < 3:
        raise RuntimeError(f"one change gave {said}")
    return seconds


def _by_command(site: Site, tree: Path, path: Path) -> float:
    retitle(path, f"edited {time.time_ns()}")
    started = time.perf_counter()
    site.run("rescan", "--export", str(tree))
    return time.perf_counter() - started
