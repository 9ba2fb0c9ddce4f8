"""Collect what web pages show: a feed's articles, a term's statistics, an article and its neighbours, directories."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from .. import urls
from ..catalog import listing, pages, queries
from ..catalog.listing import Part
from ..catalog.related import adjacent_articles, related_articles, translated_articles
from ..catalog.sort_key import Window
from ..catalog.terms import collation_key, index_letter
from ..config.models import Config, Site
from ..database import chunks
from ..errors import AddressError
from ..licences import UNSAID, Licence, differing_licence
from ..model import FACETS, Article, Feed, FeedState, Term
from ..store.markdown import opens_with_picture, opens_with_summary
from ..store.search_words import clean_query
from . import documents, feed_states, feeds, lookup
from .feed_states import ArchiveDocument
from .lookup import Elsewhere, FoundFeed, Gone
from .term_stats import TermStats, TermStatsCache, load_term_stats

#: Articles on a page of a feed.
PAGE = 20

#: Articles and terms of each facet on the home page.
NEWEST, TOP_TERMS = 12, 24


class HomePage(NamedTuple):
    """Pinned articles and the newest ones, the most used terms of each facet, the feeds that the operator named."""

    pinned: list[Article]
    articles: list[Article]
    top: dict[str, list[Term]]
    named: list[FeedState]


def home(connection: sa.Connection, config: Config) -> HomePage:
    """Return what the home page shows."""
    pinned, articles = _with_pinned(connection, config, queries.Clauses(), Window(NEWEST))
    top = {facet: feeds.offered_terms(connection, config, facet, TOP_TERMS) for facet in feeds.enabled_facets(config)}
    paths = [f"{feeds.NAMED}/{named.name}" for named in config.feeds.feeds]
    named = [state for path in paths if (state := feed_states.find_state(connection, path))]
    return HomePage(pinned, articles, top, named)


def _with_pinned(
    connection: sa.Connection, config: Config, clauses: queries.Clauses, window: Window
) -> tuple[list[Article], list[Article]]:
    """Return the pinned articles of a selection, and those of a window without them."""
    keys = listing.keys_within(connection, clauses, listing.pinned_articles(connection))[: listing.PINNED]
    pinned = queries.load_articles(connection, config.site, keys, with_html=False)
    first = {article.id for article in pinned}
    found = queries.select(connection, config.site, clauses, window, with_html=False)
    return pinned, [article for article in found if article.id not in first]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A feed's articles as a page. `number` is None for the newest, which has all that no numbered page has.

    `older` and `newer` are the numbers of the pages beside it, None for the newest. `history` is the path of the newest archive
    document, "" without one. `portrait` is there on the newest page of a term. `pinned` come first on the newest page, and are
    not among `articles`; `total` counts the articles of all pages. The page of a series has all of its parts in their order.
    """

    feed: Feed
    state: FeedState
    term: Term | None
    articles: list[Article]
    number: int | None
    older: int | None
    newer: int | None
    history: str
    portrait: TermStats | None
    total: int
    pinned: list[Article]


@dataclass(frozen=True, slots=True)
class ArchivePage:
    """An archive document's page; articles without bodies."""

    document: ArchiveDocument
    articles: list[Article]


def feed_page(
    connection: sa.Connection,
    config: Config,
    path: str,
    number: int | None = None,
    portrait: TermStats | None = None,
    kept: TermStatsCache | None = None,
) -> FeedPage | Elsewhere | Gone:
    """Return a feed's page: its articles without bodies. Raises AddressError, also where no page has the number.

    `portrait`: a term's statistics where they are known; `kept`: where they may be.
    """
    found = lookup.find_feed(connection, config, path)
    if not isinstance(found, FoundFeed):
        return found
    feed, state, known = found.feed, found.state, found.known
    clauses = feeds.resolve_listed(connection, config, feed)
    count = queries.count(connection, clauses)
    last = 0 if feed.facet == "series" else urls.older_pages(count, PAGE)
    if number is not None and number > last:
        raise AddressError(f"/{path} has no page {number}")
    skip, limit = (0, count - last * PAGE) if number is None else (count - number * PAGE, PAGE)
    pinned: list[Article] = []
    if feed.facet == "series" and feed.term is not None:
        keys = listing.series_order(connection, feed.term)
        articles = [
            one for part in chunks(keys) for one in queries.load_articles(connection, config.site, part, with_html=False)
        ]
    elif number is None:
        pinned, articles = _with_pinned(connection, config, clauses, Window(limit))
    else:
        articles = queries.select(connection, config.site, clauses, Window(limit, skip=skip), with_html=False)
    older, newer = adjacent_pages(number, last)
    history, stats = "", None
    if number is None:  # an older page would change with every article if it named the newest archive, or counted anything
        newest = queries.newest_published(connection, feeds.resolve_clauses(connection, config, feed))
        history = documents.history_links(config, feed, state, newest).older
        load = kept.load if kept else load_term_stats
        stats = portrait or (load(connection, config, known) if known else None)
    term = known.term if known else None
    return FeedPage(feed, state, term, articles, number, older, newer, history, stats, count, pinned)


def adjacent_pages(number: int | None, last: int) -> tuple[int | None, int | None]:
    """Return the numbers of the older and the newer page beside one, where numbered pages go up to `last`.

    >>> adjacent_pages(None, 3), adjacent_pages(3, 3), adjacent_pages(1, 3)
    ((3, None), (2, None), (None, 2))
    """
    if number is None:
        return last or None, None
    return number - 1 or None, number + 1 if number < last else None


def archive_page(connection: sa.Connection, config: Config, path: str) -> ArchivePage | Elsewhere | Gone:
    """Return an archive document's page. Raises AddressError."""
    found = lookup.find_archive(connection, config, path, 0)
    if not isinstance(found, ArchiveDocument):
        return found
    return ArchivePage(found, documents.archived_articles(connection, config, found))


DIRECTORY_PAGE = 200
SORTS = ("count", "name")


@dataclass(frozen=True, slots=True)
class DirectoryPage:
    """A page of the terms of a facet: by use or by name, all of them or those with `text` in their name.

    `groups`: the terms of this page, under their first letters where they are in the order of names. `total` counts the terms
    that were found, `pages` the pages that they take.
    """

    groups: tuple[tuple[str, tuple[Term, ...]], ...]
    total: int
    everything: int
    sort: str
    text: str
    page: int
    pages: int


def directory_page(terms: Sequence[Term], sort: str, text: str, page: int, size: int = DIRECTORY_PAGE) -> DirectoryPage:
    """Return one page of `terms`, which come most used first; the last page where there are not so many."""
    text = clean_query(text)
    found = [term for term in terms if urls.fold(text) in urls.fold(term.name)] if text else list(terms)
    if sort == "name":
        found.sort(key=lambda term: collation_key(term.name))
    pages = max(1, -(-len(found) // size))
    page = min(page, pages)
    here = found[(page - 1) * size : page * size]
    groups = itertools.groupby(here, key=lambda term: index_letter(term.name) if sort == "name" else "")
    arranged = tuple((letter, tuple(inside)) for letter, inside in groups)
    return DirectoryPage(arranged, len(found), len(terms), sort, text, page, pages)


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """An article, what its body does not already open with, and articles beside it: before and after, related, translated.

    `licence`: its own, where that is another than the site's.
    """

    article: Article
    show_picture: bool
    show_summary: bool
    older: Article | None
    newer: Article | None
    related: tuple[Article, ...]
    translations: tuple[Article, ...]
    series: tuple[SeriesLinks, ...] = ()
    licence: Licence = UNSAID


class SeriesLinks(NamedTuple):
    """An article in a series: `number` of `total`, with the parts before and after it."""

    term: Term
    number: int
    total: int
    before: Article | None
    after: Article | None


class Beside(NamedTuple):
    """Keys: of an article, of those published before and after it, of those related to it, of its translations.

    `series`: its places in series.
    """

    article: int
    older: int | None
    newer: int | None
    related: tuple[int, ...]
    translations: tuple[int, ...] = ()
    series: tuple[Part, ...] = ()

    @property
    def keys(self) -> tuple[int | None, ...]:
        """All of these keys."""
        parts = [key for part in self.series for key in (part.before, part.after)]
        return (self.article, self.older, self.newer, *self.related, *self.translations, *parts)


def article_page(connection: sa.Connection, config: Config, slug: str, known: Beside | None = None) -> ArticlePage | None:
    """Return an article's page by the slug of its address, None where no article has it. `known`: what is beside it."""
    key = known.article if known else queries.article_key(connection, urls.unslug(slug))
    key = key or queries.article_key(connection, slug)
    article = key and queries.articles_by_key(connection, config.site, [key]).get(key)
    if not key or not article:
        page = pages.find_page(connection, config.site, slug)
        return _article_page(config, page) if page else None
    beside = known or Beside(
        key,
        *adjacent_articles(connection, article.position),
        related_articles(connection, key, article.position),
        translated_articles(connection, key) if article.language else (),
        listing.series_of(connection, key) if article.of("series") else (),
    )
    others = {one for one in beside.keys[1:] if one is not None}
    found = queries.articles_by_key(connection, config.site, others, with_html=False)
    return _article_page(
        config,
        article,
        found.get(beside.older or 0),
        found.get(beside.newer or 0),
        tuple(found[other] for other in beside.related if other in found),  # an export may know what is gone by now
        tuple(found[other] for other in beside.translations if other in found),
        tuple(SeriesLinks(*part[:3], found.get(part.before or 0), found.get(part.after or 0)) for part in beside.series),
    )


def _article_page(
    config: Config,
    article: Article,
    older: Article | None = None,
    newer: Article | None = None,
    related: tuple[Article, ...] = (),
    translations: tuple[Article, ...] = (),
    series: tuple[SeriesLinks, ...] = (),
) -> ArticlePage:
    licence = differing_licence(article.details, config.site.rights)
    show_picture = bool(article.picture) and not opens_with_picture(article.html, article.picture)
    show_summary = bool(article.summary) and not opens_with_summary(article.html, article.summary)
    return ArticlePage(article, show_picture, show_summary, older, newer, related, translations, series, licence)


def permalink_url(connection: sa.Connection, site: Site, permalink: str) -> str:
    """Return where the article or page with this permalink, or with a slash at its end, is published; "" if there is none."""
    finders, links = (queries.article_url, pages.page_url), (permalink, f"{permalink}/")
    return next((url for find in finders for link in links if (url := find(connection, site, link))), "")


# -- the feed builder ------------------------------------------------------

PREVIEW = 10
#: Terms that a search offers.
OFFERED = 12


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that is not a term, and the terms that may have been meant."""

    facet: str
    name: str
    similar: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class SelectionPage:
    """A selection as a feed would carry it. `term` where it is one term alone, which has a feed of its own."""

    feed: Feed
    articles: tuple[Article, ...]
    total: int
    unknown: tuple[Unknown, ...]
    term: Term | None


def selection_page(connection: sa.Connection, config: Config, text: str) -> SelectionPage | Elsewhere | None:
    """Return what the canonical `text` selects; None for the empty selection. Raises SelectionError, AddressError where off."""
    found = lookup.find_selection(connection, config, text)
    if found is None or isinstance(found, Elsewhere):
        return found
    feed, names = found
    if feed.query != text:
        return Elsewhere(feeds.SELECT, feed.query)
    clauses = feeds.resolve_clauses(connection, config, feed)
    wanted = feed.selection
    typed = [name for part in (wanted.any, wanted.all) for clause in part.values() for name in clause]
    alone = names.known[0] if len(typed) == len(names.known) == 1 and not wanted.none else None
    articles = tuple(queries.select(connection, config.site, clauses, Window(PREVIEW), with_html=False))
    unknown = tuple(
        Unknown(facet, name, tuple(queries.similar_terms(connection, facet, name))) for facet, name in names.unknown
    )
    term = alone if alone and config.feeds.facet(alone.facet).enabled else None
    return SelectionPage(feed, articles, queries.count(connection, clauses), unknown, term)


def suggest_terms(connection: sa.Connection, facet: str, text: str) -> list[Term]:
    """Return terms with `text` in their name, those that begin with it first; the most used ones where there is no text."""
    folded = urls.fold(text.strip())
    if not folded:
        return [known.term for known in queries.terms_of(connection, facet, limit=OFFERED)]
    found = queries.terms_containing(connection, facet, folded, 4 * OFFERED)
    return sorted(found, key=lambda term: not urls.fold(term.name).startswith(folded))[:OFFERED]


def most_used_terms(connection: sa.Connection, limit: int) -> dict[str, list[Term]]:
    """Return the most used terms of every facet that articles have."""
    found = {facet: [known.term for known in queries.terms_of(connection, facet, limit=limit)] for facet in FACETS}
    return {facet: terms for facet, terms in found.items() if terms}
