"""PostgreSQL against SQLite, by turns on the same store: a feed that is asked for anew, a rescan that finds one change."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from feeds.config import Environment
from feeds.service import Document, Service
from feeds.syndication.formats import FORMATS
from tests import postgresql

from .bench import Bench, Site
from .figures import Figure, middle, ratio, spread
from .scale import server
from .stores import retitle

BOUND = 1.5
#: Feeds of all sizes, asked for in a row.
FEEDS = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """A service on one of the two, and what its rounds took (seconds)."""

    name: str
    service: Service
    requests: list[float]
    rescans: list[float]


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("databases", bench.store(bench.articles))
    with server(bench.folder) as url:
        kinds = [_kind("SQLite", site, ""), _kind("PostgreSQL", site, postgresql.new(url, ""))]
        try:
            for kind in kinds:
                kind.service.prepare()
                kind.service.rescan(now=int(time.time()))
            for turn in range(bench.rounds(9)):
                for kind in kinds[:: -1 if turn % 2 else 1]:
                    kind.requests.append(_requests(kind.service))
                _change(site, kinds[:: -1 if turn % 2 else 1], turn)
        finally:
            for kind in kinds:
                kind.service.close()
    sqlite, server_kind = kinds
    yield _against("a feed that is asked for anew, PostgreSQL against SQLite", server_kind.requests, sqlite.requests)
    yield _against("one change, rescan, PostgreSQL against SQLite", server_kind.rescans, sqlite.rescans)


def _kind(name: str, site: Site, url: str) -> Kind:
    environ = {"FEEDS_DATABASE_URL": url} if url else {}
    return Kind(name, Service(Environment.read(site.config, environ)), [], [])


def _requests(service: Service) -> float:
    """The middle of FEEDS: from the question to the bytes, nothing of it in any cache of ours."""
    edition, spent = service.edition(), []
    paths = [state.path for state, _selection in service.states()]
    for path in random.Random(3).sample(paths, min(FEEDS, len(paths))):
        started = time.perf_counter()
        found = service.document(edition, path, FORMATS["atom"])
        spent.append(time.perf_counter() - started)
        assert isinstance(found, Document) and found.body
    return middle(spent)


def _change(site: Site, kinds: list[Kind], turn: int) -> None:
    """The same file for both, which see it one after the other."""
    paths = sorted(site.store.rglob("*.md"))
    retitle(paths[random.Random(turn).randrange(len(paths))], f"turn {turn} {time.time_ns()}")
    for kind in kinds:
        started = time.perf_counter()
        report = kind.service.rescan(now=int(time.time()))
        kind.rescans.append(time.perf_counter() - started)
        assert report.changed == 1, report


def _against(name: str, ours: list[float], theirs: list[float]) -> Figure:
    note = f"{middle(ours) * 1000:.1f} ms ({spread(one * 1000 for one in ours)}), SQLite {middle(theirs) * 1000:.1f} ms"
    return Figure(name, ratio(ours, theirs), "x", BOUND, note=f"{note} ({spread(one * 1000 for one in theirs)})")
