"""A snapshot of all articles and their terms without any text, updated at the cost of what changed.

Invariant: lists are replaced, never altered. By the identity of a list its holder sees whether anything in it changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..database import chunks, fetch_rows
from ..database.tables import articles, memberships

#: With more changes than these, whole tables are read.
_SINGLY = 400


class Heading(NamedTuple):
    """An article in a snapshot."""

    position: int
    key: int
    id: str
    url: str
    permalink: str


class Snapshot:
    """`shown`: what of an article shows anywhere, by key: its digest, and which of its terms have no page.

    `members`: keys of articles by the key of their term, newest first; `newest` of all articles.
    """

    def __init__(self) -> None:
        self.shown: dict[int, str] = {}
        self.articles: Mapping[int, Heading] = {}
        self.members: dict[int, list[int]] = {}
        self.newest: list[int] = []

    def refresh(self, connection: sa.Connection, without_page: Collection[int]) -> None:
        """Read what changed. `without_page`: keys of terms that are named, but not linked to."""
        before, self.shown = self.shown, _shown(connection, without_page)
        changed = {key for key, shown in self.shown.items() if before.get(key) != shown}
        gone = before.keys() - self.shown.keys()
        if not changed and not gone:
            return
        c, m = articles.c, memberships.c
        found = map(Heading._make, _rows(connection, sa.select(c.position, c.key, c.id, c.url, c.permalink), c.key, changed))
        kept = {key: heading for key, heading in self.articles.items() if key not in gone}
        self.articles = kept | {heading.key: heading for heading in found}
        self.newest = [row[1] for row in sorted(self.articles.values(), key=lambda row: (-row[0], row[1]))]
        touched = changed | gone
        terms = {term for term, keys in self.members.items() if not touched.isdisjoint(keys)}
        terms |= {term for (term,) in _rows(connection, sa.select(m.term_key).distinct(), m.article_key, changed)}
        query = sa.select(m.term_key, m.article_key).order_by(m.term_key, m.position)
        groups = itertools.groupby(_rows(connection, query, m.term_key, terms), key=itemgetter(0))
        members = {term: [key for _term, key in group][::-1] for term, group in groups}
        self.members = {term: keys for term, keys in self.members.items() if term not in terms} | members


def _shown(connection: sa.Connection, without_page: Collection[int]) -> dict[int, str]:
    shown: dict[int, str] = dict(fetch_rows(connection, sa.select(articles.c.key, articles.c.digest)))
    m = memberships.c
    for part in chunks(sorted(without_page)):
        query = sa.select(m.article_key, m.term_key).where(m.term_key.in_(part)).order_by(m.term_key)
        for article, term in connection.execute(query):
            shown[article] += f"-{term}"
    return shown


def _rows(connection: sa.Connection, query: sa.Select[Any], column: Any, keys: Collection[int]) -> Iterable[tuple[Any, ...]]:
    """The rows of `keys`; where these are many, all rows: callers replace by them what they had."""
    if len(keys) > _SINGLY:
        return fetch_rows(connection, query)
    return map(tuple, connection.execute(query.where(column.in_(sorted(keys))))) if keys else ()
