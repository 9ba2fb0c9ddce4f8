"""What the page of a term says about it, beside its articles."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from .. import urls
from ..catalog import queries
from ..catalog.queries import KnownTerm
from ..catalog.related import adjacent_articles, related_articles, related_terms, term_positions
from ..catalog.search import clean_query, search_articles
from ..catalog.sort_key import first_position, published_at
from ..catalog.terms import collation_key, index_letter
from ..config.models import Config
from ..model import PEOPLE, Article, Term
from ..store.markdown import opens_with_picture, opens_with_summary
from . import feeds

#: Beyond so many months, activity is told by year.
MAX_MONTHS = 180
#: How many terms of each facet are named.
COMPANY = 8
#: What an account may be called where people have pages of their own: as on GitHub.
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}")


@dataclass(frozen=True, slots=True)
class Period:
    """A month, or with `month` 0 a whole year, and how many articles were published in it."""

    year: int
    month: int
    articles: int


@dataclass(frozen=True, slots=True)
class Portrait:
    """`periods` have no gaps. `company`: the terms that most of the articles have, too, with how many, by facet.

    `profile` is the address of a person's own page elsewhere, `place` the host that it is on.
    """

    first: datetime
    last: datetime
    periods: tuple[Period, ...]
    company: tuple[tuple[str, tuple[Term, ...]], ...]
    profile: str = ""

    @property
    def place(self) -> str:
        host = urlsplit(self.profile).hostname or ""
        return "GitHub" if host == "github.com" else host

    @property
    def busiest(self) -> Period:
        """The first of those with most articles."""
        return max(self.periods, key=lambda period: period.articles)

    @property
    def years(self) -> list[tuple[int, int]]:
        """(year, articles) of each year from the first to the last."""
        found: dict[int, int] = {}
        for period in self.periods:
            found[period.year] = found.get(period.year, 0) + period.articles
        return list(found.items())


def portray(connection: sa.Connection, config: Config, known: KnownTerm) -> Portrait | None:
    """None where no article is left."""
    positions = term_positions(connection, known.key)
    if not positions:
        return None
    return Portrait(
        queries.utc_datetime(published_at(positions[0])),
        queries.utc_datetime(published_at(positions[-1])),
        tuple(activity(positions, config.zone)),
        tuple(_company(connection, config, known)),
        profile(config, known.term),
    )


def _company(connection: sa.Connection, config: Config, known: KnownTerm) -> Iterator[tuple[str, tuple[Term, ...]]]:
    """A person's tags; who writes, translates about a tag, and what else it goes with."""
    facets = ("tag",) if known.term.facet in PEOPLE else ("translator", "tag")
    for facet in facets:
        if config.feeds.facet(facet).enabled:
            found = [t for t in related_terms(connection, known.key, facet, COMPANY) if config.has_feed(facet, t.path)]
            if found:
                yield facet, tuple(found)


def activity(positions: Sequence[int], zone: ZoneInfo) -> Iterator[Period]:
    """How many of `positions` (ascending) fall in each month, or in each year where there are many months."""
    first, last = (datetime.fromtimestamp(published_at(one), zone) for one in (positions[0], positions[-1]))
    by_year = (last.year - first.year) * 12 + last.month - first.month >= MAX_MONTHS
    year, month, before = first.year, 1 if by_year else first.month, 0
    while (year, month) <= (last.year, last.month):
        following = (year + 1, month) if by_year else (year + month // 12, month % 12 + 1)
        end = bisect.bisect_left(positions, first_position(int(datetime(*following, 1, tzinfo=zone).timestamp())))
        yield Period(year, 0 if by_year else month, end - before)
        (year, month), before = following, end


def profile(config: Config, term: Term) -> str:
    """Where the operator says that such a person has a page, if the name can be that of an account; "" if not."""
    pattern = config.feeds.facet(term.facet).profile
    return pattern.replace("{name}", term.name) if _LOGIN.fullmatch(term.name) else ""


# What a reader's search finds: terms with pages of their own, and articles.

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
    text = clean_query(typed)
    found = search_articles(connection, text, PAGE + 1, (page - 1) * PAGE)
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
    folded = urls.fold(text)
    found: dict[str, list[Term]] = {}
    for facet in feeds.enabled_facets(config):
        least = config.feeds.facet(facet).min_articles
        rows = queries.terms_containing(connection, facet, folded, None)
        rows = [term for term in rows if term.articles >= least and urls.fold(term.path) not in config.retired]
        if rows:
            found[facet] = sorted(rows, key=lambda term: _rank(urls.fold(term.name), folded))[: TERMS + 1]
    return found


def _rank(name: str, text: str) -> int:
    return 0 if name == text else 1 if name.startswith(text) else 2


# All terms of a facet, a page at a time: by use or by name, all or those with some text in their name.

DIRECTORY_PAGE = 200
SORTS = ("count", "name")


@dataclass(frozen=True, slots=True)
class Directory:
    """`groups`: the terms of this page, under the letters that they begin with where they are in the order of names.

    `total` is how many terms were found, `pages` how many pages they take; `text` is what was looked for.
    """

    groups: tuple[tuple[str, tuple[Term, ...]], ...]
    total: int
    everything: int
    sort: str
    text: str
    page: int
    pages: int


def arrange(terms: Sequence[Term], sort: str, text: str, page: int, size: int = DIRECTORY_PAGE) -> Directory:
    """One page of `terms`, which come most used first; the last page where there are not so many."""
    text = clean_query(text)
    found = [term for term in terms if urls.fold(text) in urls.fold(term.name)] if text else list(terms)
    if sort == "name":
        found.sort(key=lambda term: collation_key(term.name))
    pages = max(1, -(-len(found) // size))
    page = min(page, pages)
    shown = found[(page - 1) * size : page * size]
    return Directory(_grouped(shown, sort), len(found), len(terms), sort, text, page, pages)


def _grouped(terms: Sequence[Term], sort: str) -> tuple[tuple[str, tuple[Term, ...]], ...]:
    if sort != "name":
        return (("", tuple(terms)),) if terms else ()
    groups = itertools.groupby(terms, key=lambda term: index_letter(term.name))
    return tuple((letter, tuple(inside)) for letter, inside in groups)


# An article's page: the article, and where to read on.


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """An article, what its body does not already open with, and what belongs beside it, without bodies.

    `older` and `newer` are the articles published before and after it.
    """

    article: Article
    show_picture: bool
    show_summary: bool
    older: Article | None
    newer: Article | None
    related: tuple[Article, ...]


def article(connection: sa.Connection, slug: str) -> ArticlePage | None:
    """By the slug that its address has."""
    key = queries.article_key(connection, urls.unslug(slug)) or queries.article_key(connection, slug)
    if key is None:
        return None
    (found,) = queries.load_articles(connection, [key])
    older, newer = adjacent_articles(connection, found.position)
    related = related_articles(connection, key, found.position)
    wanted = sorted({*related, *(other for other in (older, newer) if other is not None)})
    beside = dict(zip(wanted, queries.load_articles(connection, wanted, with_html=False), strict=True))
    return ArticlePage(
        found,
        show_picture=bool(found.picture) and not opens_with_picture(found.html, found.picture),
        show_summary=bool(found.summary) and not opens_with_summary(found.html, found.summary),
        older=beside.get(older or 0),
        newer=beside.get(newer or 0),
        related=tuple(beside[one] for one in related),
    )
