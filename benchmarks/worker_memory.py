"""The memory of one web worker that thousands of different feeds were asked of."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Iterator

from feeds import urls
from feeds.feed_formats import load_formats
from feeds.model import FACETS
from feeds.syndication import lookup

from .bench import Bench, Site
from .figures import Figure
from .processes import HOST, ask, descendants, memory, serving


def measure(bench: Bench) -> Iterator[Figure]:
    wanted = 500 if bench.quick else 5_000
    store = bench.store(bench.articles)
    plain = bench.site("main", store).catalogued()
    site = bench.site("many", store, _settings(plain, wanted)).catalogued()
    paths = list(itertools.islice(_addresses(site), wanted))
    with serving([*site.command("serve"), "--workers", "1", "--no-clock"]) as (port, pid):
        worker = _worker(pid)
        fresh, _rss = memory(worker)
        connection = http.client.HTTPConnection(HOST, port, timeout=30)
        for path in paths:
            status, _headers, _body = ask(connection, path, {"Accept-Encoding": "gzip"})
            if status != 200:
                raise RuntimeError(f"{path} answered {status}")
        connection.close()
        pss, rss = memory(worker)
    note = f"PSS, its share; {len(paths)} different documents of {bench.articles} articles; before them {fresh:.0f} MB"
    yield Figure("memory of a web worker", pss, "MB", 150.0, note=note)
    yield Figure("memory of a web worker, RSS", rss, "MB", 150.0, note="the same, with all that it shares with its parent")


def _settings(site: Site, wanted: int) -> dict[str, object]:
    """All facets on, and a feed of two tags each until there are enough."""
    runtime = site.runtime()
    tags = [
        state.path.partition("/")[2] for state, _selection in runtime.read(lookup.list_feeds) if state.path.startswith("tags/")
    ]
    runtime.close()
    pairs = itertools.islice(itertools.combinations(map(urls.unslug, tags), 2), wanted // len(load_formats()))
    feeds = [
        {"name": f"pair-{number}", "title": f"{one} / {two}", "select": {"tag": [one, two]}}
        for number, (one, two) in enumerate(pairs)
    ]
    return {"facets": {name: {"enabled": True} for name in FACETS}, "feeds": feeds}


def _addresses(site: Site) -> Iterator[str]:
    """Terms of all facets first, then the named feeds."""
    runtime = site.runtime()
    states = sorted(
        (state for state, _selection in runtime.read(lookup.list_feeds)), key=lambda state: state.path.startswith("feeds/")
    )
    runtime.close()
    for state, extension in itertools.product(states, [format.extension for format in load_formats().values()]):
        yield f"/{urls.encode(state.path)}{extension}"


def _worker(parent: int) -> int:
    """The one process below the server's that holds the most memory; helpers of multiprocessing hold next to none."""
    below = [pid for pid in descendants(parent) if pid != parent]
    return max(below, key=lambda pid: memory(pid)[1])
