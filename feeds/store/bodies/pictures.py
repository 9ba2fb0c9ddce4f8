"""Find the one address of a picture that a script would have loaded later, or a browser chosen from several. Pure.

Scripts load pictures when they come into sight; feed readers run none, and show the placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Attributes in which such scripts keep the address, in place of the placeholder in `src`.
_LATER = tuple(
    "data-src data-original data-lazy-src data-lazyload data-lazy data-actualsrc data-original-src data-echo lazy-src "
    "data-ll-src data-cfsrc zoomfile file data-croporisrc data-backsrc".split()
)
#: Attributes that have another copy of the picture: for one whose `src` shows nothing.
_SPARE = tuple(
    "data-orig-file data-large-file data-full-url data-url data-image data-canonical-src data-hi-res-src "
    "data-permalink original data-fallback-src data-rawsrc data-src-retina".split()
)
_SETS = ("srcset", "data-srcset", "data-lazy-srcset")
_CANDIDATE = re.compile(r"[\s,]*([^\s,](?:\S*[^\s,])?)(?:\s+([0-9.]{1,12})([wxh]))?[^,]*(?:,|$)")
_PLACEHOLDER = re.compile(
    r"(?:^|/)(?:s_|img-|image-|lazy-|ajax-)?(?:blank|placeholder|spacer|loading|loader|lazy|lazyload|pixel|transparent|grey|gray"
    r"|none|clear|1x1)(?:-image)?(?:[_-]?\d[\dx]*)?\.(?:gif|png|svg|jpe?g|webp)(?:[?#].*)?$|^about:|^#|^data:image/svg",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?:)?//[^\s/]|[./]{0,3}/?[^\s:]+\.(?:png|jpe?g|gif|webp|avif|svg|bmp|ico)\b", re.IGNORECASE)
#: A picture of one point, or a drawing that only keeps the place, is written in so few characters.
_TINY = 400
_MAX_WIDTH = 1600


def real_address(attributes: Mapping[str, str | None]) -> str:
    """Return the address of what an `img` or `source` would show, "" where it says none.

    >>> real_address({"src": "/images/loading.gif", "data-original": "https://example.org/a.png"})
    'https://example.org/a.png'
    >>> real_address({"srcset": "a-800.jpg 800w, a-400.jpg 400w"})
    'a-800.jpg'
    """
    written = (attributes.get("src") or "").strip()
    for name in _LATER:
        if (value := (attributes.get(name) or "").strip()) and _ADDRESS.match(value):
            return value
    if written and not shows_nothing(written):
        return written
    for name in _SETS:
        if found := largest(attributes.get(name) or ""):
            return found
    for name in _SPARE:
        if (value := (attributes.get(name) or "").strip()) and _ADDRESS.match(value):
            return value
    return "" if written.startswith(("data:image/svg", "about:", "#")) else written


def shows_nothing(address: str) -> bool:
    """Return whether an address is that of a placeholder.

    >>> shows_nothing("data:image/gif;base64,R0lGODlhAQABAAAAACw="), shows_nothing("/img/loading-paths.png")
    (True, False)
    """
    if address.startswith("data:"):
        return len(address) < _TINY or address.startswith("data:image/svg")
    return _PLACEHOLDER.search(address[-200:] if len(address) > 200 else address) is not None


def largest(srcset: str) -> str:
    """Return the largest picture of a `srcset` that no page shows smaller, "" for none."""
    best, size = "", -1.0
    for match in _CANDIDATE.finditer(srcset[:20_000]):
        address, number, unit = match[1], match[2], match[3]
        if address.startswith("data:"):
            continue
        try:
            width = float(number) * (1000 if unit == "x" else 1) if number else 1000.0
        except ValueError:
            continue
        if not best or size < width <= _MAX_WIDTH or (size > _MAX_WIDTH and width < size):
            best, size = address, width
    return best
