"""What a reader's search finds: terms with pages of their own, and articles."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .. import addresses
from ..config import Config
from ..library import catalog, finding
from ..model import Article, Term
from ..syndication import definitions

PAGE = 20
#: A search that has so many pages of articles needs more words, not more pages.
MAX_PAGES = 50
#: How many terms of each facet are offered; its directory has them all.
TERMS = 12


@dataclass(frozen=True, slots=True)
class Results:
    """`text` is what was searched for. `terms` by facet, only on the first page; `more`: facets that have further ones."""

    text: str
    terms: dict[str, list[Term]]
    more: frozenset[str]
    articles: list[Article]
    page: int
    goes_on: bool


def search(connection: sa.Connection, config: Config, typed: str, page: int) -> Results:
    text = finding.plain(typed)
    found = finding.search(connection, text, PAGE + 1, (page - 1) * PAGE)
    named = _terms(connection, config, text) if text and page == 1 else {}
    return Results(
        text,
        {facet: rows[:TERMS] for facet, rows in named.items()},
        frozenset(facet for facet, rows in named.items() if len(rows) > TERMS),
        found[:PAGE],
        page,
        len(found) > PAGE and page < MAX_PAGES,
    )


def _terms(connection: sa.Connection, config: Config, text: str) -> dict[str, list[Term]]:
    """Those that have `text` in their name: the one that is it, those that begin with it, the most used first."""
    folded = addresses.fold(text)
    found: dict[str, list[Term]] = {}
    for facet in definitions.enabled_facets(config):
        least = config.feeds.facet(facet).min_articles
        rows = catalog.containing(connection, facet, folded, None)
        rows = [term for term in rows if term.articles >= least and addresses.fold(term.path) not in config.retired]
        if rows:
            found[facet] = sorted(rows, key=lambda term: _rank(addresses.fold(term.name), folded))[: TERMS + 1]
    return found


def _rank(name: str, text: str) -> int:
    return 0 if name == text else 1 if name.startswith(text) else 2
