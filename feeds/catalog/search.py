"""Search: which articles have the words that somebody looks for, the best first, on one snapshot of the catalog.

First come articles with all words in their titles, then those with some of them in names of tags and people, then in summaries,
then in bodies; of equals, the newest first.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pyroaring import BitMap

from ..database import chunks, fetch_rows
from ..database.tables import articles, bodies, memberships, terms
from ..store.search_words import SUMMARY, TITLE, Sought, fold, html_text
from . import bitmaps, queries
from .bitmaps import ArticleSet
from .queries import Clauses, KnownTerm
from .search_index import SearchIndex
from .sort_key import Window, first_position, published_at

#: Articles with all words of a phrase that are read, the newest ones, to see whether they have the phrase.
MAX_READ = 300
#: Articles, the first that are found, whose terms are offered to narrow a search; and how many of these terms.
SAMPLE, NARROWING = 200, 8


#: The articles of each year, the newest year first.
Years = dict[int, BitMap]


@dataclass(frozen=True, slots=True)
class Found:
    """The articles that a search finds, as sets of keys, the best first. `without`: words of the search that no article has.

    `unread`: articles that might have the phrase, and were not read.
    """

    ranks: tuple[BitMap, ...]
    without: tuple[Sought, ...] = ()
    unread: int = 0

    @property
    def total(self) -> int:
        """How many articles there are in all."""
        return sum(map(len, self.ranks))

    @property
    def keys(self) -> BitMap:
        """All of them."""
        return BitMap().union(*self.ranks)

    def within(self, others: BitMap) -> Found:
        """Return those that are in another set, too."""
        return Found(tuple(rank & others for rank in self.ranks), self.without, self.unread)

    def of_year(self, years: Years, year: int) -> Found:
        """Return those of one year."""
        return self.within(years.get(year, BitMap()))

    def by_year(self, years: Years) -> list[tuple[int, int]]:
        """Return (year, how many of them) of each year that has any."""
        keys = self.keys
        counted = ((year, keys.intersection_cardinality(members)) for year, members in years.items())
        return [(year, number) for year, number in counted if number]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a word is: in the title, the names, the summary, or anywhere."""

    title: BitMap
    names: BitMap
    summary: BitMap
    anywhere: BitMap


def find_articles(connection: sa.Connection, sought: Sequence[Sought]) -> Found:
    """Return the articles that have all that is looked for; none where nothing is."""
    if not sought:
        return Found(())
    index = SearchIndex(connection)
    index.look_up(mark + word for one in sought for word in one.words for mark in ("", TITLE, SUMMARY))
    places = [_places(connection, index, one) for one in sought]
    without = tuple(one for one, found in zip(sought, places, strict=True) if not found.anywhere)
    unread = 0
    if any(one.phrase for one in sought) and not without:
        some = BitMap.intersection(*(found.anywhere for found in places))
        read = [key for key, _at in bitmaps.articles_in(connection, ArticleSet(some, BitMap()), Window(MAX_READ))]
        unread = len(some) - len(read)
        texts = _read_texts(connection, read)
        places = [_with_phrase(one, found, texts) if one.phrase else found for one, found in zip(sought, places, strict=True)]
    ranks: list[BitMap] = []
    before = BitMap()
    for parts in (
        [found.title for found in places],
        [found.title | found.names for found in places],
        [found.title | found.names | found.summary for found in places],
        [found.anywhere for found in places],
    ):
        ranks.append(BitMap.intersection(*parts) - before)
        before |= ranks[-1]
    return Found(tuple(ranks), without, unread)


def _places(connection: sa.Connection, index: SearchIndex, one: Sought) -> _Places:
    title, summary, anywhere = (
        BitMap.intersection(
            *(index.having(mark + word) for word in one.words), *(index.beginning(mark + start) for start in one.begins)
        )
        for mark in (TITLE, SUMMARY, "")
    )
    keys = [known.key for known in named_terms(connection, one)]
    names = bitmaps.select_articles(connection, [keys], ()).inside if keys else None
    names = names or BitMap()
    return _Places(title, names, summary, anywhere | names)


def named_terms(connection: sa.Connection, one: Sought) -> list[KnownTerm]:
    """Return the terms in use of all facets that have a word in their names, most used first."""
    c = terms.c
    # None of the words has a sign of LIKE: these end words.
    having = [c.words.like(f"% {word} %") for word in one.words] + [c.words.like(f"% {start}%") for start in one.begins]
    query = sa.select(terms).where(c.articles > 0, *having).order_by(c.articles.desc(), c.facet, c.folded)
    found = [queries.known_term(row) for row in connection.execute(query)]
    return [known for known in found if not one.phrase or _phrase(one).search(fold(known.term.name))]


# -- phrases ---------------------------------------------------------------


def _phrase(one: Sought) -> re.Pattern[str]:
    """A phrase in a folded text, with any signs between its words."""
    words = [re.escape(word) for word in re.findall(r"[^\W_]+|[^\w\s]", fold(one.written))]
    begins, ends = (re.match("[a-z0-9]", word) is not None for word in (words[0], words[-1][-1]))
    return re.compile("(?<![a-z0-9])" * begins + r"[\W_]*".join(words) + "(?![a-z0-9])" * ends)


def _read_texts(connection: sa.Connection, keys: Iterable[int]) -> dict[int, tuple[str, str, str]]:
    """Return title and summary of articles, folded, and their bodies as HTML."""
    c = articles.c
    query = sa.select(c.key, c.title, c.summary, bodies.c.html).join(bodies, bodies.c.article_key == c.key)
    rows = (row for part in chunks(keys) for row in connection.execute(query.where(c.key.in_(part))))
    return {key: (fold(title), fold(summary), html) for key, title, summary, html in rows}


def _with_phrase(one: Sought, found: _Places, texts: dict[int, tuple[str, str, str]]) -> _Places:
    phrase, written = _phrase(one), fold(one.written)
    title, summary = (BitMap(key for key, text in texts.items() if phrase.search(text[at])) for at in range(2))
    # Most bodies have a phrase as it is written; to make text of the others takes ten times as long.
    is_plain = written.isalnum() and not written.isascii()
    body = BitMap(
        key
        for key, (_title, _summary, html) in texts.items()
        if (is_plain and _shows(html, written)) or phrase.search(fold(html_text(html)))
    )
    return _Places(title, found.names, summary, title | summary | body | found.names)


def _shows(html: str, words: str) -> bool:
    """Return whether sanitized HTML has words outside of its tags, as they are written."""
    at = html.find(words)
    while at >= 0:
        if html.rfind("<", 0, at) <= html.rfind(">", 0, at):
            return True
        at = html.find(words, at + 1)
    return False


# -- narrowing, order ------------------------------------------------------


def narrow(connection: sa.Connection, found: Found, clauses: Clauses) -> Found:
    """Return those that a selection has, too."""
    if clauses.never:
        return found.within(BitMap())
    if not clauses.some and not clauses.none:
        return found
    selected = bitmaps.select_articles(connection, clauses.some, clauses.none)
    return Found(tuple(selected.within(rank) for rank in found.ranks), found.without, found.unread)


def articles_by_year(connection: sa.Connection, zone: ZoneInfo) -> Years:
    """Return the articles of each year in which any was published, the newest year first."""
    c = articles.c
    rows = fetch_rows(connection, sa.select(c.position, c.key).order_by(c.position.desc()))
    found: Years = {}
    at = 0
    while at < len(rows):
        year = datetime.fromtimestamp(published_at(rows[at][0]), zone).year
        first = first_position(int(datetime(year, 1, 1, tzinfo=zone).timestamp()))
        end = bisect.bisect_right(rows, -first, lo=at, key=lambda row: -row[0])
        found[year] = BitMap(key for _position, key in rows[at:end])
        at = end
    return found


def in_order(connection: sa.Connection, found: Found, limit: int, skip: int = 0) -> list[int]:
    """Return the keys of some of the articles, the best first."""
    keys: list[int] = []
    for rank in found.ranks:
        if skip >= len(rank):
            skip -= len(rank)
        elif len(keys) < limit:
            window = Window(limit - len(keys), skip=skip)
            keys += [key for key, _at in bitmaps.articles_in(connection, ArticleSet(rank, BitMap()), window)]
            skip = 0
    return keys


def narrowing_terms(
    connection: sa.Connection, found: Found, facets: Sequence[str], is_offered: Callable[[KnownTerm], bool]
) -> list[tuple[KnownTerm, int]]:
    """Return terms that narrow a search, and how many of its articles have each, most first."""
    sample = in_order(connection, found, SAMPLE)
    m = memberships.c
    number = sa.func.count()
    query = sa.select(m.term_key).join(terms, terms.c.key == m.term_key).where(m.article_key.in_(sample))
    query = query.where(terms.c.facet.in_(facets)).group_by(m.term_key).order_by(number.desc(), m.term_key).limit(2 * NARROWING)
    keys = list(connection.execute(query).scalars()) if sample else []
    inside = found.keys
    counted = []
    for known in queries.terms_by_key(connection, keys):
        members = bitmaps.select_articles(connection, [[known.key]], ()).inside or BitMap()
        shared = inside.intersection_cardinality(members)
        if shared < len(inside) and is_offered(known):
            counted.append((known, shared))
    return sorted(counted, key=lambda pair: (-pair[1], pair[0].key))[:NARROWING]


def load_bodies(connection: sa.Connection, ids: Iterable[str]) -> dict[str, str]:
    """Return the bodies of articles as text, by their ids."""
    query = sa.select(articles.c.id, bodies.c.html).join(bodies, bodies.c.article_key == articles.c.key)
    rows = connection.execute(query.where(articles.c.id.in_(list(ids))))
    return {id: " ".join(html_text(html).split()) for id, html in rows}
