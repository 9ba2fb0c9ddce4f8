"""The service moves to another address: how long the rescan takes after which every feed and page names the new one.

Its articles do not change by that, and their files are not read again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import yaml

from feeds.feed_formats import load_formats
from feeds.syndication import lookup
from feeds.syndication.lookup import Document

from .bench import Bench, Site
from .figures import Figure, middle, spread
from .processes import cpu_seconds


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("moving", bench.store(bench.articles)).catalogued()
    waited, spent = [], []
    for number in range(bench.rounds(3)):
        address = f"https://feeds{number}-{time.time_ns()}.example.org"
        settings = site.config / "site.yaml"
        settings.write_text(yaml.safe_dump(yaml.safe_load(settings.read_text("utf-8")) | {"base_url": address}), "utf-8")
        before, started = cpu_seconds(), time.perf_counter()
        site.run("rescan")
        waited.append(time.perf_counter() - started)
        spent.append(cpu_seconds() - before)
        _check(site, address)
    note = (
        f"{bench.articles:,} articles, the whole command, median of {len(waited)} ({spread(waited)}); {middle(spent):.1f} s CPU"
    )
    yield Figure("base_url changed, rescan", middle(waited), "s", 5.0, note=note)


def _check(site: Site, address: str) -> None:
    runtime = site.runtime()
    found = runtime.read(lookup.find_document, runtime.edition(), "all", load_formats()["atom"])
    runtime.close()
    if not isinstance(found, Document) or found.body is None or found.body.count(f"{address}/articles/".encode()) < 20:
        raise RuntimeError(f"/all does not name {address}")
