"""Related articles, of one or of all: then from a snapshot that is updated at the cost of what changed.

An article is related to those that share with it what few have: series, tags, words of the title, words of the summary that
stand in other titles; author, site of the original and, last, translator add little. What is shared counts by how rare it is.
Only sets, numbers and positions decide, so that the static site needs no query for each article.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa
from pyroaring import BitMap

from ..database import chunks, fetch_rows
from ..database.tables import articles, memberships, sets, terms
from . import bitmaps, subjects
from .bitmaps import SPAN, SUBJECT, TERM, WORD, span_of

#: How many related articles are named, at most; and where nothing is closer than by a tag that many have.
MOST, DISTANT = 4, 2
#: What it counts for to share a term: a series says more than a tag, and a translator nearly nothing.
WEIGHTS: Mapping[str, int] = {"series": 24, "tag": 16, "author": 4, "translator": 1}
#: The facets that name what an article is about.
_ABOUT = ("series", "tag")
#: What it counts for to share a word of the title, one of the summary that is in the other's title, the site of the original. A
#: subject in Han characters is several pairs.
WORD_WEIGHTS: Mapping[int, int] = {
    subjects.TITLE: 10,
    subjects.SUMMARY: 5,
    subjects.SITE: 2,
    subjects.TITLE + subjects.PAIR: 7,
    subjects.SUMMARY + subjects.PAIR: 3,
}
#: What more articles have finds none by itself: only together with something else that so many have, or near in time.
LARGE = 128
#: When so many are found, what is commoner only ranks them.
ENOUGH = 32


class Shared(NamedTuple):
    """Something that articles have: what it counts for, the keys of all that have it, whether it is the name of a subject."""

    value: int
    members: BitMap
    named: bool


def shared_value(weight: int, total: int, number: int) -> int:
    """Return what it counts for to share what `number` of `total` articles have: the rarer the more, 0 if it is common. Pure.

    >>> [shared_value(1, 1000, number) for number in (2, 32, 180, 1000)]
    [26, 10, 1, 0]
    """
    return weight * max(0, 3 * total.bit_length() - int(4 * math.log2(number))) if number else 0


def least_score(total: int) -> int:
    """Return the score of what is related: of a tag that five of a thousand have, or of several lesser things. Pure."""
    return 38 * (total.bit_length() - 1)


def relate(
    key: int,
    position: int,
    total: int,
    shared: Sequence[Shared],
    near: Callable[[], BitMap],
    positions: Callable[[Collection[int]], Mapping[int, int]],
) -> tuple[int, ...]:
    """Return the keys of the articles related to the one at `position`, of `total`. `shared`: what counts most first. Pure.

    `near` returns the articles of the weeks before and after, `positions` those of some keys.
    """
    least = least_score(total)
    scores = score_related(key, shared, least, near)
    highest = max(scores.values(), default=0)
    if highest >= least:
        return pick_related(scores, MOST, max(least, highest // 2), position, positions)
    return pick_related(score_related(key, [one for one in shared if one.named], 0, near), DISTANT, 1, position, positions)


def score_related(key: int, shared: Sequence[Shared], least: int, near: Callable[[], BitMap]) -> dict[int, int]:
    """Return the scores of articles by their keys. Pure."""
    scores: dict[int, int] = {}
    later: list[Shared] = []
    last = 0
    for one in shared:
        if len(one.members) > LARGE or (len(scores) > ENOUGH and one.value < last):
            later.append(one)
            continue
        last = one.value  # all that counts the same is looked at: its order means nothing
        for other in one.members:
            scores[other] = scores.get(other, 0) + last
    found = BitMap(scores)
    if len(scores) <= ENOUGH:  # the others have in common only what is common
        large = [one for one in later if len(one.members) > LARGE]
        for one, two in itertools.combinations(large, 2):
            if one.value + two.value >= least and one.members.intersection_cardinality(two.members) <= LARGE:
                found |= one.members & two.members
        if len(found) <= MOST and large:
            found |= BitMap().union(*(one.members for one in large)) & near()
        scores |= dict.fromkeys(found - BitMap(scores), 0)
    for one in later:
        for other in one.members & found:
            scores[other] += one.value
    scores.pop(key, None)
    return scores


def pick_related(
    scores: Mapping[int, int],
    most: int,
    least: int,
    position: int,
    positions: Callable[[Collection[int]], Mapping[int, int]],
) -> tuple[int, ...]:
    """Return the `most` keys with the highest scores from `least` on, of equals those that were published nearest. Pure.

    >>> pick_related({1: 9, 2: 9, 3: 5, 4: 8, 5: 7, 6: 7}, 4, 6, 10, lambda keys: {key: key for key in keys})
    (2, 1, 4, 6)
    """
    lowest = max(least, *heapq.nlargest(most, scores.values())[-1:], 0)
    best = [key for key, score in scores.items() if score >= lowest]
    told_apart = len({scores[key] for key in best}) == len(best)
    places = dict.fromkeys(best, position) if told_apart else positions(best)
    return tuple(sorted(best, key=lambda key: (-scores[key], abs(places[key] - position), -places[key]))[:most])


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
    """Return keys of the articles related to one, the closest first."""
    rows = [(facet, BitMap.deserialize(data)) for facet, data in connection.execute(_OWN_TERMS, {"article": key}).all()]
    packed, total = connection.execute(_OWN_WORDS, {"article": key}).one()
    numbers = subjects.unpack(packed or b"")
    having = bitmaps.load(connection, WORD, {subjects.listed(number) for number in numbers})
    found = [_term(facet, total, members) for facet, members in rows if facet in WEIGHTS]
    found += [_word(number, total, having[of]) for number in numbers if (of := subjects.listed(number)) in having]
    ordered = sorted((one for one in found if one.value), key=lambda one: -one.value)
    shared = within(ordered, [members for facet, members in rows if facet not in WEIGHTS])

    def near() -> BitMap:
        return BitMap().union(*bitmaps.load(connection, SPAN, around(position)).values())

    return relate(key, position, total, shared, near, functools.partial(bitmaps.positions_of, connection))


def _term(facet: str, total: int, members: BitMap) -> Shared:
    return Shared(shared_value(WEIGHTS[facet], total, len(members)), members, facet in _ABOUT)


def _word(number: int, total: int, members: BitMap) -> Shared:
    return Shared(shared_value(WORD_WEIGHTS[number % 8], total, len(members)), members, False)


def within(shared: Sequence[Shared], languages: Sequence[BitMap]) -> Sequence[Shared]:
    """Return what is shared with articles of the same language, where an article's is known: all articles of its languages."""
    if not languages:
        return shared
    same = BitMap().union(*languages)
    return [one._replace(members=one.members & same) for one in shared]


def around(position: int) -> list[int]:
    """Return the spans of time that are near a position."""
    return [span_of(position) + step for step in (-1, 0, 1)]


def adjacent_articles(connection: sa.Connection, position: int) -> tuple[int | None, int | None]:
    """Return keys of the articles published before and after a position, of all."""
    older, newer = (connection.execute(query, {"position": position}).scalar() for query in _ADJACENT)
    return older, newer


# Built once, as in `queries`.
_m, _t, _c = memberships.c, terms.c, articles.c
_AT = sa.bindparam("position", type_=sa.BigInteger)
_SHARED_KEY = sa.select(_c.translation).where(_c.key == sa.bindparam("article")).scalar_subquery()
_TRANSLATIONS = sa.select(_c.key, _c.language).where(_c.translation == _SHARED_KEY, _c.translation != sa.literal_column("''"))
_FACETS: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{facet}'") for facet in (*WEIGHTS, "language")]
#: Facet and articles of each term of an article that relates it to others, or says which language it is in.
_OWN_TERMS = (
    sa.select(_t.facet, sets.c.data)
    .join_from(memberships, terms, _t.key == _m.term_key)
    .join(sets, sa.and_(sets.c.kind == TERM, sets.c.key == _t.key))
    .where(_m.article_key == sa.bindparam("article"), _t.facet.in_(_FACETS))
)
#: The numbers of an article, and how many articles there are.
_OWN_WORDS = sa.select(
    sa.select(sets.c.data).where(sets.c.kind == SUBJECT, sets.c.key == sa.bindparam("article")).scalar_subquery(),
    sa.select(sa.func.count()).select_from(articles).scalar_subquery(),
)
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


class _Holders(NamedTuple):
    """What some articles share, and who asks for it: those that have it, or a word of titles in their summaries."""

    shared: Shared
    keys: list[int]


@dataclass(eq=False)
class RelatedArticles:
    """`by_article`: keys of related articles by the key of an article, as `related_articles` finds them."""

    by_article: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _words: _Words = field(default_factory=lambda: _Words())
    _holders: dict[tuple[str, int], _Holders] = field(default_factory=dict)
    _languages: dict[int, BitMap] = field(default_factory=dict)
    _spans: dict[int, BitMap] = field(default_factory=dict)
    _positions: dict[int, int] = field(default_factory=dict)

    def refresh(self, connection: sa.Connection, snapshot: Snapshot) -> None:
        """Follow a snapshot of the same state of the catalog: what shares nothing with what changed is not looked at again."""
        positions = {key: heading.position for key, heading in snapshot.articles.items()}
        facets = {term: facet for term, facet in connection.execute(_RELATING)}
        languages = {term: BitMap(snapshot.members.get(term, ())) for term, facet in facets.items() if facet not in WEIGHTS}
        holders = _of_terms(snapshot, facets) | self._words.follow(connection, len(positions))
        spans = _by_span(positions)
        affected = self._affected(holders, languages, spans, positions)
        own: dict[int, list[Shared]] = defaultdict(list)
        for one, keys in sorted(holders.values(), key=lambda row: -row.shared.value):
            for key in affected.intersection(keys):
                own[key].append(one)
        before, self.by_article = self.by_article, {}
        for key, position in positions.items():
            if key not in affected:
                self.by_article[key] = before[key]
                continue
            shared = within(own[key], [members for members in languages.values() if key in members])
            near = functools.partial(_near, spans, position)
            self.by_article[key] = relate(key, position, len(positions), shared, near, lambda _keys: positions)
        self._holders, self._languages, self._spans, self._positions = holders, languages, spans, positions

    def _affected(
        self,
        holders: Mapping[tuple[str, int], _Holders],
        languages: Mapping[int, BitMap],
        spans: Mapping[int, BitMap],
        positions: Mapping[int, int],
    ) -> set[int]:
        """Return the articles that may be related to others than before: all, where their number has another length."""
        if len(self._positions).bit_length() != len(positions).bit_length():
            return set(positions)
        moved, nothing = BitMap(key for key, place in positions.items() if self._positions.get(key) != place), BitMap()
        for term in languages.keys() | self._languages:
            moved |= languages.get(term, nothing) ^ self._languages.get(term, nothing)
        found = set(moved)
        for of in holders.keys() | self._holders:
            before, now = self._holders.get(of), holders.get(of)
            if before is None or now is None or before != now or now.shared.members.intersect(moved):
                found.update(*(row.keys for row in (before, now) if row is not None))
        for span in spans.keys() | self._spans:
            if spans.get(span) != self._spans.get(span) or not moved.isdisjoint(spans[span]):
                found.update(*(spans.get(span + step, ()) for step in (-1, 0, 1)))
        return found.intersection(positions)


_RELATING = sa.select(_t.key, _t.facet).where(_t.facet.in_(_FACETS), _t.articles > 0)
_SUBJECTS = sa.select(sets.c.key, sets.c.data).where(sets.c.kind == sa.literal_column(f"'{SUBJECT}'")).order_by(sets.c.key)


def _of_terms(snapshot: Snapshot, facets: Mapping[int, str]) -> dict[tuple[str, int], _Holders]:
    """What articles share as terms, by their keys."""
    total, found = len(snapshot.articles), {}
    for term, facet in facets.items():
        keys = snapshot.members.get(term, [])
        if facet in WEIGHTS and len(keys) > 1:
            found[TERM, term] = _Holders(_term(facet, total, BitMap(keys)), keys)
    return {of: row for of, row in found.items() if row.shared.value}


@dataclass(eq=False)
class _Words:
    """What articles share as words and sites. `_numbers`: of each article, as stored; `_having`: articles by number."""

    _total: int = 0
    _numbers: dict[int, bytes] = field(default_factory=dict)
    _having: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _holders: dict[tuple[str, int], _Holders] = field(default_factory=dict)

    def follow(self, connection: sa.Connection, total: int) -> dict[tuple[str, int], _Holders]:
        """Read what changed; what did not is the same object as before."""
        numbers = dict(fetch_rows(connection, _SUBJECTS))
        touched: set[int] = set()
        for key in numbers.keys() | self._numbers.keys():
            before, now = self._numbers.get(key, b""), numbers.get(key, b"")
            if before != now:
                had, has = set(subjects.unpack(before)), set(subjects.unpack(now))
                for number in had - has:
                    self._having[number].remove(key)
                for number in has - had:
                    self._having[number].append(key)
                touched |= had ^ has
        if self._total.bit_length() != total.bit_length():
            touched = set(self._having)
        touched |= {subjects.asked(number) for number in touched}.intersection(self._having)
        holders = dict(self._holders)
        members = {number: BitMap(self._having.get(number, ())) for number in set(map(subjects.listed, touched))}
        for number in touched:
            named = members[subjects.listed(number)]
            one = _Holders(_word(number, total, named), list(self._having[number]))
            if one.keys and one.shared.value and (len(named) > 1 or subjects.listed(number) != number):
                holders[WORD, number] = one
            else:
                holders.pop((WORD, number), None)
        self._total, self._numbers, self._holders = total, numbers, holders
        return holders


def _by_span(positions: Mapping[int, int]) -> dict[int, BitMap]:
    found: dict[int, list[int]] = defaultdict(list)
    for key, position in positions.items():
        found[span_of(position)].append(key)
    return {span: BitMap(keys) for span, keys in found.items()}


def _near(spans: Mapping[int, BitMap], position: int) -> BitMap:
    return BitMap().union(*(spans[span] for span in around(position) if span in spans))
