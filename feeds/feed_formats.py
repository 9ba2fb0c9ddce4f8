"""Render feed content as Atom, RSS or JSON Feed, or as any format that an installed package adds. Pure.

`BUILT_IN` is the table to extend for a format of the project; other packages add theirs through the entry point group
`feeds.formats`. Addresses, media types, autodiscovery, the static export, `feeds show` and the escaping of tag names all follow
`load_formats()`. Invariant: equal content gives equal bytes. Only user of feedgen, with `feed_extensions`; feedgen 1.0.0 needs
help in eight places, each marked there or below.
"""

from __future__ import annotations

import functools
import html
import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from lxml import etree

from .errors import FormatError
from .feed_extensions import (
    ATOM,
    NAMESPACES,
    RARE_NAMESPACES,
    EntryExtras,
    FeedExtras,
    describe_episode,
    describe_podcast,
    licence_of,
    modern_explicit,
    used_namespaces,
)
from .model import NO_DETAILS, Details, MediaFile
from .plugins import find_plugins, load_plugin

if TYPE_CHECKING:
    from feedgen.entry import FeedEntry
    from feedgen.feed import FeedGenerator

#: Entry point group in which a package registers a format: a class without arguments, or an object, that follows `Format`.
GROUP = "feeds.formats"
#: Extensions of files that are not feeds. A format must not take one of them.
OTHER_EXTENSIONS = (".xml", ".html", ".opml", ".gz", ".br")

# -- what a format gets ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """An author or contributor. `url` is the absolute address of the person's page, "" without one."""

    name: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """A term of a facet that does not name people. `scheme` is the absolute address of the facet's directory."""

    term: str
    scheme: str


@dataclass(frozen=True, slots=True)
class Enclosure:
    """An article's picture: absolute address and media type. Audio and video are in its `details`."""

    url: str
    type: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An article as an entry of a feed, the same for all formats.

    `id` is a tag: URI that never changes. `content` is sanitised HTML with the visible byline, "" in a feed of summaries;
    `summary` is plain text. Times are aware and in UTC. `credits` lists the people of every other role: (facet, people).
    `via` is the address of the original that was translated, "" without one. `comments` counts them. `language` is a tag, ""
    for that of the feed. `details`: what few articles say, with absolute addresses.
    `markdown` is the source of the body, "" where it is not given.
    """

    id: str
    url: str
    title: str
    published: datetime
    updated: datetime
    summary: str = ""
    content: str = ""
    authors: tuple[Person, ...] = ()
    translators: tuple[Person, ...] = ()
    credits: tuple[tuple[str, tuple[Person, ...]], ...] = ()
    categories: tuple[Category, ...] = ()
    via: str = ""
    enclosure: Enclosure | None = None
    comments: int = 0
    language: str = ""
    details: Details = NO_DETAILS
    markdown: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """All that a format needs to render a feed. Addresses are absolute, "" where none exists.

    `address` is the document's own address (rel=self), `page` the web page with the same articles, `base` the site's root.
    `current`, `older` and `younger` are `current`, `prev-archive` and `next-archive` of RFC 5005, section 4; only an archive
    document has a `current`. `closed`: an archive document that will not change any more. `hub` is the WebSub hub's address,
    `version` the program's version. `entries` are in the order of the feed, newest first.
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


class Format(Protocol):
    """A feed format: the interface of `Atom`, `Rss` and `JsonFeed`, and of formats in other packages.

    `name` is what counters and options call the format. `extension` is the end of its addresses, in lower case, and may have a
    dot inside (`.mf2.html`). `media_type` has no parameters: documents are UTF-8. `label` is shown to readers.

    A package for Gemini's text format, complete:

        class Gemtext:
            name, extension, media_type, label = "gemtext", ".gmi", "text/gemini", "Gemini"

            def render(self, content: Content) -> bytes:
                lines = [f"# {content.title}"]
                lines += [f"=> {entry.url} {entry.published:%Y-%m-%d} {entry.title}" for entry in content.entries]
                return "\n".join(lines).encode() + b"\n"

    and in its `pyproject.toml`:

        [project.entry-points."feeds.formats"]
        gemtext = "feeds_gemini:Gemtext"
    """

    name: str
    extension: str
    media_type: str
    label: str

    def render(self, content: Content, /) -> bytes:
        """Return the document in UTF-8. Must be a pure function of `content`: its ETag is known before it is rendered."""


class FragmentFormat:
    """A format whose entries look the same in every document: each is written once, as a fragment, and documents are joined.

    The built-in formats derive from it.
    """

    def write_entry(self, entry: Entry, base: str, language: str) -> bytes:
        """Return an entry's fragment. `base` and `language` are the site's, as in `Content`."""
        raise NotImplementedError

    def join(self, content: Content, fragments: Iterable[bytes]) -> bytes:
        """Return the document that holds `fragments`; `content.entries` does not count."""
        raise NotImplementedError

    def render(self, content: Content) -> bytes:
        """Return the document, as `Format.render`."""
        return self.join(content, [self.write_entry(entry, content.base, content.language) for entry in content.entries])


# -- Atom and RSS by feedgen -----------------------------------------------

GENERATOR = "feeds"


def _generator(content: Content, media_type: str, used: frozenset[str] = frozenset()) -> FeedGenerator:
    from feedgen.feed import FeedGenerator  # commands that render nothing need not wait for it

    made = FeedGenerator()
    made.register_extension("extras", FeedExtras, EntryExtras)
    made.extras.used = used
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
    made.extras.links = [{"rel": "hub", "href": content.hub}] if content.hub else []
    history = (("current", content.current), ("prev-archive", content.older), ("next-archive", content.younger))
    made.extras.links += [{"rel": rel, "href": href, "type": media_type} for rel, href in history if href]
    for attributes in made.extras.links:
        made.link(**attributes)
    made.link(href=content.page, rel="alternate", type="text/html")  # 4. RSS takes the last link for its own
    return made


def _filled(entry: Entry) -> FeedEntry:
    from feedgen.entry import FeedEntry

    made = FeedEntry()
    made.register_extension("extras", EntryExtras)
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
    extras: EntryExtras = made.extras
    extras.links = [{"rel": "alternate", "type": "text/html", "href": entry.url}]
    if entry.via:
        extras.links.append({"rel": "via", "href": entry.via})
    extras.creators = [person.name for person in entry.authors]
    extras.contributors = [person.name for person in entry.translators]
    extras.comments = entry.comments
    extras.markdown = entry.markdown
    extras.edited = entry.updated.isoformat() if entry.updated > entry.published else ""
    if entry.enclosure:
        extras.thumbnail = entry.enclosure.url
        # The size of a picture on another host is not known; RSS wants a number (RSS Advisory Board profile: 0 then).
        enclosure = {"type": entry.enclosure.type, "length": "0"}
        extras.links.append({"rel": "enclosure", **enclosure, "href": entry.enclosure.url})
        made.enclosure(url=entry.enclosure.url, **enclosure)
    extras.language = entry.language
    if entry.details is not NO_DETAILS:
        _add_details(made, entry, entry.details)
    return made


def _add_details(made: FeedEntry, entry: Entry, details: Details) -> None:
    """Add what few articles say."""
    extras: EntryExtras = made.extras
    extras.details = details
    if details.licence or details.licence_url:
        made.rights(details.licence or details.licence_url)
    if details.licence_url:
        extras.links.append({"rel": "license", "href": details.licence_url})
    if details.discussion:
        made.comments(details.discussion)
    for file in details.media:
        extras.links.append({"rel": "enclosure", "type": file.type, "length": str(file.length), "href": file.url})
    if details.media:  # the one enclosure of an item is what can be played
        made.enclosure(url=details.media[0].url, type=details.media[0].type, length=str(details.media[0].length))
        made.load_extension("podcast", atom=False)
        describe_episode(made.podcast, details, entry.enclosure.url if entry.enclosure else "")


def _fragment(entry: Any, namespaces: Mapping[str, str]) -> bytes:
    """5. feedgen writes whole feeds only: cut an entry out of an element that declares the namespaces, as the feed's does."""
    root = etree.Element("feed", nsmap=dict(namespaces))
    root.append(entry)
    text = etree.tostring(root, encoding="UTF-8")
    return text[text.index(b">") + 1 : -len(b"</feed>")]


def _insert(document: bytes, end: bytes, fragments: Iterable[bytes]) -> bytes:
    return b"".join((document.removesuffix(end), *fragments, end))


class Atom(FragmentFormat):
    """Atom (RFC 4287) with threading, media thumbnails and archives."""

    name, extension, media_type, label = "atom", ".atom", "application/atom+xml", "Atom"

    def write_entry(self, entry: Entry, base: str, language: str) -> bytes:
        """Return an `entry` element."""
        return _fragment(self.fill(entry).atom_entry(), NAMESPACES)

    def fill(self, entry: Entry) -> FeedEntry:
        """Return feedgen's entry."""
        made = _filled(entry)
        if entry.summary:
            made.summary(entry.summary)
        if entry.content:
            made.content(entry.content, type="html")
        return made

    def join(self, content: Content, fragments: Iterable[bytes]) -> bytes:
        """Return the feed as Atom."""
        return _insert(self.channel(content).atom_str(), b"</feed>", fragments)

    def channel(self, content: Content) -> FeedGenerator:
        """Return feedgen's feed, without entries."""
        return _generator(content, self.media_type)


#: feedgen calls setlocale for each RSS date, which changes the whole process; two threads at once could leave it in "C".
_LOCALE = threading.Lock()
#: What RSS holds as plain text for people: titles, and the channel's description.
_TITLE = re.compile(rb"<title>[^<]*")
_CHANNEL_TEXT = re.compile(rb"<(?:title|description)>[^<]*")
#: Those that feedgen declares in RSS besides.
_RSS_NAMESPACES = NAMESPACES | RARE_NAMESPACES | {"atom": ATOM, "content": "http://purl.org/rss/1.0/modules/content/"}


class Rss(FragmentFormat):
    """RSS 2.0 as the RSS Advisory Board's profile recommends it, with Dublin Core names."""

    name, extension, media_type, label = "rss", ".rss", "application/rss+xml", "RSS"

    def write_entry(self, entry: Entry, base: str, language: str) -> bytes:
        """Return an `item` element."""
        made = self.fill(entry)
        with _LOCALE:
            item = made.rss_entry()
        return _TITLE.sub(_hexadecimal, modern_explicit(_fragment(item, _RSS_NAMESPACES)))

    def fill(self, entry: Entry) -> FeedEntry:
        """Return feedgen's entry."""
        made = _filled(entry)
        if entry.summary:
            made.description(html.escape(entry.summary, quote=False))
        if entry.content:
            made.content(entry.content, type="CDATA")
        return made

    def channel(self, content: Content, used: frozenset[str] = frozenset()) -> FeedGenerator:
        """Return feedgen's feed, without entries, with the namespaces that are `used` besides the usual ones."""
        made = _generator(content, self.media_type, used)
        made.ttl(content.ttl_minutes)
        made.image(url=content.icon, title=content.title, link=content.page)
        made.description(content.subtitle)
        return made

    def join(self, content: Content, fragments: Iterable[bytes]) -> bytes:
        """Return the feed as RSS."""
        parts = list(fragments)
        made = self.channel(content, used := used_namespaces(parts))
        if "itunes" in used:
            made.load_extension("podcast", atom=False)
            describe_podcast(made.podcast, content.author, (content.logo, content.icon), parts)
        with _LOCALE:
            channel: bytes = made.rss_str()
        return _insert(_CHANNEL_TEXT.sub(_hexadecimal, modern_explicit(channel)), b"</channel></rss>", parts)


def _hexadecimal(match: re.Match[bytes]) -> bytes:
    """6. Some readers take `&lt;b&gt;` in a title for a tag, but not `&#x3C;b&gt;` (RSS Advisory Board profile, 3.1)."""
    return match[0].replace(b"&lt;", b"&#x3C;").replace(b"&amp;", b"&#x26;")


class JsonFeed(FragmentFormat):
    """JSON Feed 1.1; what it has no place for is in the extensions `_feed` and `_article`."""

    name, extension, media_type, label = "json", ".json", "application/feed+json", "JSON Feed"

    def write_entry(self, entry: Entry, base: str, language: str) -> bytes:
        """Return an item as JSON."""
        return _json_text(_json_item(entry, base, language))

    def join(self, content: Content, fragments: Iterable[bytes]) -> bytes:
        """Return the feed as JSON in one line."""
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
                "about": f"{content.base}/about/feeds",
                "id": content.id,
                "rights": content.rights,
                "ttl": content.ttl_minutes,
            },
            "items": [],
        }
        return _insert(_json_text(feed), b"]}", [b",".join(fragments)])


def _json_text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _json_item(entry: Entry, base: str, language: str) -> dict[str, object]:
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
        item["authors"] = _json_people(people.values())
    if entry.categories:
        item["tags"] = list(dict.fromkeys(category.term for category in entry.categories))
    item["language"] = entry.language or language
    attachments = [_json_attachment(file) for file in entry.details.media]
    if entry.enclosure:
        item["image"] = entry.enclosure.url
        attachments.insert(0, {"url": entry.enclosure.url, "mime_type": entry.enclosure.type})
    if attachments:
        item["attachments"] = attachments
    roles = {role: _json_people(people) for role, people in entry.credits}
    item["_article"] = {"about": base + "/about/feeds", "comments": entry.comments, **roles, **_json_details(entry.details)}
    return item


def _json_attachment(file: MediaFile) -> dict[str, object]:
    known = {"size_in_bytes": file.length, "duration_in_seconds": file.seconds}
    return {"url": file.url, "mime_type": file.type, **{name: number for name, number in known.items() if number}}


def _json_details(details: Details) -> dict[str, object]:
    """Return what JSON Feed has no place for, under the names of the fields of `Details`."""
    names = ("transcript", "artwork", "explicit", "episode", "season")
    said = {"license": licence_of(details), "comments_url": details.discussion} | {
        name: getattr(details, name) for name in names
    }
    return {name: value for name, value in said.items() if value}


def _json_people(people: Iterable[Person]) -> list[dict[str, str]]:
    return [{"name": person.name, "url": person.url} if person.url else {"name": person.name} for person in people]


#: The formats of the project, in the order in which readers see them. Add a row for a new one.
BUILT_IN: tuple[Format, ...] = (Atom(), Rss(), JsonFeed())


@functools.cache
def load_formats() -> Mapping[str, Format]:
    """Return all formats by name: built-in ones, then those of packages by name. Loaded once per process.

    Raises FormatError, which names the package, where one cannot be used.
    """
    found = {format.name: format for format in BUILT_IN}
    for plugin in find_plugins(GROUP):
        try:
            loaded = load_plugin(plugin)
            format: Format = loaded() if isinstance(loaded, type) else loaded
            if not re.fullmatch(r"[a-z0-9]{1,20}", format.name):
                raise FormatError(f"its name is {format.name!r}; expected lower-case letters and digits")
            if not re.fullmatch(r"(\.[a-z0-9]{1,10}){1,3}", format.extension) or format.extension.endswith((".gz", ".br")):
                raise FormatError(f"its extension is {format.extension!r}; expected one like .gmi or .mf2.html")
            taken = (*OTHER_EXTENSIONS, *(other.extension for other in found.values()))
            if format.extension in taken or format.name in found:
                raise FormatError(f"{format.name} ({format.extension}) is taken already")
            if not re.fullmatch(r"[a-z]+/[\w.+-]+", format.media_type):
                raise FormatError(f"its media_type is {format.media_type!r}; expected one like text/gemini")
            if not format.label or not callable(format.render):
                raise FormatError("it has no label or no function render")
        except Exception as error:  # another package's code may raise anything
            raise FormatError(plugin.fault(error)) from None
        found[format.name] = format
    return found


def content_type(format: Format) -> str:
    """Return the Content-Type header of a format's documents."""
    return f"{format.media_type}; charset=utf-8"
