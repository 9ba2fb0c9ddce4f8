"""Sets of articles as bitmaps, which make any combination of terms cheap to answer.

A set (a Roaring bitmap, https://roaringbitmap.org) is kept for each term and for each span of time. A selection is some unions,
intersections and differences of them; the spans give it in the order of time without sorting more than is asked for.
"""

from __future__ import annotations

import bisect
import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from pyroaring import BitMap

from ..database import chunks, insert_rows
from ..database.tables import articles, sets, terms
from . import subjects
from .sort_key import Window, published_at

#: A span of time: some hundred articles of a large archive. Never changes: the numbers of spans are in the database.
SPAN_SECONDS = 30 * 86400
TERM, SPAN = "term", "span"
#: Sets of the articles that have a word in their titles, or an original of one site, by the number of either (`subjects`); and,
#: by the key of an article, all its numbers.
WORD, SUBJECT = "word", "subject"


def span_of(position: int) -> int:
    """Return the number of the span that a position lies in."""
    return published_at(position) // SPAN_SECONDS


# -- writing ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BitmapWriter:
    """What one rescan adds to sets and removes from them. Call `write` once, at the end."""

    connection: sa.Connection
    _coming: dict[tuple[str, int], BitMap] = field(default_factory=lambda: defaultdict(BitMap))
    _going: dict[tuple[str, int], BitMap] = field(default_factory=lambda: defaultdict(BitMap))
    _subjects: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def put(self, article: int, position: int, terms: Iterable[int]) -> None:
        """Add an article to the sets of its span and terms; all by keys."""
        for place in _places(position, terms):
            self._coming[place].add(article)

    def drop(self, article: int, position: int, terms: Iterable[int]) -> None:
        """Remove an article from the sets of its span and terms, also where it was `put` there before."""
        for place in _places(position, terms):
            self._going[place].add(article)
            if place in self._coming:
                self._coming[place].discard(article)

    def describe(self, article: int, numbers: tuple[int, ...]) -> None:
        """Set what an article is about (`subjects.subject_of`); () where it goes."""
        self._subjects[article] = numbers

    def forget_terms(self) -> None:
        """Empty the sets of all terms."""
        self.connection.execute(sa.delete(sets).where(sets.c.kind == TERM))
        for changes in (self._coming, self._going):
            for place in [place for place in changes if place[0] == TERM]:
                del changes[place]

    def write(self) -> None:
        """Write all sets that were changed."""
        for described in chunks(sorted(self._subjects)):
            self._write_subjects(described)
        changed = self._coming.keys() | self._going.keys()
        for kind in (TERM, SPAN, WORD):
            for keys in chunks(sorted(key for of, key in changed if of == kind)):
                self._write(kind, keys)
        self._coming.clear()
        self._going.clear()
        self._subjects.clear()

    def _write_subjects(self, described: Sequence[int]) -> None:
        query = sa.select(sets.c.key, sets.c.data).where(sets.c.kind == SUBJECT, sets.c.key.in_(described))
        before = {key: subjects.unpack(data) for key, data in self.connection.execute(query)}
        changed = [article for article in described if before.get(article, ()) != self._subjects[article]]
        for article in changed:
            had, has = (set(filter(_is_listed, numbers)) for numbers in (before.get(article, ()), self._subjects[article]))
            for number in has - had:
                self._coming[WORD, number].add(article)
            for number in had - has:
                self._going[WORD, number].add(article)
        if known := [article for article in changed if article in before]:
            self.connection.execute(sa.delete(sets).where(sets.c.kind == SUBJECT, sets.c.key.in_(known)))
        rows = [(SUBJECT, article, subjects.pack(self._subjects[article])) for article in changed if self._subjects[article]]
        insert_rows(self.connection, sets, rows)

    def _write(self, kind: str, keys: Sequence[int]) -> None:
        found, nothing, rows = load(self.connection, kind, keys), BitMap(), []
        for key in keys:
            going, coming = self._going.get((kind, key), nothing), self._coming.get((kind, key), nothing)
            if members := (found.get(key, nothing) - going) | coming:
                rows.append((kind, key, members.serialize()))
        if found:
            self.connection.execute(sa.delete(sets).where(sets.c.kind == kind, sets.c.key.in_(list(found))))
        insert_rows(self.connection, sets, rows)


def _places(position: int, terms: Iterable[int]) -> Iterator[tuple[str, int]]:
    """Yield kind and key of the sets that an article is in."""
    yield SPAN, span_of(position)
    yield from ((TERM, term) for term in set(terms))


def _is_listed(number: int) -> bool:
    """Words of summaries are looked for in titles, and not the other way round."""
    return number % 4 != subjects.SUMMARY


# -- reading ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArticleSet:
    """The articles of a selection, by key. `inside` None: of all articles, those that are not `outside`."""

    inside: BitMap | None
    outside: BitMap

    def within(self, span: BitMap) -> BitMap:
        """Return those of a span of time."""
        return (span if self.inside is None else span & self.inside) - self.outside


def select_articles(
    connection: sa.Connection, some: Sequence[Sequence[int]], none: Sequence[int], out: Sequence[int] = ()
) -> ArticleSet:
    """Return the articles that have a term of each group of `some`, and no term of `none`; all by the keys of terms.

    `out` are the keys of articles that are left out besides.
    """
    found = load(connection, TERM, [*{key for group in some for key in group} | set(none)])
    groups = [BitMap().union(*(found[key] for key in group if key in found)) for group in some]
    inside = BitMap.intersection(*sorted(groups, key=len)) if groups else None
    return ArticleSet(inside, BitMap(out).union(*(found[key] for key in none if key in found)))


def within(found: ArticleSet, keys: Iterable[int]) -> set[int]:
    """Return those of some keys of articles that a set has."""
    return set(found.within(BitMap(keys)))


def most_shared(connection: sa.Connection, term: int, facet: str, limit: int) -> list[tuple[int, int]]:
    """Return the terms of a facet that most articles of `term` have, too: (key, how many), most first, without `term`."""
    own = load(connection, TERM, [term]).get(term, BitMap())
    most: list[tuple[int, int]] = []
    with contextlib.closing(connection.execute(_LARGEST, {"facet": facet, "term": term})) as rows:
        for key, size, data in rows:
            if len(most) == limit and size < -most[-1][0]:
                break  # terms with fewer articles have not enough in common
            if shared := own.intersection_cardinality(BitMap.deserialize(data)):
                bisect.insort(most, (-shared, key))
                del most[limit:]
    return [(key, -shared) for shared, key in most]


_LARGEST = (
    sa.select(terms.c.key, terms.c.articles, sets.c.data)
    .join(sets, sa.and_(sets.c.kind == TERM, sets.c.key == terms.c.key))
    .where(terms.c.facet == sa.bindparam("facet"), terms.c.key != sa.bindparam("term"), terms.c.articles > 0)
    .order_by(terms.c.articles.desc())
)


def load(connection: sa.Connection, kind: str, keys: Collection[int]) -> dict[int, BitMap]:
    """Return the sets of a kind that there are of `keys`."""
    rows = _rows_of(connection, f"key, data FROM sets WHERE kind = '{kind}' AND key", keys)
    return {key: BitMap.deserialize(data) for key, data in rows}


def positions_of(connection: sa.Connection, keys: Collection[int]) -> dict[int, int]:
    """Return the positions of the articles that there are of `keys`."""
    return dict(_rows_of(connection, "key, position FROM articles WHERE key", keys))


def _rows_of(connection: sa.Connection, of: str, keys: Collection[int]) -> Sequence[Any]:
    """Rows by their keys, which are numbers: as text, since putting parameters together takes longer than the answer."""
    named = ", ".join(map(str, map(int, keys)))
    return connection.exec_driver_sql(f"SELECT {of} IN ({named})").all() if named else ()


def count(connection: sa.Connection, found: ArticleSet) -> int:
    """Return the number of articles in a set."""
    if found.inside is not None:
        return len(found.inside - found.outside)
    return sum(len(found.within(span)) for span in _spans(connection, Window()))


def articles_in(connection: sa.Connection, found: ArticleSet, window: Window) -> list[tuple[int, int]]:
    """Return (key, position) of the articles of a set in a window, in its order."""
    most = None if window.limit is None else window.skip + window.limit
    taken: list[tuple[int, int]] = []
    pending = BitMap()
    for span in _spans(connection, window):
        pending |= found.within(span)
        if most is not None and len(taken) + len(pending) >= most:
            taken += _placed(connection, pending, window)
            pending = BitMap()
            if len(taken) >= most:
                break
    return (taken + _placed(connection, pending, window))[window.skip : most]


def _spans(connection: sa.Connection, window: Window) -> Iterator[BitMap]:
    query = sa.select(sets.c.data).where(sets.c.kind == SPAN)
    query = query if window.before is None else query.where(sets.c.key <= span_of(window.before))
    query = query if window.after is None else query.where(sets.c.key >= span_of(window.after))
    for (data,) in connection.execute(query.order_by(sets.c.key.desc() if window.newest_first else sets.c.key)):
        yield BitMap.deserialize(data)


def bounded(query: sa.Select[Any], position: sa.Column[int], window: Window) -> sa.Select[Any]:
    """Return a query for the rows within the bounds of a window."""
    query = query if window.before is None else query.where(position < window.before)
    return query if window.after is None else query.where(position >= window.after)


def _placed(connection: sa.Connection, keys: BitMap, window: Window) -> list[tuple[int, int]]:
    c = articles.c
    query = bounded(sa.select(c.key, c.position), c.position, window)
    found = [(key, at) for part in chunks(keys) for key, at in connection.execute(query.where(c.key.in_(part)))]
    return sorted(found, key=lambda pair: (-pair[1] if window.newest_first else pair[1], pair[0]))
