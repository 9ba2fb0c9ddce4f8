"""Say on pages when the pictures of a body are loaded, and what room they take, which is no business of feeds. Pure."""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

#: As the sanitizer writes it: quotes in values are escaped.
_PICTURE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>')

_SOURCE = re.compile(r' src="([^"]*)"')
#: What WordPress and the like append to a name: "lake-800x600.jpg".
_NAMED = re.compile(r"[-_]([1-9][0-9]{1,3})x([1-9][0-9]{1,3})\.(?:avif|gif|jpe?g|png|webp)$", re.IGNORECASE)


def size_of_name(address: str) -> tuple[int, int] | None:
    """Return width and height in pixels that the name of a picture tells, None for none.

    >>> size_of_name("https://example.org/uploads/lake-800x600.jpg?v=2")
    (800, 600)
    >>> size_of_name("/1920x1080/lake.jpg") is None
    True
    """
    try:
        match = _NAMED.search(urlsplit(address).path)
    except ValueError:
        return None
    return (int(match[1]), int(match[2])) if match else None


def lazy_pictures(body: str, at_once: int = 1) -> str:
    """Return sanitized HTML whose pictures, but for the first `at_once`, are loaded when a reader comes near to them.

    What is seen first should not wait: https://web.dev/articles/lcp-lazy-loading. A picture whose name tells its size leaves
    room for it, where its author gave none.

    >>> lazy_pictures('<img src="/a.png"><img src="/b.png">')
    '<img src="/a.png" decoding="async"><img src="/b.png" loading="lazy" decoding="async">'
    """
    left = at_once

    def complete(match: re.Match[str]) -> str:
        nonlocal left
        left -= 1
        loading = "" if left >= 0 or " loading=" in match[1] else ' loading="lazy"'
        return f'<img{match[1]}{_room(match[1])}{loading} decoding="async">'

    return _PICTURE.sub(complete, body)


def _room(attributes: str) -> str:
    """Return width and height as attributes, by the name of the picture; "" where it has one of them, or tells none."""
    source = _SOURCE.search(attributes)
    if source is None or " width=" in attributes or " height=" in attributes:
        return ""
    size = size_of_name(html.unescape(source[1]))
    return f' width="{size[0]}" height="{size[1]}"' if size else ""
