"""The terms of the catalog during one rescan: what a spelling means, how many articles write it how, what a term is called.

Counts are kept by differences, so that one changed article costs the same in a catalog of any size.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import sqlalchemy as sa

from .. import urls
from ..database.tables import articles, memberships, spellings, terms
from ..model import FACETS
from ..selections import Aliases

Spelled = Mapping[str, Sequence[str]]  # facet -> names as written
Member = tuple[int, int, int, int]  # a row of memberships


@dataclass(slots=True)
class _Term:
    """`fresh`: made by this rescan, so that no spelling of it is written yet; `published`: its feed has an id."""

    key: int
    facet: str
    folded: str
    name: str
    slug: str
    fresh: bool = False
    published: bool = False
    change: int = 0
    spelled: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Vocabulary:
    """`touched` are the keys of all terms that any counted article has. Call `settle` once, at the end.

    `first_published` are then the terms (facet, folded name) that have a feed for the first time.
    """

    def __init__(self, connection: sa.Connection, aliases: Aliases) -> None:
        self.connection, self.aliases = connection, aliases
        self.touched: set[int] = set()
        self.first_published: list[tuple[str, str]] = []
        self._terms: dict[tuple[str, str], _Term] = {}
        self._spelled: dict[tuple[str, str], tuple[_Term, str]] = {}
        self._new_spellings: list[dict[str, object]] = []
        self._is_empty = connection.execute(sa.select(terms.c.key).limit(1)).first() is None

    def forget_counts(self) -> None:
        """Begin from nothing: every article is counted anew."""
        self.connection.execute(sa.delete(spellings))
        self.connection.execute(sa.update(terms).values(articles=0))
        self._terms.clear()
        self._spelled.clear()

    def join(self, key: int, place: int, names: Spelled) -> list[Member]:
        self.count(names, +1)
        rows: dict[int, Member] = {}
        for facet, spelled in names.items():
            for rank, name in enumerate(spelled):
                term = self.term(facet, name)
                rows.setdefault(term.key, (term.key, place, key, rank))
        return list(rows.values())

    def count(self, names: Spelled, by: int) -> None:
        for facet, spelled in names.items():
            met: set[int] = set()
            for name in spelled:
                term, resolved = self._meaning(facet, name)
                term.spelled[resolved] += by
                if term.key not in met:
                    term.change += by
                met.add(term.key)
            self.touched |= met

    def term(self, facet: str, name: str) -> _Term:
        return self._meaning(facet, name)[0]

    def _meaning(self, facet: str, name: str) -> tuple[_Term, str]:
        """The term that a spelling stands for, and the spelling that counts (an alias counts as its target)."""
        known = self._spelled.get((facet, name))
        if known is None:
            resolved = self.aliases.resolve(facet, name)
            place = (facet, urls.fold(resolved))
            if place not in self._terms:
                self._terms[place] = self._find(*place) or self._make(*place, resolved)
            known = self._spelled[facet, name] = (self._terms[place], resolved)
        return known

    def _find(self, facet: str, folded: str) -> _Term | None:
        if self._is_empty:  # whatever is there by now is in `_terms`
            return None
        query = sa.select(terms).where(terms.c.facet == facet, terms.c.folded == folded)
        row = self.connection.execute(query).first()
        return _Term(row.key, facet, folded, row.name, row.slug, published=bool(row.feed_path)) if row else None

    def _make(self, facet: str, folded: str, name: str) -> _Term:
        slug = urls.slug(name)
        row = {"facet": facet, "folded": folded, "name": name, "slug": slug, "feed_path": "", "articles": 0}
        made = self.connection.execute(sa.insert(terms).values(row)).inserted_primary_key
        assert made is not None
        return _Term(made[0], facet, folded, name, slug, fresh=True)

    def settle(self) -> list[int]:
        """Write counts and commonest spellings; the keys of the terms that are called otherwise now."""
        renamed = [term.key for term in self._terms.values() if self._settle(term)]
        if self._new_spellings:
            self.connection.execute(sa.insert(spellings), self._new_spellings)
            self._new_spellings = []
        return renamed

    def _settle(self, term: _Term) -> bool:
        """Returns whether the canonical spelling changed."""
        if not term.change and not any(term.spelled.values()):
            return False
        counts = self._respell(term)
        best = self.aliases.preferred(term.facet, term.folded) or _commonest(counts, term.name)
        slug = urls.slug(best)
        values: dict[str, object] = {"articles": terms.c.articles + term.change, "name": best, "slug": slug}
        if not term.published:
            # The feed's id keeps the first spelling it was published under, whatever becomes commonest later.
            values["feed_path"], term.published = slug, True
            self.first_published.append((term.facet, term.folded))
        self.connection.execute(sa.update(terms).where(terms.c.key == term.key).values(values))
        flipped = best != term.name
        term.name, term.slug = best, slug
        return flipped

    def _respell(self, term: _Term) -> dict[str, int]:
        c = spellings.c
        query = sa.select(c.name, c.articles).where(c.term_key == term.key)
        counts: dict[str, int] = {} if term.fresh else {name: count for name, count in self.connection.execute(query)}
        for name, change in term.spelled.items():
            before, after = counts.get(name, 0), counts.get(name, 0) + change
            counts[name] = after
            where = (c.term_key == term.key, c.name == name)
            if after <= 0:
                self.connection.execute(sa.delete(spellings).where(*where))
            elif name in counts and before:
                self.connection.execute(sa.update(spellings).where(*where).values(articles=after))
            else:
                self._new_spellings.append({"term_key": term.key, "name": name, "articles": after})
        return {name: count for name, count in counts.items() if count > 0}

    def canonical(self, names: Spelled) -> list[tuple[str, str, str]]:
        """Facet by facet, in the file's order; two spellings of one term are one."""
        found: dict[int, tuple[str, str, str]] = {}
        for facet in FACETS:
            for name in names.get(facet, ()):
                term = self.term(facet, name)
                found.setdefault(term.key, (facet, term.name, term.slug))
        return list(found.values())


def _commonest(counts: Mapping[str, int], current: str) -> str:
    """On equal counts the present spelling stays, else the first in code point order."""
    if not counts:
        return current
    most = max(counts.values())
    return current if counts.get(current) == most else min(name for name, count in counts.items() if count == most)


# Whose feed a term goes on with where an alias has made several terms one: that of the spelling that was published first.
#
# Which one that is, the term's oldest article says. It is decided when the aliases change, or with the term's first
# articles, and
# then kept: nothing that is published later changes the id of a feed.

Place = tuple[str, str]  # facet, folded name


def differing(before: Aliases, after: Aliases) -> Iterator[Place]:
    """The terms that other spellings belong to now than before."""
    for facet in sorted(before.names.keys() | after.names.keys()):
        old, new = before.sources(facet), after.sources(facet)
        yield from ((facet, folded) for folded in sorted(old.keys() | new.keys()) if old.get(folded) != new.get(folded))


def settle(connection: sa.Connection, aliases: Aliases, due: Iterable[Place]) -> None:
    """Decide for some terms. Call it when memberships and terms are written."""
    query = sa.select(terms.c.facet, terms.c.folded).where(terms.c.adopted != "")
    adopting = {(facet, folded) for facet, folded in connection.execute(query)}
    sources = {facet: aliases.sources(facet) for facet in aliases.names}
    for facet, folded in due:
        if folded not in sources.get(facet, {}) and (facet, folded) not in adopting:
            continue  # it has no other names, as nearly all
        term = connection.execute(sa.select(terms).where(terms.c.facet == facet, terms.c.folded == folded)).first()
        if term is not None:
            adopted = _adopted(connection, aliases, term.key, facet, folded)
            connection.execute(sa.update(terms).where(terms.c.key == term.key).values(adopted=adopted))


def _adopted(connection: sa.Connection, aliases: Aliases, key: int, facet: str, folded: str) -> str:
    """The first slug of the term whose feed goes on, "" for the term's own."""
    sources = aliases.sources(facet).get(folded, frozenset())
    written = {urls.fold(name): name for name in _oldest(connection, key).get(facet, ())}
    candidates = sorted(written.keys() & sources)
    if folded in written or not candidates:
        return ""
    eldest = candidates[0]
    query = sa.select(terms.c.feed_path).where(terms.c.facet == facet, terms.c.folded == eldest)
    # A catalog made anew has never met the other term by itself: it was called what the oldest article calls it.
    return str(connection.execute(query).scalar() or urls.slug(written[eldest]))


def _oldest(connection: sa.Connection, key: int) -> dict[str, list[str]]:
    """The names of the term's oldest article, as they are written."""
    query = (
        sa.select(articles.c.names)
        .join(memberships, memberships.c.article_key == articles.c.key)
        .where(memberships.c.term_key == key)
        .order_by(memberships.c.position)
        .limit(1)
    )
    found: dict[str, list[str]] = json.loads(connection.execute(query).scalar() or "{}")
    return found


# The order of names that people know: Latin letters and Han characters in one alphabet, Han characters by their pinyin.
#
# Each character has its commonest reading, as in the collation of CLDR: how a word is really read would take a dictionary of
# phrases, forty megabytes in every process that sorts.

#: Where names are found that begin with no letter.
OTHER = "#"


@lru_cache(maxsize=1)
def _readings() -> Callable[[str], str]:
    """Character -> its syllable and the number of its tone. Loaded only where names are sorted: it takes 13 MB."""
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")  # the library's own switch
    from pypinyin import Style, lazy_pinyin

    return lambda one: str(lazy_pinyin(one, style=Style.TONE3, v_to_u=False)[0])


@lru_cache(maxsize=8192)  # the next sort asks for the same names
def key(name: str) -> tuple[str, str, str]:
    """Sorts names: by letters, then by tones, then as they are written."""
    folded = unicodedata.normalize("NFKC", urls.fold(name))
    if folded.isascii():
        return folded, "", name
    spelled = [_spelled(one) for one in folded]
    return "".join(letters for letters, _tone in spelled), "".join(tone for _letters, tone in spelled), name


def _spelled(one: str) -> tuple[str, str]:
    """A character's letters, and its tone where it is a Han character."""
    if one.isascii():
        return one, ""
    bare = unicodedata.normalize("NFD", one)[0]
    if bare.isascii():
        return bare, ""
    reading = _readings()(one)
    return (reading.rstrip("12345"), reading[-1]) if reading.isascii() else (one, "")


def initial(name: str) -> str:
    """The letter of the alphabet that a name is found under: A to Z, or OTHER."""
    first = key(name)[0][:1].upper()
    return first if first.isascii() and first.isalpha() else OTHER
