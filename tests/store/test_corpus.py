"""Every real article goes through: the archive's own, the demo's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from feeds.catalog import queries
from feeds.catalog.sort_key import Window
from feeds.model import ParsedArticle
from feeds.store.parse import parse_article
from feeds.store.parse_settings import ParseSettings

from .completed import SITE, completed

SETTINGS = ParseSettings("/store", "Asia/Shanghai", 1 << 20)


def _check(store: Path, expected: int) -> None:
    ids = set()
    for path in sorted(store.rglob("*.md")):
        name = str(path.relative_to(store))
        found = parse_article(SETTINGS, name, path.read_bytes(), 0, now=2_000_000_000).result
        assert isinstance(found, ParsedArticle), (name, found)
        found = completed(found)
        assert found.title and found.summary and found.html and found.names, name
        assert found.published.year > 2000, name
        assert found.url.startswith("https://"), name
        assert 'src="/' not in found.html and 'href="/' not in found.html, name
        element = etree.Element("x")
        element.text = f"{found.title}{found.summary}{found.html}"  # raises on what XML forbids
        assert found.id not in ids, name
        ids.add(found.id)
    assert len(ids) >= expected


def test_every_article_of_the_demo_store_goes_through(demo: Any) -> None:
    _check(demo.store, 40)


@pytest.mark.corpus
def test_every_real_article_goes_through(corpus: Path) -> None:
    _check(corpus, 1000)


@pytest.mark.corpus
def test_a_rescan_of_the_real_articles_leaves_no_file_in_quarantine(corpus: Path, new_site: Any) -> None:
    site = new_site(store=str(corpus))
    files = sum(1 for _path in corpus.rglob("*.md"))
    report = site.rescan()
    assert (report.articles, report.quarantined) == (files, 0)
    with site.runtime.reading() as connection:
        everything = queries.select(connection, SITE, queries.Clauses(), Window(10**6), with_html=False)
        for facet in ("tag", "translator"):
            terms = {known.term.name: known.term.articles for known in queries.terms_of(connection, facet)}
            recount: dict[str, int] = {}
            for article in everything:
                for term in article.of(facet):
                    recount[term.name] = recount.get(term.name, 0) + 1
            assert terms == recount and len(terms) > 10
