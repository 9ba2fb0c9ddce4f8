"""Terms that articles of a term have, too: of one term, or of all from a snapshot of all articles."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import sqlalchemy as sa

from ..database.tables import memberships, terms
from ..model import Term
from . import bitmaps, queries
from .queries import KnownTerm
from .related import Snapshot

#: A term with so many articles or more is compared with other terms as sets; of fewer, each article's terms are looked up.
_AS_SETS = 500


def term_positions(connection: sa.Connection, key: int) -> list[int]:
    """Return the positions of all articles of a term, oldest first: thousands, for a term of half the store."""
    text = connection.execute(_POSITIONS, {"term": key}).scalar()
    return sorted(map(int, text.split(","))) if text else []


#: As one text: thousands of rows take drivers three times as long.
_POSITIONS = sa.select(sa.func.aggregate_strings(sa.cast(memberships.c.position, sa.Text), ",")).where(
    memberships.c.term_key == sa.bindparam("term")
)


def related_terms(connection: sa.Connection, known: KnownTerm, facets: Collection[str], limit: int) -> dict[str, list[Term]]:
    """Return, by facet, the terms that most of the term's articles have, too; `Term.articles` is how many of them."""
    compare = _by_articles if known.term.articles < _AS_SETS else _by_sets
    found = compare(connection, known.key, facets, limit)
    rows = {row.key: row.term for row in queries.terms_by_key(connection, {key for most in found.values() for key, _ in most})}
    return {
        facet: [Term(facet, rows[other].name, rows[other].slug, shared) for other, shared in most]
        for facet, most in found.items()
    }


#: What a term has in common with others: by facet (key, number of articles that have both), most articles first.
_Shared = dict[str, list[tuple[int, int]]]

_own, _other = memberships.alias(), memberships.alias()
_SHARED = (
    sa.select(_other.c.term_key.label("key"), sa.func.count().label("shared"))
    .join_from(_own, _other, _other.c.article_key == _own.c.article_key)
    .where(_own.c.term_key == sa.bindparam("term"), _other.c.term_key != _own.c.term_key)
    .group_by(_other.c.term_key)
    .subquery()
)
_PLACE = sa.func.row_number().over(partition_by=terms.c.facet, order_by=(_SHARED.c.shared.desc(), terms.c.key)).label("place")
_PLACED = (
    sa.select(terms.c.facet, terms.c.key, _SHARED.c.shared, _PLACE)
    .join_from(_SHARED, terms, terms.c.key == _SHARED.c.key)
    .where(terms.c.facet.in_(sa.bindparam("facets", expanding=True)))
    .subquery()
)
_MOST_SHARED = sa.select(_PLACED).where(_PLACED.c.place <= sa.bindparam("limit")).order_by(_PLACED.c.place)


def _by_articles(connection: sa.Connection, key: int, facets: Collection[str], limit: int) -> _Shared:
    found: _Shared = {facet: [] for facet in facets}
    for row in connection.execute(_MOST_SHARED, {"term": key, "facets": list(facets), "limit": limit}):
        found[row.facet].append((row.key, row.shared))
    return found


def _by_sets(connection: sa.Connection, key: int, facets: Collection[str], limit: int) -> _Shared:
    return {facet: bitmaps.most_shared(connection, key, facet, limit) for facet in facets}


class SharedTerms:
    """What terms have in common, from a snapshot: as `related_terms`. `terms`: all that may be named, by key."""

    def __init__(self, snapshot: Snapshot, terms: Mapping[int, Term]) -> None:
        self._snapshot, self._terms = snapshot, terms

    @functools.cached_property
    def _by_article(self) -> dict[str, dict[int, list[int]]]:
        """Facet -> key of an article -> keys of its terms."""
        found: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for term, known in self._terms.items():
            inside = found[known.facet]
            for article in self._snapshot.members.get(term, ()):
                inside[article].append(term)
        return found

    def most(self, key: int, facets: Iterable[str], limit: int) -> dict[str, list[Term]]:
        """Return, by facet, the terms that most of the term's articles have, too; `Term.articles` is how many of them."""
        found: dict[str, list[Term]] = {}
        for facet in facets:
            inside = self._by_article[facet]
            members = (inside[article] for article in self._snapshot.members[key] if article in inside)
            shared = Counter(itertools.chain.from_iterable(members))
            del shared[key]
            most = heapq.nsmallest(limit, shared.items(), key=lambda pair: (-pair[1], pair[0]))
            found[facet] = [replace(self._terms[other], articles=number) for other, number in most]
        return found
