"""One article of many changes: what the rescan costs, and how soon a reader sees it."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

from feeds import rescan
from feeds.store.parser_pool import ParserPool

from .bench import Bench, Site
from .figures import Figure, middle, spread
from .processes import HOST, ask, cpu_seconds, serving
from .stores import retitle


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    spent = _rescans(site, bench.rounds(11))
    note = f"one of {bench.articles} articles, median of {len(spent)} ({spread(spent)})"
    yield Figure("one change, rescan", middle(spent), "s CPU", 0.15, note=note)
    waited = _appearances(site, bench.rounds(7))
    note = f"the slowest of {len(waited)}, median {middle(waited):.2f} s"
    yield Figure("one change, saved to served", max(waited), "s", 2.0, note=note)


def _rescans(site: Site, rounds: int) -> list[float]:
    """Each changes another article; the file of the round before is looked at again, as it was too young then."""
    chosen = random.Random(1).sample(sorted(site.store.rglob("*.md")), rounds)
    runtime = site.runtime()
    rescan.rescan(runtime.engine, runtime.environment, now=int(time.time()))
    spent = []
    with ParserPool() as parsers:  # as a clock keeps it; what its process costs is shared out in the end
        for number, path in enumerate(chosen):
            retitle(path, f"round {number} {time.time_ns()}")
            before = cpu_seconds()
            options = rescan.RescanOptions(parsers=parsers)
            report = rescan.rescan(runtime.engine, runtime.environment, options, now=int(time.time()))
            spent.append(cpu_seconds() - before)
            assert report.changed == 1, report
        before_end = cpu_seconds()
    parsing = cpu_seconds() - before_end
    runtime.close()
    return [one + parsing / rounds for one in spent]


def _appearances(site: Site, rounds: int) -> list[float]:
    with serving(site.command("serve"), "/all.json") as (port, _pid):
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        newest = _newest(site, connection)
        waited = []
        for number in range(rounds):
            time.sleep(2.5 + random.Random(number).random())  # at no special moment of the clock's
            mark = f"edition {number} {time.time_ns()}"
            retitle(newest, mark)
            started = time.monotonic()
            while mark.encode() not in ask(connection, "/all.json")[2]:
                if time.monotonic() - started > 60:
                    raise RuntimeError("a change did not appear within a minute")
                time.sleep(0.01)
            waited.append(time.monotonic() - started)
        connection.close()
    return waited


def _newest(site: Site, connection: http.client.HTTPConnection) -> Path:
    first = json.loads(ask(connection, "/all.json")[2])["items"][0]["id"]
    return next(site.store.rglob(f"{first.rpartition('/')[2]}.md"))
