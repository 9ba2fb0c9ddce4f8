"""A store from nothing to feeds on disk: the catalog and three formats of ours against one of Hugo's.

What both do: read and parse every file, sort articles by tag and translator, and write the newest 20 of each term with their
Markdown rendered into the feed.

What only we do: two more formats, a catalog that makes the next run cheap, all bodies rendered (Hugo renders only those that
a feed shows), sanitised and made absolute, CJK-friendly emphasis, spellings folded, several translators in one field told
apart, stable validators, /all and named feeds, OPML lists.

What Hugo is spared: pages, home, sections, sitemap, robots, highlighting of code. It uses all cores, as we do. A second row,
without a bound, lets Hugo write a page of each article, too: then it renders all bodies, as we do.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from . import stores
from .bench import Bench, Site
from .figures import Figure, middle, need, ratio, spread
from .processes import cpu_seconds

_SOURCE = Path(__file__).with_name("hugo")


def measure(bench: Bench) -> Iterator[Figure]:
    hugo = need("hugo")
    articles = stores.of_corpus(bench.copies)
    site = bench.site("hugo", bench.store(articles))
    site.store_to_memory()
    feeds, folder = bench.folder / "feeds-written", bench.folder / "hugo-site"
    ours, theirs, pages = [], [], []
    cpu: tuple[list[float], list[float]] = ([], [])
    for _round in range(bench.rounds(3)):
        before = cpu_seconds()
        ours.append(_ours(site, feeds))
        between = cpu_seconds()
        theirs.append(_theirs(hugo, site.store, folder))
        cpu[0].append(between - before)
        cpu[1].append(cpu_seconds() - between)
        written = len(list(feeds.rglob("*.*"))), len(list(folder.glob("public/**/*.xml")))
        pages.append(_theirs(hugo, site.store, folder, pages=True))
    note = (
        f"{articles} articles: {middle(ours):.2f} s ({spread(ours)}, {middle(cpu[0]):.1f} s CPU) for {written[0]} files, "
        f"Hugo {middle(theirs):.2f} s ({spread(theirs)}, {middle(cpu[1]):.1f} s CPU) for {written[1]}; aim 0.5"
    )
    yield Figure("cold, three formats, against Hugo's one", ratio(ours, theirs), "x", 1.0, note=note)
    note = f"Hugo {middle(pages):.2f} s ({spread(pages)})"
    yield Figure("the same, Hugo writes articles, too", ratio(ours, pages), "x", None, note=note)


def _ours(site: Site, folder: Path) -> float:
    site.forget()
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    site.run("rescan")
    site.run("export", "--no-compress", "--feeds-only", str(folder))
    return time.perf_counter() - started


def _theirs(hugo: str, store: Path, folder: Path, *, pages: bool = False) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_SOURCE, folder)
    if pages:
        config = folder / "config.yaml"
        config.write_text(config.read_text("utf-8").replace("page: []", "page: [html]"), "utf-8")
    command = [hugo, "--quiet", "--source", str(folder), "--contentDir", str(store), "--destination", str(folder / "public")]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - started
