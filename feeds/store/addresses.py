"""Complete the addresses of articles with those of the site: what the catalog keeps names no host.

So a site moves to another host, or its pictures do, without a file being read again, and no article is another one for it.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import nh3

from .. import urls

if TYPE_CHECKING:  # a process that parses does without
    from ..config.models import Site

#: What stands before an address in a body: relative to the article's own; of a picture, from the root of `image_url`; of a page
#: of this service.
#: XML forbids both, so the parser leaves none that an author wrote.
RELATIVE, PICTURE, HERE = "\x01", "\x02", "\x03"
#: What stands between the page that a link leads to by what the catalog knows, "" for none, and what the parser made of it.
WAS = "\x04"
#: What addresses may begin with.
SCHEMES = frozenset({"http", "https", "mailto", "ftp", "magnet", "tel", "sms", "xmpp", "matrix", "geo"})

_MARKED = re.compile(f' (href|src)="{RELATIVE}([^"]*)"')
_SETTLED = re.compile(f' href="({HERE}[^"{WAS}]*){WAS}([^"]*)"')
#: A relative link to a text, of which only the catalog knows where it is read.
TEXT = re.compile(f"{RELATIVE}[^?#]*\\.(?:md|markdown|mdx|mkd)(?:[?#]|$)")
#: A picture that should be beside the article, and its words.
_BESIDE = re.compile(f'<img(?: [a-z-]+="[^"]*")*? src="{RELATIVE}(?![a-zA-Z][a-zA-Z0-9+.-]*:|/)[^"]*"(?: [a-z-]+="[^"]*")*>')
_WORDS = re.compile(' alt="([^"]*)"')
_FOLDER = re.compile(r"https?://[^/?#]*/(?:[^?#]*/)?")
_LINKS = re.compile('<a(?: href="([^"]*)")?></a>')


def article_url(site: Site, page: str, permalink: str, id: str) -> str:
    """Return the address of an article: absolute in its header, made by the site's `article_url`, or a page of this service.

    `page` is the path of that page.
    """
    # Until its file is read again, an article of an older program has the whole address.
    own = site.base_url + page if page.startswith("/") else page
    pattern = site.article_url
    if not pattern:
        return own
    if permalink.startswith(("http://", "https://")):
        return urls.absolute_url(permalink, "") or own
    if "{permalink}" in pattern and not permalink:
        return own
    joined = pattern.replace("{permalink}", "/" + permalink.lstrip("/")).replace("{id}", urls.encode(id))
    return urls.absolute_url(joined, "") or own


def picture_url(site: Site, reference: str, url: str) -> str:
    """Return the address of a picture: `reference` against `image_url`; a marked one here, or against the article's, `url`.

    "" where that makes none.
    """
    if reference.startswith(HERE):
        return site.base_url + reference.removeprefix(HERE)
    if reference.startswith(RELATIVE):
        return urls.absolute_url(reference.removeprefix(RELATIVE), url)
    base = site.image_url or site.base_url
    if reference.startswith("/") and not reference.startswith("//") and "/." not in reference and reference[-1] not in "?#":
        # as most are: soon joined
        reference = base[: (base + "/").index("/", len("https://"))] + reference
    return urls.absolute_url(reference, base + "/") if reference else ""


def complete_links(site: Site, body: str, url: str) -> str:
    """Return HTML of the parser with all addresses absolute; `url` is the article's own, also of links within it.

    Readers that find there the address of the entry, and the place in its text, go to it.
    """
    if PICTURE in body:
        body = body.replace(PICTURE, html.escape(site.image_url or site.base_url))
    if WAS in body:
        body = _settled(body, is_here=url.startswith(f"{site.base_url}/"))
    if HERE in body:
        if f'"{HERE}#' in body:
            body = body.replace(f'"{HERE}#', f'"{html.escape(url.partition("#")[0])}#')
        body = body.replace(HERE, html.escape(site.base_url))
    if f' src="{RELATIVE}' in body and url.startswith(f"{site.base_url}/articles/"):
        body = _BESIDE.sub(_words_of, body)
    if RELATIVE not in body:
        return body
    found = list(dict.fromkeys(reference for _name, reference in _MARKED.findall(body)))
    folder = _FOLDER.match(url)
    names_page = any(reference[:1] <= " " or reference[0] in "#?" for reference in found)
    absolute = dict(zip(found, _resolve(found, url if names_page or folder is None else folder[0]), strict=True))

    def complete(match: re.Match[str]) -> str:
        return f' {match[1]}="{address}"' if (address := absolute[match[2]]) else ""

    return _MARKED.sub(complete, body)


def _words_of(picture: re.Match[str]) -> str:
    """Return the words of a picture: a file beside an article that has its page here is published, or is at no address."""
    words = _WORDS.search(picture[0])
    return words[1] if words else ""


def _settled(body: str, *, is_here: bool) -> str:
    """Return HTML whose links lead to pages here, or nowhere; where the article is elsewhere, to what is beside it there."""

    def lead(match: re.Match[str]) -> str:
        if match[2].startswith(RELATIVE) and not is_here and not TEXT.match(match[2]):
            return f' href="{match[2]}"'
        return "" if match[1] == HERE else f' href="{match[1]}"'

    return _SETTLED.sub(lead, body)


def _resolve(references: Sequence[str], base: str) -> list[str]:
    """Return references as HTML has them, resolved as browsers do (https://url.spec.whatwg.org/); "" for what is no address."""
    try:
        links = _resolver(base).clean("".join(f'<a href="{reference}"></a>' for reference in references))
    except ValueError:  # an address of the article that only looks like one
        return [""] * len(references)
    return _LINKS.findall(links)


@functools.lru_cache(maxsize=8)  # most articles of a site share a folder, and making a resolver costs half of using it
def _resolver(base: str) -> nh3.Cleaner:
    return nh3.Cleaner(
        {"a"}, attributes={"a": {"href"}}, link_rel=None, url_schemes=set(SCHEMES), url_relative=("rewrite_with_base", base)
    )
