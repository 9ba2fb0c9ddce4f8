"""Feeds of a store of real articles: all well-formed, and a share of them read by feedparser and by the schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feedparser
import jsonschema
import pytest
from lxml import etree

from feeds.service import FORMATS

pytestmark = pytest.mark.corpus
SCHEMA = json.loads(Path(__file__).with_name("jsonfeed-1.1.schema.json").read_text("utf-8"))


def test_every_feed_of_real_articles_is_well_formed_and_free_of_controls(
    corpus: Path, new_site: Callable[..., Any], body: Callable[..., bytes]
) -> None:
    site = new_site(store=str(corpus))
    facets = {facet: {"enabled": True} for facet in ("tag", "translator", "author", "category", "selector", "reviewer")}
    site.settle("feeds.yaml", facets=facets)
    assert site.rescan().articles > 100
    validator = jsonschema.Draft202012Validator(SCHEMA)
    controls = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0))} - set("\t\n\r")
    for number, (state, _selection) in enumerate(site.service.states()):
        made = {format: body(site.service, state.path, format) for format in FORMATS}
        entries = [
            len(etree.fromstring(made["atom"]).findall("{*}entry")),
            len(etree.fromstring(made["rss"]).findall("*/item")),
        ]
        assert entries == [len(json.loads(made["json"])["items"])] * 2, state.path
        for format, data in made.items():
            assert not controls & set(data.decode("utf-8")), f"{state.path}.{format}"
        if number % 10 == 0:
            assert not [fault.message[:200] for fault in validator.iter_errors(json.loads(made["json"]))], state.path
            assert feedparser.parse(made["atom"]).bozo == 0
            assert feedparser.parse(made["rss"]).bozo == 0
