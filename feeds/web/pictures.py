"""Say on pages when the pictures of a body are loaded, which is no business of feeds. Pure."""

from __future__ import annotations

import re

#: As the sanitizer writes it: quotes in values are escaped.
_PICTURE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>')


def lazy_pictures(body: str, at_once: int = 1) -> str:
    """Return sanitized HTML whose pictures, but for the first `at_once`, are loaded when a reader comes near to them.

    What is seen first should not wait: https://web.dev/articles/lcp-lazy-loading.

    >>> lazy_pictures('<img src="/a.png"><img src="/b.png">')
    '<img src="/a.png" decoding="async"><img src="/b.png" loading="lazy" decoding="async">'
    """
    left = at_once

    def complete(match: re.Match[str]) -> str:
        nonlocal left
        left -= 1
        loading = "" if left >= 0 or " loading=" in match[1] else ' loading="lazy"'
        return f'<img{match[1]}{loading} decoding="async">'

    return _PICTURE.sub(complete, body)
