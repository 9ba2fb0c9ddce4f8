"""A feed that is in no cache: 20 full entries from the catalog to bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import sqlalchemy as sa

from feeds.config.models import Config
from feeds.feed_formats import load_formats
from feeds.model import Feed, FeedState
from feeds.syndication import documents, feed_states
from feeds.syndication.lookup import FoundFeed, find_feed

from .bench import Bench
from .figures import Figure, middle

BOUND_MS = 5.0


def measure(bench: Bench) -> Iterator[Figure]:
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    runtime = site.runtime()
    config = runtime.edition().config
    assert config is not None
    with runtime.reading() as connection:
        chosen = _feeds(connection, config, 15)
        for format in load_formats().values():
            spent, sizes = [], []
            for _round in range(bench.rounds(4)):
                for feed, state in chosen:
                    before = time.process_time()
                    data = documents.render(connection, config, feed, state, format)
                    spent.append(1000 * (time.process_time() - before))
                    sizes.append(len(data))
            note = f"20 full entries, median of {len(spent)} over {len(chosen)} tags; {middle(sizes) / 1000:.0f} KB"
            yield Figure(f"not cached, {format.label}", middle(spent[len(chosen) :]), "ms CPU", BOUND_MS, note=note)
    runtime.close()


def _feeds(connection: sa.Connection, config: Config, number: int) -> list[tuple[Feed, FeedState]]:
    """/all and the most used tags, those with 20 articles or more."""
    paths = [row.path for row in feed_states.load_states(connection) if row.articles >= 20 and row.path.startswith("tags/")]
    found = [find_feed(connection, config, path) for path in ("all", *paths[: number - 1])]
    return [(one.feed, one.state) for one in found if isinstance(one, FoundFeed)]
