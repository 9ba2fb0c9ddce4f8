"""A feed that is in no cache: 20 full entries from the catalog to the bytes of the answer, packed where a reader asks for that.

Each feed is asked of the whole application in this process, once in each format and coding, by an application that has
answered for other feeds, of other articles: it has its code and templates in memory and nothing of what is asked for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping

from werkzeug.test import Client

from feeds import urls
from feeds.feed_formats import load_formats
from feeds.syndication import lookup
from feeds.web.app import create_app

from .bench import Bench, Site
from .figures import Figure, middle, spread

BOUND_MS = 7.0
_CODINGS: Mapping[str, Mapping[str, str]] = {"as it is": {"Accept-Encoding": "identity"}, "gzip": {"Accept-Encoding": "gzip"}}


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    first, *others = _feeds(site, 8 if bench.quick else 16)
    for format in load_formats().values():
        for coding, headers in _CODINGS.items():
            spent, sizes = [], []
            for _round in range(bench.rounds(3)):
                client = _client(site)
                _ask(client, first + format.extension, headers)
                for feed in others:
                    before = time.process_time()
                    body = _ask(client, feed + format.extension, headers)
                    spent.append(1000 * (time.process_time() - before))
                    sizes.append(len(body))
            note = f"20 full entries, {middle(sizes) / 1000:.0f} KB; median of {len(spent)} ({spread(spent)}); aim 5"
            yield Figure(f"not cached, {format.label}, {coding}", middle(spent), "ms CPU", BOUND_MS, note=note)


def _client(site: Site) -> Client:
    runtime = site.runtime()
    app = create_app(runtime.environment)
    runtime.close()
    return Client(app)


def _ask(client: Client, address: str, headers: Mapping[str, str]) -> bytes:
    answered = client.get(address, headers=headers)
    if answered.status_code != 200 or answered.headers.get("Content-Encoding", "identity") != headers["Accept-Encoding"]:
        raise RuntimeError(f"{address} answered {answered.status}, {answered.headers}")
    return answered.data


def _feeds(site: Site, number: int) -> list[str]:
    """Tags with 20 articles or more of which none shows an article of another one."""
    runtime, client, shown, found = site.runtime(), _client(site), set[str](), list[str]()
    states = [state for state, _selection in runtime.read(lookup.list_feeds)]
    runtime.close()
    for state in states:
        if state.articles < 20 or not state.path.startswith("tags/"):
            continue
        address = f"/{urls.encode(state.path)}"
        ids = {item["id"] for item in json.loads(_ask(client, f"{address}.json", _CODINGS["as it is"]))["items"]}
        if not ids & shown and len(ids) == 20:
            shown |= ids
            found.append(address)
        if len(found) == number:
            return found
    raise RuntimeError(f"only {len(found)} feeds share no article")
