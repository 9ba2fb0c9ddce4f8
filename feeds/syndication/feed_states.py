"""Keep the state of every feed: the digest that decides its ETag, and when it last changed.

A rescan writes the states. A digest is made of everything that decides the feed's bytes, so ETags are known without rendering,
and a 304 costs one look-up. `changed`, the Last-Modified, moves only when the digest does, and never back: a retitled feed or a
removed article counts as much as a new one. Nor does the `updated` that a feed shows go back, also where a store does, to an
older commit or copy (`queries.former_updates`). Feeds that no rescan keeps account of (selections, archive documents) get their
state when they are asked for.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import database, urls
from ..catalog import listing, queries
from ..catalog.queries import ArticleDigest, Clauses, utc_datetime
from ..catalog.sort_key import Window
from ..database import tables
from ..model import FACETS, PEOPLE, Feed, FeedState
from ..plugins import find_plugins
from . import feeds as definitions
from .feeds import AdjacentPeriods, ArchivePeriod

if TYPE_CHECKING:
    from ..config.models import Config

_PACKAGE = Path(__file__).resolve().parents[1]
#: The sources that decide the bytes of a feed, below the package.
SOURCES = (
    *("config/models.py", "feed_extensions.py", "feed_formats.py", "licences.py", "model.py", "selections.py", "urls.py"),
    *("store/addresses.py", "syndication/documents.py", "syndication/feed_states.py", "syndication/feeds.py"),
)
LIBRARIES = ("feedgen", "lxml", "brotli", "deflate")
#: What `make rendering` recorded of a program whose documents are proved equal to those of the program before it.
RECORD = "syndication/rendering.txt"


def source_hash(package: Path = _PACKAGE) -> str:
    """Return a hash of the bytes of SOURCES below `package`."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((package / name).read_bytes())
    return digest.hexdigest()


def rendering(package: Path = _PACKAGE) -> str:
    """Return the id of how the code below `package` writes feeds: the recorded one where the record is about these sources.

    Else their hash, so nobody has to raise anything, and a release whose documents are the same keeps its ETags.
    """
    sources = source_hash(package)
    record = dict(line.split() for line in (package / RECORD).read_text("utf-8").splitlines())
    return record["id"] if record["sources"] == sources else sources[:16]


@functools.cache  # reading sources and the metadata of packages takes longer than rendering an entry
def versions() -> str:
    """Return the rendering and all versions that decide the bytes: a strong ETag must not outlive a change of them."""
    from ..feed_formats import GROUP  # XML, which states need nothing of

    libraries = (importlib.metadata.version(name) for name in LIBRARIES)
    return "/".join((rendering(), program_version(), *libraries, *map(str, find_plugins(GROUP))))


@functools.cache
def program_version() -> str:
    """Return the version of this program, which every document names."""
    return importlib.metadata.version("feeds")


#: Settings of the site that no feed shows.
_NOT_SHOWN = {
    *("stores", "rescan_seconds", "max_file_bytes", "files", "timezone", "store_git"),
    *("trusted_proxies", "limits", "audience_days", "metrics", "service_url"),
}
#: The articles that a document holds, in its order.
_Window = Sequence[ArticleDigest]


def _shared_text(config: Config) -> str:
    """Return the part of the configuration that shows in every feed, with the versions, as text."""
    site = config.site.model_dump(exclude=_NOT_SHOWN)
    facets = [name for name in PEOPLE if config.feeds.facet(name).enabled]  # a person is linked to a page that exists
    folders = tuple(f"{FACETS[name].plural}/" for name in facets)
    gone = sorted(path for path, target in config.retired.items() if not target and path.startswith(folders))
    seldom: list[Any] = [*([gone] if gone else []), *(["source_markdown"] if config.feeds.source_markdown else [])]
    if config.feeds.max_bytes != type(config.feeds).model_fields["max_bytes"].default:
        seldom.append(config.feeds.max_bytes)
    shared = [versions(), site, config.feeds.ttl_minutes, facets, *seldom]
    return json.dumps(shared, sort_keys=True, ensure_ascii=False)


def settings_mark(config: Config) -> str:
    """Return the mark of all settings and versions that show in the entries of feeds."""
    return hashlib.sha256(_shared_text(config).encode()).hexdigest()[:24]


def _shown(config: Config, shared: str, feed: Feed, links: Sequence[str], window: _Window, former: int) -> tuple[int, str]:
    """Return the `updated` (UTC seconds) that a document shows, and the digest of everything that decides its bytes.

    `links`: names of archive periods, the hub. `updated` is the newest of the articles, of none the fixed date of the authority
    in the feed's id; or `former`, which the document has shown before, where that is later.
    """
    year, month, day = (*config.site.id_authority.rpartition(",")[2].split("-"), "1", "1")[:3]
    fallback = int(datetime(int(year), int(month), int(day), tzinfo=UTC).timestamp())
    own = max((article.updated for article in window), default=fallback)
    kept = [str(former)] if former > own else []
    return max(own, former), _digest(shared, feed, [*links, *kept], window)


def _digest(shared: str, feed: Feed, links: Sequence[str], window: _Window) -> str:
    shown = [shared, feed.path, feed.query, feed.id, feed.title, feed.subtitle, feed.content, *links]
    return hashlib.sha256("\0".join((*shown, *(article.digest for article in window))).encode()).hexdigest()[:24]


# -- states that a rescan writes -------------------------------------------


def refresh(connection: sa.Connection, config: Config, touched: Collection[int] | None, now: int) -> list[str]:
    """Bring the states of feeds up to date and return the paths of those that changed, appeared or went.

    `touched`: keys of the terms whose articles changed; None for all feeds. `now` (UTC seconds) becomes the time of change: it
    must be after that of every rescan before, so that a feed that comes back is not older than when it went.
    """
    shared, former = _shared_text(config), queries.newest_former_update(queries.former_updates(connection))
    rows: list[dict[str, Any]] = []
    if touched is None:
        affected = [*definitions.list_feeds(connection, config)]
    else:
        affected = [(definitions.all_feed(config), None)]
        affected += [(definitions.named_feed(config, named), None) for named in config.feeds.feeds]
        terms = queries.terms_by_key(connection, touched)
        affected += [(definitions.term_feed(config, one), one) for one in terms if definitions.is_offered(config, one)]
    affected = [pair for pair in affected if urls.fold(pair[0].path) not in config.retired]  # moved or gone: in no list
    known = _known_rows(connection, [feed.path for feed, _term in affected])
    out = listing.articles_out_of_feeds(connection)
    for feed, term in affected:
        clauses = definitions.resolve_clauses(connection, config, feed, out)
        window = queries.article_digests(connection, clauses, Window(feed.limit))
        articles = term.term.articles - len(clauses.out) if term else queries.count(connection, clauses)
        begins = None  # the newest archive document, to which a feed links that does not hold its whole history
        if feed.archive and articles > len(window):
            begins = definitions.period_of(feed.archive, window[0].published if window else None, config.zone)
        links = [begins.name if begins else "", config.hub_url]
        row = {"path": feed.path, "title": feed.title, "term_key": feed.term, "articles": articles}
        before = known.get(feed.path)
        updated, digest = _shown(config, shared, feed, links, window, before.updated if before else former)
        rows.append(row | {"updated": updated, "digest": digest})
    return _write(connection, rows, known, now) + _delete_others(connection, touched, {row["path"] for row in rows})


def _known_rows(connection: sa.Connection, paths: Sequence[str]) -> dict[str, Any]:
    """Return the rows that the last rescan left, by their paths."""
    feeds = tables.feeds
    selects = (sa.select(feeds).where(feeds.c.path.in_(some)) for some in _batches(paths))
    return {row.path: row for select in selects for row in connection.execute(select)}


def _write(connection: sa.Connection, rows: Sequence[dict[str, Any]], known: Mapping[str, Any], now: int) -> list[str]:
    """Insert or update rows; return the paths whose digest is not that of the `known` row."""
    changed, fresh, same = [], [], []
    for row in rows:
        before = known.get(row["path"])
        if before is None:
            fresh.append({**row, "changed": now})
        elif before.digest != row["digest"]:
            changed.append({**row, "changed": max(now, before.changed + 1)})
        elif (before.title, before.articles, before.term_key) != (row["title"], row["articles"], row["term_key"]):
            same.append({**row, "changed": before.changed})
    database.insert_rows(connection, tables.feeds, [tuple(row[c.name] for c in tables.feeds.columns) for row in fresh])
    if updates := [{"_path" if name == "path" else name: row[name] for name in row} for row in (*changed, *same)]:
        connection.execute(_UPDATE, updates)
    return [row["path"] for row in (*fresh, *changed)]


def _delete_others(connection: sa.Connection, touched: Collection[int] | None, kept: set[str]) -> list[str]:
    """Delete rows of feeds that went: of terms without articles, of other spellings, of settings taken away."""
    feeds = tables.feeds
    query = sa.select(feeds.c.path, feeds.c.term_key)
    if touched is not None:
        query = query.where(feeds.c.term_key.in_(touched) if len(touched) <= 400 else feeds.c.term_key.is_not(None))
    keys = None if touched is None else set(touched)
    rows = connection.execute(query)
    gone = sorted(path for path, key in rows if path not in kept and (keys is None or key in keys))
    for paths in _batches(gone):
        connection.execute(sa.delete(feeds).where(feeds.c.path.in_(paths)))
    return gone


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[start : start + 400] for start in range(0, len(paths), 400))


_UPDATE = sa.update(tables.feeds).where(tables.feeds.c.path == sa.bindparam("_path"))
_BY_PATH = sa.select(tables.feeds).where(tables.feeds.c.path == sa.bindparam("path"))


def find_state(connection: sa.Connection, path: str) -> FeedState | None:
    """Return the state of a feed by its canonical path: one look-up, all that a 304 needs."""
    row = connection.execute(_BY_PATH, {"path": path}).first()
    return _state(row) if row else None


def find_digests(connection: sa.Connection, paths: Iterable[str]) -> dict[str, str]:
    """Return the digests of feeds by their canonical paths; unknown paths are left out."""
    c = tables.feeds.c
    found: dict[str, str] = {}
    for some in _batches(sorted(paths)):
        rows = connection.execute(sa.select(c.path, c.digest).where(c.path.in_(some)))
        found.update({path: digest for path, digest in rows})
    return found


def load_paths(connection: sa.Connection) -> frozenset[str]:
    """Return the canonical paths of all feeds."""
    return frozenset(connection.execute(sa.select(tables.feeds.c.path)).scalars())


def load_states(connection: sa.Connection) -> list[FeedState]:
    """Return the states of all feeds: /all and named ones first, then facet by facet, the one with most articles first."""
    rows = connection.execute(sa.select(tables.feeds)).all()
    rows = sorted(rows, key=lambda row: (row.term_key is not None, row.path.partition("/")[0], -row.articles, row.path))
    return [_state(row) for row in rows]


def _state(row: Any) -> FeedState:
    return FeedState(row.path, row.title, row.articles, utc_datetime(row.updated), row.digest, row.changed)


def terms_without_feed(connection: sa.Connection, facets: Collection[str]) -> list[int]:
    """Return the keys of terms in use that have no feed: of too few articles, or retired."""
    c, terms = tables.feeds.c, tables.terms.c
    with_feed = sa.select(c.term_key).where(c.term_key.is_not(None))
    query = sa.select(terms.key).where(terms.articles > 0, terms.facet.in_(facets), terms.key.not_in(with_feed))
    return list(connection.execute(query.order_by(terms.key)).scalars())


# -- states of what no rescan keeps ----------------------------------------


@dataclass(frozen=True, slots=True)
class ArchiveDocument:
    """One archive document of a feed, not rendered: a period of its history, and the periods beside it.

    `articles`: what it holds, newest first.
    """

    feed: Feed
    period: ArchivePeriod
    neighbours: AdjacentPeriods
    state: FeedState
    articles: _Window

    @property
    def bucket(self) -> ArchivePeriod:
        """The period by the name that operators' own templates use."""
        return self.period


def selection_state(connection: sa.Connection, config: Config, feed: Feed, clauses: Clauses, changed: int) -> FeedState:
    """Return the state of a selection's feed. `changed`: when a rescan last changed anything at all (UTC seconds)."""
    window = queries.article_digests(connection, clauses, Window(feed.limit))
    former = queries.newest_former_update(queries.former_updates(connection))
    updated, digest = _shown(config, _shared_text(config), feed, [config.hub_url], window, former)
    return FeedState(feed.path, feed.title, len(window), utc_datetime(updated), digest, changed)


def archive_document(connection: sa.Connection, config: Config, feed: Feed, name: str, changed: int) -> ArchiveDocument | None:
    """Return the archive document of that name; None where the feed has no article of then. `changed` as above."""
    period = definitions.parse_period(feed.archive, name, config.zone)
    if period is None:
        return None
    clauses = definitions.resolve_clauses(connection, config, feed)
    window = queries.article_digests(connection, clauses, Window.published(period.first, period.end))
    if not window:
        return None
    older = queries.newest_published(connection, clauses, period.first)
    younger = queries.oldest_published(connection, clauses, period.end)
    beside = AdjacentPeriods(*(definitions.period_of(feed.archive, one, config.zone) for one in (older, younger)))
    links = [period.name, *(one.name if one else "" for one in (beside.older, beside.younger))]
    former = queries.newest_former_update(queries.former_updates(connection), period.first, period.end)
    updated, digest = _shown(config, _shared_text(config), feed, links, window, former)
    state = FeedState(period.path(feed), feed.title, len(window), utc_datetime(updated), digest, changed)
    return ArchiveDocument(feed, period, beside, state, window)


def history_digest(config: Config, feed: Feed) -> str:
    """Return the digest of what all archive documents of a feed have in common, besides their articles and links."""
    return _digest(_shared_text(config), feed, [feed.archive], [])
