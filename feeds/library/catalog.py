"""What the catalog answers: select articles, resolve and count terms, list quarantine. Reads only; the one door to the library.

`select` is index look-ups: it walks the memberships of the rarest group that a selection names, newest first, and tests the
other clauses on each article met, so it ends as soon as it has enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .. import addresses
from ..database import articles, bodies, memberships, quarantine, terms
from ..model import FACETS, Article, Problem, Selection, Term
from .vocabulary import Names

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


def resolve(connection: sa.Connection, names: Names, selection: Selection) -> Clauses:
    """Groups of `some` must each hold (any of the group), the rarest first."""
    groups: list[tuple[int, tuple[int, ...]]] = []
    wanted = [(facet, tuple(found)) for facet, found in selection.any.items()]
    wanted += [(facet, (name,)) for facet, found in selection.all.items() for name in found]
    for facet, spelled in wanted:
        rows = _terms_named(connection, names, facet, spelled)
        if not rows:
            return Clauses(never=True)
        groups.append((sum(row.articles for row in rows), tuple(sorted(row.key for row in rows))))
    none = [row.key for facet, found in selection.none.items() for row in _terms_named(connection, names, facet, found)]
    return Clauses(tuple(keys for _size, keys in sorted(groups)), tuple(sorted(none)))


def _terms_named(connection: sa.Connection, names: Names, facet: str, spelled: Iterable[str]) -> Sequence[Any]:
    folded = {addresses.fold(names.resolve(facet, name.strip())) for name in spelled}
    return connection.execute(sa.select(terms).where(terms.c.facet == facet, terms.c.folded.in_(folded))).all()


def select(
    connection: sa.Connection, clauses: Clauses, limit: int, before: int | None = None, *, with_html: bool = True
) -> list[Article]:
    """The newest `limit` articles, those below position `before` if given."""
    keys = [key for key, _position in _keys(connection, clauses, limit, before)]
    return load(connection, keys, with_html=with_html)


def digests(connection: sa.Connection, clauses: Clauses, limit: int) -> list[tuple[str, int]]:
    """(digest, updated) of what `select` would give: all that decides a feed's bytes, at the cost of no body."""
    keys = [key for key, _position in _keys(connection, clauses, limit, None)]
    c = articles.c
    rows = connection.execute(sa.select(c.key, c.digest, c.updated).where(c.key.in_(keys)))
    found = {key: (digest, updated) for key, digest, updated in rows}
    return [found[key] for key in keys]


def count(connection: sa.Connection, clauses: Clauses) -> int:
    """How many articles a selection has in all."""
    if clauses.never:
        return 0
    if len(clauses.some) == 1 and len(clauses.some[0]) == 1 and not clauses.none:
        return int(connection.execute(sa.select(terms.c.articles).where(terms.c.key == clauses.some[0][0])).scalar() or 0)
    if not clauses.some:
        query = sa.select(sa.func.count()).select_from(articles).where(*_tests(articles.c.key, (), clauses.none))
    else:
        driver, *others = clauses.some
        column = memberships.c.article_key
        query = sa.select(sa.func.count(sa.distinct(column))).where(
            memberships.c.term_key.in_(driver), *_tests(column, others, clauses.none)
        )
    return int(connection.execute(query).scalar() or 0)


def _keys(connection: sa.Connection, clauses: Clauses, limit: int, before: int | None) -> list[tuple[int, int]]:
    if clauses.never:
        return []
    if not clauses.some:
        query = _bounded(sa.select(articles.c.key, articles.c.position), articles.c.position, limit, before)
        return [(key, place) for key, place in connection.execute(query.where(*_tests(articles.c.key, (), clauses.none)))]
    driver, *others = clauses.some
    found: dict[int, int] = {}
    for term in driver:
        m = memberships.c
        query = _bounded(sa.select(m.article_key, m.position).where(m.term_key == term), m.position, limit, before)
        found.update(
            (key, place) for key, place in connection.execute(query.where(*_tests(m.article_key, others, clauses.none)))
        )
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]


def _bounded(query: Any, position: sa.Column[int], limit: int, before: int | None) -> Any:
    query = query if before is None else query.where(position < before)
    return query.order_by(position.desc()).limit(limit)


def _tests(article: Any, some: Iterable[Sequence[int]], none: Sequence[int]) -> list[Any]:
    tests = [_has(article, group) for group in some]
    return [*tests, ~_has(article, none)] if none else tests


def _has(article: Any, keys: Sequence[int]) -> Any:
    other = memberships.alias()
    return sa.exists().where(other.c.article_key == article, other.c.term_key.in_(keys))


# Built once: putting them together takes SQLAlchemy as long as SQLite needs for the answer.
_HEADINGS = sa.select(*(articles.c[name] for name in HEADINGS)).where(articles.c.key.in_(sa.bindparam("keys", expanding=True)))
_WHOLE = _HEADINGS.add_columns(bodies.c.html).join_from(articles, bodies, bodies.c.article_key == articles.c.key)


def load(connection: sa.Connection, keys: Sequence[int], *, with_html: bool = True) -> list[Article]:
    """Articles by key, in the order of `keys`."""
    if not keys:
        return []
    rows = connection.execute(_WHOLE if with_html else _HEADINGS, {"keys": list(keys)})
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


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def article(connection: sa.Connection, id: str) -> Article | None:
    key = connection.execute(sa.select(articles.c.key).where(articles.c.id == id)).scalar()
    return next(iter(load(connection, [key])), None) if key is not None else None


def url_of(connection: sa.Connection, permalink: str) -> str:
    """Where the article with this permalink is published; "" if there is none."""
    c = articles.c
    query = sa.select(c.url).where(c.permalink == permalink).order_by(c.position.desc()).limit(1)
    return str(connection.execute(query).scalar() or "")


def news(
    connection: sa.Connection, after: int, until: int, arrival: int | None = None, limit: int | None = None
) -> list[Article]:
    """Headings of what became available in (after, until] (UTC seconds), or came with a rescan later than `arrival`.

    The editor's choice first, then the newest; of more than `limit`, those that came last.
    """
    c = articles.c
    new = sa.and_(c.available > after, c.available <= until)
    if arrival is not None:
        new = sa.or_(new, sa.and_(c.arrival > arrival, c.available <= until))
    latest = sa.select(c.key, c.editor_choice, c.position).where(new).order_by(c.available.desc(), c.position.desc())
    found = connection.execute(latest.limit(limit)).all()
    keys = [row.key for row in sorted(found, key=lambda row: (not row.editor_choice, -row.position))]
    return [
        article
        for start in range(0, len(keys), 400)
        for article in load(connection, keys[start : start + 400], with_html=False)
    ]


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


def term_at(connection: sa.Connection, names: Names, facet: str, segment: str) -> KnownTerm | None:
    """The term that an address means, in any spelling: by its slug, else by its folded or aliased name."""
    query = sa.select(terms).where(terms.c.facet == facet, terms.c.slug == segment, terms.c.articles > 0)
    exact = connection.execute(query).first()
    if exact is not None:
        return _known_term(exact)
    for name in dict.fromkeys((addresses.unslug(segment), segment)):
        found = _terms_named(connection, names, facet, [name])
        if found:
            return _known_term(found[0])
    return None


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
    folded = addresses.fold(name)
    if not folded:
        return []
    query = sa.select(terms).where(terms.c.facet == facet, terms.c.articles > 0)
    query = query.where(
        terms.c.folded.contains(folded[:20], autoescape=True) | terms.c.folded.startswith(folded[0], autoescape=True)
    )
    return [_known_term(row).term for row in connection.execute(query.order_by(terms.c.articles.desc()).limit(limit))]


def problems(connection: sa.Connection) -> list[Problem]:
    """Quarantine, by path."""
    c = quarantine.c
    rows = connection.execute(sa.select(c.path, c.line, c.column, c.reason, c.kind).order_by(c.path))
    return [Problem(*row) for row in rows]
