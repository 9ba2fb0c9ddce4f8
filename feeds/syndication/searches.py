"""Collect what a search shows: articles with what was found in them, terms, what narrows it, what was perhaps meant."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import sqlalchemy as sa

from .. import selections, urls
from ..catalog import queries, search, suggestions
from ..catalog.highlights import Highlighter, Piece
from ..catalog.queries import KnownTerm
from ..catalog.search import Found
from ..config.models import Config
from ..model import FACETS, Article, Selection, Term
from ..store.search_words import Sought, clean_query, fold, sought_words
from . import feeds
from .editions import load_generation

#: Articles on a page; a search with more pages than these needs more words, not more pages.
PAGE, MAX_PAGES = 20, 50
#: How many terms of each facet are offered; its directory has them all.
TERMS = 12


@dataclass(frozen=True, slots=True)
class Hit:
    """An article that was found: its title and a part of its text, in pieces, some of them marked."""

    article: Article
    title: Sequence[Piece]
    text: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class SearchPage:
    """`text` is what was searched for, `total` how many articles it finds, on `pages` pages.

    `terms` by facet, only on the first page; `more`: facets that have further ones. `filters`: facet -> name, and `year`, as
    the address has them. `narrowing`: terms and years with how many of the articles they leave. `meant`: what was perhaps
    meant, "" for nothing. `follow`: the address of what can be followed instead, "" for nothing. `unread`: articles that might
    have a phrase, and were not read.
    """

    text: str
    terms: dict[str, list[Term]]
    more: frozenset[str]
    hits: list[Hit]
    total: int
    page: int
    pages: int
    filters: Mapping[str, str]
    narrowing: Sequence[tuple[Term, int]] = ()
    years: Sequence[tuple[int, int]] = ()
    meant: str = ""
    follow: str = ""
    follow_terms: Sequence[Term] = ()
    unread: int = 0

    def address(self, page: int = 1, **changes: str) -> str:
        """Return the address of a page of this search, with other filters where given; "" is without."""
        found = {"q": self.text} | {**self.filters, **changes}
        pairs = {name: value for name, value in found.items() if value} | ({"page": str(page)} if page > 1 else {})
        return f"/search?{urlencode(pairs, quote_via=quote)}"


class SearchCache:
    """What searches of one generation share: articles by year, and words that may be meant. Threads share it."""

    def __init__(self) -> None:
        self._generation = -1
        self._years: search.Years | None = None
        self._vocabulary: suggestions.Vocabulary | None = None
        self._lock = threading.Lock()

    def _renew(self, connection: sa.Connection) -> None:
        generation = load_generation(connection)
        if generation != self._generation:
            self._generation, self._years, self._vocabulary = generation, None, None

    def years(self, connection: sa.Connection, config: Config) -> search.Years:
        """Return the articles of each year, the newest year first."""
        with self._lock:
            self._renew(connection)
            if self._years is None:
                self._years = search.articles_by_year(connection, config.zone)
            return self._years

    def vocabulary(self, connection: sa.Connection) -> suggestions.Vocabulary:
        """Return the words that may be meant."""
        with self._lock:
            self._renew(connection)
            if self._vocabulary is None:
                self._vocabulary = suggestions.Vocabulary.load(connection)
            return self._vocabulary


def read_filters(config: Config, given: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of an address: names of terms by enabled facet, and a year."""
    found = {facet: given[facet].strip()[:200] for facet in feeds.enabled_facets(config) if given.get(facet, "").strip()}
    return found | ({"year": given["year"]} if re.fullmatch("[1-9][0-9]{3}", given.get("year", "")) else {})


def search_page(
    connection: sa.Connection, config: Config, typed: str, filters: Mapping[str, str], page: int, kept: SearchCache
) -> SearchPage:
    """Return one page of what a reader's search finds: articles, and terms with pages of their own."""
    text = clean_query(typed)
    sought = sought_words(text)
    everything = search.find_articles(connection, sought)
    years = kept.years(connection, config) if sought else {}
    found = _filtered(connection, config, everything, filters, years)
    highlighter = Highlighter(sought)
    articles = queries.load_articles(
        connection, config.site, search.in_order(connection, found, PAGE, (page - 1) * PAGE), with_html=False
    )
    first = bool(text) and page == 1
    named, more = _named(connection, config, text, sought) if first else ({}, frozenset[str]())
    follow = _follow(connection, config, sought, filters) if sought else ()
    return SearchPage(
        text=text,
        terms=named,
        more=more,
        hits=list(_hits(connection, highlighter, articles)),
        total=found.total,
        page=page,
        pages=min(-(-found.total // PAGE), MAX_PAGES),
        filters=filters,
        narrowing=_narrowing(connection, config, found, filters),
        years=found.by_year(years),
        meant=_meant(connection, text, everything, kept) if first and not everything.total else "",
        follow=_follow_address(config, follow),
        follow_terms=follow,
        unread=found.unread,
    )


def _filtered(
    connection: sa.Connection, config: Config, found: Found, filters: Mapping[str, str], years: search.Years
) -> Found:
    names = {facet: (name,) for facet, name in filters.items() if facet in FACETS}
    if names:
        clauses = queries.resolve(connection, feeds.aliases_of(config), Selection(all=names))
        found = search.narrow(connection, found, clauses)
    if "year" in filters:
        found = found.of_year(years, int(filters["year"]))
    return found


def _hits(connection: sa.Connection, highlighter: Highlighter, articles: Sequence[Article]) -> Iterator[Hit]:
    """Yield what the articles show: of those whose title and summary do not have all of it, a part of the body."""
    short = {article.id: article.summary[:220] for article in articles}
    read = [article.id for article in articles if not highlighter.marks_all(article.title, short[article.id])]
    bodies = search.load_bodies(connection, read)
    for article in articles:
        text = highlighter.snippet(bodies.get(article.id, "")) or highlighter.mark(short[article.id])
        yield Hit(article, highlighter.mark(article.title), text)


def _named(
    connection: sa.Connection, config: Config, text: str, sought: Sequence[Sought]
) -> tuple[dict[str, list[Term]], frozenset[str]]:
    """Return the terms that are called so, those that begin so, that have it in their names; and which facets have more."""
    folded = urls.fold(text)
    worded = search.named_terms(connection, sought[0]) if len(sought) == 1 else []
    named: dict[str, list[Term]] = {}
    for facet in feeds.enabled_facets(config):
        terms = {term.name: term for term in queries.terms_containing(connection, facet, folded, None)}
        terms |= {known.term.name: known.term for known in worded if known.term.facet == facet}
        shown = [(urls.fold(term.name), term) for term in terms.values() if _has_page(config, term)]
        shown.sort(key=lambda found: (found[0] != folded, not found[0].startswith(folded), -found[1].articles, found[0]))
        if shown:
            named[facet] = [term for _name, term in shown]
    more = frozenset(facet for facet, terms in named.items() if len(terms) > TERMS)
    return {facet: terms[:TERMS] for facet, terms in named.items()}, more


def _has_page(config: Config, term: Term) -> bool:
    least = config.feeds.facet(term.facet).min_articles
    return term.articles >= least and urls.fold(term.path) not in config.retired


def _narrowing(connection: sa.Connection, config: Config, found: Found, filters: Mapping[str, str]) -> list[tuple[Term, int]]:
    if found.total < 2:
        return []

    def is_offered(known: KnownTerm) -> bool:
        return _has_page(config, known.term) and filters.get(known.term.facet) != known.term.name

    facets = [facet for facet in feeds.enabled_facets(config) if facet not in filters]
    return [(known.term, number) for known, number in search.narrowing_terms(connection, found, facets, is_offered)]


def _meant(connection: sa.Connection, text: str, found: Found, kept: SearchCache) -> str:
    """Return the search with what was perhaps meant in place of words that no article has; "" where that finds nothing."""
    changed = text
    for one in found.without:
        if better := kept.vocabulary(connection).nearest(one.written):
            changed = changed.replace(one.written, better, 1)
    if changed == text or not search.find_articles(connection, sought_words(changed)).total:
        return ""
    return changed


def _follow(
    connection: sa.Connection, config: Config, sought: Sequence[Sought], filters: Mapping[str, str]
) -> tuple[Term, ...]:
    """Return a term for each word of the search, and those of its filters: together they can be followed. () for none."""
    found: list[Term] = []
    for one in sought:
        written = fold(one.written)
        terms = (known.term for known in search.named_terms(connection, one))
        term = next((term for term in terms if fold(term.name) == written and _is_followed(config, term)), None)
        if term is None:
            return ()
        found.append(term)
    names = {facet: (name,) for facet, name in filters.items() if facet in FACETS}
    found += queries.respell(connection, feeds.aliases_of(config), Selection(all=names)).known
    return tuple(dict.fromkeys(found))


def _is_followed(config: Config, term: Term) -> bool:
    return config.feeds.facet(term.facet).enabled and _has_page(config, term)


def _follow_address(config: Config, terms: Sequence[Term]) -> str:
    """Return the page of a term, or of the selection of articles that have all of several."""
    if not terms:
        return ""
    names: dict[str, tuple[str, ...]] = {}
    for term in terms:
        names[term.facet] = (*names.get(term.facet, ()), term.name)
    builder = config.feeds.select.enabled
    path, query = selections.page(Selection(all=names), facets=feeds.enabled_facets(config), builder=builder)
    return urls.url("", path, "", query) if path else ""
