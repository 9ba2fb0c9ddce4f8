"""PostgreSQL against SQLite, by turns on the same store: a feed that no cache holds, a rescan that finds one change."""

from __future__ import annotations

import contextlib
import http.client
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from feeds import rescan, urls
from feeds.config.environment import Environment
from feeds.feed_formats import load_formats
from feeds.runtime import Runtime
from feeds.syndication import lookup
from feeds.syndication.lookup import Document
from tests import postgresql

from .bench import Bench, Site
from .figures import Figure, middle, ratio, spread
from .processes import HOST, ask, serving
from .scale import server
from .stores import retitle

BOUND = 1.5
#: Feeds of all sizes, asked for in a row; other ones in each round, as a server keeps what it has answered.
FEEDS = 60
ATOM = load_formats()["atom"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A service on one of the two, what serves it on `port`, and what its rounds took (seconds)."""

    runtime: Runtime
    port: int
    requests: list[float] = field(default_factory=list)
    documents: list[float] = field(default_factory=list)
    rescans: list[float] = field(default_factory=list)


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("databases", bench.store(bench.articles))
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(server(bench.folder))
        kinds = [_kind(stack, site, ""), _kind(stack, site, postgresql.new(url, ""))]
        turns = bench.rounds(9)
        paths = [state.path for state, _selection in kinds[0].runtime.read(lookup.list_feeds)]
        picked = random.Random(3).sample(paths, min(FEEDS * turns, len(paths)))
        for turn in range(turns):
            for kind in kinds[:: -1 if turn % 2 else 1]:
                asked = picked[turn::turns]
                kind.requests.append(_requests(kind, asked))
                kind.documents.append(_documents(kind.runtime, asked))
            _change(site, kinds[:: -1 if turn % 2 else 1], turn)
    sqlite, other = kinds
    what = "PostgreSQL against SQLite"
    yield _against(f"a request for a feed that no cache holds, {what}", other.requests, sqlite.requests, BOUND)
    yield _against(f"of it, making the document, {what}", other.documents, sqlite.documents, None)
    yield _against(f"one change, rescan, {what}", other.rescans, sqlite.rescans, BOUND)


def _kind(stack: contextlib.ExitStack, site: Site, url: str) -> Kind:
    environ = {"FEEDS_DATABASE_URL": url} if url else {}
    runtime = Runtime(Environment.read(site.config, environ), create=True)
    stack.callback(runtime.close)
    runtime.prepare()
    rescan.rescan(runtime.engine, runtime.environment, now=int(time.time()))
    command = site.command("serve", "--no-clock", "--workers", "1")
    port, _pid = stack.enter_context(serving(command, environ=environ))
    return Kind(runtime, port)


def _requests(kind: Kind, paths: list[str]) -> float:
    """The middle one: from a reader's question, on a connection that it keeps, to the last byte of the answer."""
    spent, connection = [], http.client.HTTPConnection(HOST, kind.port, timeout=10)
    ask(connection, "/health")
    for path in paths:
        address = urlsplit(urls.url("http://localhost", path, ATOM.extension)).path
        started = time.perf_counter()
        status, _headers, body = ask(connection, address, {"Accept-Encoding": "gzip"})
        spent.append(time.perf_counter() - started)
        assert status == 200 and body, (path, status)
    connection.close()
    return middle(spent)


def _documents(runtime: Runtime, paths: list[str]) -> float:
    """The middle one, without a server: from an address to the bytes, not compressed."""
    edition, spent = runtime.edition(), []
    for path in paths:
        started = time.perf_counter()
        found = runtime.read(lookup.find_document, edition, path, ATOM)
        spent.append(time.perf_counter() - started)
        assert isinstance(found, Document) and found.body
    return middle(spent)


def _change(site: Site, kinds: list[Kind], turn: int) -> None:
    """The same file for both, which see it one after the other."""
    paths = sorted(site.store.rglob("*.md"))
    retitle(paths[random.Random(turn).randrange(len(paths))], f"turn {turn} {time.time_ns()}")
    for kind in kinds:
        started = time.perf_counter()
        report = rescan.rescan(kind.runtime.engine, kind.runtime.environment, now=int(time.time()))
        kind.rescans.append(time.perf_counter() - started)
        assert report.changed == 1, report


def _against(name: str, ours: list[float], theirs: list[float], bound: float | None) -> Figure:
    note = f"{middle(ours) * 1000:.1f} ms ({spread(one * 1000 for one in ours)}), SQLite {middle(theirs) * 1000:.1f} ms"
    return Figure(name, ratio(ours, theirs), "x", bound, note=f"{note} ({spread(one * 1000 for one in theirs)})")
