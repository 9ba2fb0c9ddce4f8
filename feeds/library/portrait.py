"""What a term's articles say about it: when they were published, and which other terms they have most."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import sqlalchemy as sa

from ..database import memberships, terms
from ..model import Term
from . import catalog, sets


def positions(connection: sa.Connection, key: int) -> Sequence[int]:
    """Of all articles of the term, oldest first."""
    m = memberships.c
    return connection.execute(sa.select(m.position).where(m.term_key == key).order_by(m.position)).scalars().all()


def company(connection: sa.Connection, key: int, facet: str, limit: int) -> list[Term]:
    """The terms of `facet` that most of the term's articles have, too; `articles` is how many of them."""
    own = connection.execute(sa.select(terms.c.articles).where(terms.c.key == key)).scalar() or 0
    others = terms.c.facet == facet, terms.c.articles > 0
    known = connection.execute(sa.select(sa.func.count()).select_from(terms).where(*others)).scalar() or 0
    # Whichever is less work: to look each article's terms up, or to meet each term's set with the term's own.
    found = _from_memberships(connection, key, facet) if own < known else _from_sets(connection, key, facet)
    found.pop(key, None)
    most = heapq.nsmallest(limit, found.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = {row.key: row.term for row in catalog.terms_by_key(connection, [other for other, _shared in most])}
    return [Term(facet, rows[other].name, rows[other].slug, shared) for other, shared in most]


def _from_memberships(connection: sa.Connection, key: int, facet: str) -> dict[int, int]:
    own, other = memberships.alias(), memberships.alias()
    query = (
        sa.select(other.c.term_key, sa.func.count())
        .join_from(own, other, other.c.article_key == own.c.article_key)
        .join(terms, terms.c.key == other.c.term_key)
        .where(own.c.term_key == key, terms.c.facet == facet)
        .group_by(other.c.term_key)
    )
    return {term: shared for term, shared in connection.execute(query)}


def _from_sets(connection: sa.Connection, key: int, facet: str) -> dict[int, int]:
    keys = connection.execute(sa.select(terms.c.key).where(terms.c.facet == facet, terms.c.articles > 0)).scalars().all()
    return sets.shared(connection, key, keys)
