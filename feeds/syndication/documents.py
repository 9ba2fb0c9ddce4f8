"""Feeds as documents: what state each is in (the rescan writes it), and their bytes (a request asks for them).

A feed's `digest` is made of everything that decides its bytes, so its ETags are known without rendering and a 304 costs one
look-up. `changed`, its Last-Modified, moves only when the digest does, and never back: a retitled feed or a removed article
counts as much as a new one.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import html
import importlib.metadata
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import brotli
import sqlalchemy as sa

from .. import urls
from ..catalog import queries
from ..catalog.queries import Clauses, utc_datetime
from ..catalog.sort_key import Window
from ..config.models import Config
from ..database.tables import feeds, terms
from ..formats import Category, Content, Enclosure, Entry, Format, Person, installed_formats
from ..model import FACETS, PEOPLE, Article, Feed, FeedState, Term
from . import archives
from .archives import Bucket, Neighbours
from .feeds import all_feed, clauses_of, every_feed, is_offered, named_feed, term_feed

_PACKAGE = Path(__file__).resolve().parents[1]
#: The sources that decide the bytes of a feed, below the package.
SOURCES = (
    *("config/models.py", "formats.py", "model.py", "selections.py", "urls.py"),
    *("syndication/archives.py", "syndication/documents.py", "syndication/feeds.py"),
)
LIBRARIES = ("feedgen", "lxml", "brotli")
#: What `make rendering` recorded of a program whose documents are proved equal to those of the program before it.
RECORD = "syndication/rendering.txt"
#: Pages and files that only name these settings do not change any feed.
_NOT_SHOWN = {
    *("store", "rescan_seconds", "max_file_bytes", "timezone", "article_url", "image_url", "store_git"),
    *("trusted_proxies", "limits", "audience_days", "metrics", "service_url"),
}


def source_hash(package: Path = _PACKAGE) -> str:
    """Return a hash of the bytes of SOURCES below `package`."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((package / name).read_bytes())
    return digest.hexdigest()


def rendering(package: Path = _PACKAGE) -> str:
    """Return the id of how the code below `package` writes feeds.

    The recorded id where the record is about exactly these sources, else their hash: nobody has to remember to raise anything,
    and a release whose documents are the same keeps its ETags.
    """
    sources = source_hash(package)
    record = dict(line.split() for line in (package / RECORD).read_text("utf-8").splitlines())
    return record["id"] if record["sources"] == sources else sources[:16]


@functools.cache  # reading sources and the metadata of packages takes longer than rendering an entry
def versions() -> str:
    """Return all that decides the bytes besides content and configuration: a strong ETag must not outlive a change of it."""
    libraries = (importlib.metadata.version(name) for name in LIBRARIES)
    return "/".join((rendering(), program_version(), *libraries, *installed_formats()))


@functools.cache
def program_version() -> str:
    return importlib.metadata.version("feeds")


# -- state: written by the rescan ------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    feed: Feed
    clauses: Clauses


def refresh(connection: sa.Connection, config: Config, touched: Collection[int] | None, now: int) -> list[str]:
    """Bring the rows of feeds up to date; `touched` keys of terms, or None for all feeds. Returns the paths that changed."""
    wanted: list[_Row] = []
    for feed in _affected(connection, config, touched):
        if urls.fold(feed.path) in config.retired:
            continue  # moved or gone: in no list
        wanted.append(_Row(feed, clauses_of(connection, config, feed)))
    shared = _shared(config)
    rows = [_state_row(connection, shared, config, row) for row in wanted]
    changed = _write(connection, rows, now)
    return changed + _retire(connection, config, touched, {row["path"] for row in rows})


def _affected(connection: sa.Connection, config: Config, touched: Collection[int] | None) -> Iterable[Feed]:
    if touched is None:
        yield from (feed for feed, _known in every_feed(connection, config))
        return
    yield all_feed(config)
    yield from (named_feed(config, named) for named in config.feeds.feeds)
    for known in queries.terms_by_key(connection, touched):
        if is_offered(config, known):
            yield term_feed(config, known)


def _shared(config: Config) -> str:
    """What of the configuration shows in every feed."""
    site = config.site.model_dump(exclude=_NOT_SHOWN)
    # A person is linked to a page that there is.
    facets = [name for name in PEOPLE if config.feeds.facet(name).enabled]
    folders = tuple(f"{FACETS[name].plural}/" for name in facets)
    gone = sorted(path for path, target in config.retired.items() if not target and path.startswith(folders))
    shared = [versions(), site, config.feeds.ttl_minutes, facets, *([gone] if gone else [])]
    return json.dumps(shared, sort_keys=True, ensure_ascii=False)


def _state_row(connection: sa.Connection, shared: str, config: Config, row: _Row) -> dict[str, Any]:
    feed = row.feed
    window = queries.article_digests(connection, row.clauses, Window(feed.limit))
    articles = queries.count(connection, row.clauses)
    begins = archives.youngest(connection, config, feed, row.clauses) if articles > len(window) else None
    return {
        "path": feed.path,
        "title": feed.title,
        "term_key": feed.term,
        "articles": articles,
        "updated": _updated(config, window),
        "digest": _digest(shared, feed, [begins.name if begins else "", config.hub_url], window),
    }


def _updated(config: Config, window: Sequence[tuple[str, int]]) -> int:
    return max((updated for _digest, updated in window), default=_authority_date(config))


def _digest(shared: str, feed: Feed, more: Sequence[str], window: Sequence[tuple[str, int]]) -> str:
    """Of all that decides a document's bytes; `more` is what it links to: archive documents by name, the hub."""
    shown = [shared, feed.path, feed.query, feed.id, feed.title, feed.subtitle, feed.content, *more]
    return hashlib.sha256("\0".join((*shown, *(digest for digest, _updated in window))).encode()).hexdigest()[:24]


def _authority_date(config: Config) -> int:
    """An empty feed has to be of some date: that of the authority that names it, which never changes."""
    year, month, day = (*config.site.id_authority.rpartition(",")[2].split("-"), "1", "1")[:3]
    return int(datetime(int(year), int(month), int(day), tzinfo=UTC).timestamp())


def _write(connection: sa.Connection, rows: Sequence[dict[str, Any]], now: int) -> list[str]:
    c = feeds.c
    known: dict[str, Any] = {}
    for start in range(0, len(rows), 400):
        paths = [row["path"] for row in rows[start : start + 400]]
        known.update({row.path: row for row in connection.execute(sa.select(feeds).where(c.path.in_(paths)))})
    changed, fresh, same = [], [], []
    for row in rows:
        before = known.get(row["path"])
        if before is None:
            fresh.append({**row, "changed": now})
        elif before.digest != row["digest"]:
            changed.append({**row, "_path": row["path"], "changed": max(now, before.changed + 1)})
        elif (before.title, before.articles, before.term_key) != (row["title"], row["articles"], row["term_key"]):
            same.append({**row, "_path": row["path"], "changed": before.changed})
    if fresh:
        connection.execute(sa.insert(feeds), fresh)
    if changed or same:
        update = sa.update(feeds).where(c.path == sa.bindparam("_path"))
        columns = ("title", "term_key", "articles", "updated", "digest", "changed")
        for row in (*changed, *same):
            connection.execute(update.values({name: row[name] for name in columns}), {"_path": row["_path"]})
    return [row["path"] for row in (*fresh, *changed)]


def _retire(connection: sa.Connection, config: Config, touched: Collection[int] | None, kept: set[str]) -> list[str]:
    """Rows of feeds that are no more: of terms without articles, of other spellings, of settings taken away."""
    query = sa.select(feeds.c.path)
    if touched is not None:
        query = (
            query.where(feeds.c.term_key.in_(touched)) if len(touched) <= 400 else query.where(feeds.c.term_key.is_not(None))
        )
    candidates = {path for (path,) in connection.execute(query)} - kept
    if touched is not None and len(touched) > 400:
        keys = set(touched)
        rows = connection.execute(sa.select(feeds.c.path, feeds.c.term_key).where(feeds.c.term_key.is_not(None)))
        candidates &= {path for path, key in rows if key in keys}
    gone = sorted(candidates)
    for start in range(0, len(gone), 400):
        connection.execute(sa.delete(feeds).where(feeds.c.path.in_(gone[start : start + 400])))
    return gone


_STATE = sa.select(feeds).where(feeds.c.path == sa.bindparam("path"))


def state_at(connection: sa.Connection, path: str) -> FeedState | None:
    """By canonical path: one look-up, all that a 304 needs."""
    row = connection.execute(_STATE, {"path": path}).first()
    return _state(row) if row else None


def digests_at(connection: sa.Connection, paths: Iterable[str]) -> dict[str, str]:
    """The digests of feeds by their canonical paths; others are left out."""
    c, wanted = feeds.c, sorted(paths)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), 400):
        rows = connection.execute(sa.select(c.path, c.digest).where(c.path.in_(wanted[start : start + 400])))
        found.update({path: digest for path, digest in rows})
    return found


def paths(connection: sa.Connection) -> frozenset[str]:
    return frozenset(connection.execute(sa.select(feeds.c.path)).scalars())


def terms_without_feed(connection: sa.Connection, facets: Collection[str]) -> list[int]:
    """Keys of terms in use that have no feed: of too few articles, or retired."""
    with_feed = sa.select(feeds.c.term_key).where(feeds.c.term_key.is_not(None))
    query = sa.select(terms.c.key).where(terms.c.articles > 0, terms.c.facet.in_(facets), terms.c.key.not_in(with_feed))
    return list(connection.execute(query.order_by(terms.c.key)).scalars())


def states(connection: sa.Connection) -> list[FeedState]:
    """All feeds: /all and named ones first, then facet by facet, most articles first."""
    rows = connection.execute(sa.select(feeds)).all()
    rows = sorted(rows, key=lambda row: (row.term_key is not None, row.path.partition("/")[0], -row.articles, row.path))
    return [_state(row) for row in rows]


def _state(row: Any) -> FeedState:
    return FeedState(row.path, row.title, row.articles, utc_datetime(row.updated), row.digest, row.changed)


# -- state: of what no rescan keeps ----------------------------------------


def selected_state(connection: sa.Connection, config: Config, feed: Feed, clauses: Clauses, changed: int) -> FeedState:
    """Of a feed that only its address names; `clauses` are its selection's. `changed`: when anything last did (UTC seconds)."""
    window = queries.article_digests(connection, clauses, Window(feed.limit))
    digest = _digest(_shared(config), feed, [config.hub_url], window)
    return FeedState(feed.path, feed.title, len(window), utc_datetime(_updated(config, window)), digest, changed)


@dataclass(frozen=True, slots=True)
class Volume:
    """One archive document of a feed."""

    feed: Feed
    bucket: Bucket
    neighbours: Neighbours
    state: FeedState


def volume(connection: sa.Connection, config: Config, feed: Feed, name: str, changed: int) -> Volume | None:
    """The archive document of that name; None where the feed has no article of then. `changed` as in `selected_state`."""
    bucket = archives.named(feed.archive, name, config.zone)
    if bucket is None:
        return None
    clauses = clauses_of(connection, config, feed)
    window = queries.article_digests(connection, clauses, Window.published(bucket.first, bucket.end))
    if not window:
        return None
    beside = archives.neighbours(connection, config, feed, clauses, bucket)
    links = [bucket.name, *(one.name if one else "" for one in (beside.older, beside.younger))]
    digest = _digest(_shared(config), feed, links, window)
    state = FeedState(bucket.path(feed), feed.title, len(window), utc_datetime(_updated(config, window)), digest, changed)
    return Volume(feed, bucket, beside, state)


def history_mark(config: Config, feed: Feed) -> str:
    """What all archive documents of a feed have in common besides their articles and links."""
    return _digest(_shared(config), feed, [feed.archive], [])


# -- bytes: made on request ------------------------------------------------


def render(connection: sa.Connection, config: Config, feed: Feed, state: FeedState, format: Format) -> bytes:
    """The document's bytes, not compressed; call it in the snapshot that `state` was read in."""
    articles = _articles(connection, config, feed, feed.limit, None, with_html=feed.content == "full")
    entries = [entry_of(config, feed, article) for article in articles]
    return format.render(content_of(config, feed, state.updated, entries, format, history_of(config, feed, state, articles)))


def history_of(config: Config, feed: Feed, state: FeedState, articles: Sequence[Article]) -> History:
    """Where a feed's history goes on: nowhere, if the feed holds all of it. Its newest article is the first of `articles`."""
    if not feed.archive or state.articles <= feed.limit or not articles:
        return History()
    begins = archives.holding(feed.archive, int(articles[0].published.timestamp()), config.zone)
    return History(older=begins.path(feed) if begins else "")


def render_volume(connection: sa.Connection, config: Config, volume: Volume, formats: Iterable[Format]) -> list[bytes]:
    """As `render`, of an archive document, in each format: what it holds is read once."""
    articles = _articles(connection, config, volume.feed, None, volume.bucket, with_html=volume.feed.content == "full")
    entries = [entry_of(config, volume.feed, article) for article in articles]
    older, younger = volume.neighbours.older, volume.neighbours.younger
    history = History(
        own=volume.state.path,
        closed=volume.neighbours.closed,
        older=older.path(volume.feed) if older else "",
        younger=younger.path(volume.feed) if younger else "",
    )
    made = functools.partial(content_of, config, volume.feed, volume.state.updated, entries)
    return [format.render(made(format, history)) for format in formats]


def articles_of(connection: sa.Connection, config: Config, volume: Volume) -> list[Article]:
    """Those of an archive document, without bodies."""
    return _articles(connection, config, volume.feed, None, volume.bucket, with_html=False)


def _articles(
    connection: sa.Connection, config: Config, feed: Feed, limit: int | None, bucket: Bucket | None, *, with_html: bool
) -> list[Article]:
    clauses = clauses_of(connection, config, feed)
    window = Window.published(bucket.first, bucket.end) if bucket else Window(limit)
    return queries.select(connection, clauses, window, with_html=with_html)


@dataclass(frozen=True, slots=True)
class History:
    """Paths of a feed's archive documents: the one that this is ("" for the feed itself), the next older and younger one."""

    own: str = ""
    closed: bool = False
    older: str = ""
    younger: str = ""


def entry_of(config: Config, feed: Feed, article: Article) -> Entry:
    full = feed.content == "full"
    terms = _by_facet(article)
    people = {role: tuple(Person(term.name, term_url(config, term)) for term in terms.get(role, ())) for role in PEOPLE}
    return Entry(
        id=urls.article_id(config.site.id_authority, article.id),
        url=article.url,
        title=article.title,
        summary=article.summary if full else _with_note(config, article.summary, people["translator"]),
        content=f"{article.html.rstrip()}\n{_byline(config, people, article.original)}".strip() if full else "",
        published=article.published,
        updated=article.updated,
        authors=tuple(Person(person.name) for person in people["author"]),
        translators=people["translator"],
        credits=tuple((role, people[role]) for role in PEOPLE if role != "author" and people[role]),
        categories=tuple(
            Category(term.name, f"{config.site.base_url}/{FACETS[facet].plural}/")
            for facet in FACETS
            if facet not in PEOPLE
            for term in terms.get(facet, ())
        ),
        via=article.original,
        enclosure=_enclosure(article.picture),
        comments=article.comments,
    )


def _by_facet(article: Article) -> dict[str, list[Term]]:
    found: dict[str, list[Term]] = {}
    for term in article.terms:
        found.setdefault(term.facet, []).append(term)
    return found


def term_url(config: Config, term: Term) -> str:
    """The page of a term, or "" where it has none."""
    return f"{config.site.base_url}/{urls.encode(term.path)}" if config.has_feed(term.facet, term.path) else ""


def _byline(config: Config, people: Mapping[str, tuple[Person, ...]], original: str) -> str:
    """Few readers show contributors, so the content says who translated, and from what."""
    parts = [
        _label(config, role) + _join(config, [_linked(person) for person in people[role]])
        for role in ("author", "translator")
        if people[role]
    ]
    if original:
        word = "原文：" if config.chinese else "Original: "
        host = urlsplit(original).hostname or original
        parts.append(f'{word}<a href="{html.escape(original)}">{html.escape(host)}</a>')
    return f"<p>{' · '.join(parts)}</p>" if parts else ""


def _label(config: Config, facet: str) -> str:
    return f"{FACETS[facet].zh}：" if config.chinese else f"{FACETS[facet].en}: "


def _join(config: Config, names: list[str]) -> str:
    return ("、" if config.chinese else ", ").join(names)


def _linked(person: Person) -> str:
    name = html.escape(person.name)
    return f'<a href="{html.escape(person.url)}">{name}</a>' if person.url else name


def _with_note(config: Config, summary: str, translators: tuple[Person, ...]) -> str:
    if not translators:
        return summary
    note = _label(config, "translator") + _join(config, [person.name for person in translators])
    return f"{summary}（{note}）" if config.chinese else f"{summary} ({note})"


#: Fixed, because the tables of the operating system differ from one machine to the next.
_PICTURES = {"png": "image/png", "gif": "image/gif", "webp": "image/webp", "svg": "image/svg+xml", "avif": "image/avif"}


def _enclosure(url: str) -> Enclosure | None:
    extension = urlsplit(url).path.rpartition(".")[2].lower()
    return Enclosure(url, _PICTURES.get(extension, "image/jpeg")) if url else None


def content_of(
    config: Config, feed: Feed, updated: datetime, entries: Sequence[Entry], format: Format, history: History
) -> Content:
    site = config.site

    def address(path: str) -> str:
        return path and urls.url(site.base_url, path, format.extension, feed.query)

    return Content(
        id=feed.id,
        title=feed.title,
        subtitle=feed.subtitle,
        updated=updated,
        language=site.language,
        author=site.title,
        base=site.base_url,
        page=f"{site.base_url}/" if feed.path == "all" else urls.url(site.base_url, feed.path, query=feed.query),
        address=address(history.own or feed.path),
        current=address(feed.path) if history.own else "",
        older=address(history.older),
        younger=address(history.younger),
        closed=history.closed,
        hub="" if history.own else config.hub_url,
        icon=site.icon or f"{site.base_url}/static/icon.png",
        logo=site.logo,
        rights=site.rights,
        ttl_minutes=config.feeds.ttl_minutes,
        version=program_version(),
        entries=entries,
    )


def compress(data: bytes, encoding: str) -> bytes:
    """`gzip`, `br` or `identity`. Equal input gives equal output: no time stamp inside."""
    if encoding == "gzip":
        return gzip.compress(data, 6, mtime=0)
    return brotli.compress(data, quality=5) if encoding == "br" else data
