"""Feeds, their history and lists of a store of real articles keep to every rule, and a share is read by feedparser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import feedparser
import pytest
from werkzeug.test import Client

from feeds.feed_formats import load_formats
from feeds.model import FACETS
from feeds.syndication import documents, lookup
from feeds.urls import encode
from feeds.web.app import create_app
from tests.examples import every

from .rules import Document, faults, history

pytestmark = pytest.mark.corpus


def test_every_feed_and_list_of_real_articles_keeps_to_every_rule(
    corpus: Path, new_site: Callable[..., Any], body: Callable[..., bytes]
) -> None:
    """But for J6: their sizes are the articles' own. Where somebody waits, every eighth feed and archive."""
    site = new_site(store=str(corpus))
    site.settle("feeds.yaml", facets={facet: {"enabled": True} for facet in FACETS})
    assert site.rescan().articles > 100
    for number, (state, _selection) in enumerate(every(8, site.runtime.read(lookup.list_feeds))):
        address = f"https://feeds.example/{encode(state.path)}"
        made = {format: Document(f"{address}.{format}", body(site.runtime, state.path, format)) for format in load_formats()}
        assert not [fault for format, document in made.items() for fault in faults(format, document, without=["J6"])]
        counts = (len(made["atom"].atom_entries), len(made["rss"].rss_items), len(made["json"].feed["items"]))
        assert len({*counts}) == 1, state.path
        if number % 10 == 0:
            assert feedparser.parse(made["atom"].data).bozo == 0
            assert feedparser.parse(made["rss"].data).bozo == 0
    client = Client(create_app(site.environment))
    for format in load_formats():
        older = list(history(client, "https://feeds.example", format, body(site.runtime, "all", format)))
        assert len(older) > 10
        archives = [Document(address, data) for address, data in every(8, older)]
        assert not [fault for document in archives for fault in faults(format, document, without=["J6"])]
    config = site.runtime.edition().config
    for facet in (None, *FACETS.values()):
        assert not faults("opml", Document("a list", site.runtime.read(documents.opml, config, facet)))
