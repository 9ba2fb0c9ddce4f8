"""What a term's articles say about it: when they were published, and which other terms they have most."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import sqlalchemy as sa

from ..database import memberships, terms, whole_rows
from ..model import Term
from . import catalog, sets

_CHUNK = 40


def positions(connection: sa.Connection, key: int) -> list[int]:
    """Of all articles of the term, oldest first: thousands, for a term of half the store."""
    m = memberships.c
    query = sa.select(m.position).where(m.term_key == sa.literal_column(str(key))).order_by(m.position)
    return [position for (position,) in whole_rows(connection, query)]


def company(connection: sa.Connection, key: int, facet: str, limit: int) -> list[Term]:
    """The terms of `facet` that most of the term's articles have, too; `articles` is how many of them."""
    own = connection.execute(sa.select(terms.c.articles).where(terms.c.key == key)).scalar() or 0
    query = sa.select(terms.c.key, terms.c.articles).where(terms.c.facet == facet, terms.c.articles > 0)
    others = [(other, number) for other, number in connection.execute(query.order_by(terms.c.articles.desc())) if other != key]
    # Whichever is less work: to look each article's terms up, or to meet each term's set with the term's own.
    most = _by_articles(connection, key, facet, limit) if own < len(others) else _by_sets(connection, key, others, limit)
    rows = {row.key: row.term for row in catalog.terms_by_key(connection, [other for other, _shared in most])}
    return [Term(facet, rows[other].name, rows[other].slug, shared) for other, shared in most]


def _by_articles(connection: sa.Connection, key: int, facet: str, limit: int) -> list[tuple[int, int]]:
    own, other = memberships.alias(), memberships.alias()
    query = (
        sa.select(other.c.term_key, sa.func.count())
        .join_from(own, other, other.c.article_key == own.c.article_key)
        .join(terms, terms.c.key == other.c.term_key)
        .where(own.c.term_key == key, other.c.term_key != key, terms.c.facet == facet)
        .group_by(other.c.term_key)
    )
    return _most({term: shared for term, shared in connection.execute(query)}, limit)


def _by_sets(connection: sa.Connection, key: int, others: Sequence[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """`others`: (key, articles), those with most articles first: in the end come those that cannot have enough in common."""
    most: list[tuple[int, int]] = []
    for start in range(0, len(others), _CHUNK):
        if len(most) == limit and others[start][1] < most[-1][1]:
            break
        found = sets.shared(connection, key, [other for other, _articles in others[start : start + _CHUNK]])
        most = _most(dict(most) | found, limit)
    return most


def _most(shared: dict[int, int], limit: int) -> list[tuple[int, int]]:
    return heapq.nsmallest(limit, shared.items(), key=lambda pair: (-pair[1], pair[0]))
