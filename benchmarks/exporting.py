"""The static tree: from nothing, with nothing changed, and after one article of many was edited, against Hugo's rebuild.

What both do: a page of each article, pages of 20 articles of each tag and translator with a feed of the newest 20, lists of
terms, a home page, 404. What only we do: three feeds instead of one, OPML, `.gz` and `.br` beside each file, redirects; what
only Hugo does: a sitemap. Hugo's templates (`hugo-site`) are a few lines each. It has no catalog and rebuilds everything each
time; its time is that of its process, which uses all cores. Ours is that of an export in a process that follows the rescans
(`feeds export --follow`); the same by two commands, with the rescan, is told beside it. The catalog's own cost of a change is
measured in `change`.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from feeds import rescan
from feeds.runtime import Runtime
from feeds.static.site_files import Exporter

from .bench import Bench, Site
from .figures import Figure, middle, need, ratio, spread
from .processes import cpu_seconds
from .stores import retitle

_SOURCE = Path(__file__).with_name("hugo-site")


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("export", bench.store(bench.articles)).catalogued()
    tree = bench.folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    before = cpu_seconds()
    seconds = _export(site, tree)
    found = _files(tree)
    note = f"{bench.articles} articles, {len(found):,} files, {cpu_seconds() - before:.0f} s CPU of all processes"
    yield Figure("export from nothing", seconds, "s", None, note=note)
    idle = [_export(site, tree) for _round in range(bench.rounds(7))]
    touched = sum(1 for path, stamp in _files(tree).items() if found.get(path) != stamp)
    note = f"{bench.articles} articles, the whole command, median of {len(idle)} ({spread(idle)})"
    yield Figure("export, nothing changed", middle(idle), "s", 1.5, note=note)
    yield Figure("files touched by it", touched + len(found) - len(_files(tree)), "", 0, note=f"of {len(found):,}")
    hugo = need("hugo")
    for where, articles in (("any article", sorted(site.store.rglob("*.md"))), ("the newest article", _newest(site))):
        yield _one_change(bench, site, tree, hugo, where, articles)


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


def _one_change(bench: Bench, site: Site, tree: Path, hugo: str, where: str, articles: list[Path]) -> Figure:
    chosen = random.Random(4).choices(articles, k=bench.rounds(5))
    runtime = site.runtime()
    exporter = Exporter(runtime)
    _change(runtime, exporter, tree, chosen[0])  # templates and words are in memory from now on, as in a process that follows
    ours, theirs, commands = [], [], []
    for path in chosen:
        ours.append(_change(runtime, exporter, tree, path))
        theirs.append(_rebuild(hugo, site.store, bench.folder / "hugo-whole-site"))
        commands.append(_by_commands(site, tree, path))
    runtime.close()
    note = (
        f"{1000 * middle(ours):.0f} ms ({spread(1000 * one for one in ours)}), Hugo {middle(theirs):.1f} s ({spread(theirs)}); "
        f"rescan and export as two commands {middle(commands):.2f} s, {ratio(commands, theirs):.3f} of Hugo's"
    )
    return Figure(f"export of one change, {where}, against Hugo", ratio(ours, theirs), "x", 1 / 50, note=note)


def _change(runtime: Runtime, exporter: Exporter, tree: Path, path: Path) -> float:
    retitle(path, f"edited {time.time_ns()}")
    report = rescan.rescan(runtime.engine, runtime.environment, now=int(time.time()))
    assert report.changed == 1, report
    started = time.perf_counter()
    written = exporter.export(str(tree)).written
    seconds = time.perf_counter() - started
    assert written >= 3, written
    return seconds


def _by_commands(site: Site, tree: Path, path: Path) -> float:
    retitle(path, f"edited {time.time_ns()}")
    started = time.perf_counter()
    site.run("rescan")
    site.run("export", str(tree))
    return time.perf_counter() - started


def _rebuild(hugo: str, store: Path, folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_SOURCE, folder)
    command = [hugo, "--quiet", "--source", str(folder), "--contentDir", str(store), "--destination", str(folder / "public")]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - started
