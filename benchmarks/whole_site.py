"""A whole site of the archive's shape from nothing to a static tree without packed files, against Hugo's pages and feeds.

What both do: a page of each article, pages of 20 articles of each tag and translator with feeds of the newest 20 in three
formats, lists of terms, a home page, 404. What only we do: the history of every feed as documents in three formats and as
pages, which the second row leaves out (`archives: false`), a catalog, OPML, redirects; what only Hugo does: a sitemap. Hugo's
templates are a few lines each.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from . import peer_hugo
from .bench import Bench, Site
from .figures import Figure, middle, ratio, spread
from .processes import cpu_seconds


def measure(bench: Bench) -> Iterator[Figure]:
    hugo = peer_hugo.site(bench.store(bench.archive), bench.folder / "hugo-whole-site")
    sites = [(bench.site("whole", hugo.store), "", 3.0, 2.0), (_without_archives(bench, hugo), ", no archives", 2.0, 1.3)]
    tree, files = bench.folder / "whole-tree", {}
    ours: dict[str, list[tuple[float, float]]] = {what: [] for _site, what, _bound, _aim in sites}
    sites[0][0].store_to_memory()
    for _round in range(bench.rounds(3)):
        for site, what, _bound, _aim in sites:
            ours[what].append(_from_nothing(site, tree))
            files[what] = sum(1 for path in tree.rglob("*") if path.is_file())
        hugo.build()
    theirs = f"Hugo {middle(hugo.seconds):.1f} s ({spread(hugo.seconds)}, {middle(hugo.cpu):.0f} s CPU) for {hugo.files():,}"
    for _site, what, bound, aim in sites:
        seconds, cpu = zip(*ours[what], strict=True)
        note = f"{bench.archive:,} articles: {middle(seconds):.1f} s ({spread(seconds)}, {middle(cpu):.0f} s CPU) "
        note += f"for {files[what]:,} files, {theirs}; aim {aim}"
        yield Figure(f"whole site{what}, against Hugo's pages and feeds", ratio(seconds, hugo.seconds), "x", bound, note=note)


def _without_archives(bench: Bench, hugo: peer_hugo.Hugo) -> Site:
    site = bench.site("whole-no-archives", hugo.store)
    settings = site.config / "feeds.yaml"
    changed = yaml.safe_load(settings.read_text("utf-8")) | {"archives": False}
    settings.write_text(yaml.safe_dump(changed, allow_unicode=True), "utf-8")
    return site


def _from_nothing(site: Site, tree: Path) -> tuple[float, float]:
    """Seconds, and seconds of processors."""
    site.forget()
    shutil.rmtree(tree, ignore_errors=True)
    started, before = time.perf_counter(), cpu_seconds()
    site.run("rescan", "--export", str(tree), "--no-compress")
    return time.perf_counter() - started, cpu_seconds() - before
