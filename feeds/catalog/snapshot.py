"""All articles and their terms at once, without any of their text, brought up to date at the cost of what changed.

Law: lists are replaced, never altered. Whoever kept one sees by its identity whether anything in it changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..database import whole_rows
from ..database.tables import articles, memberships

#: With more changes than these, whole tables are read.
_SINGLY = 400


class Known(NamedTuple):
    """An article as far as an overview needs it."""

    position: int
    key: int
    id: str
    url: str
    permalink: str


class Overview:
    """`shown`: what of an article shows anywhere, by key: its digest, and which of its terms have no page.

    `members`: keys of articles by the key of their term, newest first; `newest` of all articles.
    """

    def __init__(self) -> None:
        self.shown: dict[int, str] = {}
        self.articles: Mapping[int, Known] = {}
        self.members: dict[int, list[int]] = {}
        self.newest: list[int] = []

    def refresh(self, connection: sa.Connection, without_page: Collection[int]) -> None:
        """`without_page`: keys of terms that are named, but not linked to."""
        before, self.shown = self.shown, _shown(connection, without_page)
        changed = {key for key, shown in self.shown.items() if before.get(key) != shown}
        gone = before.keys() - self.shown.keys()
        if not changed and not gone:
            return
        kept = {key: known for key, known in self.articles.items() if key not in gone}
        self.articles = kept | {known.key: known for known in _known(connection, changed)}
        self.newest = [row[1] for row in sorted(self.articles.values(), key=lambda row: (-row[0], row[1]))]
        self._refresh_members(connection, changed, changed | gone)

    def _refresh_members(self, connection: sa.Connection, present: set[int], touched: set[int]) -> None:
        terms = {term for term, keys in self.members.items() if not touched.isdisjoint(keys)}
        terms |= _terms_of(connection, present)
        found = _members(connection, terms)
        kept = {term: keys for term, keys in self.members.items() if term not in terms}
        self.members = kept | found


def _shown(connection: sa.Connection, without_page: Collection[int]) -> dict[int, str]:
    shown: dict[int, str] = dict(whole_rows(connection, sa.select(articles.c.key, articles.c.digest)))
    m = memberships.c
    for part in _parts(without_page):
        query = sa.select(m.article_key, m.term_key).where(m.term_key.in_(part)).order_by(m.term_key)
        for article, term in connection.execute(query):
            shown[article] += f"-{term}"
    return shown


def _known(connection: sa.Connection, keys: Collection[int]) -> Iterator[Known]:
    c = articles.c
    yield from map(Known._make, _rows(connection, sa.select(c.position, c.key, c.id, c.url, c.permalink), c.key, keys))


def _terms_of(connection: sa.Connection, keys: Collection[int]) -> set[int]:
    m = memberships.c
    return {term for (term,) in _rows(connection, sa.select(m.term_key).distinct(), m.article_key, keys)}


def _members(connection: sa.Connection, terms: Collection[int]) -> dict[int, list[int]]:
    m = memberships.c
    query = sa.select(m.term_key, m.article_key).order_by(m.term_key, m.position)
    pairs = _rows(connection, query, m.term_key, terms)
    return {term: [key for _term, key in group][::-1] for term, group in itertools.groupby(pairs, key=itemgetter(0))}


def _rows(connection: sa.Connection, query: sa.Select[Any], column: Any, keys: Collection[int]) -> Iterable[tuple[Any, ...]]:
    """Those of `keys`, or, where they are many, all there are: whoever asks puts them in the place of what there was."""
    if len(keys) > _SINGLY:
        return whole_rows(connection, query)
    return map(tuple, connection.execute(query.where(column.in_(sorted(keys))))) if keys else ()


def _parts(keys: Collection[int]) -> Iterator[list[int]]:
    ordered = sorted(keys)
    for start in range(0, len(ordered), _SINGLY):
        yield ordered[start : start + _SINGLY]
