"""Render feeds and lists of feeds: articles to entries, a feed to the bytes of a format, all feeds to OPML.

Invariant: every byte is a function of the articles, the configuration and the program, so that nobody's read items come back
unread. Whatever decides the bytes is in the feed's digest (`feed_states`).
"""

from __future__ import annotations

import email.utils
import gzip
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import brotli
import sqlalchemy as sa
from lxml import etree

from .. import urls
from ..catalog import queries
from ..catalog.sort_key import Window
from ..config.models import Config
from ..feed_formats import Category, Content, Enclosure, Entry, Format, Person
from ..model import FACETS, PEOPLE, PLURALS, Article, Facet, Feed, FeedState, Term
from . import feed_states
from .feed_states import ArchiveDocument, program_version
from .feeds import period_of, resolve_clauses

#: Fixed, because the tables of the operating system differ from one machine to the next.
_PICTURES = {"png": "image/png", "gif": "image/gif", "webp": "image/webp", "svg": "image/svg+xml", "avif": "image/avif"}


def entry_of(config: Config, feed: Feed, article: Article) -> Entry:
    """Return an article as an entry of a feed: with its body and a visible byline, or with its summary alone."""
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


@dataclass(frozen=True, slots=True)
class HistoryLinks:
    """Paths of a feed's archive documents: the one that this is ("" for the feed itself), the next older and younger one."""

    own: str = ""
    closed: bool = False
    older: str = ""
    younger: str = ""


def render(connection: sa.Connection, config: Config, feed: Feed, state: FeedState, format: Format) -> bytes:
    """Return the bytes of a feed, not compressed. Call it in the snapshot that `state` was read in."""
    clauses = resolve_clauses(connection, config, feed)
    articles = queries.select(connection, config.site, clauses, Window(feed.limit), with_html=feed.content == "full")
    entries = [entry_of(config, feed, article) for article in articles]
    return format.render(_content(config, feed, state.updated, entries, format, history_links(config, feed, state, articles)))


def history_links(config: Config, feed: Feed, state: FeedState, articles: Sequence[Article]) -> HistoryLinks:
    """Return where a feed's history goes on: nowhere if the feed holds all of it. The first of `articles` is its newest."""
    if not feed.archive or state.articles <= feed.limit or not articles:
        return HistoryLinks()
    newest = period_of(feed.archive, int(articles[0].published.timestamp()), config.zone)
    return HistoryLinks(older=newest.path(feed) if newest else "")


def render_archive(
    connection: sa.Connection, config: Config, document: ArchiveDocument, formats: Iterable[Format]
) -> list[bytes]:
    """Return the bytes of an archive document in each format; its articles are read once."""
    feed, beside = document.feed, document.neighbours
    articles = archived_articles(connection, config, document, with_html=feed.content == "full")
    entries = [entry_of(config, feed, article) for article in articles]
    older, younger = (period.path(feed) if period else "" for period in (beside.older, beside.younger))
    links = HistoryLinks(document.state.path, beside.closed, older, younger)
    return [format.render(_content(config, feed, document.state.updated, entries, format, links)) for format in formats]


def archived_articles(
    connection: sa.Connection, config: Config, document: ArchiveDocument, *, with_html: bool = False
) -> list[Article]:
    """Return the articles of an archive document, newest first."""
    clauses = resolve_clauses(connection, config, document.feed)
    window = Window.published(document.period.first, document.period.end)
    return queries.select(connection, config.site, clauses, window, with_html=with_html)


def _content(
    config: Config, feed: Feed, updated: datetime, entries: Sequence[Entry], format: Format, links: HistoryLinks
) -> Content:
    site = config.site
    paths = (links.own or feed.path, feed.path if links.own else "", links.older, links.younger)
    address, current, older, younger = (path and urls.url(site.base_url, path, format.extension, feed.query) for path in paths)
    return Content(
        id=feed.id,
        title=feed.title,
        subtitle=feed.subtitle,
        updated=updated,
        language=site.language,
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


def compress(data: bytes, encoding: str) -> bytes:
    """Return data as `gzip`, `br` or `identity`. Equal input gives equal output: no time stamp inside."""
    if encoding == "gzip":
        return gzip.compress(data, 6, mtime=0)
    return brotli.compress(data, quality=5) if encoding == "br" else data


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
