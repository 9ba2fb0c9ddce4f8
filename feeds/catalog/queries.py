"""What the catalog answers: select articles, resolve and count terms, list quarantine. Reads only; the one door to the library.

`select` is index look-ups: one term's memberships, or all articles, are read in the order of time; what combines terms is
answered from sets of articles (`sets`), at a cost that grows with what is asked for and hardly with what exists.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .. import selections, urls
from ..database.tables import articles, bodies, memberships, quarantine, terms
from ..model import FACETS, Article, Problem, Selection, Term
from ..selections import Aliases, TermKey
from . import bitmaps
from .sort_key import first_of, published_at

HEADINGS = (
    "key",
    "id",
    "position",
    "url",
    "title",
    "summary",
    "published",
    "updated",
    "original",
    "picture",
    "comments",
    "editor_choice",
    "terms",
)


@dataclass(frozen=True, slots=True)
class Clauses:
    """A selection with its names resolved to keys of terms. `never`: a clause names only terms that do not exist."""

    some: tuple[tuple[int, ...], ...] = ()
    none: tuple[int, ...] = ()
    never: bool = False

    @property
    def alone(self) -> bool:
        """One term, and nothing besides."""
        return len(self.some) == 1 and len(self.some[0]) == 1 and not self.none

    @property
    def straight(self) -> bool:
        """One term, or everything: its articles lie in an index in their order."""
        return not self.never and (self.alone or not (self.some or self.none))


def resolve(connection: sa.Connection, aliases: Aliases, selection: Selection) -> Clauses:
    """Return the clauses of a selection by the keys of its terms."""
    wanted = selections.condition(selection, aliases)
    rows = _term_rows(connection, {*wanted.none}.union(*wanted.some))
    some = [tuple(sorted(rows[key].key for key in group if key in rows)) for group in wanted.some]
    if not all(some):
        return Clauses(never=True)
    return Clauses(tuple(some), tuple(sorted(rows[key].key for key in wanted.none if key in rows)))


def _term_rows(connection: sa.Connection, keys: Iterable[TermKey]) -> dict[TermKey, Any]:
    """Rows of `terms` by facet and folded name, without the terms that do not exist."""
    names: dict[str, list[str]] = defaultdict(list)
    for facet, folded in keys:
        names[facet].append(folded)
    found: dict[TermKey, Any] = {}
    for facet, wanted in names.items():
        query = sa.select(terms).where(terms.c.facet == facet, terms.c.folded.in_(wanted))
        found.update({(facet, row.folded): row for row in connection.execute(query)})
    return found


@dataclass(frozen=True, slots=True)
class Respelled:
    """A selection in the catalog's own spellings; in those that ids keep; and the names that are no term (facet, name)."""

    selection: Selection
    lasting: Selection
    unknown: tuple[tuple[str, str], ...]
    known: tuple[Term, ...]


def respell(connection: sa.Connection, aliases: Aliases, selection: Selection) -> Respelled:
    """Return a selection in canonical spellings. Names that are no term (yet) stay as they were typed, in NFC."""
    pairs = selection.pairs()
    rows = _term_rows(connection, {aliases.key(*pair) for pair in pairs})
    known = {pair: _known_term(row) for pair in pairs if (row := rows.get(aliases.key(*pair)))}

    def written(facet: str, name: str) -> str:
        found = known.get((facet, name))
        return found.term.name if found else unicodedata.normalize("NFC", name.strip())

    def lasting(facet: str, name: str) -> str:
        found = known.get((facet, name))
        return found.feed_path.partition("/")[2] if found else urls.slug(name.strip())

    unknown = tuple(pair for pair in pairs if pair not in known)
    found = tuple(known[pair].term for pair in pairs if pair in known)
    return Respelled(selection.renamed(written), selection.renamed(lasting), unknown, found)


def select(
    connection: sa.Connection,
    clauses: Clauses,
    limit: int | None,
    before: int | None = None,
    after: int | None = None,
    *,
    skip: int = 0,
    with_html: bool = True,
) -> list[Article]:
    """The newest `limit` articles; those below position `before` and at or above position `after` if given.

    `skip` leaves out so many of the newest.
    """
    if limit is not None and before is None and after is None and clauses.straight:
        return _newest(connection, clauses, limit, skip, with_html=with_html)
    keys = [key for key, _position in _keys(connection, clauses, limit, before, after, skip=skip)]
    return [found for part in _parts(keys) for found in load(connection, part, with_html=with_html)]


def digests(
    connection: sa.Connection, clauses: Clauses, limit: int | None, before: int | None = None, after: int | None = None
) -> list[tuple[str, int]]:
    """(digest, updated) of what `select` would give: all that decides a feed's bytes, at the cost of no body."""
    keys = [key for key, _position in _keys(connection, clauses, limit, before, after)]
    found: dict[int, tuple[str, int]] = {}
    c = articles.c
    for part in _parts(keys):
        rows = connection.execute(sa.select(c.key, c.digest, c.updated).where(c.key.in_(part)))
        found.update({key: (digest, updated) for key, digest, updated in rows})
    return [found[key] for key in keys]


def between(first: int, end: int) -> tuple[int, int]:
    """`before` and `after` for what was published from `first` to before `end`, in UTC seconds."""
    return first_of(end), first_of(first)


def _parts(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    """As many as a statement may have parameters."""
    return (keys[start : start + 400] for start in range(0, len(keys), 400))


def newest(connection: sa.Connection, clauses: Clauses, before: int | None = None) -> int | None:
    """When the newest article, or the newest published before `before`, was published; all in UTC seconds."""
    found = _keys(connection, clauses, 1, None if before is None else first_of(before), None)
    return published_at(found[0][1]) if found else None


def oldest(connection: sa.Connection, clauses: Clauses, after: int) -> int | None:
    """When the oldest article that was published at or after `after` was published; all in UTC seconds."""
    found = _keys(connection, clauses, 1, None, first_of(after), newest_first=False)
    return published_at(found[0][1]) if found else None


def count(connection: sa.Connection, clauses: Clauses) -> int:
    """How many articles a selection has in all."""
    if clauses.never:
        return 0
    if clauses.alone:
        return int(connection.execute(sa.select(terms.c.articles).where(terms.c.key == clauses.some[0][0])).scalar() or 0)
    if not clauses.some and not clauses.none:
        return int(connection.execute(sa.select(sa.func.count()).select_from(articles)).scalar() or 0)
    return bitmaps.count(connection, bitmaps.members(connection, clauses.some, clauses.none))


def _keys(
    connection: sa.Connection,
    clauses: Clauses,
    limit: int | None,
    before: int | None,
    after: int | None,
    *,
    skip: int = 0,
    newest_first: bool = True,
) -> list[tuple[int, int]]:
    """(key, position), in order of position."""
    if clauses.never:
        return []
    if not clauses.straight:
        found = bitmaps.members(connection, clauses.some, clauses.none)
        most = limit if limit is None else skip + limit
        return bitmaps.window(connection, found, most, before, after, newest_first=newest_first)[skip:]
    m, c = memberships.c, articles.c
    key, position = (m.article_key, m.position) if clauses.alone else (c.key, c.position)
    query = sa.select(key, position)
    query = query.where(m.term_key == clauses.some[0][0]) if clauses.alone else query
    query = query if before is None else query.where(position < before)
    query = query if after is None else query.where(position >= after)
    query = query.limit(limit).offset(skip) if skip else query.limit(limit)
    order = (position.desc(), key) if newest_first else (position, key)
    return [(found, place) for found, place in connection.execute(query.order_by(*order))]


# Built once: putting them together takes SQLAlchemy as long as SQLite needs for the answer.
_HEADINGS = sa.select(*(articles.c[name] for name in HEADINGS)).where(articles.c.key.in_(sa.bindparam("keys", expanding=True)))
_WHOLE = _HEADINGS.add_columns(bodies.c.html).join_from(articles, bodies, bodies.c.article_key == articles.c.key)


def _window_of(key: sa.Column[int], position: sa.Column[int], *where: sa.ColumnElement[bool]) -> dict[bool, sa.Select[Any]]:
    """The newest articles with and without bodies, as one question: what is known of so few rows needs no plan of its own."""
    rows = sa.select(key.label("key"), position.label("position")).where(*where).order_by(position.desc(), key)
    window = rows.limit(sa.bindparam("limit", type_=sa.Integer, literal_execute=True)).offset(sa.bindparam("skip")).subquery()
    found = sa.select(*(articles.c[name] for name in HEADINGS)).join_from(window, articles, articles.c.key == window.c.key)
    found = found.order_by(window.c.position.desc(), window.c.key)
    return {True: found.add_columns(bodies.c.html).join(bodies, bodies.c.article_key == articles.c.key), False: found}


_NEWEST = _window_of(articles.c.key, articles.c.position)
_NEWEST_OF = _window_of(memberships.c.article_key, memberships.c.position, memberships.c.term_key == sa.bindparam("term"))


def _newest(connection: sa.Connection, clauses: Clauses, limit: int, skip: int, *, with_html: bool) -> list[Article]:
    """What of a term, or of everything, `limit` articles are after the `skip` newest."""
    query = (_NEWEST_OF if clauses.some else _NEWEST)[with_html]
    given = {"term": clauses.some[0][0]} if clauses.some else {}
    rows = connection.execute(query, {**given, "limit": limit, "skip": skip}).all()
    return [_article(row, row.html if with_html else "") for row in rows]


def load(connection: sa.Connection, keys: Sequence[int], *, with_html: bool = True) -> list[Article]:
    """Articles by key, in the order of `keys`."""
    if not keys:
        return []
    rows = connection.execute(_WHOLE if with_html else _HEADINGS, {"keys": list(keys)}).all()
    found = {row.key: _article(row, row.html if with_html else "") for row in rows}
    return [found[key] for key in keys if key in found]


def _article(row: Any, html: str) -> Article:
    return Article(
        id=row.id,
        position=row.position,
        url=row.url,
        title=row.title,
        summary=row.summary,
        html=html,
        published=instant(row.published),
        updated=instant(row.updated),
        original=row.original,
        picture=row.picture,
        comments=row.comments,
        editor_choice=bool(row.editor_choice),
        terms=tuple(Term(*term) for term in json.loads(row.terms)),
    )


def keys(connection: sa.Connection, clauses: Clauses) -> list[int]:
    """All articles of a selection, newest first."""
    return [key for key, _position in _keys(connection, clauses, None, None, None)]


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def key_of(connection: sa.Connection, id: str) -> int | None:
    """The key of the article with this id."""
    return connection.execute(sa.select(articles.c.key).where(articles.c.id == id)).scalar()


def article(connection: sa.Connection, id: str) -> Article | None:
    key = key_of(connection, id)
    return next(iter(load(connection, [key])), None) if key is not None else None


def url_of(connection: sa.Connection, permalink: str) -> str:
    """Where the article with this permalink is published; "" if there is none."""
    c = articles.c
    query = sa.select(c.url).where(c.permalink == permalink).order_by(c.position.desc()).limit(1)
    return str(connection.execute(query).scalar() or "")


def news(
    connection: sa.Connection,
    after: int,
    until: int,
    arrival: int | None = None,
    limit: int | None = None,
    *,
    settled: int | None = None,
) -> list[Article]:
    """Headings of what became available in (after, until] (UTC seconds), or came with a rescan later than `arrival`.

    The editor's choice first, then the newest; of more than `limit`, those that came last. `settled`: only what came with that
    rescan or before.
    """
    c = articles.c
    new = sa.and_(c.available > after, c.available <= until)
    if arrival is not None:
        new = sa.or_(new, sa.and_(c.arrival > arrival, c.available <= until))
    if settled is not None:
        new = sa.and_(new, c.arrival <= settled)
    latest = sa.select(c.key, c.editor_choice, c.position).where(new).order_by(c.available.desc(), c.position.desc())
    found = connection.execute(latest.limit(limit)).all()
    keys = [row.key for row in sorted(found, key=lambda row: (not row.editor_choice, -row.position))]
    return [
        article
        for start in range(0, len(keys), 400)
        for article in load(connection, keys[start : start + 400], with_html=False)
    ]


def first_arrival(connection: sa.Connection, after: int, until: int, arrival: int) -> int | None:
    """The first rescan later than `arrival` with an article that becomes available in (after, until] (UTC seconds)."""
    c = articles.c
    query = sa.select(sa.func.min(c.arrival)).where(c.available > after, c.available <= until, c.arrival > arrival)
    return connection.execute(query).scalar()


# -- terms -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KnownTerm:
    """A term with its row's key and the path that its feed's id keeps."""

    key: int
    term: Term
    feed_path: str


def _known_term(row: Any) -> KnownTerm:
    path = f"{FACETS[row.facet].plural}/{row.adopted or row.feed_path}"
    return KnownTerm(row.key, Term(row.facet, row.name, row.slug, row.articles), path)


_TERM = sa.select(terms).where(
    terms.c.facet == sa.bindparam("facet"), terms.c.slug == sa.bindparam("slug"), terms.c.articles > 0
)


def term_at(connection: sa.Connection, aliases: Aliases, facet: str, segment: str) -> KnownTerm | None:
    """The term that an address means, in any spelling: by its slug, else by its folded or aliased name."""
    exact = connection.execute(_TERM, {"facet": facet, "slug": segment}).first()
    if exact is not None:
        return _known_term(exact)
    keys = [aliases.key(facet, name) for name in (urls.unslug(segment), segment)]
    rows = _term_rows(connection, set(keys))
    return next((_known_term(rows[key]) for key in keys if key in rows), None)


def terms_of(connection: sa.Connection, facet: str, min_articles: int = 1, limit: int | None = None) -> list[KnownTerm]:
    """The terms of a facet, most used first."""
    query = sa.select(terms).where(terms.c.facet == facet, terms.c.articles >= min_articles)
    query = query.order_by(terms.c.articles.desc(), terms.c.folded)
    return [_known_term(row) for row in connection.execute(query.limit(limit) if limit else query)]


def terms_by_key(connection: sa.Connection, keys: Iterable[int]) -> list[KnownTerm]:
    wanted = sorted(keys)
    found: list[KnownTerm] = []
    for start in range(0, len(wanted), 400):
        query = sa.select(terms).where(terms.c.key.in_(wanted[start : start + 400]))
        found += [_known_term(row) for row in connection.execute(query)]
    return found


def term_counts(connection: sa.Connection) -> Mapping[str, int]:
    """How many terms in use each facet has."""
    query = sa.select(terms.c.facet, sa.func.count()).where(terms.c.articles > 0).group_by(terms.c.facet)
    return {facet: number for facet, number in connection.execute(query)}


def similar(connection: sa.Connection, facet: str, name: str, limit: int = 8) -> list[Term]:
    """Terms whose name has something of a name that does not exist: for a 404 that helps."""
    folded = urls.fold(name)
    if not folded:
        return []
    query = sa.select(terms).where(terms.c.facet == facet, terms.c.articles > 0)
    query = query.where(
        terms.c.folded.contains(folded[:20], autoescape=True) | terms.c.folded.startswith(folded[0], autoescape=True)
    )
    return [_known_term(row).term for row in connection.execute(query.order_by(terms.c.articles.desc()).limit(limit))]


def containing(connection: sa.Connection, facet: str, folded: str, limit: int | None) -> list[Term]:
    """Terms in use that have `folded` in their folded name, most used first."""
    query = sa.select(terms).where(terms.c.facet == facet, terms.c.articles > 0)
    query = query.where(terms.c.folded.contains(folded, autoescape=True)).order_by(terms.c.articles.desc(), terms.c.folded)
    return [_known_term(row).term for row in connection.execute(query.limit(limit))]


def problems(connection: sa.Connection) -> list[Problem]:
    """Quarantine, by path."""
    c = quarantine.c
    rows = connection.execute(sa.select(c.path, c.line, c.column, c.reason, c.kind).order_by(c.path))
    return [Problem(*row) for row in rows]
