"""Entries -> bytes. A format is a row in `FORMATS`: extension, media type, function. The only user of feedgen.

feedgen 1.0.0 needs help in seven places, each marked below; equal content gives equal bytes.
"""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension, BaseExtension
from feedgen.feed import FeedGenerator
from lxml import etree

from .. import urls
from ..config.models import Config
from ..model import FACETS, PEOPLE, Article, Feed, Term

# An article as an entry of a feed: the one model that all formats write. Pure.
#
# Every byte of an entry is a function of the article and the configuration, so that nobody's read items come back unread.


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    term: str
    scheme: str


@dataclass(frozen=True, slots=True)
class Enclosure:
    url: str
    type: str


@dataclass(frozen=True, slots=True)
class Entry:
    """`content` is HTML with the visible byline, empty in a summary feed; `summary` is plain text."""

    id: str
    url: str
    title: str
    summary: str
    content: str
    published: datetime
    updated: datetime
    authors: tuple[Person, ...]
    translators: tuple[Person, ...]
    credits: tuple[tuple[str, tuple[Person, ...]], ...]
    categories: tuple[Category, ...]
    via: str
    enclosure: Enclosure | None
    comments: int


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
        credits=tuple((role, people[role]) for role in _ROLES if people[role]),
        categories=tuple(
            Category(term.name, f"{config.site.base_url}/{FACETS[facet].plural}/")
            for facet in ("tag", "category")
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


_ROLES = ("selector", "translator", "reviewer")


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


ATOM = "http://www.w3.org/2005/Atom"
NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "fh": "http://purl.org/syndication/history/1.0",
    "media": "http://search.yahoo.com/mrss/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "thr": "http://purl.org/syndication/thread/1.0",
}
GENERATOR = "feeds"


@dataclass(frozen=True, slots=True)
class Content:
    """All that a format needs: nothing is looked up while rendering. Addresses are absolute, "" where there is none.

    `current`, `older` and `younger` are `current`, `prev-archive` and `next-archive` of RFC 5005; only an archive document has
    a `current`. `closed`: it will not change any more. `hub` is the WebSub hub's.
    """

    id: str
    title: str
    subtitle: str
    updated: datetime
    language: str
    author: str
    base: str
    page: str
    address: str
    icon: str
    logo: str
    rights: str
    ttl_minutes: int
    version: str
    entries: Sequence[Entry]
    current: str = ""
    older: str = ""
    younger: str = ""
    closed: bool = False
    hub: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    media_type: str
    label: str
    render: Callable[[Content], bytes]

    @property
    def extension(self) -> str:
        return "." + self.name

    @property
    def content_type(self) -> str:
        return f"{self.media_type}; charset=utf-8"


# -- Atom and RSS by feedgen -----------------------------------------------


@dataclass
class _Extras(BaseExtension):  # type: ignore[misc]
    """Declares the namespaces that entries use; writes what belongs to the feed as a whole."""

    links: list[dict[str, str]] = field(default_factory=list)
    archive: bool = False

    def extend_ns(self) -> dict[str, str]:
        return NAMESPACES

    def extend_atom(self, feed: Any) -> Any:
        return self._mark(feed)

    def extend_rss(self, rss: Any) -> Any:
        # 7. Of a channel's links feedgen writes `self` only.
        for attributes in self.links:
            etree.SubElement(rss[0], f"{{{ATOM}}}link", attributes)
        self._mark(rss[0])
        return rss

    def _mark(self, element: Any) -> Any:
        if self.archive:
            etree.SubElement(element, f"{{{NAMESPACES['fh']}}}archive")
        return element


@dataclass
class _EntryExtras(BaseEntryExtension):  # type: ignore[misc]
    links: list[dict[str, str]] = field(default_factory=list)
    creators: list[str] = field(default_factory=list)
    contributors: list[str] = field(default_factory=list)
    thumbnail: str = ""
    comments: int = 0
    edited: str = ""

    def extend_atom(self, entry: Any) -> Any:
        # 1. feedgen drops rel, type and title of an entry's links: https://github.com/lkiesow/python-feedgen/issues/135
        for broken in entry.findall("link"):
            entry.remove(broken)
        for attributes in self.links:
            etree.SubElement(entry, "link", attributes)  # its tree has no namespace before it is written
        self._extend_both(entry)
        etree.SubElement(entry, f"{{{NAMESPACES['thr']}}}total").text = str(self.comments)
        return entry

    def extend_rss(self, item: Any) -> Any:
        # 2. RSS names people by e-mail address only; feedgen leaves out those without.
        for name in self.creators:
            etree.SubElement(item, f"{{{NAMESPACES['dc']}}}creator").text = name
        for name in self.contributors:
            etree.SubElement(item, f"{{{NAMESPACES['dc']}}}contributor").text = name
        for attributes in self.links:
            if attributes["rel"] == "via":
                etree.SubElement(item, f"{{{ATOM}}}link", attributes)
        if self.edited:  # RSS has one date, the publication's
            etree.SubElement(item, f"{{{ATOM}}}updated").text = self.edited
        self._extend_both(item)
        etree.SubElement(item, f"{{{NAMESPACES['slash']}}}comments").text = str(self.comments)
        return item

    def _extend_both(self, element: Any) -> None:
        if self.thumbnail:
            etree.SubElement(element, f"{{{NAMESPACES['media']}}}thumbnail", url=self.thumbnail)


def _generator(content: Content, media_type: str) -> FeedGenerator:
    made = FeedGenerator()
    made.register_extension("extras", _Extras, _EntryExtras)
    made.id(content.id)
    made.title(content.title)
    made.subtitle(content.subtitle)
    made.updated(content.updated)  # 3. the default is now, which would change the bytes with every second
    made.language(content.language)
    made.author(name=content.author, uri=content.base + "/")
    made.generator(GENERATOR, version=content.version)
    made.icon(content.icon)
    if content.logo:
        made.logo(content.logo)
    if content.rights:
        made.rights(content.rights)
    made.link(href=content.address, rel="self", type=media_type)
    made.extras.archive = content.closed
    made.extras.links = [*_hub(content), *_history(content, media_type)]
    for attributes in made.extras.links:
        made.link(**attributes)
    made.link(href=content.page, rel="alternate", type="text/html")  # 4. RSS takes the last link for its own
    for entry in content.entries:
        _fill(made.add_entry(order="append"), entry)  # 5. the default order prepends
    return made


def _hub(content: Content) -> list[dict[str, str]]:
    return [{"rel": "hub", "href": content.hub}] if content.hub else []


def _history(content: Content, media_type: str) -> list[dict[str, str]]:
    """The links of RFC 5005, section 4."""
    links = (("current", content.current), ("prev-archive", content.older), ("next-archive", content.younger))
    return [{"rel": rel, "href": href, "type": media_type} for rel, href in links if href]


def _fill(made: FeedEntry, entry: Entry) -> None:
    made.id(entry.id)
    made.title(entry.title)
    made.link(href=entry.url)
    made.published(entry.published)
    made.updated(entry.updated)
    for person in entry.authors:
        made.author(name=person.name)
    for person in entry.translators:
        made.contributor({"name": person.name, "uri": person.url} if person.url else {"name": person.name})
    # All at once: one by one, feedgen goes over those before each time.
    made.category([{"term": category.term, "scheme": category.scheme} for category in entry.categories])
    extras: _EntryExtras = made.extras
    extras.links = _links(entry)
    extras.creators = [person.name for person in entry.authors]
    extras.contributors = [person.name for person in entry.translators]
    extras.comments = entry.comments
    extras.edited = entry.updated.isoformat() if entry.updated > entry.published else ""
    if entry.enclosure:
        extras.thumbnail = entry.enclosure.url
        # The size of a picture on another host is not known; RSS wants a number (RSS Advisory Board profile: 0 then).
        made.enclosure(url=entry.enclosure.url, length="0", type=entry.enclosure.type)


def _links(entry: Entry) -> list[dict[str, str]]:
    links = [{"rel": "alternate", "type": "text/html", "href": entry.url}]
    if entry.via:
        links.append({"rel": "via", "href": entry.via})
    if entry.enclosure:
        links.append({"rel": "enclosure", "type": entry.enclosure.type, "length": "0", "href": entry.enclosure.url})
    return links


def _atom(content: Content) -> bytes:
    made = _generator(content, "application/atom+xml")
    for filled, entry in zip(made.entry(), content.entries, strict=True):
        if entry.summary:
            filled.summary(entry.summary)
        if entry.content:
            filled.content(entry.content, type="html")
    text: bytes = made.atom_str()
    return text


#: feedgen calls setlocale for each RSS date, which is the whole process's; two threads at it could leave the process in "C".
_LOCALE = threading.Lock()


def _rss(content: Content) -> bytes:
    made = _generator(content, "application/rss+xml")
    made.ttl(content.ttl_minutes)
    made.image(url=content.icon, title=content.title, link=content.page)
    made.description(content.subtitle)
    for filled, entry in zip(made.entry(), content.entries, strict=True):
        if entry.summary:
            filled.description(html.escape(entry.summary, quote=False))
        if entry.content:
            filled.content(entry.content, type="CDATA")
    with _LOCALE:
        text: bytes = made.rss_str()
    head, item, items = text.partition(b"<item>")
    return _CHANNEL_TEXT.sub(_hexadecimal, head) + item + _TITLE.sub(_hexadecimal, items)


#: What RSS holds as plain text for people: titles, and the channel's description.
_TITLE = re.compile(rb"<title>[^<]*")
_CHANNEL_TEXT = re.compile(rb"<(?:title|description)>[^<]*")


def _hexadecimal(match: re.Match[bytes]) -> bytes:
    """6. Some readers take `&lt;b&gt;` in a title for a tag, but not `&#x3C;b&gt;` (RSS Advisory Board profile, 3.1)."""
    return match[0].replace(b"&lt;", b"&#x3C;").replace(b"&amp;", b"&#x26;")


# -- JSON Feed 1.1 ---------------------------------------------------------


def _json(content: Content) -> bytes:
    feed: dict[str, object] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": content.title,
        "home_page_url": content.page,
        "feed_url": content.address,
        **({"next_url": content.older} if content.older else {}),
        "description": content.subtitle,
        "icon": content.icon,
        "favicon": content.icon,
        "authors": [{"name": content.author, "url": content.base + "/"}],
        "language": content.language,
        **({"hubs": [{"type": "WebSub", "url": content.hub}]} if content.hub else {}),
        "_feed": {
            "about": content.base + "/about/feeds",
            "id": content.id,
            "rights": content.rights,
            "ttl": content.ttl_minutes,
        },
        "items": [_item(content, entry) for entry in content.entries],
    }
    return json.dumps(feed, ensure_ascii=False, separators=(",", ":")).encode()


def _item(content: Content, entry: Entry) -> dict[str, object]:
    item: dict[str, object] = {"id": entry.id, "url": entry.url, "title": entry.title}
    if entry.via:
        item["external_url"] = entry.via
    if entry.content:
        item["content_html"] = entry.content
    else:
        item["content_text"] = entry.summary or entry.title
    if entry.summary:
        item["summary"] = entry.summary
    item["date_published"] = entry.published.isoformat()
    item["date_modified"] = entry.updated.isoformat()
    people = {person.name: person for person in (*entry.authors, *entry.translators)}
    if people:
        item["authors"] = [_author(person.name, person.url) for person in people.values()]
    if entry.categories:
        item["tags"] = list(dict.fromkeys(category.term for category in entry.categories))
    item["language"] = content.language
    if entry.enclosure:
        item["image"] = entry.enclosure.url
        item["attachments"] = [{"url": entry.enclosure.url, "mime_type": entry.enclosure.type}]
    item["_article"] = {"about": content.base + "/about/feeds", "comments": entry.comments, **_credits(entry)}
    return item


def _author(name: str, url: str) -> dict[str, str]:
    return {"name": name, "url": url} if url else {"name": name}


def _credits(entry: Entry) -> dict[str, object]:
    return {role: [_author(person.name, person.url) for person in people] for role, people in entry.credits}


FORMATS: Mapping[str, Format] = {
    made.name: made
    for made in (
        Format("atom", "application/atom+xml", "Atom", _atom),
        Format("rss", "application/rss+xml", "RSS", _rss),
        Format("json", "application/feed+json", "JSON Feed", _json),
    )
}
