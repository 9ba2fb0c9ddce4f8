"""Links with which people subscribe to a feed: for autodiscovery by feed readers, and to well-known readers on the web."""

from __future__ import annotations

from urllib.parse import quote

from ..formats import load_formats

#: What each reader on the web asks to have put before the address of a feed. Nothing is requested of it before a click.
WEB_READERS = {
    "Feedly": "https://feedly.com/i/subscription/feed/",
    "Inoreader": "https://www.inoreader.com/?add_feed=",
    "NewsBlur": "https://www.newsblur.com/?url=",
    "The Old Reader": "https://theoldreader.com/feeds/subscribe?url=",
    "Feedbin": "https://feedbin.com/?subscribe=",
}


def autodiscovery(address: str, title: str, query: str = "") -> list[tuple[str, str, str]]:
    """Return (media type, title, address) of each format for <link rel=alternate>; `address` is absolute and encoded."""
    after = f"?{query}" if query else ""
    return [(made.media_type, f"{title} ({made.label})", address + made.extension + after) for made in load_formats().values()]


def web_readers(url: str) -> list[tuple[str, str]]:
    """Return (name of a reader on the web, address that subscribes there) for the feed at `url`, which is encoded.

    >>> web_readers("https://example.org/all.atom")[0]
    ('Feedly', 'https://feedly.com/i/subscription/feed/https%3A%2F%2Fexample.org%2Fall.atom')
    """
    return [(name, before + quote(url, safe="")) for name, before in WEB_READERS.items()]
