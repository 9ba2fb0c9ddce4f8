"""Which files the static tree has: one generator for each kind, in the order they are written, what is linked to first.

A leaf's mark names all that decides its bytes: for a feed the digest that also makes its ETag; for a page the templates, words
and code that make pages, the settings, and the digests of the articles that it shows. So nothing is rendered to learn that
nothing changed. To add a kind of document, add a generator to `leaves`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from .. import database, resources, urls
from ..catalog import queries
from ..catalog import related as relation
from ..catalog.related import RelatedArticles
from ..catalog.snapshot import Heading, Snapshot
from ..catalog.sort_key import published_at
from ..config.environment import Environment
from ..config.models import Config
from ..database import tables
from ..errors import AddressError
from ..formats import load_formats
from ..model import FACETS, Feed, FeedState, Term
from ..newsletter.issues import archive, planning
from ..runtime import Runtime
from ..syndication import archives, documents, editions, lookup
from ..syndication import feeds as definitions
from ..syndication.editions import Edition
from . import export as exporting
from . import files
from .export import Progress, Report, Target
from .files import Leaf, content_of, mark_of, path_of
from .targets import Folder


class _Here(NamedTuple):
    """An article's page, or, where it lives elsewhere, only the mark by which that is known. `line`: slug and permalink."""

    leaf: Leaf
    line: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the generators draw from, read in one snapshot. `shared`: a mark of what shows on every page.

    `here`: the articles that have no other home, newest first. `feeds`: with their articles' keys.
    """

    config: Config
    shared: str
    snapshot: Snapshot
    here: list[_Here]
    states: dict[str, FeedState]
    feeds: list[tuple[Feed, list[int]]]
    terms: dict[str, list[Term]]

    def mark(self, *parts: object) -> str:
        return mark_of(self.shared, *map(str, parts))

    def shows(self, keys: Iterable[int]) -> str:
        return "".join(map(self.snapshot.shown.__getitem__, keys))


def published(edition: Edition) -> Config:
    if edition.config is None or edition.generation < 1:
        raise AddressError("nothing is published yet: run `feeds rescan`")
    return edition.config


def target(name: str, config: Config) -> Target:
    """A folder, or s3://BUCKET/PREFIX. Raises FeedsError where the name of a bucket is none."""
    if "://" not in name:
        return Folder(os.path.abspath(name))
    from .targets import Bucket

    return Bucket.named(name, config.max_age)


def _decisive() -> Iterator[sa.Select[Any]]:
    """What of the tables decides any leaf. An article's digest tells all that shows of it, its terms among it."""
    a, t, s, i = tables.articles.c, tables.terms.c, tables.feeds.c, tables.issues.c
    yield sa.select(a.key, a.digest, a.position, a.id, a.permalink).order_by(a.key)
    yield sa.select(t.key, t.facet, t.name, t.slug, t.articles, t.adopted, t.feed_path).order_by(t.key)
    yield sa.select(s.path, s.title, s.articles, s.updated, s.digest).order_by(s.path)
    yield sa.select(i.id, i.planned_at, i.articles, i.listed, i.status).order_by(i.key)


_DECISIVE = tuple(_decisive())


class Reader:
    """All leaves, again and again; what did not change since the last time is taken from there. `root`: the site's folder."""

    def __init__(self, engine: sa.Engine, root: Path) -> None:
        self._engine, self._root = engine, root
        self._snapshot, self._related = Snapshot(), RelatedArticles()
        self._here: dict[int, _Here] = {}
        self._pages: dict[str, _Pages] = {}
        self._buckets: dict[tuple[str, str, int], str] = {}

    def mark(self, *, feeds_only: bool = False) -> str:
        """Of all that `read` goes by: tables, settings, templates, code. Raises AddressError before the first rescan."""
        with database.reading(self._engine) as connection:
            config = published(editions.edition(connection))
            tables = hashlib.blake2b(digest_size=16)
            for query in _DECISIVE:
                for row in database.fetch_rows(connection, query):
                    tables.update(repr(row).encode())
            static = [content_of(path.read_bytes()) for path in sorted(resources.static().iterdir())]
            return mark_of(shared_mark(config, self._root), str(feeds_only), *static, tables.hexdigest())

    def read(self, *, feeds_only: bool = False) -> list[Leaf]:
        """From one snapshot of the catalog. Raises AddressError before the first rescan."""
        with database.reading(self._engine) as connection:
            if feeds_only:
                return _feeds_alone(connection, published(editions.edition(connection)), self._root)
            shelf = self._shelf(connection, published(editions.edition(connection)))
            found: list[Leaf] = []
            for some in (
                _static(),
                (row.leaf for row in shelf.here),
                self._of_feeds(shelf),
                _feed_documents(shelf),
                _digests(connection, shelf),
                _lists(shelf),
                _overviews(shelf),
            ):
                found += some
            return [*found, *_redirects(shelf, found)]

    def _shelf(self, connection: sa.Connection, config: Config) -> Shelf:
        facets = definitions.enabled_facets(config)
        states = {row.path: row for row in documents.states(connection)}
        self._snapshot.refresh(connection, documents.terms_without_feed(connection, facets))
        if not config.site.article_url:  # else there are no pages of articles
            self._related.refresh(self._snapshot, relation.term_rarities(connection))
        shared = shared_mark(config, self._root)
        return Shelf(
            config,
            shared,
            self._snapshot,
            self._articles(config, shared),
            states,
            [row for row in _feeds(connection, config, self._snapshot) if row[0].path in states],
            {facet: lookup.terms(connection, config, facet, None) for facet in facets},
        )

    def _articles(self, config: Config, shared: str) -> list[_Here]:
        snapshot, before = self._snapshot, self._here
        shown, related = snapshot.shown, self._related.by_article
        self._here = {}
        newest = snapshot.newest
        for key, older, newer in zip(newest, [*newest[1:], 0], [0, *newest[:-1]], strict=False):  # of no article, no neighbour
            mark = shared + shown[key] + "".join([shown.get(other, "") for other in (older, newer, *related.get(key, ()))])
            known = before.get(key)
            self._here[key] = known if known and known.leaf.mark == mark else _here(config, snapshot.articles[key], mark)
        return [row for row in self._here.values() if row.leaf.path]

    def _of_feeds(self, shelf: Shelf) -> Iterator[Leaf]:
        """Pages and history. A list that is the same object has the same articles, looking the same."""
        before, self._pages = self._pages, {}
        for feed, keys in shelf.feeds:
            pages = before.get(feed.path)
            if pages is None or pages.keys is not keys or (pages.shared, pages.feed) != (shelf.shared, feed):
                leaves = [*self._volumes(shelf, feed, keys), *_older_pages(shelf, feed, keys), _newest_page(shelf, feed, keys)]
                pages = _Pages(shelf.shared, feed, keys, leaves)
            self._pages[feed.path] = pages
            yield from pages.leaves

    def _volumes(self, shelf: Shelf, feed: Feed, keys: list[int]) -> Iterator[Leaf]:
        """Archive documents and their pages, oldest first: where the feed does not hold all of its history."""
        if not feed.archive or len(keys) <= feed.limit:
            return
        bucket_of = functools.partial(self._bucket_of, feed.archive, shelf.config.zone)
        volumes = [(name, list(group)) for name, group in itertools.groupby(reversed(keys), key=bucket_of)]
        names = ["", *(name for name, _keys in volumes), ""]
        common = documents.history_mark(shelf.config, feed)
        for (name, inside), older, younger in zip(volumes, names, names[2:], strict=False):
            address = f"/{urls.archive_path(feed.path, name)}"
            shows = shelf.shows(inside)
            mark = mark_of(common, name, older, younger, shows)
            for format in load_formats().values():
                yield Leaf(path_of(address + format.extension), mark, address + format.extension)
            yield Leaf(path_of(address), shelf.mark(feed.title, feed.subtitle, name, older, younger, shows), address)

    def _bucket_of(self, period: str, zone: ZoneInfo, key: int) -> str:
        position = self._snapshot.articles[key].position
        place = (period, zone.key, position)
        if place not in self._buckets:
            self._buckets[place] = archives.name_at(period, published_at(position), zone)
        return self._buckets[place]


@dataclass(frozen=True, slots=True)
class Everything:
    """As `export.Source`: the whole site, or feeds alone."""

    reader: Reader
    feeds_only: bool

    def mark(self) -> str:
        return self.reader.mark(feeds_only=self.feeds_only)

    def leaves(self) -> list[Leaf]:
        return self.reader.read(feeds_only=self.feeds_only)


class _Pages(NamedTuple):
    """What a feed has besides its documents, and what that was made from."""

    shared: str
    feed: Feed
    keys: list[int]
    leaves: list[Leaf]


def _feeds(connection: sa.Connection, config: Config, snapshot: Snapshot) -> Iterator[tuple[Feed, list[int]]]:
    for feed, known in definitions.every_feed(connection, config):
        if known is not None:
            yield feed, snapshot.members.get(known.key, [])
        elif feed.path == definitions.ALL:
            yield feed, snapshot.newest
        else:
            yield feed, queries.article_keys(connection, definitions.clauses_of(connection, config, feed))


def _here(config: Config, known: Heading, mark: str) -> _Here:
    slug = urls.slug(known.id)
    address = f"/articles/{slug}"
    if known.url != config.site.base_url + urls.encode(address):
        return _Here(Leaf("", mark), "")
    return _Here(Leaf(path_of(address), mark, address), f"{slug} {known.permalink}")


def shared_mark(config: Config, root: Path) -> str:
    """Of templates, words, code and settings."""
    site, feeds = config.site.model_dump_json(), config.feeds.model_dump_json(by_alias=True)
    templates = [digest_of_folder(folder) for folder in (root / "templates" / "web", resources.templates() / "web")]
    return mark_of(_program(), site, feeds, str(config.newsletter.enabled), *templates)


@functools.cache  # what a process runs is what there was when it began
def _program() -> str:
    """Return a mark of everything in the program that may show on a page: all of its code and words, and the libraries."""
    versions = map(importlib.metadata.version, ("flask", "jinja2", "markupsafe"))
    return "/".join((documents.versions(), *versions, digest_of_folder(resources.code())))


def digest_of_folder(folder: Path) -> str:
    """Return a digest of the names and bytes of all templates, catalogs of words and sources below a folder."""
    found = hashlib.blake2b(digest_size=12)
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".html", ".mo", ".po", ".py")):
        found.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


# -- the kinds -------------------------------------------------------------


def _static() -> Iterator[Leaf]:
    for path in sorted(resources.static().iterdir()):
        data = path.read_bytes()
        yield Leaf(f"static/{path.name}", content_of(data), make=path.read_bytes)


def _older_pages(shelf: Shelf, feed: Feed, keys: list[int]) -> Iterator[Leaf]:
    last = urls.older_pages(len(keys), lookup.PAGE)
    for number in range(1, last + 1):
        start = len(keys) - number * lookup.PAGE
        shows = shelf.shows(keys[start : start + lookup.PAGE])
        address = f"/{urls.page_path(feed.path, number)}"
        yield Leaf(path_of(address), shelf.mark(feed.title, feed.subtitle, number == last, shows), address)


def _newest_page(shelf: Shelf, feed: Feed, keys: list[int]) -> Leaf:
    count = len(keys)
    last = urls.older_pages(count, lookup.PAGE)
    shows = shelf.shows(keys if feed.facet else keys[: count - last * lookup.PAGE])  # a term's page tells of all of them
    address = f"/{feed.path}"
    return Leaf(path_of(address), shelf.mark(feed.title, feed.subtitle, count, shows), address)


def _feed_documents(shelf: Shelf) -> Iterator[Leaf]:
    for feed, _keys in shelf.feeds:
        for format in load_formats().values():
            address = f"/{feed.path}{format.extension}"
            yield Leaf(path_of(address), shelf.states[feed.path].digest, address)


def _feeds_alone(connection: sa.Connection, config: Config, root: Path) -> list[Leaf]:
    """Documents and lists, where something else makes the pages."""
    rows = documents.states(connection)
    made = [
        Leaf(path_of(f"/{row.path}{format.extension}"), row.digest, f"/{row.path}{format.extension}")
        for row in rows
        for format in load_formats().values()
    ]
    return [*made, *_opml(rows, definitions.enabled_facets(config), shared_mark(config, root))]


def _lists(shelf: Shelf) -> Iterator[Leaf]:
    return _opml(shelf.states.values(), shelf.terms, shelf.shared)


def _opml(states: Collection[FeedState], facets: Iterable[str], shared: str) -> Iterator[Leaf]:
    for name in ("feeds", *(FACETS[facet].plural for facet in facets)):
        inside = [row for row in states if name == "feeds" or row.path.startswith(f"{name}/")]
        rows = "\n".join(f"{row.path}\t{row.title}\t{row.updated}" for row in inside)
        yield Leaf(f"{name}.opml", mark_of(shared, rows), f"/{name}.opml")


def _overviews(shelf: Shelf) -> Iterator[Leaf]:
    terms = {facet: "\n".join(f"{t.name}\t{t.slug}\t{t.articles}" for t in found) for facet, found in shelf.terms.items()}
    for facet, rows in terms.items():
        address = f"/{FACETS[facet].plural}/"
        yield Leaf(path_of(address), shelf.mark(rows), address)
    for address in ("/about/feeds", "/404.html", "/410.html"):
        yield Leaf(path_of(address), shelf.mark(), address)
    newest = shelf.shows(shelf.snapshot.newest[: lookup.NEWEST])
    own = [(row.path, row.title, row.articles) for row in shelf.states.values() if row.path.startswith("feeds/")]
    yield Leaf("index.html", shelf.mark(newest, own, *terms.values()), "/")


def _digests(connection: sa.Connection, shelf: Shelf) -> Iterator[Leaf]:
    """Past issues never change, but by being taken back."""
    if not shelf.config.newsletter.enabled:
        return
    listed = [f"{issue.id} {issue.planned_at} {issue.articles}" for issue in planning.listed_issues(connection)]
    last = urls.older_pages(len(listed), archive.PAGE_SIZE)
    for row in listed:
        address = f"/digests/{row.partition(' ')[0]}"
        yield Leaf(path_of(address), shelf.mark(row), address)
    for number in range(1, last + 1):
        start = len(listed) - number * archive.PAGE_SIZE
        address = f"/{urls.page_path('digests', number)}"
        yield Leaf(path_of(address), shelf.mark(number == last, listed[start : start + archive.PAGE_SIZE]), address)
    yield Leaf("digests/index.html", shelf.mark(last, listed[: len(listed) - last * archive.PAGE_SIZE]), "/digests/")
    yield Leaf("digests.atom", shelf.mark(listed[:20]), "/digests.atom")


def _redirects(shelf: Shelf, found: Sequence[Leaf]) -> Iterator[Leaf]:
    """Includes for web servers: a tree of files cannot answer 301 or 410."""
    own = files.of_config(shelf.config)
    taken = {leaf.address for leaf in found}
    lines = [row.line for row in shelf.here]
    permalinks = [line for line in lines if line.partition(" ")[2] not in taken]
    mark = shelf.mark(own, "\n".join(permalinks))
    for path, form in files.FILES.items():
        yield Leaf(path, mark, make=functools.partial(_table, form, own, permalinks))


def _table(form: Callable[[dict[str, str]], bytes], own: dict[str, str], permalinks: list[str]) -> bytes:
    return form(files.of_permalinks(permalinks) | own)


def export(
    runtime: Runtime,
    target_name: str,
    renderer: Callable[[Environment], Callable[[str], bytes | None]],
    *,
    reader: Reader | None = None,
    compressed: bool = True,
    feeds_only: bool = False,
    full: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Report:
    """Bring the static tree in a folder or at s3://BUCKET/PREFIX up to date. Raises AddressError before the first rescan.

    `renderer` makes, in any process, what answers an address. `reader` remembers what it read between exports of one process.
    `feeds_only`: newest documents and lists, no pages.
    """
    return exporting.export(
        Everything(reader or Reader(runtime.engine, runtime.environment.root), feeds_only),
        target(target_name, published(runtime.edition())),
        functools.partial(renderer, runtime.environment),
        progress,
        compressed=compressed,
        full=full,
        workers=workers,
    )
