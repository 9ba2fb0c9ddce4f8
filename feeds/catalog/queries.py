"""Questions to the catalog: select articles, resolve and count terms, list quarantine. Reads only.

One term's memberships, or all articles, are read from an index in the order of time; a combination of terms is answered from
sets of articles (`bitmaps`), at a cost that grows with what is asked for and hardly with what exists.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from .. import selections, urls
from ..database import chunks, count_rows
from ..database.tables import articles, bodies, files, memberships, pages, quarantine, sources, state, terms
from ..model import FACETS, NO_DETAILS, Article, Details, MediaFile, Problem, Selection, Term
from ..selections import Aliases, TermKey
from ..store import addresses
from . import bitmaps
from .sort_key import Window, first_position, published_at

if TYPE_CHECKING:
    from ..config.models import Site

HEADINGS = tuple(
    (
        "key id position url permalink title summary published updated original picture comments editor_choice terms digest "
        "language pinned part details"
    ).split()
)

# -- selections ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clauses:
    """A selection with its names resolved to keys of terms. `never`: a clause names only terms that do not exist.

    `out`: keys of articles that it would have and leaves out, as feeds do with those that are in none.
    """

    some: tuple[tuple[int, ...], ...] = ()
    none: tuple[int, ...] = ()
    never: bool = False
    out: tuple[int, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether the selection is one term and nothing else."""
        return len(self.some) == 1 and len(self.some[0]) == 1 and not self.none

    @property
    def straight(self) -> bool:
        """Whether an index has the articles in their order: those of one term, or all."""
        return not (self.never or self.out) and (self.alone or not (self.some or self.none))


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
    queries = (sa.select(terms).where(terms.c.facet == facet, terms.c.folded.in_(names[facet])) for facet in names)
    return {(row.facet, row.folded): row for query in queries for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Respelled:
    """A selection in the catalog's spellings (`selection`), and in those that ids keep (`lasting`).

    `unknown` are the (facet, name) that are not a term, `known` the terms of the others.
    """

    selection: Selection
    lasting: Selection
    unknown: tuple[tuple[str, str], ...]
    known: tuple[Term, ...]


def respell(connection: sa.Connection, aliases: Aliases, selection: Selection) -> Respelled:
    """Return a selection in canonical spellings. Names that are no term (yet) stay as they were typed, in NFC."""
    pairs = selection.pairs()
    rows = _term_rows(connection, {aliases.key(*pair) for pair in pairs})
    known = {pair: known_term(row) for pair in pairs if (row := rows.get(aliases.key(*pair)))}
    written = {pair: found.term.name for pair, found in known.items()}
    lasting = {pair: found.feed_path.partition("/")[2] for pair, found in known.items()}
    return Respelled(
        selection.renamed(lambda *pair: written.get(pair) or unicodedata.normalize("NFC", pair[1].strip())),
        selection.renamed(lambda *pair: lasting.get(pair) or urls.slug(pair[1].strip())),
        unknown=tuple(pair for pair in pairs if pair not in known),
        known=tuple(known[pair].term for pair in pairs if pair in known),
    )


def select(connection: sa.Connection, site: Site, clauses: Clauses, window: Window, *, with_html: bool = True) -> list[Article]:
    """Return the articles of a selection in a window of time, with addresses on this `site`."""
    if clauses.straight and window.limit is not None and window == Window(window.limit, skip=window.skip):
        query = (_NEWEST_OF if clauses.some else _NEWEST)[with_html, window.skip > 0]
        given = {"term": clauses.some[0][0]} if clauses.some else {}
        given |= {"skip": window.skip} if window.skip else {}
        rows = connection.execute(query, {**given, "limit": window.limit}).all()
        return [as_article(site, row, row.html if with_html else "") for row in rows]
    parts = chunks(article_keys(connection, clauses, window))
    return [found for part in parts for found in load_articles(connection, site, part, with_html=with_html)]


class ArticleDigest(NamedTuple):
    """What decides how an article shows in a feed, with its key and its times in UTC seconds."""

    key: int
    digest: str
    updated: int
    published: int


def article_digests(connection: sa.Connection, clauses: Clauses, window: Window) -> list[ArticleDigest]:
    """Return the digests of what `select` would return: all that decides a feed's bytes, at the cost of no body."""
    if clauses.straight and window == Window(window.limit) and window.limit is not None:
        query, given = (_DIGESTS_OF, {"term": clauses.some[0][0]}) if clauses.some else (_DIGESTS, {})
        rows = connection.execute(query, {**given, "limit": window.limit})
        return [ArticleDigest(key, digest, updated, published_at(position)) for key, digest, updated, position in rows]
    keys, c = article_keys(connection, clauses, window), articles.c
    queries = (sa.select(c.key, c.digest, c.updated, c.position).where(c.key.in_(part)) for part in chunks(keys))
    found = {row.key: row for query in queries for row in connection.execute(query)}
    return [ArticleDigest(row.key, row.digest, row.updated, published_at(row.position)) for row in map(found.__getitem__, keys)]


#: Name in the table `state`: month of publication (UTC) -> the newest `updated` of articles that went or went back.
FORMER_UPDATES = "former_updates"


def former_updates(connection: sa.Connection) -> dict[str, int]:
    """Return, by month of publication ("2016-05", UTC), the newest `updated` that articles had which have it no more.

    They are removed, dated back or of other terms now, as after a checkout of an older commit. No feed's own `updated` may
    be before those that it has shown.
    """
    value = connection.execute(sa.select(state.c.value).where(state.c.name == FORMER_UPDATES)).scalar()
    return json.loads(value) if value else {}


def newest_former_update(former: Mapping[str, int], first: int | None = None, end: int | None = None) -> int:
    """Return the newest of `former_updates`, of the months from `first` to before `end` (UTC seconds); 0 for none. Pure."""
    begins, ends = month_of(first) if first is not None else "", month_of(end - 1) if end is not None else "~"
    return max((updated for month, updated in former.items() if begins <= month <= ends), default=0)


def month_of(seconds: int) -> str:
    """Return the month of an instant (UTC seconds).

    >>> month_of(0)
    '1970-01'
    """
    return f"{utc_datetime(seconds):%Y-%m}"


def article_keys(connection: sa.Connection, clauses: Clauses, window: Window = Window()) -> list[int]:
    """Return the keys of the articles of a selection; of all of them, newest first, by default."""
    return [key for key, _position in _positions(connection, clauses, window)]


def newest_published(connection: sa.Connection, clauses: Clauses, before: int | None = None) -> int | None:
    """Return when the newest article, or the newest before `before`, was published; all in UTC seconds."""
    found = _positions(connection, clauses, Window(1, before=None if before is None else first_position(before)))
    return published_at(found[0][1]) if found else None


def oldest_published(connection: sa.Connection, clauses: Clauses, after: int) -> int | None:
    """Return when the oldest article at or after `after` was published; all in UTC seconds."""
    found = _positions(connection, clauses, Window(1, after=first_position(after), newest_first=False))
    return published_at(found[0][1]) if found else None


def count(connection: sa.Connection, clauses: Clauses) -> int:
    """Return how many articles a selection has in all."""
    if clauses.never:
        return 0
    if clauses.alone:
        query = sa.select(terms.c.articles).where(terms.c.key == clauses.some[0][0])
        return int(connection.execute(query).scalar() or 0) - len(clauses.out)
    if not clauses.some and not clauses.none:
        return count_rows(connection, articles) - len(clauses.out)
    return bitmaps.count(connection, bitmaps.select_articles(connection, clauses.some, clauses.none, clauses.out))


def _positions(connection: sa.Connection, clauses: Clauses, window: Window) -> list[tuple[int, int]]:
    """(key, position) of a selection's articles, from an index where it has their order, else from sets."""
    if clauses.never:
        return []
    if not clauses.straight:
        found = bitmaps.select_articles(connection, clauses.some, clauses.none, clauses.out)
        return bitmaps.articles_in(connection, found, window)
    m, c = memberships.c, articles.c
    key, position = (m.article_key, m.position) if clauses.alone else (c.key, c.position)
    query = bitmaps.bounded(sa.select(key, position), position, window)
    query = query.where(m.term_key == clauses.some[0][0]) if clauses.alone else query
    query = query.limit(window.limit).offset(window.skip) if window.skip else query.limit(window.limit)
    order = (position.desc(), key) if window.newest_first else (position, key)
    return [(found, place) for found, place in connection.execute(query.order_by(*order))]


# -- articles --------------------------------------------------------------

# Built once: putting them together takes SQLAlchemy as long as SQLite needs for the answer.
_HEADINGS = sa.select(*(articles.c[name] for name in HEADINGS)).where(articles.c.key.in_(sa.bindparam("keys", expanding=True)))
_WHOLE = _HEADINGS.add_columns(bodies.c.html).join_from(articles, bodies, bodies.c.article_key == articles.c.key)


def _window_of(
    key: sa.Column[int], position: sa.Column[int], *where: sa.ColumnElement[bool]
) -> dict[tuple[bool, bool], sa.Select[Any]]:
    """The newest articles, (with bodies, after some others), as one statement: so few rows need no plan of their own."""
    rows = sa.select(key.label("key"), position.label("position")).where(*where).order_by(position.desc(), key)
    rows = rows.limit(sa.bindparam("limit", type_=sa.Integer, literal_execute=True))
    # Databases would sort the articles of each second among all that are skipped; by position alone the index has their order.
    skip = sa.bindparam("skip", type_=sa.Integer)
    first = sa.select(position).where(*where).order_by(position.desc()).limit(1).offset(skip).scalar_subquery()
    newer = sa.select(sa.func.count()).where(*where, position > first).scalar_subquery()
    found: dict[tuple[bool, bool], sa.Select[Any]] = {}
    for skipping, window in ((False, rows.subquery()), (True, rows.where(position <= first).offset(skip - newer).subquery())):
        columns = (articles.c[name] for name in HEADINGS)
        headings = sa.select(*columns).join_from(window, articles, articles.c.key == window.c.key)
        headings = headings.order_by(window.c.position.desc(), window.c.key)
        found[False, skipping] = headings
        found[True, skipping] = headings.add_columns(bodies.c.html).join(bodies, bodies.c.article_key == articles.c.key)
    return found


_NEWEST = _window_of(articles.c.key, articles.c.position)
_NEWEST_OF = _window_of(memberships.c.article_key, memberships.c.position, memberships.c.term_key == sa.bindparam("term"))

_DIGESTS = sa.select(articles.c.key, articles.c.digest, articles.c.updated, articles.c.position).limit(sa.bindparam("limit"))
_DIGESTS_OF = (
    _DIGESTS.join_from(memberships, articles, articles.c.key == memberships.c.article_key)
    .where(memberships.c.term_key == sa.bindparam("term"))
    .order_by(memberships.c.position.desc(), memberships.c.article_key)
)
_DIGESTS = _DIGESTS.order_by(articles.c.position.desc(), articles.c.key)


def load_articles(connection: sa.Connection, site: Site, keys: Sequence[int], *, with_html: bool = True) -> list[Article]:
    """Return articles by key, in the order of `keys`."""
    found = articles_by_key(connection, site, keys, with_html=with_html)
    return [found[key] for key in keys if key in found]


def articles_by_key(
    connection: sa.Connection, site: Site, keys: Collection[int], *, with_html: bool = True
) -> dict[int, Article]:
    """Return the articles that there are of `keys`."""
    if not keys:
        return {}
    rows = connection.execute(_WHOLE if with_html else _HEADINGS, {"keys": list(keys)}).all()
    return {row.key: as_article(site, row, row.html if with_html else "") for row in rows}


def as_article(site: Site, row: Any, html: str) -> Article:
    """Return the article of a row with `HEADINGS`, with addresses on this site."""
    url = addresses.article_url(site, row.url, row.permalink, row.id)
    return Article(
        id=row.id,
        position=row.position,
        url=url,
        title=row.title,
        summary=row.summary,
        html=addresses.complete_links(site, html, url),
        published=utc_datetime(row.published),
        updated=utc_datetime(row.updated),
        original=row.original if row.original != url else "",
        picture=addresses.picture_url(site, row.picture, url),
        comments=row.comments,
        editor_choice=bool(row.editor_choice),
        terms=_terms(row.terms),
        digest=row.digest,
        language=row.language,
        pinned=row.pinned,
        part=row.part,
        details=_details(site, row.details, url) if row.details else NO_DETAILS,
    )


def _details(site: Site, written: str, url: str) -> Details:
    """Return the details of an article at `url`, with addresses on this site."""
    found = json.loads(written)
    media = [MediaFile(addresses.picture_url(site, one[0], url), *one[1:]) for one in found.pop("media", ())]
    for name in ("artwork", "transcript"):
        found[name] = addresses.picture_url(site, found.get(name, ""), url)
    return Details(media=tuple(one for one in media if one.url), **found)


@functools.lru_cache(maxsize=512)  # the newest articles are in most lists
def _terms(written: str) -> tuple[Term, ...]:
    return tuple(Term(*term) for term in json.loads(written))


def utc_datetime(seconds: int) -> datetime:
    """Return the time of some UTC seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def article_key(connection: sa.Connection, id: str) -> int | None:
    """Return the key of the article with this id."""
    return connection.execute(_KEY, {"id": id}).scalar()


_KEY = sa.select(articles.c.key).where(articles.c.id == sa.bindparam("id"))


def article_sources(connection: sa.Connection, keys: Collection[int]) -> dict[int, str]:
    """Return the Markdown of the bodies of some articles, by their keys; none where programs get the HTML."""
    query = sa.select(sources.c.article_key, sources.c.data).where(sources.c.article_key.in_(keys))
    return {key: zlib.decompress(data).decode() for key, data in connection.execute(query)}


def article_url(connection: sa.Connection, site: Site, permalink: str) -> str:
    """Return where the article with this permalink is published; "" if there is none."""
    c = articles.c
    query = sa.select(c.url, c.permalink, c.id).where(c.permalink == permalink).order_by(c.position.desc()).limit(1)
    row = connection.execute(query).first()
    return addresses.article_url(site, *row) if row else ""


def new_articles(
    connection: sa.Connection,
    site: Site,
    after: int,
    until: int,
    arrival: int | None = None,
    limit: int | None = None,
    *,
    settled: int | None = None,
) -> list[Article]:
    """Return headings of what became available in (after, until] (UTC seconds), or came with a rescan later than `arrival`.

    What is to be in no digest is left out. The editor's choice first, then the newest; of more than `limit`, those that came
    last. `settled`: only what came with that rescan or before.
    """
    c = articles.c
    new = sa.and_(c.available > after, c.available <= until)
    if arrival is not None:
        new = sa.or_(new, sa.and_(c.arrival > arrival, c.available <= until))
    if settled is not None:
        new = sa.and_(new, c.arrival <= settled)
    latest = (
        sa.select(c.key, c.editor_choice, c.position)
        .where(new, c.in_digests != 0)
        .order_by(c.available.desc(), c.position.desc())
    )
    found = sorted(connection.execute(latest.limit(limit)), key=lambda row: (not row.editor_choice, -row.position))
    parts = chunks(row.key for row in found)
    return [article for part in parts for article in load_articles(connection, site, part, with_html=False)]


def first_arrival(connection: sa.Connection, after: int, until: int, arrival: int) -> int | None:
    """Return the first rescan later than `arrival` with an article that becomes available in (after, until] (UTC seconds)."""
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


def known_term(row: Any) -> KnownTerm:
    """Return what a whole row says; taken apart in one step, as lists have a thousand."""
    key, facet, _folded, name, slug, feed_path, count, adopted, _words = row
    return KnownTerm(key, Term(facet, name, slug, count), f"{FACETS[facet].plural}/{adopted or feed_path}")


_HAS_SLUG = (terms.c.facet == sa.bindparam("facet"), terms.c.slug == sa.bindparam("slug"), terms.c.articles > 0)
_TERM = sa.select(terms).where(*_HAS_SLUG)


def term_at(connection: sa.Connection, aliases: Aliases, facet: str, segment: str) -> KnownTerm | None:
    """Return the term that an address means, in any spelling: by its slug, else by its folded or aliased name."""
    exact = connection.execute(_TERM, {"facet": facet, "slug": segment}).first()
    if exact is not None:
        return known_term(exact)
    keys = [aliases.key(facet, name) for name in (urls.unslug(segment), segment)]
    rows = _term_rows(connection, set(keys))
    return next((known_term(rows[key]) for key in keys if key in rows), None)


def terms_of(connection: sa.Connection, facet: str, min_articles: int = 1, limit: int | None = None) -> list[KnownTerm]:
    """Return the terms of a facet, most used first."""
    query = sa.select(terms).where(terms.c.facet == facet, terms.c.articles >= min_articles).limit(limit or None)
    return [known_term(row) for row in connection.execute(query.order_by(terms.c.articles.desc(), terms.c.folded))]


def terms_by_key(connection: sa.Connection, keys: Iterable[int]) -> list[KnownTerm]:
    """Return terms by their keys, in no order."""
    parts = chunks(sorted(keys))
    return [known_term(row) for part in parts for row in connection.execute(_TERMS, {"keys": part})]


_TERMS = sa.select(terms).where(terms.c.key.in_(sa.bindparam("keys", expanding=True)))


def term_counts(connection: sa.Connection) -> Mapping[str, int]:
    """Return how many terms in use each facet has."""
    query = sa.select(terms.c.facet, sa.func.count()).where(terms.c.articles > 0).group_by(terms.c.facet)
    return {facet: number for facet, number in connection.execute(query)}


def similar_terms(connection: sa.Connection, facet: str, name: str, limit: int = 8) -> list[Term]:
    """Return terms whose names resemble a name that does not exist, for a 404 page."""
    folded, c = urls.fold(name), terms.c
    if not folded:
        return []
    alike = c.folded.contains(folded[:20], autoescape=True) | c.folded.startswith(folded[0], autoescape=True)
    query = sa.select(terms).where(c.facet == facet, c.articles > 0, alike).order_by(c.articles.desc()).limit(limit)
    return [known_term(row).term for row in connection.execute(query)]


def terms_containing(connection: sa.Connection, facet: str, folded: str, limit: int | None) -> list[Term]:
    """Return terms in use that have `folded` in their folded name, most used first."""
    query = _CONTAINING if limit is None else _CONTAINING.limit(limit)
    rows = connection.execute(query, {"facet": facet, "pattern": "%" + re.sub(r"[/%_]", r"/\g<0>", folded) + "%"})
    return [known_term(row).term for row in rows]


_CONTAINING = (
    sa.select(terms)
    .where(terms.c.facet == sa.bindparam("facet"), terms.c.articles > 0)
    .where(terms.c.folded.like(sa.bindparam("pattern"), escape="/"))
    .order_by(terms.c.articles.desc(), terms.c.folded)
)


def list_problems(connection: sa.Connection) -> list[Problem]:
    """Return the files in quarantine, by path."""
    c = quarantine.c
    return [Problem(*row) for row in connection.execute(sa.select(c.path, c.line, c.column, c.reason, c.kind).order_by(c.path))]


def waiting_files(connection: sa.Connection) -> tuple[int, int | None]:
    """Return how many files are under embargo, and when the next of them comes out (UTC seconds)."""
    own = sa.and_(articles.c.id == files.c.article, articles.c.path == files.c.path)
    is_page = sa.exists().where(pages.c.path == files.c.path)  # which may expire
    query = sa.select(sa.func.count(), sa.func.min(files.c.due)).select_from(sa.outerjoin(files, articles, own))
    waiting, due = connection.execute(query.where(files.c.due.is_not(None), articles.c.key.is_(None), ~is_page)).one()
    return waiting, due
