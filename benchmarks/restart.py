"""`feeds serve` starts on a catalog that exists: how soon the first feed is out."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .bench import Bench
from .figures import Figure, middle, spread
from .processes import serving


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    waited = []
    for _round in range(bench.rounds(5)):
        started = time.monotonic()
        with serving(site.command("serve"), "/all.atom"):
            waited.append(time.monotonic() - started)
    note = f"{bench.articles} articles, median of {len(waited)} ({spread(waited)})"
    yield Figure("restart to first feed", middle(waited), "s", 1.5, note=note)
