"""Render feeds and lists of feeds: articles to entries, a feed to the bytes of a format, all feeds to OPML.

Invariant: every byte is a function of the articles, the configuration and the program, so that nobody's read items come back
unread. Whatever decides the bytes is in the feed's digest (`feed_states`).
"""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import html
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

import brotli
import deflate
import sqlalchemy as sa
from lxml import etree

from .. import urls
from ..catalog import queries
from ..catalog.queries import ArticleDigest
from ..catalog.sort_key import Window
from ..config.models import Config
from ..database import chunks
from ..feed_formats import Category, Content, Enclosure, Entry, Format, FragmentFormat, Person
from ..model import FACETS, PEOPLE, PLURALS, Article, Facet, Feed, FeedState, Term
from . import feed_states
from .feed_states import ArchiveDocument, program_version
from .feeds import period_of, resolve_clauses

#: Fixed, because the tables of the operating system differ from one machine to the next.
_PICTURES = {"png": "image/png", "gif": "image/gif", "webp": "image/webp", "svg": "image/svg+xml", "avif": "image/avif"}


def entry_of(config: Config, feed: Feed, article: Article, markdown: str = "") -> Entry:
    """Return an article as an entry of a feed: with body, visible byline and `markdown`, or with its summary alone."""
    full = feed.content == "full"
    terms: dict[str, list[Term]] = {}
    for term in article.terms:
        terms.setdefault(term.facet, []).append(term)
    people = {role: tuple(Person(term.name, _term_url(config, term)) for term in terms.get(role, ())) for role in PEOPLE}
    summary = article.summary
    if people["translator"] and not full:
        note = _credit(config, "translator", [person.name for person in people["translator"]])
        summary += f"（{note}）" if config.chinese else f" ({note})"
    picture = urlsplit(article.picture).path.rpartition(".")[2].lower()
    return Entry(
        id=urls.article_id(config.site.id_authority, article.id),
        url=article.url,
        title=article.title,
        summary=summary,
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
        enclosure=Enclosure(article.picture, _PICTURES.get(picture, "image/jpeg")) if article.picture else None,
        comments=article.comments,
        language=article.language if article.language.lower() != config.site.language.lower() else "",
        details=article.details,
        markdown=markdown,
    )


def _term_url(config: Config, term: Term) -> str:
    """Return the address of a term's page, "" where it has none."""
    return f"{config.site.base_url}/{urls.encode(term.path)}" if config.has_feed(term.facet, term.path) else ""


def _byline(config: Config, people: Mapping[str, tuple[Person, ...]], original: str) -> str:
    """Return who wrote and translated an article, and from what, as HTML: few readers show contributors."""
    parts = []
    for role in ("author", "translator"):
        if people[role]:
            names = [(html.escape(person.name), html.escape(person.url)) for person in people[role]]
            linked = [f'<a href="{url}">{name}</a>' if url else name for name, url in names]
            parts.append(_credit(config, role, linked))
    if original:
        word = "原文：" if config.chinese else "Original: "
        host = urlsplit(original).hostname or original
        parts.append(f'{word}<a href="{html.escape(original)}">{html.escape(host)}</a>')
    return f"<p>{' · '.join(parts)}</p>" if parts else ""


def _credit(config: Config, role: str, names: Iterable[str]) -> str:
    label = FACETS[role].label(chinese=config.chinese)
    return f"{label}：{'、'.join(names)}" if config.chinese else f"{label}: {', '.join(names)}"


# -- a feed as bytes -------------------------------------------------------

#: Articles with their bodies that are in memory at once.
_LOADED = 100
#: A fragment's key: settings mark (`feed_states.settings_mark`), content policy, format, digest of the article.
FragmentKey = tuple[str, str, str, str]


class FragmentCache:
    """Fragments of entries (`FragmentFormat`), kept for the next documents that show the same articles.

    Those used last stay, within `max_bytes`. Threads share it; `get` takes no lock.
    """

    #: What a fragment takes besides its own bytes.
    OVERHEAD = 400

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._fragments: OrderedDict[FragmentKey, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._mark: tuple[Config | None, str] = (None, "")

    def mark(self, config: Config) -> str:
        """Return the settings mark, made once as long as the configuration is the same object."""
        known, mark = self._mark
        if known is not config:
            mark = feed_states.settings_mark(config)
            self._mark = (config, mark)
        return mark

    def get(self, key: FragmentKey) -> bytes | None:
        """Return the fragment, None where it is not kept, and mark it as used last."""
        fragment = self._fragments.get(key)
        if fragment is not None:
            with contextlib.suppress(KeyError):  # another thread has just dropped it
                self._fragments.move_to_end(key)
        return fragment

    def put(self, key: FragmentKey, fragment: bytes) -> None:
        """Keep a fragment; beyond the bound those go that were not used for longest."""
        with self._lock:
            if key not in self._fragments:
                self._fragments[key] = fragment
                self.bytes += len(fragment) + self.OVERHEAD
            while self.bytes > self.max_bytes:
                _oldest, dropped = self._fragments.popitem(last=False)
                self.bytes -= len(dropped) + self.OVERHEAD


@dataclass(frozen=True, slots=True)
class HistoryLinks:
    """Paths of a feed's archive documents: the one that this is ("" for the feed itself), the next older and younger one."""

    own: str = ""
    closed: bool = False
    older: str = ""
    younger: str = ""


@dataclass(frozen=True, slots=True)
class _Document:
    """What a document shows: a feed, or a period of its history. `articles` newest first."""

    feed: Feed
    updated: datetime
    articles: Sequence[ArticleDigest]
    links: HistoryLinks

    def short(self) -> _Document:
        """Return a document with the summaries of its articles."""
        return replace(self, feed=replace(self.feed, content="summary"))


def render(
    connection: sa.Connection,
    config: Config,
    feed: Feed,
    state: FeedState,
    formats: Collection[Format],
    fragments: FragmentCache | None = None,
) -> dict[str, bytes]:
    """Return a feed's bytes in some formats, by their names, not compressed; its articles are read once, or not at all.

    Call it in the snapshot that `state` was read in. `fragments` are used and kept.
    """
    shown = queries.article_digests(connection, resolve_clauses(connection, config, feed), Window(feed.limit))
    links = history_links(config, feed, state, shown[0].published if shown else None)
    return _join(connection, config, _Document(feed, state.updated, shown, links), formats, fragments)


def history_links(config: Config, feed: Feed, state: FeedState, newest: int | None) -> HistoryLinks:
    """Return where a feed's history goes on: nowhere if the feed holds all of it.

    `newest`: when the newest of its articles was published (UTC seconds), None without any.
    """
    if not feed.archive or state.articles <= feed.limit or newest is None:
        return HistoryLinks()
    period = period_of(feed.archive, newest, config.zone)
    return HistoryLinks(older=period.path(feed) if period else "")


def render_archive(
    connection: sa.Connection,
    config: Config,
    document: ArchiveDocument,
    formats: Collection[Format],
    fragments: FragmentCache | None = None,
) -> dict[str, bytes]:
    """Return the bytes of an archive document, as `render`."""
    feed, beside = document.feed, document.neighbours
    older, younger = (period.path(feed) if period else "" for period in (beside.older, beside.younger))
    links = HistoryLinks(document.state.path, beside.closed, older, younger)
    return _join(connection, config, _Document(feed, document.state.updated, document.articles, links), formats, fragments)


def _join(
    connection: sa.Connection,
    config: Config,
    document: _Document,
    formats: Collection[Format],
    fragments: FragmentCache | None,
) -> dict[str, bytes]:
    joined = [format for format in formats if isinstance(format, FragmentFormat)]
    others = [format for format in formats if not isinstance(format, FragmentFormat)]
    cache = fragments or FragmentCache(0)
    begin = (cache.mark(config), document.feed.content)
    keys = [[(*begin, format.name, shown.digest) for format in joined] for shown in document.articles]
    found = {key: fragment for row in keys for key in row if (fragment := cache.get(key)) is not None}
    missing = [place for place, row in enumerate(keys) if others or any(key not in found for key in row)]
    entries: list[Entry] = []
    for place, entry in _load_entries(connection, config, document, missing):
        for format, key in zip(joined, keys[place], strict=True):
            if key not in found:
                found[key] = format.write_entry(entry, config.site.base_url, config.site.language)
                cache.put(key, found[key])
        if others:  # formats of other packages
            entries.append(entry)
    bound = 0 if document.links.own or document.feed.content != "full" else config.feeds.max_bytes  # a history is whole
    if others and (beyond := places_beyond([len(entry.content.encode()) for entry in entries], bound)):
        for place, entry in _load_entries(connection, config, document.short(), beyond):
            entries[place] = entry
    made = {format.name: format.render(_content(config, document, entries, format)) for format in others}
    for number, format in enumerate(joined):
        fragments_shown = [found[row[number]] for row in keys]
        beyond = places_beyond(list(map(len, fragments_shown)), bound)
        for place, entry in _load_entries(connection, config, document.short(), beyond):
            fragments_shown[place] = format.write_entry(entry, config.site.base_url, config.site.language)
        made[format.name] = format.join(_content(config, document, (), format), fragments_shown)
    return made


def places_beyond(lengths: Sequence[int], max_bytes: int) -> list[int]:
    """Return the places of entries that have to be summaries so that a document is within a bound of bytes; 0 bounds nothing.

    `lengths` in bytes, the newest entry first. The older ones go, and what is longer than the bound by itself.

    >>> places_beyond([10, 90, 10, 10], 25)
    [1, 3]
    """
    if not max_bytes or sum(lengths) <= max_bytes:
        return []
    left, beyond = max_bytes, []
    for place, length in enumerate(lengths):
        if length > max_bytes:
            beyond.append(place)
        elif length > left:
            left = 0
            beyond.append(place)
        else:
            left -= length
    return beyond


def _load_entries(
    connection: sa.Connection, config: Config, document: _Document, places: Iterable[int]
) -> Iterator[tuple[int, Entry]]:
    """Yield the entries at some places of a document, each with its place."""
    feed = document.feed
    for part in chunks(places, _LOADED):
        keys = [document.articles[place].key for place in part]
        articles = queries.load_articles(connection, config.site, keys, with_html=feed.content == "full")
        gives_markdown = config.feeds.source_markdown and feed.content == "full"
        sources = queries.article_sources(connection, keys) if gives_markdown else {}
        for place, key, article in zip(part, keys, articles, strict=True):
            yield place, entry_of(config, feed, article, sources.get(key, ""))


def archived_articles(connection: sa.Connection, config: Config, document: ArchiveDocument) -> list[Article]:
    """Return the articles of an archive document without bodies, newest first."""
    parts = chunks(article.key for article in document.articles)
    return [found for part in parts for found in queries.load_articles(connection, config.site, part, with_html=False)]


def _content(config: Config, document: _Document, entries: Sequence[Entry], format: Format) -> Content:
    site, feed, links = config.site, document.feed, document.links
    paths = (links.own or feed.path, feed.path if links.own else "", links.older, links.younger)
    address, current, older, younger = (path and urls.url(site.base_url, path, format.extension, feed.query) for path in paths)
    return Content(
        id=feed.id,
        title=feed.title,
        subtitle=feed.subtitle,
        updated=document.updated,
        language=_language_of(config, feed),
        author=site.title,
        base=site.base_url,
        page=f"{site.base_url}/" if feed.path == "all" else urls.url(site.base_url, feed.path, query=feed.query),
        address=address,
        current=current,
        older=older,
        younger=younger,
        closed=links.closed,
        hub="" if links.own else config.hub_url,
        icon=site.icon or f"{site.base_url}/static/icon.png",
        logo=site.logo,
        rights=site.rights,
        ttl_minutes=config.feeds.ttl_minutes,
        version=program_version(),
        entries=entries,
    )


#: A tag as of RFC 5646: a store may have other names for its languages.
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}")


def _language_of(config: Config, feed: Feed) -> str:
    """Return the language tag of a feed: of one language its own, else the site's, which entries in others do not follow."""
    names = feed.selection.any.get("language", ()) if feed.facet == "language" else ()
    return names[0] if len(names) == 1 and _TAG.fullmatch(names[0]) else config.site.language


def compress(data: bytes, encoding: str, *, quickly: bool = False) -> bytes:
    """Return data as `gzip`, `br` or `identity`. Equal input gives equal output: no time stamp inside.

    libdeflate's level 6 is as small as zlib's, and takes half of its time. Both libraries let other threads run. `quickly`:
    gzip's level 1, which makes megabytes of feeds 8 % larger in 40 % of the time.
    """
    if encoding == "gzip":
        return bytes(deflate.gzip_compress(data, 1 if quickly else 6))
    return brotli.compress(data, quality=5) if encoding == "br" else data


def decompress(data: bytes, encoding: str) -> bytes:
    """Return what `compress` was given."""
    if encoding == "gzip":
        return gzip.decompress(data)
    return brotli.decompress(data) if encoding == "br" else data


# -- lists of feeds as OPML 2.0 --------------------------------------------
#
# Written so that w3c/feedvalidator has nothing to say: no `docs`, which it does not know, and groups with only a text.
# The specification asks for an outline in every body (http://opml.org/spec2.opml): an empty list has one without a feed.

OPML_TYPE = "text/x-opml"


def opml(connection: sa.Connection, config: Config, facet: Facet | None) -> bytes:
    """Return an outline with all feeds, grouped by facet, or with the feeds of one facet."""
    site, title = config.site, config.site.title
    rows = feed_states.load_states(connection)
    if facet is not None:
        rows = [row for row in rows if row.path.startswith(facet.plural + "/")]
        title = f"{title} · {facet.label(chinese=config.chinese)}"
    root = etree.Element("opml", version="2.0")
    head = etree.SubElement(root, "head")
    etree.SubElement(head, "title").text = title
    if rows:
        etree.SubElement(head, "dateModified").text = email.utils.format_datetime(max(row.updated for row in rows))
    etree.SubElement(head, "ownerName").text = site.title
    body = etree.SubElement(root, "body")
    groups: dict[str, etree._Element] = {"": body}
    for row in rows:
        folder = row.path.partition("/")[0] if facet is None and "/" in row.path else ""
        if folder not in groups:
            group = PLURALS.get(folder)
            name = group.label(chinese=config.chinese) if group else site.title
            groups[folder] = etree.SubElement(body, "outline", text=name)
        page = f"{site.base_url}/{urls.encode(row.path)}"
        attributes = {"type": "rss", "text": row.title, "title": row.title, "xmlUrl": page + ".atom", "htmlUrl": page}
        etree.SubElement(groups[folder], "outline", {**attributes, "language": site.language})
    if not rows:
        etree.SubElement(body, "outline", text=title)  # a body has at least one
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
