"""Related articles and related terms, of one or of all: then from a snapshot that is updated at the cost of what changed.

Of the term that fewest articles have, those next to the article are taken, by turns from both sides, then of the next term,
until there are enough. Only order and numbers decide, so that the static site needs no query for each article.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..database import chunks, fetch_rows
from ..database.tables import articles, memberships, terms
from ..model import Term
from . import bitmaps, queries
from .queries import KnownTerm

#: How many related articles are named.
MOST = 4
#: The facets by which articles are related, and the factor of a term's number of articles: a tag says more than a translator.
WEIGHTS: Mapping[str, int] = {"tag": 1, "author": 3, "translator": 3}


def pick_related(sides: Iterable[tuple[Sequence[int], Sequence[int]]]) -> tuple[int, ...]:
    """Return keys of related articles. `sides`: for each term, the rarest first, its next older and newer articles. Pure.

    >>> pick_related([([3, 2], [5]), ([1], [9])])
    (3, 5, 2, 1)
    """
    found: dict[int, None] = {}
    for older, newer in sides:
        for pair in itertools.zip_longest(older, newer):
            found |= dict.fromkeys(key for key in pair if key is not None)
        if len(found) >= MOST:
            break
    return tuple(itertools.islice(found, MOST))


def pick_translations(language: str, others: Iterable[tuple[str, int]]) -> tuple[int, ...]:
    """Return keys of an article's translations, one for each other language, by their tags. `others`: (language, key). Pure.

    >>> pick_translations("zh", [("en", 3), ("zh", 4), ("de", 9), ("en", 8)])
    (9, 3)
    """
    found: dict[str, int] = {}
    for other, key in sorted(others):
        if other != language:
            found.setdefault(other, key)
    return tuple(found.values())


# -- of one article --------------------------------------------------------


def translated_articles(connection: sa.Connection, key: int) -> tuple[int, ...]:
    """Return keys of the translations of an article."""
    rows = {own: language for own, language in connection.execute(_TRANSLATIONS, {"article": key})}
    return pick_translations(rows[key], ((language, other) for other, language in rows.items())) if rows else ()


def related_articles(connection: sa.Connection, key: int, position: int) -> tuple[int, ...]:
    """Return keys of the articles related to one; only as many terms are asked as it takes."""
    ordered = connection.execute(_OWN_TERMS, {"article": key}).scalars().all()

    def sides(term: int) -> tuple[Sequence[int], Sequence[int]]:
        found = connection.execute(_SIDES, {"term": term, "position": position}).scalars().all()
        return [-other for other in found if other < 0], [other for other in found if other > 0]

    return pick_related(map(sides, ordered))


def adjacent_articles(connection: sa.Connection, position: int) -> tuple[int | None, int | None]:
    """Return keys of the articles published before and after a position, of all."""
    older, newer = (connection.execute(query, {"position": position}).scalar() for query in _ADJACENT)
    return older, newer


# Built once, as in `queries`.
_m, _t, _c = memberships.c, terms.c, articles.c
_AT = sa.bindparam("position", type_=sa.BigInteger)
_SHARED_KEY = sa.select(_c.translation).where(_c.key == sa.bindparam("article")).scalar_subquery()
_TRANSLATIONS = sa.select(_c.key, _c.language).where(_c.translation == _SHARED_KEY, _c.translation != sa.literal_column("''"))
#: The terms of an article that others have, too, the rarest first.
_OWN_TERMS = (
    sa.select(_t.key)
    .join_from(memberships, terms, _t.key == _m.term_key)
    .where(_m.article_key == sa.bindparam("article"), _t.facet.in_(WEIGHTS), _t.articles > 1)
    .order_by(_t.articles * sa.case(WEIGHTS, value=_t.facet), _t.key)
)
_OF_TERM = sa.select(_m.article_key, _m.position).where(_m.term_key == sa.bindparam("term")).limit(MOST)
_OLDER = _OF_TERM.where(_m.position < _AT).order_by(_m.position.desc(), _m.article_key.desc()).subquery()
_NEWER = _OF_TERM.where(_m.position > _AT).order_by(_m.position, _m.article_key).subquery()
#: The articles of a term on both sides of a position, the next ones first: those before it with their keys below 0.
_SIDES = sa.union_all(
    sa.select((-_OLDER.c.article_key).label("other"), (-_OLDER.c.position).label("place")),
    sa.select(_NEWER.c.article_key, _NEWER.c.position),
).order_by("place", "other")
_ADJACENT = (
    sa.select(_c.key).where(_c.position < _AT).order_by(_c.position.desc()).limit(1),
    sa.select(_c.key).where(_c.position > _AT).order_by(_c.position).limit(1),
)


# -- of all articles -------------------------------------------------------

#: With more changes than these, whole tables are read.
_SINGLY = 400


class Heading(NamedTuple):
    """An article in a snapshot."""

    position: int
    key: int
    id: str
    url: str
    permalink: str
    language: str
    translation: str


@dataclass(eq=False)
class Snapshot:
    """All articles and their terms without any text, as of the last `refresh`.

    `shown`: what of an article shows anywhere, by key: its digest, and which of its terms have no page. `members`: keys of
    articles by the key of their term, newest first; `newest` of all articles. Invariant: lists are replaced, never altered, so
    the identity of a list tells whether anything in it changed.
    """

    shown: dict[int, str] = field(default_factory=dict)
    articles: Mapping[int, Heading] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)
    newest: list[int] = field(default_factory=list)

    def refresh(self, connection: sa.Connection, without_page: Collection[int]) -> None:
        """Read what changed. `without_page`: keys of terms that are named, but not linked to."""
        c, m = articles.c, memberships.c
        before, self.shown = self.shown, dict(fetch_rows(connection, sa.select(c.key, c.digest)))
        for part in chunks(sorted(without_page)):
            unlinked = sa.select(m.article_key, m.term_key).where(m.term_key.in_(part)).order_by(m.term_key)
            for article, term in connection.execute(unlinked):
                self.shown[article] += f"-{term}"
        changed = {key for key, shown in self.shown.items() if before.get(key) != shown}
        gone = before.keys() - self.shown.keys()
        if not changed and not gone:
            return
        found = map(Heading._make, _rows(connection, sa.select(*(c[name] for name in Heading._fields)), c.key, changed))
        former = self.articles
        kept = {key: heading for key, heading in former.items() if key not in gone}
        self.articles = kept | {heading.key: heading for heading in found}
        moved = {key for key in changed if key not in former or former[key].position != self.articles[key].position}
        self.newest = [row[1] for row in sorted(self.articles.values(), key=lambda row: (-row[0], row[1]))]
        if len(changed) > _SINGLY:
            self.members = _by_term(fetch_rows(connection, _MEMBERS))
        else:
            members = self.members | self._changed_members(connection, changed, gone, moved)
            self.members = {term: keys for term, keys in members.items() if keys}

    def _changed_members(
        self, connection: sa.Connection, changed: set[int], gone: set[int], moved: set[int]
    ) -> dict[int, list[int]]:
        """Return new lists of the terms that changed articles have or had; [] for a term that none has any more.

        Where the same articles have a term as before, at the same positions, its list is copied: reading thousands of rows
        for each of an article's terms would take longer than its pages.
        """
        now: dict[int, set[int]] = defaultdict(set)
        for term, article in _rows(connection, sa.select(_m.term_key, _m.article_key), _m.article_key, changed):
            now[term].add(article)
        touched = changed | gone
        had = {term: touched.intersection(keys) for term, keys in self.members.items() if not touched.isdisjoint(keys)}
        altered = {term for term in had.keys() | now if had.get(term) != now.get(term) or not moved.isdisjoint(had[term])}
        copied = {term: list(self.members[term]) for term in had.keys() - altered}
        return copied | {term: [] for term in altered} | _by_term(_rows(connection, _MEMBERS, _m.term_key, altered))

    def translations(self) -> dict[int, tuple[int, ...]]:
        """Return keys of the translations of each article that has any, as `translated_articles` finds them."""
        groups: dict[str, list[Heading]] = defaultdict(list)
        for heading in self.articles.values():
            if heading.translation:
                groups[heading.translation].append(heading)
        known = (group for group in groups.values() if len(group) > 1)
        pairs = (([(one.language, one.key) for one in group], group) for group in known)
        return {one.key: pick_translations(one.language, others) for others, group in pairs for one in group}


#: The articles of each term, oldest first.
_MEMBERS = sa.select(_m.term_key, _m.article_key).order_by(_m.term_key, _m.position)


def _by_term(rows: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The keys of articles by the key of their term, newest first, of rows as of _MEMBERS."""
    return {term: [key for _term, key in group][::-1] for term, group in itertools.groupby(rows, key=itemgetter(0))}


def _rows(connection: sa.Connection, query: sa.Select[Any], column: Any, keys: Collection[int]) -> Iterable[tuple[Any, ...]]:
    """The rows of `keys`; where these are many, all rows: callers replace by them what they had."""
    if len(keys) > _SINGLY:
        return fetch_rows(connection, query)
    return map(tuple, connection.execute(query.where(column.in_(sorted(keys)))).all()) if keys else ()


@dataclass(eq=False)
class RelatedArticles:
    """`by_article`: keys of related articles by the key of an article, as `related_articles` finds them."""

    by_article: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _members: dict[int, list[int]] = field(default_factory=dict)

    def refresh(self, snapshot: Snapshot, rarities: Mapping[int, int]) -> None:
        """Follow a snapshot. `rarities`: what each term counts for, by its key."""
        ordered = sorted((count, term) for term, count in rarities.items() if term in snapshot.members)
        members = {term: snapshot.members[term] for _count, term in ordered}
        if list(members.items()) == list(self._members.items()):  # lists that are the same objects are compared at no cost
            return
        self._members = members
        places: dict[int, list[tuple[list[int], int]]] = defaultdict(list)
        for keys in members.values():
            for index, key in enumerate(keys):
                places[key].append((keys, index))
        self.by_article = {
            key: pick_related((keys[at + 1 : at + 1 + MOST], keys[max(0, at - MOST) : at][::-1]) for keys, at in own)
            for key, own in places.items()
        }


def term_rarities(connection: sa.Connection) -> dict[int, int]:
    """Return the number of articles of each term that relates articles, times what its facet counts for; by key."""
    t = terms.c
    query = sa.select(t.key, t.facet, t.articles).where(t.facet.in_(WEIGHTS), t.articles > 0)
    return {key: WEIGHTS[facet] * count for key, facet, count in connection.execute(query)}


# -- of a term -------------------------------------------------------------

#: A term with so many articles or more is compared with other terms as sets; of fewer, each article's terms are looked up.
_AS_SETS = 500


def term_positions(connection: sa.Connection, key: int) -> list[int]:
    """Return the positions of all articles of a term, oldest first: thousands, for a term of half the store."""
    text = connection.execute(_POSITIONS, {"term": key}).scalar()
    return sorted(map(int, text.split(","))) if text else []


#: As one text: thousands of rows take drivers three times as long.
_POSITIONS = sa.select(sa.func.aggregate_strings(sa.cast(_m.position, sa.Text), ",")).where(_m.term_key == sa.bindparam("term"))


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
_PLACE = sa.func.row_number().over(partition_by=_t.facet, order_by=(_SHARED.c.shared.desc(), _t.key)).label("place")
_PLACED = (
    sa.select(_t.facet, _t.key, _SHARED.c.shared, _PLACE)
    .join_from(_SHARED, terms, _t.key == _SHARED.c.key)
    .where(_t.facet.in_(sa.bindparam("facets", expanding=True)))
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
