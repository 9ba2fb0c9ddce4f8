"""Links that open a feed in a well-known reader on the web. They are only links: nothing is asked of any before a click."""

from __future__ import annotations

from urllib.parse import quote

#: What each asks to have put before the address of a feed.
ON_THE_WEB = {
    "Feedly": "https://feedly.com/i/subscription/feed/",
    "Inoreader": "https://www.inoreader.com/?add_feed=",
    "NewsBlur": "https://www.newsblur.com/?url=",
    "The Old Reader": "https://theoldreader.com/feeds/subscribe?url=",
    "Feedbin": "https://feedbin.com/?subscribe=",
}


def links(url: str) -> list[tuple[str, str]]:
    """(name of a reader on the web, address there); `url` is the feed's, encoded already."""
    return [(name, before + quote(url, safe="")) for name, before in ON_THE_WEB.items()]
