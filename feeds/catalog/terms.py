"""The terms of the catalog: written during a rescan, merged by aliases, and sorted in the order that readers know.

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
from ..database import chunks, insert_rows
from ..database.tables import articles, memberships, spellings, terms
from ..model import FACETS
from ..selections import Aliases
from ..store.search_words import name_words

Spelled = Mapping[str, Sequence[str]]  # facet -> names as written
Member = tuple[int, int, int, int]  # a row of memberships
Place = tuple[str, str]  # facet, folded name


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


class TermWriter:
    """Counts the terms of one rescan, and how many articles spell them how. Call `write` once, at the end.

    Call `prepare` with the names of many articles before the other methods get them one by one, and `flush` before rows that
    refer to terms: both take a few statements, however many terms there are.

    `touched` are the keys of all terms that any counted article has. `first_published` are, after `write`, the terms (facet,
    folded name) that have a feed for the first time.
    """

    def __init__(self, connection: sa.Connection, aliases: Aliases) -> None:
        self.connection, self.aliases = connection, aliases
        self.touched: set[int] = set()
        self.first_published: list[tuple[str, str]] = []
        self._terms: dict[tuple[str, str], _Term] = {}
        self._spelled: dict[tuple[str, str], tuple[_Term, str]] = {}
        self._looked_up: set[Place] = set()
        self._fresh: list[_Term] = []
        last = connection.execute(sa.select(sa.func.max(terms.c.key))).scalar()
        self._next_key, self._is_empty = (last or 0) + 1, last is None

    def forget_counts(self) -> None:
        """Set all counts to zero, because every article will be counted again."""
        self.connection.execute(sa.delete(spellings))
        self.connection.execute(sa.update(terms).values(articles=0))
        for known in (self._terms, self._spelled, self._looked_up):
            known.clear()

    def prepare(self, articles: Iterable[Spelled]) -> None:
        """Look up the terms of all names of some articles."""
        named = ((facet, name) for names in articles for facet, spelled in names.items() for name in spelled)
        self._look_up([self.aliases.key(*pair) for pair in named if pair not in self._spelled])

    def _look_up(self, places: Iterable[Place]) -> None:
        unknown: dict[str, list[str]] = defaultdict(list)
        for facet, folded in set(places) - self._looked_up if not self._is_empty else ():
            unknown[facet].append(folded)
            self._looked_up.add((facet, folded))
        for facet, names in unknown.items():
            for part in chunks(names):
                query = sa.select(terms).where(terms.c.facet == facet, terms.c.folded.in_(part))
                for row in self.connection.execute(query):
                    known = _Term(row.key, facet, row.folded, row.name, row.slug, published=bool(row.feed_path))
                    self._terms[facet, row.folded] = known

    def flush(self) -> None:
        """Insert the rows of new terms."""
        insert_rows(self.connection, terms, [(t.key, t.facet, t.folded, t.name, t.slug, "", 0, "", "") for t in self._fresh])
        self._fresh.clear()

    def join(self, key: int, place: int, names: Spelled) -> list[Member]:
        """Count the names of an article, and return its rows of memberships."""
        self.count(names, +1)
        rows: dict[int, Member] = {}
        for facet, spelled in names.items():
            for rank, name in enumerate(spelled):
                term = self._meaning(facet, name)[0].key
                rows.setdefault(term, (term, place, key, rank))
        return list(rows.values())

    def count(self, names: Spelled, by: int) -> None:
        """Count the names of an article that comes (`by` 1) or goes (`by` -1)."""
        for facet, spelled in names.items():
            met: set[int] = set()
            for name in spelled:
                term, resolved = self._meaning(facet, name)
                term.spelled[resolved] += by
                term.change += 0 if term.key in met else by
                met.add(term.key)
            self.touched |= met

    def keys(self, names: Spelled) -> set[int]:
        """Return the keys of the terms that some names stand for."""
        return {self._meaning(facet, name)[0].key for facet, spelled in names.items() for name in spelled}

    def _meaning(self, facet: str, name: str) -> tuple[_Term, str]:
        """The term that a spelling stands for (made where there is none), and the spelling that counts: an alias's target."""
        if known := self._spelled.get((facet, name)):
            return known
        resolved = self.aliases.resolve(facet, name)
        place = facet, urls.fold(resolved)
        self._look_up([place])
        term = self._terms.get(place)
        if term is None:
            term = self._terms[place] = _Term(self._next_key, *place, resolved, urls.slug(resolved), fresh=True)
            self._next_key += 1
            self._fresh.append(term)
        self._spelled[facet, name] = (term, resolved)
        return term, resolved

    def write(self) -> list[int]:
        """Write counts and commonest spellings; return the keys of the terms that have another name than before."""
        self.flush()
        due = [term for term in self._terms.values() if term.change or any(term.spelled.values())]
        before = self._load_spellings(term.key for term in due if not term.fresh)
        renamed, changes, written = [], [], _Spellings()
        for term in due:
            counts = written.count(term, before.get(term.key, {}))
            best = self.aliases.preferred(term.facet, term.folded)
            if not best:
                # On equal counts the present spelling stays, else the first in code point order.
                most = max(counts.values(), default=0)
                keeps = not counts or counts.get(term.name) == most
                best = term.name if keeps else min(name for name, count in counts.items() if count == most)
            slug = urls.slug(best)
            # The feed's id keeps the first spelling it was published under, whatever becomes commonest later.
            row = {"_key": term.key, "_by": term.change, "_name": best, "_slug": slug, "_first": slug}
            changes.append(row | {"_words": name_words(best)})
            if not term.published:
                term.published = True
                self.first_published.append((term.facet, term.folded))
            if best != term.name:
                renamed.append(term.key)
            term.name, term.slug = best, slug
        if changes:
            self.connection.execute(_COUNT, changes)
        written.write(self.connection)
        return renamed

    def _load_spellings(self, keys: Iterable[int]) -> dict[int, dict[str, int]]:
        """Return, by the keys of terms, how many articles write them how."""
        found: dict[int, dict[str, int]] = defaultdict(dict)
        c = spellings.c
        for part in chunks(keys):
            query = sa.select(c.term_key, c.name, c.articles).where(c.term_key.in_(part))
            for key, name, number in self.connection.execute(query):
                found[key][name] = number
        return found

    def write_words(self) -> None:
        """Write the words of all terms again."""
        c = terms.c
        rows = [{"_key": key, "_words": name_words(name)} for key, name in self.connection.execute(sa.select(c.key, c.name))]
        if rows:
            self.connection.execute(
                sa.update(terms).where(c.key == sa.bindparam("_key")).values(words=sa.bindparam("_words")), rows
            )

    def canonical(self, names: Spelled) -> list[tuple[str, str, str]]:
        """Return (facet, name, slug) facet by facet, in the file's order; two spellings of one term are one."""
        found: dict[int, tuple[str, str, str]] = {}
        for facet in FACETS:
            for name in names.get(facet, ()):
                term = self._meaning(facet, name)[0]
                found.setdefault(term.key, (facet, term.name, term.slug))
        return list(found.values())


#: Add to a term's count, and name it; what its feed's id keeps is set once.
_COUNT = (
    sa.update(terms)
    .where(terms.c.key == sa.bindparam("_key"))
    .values(
        articles=terms.c.articles + sa.bindparam("_by"),
        name=sa.bindparam("_name"),
        slug=sa.bindparam("_slug"),
        words=sa.bindparam("_words"),
        feed_path=sa.case((terms.c.feed_path == "", sa.bindparam("_first", type_=sa.Text)), else_=terms.c.feed_path),
    )
)


@dataclass(frozen=True, slots=True)
class _Spellings:
    """Rows of spellings to write: `gone` are deleted first."""

    gone: list[dict[str, object]] = field(default_factory=list)
    rows: list[tuple[int, str, int]] = field(default_factory=list)

    def count(self, term: _Term, before: Mapping[str, int]) -> dict[str, int]:
        """Note the rows of a term that change; return how many articles write it how from now on."""
        counts = dict(before)
        for name, change in term.spelled.items():
            if change:
                counts[name] = counts.get(name, 0) + change
                if name in before:
                    self.gone.append({"_key": term.key, "_name": name})
                if counts[name] > 0:
                    self.rows.append((term.key, name, counts[name]))
        return {name: count for name, count in counts.items() if count > 0}

    def write(self, connection: sa.Connection) -> None:
        """Write the rows."""
        c = spellings.c
        if self.gone:
            where = (c.term_key == sa.bindparam("_key"), c.name == sa.bindparam("_name"))
            connection.execute(sa.delete(spellings).where(*where), self.gone)
        insert_rows(connection, spellings, self.rows)


# -- ids of feeds that aliases merge ---------------------------------------
#
# Where an alias makes several terms one, the feed keeps the id of the spelling of the term's oldest article. That is decided
# when the aliases change, or with the term's first articles: nothing that is published later changes the id of a feed.


def changed_terms(before: Aliases, after: Aliases) -> Iterator[Place]:
    """Yield the terms that have other merged spellings after a change of the aliases."""
    for facet in sorted(before.names.keys() | after.names.keys()):
        old, new = before.sources(facet), after.sources(facet)
        yield from ((facet, folded) for folded in sorted(old.keys() | new.keys()) if old.get(folded) != new.get(folded))


def write_alias_ids(connection: sa.Connection, aliases: Aliases, changed: Iterable[Place]) -> None:
    """Decide for some terms whose id their feed keeps. Call it when memberships and terms are written."""
    m, t = memberships.c, terms.c
    query = sa.select(t.facet, t.folded).where(t.adopted != "")
    adopting = {(facet, folded) for facet, folded in connection.execute(query)}
    sources = {facet: aliases.sources(facet) for facet in aliases.names}
    for facet, folded in changed:
        merged = sources.get(facet, {}).get(folded, frozenset())
        if not merged and (facet, folded) not in adopting:
            continue  # it has no other names, as nearly all
        where = (t.facet == facet, t.folded == folded)
        names = sa.select(articles.c.names).join(memberships, m.article_key == articles.c.key)
        names = names.where(m.term_key == sa.select(t.key).where(*where).scalar_subquery()).order_by(m.position).limit(1)
        oldest: dict[str, list[str]] = json.loads(connection.execute(names).scalar() or "{}")
        written = {urls.fold(name): name for name in oldest.get(facet, ())}
        adopted = "" if folded in written else min(written.keys() & merged, default="")
        if adopted:
            path = connection.execute(sa.select(t.feed_path).where(t.facet == facet, t.folded == adopted)).scalar()
            # A catalog from scratch has never met the other term by itself: it was called what the oldest article calls it.
            adopted = path or urls.slug(written[adopted])
        connection.execute(sa.update(terms).where(*where).values(adopted=adopted))


# -- collation: Latin letters and Han characters in one alphabet -----------
#
# Han characters are sorted by pinyin, each by its commonest reading, as in the collation of CLDR: a dictionary of phrases would
# take 40 MB in every process that sorts.

OTHER_LETTER = "#"  # the index letter of names that begin with no letter


@lru_cache(maxsize=1)
def _readings() -> Callable[[str], str]:
    """Character -> its syllable and the number of its tone. Loaded only where names are sorted: it takes 13 MB."""
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")  # the library's own switch
    from pypinyin import Style, lazy_pinyin

    return lambda one: str(lazy_pinyin(one, style=Style.TONE3, v_to_u=False)[0])


@lru_cache(maxsize=8192)  # the next sort asks for the same names
def collation_key(name: str) -> tuple[str, str, str]:
    """Return a key that sorts names by letters, then by tones, then as they are written.

    >>> sorted(["中文", "Zig", "安全", "Ada"], key=collation_key)
    ['Ada', '安全', '中文', 'Zig']
    """
    folded = unicodedata.normalize("NFKC", urls.fold(name))
    if folded.isascii():
        return folded, "", name
    letters = tones = ""
    for one in folded:
        bare = unicodedata.normalize("NFD", one)[0]
        if bare.isascii():
            letters += bare
        elif (reading := _readings()(one)).isascii():
            letters, tones = letters + reading.rstrip("12345"), tones + reading[-1]
        else:
            letters += one
    return letters, tones, name


def index_letter(name: str) -> str:
    """Return the letter of the alphabet that a name is found under: A to Z, or OTHER_LETTER."""
    first = collation_key(name)[0][:1].upper()
    return first if first.isascii() and first.isalpha() else OTHER_LETTER
