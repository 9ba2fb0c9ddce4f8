"""List the files of the static export, and export them: one generator for each kind of file, what is linked to first.

A file's mark is made of all that decides its bytes: for a feed the digest that also makes its ETag; for a page the templates,
words and code that make pages, the settings, and the digests of the articles that it shows. So nothing is rendered to learn
that nothing changed. To add a kind of file, add a generator and its name in `Exporter.files`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from .. import database, resources, urls
from ..catalog import assets, listing, queries
from ..catalog import pages as catalog_pages
from ..catalog.related import RelatedArticles, Snapshot
from ..catalog.sort_key import published_at
from ..config.environment import Environment
from ..config.models import Config
from ..database import tables
from ..errors import AddressError
from ..feed_formats import load_formats
from ..model import FACETS, Feed, FeedState, Term
from ..newsletter.issues import archive, planning
from ..runtime import Runtime
from ..store.addresses import article_url
from ..syndication import editions, feed_states, feeds, pages, texts
from ..syndication.editions import Edition
from ..syndication.pages import Beside
from ..syndication.term_stats import Portraits
from ..web.security_txt import current_security_txt
from . import files
from .export import Options, Report, Source, update_tree
from .files import Codings, Render, SiteFile, digest_of, mark_of, path_of
from .targets import Bucket, Folder


def _renderer(environment: Environment) -> Render:
    from .render import make_renderer  # loads the formats: only where something has to be rendered

    return make_renderer(environment)


def _published(edition: Edition) -> Config:
    if edition.config is None or edition.generation < 1:
        raise AddressError("nothing is published yet: run `feeds rescan`")
    return edition.config


def shared_mark(config: Config, root: Path) -> str:
    """Return the mark of what shows on every page: templates, words, code and settings. `root` is the site's folder."""
    settings = config.site.model_dump_json(), config.feeds.model_dump_json(by_alias=True, exclude={"brotli_archives"})
    templates = [digest_of_folder(folder) for folder in (root / "templates" / "web", resources.TEMPLATES / "web")]
    return mark_of(_program(), *settings, str(config.newsletter.enabled), *templates)


@functools.cache  # what a process runs is what there was when it began
def _program() -> str:
    """Return the mark of everything in the program that may show on a page: all of its code and words, and the libraries."""
    versions = map(importlib.metadata.version, ("flask", "jinja2", "markupsafe"))
    return "/".join((feed_states.versions(), *versions, digest_of_folder(resources.CODE)))


def digest_of_folder(folder: Path) -> str:
    """Return a digest of the names and bytes of all templates, catalogs of words and sources below a folder."""
    found = hashlib.blake2b(digest_size=12)
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".html", ".mo", ".po", ".py")):
        found.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


#: The rows that decide any file. An article's digest covers all that shows of it, its terms included.
_DECISIVE = tuple(
    sa.select(*(table.c[name] for name in columns.split())).order_by(*table.primary_key)
    for table, columns in (
        (tables.articles, "key digest position id permalink"),
        (tables.terms, "key facet name slug articles adopted feed_path"),
        (tables.feeds, "path title articles updated digest"),
        (tables.pages, "id permalink digest"),
        (tables.issues, "id planned_at articles listed status"),
    )
)


class _ArticleFile(NamedTuple):
    """An article's page, of no path where it lives elsewhere. `line`: slug and permalink."""

    file: SiteFile
    line: str


class _FeedFiles(NamedTuple):
    """What a feed has besides its documents, and what that was made from."""

    shared: str
    feed: Feed
    keys: list[int]
    files: list[SiteFile]


@dataclass(frozen=True, slots=True)
class SiteContent:
    """What the generators draw from, read in one snapshot. `shared`: the mark of what shows on every page.

    `former`: `queries.former_updates`, which archive documents may show.

    `out`: articles that are in no feed; `pinned` come first in lists.

    `articles`: those with no other home; `feeds`: with keys of their articles; newest first. `terms`: by facet, with a feed.
    """

    config: Config
    shared: str
    snapshot: Snapshot
    articles: list[_ArticleFile]
    states: dict[str, FeedState]
    feeds: list[tuple[Feed, list[int]]]
    terms: dict[str, list[Term]]
    former: dict[str, int]
    portraits: Portraits
    out: frozenset[int]
    pinned: tuple[int, ...]

    def mark(self, *parts: object) -> str:
        """Return the mark of a page that shows these parts."""
        return mark_of(self.shared, *map(str, parts))

    def shown(self, keys: Iterable[int]) -> str:
        """Return what lists show of some articles, as text for marks."""
        return "".join(map(self.snapshot.shown.__getitem__, keys))


class Exporter:
    """Exports of one site by one process; what did not change since the last one is not read again. `feeds_only`: no pages."""

    def __init__(self, runtime: Runtime, *, feeds_only: bool = False) -> None:
        self._runtime, self._root, self._feeds_only = runtime, runtime.environment.root, feeds_only
        self._snapshot, self._related = Snapshot(), RelatedArticles()
        self._portraits = Portraits(self._snapshot)
        self._shared = ""
        self._shown: dict[int, str] = {}
        self._articles: dict[int, _ArticleFile] = {}
        self._feeds: dict[str, _FeedFiles] = {}
        self._documents: dict[FeedState, list[SiteFile]] = {}
        self._periods: dict[tuple[str, str], dict[int, str]] = {}

    def export(self, target: str, options: Options | None = None) -> Report:
        """Update the tree in a folder or at s3://BUCKET/PREFIX. Raises AddressError before the first rescan, FeedsError."""
        config = _published(self._runtime.edition())
        place = Bucket.parse(target, config.max_age) if "://" in target else Folder(os.path.abspath(target))
        renderer = functools.partial(_renderer, self._runtime.environment)
        options = options or Options()
        codings = Codings(options.compressed, options.compressed and config.feeds.brotli_archives)
        return update_tree(Source(self.mark, self.files), place, renderer, codings, options)

    def mark(self) -> str:
        """Return the mark of all that decides `files`: tables, settings, templates, code. Raises AddressError as `files`."""
        with database.reading(self._runtime.engine) as connection:
            config = _published(editions.load_edition(connection))
            rows = hashlib.blake2b(digest_size=16)
            for query in _DECISIVE:
                rows.update(repr(database.fetch_rows(connection, query)).encode())
            static = [digest_of(path.read_bytes()) for path in sorted(resources.STATIC.iterdir())]
            contact = current_security_txt(config)
            return mark_of(shared_mark(config, self._root), str(self._feeds_only), contact, *static, rows.hexdigest())

    def files(self) -> list[SiteFile]:
        """Return all files, from one snapshot of the catalog. Raises AddressError before the first rescan."""
        with database.reading(self._runtime.engine) as connection:
            config = _published(editions.load_edition(connection))
            beside = _assets(connection, config)
            if self._feeds_only:
                states = feed_states.load_states(connection)
                lists = _opml(states, feeds.enabled_facets(config), shared_mark(config, self._root))
                return [*beside, *self._of_states(states), *lists]
            site, static = self._content(connection, config), sorted(resources.STATIC.iterdir())
            found: list[SiteFile] = []
            for some in (
                (SiteFile(f"static/{path.name}", digest_of(path.read_bytes()), make=path.read_bytes) for path in static),
                beside,
                (article.file for article in site.articles),
                _sources(site),
                self._of_feeds(site),
                self._of_states([site.states[feed.path] for feed, _keys in site.feeds]),
                _digests(connection, site),
                _opml(site.states.values(), site.terms, site.shared),
                _overviews(site),
                _security_txt(config),
            ):
                found += some
            return [*found, *_redirects(site, found)]

    def _content(self, connection: sa.Connection, config: Config) -> SiteContent:
        facets = feeds.enabled_facets(config)
        states = {state.path: state for state in feed_states.load_states(connection)}
        self._snapshot.refresh(connection, feed_states.terms_without_feed(connection, facets))
        if "://" not in config.site.article_url:  # else there are no pages of articles
            self._related.refresh(connection, self._snapshot)
        found: list[tuple[Feed, list[int]]] = []
        named: dict[int, Term] = {}
        terms: dict[str, list[Term]] = {facet: [] for facet in facets}
        for feed, known in feeds.list_feeds(connection, config):
            named |= {known.key: known.term} if known else {}
            if feed.path not in states:
                continue
            if known is not None:
                found.append((feed, self._snapshot.members.get(known.key, [])))
                terms[known.term.facet].append(known.term)
            elif feed.path == feeds.ALL:
                found.append((feed, self._snapshot.newest))
            else:
                keys = queries.article_keys(connection, feeds.resolve_listed(connection, config, feed))
                found.append((feed, keys))
        for facet in facets:
            if config.feeds.facet(facet).min_articles > 1:  # terms without a feed are named, too
                named |= {known.key: known.term for known in queries.terms_of(connection, facet)}
        self._portraits.refresh(config, named)
        shared = shared_mark(config, self._root)
        return SiteContent(
            config,
            shared,
            self._snapshot,
            [*self._of_articles(connection, config, shared), *_of_pages(connection, config, shared)],
            states,
            found,
            terms,
            queries.former_updates(connection),
            self._portraits,
            frozenset(listing.articles_out_of_feeds(connection)),
            listing.pinned_articles(connection),
        )

    def _of_articles(self, connection: sa.Connection, config: Config, shared: str) -> list[_ArticleFile]:
        before, self._articles = (self._articles if shared == self._shared else {}), {}
        shown, neighbours, newest = self._snapshot.shown, self._related.by_article, self._snapshot.newest
        translations = self._snapshot.translations()
        positions = {key: heading.position for key, heading in self._snapshot.articles.items()}
        series = listing.all_series(connection, self._snapshot.members, positions)
        changed = {key for key, text in shown.items() if self._shown.get(key) != text}
        self._shared, self._shown = shared, shown
        for key, older, newer in zip(newest, [*newest[1:], None], [None, *newest[:-1]], strict=False):
            beside = Beside(key, older, newer, neighbours.get(key, ()), translations.get(key, ()), series.get(key, ()))
            made = before.get(key)
            if made is None or made.file.facts != beside or not changed.isdisjoint(beside.keys):
                made = self._of_article(config, beside)
            self._articles[key] = made
        return [article for article in self._articles.values() if article.file.path]

    def _of_article(self, config: Config, beside: Beside) -> _ArticleFile:
        article = self._snapshot.articles[beside.article]
        mark = self._shared + "".join([self._shown.get(key or 0, "") for key in beside.keys])
        mark += "".join(f" {part.number}/{part.total} {part.term.name}" for part in beside.series)
        slug = urls.slug(article.id)
        address = f"/articles/{slug}"
        url = article_url(config.site, article.url, article.permalink, article.id)
        if url != config.site.base_url + urls.encode(address):
            return _ArticleFile(SiteFile("", mark, facts=beside), "")
        return _ArticleFile(_page(address, mark)._replace(facts=beside), f"{slug} {article.permalink}")

    def _of_feeds(self, site: SiteContent) -> Iterator[SiteFile]:
        """Yield pages and archives of all feeds. A list that is the same object has the same articles, looking the same."""
        before, self._feeds = self._feeds, {}
        shared = site.mark(site.former, site.pinned) if site.former or site.pinned else site.shared
        for feed, keys in site.feeds:
            made = before.get(feed.path)
            if made is None or made.keys is not keys or (made.shared, made.feed) != (shared, feed):
                made = _FeedFiles(shared, feed, keys, [*self._archives(site, feed, keys), *_feed_pages(site, feed, keys)])
            self._feeds[feed.path] = made
            yield from made.files

    def _of_states(self, states: Iterable[FeedState]) -> list[SiteFile]:
        """Return the feeds' own documents."""
        before = self._documents
        self._documents = {state: before.get(state) or _feed_documents(state) for state in states}
        return list(itertools.chain.from_iterable(self._documents.values()))

    def _archives(self, site: SiteContent, feed: Feed, keys: list[int]) -> Iterator[SiteFile]:
        """Yield archive documents and their pages, oldest first, where the feed does not hold all of its history."""
        keys = [key for key in keys if key not in site.out] if site.out else keys
        if not feed.archive or len(keys) <= feed.limit:
            return
        zone, unit = site.config.zone, feed.archive
        known = self._periods.setdefault((unit, zone.key), {})
        periods: dict[str, list[int]] = {}
        for key in reversed(keys):
            position = self._snapshot.articles[key].position
            if position not in known:
                known[position] = feeds.period_name(unit, published_at(position), zone)
            periods.setdefault(known[position], []).append(key)
        names = ["", *periods, ""]
        common = feed_states.history_digest(site.config, feed)
        for (name, inside), older, younger in zip(periods.items(), names, names[2:], strict=False):
            path, shown = urls.archive_path(feed.path, name), site.shown(inside)
            period = feeds.parse_period(unit, name, zone)
            former = queries.newest_former_update(site.former, period.first, period.end) if period else 0
            mark = mark_of(common, name, older, younger, shown, *([str(former)] if former else []))
            yield from _documents(path, mark, name, len(inside))
            page = _page(f"/{path}", site.mark(feed.title, feed.subtitle, name, older, younger, shown))
            yield page._replace(when=name, entries=len(inside) // 8)


def _assets(connection: sa.Connection, config: Config) -> list[SiteFile]:
    """Return the files beside articles. Those that are others than at the last rescan are left to the next export."""
    published = assets.list_published(connection) if config.site.files.publish else []
    make = functools.partial
    return [
        SiteFile(f"{files.ASSETS}{one.hash}/{one.name}", one.hash, make=make(assets.read_file, config.site, one))
        for one in published
    ]


def _sources(site: SiteContent) -> Iterator[SiteFile]:
    """Yield the Markdown of articles beside their pages, where a setting asks for it."""
    for article in site.articles if site.config.feeds.export_markdown else ():
        address = f"{article.file.address}{texts.EXTENSION}"
        yield SiteFile(address.removeprefix("/"), mark_of(article.file.mark), address)


def _of_pages(connection: sa.Connection, config: Config, shared: str) -> Iterator[_ArticleFile]:
    """Yield the pages of the store that have no other home."""
    for id, _path, permalink, digest in catalog_pages.page_marks(connection):
        address = f"/articles/{urls.slug(id)}"
        own = urls.encode(address)
        if article_url(config.site, own, permalink, id) == config.site.base_url + own:
            yield _ArticleFile(_page(address, mark_of(shared, digest)), f"{urls.slug(id)} {permalink}")


def _page(address: str, mark: str) -> SiteFile:
    return SiteFile(path_of(address), mark, address)


def _feed_documents(state: FeedState) -> list[SiteFile]:
    """Return the files of a feed's own documents."""
    return _documents(state.path, state.digest, state.updated.isoformat(), min(state.articles, 20))


def _documents(path: str, mark: str, when: str, entries: int) -> list[SiteFile]:
    """Return the files of a document, one for each format."""
    ends = [format.extension for format in load_formats().values()]
    return [SiteFile(path + end, mark, f"/{path}{end}", when=when, entries=entries) for end in ends]


def _feed_pages(site: SiteContent, feed: Feed, keys: list[int]) -> Iterator[SiteFile]:
    """Yield the pages of a feed, oldest first."""
    count, last = len(keys), urls.older_pages(len(keys), pages.PAGE) if feed.facet != "series" else 0
    for number in range(1, last + 1):
        start = count - number * pages.PAGE
        mark = site.mark(feed.title, feed.subtitle, number == last, site.shown(keys[start : start + pages.PAGE]))
        yield _page(f"/{urls.page_path(feed.path, number)}", mark)
    shown = site.shown(keys if feed.facet else keys[: count - last * pages.PAGE])  # a term's page counts all of them
    inside = frozenset(keys) if site.pinned else ()
    shown += "".join(f"^{site.snapshot.shown[key]}" for key in site.pinned if key in inside)
    newest = _page(f"/{feed.path}", site.mark(feed.title, feed.subtitle, count, shown))
    yield newest._replace(facts=functools.partial(site.portraits.of, feed.term)) if feed.term and keys else newest


def _opml(states: Collection[FeedState], facets: Iterable[str], shared: str) -> Iterator[SiteFile]:
    for name in ("feeds", *(FACETS[facet].plural for facet in facets)):
        inside = [state for state in states if name == "feeds" or state.path.startswith(f"{name}/")]
        rows = "\n".join(f"{state.path}\t{state.title}\t{state.updated}" for state in inside)
        yield SiteFile(f"{name}.opml", mark_of(shared, rows), f"/{name}.opml")


def _overviews(site: SiteContent) -> Iterator[SiteFile]:
    terms = {facet: "\n".join(f"{t.name}\t{t.slug}\t{t.articles}" for t in found) for facet, found in site.terms.items()}
    for facet, rows in terms.items():
        yield _page(f"/{FACETS[facet].plural}/", site.mark(rows))
    for address in ("/about/feeds", "/404.html", "/410.html"):
        yield _page(address, site.mark())
    newest = site.shown(site.snapshot.newest[: pages.NEWEST]) + "^" * len(site.pinned) + site.shown(site.pinned)
    own = [(state.path, state.title, state.articles) for state in site.states.values() if state.path.startswith("feeds/")]
    yield _page("/", site.mark(newest, own, *terms.values()))


def _security_txt(config: Config) -> Iterator[SiteFile]:
    if text := current_security_txt(config):
        yield SiteFile(".well-known/security.txt", digest_of(text.encode()), make=functools.partial(text.encode))


def _digests(connection: sa.Connection, site: SiteContent) -> Iterator[SiteFile]:
    """Yield the archive of the newsletter. Past issues change only by being withdrawn."""
    if not site.config.newsletter.enabled:
        return
    listed = [f"{issue.id} {issue.planned_at} {issue.articles}" for issue in planning.listed_issues(connection)]
    last = urls.older_pages(len(listed), archive.PAGE_SIZE)
    for row in listed:
        yield _page(f"/digests/{row.partition(' ')[0]}", site.mark(row))
    for number in range(1, last + 1):
        start = len(listed) - number * archive.PAGE_SIZE
        mark = site.mark(number == last, listed[start : start + archive.PAGE_SIZE])
        yield _page(f"/{urls.page_path('digests', number)}", mark)
    yield _page("/digests/", site.mark(last, listed[: len(listed) - last * archive.PAGE_SIZE]))
    yield _page("/digests.atom", site.mark(listed[:20]))


def _redirects(site: SiteContent, found: Sequence[SiteFile]) -> Iterator[SiteFile]:
    """Yield files for web servers: a tree of files cannot answer 301 or 410."""
    own = files.configured_redirects(site.config)
    taken = {file.address for file in found}
    lines = [article.line for article in site.articles]
    permalinks = [line for line in lines if line.partition(" ")[2] not in taken]
    mark = site.mark(own, "\n".join(permalinks))
    for path, write in files.REDIRECT_FILES.items():
        yield SiteFile(path, mark, make=functools.partial(_redirect_file, write, permalinks, own))


def _redirect_file(write: Callable[[Mapping[str, str]], bytes], permalinks: list[str], own: Mapping[str, str]) -> bytes:
    return write({**files.permalink_redirects(permalinks), **own})
