"""Which articles a term has, as compressed sets of keys: what makes any combination of terms cheap to answer.

A set is kept for each term and for each span of time, in the rescan's transaction. A selection is a few unions, intersections
and differences of them (Roaring bitmaps, https://roaringbitmap.org); going through the spans gives the result in the order of
time without sorting more of it than is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from pyroaring import BitMap

from ..database.tables import articles, sets
from .sort_key import published_at

#: A span of time: some hundred articles of a large archive. Never changes: the numbers of spans are in the database.
SPAN_SECONDS = 30 * 86400
TERM, SPAN = "term", "span"
_CHUNK = 400


def span_of(position: int) -> int:
    return published_at(position) // SPAN_SECONDS


# -- keeping them ----------------------------------------------------------


@dataclass(slots=True)
class Keeper:
    """The sets that one rescan changes. `write` once, at the end."""

    connection: sa.Connection
    _loaded: dict[tuple[str, int], BitMap] = field(default_factory=dict)

    def put(self, article: int, position: int, terms: Iterable[int]) -> None:
        for place in self._places(position, terms):
            self._set(*place).add(article)

    def drop(self, article: int, position: int, terms: Iterable[int]) -> None:
        for place in self._places(position, terms):
            self._set(*place).discard(article)

    def forget_terms(self) -> None:
        """Begin the sets of all terms anew."""
        self.connection.execute(sa.delete(sets).where(sets.c.kind == TERM))
        self._loaded = {place: found for place, found in self._loaded.items() if place[0] != TERM}

    @staticmethod
    def _places(position: int, terms: Iterable[int]) -> Iterator[tuple[str, int]]:
        yield SPAN, span_of(position)
        yield from ((TERM, term) for term in set(terms))

    def _set(self, kind: str, key: int) -> BitMap:
        found = self._loaded.get((kind, key))
        if found is None:
            found = self._loaded[kind, key] = next(iter(_load(self.connection, kind, [key]).values()), BitMap())
        return found

    def write(self) -> None:
        where = (sets.c.kind == sa.bindparam("_kind"), sets.c.key == sa.bindparam("_key"))
        if self._loaded:
            self.connection.execute(sa.delete(sets).where(*where), [{"_kind": kind, "_key": key} for kind, key in self._loaded])
        rows = [{"kind": kind, "key": key, "data": found.serialize()} for (kind, key), found in self._loaded.items() if found]
        if rows:
            self.connection.execute(sa.insert(sets), rows)
        self._loaded = {}


# -- asking them -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Members:
    """The articles of a selection. `inside` None: of all articles, those that are not `outside`."""

    inside: BitMap | None
    outside: BitMap

    def of(self, span: BitMap) -> BitMap:
        return (span if self.inside is None else span & self.inside) - self.outside


def members(connection: sa.Connection, some: Sequence[Sequence[int]], none: Sequence[int]) -> Members:
    """Articles that have a term of each group of `some`, and none of `none`; all by the keys of terms."""
    found = _load(connection, TERM, [*{key for group in some for key in group} | set(none)])
    groups = [_union(found, group) for group in some]
    inside = BitMap.intersection(*sorted(groups, key=len)) if groups else None
    return Members(inside, _union(found, none))


def shared(connection: sa.Connection, term: int, others: Sequence[int]) -> dict[int, int]:
    """How many articles of `term` each of the `others` has, too; those that have none are left out."""
    own = _load(connection, TERM, [term]).get(term, BitMap())
    counts: dict[int, int] = {}
    for start in range(0, len(others), _CHUNK):
        found = _load(connection, TERM, others[start : start + _CHUNK])
        counts |= {key: own.intersection_cardinality(members) for key, members in found.items()}
    return {key: number for key, number in counts.items() if number}


def _union(found: dict[int, BitMap], keys: Sequence[int]) -> BitMap:
    known = [found[key] for key in keys if key in found]
    return BitMap.union(*known) if known else BitMap()


def _load(connection: sa.Connection, kind: str, keys: Sequence[int]) -> dict[int, BitMap]:
    query = sa.select(sets.c.key, sets.c.data).where(sets.c.kind == kind, sets.c.key.in_(keys))
    return {key: BitMap.deserialize(data) for key, data in connection.execute(query)} if keys else {}


def count(connection: sa.Connection, found: Members) -> int:
    if found.inside is not None:
        return len(found.inside - found.outside)
    return sum(len(found.of(span)) for span in _spans(connection, None, None, newest_first=True))


def window(
    connection: sa.Connection, found: Members, limit: int | None, before: int | None, after: int | None, *, newest_first: bool
) -> list[tuple[int, int]]:
    """(key, position) in the order of time, as `catalog.select` bounds them."""
    taken: list[tuple[int, int]] = []
    pending = BitMap()
    for span in _spans(connection, before, after, newest_first=newest_first):
        pending |= found.of(span)
        if limit is not None and len(taken) + len(pending) >= limit:
            taken += _placed(connection, pending, before, after, newest_first=newest_first)
            pending = BitMap()
            if len(taken) >= limit:
                break
    taken += _placed(connection, pending, before, after, newest_first=newest_first)
    return taken[:limit]


def _spans(connection: sa.Connection, before: int | None, after: int | None, *, newest_first: bool) -> Iterator[BitMap]:
    query = sa.select(sets.c.data).where(sets.c.kind == SPAN)
    query = query if before is None else query.where(sets.c.key <= span_of(before))
    query = query if after is None else query.where(sets.c.key >= span_of(after))
    for (data,) in connection.execute(query.order_by(sets.c.key.desc() if newest_first else sets.c.key)):
        yield BitMap.deserialize(data)


def _placed(
    connection: sa.Connection, keys: BitMap, before: int | None, after: int | None, *, newest_first: bool
) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    every = list(keys)
    for start in range(0, len(every), _CHUNK):
        c = articles.c
        rows = connection.execute(sa.select(c.key, c.position).where(c.key.in_(every[start : start + _CHUNK])))
        found += [
            (key, place) for key, place in rows if (before is None or place < before) and (after is None or place >= after)
        ]
    return sorted(found, key=lambda pair: (-pair[1] if newest_first else pair[1], pair[0]))
