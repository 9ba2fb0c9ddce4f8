"""Say what lists leave out and put first: articles that are in no feed, pinned ones, the parts of a series in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import sqlalchemy as sa

from ..database import chunks
from ..database.tables import articles, memberships, terms
from ..model import Term
from . import bitmaps
from .queries import Clauses

#: Pinned articles that a list begins with. Where more than MOST_PINNED want it, that is an order and no pin: none is first.
PINNED, MOST_PINNED = 3, 12

# -- articles that are in no feed ------------------------------------------

_OUT = sa.select(articles.c.key).where(articles.c.in_feeds == sa.literal_column("0")).order_by(articles.c.key)


def articles_out_of_feeds(connection: sa.Connection) -> tuple[int, ...]:
    """Return the keys of the articles that are on pages and in no feed."""
    return tuple(connection.execute(_OUT).scalars())


def without_articles(connection: sa.Connection, clauses: Clauses, out: tuple[int, ...]) -> Clauses:
    """Return a selection without some articles, by their keys; those that it would not have are passed over."""
    out = keys_within(connection, clauses, out)
    return replace(clauses, out=out) if out else clauses


def keys_within(connection: sa.Connection, clauses: Clauses, keys: Sequence[int]) -> tuple[int, ...]:
    """Return those of some keys of articles that a selection has, in their order."""
    if not keys or clauses.never:
        return ()
    if not (clauses.some or clauses.none):
        return tuple(keys)
    if clauses.alone:
        m = memberships.c
        own = sa.select(m.article_key).where(m.term_key == clauses.some[0][0])
        found = {key for part in chunks(keys) for key in connection.execute(own.where(m.article_key.in_(part))).scalars()}
    else:
        found = bitmaps.within(bitmaps.select_articles(connection, clauses.some, clauses.none), keys)
    return tuple(key for key in keys if key in found)


# -- pinned articles -------------------------------------------------------

_PINNED = (
    sa.select(articles.c.key)
    .where(articles.c.pinned > sa.literal_column("0"))
    .order_by(articles.c.pinned.desc(), articles.c.position.desc(), articles.c.key)
    .limit(MOST_PINNED + 1)
)


def pinned_articles(connection: sa.Connection) -> tuple[int, ...]:
    """Return the keys of pinned articles in the order in which lists begin with them; of a list its first PINNED."""
    found = tuple(connection.execute(_PINNED).scalars())
    return found if len(found) <= MOST_PINNED else ()


# -- series ----------------------------------------------------------------


class Part(NamedTuple):
    """An article in a series: `number` of `total`, and the keys of the parts before and after it. `term` has no count."""

    term: Term
    number: int
    total: int
    before: int | None
    after: int | None


def reading_order(parts: Iterable[tuple[int, int, int]]) -> list[int]:
    """Return the keys of the parts of a series as they are to be read. `parts`: key, `part`, position. Pure.

    Those that say a number come by it, the others after them by their dates.

    >>> reading_order([(1, 0, 10), (2, 201, 30), (3, 101, 20)])
    [3, 2, 1]
    """
    return [key for key, _part, _position in sorted(parts, key=lambda one: (one[1] == 0, one[1], one[2], one[0]))]


def parts_of(order: Sequence[int], term: Term) -> dict[int, Part]:
    """Return the place of each article of a series by its key; none where it has a single one. Pure."""
    bare, total = replace(term, articles=0), len(order)
    around = zip(order, [None, *order[:-1]], [*order[1:], None], strict=True)
    found = {key: Part(bare, number, total, before, after) for number, (key, before, after) in enumerate(around, 1)}
    return found if total > 1 else {}


_SERIES = sa.select(terms.c.key, terms.c.name, terms.c.slug).where(terms.c.facet == "series", terms.c.articles > 1)


def series_of(connection: sa.Connection, key: int) -> tuple[Part, ...]:
    """Return the places of an article in its series, in the order of their names."""
    m = memberships.c
    query = _SERIES.join(memberships, m.term_key == terms.c.key).where(m.article_key == key)
    rows = connection.execute(query.order_by(terms.c.folded)).all()
    places = (parts_of(series_order(connection, row.key), Term("series", row.name, row.slug)) for row in rows)
    return tuple(place[key] for place in places if key in place)


def series_order(connection: sa.Connection, term: int) -> list[int]:
    """Return the keys of all parts of a series as they are to be read."""
    c, m = articles.c, memberships.c
    query = sa.select(c.key, c.part, c.position).join(memberships, m.article_key == c.key).where(m.term_key == term)
    return reading_order((key, part, position) for key, part, position in connection.execute(query))


def all_series(
    connection: sa.Connection, members: Mapping[int, Sequence[int]], positions: Mapping[int, int]
) -> dict[int, tuple[Part, ...]]:
    """Return the places of all articles in their series by key, as `series_of` finds them.

    `members`: keys of articles by the key of their term; `positions` of articles.
    """
    rows = connection.execute(_SERIES.order_by(terms.c.folded)).all()
    if not rows:
        return {}
    numbered = {
        key: part for key, part in connection.execute(sa.select(articles.c.key, articles.c.part).where(articles.c.part > 0))
    }
    found: dict[int, tuple[Part, ...]] = {}
    for row in rows:
        parts = ((key, numbered.get(key, 0), positions[key]) for key in members.get(row.key, ()))
        for key, place in parts_of(reading_order(parts), Term("series", row.name, row.slug)).items():
            found[key] = (*found.get(key, ()), place)
    return found
