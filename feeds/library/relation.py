"""Which articles belong beside an article: the next ones in time, and those that share its rarer terms.

Of each of an article's terms the articles nearest in time are looked at. Each term that is shared counts the more, the fewer
articles have it; what counts alike, the nearer comes first. So few are looked at that the whole archive can be gone through for
the static tree; and a term that is rare enough is looked at whole.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ..database import articles, memberships, terms
from .overview import Overview

#: The facets by which articles are related. Reviewers and categories have too many articles to say anything.
FACETS = ("tag", "author", "translator")
#: How many articles of a term are looked at on each side, and how many are named in the end.
REACH, MOST = 8, 4

Place = tuple[int, int]  # position and key of an article


@dataclass(frozen=True, slots=True)
class Vicinity:
    """What is nearest to an article among those of a term: `older` and `newer`, each the nearest first."""

    term: int
    weight: int
    older: Sequence[Place]
    newer: Sequence[Place]


def weight(articles: int, total: int) -> int:
    """What it says that two articles share a term which `articles` of `total` have. Whole, so that sums have no order."""
    return 1 + round(100 * math.log2(max(1.0, total / articles)))


def related(position: int, vicinities: Iterable[Vicinity]) -> list[int]:
    """Keys of the articles most related to that at `position`, which no vicinity holds itself."""
    scores: dict[Place, int] = defaultdict(int)
    for near in vicinities:
        for place in near.older:
            scores[place] += near.weight
        for place in near.newer:
            scores[place] += near.weight
    best = sorted(scores, key=lambda place: (-scores[place], abs(place[0] - position), place))
    return [key for _position, key in best[:MOST]]


# -- of one article ---------------------------------------------------------


def vicinities(connection: sa.Connection, key: int, position: int, total: int) -> list[Vicinity]:
    """Those of an article's terms, in the order of its tags, then of its people."""
    m, t = memberships.c, terms.c
    query = sa.select(t.key, t.facet, t.articles).join_from(memberships, terms, t.key == m.term_key)
    rows = connection.execute(query.where(m.article_key == key, t.facet.in_(FACETS)).order_by(m.rank, t.key)).all()
    return [
        Vicinity(
            row.key,
            weight(row.articles, total),
            _beside(connection, m.term_key == row.key, m.position, m.article_key, position, REACH, newer=False),
            _beside(connection, m.term_key == row.key, m.position, m.article_key, position, REACH, newer=True),
        )
        for row in sorted(rows, key=lambda row: FACETS.index(row.facet))
    ]


def neighbours(connection: sa.Connection, position: int) -> tuple[Place | None, Place | None]:
    """The article published before, and the one after, of all."""
    c = articles.c
    older = _beside(connection, sa.true(), c.position, c.key, position, 1, newer=False)
    newer = _beside(connection, sa.true(), c.position, c.key, position, 1, newer=True)
    return (older[0] if older else None, newer[0] if newer else None)


def _beside(
    connection: sa.Connection,
    where: sa.ColumnElement[bool],
    place: sa.ColumnElement[int],
    key: sa.ColumnElement[int],
    position: int,
    limit: int,
    *,
    newer: bool,
) -> list[Place]:
    beyond, order = (place > position, place.asc()) if newer else (place < position, place.desc())
    query = sa.select(place, key).where(where, beyond).order_by(order).limit(limit)
    return [(position, found) for position, found in connection.execute(query)]


# -- of all articles ---------------------------------------------------------


class Surroundings:
    """Which articles are related or next to each article within its terms, kept up to date at the cost of what changed."""

    def __init__(self) -> None:
        self._begin(0)

    def _begin(self, total: int) -> None:
        self.named: dict[int, tuple[int, ...]] = {}
        self._total = total
        self._members: dict[int, list[int]] = {}
        self._places: dict[int, list[Place]] = {}
        self._near: dict[int, dict[int, Vicinity]] = defaultdict(dict)

    def refresh(self, overview: Overview, terms: Iterable[int]) -> None:
        """`terms`: keys of those that count. Afterwards `named` has keys of articles by the key of an article."""
        if len(overview.newest) != self._total:  # every weight changes
            self._begin(len(overview.newest))
        changed = {key for term in terms for key in self._renew(overview, term)}
        for key in changed:
            near = self._near[key].values()
            beside = [place[1] for one in near for place in (*one.older[:1], *one.newer[:1])]
            self.named[key] = (*related(overview.articles[key].position, near), *beside)

    def _renew(self, overview: Overview, term: int) -> Iterator[int]:
        """The articles whose vicinity in a term is another one now."""
        keys = overview.members.get(term, [])
        if self._members.get(term) is keys:
            return
        self._members[term] = keys
        before = self._places.get(term, [])
        places = self._places[term] = [(overview.articles[key].position, key) for key in keys]
        if places == before:
            return
        for _position, key in before:
            self._near[key].pop(term, None)
        for key, near in within(term, places, weight(len(keys) or 1, self._total)):
            self._near[key][term] = near
        yield from ({key for _position, key in before} & overview.articles.keys()) | set(keys)


def within(term: int, places: Sequence[Place], counts: int) -> Iterator[tuple[int, Vicinity]]:
    """(key, vicinity) of each article of one term; `places` newest first."""
    for index, (_position, key) in enumerate(places):
        newer = places[max(0, index - REACH) : index]
        yield key, Vicinity(term, counts, places[index + 1 : index + 1 + REACH], newer[::-1])


def relating(connection: sa.Connection) -> list[int]:
    """Keys of the terms that relate articles to each other."""
    return list(connection.execute(sa.select(terms.c.key).where(terms.c.facet.in_(FACETS)).order_by(terms.c.key)).scalars())
