"""A store of the archive's shape from nothing to feeds on disk, in three formats: against Hugo's same three, and its one.

What both do: read and parse every file, sort articles by tag and translator, and write the newest 20 of each term with their
Markdown rendered into each feed.

What only we do: a catalog that makes the next run cheap, all bodies rendered (Hugo renders only those that a feed shows),
sanitised and made absolute, CJK-friendly emphasis, spellings folded, several translators in one field told apart, stable
validators, /all and named feeds, OPML lists.

What Hugo is spared: pages, home, sections, sitemap, robots, highlighting of code. It uses all cores, as we do.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from . import peer_hugo
from .bench import Bench, Site
from .figures import Figure, middle, ratio, spread
from .processes import cpu_seconds


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("hugo", bench.store(bench.archive))
    site.store_to_memory()
    feeds, folder = bench.folder / "feeds-written", bench.folder / "hugo-site"
    same, one = (peer_hugo.feeds(site.store, folder, formats) for formats in (peer_hugo.FORMATS, ["rss"]))
    ours, cpu = [], []
    for _round in range(bench.rounds(3)):
        before = cpu_seconds()
        ours.append(_ours(site, feeds))
        cpu.append(cpu_seconds() - before)
        one.build()
        same.build()
    _check(same.folder / "public" / "tags" / "linux")
    files = len(list(feeds.rglob("*.*")))
    note = f"{bench.archive:,} articles: {middle(ours):.2f} s ({spread(ours)}, {middle(cpu):.1f} s CPU) for {files:,} files, "
    note += f"Hugo {_told(same)} for {same.files():,}; aim 0.9"
    yield Figure("cold, three formats, against Hugo's same three", ratio(ours, same.seconds), "x", 1.1, note=note)
    note = f"Hugo {_told(one)}; aim 1.5"
    yield Figure("cold, three formats, against Hugo's one", ratio(ours, one.seconds), "x", 1.9, note=note)


def _ours(site: Site, folder: Path) -> float:
    site.forget()
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    site.run("rescan", "--export", str(folder), "--feeds-only", "--no-compress")
    return time.perf_counter() - started


def _check(term: Path) -> None:
    """Hugo's three documents of a term hold the same entries, whole."""
    atom, rss = (ElementTree.parse(term / f"index.{end}").getroot() for end in ("atom", "xml"))
    name = "{http://www.w3.org/2005/Atom}"
    found = [
        [(one.findtext(f"{name}title"), one.findtext(f"{name}content")) for one in atom.iter(f"{name}entry")],
        [
            (one.findtext("title"), one.findtext("{http://purl.org/rss/1.0/modules/content/}encoded"))
            for one in rss.iter("item")
        ],
        [(one["title"], one["content_html"]) for one in json.loads((term / "index.json").read_text("utf-8"))["items"]],
    ]
    if found[0] != found[1] or found[0] != found[2] or len(found[0]) != 20:
        raise RuntimeError("Hugo's formats differ")


def _told(hugo: peer_hugo.Hugo) -> str:
    return f"{middle(hugo.seconds):.2f} s ({spread(hugo.seconds)}, {middle(hugo.cpu):.1f} s CPU)"
