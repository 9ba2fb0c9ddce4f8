"""The static tree with packed files: from nothing, with nothing changed, and after one article of many was saved.

One change is measured from the saved file to the last file of the tree, rescan and export in a process that follows, as
`feeds rescan --export` and `feeds export --follow` do it; against Hugo's rebuild of the same site with three formats, which has
no catalog, makes everything each time and uses all cores. `whole` says what both make; ours has `.gz` and `.br` beside
each file, too. The same by two commands is told beside it. The catalog's own cost of a change is measured in `change`.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from feeds import rescan
from feeds.runtime import Runtime
from feeds.static.site_files import Exporter
from feeds.store.parser_pool import ParserPool

from . import peer_hugo
from .bench import Bench, Site
from .figures import Figure, middle, ratio, spread
from .processes import cpu_seconds
from .stores import retitle


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
    for where, articles in (("any article", sorted(site.store.rglob("*.md"))), ("the newest article", _newest(site))):
        yield from _one_change(bench, site, tree, hugo, where, articles)


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


def _one_change(
    bench: Bench, site: Site, tree: Path, hugo: peer_hugo.Hugo, where: str, articles: list[Path]
) -> Iterator[Figure]:
    chosen = random.Random(4).choices(articles, k=bench.rounds(5))
    runtime, ours, commands = site.runtime(), [], []
    exporter = Exporter(runtime)
    with ParserPool() as parsers:
        options = rescan.RescanOptions(parsers=parsers)
        _change(runtime, options, exporter, tree, chosen[0])  # from now on it has in memory what a process that follows has
        for path in chosen:
            ours.append(_change(runtime, options, exporter, tree, path))
            hugo.build()
            commands.append(_by_commands(site, tree, path))
    runtime.close()
    theirs = hugo.seconds[-len(ours) :]
    name, note = f"one change, {where}, saved to exported", f"({spread(1000 * one for one in ours)} ms); as two commands "
    yield Figure(name, middle(ours), "s", 0.5, note=f"median of {len(ours)} {note}{middle(commands):.2f} s")
    note = f"Hugo {middle(theirs):.1f} s ({spread(theirs)}); aim {1 / 100}"
    yield Figure(f"{name}, against Hugo's rebuild", ratio(ours, theirs), "x", 1 / 60, note=note)


def _change(runtime: Runtime, options: rescan.RescanOptions, exporter: Exporter, tree: Path, path: Path) -> float:
    retitle(path, f"edited {time.time_ns()}")
    started = time.perf_counter()
    report = rescan.rescan(runtime.engine, runtime.environment, options, now=int(time.time()))
    written = exporter.export(str(tree)).written
    seconds = time.perf_counter() - started
    assert report.changed == 1 and written >= 3, (report, written)
    return seconds


def _by_commands(site: Site, tree: Path, path: Path) -> float:
    retitle(path, f"edited {time.time_ns()}")
    started = time.perf_counter()
    site.run("rescan")
    site.run("export", str(tree))
    return time.perf_counter() - started
