"""Extend feedgen with what Atom and RSS say in other namespaces: threads, thumbnails, archives, licences, episodes.

Where feedgen 1.0.0 needs help is marked by numbers, here and in `feed_formats`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from feedgen.ext.base import BaseEntryExtension, BaseExtension
from lxml import etree

from .licences import Licence, is_commons
from .model import NO_DETAILS, Details

ATOM = "http://www.w3.org/2005/Atom"
NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "fh": "http://purl.org/syndication/history/1.0",
    "media": "http://search.yahoo.com/mrss/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "thr": "http://purl.org/syndication/thread/1.0",
}
#: Those that few feeds need: a feed declares the ones that its entries use.
RARE_NAMESPACES = {
    "creativeCommons": "http://backend.userland.com/creativeCommonsRssModule",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "podcast": "https://podcastindex.org/namespace/1.0",
    "source": "http://source.scripting.com/",
}
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
#: Media types of transcripts by the end of their names (https://podcastindex.org/namespace/1.0).
_TRANSCRIPTS = {"vtt": "text/vtt", "srt": "application/x-subrip", "json": "application/json", "html": "text/html"}


def used_namespaces(fragments: Iterable[bytes]) -> frozenset[str]:
    """Return the prefixes of RARE_NAMESPACES that entries use. In their text there is no `<`."""
    unused = {prefix: f"<{prefix}:".encode() for prefix in RARE_NAMESPACES}
    for fragment in fragments:
        for prefix in [prefix for prefix, tag in unused.items() if tag in fragment]:
            del unused[prefix]
    return frozenset(RARE_NAMESPACES.keys() - unused.keys())


@dataclass
class FeedExtras(BaseExtension):  # type: ignore[misc]
    """Declares the namespaces that entries use; writes what belongs to the feed as a whole."""

    links: list[dict[str, str]] = field(default_factory=list)
    archive: bool = False
    used: frozenset[str] = frozenset()

    def extend_ns(self) -> dict[str, str]:
        """Return the namespaces to declare."""
        return NAMESPACES | {prefix: RARE_NAMESPACES[prefix] for prefix in sorted(self.used)}

    def extend_atom(self, feed: Any) -> Any:
        """Mark an archive document."""
        if self.archive:
            etree.SubElement(feed, f"{{{NAMESPACES['fh']}}}archive")
        return feed

    def extend_rss(self, rss: Any) -> Any:
        """Write the links of a channel, and mark an archive document."""
        # 7. Of a channel's links feedgen writes `self` only.
        for attributes in self.links:
            etree.SubElement(rss[0], f"{{{ATOM}}}link", attributes)
        self.extend_atom(rss[0])
        return rss


@dataclass
class EntryExtras(BaseEntryExtension):  # type: ignore[misc]
    """Writes what feedgen has no place for, or drops."""

    links: list[dict[str, str]] = field(default_factory=list)
    creators: list[str] = field(default_factory=list)
    contributors: list[str] = field(default_factory=list)
    thumbnail: str = ""
    comments: int = 0
    edited: str = ""
    language: str = ""
    details: Details = NO_DETAILS
    markdown: str = ""

    def extend_atom(self, entry: Any) -> Any:
        """Write the links, thumbnail, number of comments and language of an entry."""
        # 1. feedgen drops rel, type and title of an entry's links: https://github.com/lkiesow/python-feedgen/issues/135
        for broken in entry.findall("link"):
            entry.remove(broken)
        for attributes in self.links:
            etree.SubElement(entry, "link", attributes)  # its tree has no namespace before it is written
        if self.details.discussion:
            replies = {"rel": "replies", "type": "text/html", "href": self.details.discussion}
            etree.SubElement(entry, "link", {**replies, f"{{{NAMESPACES['thr']}}}count": str(self.comments)})
        if self.thumbnail:
            etree.SubElement(entry, f"{{{NAMESPACES['media']}}}thumbnail", url=self.thumbnail)
        etree.SubElement(entry, f"{{{NAMESPACES['thr']}}}total").text = str(self.comments)
        if self.language:
            entry.set(_LANGUAGE, self.language)
        return entry

    def extend_rss(self, item: Any) -> Any:
        """Write people, links, dates and what few articles say."""
        # 2. RSS names people by e-mail address only; feedgen leaves out those without.
        for name in self.creators:
            etree.SubElement(item, f"{{{NAMESPACES['dc']}}}creator").text = name
        for name in self.contributors:
            etree.SubElement(item, f"{{{NAMESPACES['dc']}}}contributor").text = name
        if self.language:
            etree.SubElement(item, f"{{{NAMESPACES['dc']}}}language").text = self.language
        self._write_licence(item)
        for attributes in self.links:
            if attributes["rel"] == "via":
                etree.SubElement(item, f"{{{ATOM}}}link", attributes)
        if self.edited:  # RSS has one date, the publication's
            etree.SubElement(item, f"{{{ATOM}}}updated").text = self.edited
        if self.thumbnail:
            etree.SubElement(item, f"{{{NAMESPACES['media']}}}thumbnail", url=self.thumbnail)
        for file in self.details.media[1:]:  # an item has one enclosure
            size = {"fileSize": str(file.length)} if file.length else {}
            etree.SubElement(item, f"{{{NAMESPACES['media']}}}content", {"url": file.url, "type": file.type, **size})
        if self.details.transcript:
            known = {"url": self.details.transcript, "type": transcript_type(self.details.transcript)}
            etree.SubElement(item, f"{{{RARE_NAMESPACES['podcast']}}}transcript", known)
        etree.SubElement(item, f"{{{NAMESPACES['slash']}}}comments").text = str(self.comments)
        if self.markdown:
            etree.SubElement(item, f"{{{RARE_NAMESPACES['source']}}}markdown").text = self.markdown
        return item

    def _write_licence(self, item: Any) -> None:
        found = Licence(self.details.licence, self.details.licence_url)
        if is_commons(found):
            etree.SubElement(item, f"{{{RARE_NAMESPACES['creativeCommons']}}}license").text = found.url
        elif found.name or found.url:
            etree.SubElement(item, f"{{{NAMESPACES['dc']}}}rights").text = found.name or found.url


def transcript_type(url: str) -> str:
    """Return the media type of a transcript.

    >>> transcript_type("https://example.org/talk.vtt?v=2")
    'text/vtt'
    """
    return _TRANSCRIPTS.get(_suffix(url), "text/plain")


def _suffix(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).suffix[1:].lower()


# -- episodes --------------------------------------------------------------
#
# feedgen's own extension writes what podcast apps read. It refuses pictures whose address does not end in .jpg or .png.


def describe_episode(podcast: Any, details: Details, picture: str) -> None:
    """Tell feedgen's extension for entries about an article with audio or video; `picture` is the article's, "" without one."""
    if seconds := details.media[0].seconds:
        podcast.itunes_duration(f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}")
    if image := _artwork(details.artwork, picture):
        podcast.itunes_image(image)
    if details.explicit:
        podcast.itunes_explicit(details.explicit)
    if details.episode:
        podcast.itunes_episode(details.episode)
    if details.season:
        podcast.itunes_season(details.season)


def describe_podcast(podcast: Any, author: str, pictures: Iterable[str], items: Iterable[bytes]) -> None:
    """Tell feedgen's extension for feeds about one that has articles with audio; `items` as they were written."""
    podcast.itunes_author(author)
    podcast.itunes_explicit("yes" if any(b"<itunes:explicit>true<" in item for item in items) else "no")
    if image := _artwork(*pictures):
        podcast.itunes_image(image)


def modern_explicit(text: bytes) -> bytes:
    """Return RSS with `true` and `false` as podcast apps want them; in text there is no such element.

    >>> modern_explicit(b"<itunes:explicit>no</itunes:explicit>")
    b'<itunes:explicit>false</itunes:explicit>'
    """
    # 8. feedgen takes no other words than yes, no and clean, which Apple has given up.
    if b"<itunes:explicit>" not in text:
        return text
    return text.replace(b"<itunes:explicit>yes<", b"<itunes:explicit>true<").replace(
        b"<itunes:explicit>no<", b"<itunes:explicit>false<"
    )


def _artwork(*pictures: str) -> str:
    return next((one for one in pictures if one.endswith((".jpg", ".png"))), "")


def licence_of(details: Details) -> Mapping[str, str]:
    """Return the name and the address of a licence, those that there are."""
    return {name: value for name, value in (("name", details.licence), ("url", details.licence_url)) if value}
