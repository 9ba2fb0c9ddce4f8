"""Write and parse addresses: terms as path segments, paths of feeds and documents, permanent ids. Pure.

A slug is the term itself in NFC. What a path segment cannot carry is written ``~XX`` (two hex digits per UTF-8 byte), so the
mapping is reversible and two terms never meet: ``TCP/IP`` -> ``TCP~2FIP``, ``.NET`` -> ``~2ENET``, ``a~b`` -> ``a~7Eb``.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from .model import FACETS

if TYPE_CHECKING:
    from .feed_formats import Format

MAX_SLUG_BYTES = 200  # a file name holds 255 bytes, and ".atom.gz" comes on top

_UNSAFE = re.compile(r"[~/\\\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPE = re.compile(r"(?:~[0-9A-Fa-f]{2})+")
# Characters that addresses and tag: URIs carry as they are. RFC 4151 section 2.1 has specific = *( pchar / "/" / "?" ); kept
# narrower so that every reader agrees.
_SAFE = "/-._~!$&'()*+,;=:@"


def fold(name: str) -> str:
    """Return the key that all spellings of a term share: NFC and case folded.

    >>> fold("LINUX") == fold("Linux")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_text(text: str) -> bool:
    """Return whether a text has no controls, line ends, lone surrogates. Zero-width joiners are text: scripts need them."""
    return _HARMFUL.search(text) is None


def follow(steps: Mapping[str, str], name: str) -> str:
    """Return where a chain of renamings ends; `steps` lead from folded names to names. Raises ValueError for a circle.

    >>> follow({"k8s": "Kubernetes"}, "K8s")
    'Kubernetes'
    """
    met: set[str] = set()
    while steps.get(key := fold(name), name) != name:
        if key in met:
            raise ValueError(f"{name!r} is renamed in a circle")
        met.add(key)
        name = steps[key]
    return name


def slug(name: str) -> str:
    """Return the path segment of a term. A very long one ends in ``~~`` and a hash instead of its own end.

    >>> [slug(name) for name in ("Linux", "TCP/IP", ".NET", "a~b", "feed.atom", "Node.js")]
    ['Linux', 'TCP~2FIP', '~2ENET', 'a~7Eb', 'feed~2Eatom', 'Node.js']
    """
    if name.isascii() and name.isalnum() and len(name) <= MAX_SLUG_BYTES:
        return name  # as most are
    text = unicodedata.normalize("NFC", name)
    text = _UNSAFE.sub(lambda unsafe: "".join(f"~{byte:02X}" for byte in unsafe[0].encode()), text)
    if text.startswith("."):
        text = "~2E" + text[1:]
    if "." in text:
        text = _last_dot_of_extension().sub("~2E", text)
    if len(text.encode()) <= MAX_SLUG_BYTES:
        return text
    kept = text.encode()[: MAX_SLUG_BYTES - 40].decode("utf-8", "ignore").rstrip("~")
    kept = re.sub(r"~[0-9A-F]?$", "", kept)
    return f"{kept}~~{hashlib.sha256(text.encode()).hexdigest()[:24]}"


@functools.cache  # of formats, which are loaded once per process
def _last_dot_of_extension() -> re.Pattern[str]:
    """Return what finds the last dot of a term that ends like a document or a file of the static export.

    With a format `.mf2.html`, a page `x.mf2` would have the file of the document `x.mf2.html`; so `.mf2` counts, too.
    """
    from .feed_formats import OTHER_EXTENSIONS, load_formats  # XML, which most commands need nothing of

    documents = [format.extension for format in load_formats().values()]
    pages = [extension.removesuffix(".html") for extension in documents if extension.endswith(".html")]
    endings = [extension.rpartition(".") for extension in (*documents, *pages, *OTHER_EXTENSIONS)]
    return re.compile("|".join(rf"(?<={re.escape(head)})\.(?={tail}$)" for head, _dot, tail in endings), re.IGNORECASE)


def split_format(path: str) -> tuple[str, Format | None]:
    """Return a document's path without its extension, and its format; the path and None where it has no extension.

    Any case of the extension is understood; of several that fit, the longest counts.

    >>> stem, format = split_format("tags/Linux.Atom")
    >>> stem, format.name
    ('tags/Linux', 'atom')
    >>> split_format("tags/Node.js")
    ('tags/Node.js', None)
    """
    from .feed_formats import load_formats  # as above

    lower = path.lower()
    fitting = [format for format in load_formats().values() if lower.endswith(format.extension) and lower != format.extension]
    if not fitting:
        return path, None
    format = max(fitting, key=lambda format: len(format.extension))
    return path[: -len(format.extension)], format


def list_extensions() -> str:
    """Return the extensions of all formats in words, for messages.

    >>> list_extensions()
    '.atom, .rss or .json'
    """
    from .feed_formats import load_formats  # as above

    *some, last = (format.extension for format in load_formats().values())
    return f"{', '.join(some)} or {last}"


def unslug(segment: str) -> str:
    """Return the term of a segment made by `slug`; only the catalog knows the long ones. Total: never raises.

    >>> unslug("TCP~2FIP")
    'TCP/IP'
    """
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[0].replace("~", "")).decode("utf-8", "replace"), segment)


def encode(path: str) -> str:
    """Return a path for links: percent-encoded UTF-8, in ASCII."""
    return quote(path, safe=_SAFE)


def url(base: str, path: str, extension: str = "", query: str = "") -> str:
    """Return the absolute address of a path of the catalog. `query` is encoded already.

    >>> url("https://feeds.example", "tags/C++", ".atom")
    'https://feeds.example/tags/C++.atom'
    """
    return f"{base}/{encode(path)}{extension}" + (f"?{query}" if query else "")


def term_path(facet: str, name: str) -> str:
    """Return the path of a term's feed and page."""
    return f"{FACETS[facet].plural}/{slug(name)}"


def archive_path(feed: str, name: str) -> str:
    """Return the path of an archive document: `tags/Linux/archive/2016`."""
    return f"{feed}/archive/{name}"


def split_archive(path: str) -> tuple[str, str]:
    """Return a feed's path and the name of its archive document, "" where the path has none.

    >>> split_archive("tags/Linux/archive/2016")
    ('tags/Linux', '2016')
    """
    feed, slash, name = path.rpartition("/archive/")
    return (feed, name) if slash and feed and "/" not in name else (path, "")


_PAGE = re.compile(r"(.+)/page/([1-9][0-9]{0,6})")


def older_pages(count: int, size: int) -> int:
    """Return how many pages of `size` lie behind the newest one, which shows the rest: at most twice `size` less one.

    They are numbered from the oldest, so a page stays as it is while articles are added.
    """
    return max(0, count // size - 1)


def page_path(path: str, number: int) -> str:
    """Return the path of an older page: `tags/Linux/page/3`."""
    return f"{path}/page/{number}"


def split_page(path: str) -> tuple[str, int | None]:
    """Return a feed's path and the number of an older page, None for the newest page, which has no number.

    >>> split_page("tags/Linux/page/3")
    ('tags/Linux', 3)
    """
    found = _PAGE.fullmatch(path)
    return (found[1], int(found[2])) if found else (path, None)


def feed_id(authority: str, path: str, query: str = "") -> str:
    """Return the tag: URI (RFC 4151) of a feed. `query` is encoded already."""
    return f"tag:{authority}:{quote(path, safe=_SAFE)}" + (f"?{query}" if query else "")


def article_id(authority: str, id: str) -> str:
    """Return the tag: URI (RFC 4151) of an article; the same in all feeds and formats."""
    return f"tag:{authority}:article/{quote(id, safe=_SAFE)}"


# -- addresses that somebody wrote -----------------------------------------

#: A longer one counts as no address.
MAX_ADDRESS = 2000
_PLAIN_URL = re.compile(r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]+)?/(?:[A-Za-z0-9/._~!$&'()*+,;=:@?-]|%[0-9A-Fa-f]{2})*")
#: RFC 3986 has brackets around an IPv6 address only, and a percent sign before two digits only.
_IN_URL = "%/:=&?~+!$,;'@()*"
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NETLOC = re.compile(
    r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(?::[0-9]*)?"
)


def absolute_url(reference: str, base: str) -> str:
    """Return `reference` against `base` as an http(s) address in ASCII (RSS allows no other), or "" where it is not one.

    >>> absolute_url("/图 1.png", "https://example.org/a/")
    'https://example.org/%E5%9B%BE%201.png'
    >>> absolute_url("mailto:ada@example.org", "")
    ''
    """
    if len(reference) > MAX_ADDRESS:
        return ""
    if _PLAIN_URL.fullmatch(reference):
        return reference
    try:
        parts = urlsplit(urljoin(base, reference.strip()))
        host = parts.hostname or ""
        netloc = parts.netloc if parts.netloc.isascii() else parts.netloc.replace(host, host.encode("idna").decode())
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or not _NETLOC.fullmatch(netloc):
        return ""
    rest = (_BARE_PERCENT.sub("%25", quote(part, safe=_IN_URL)) for part in (parts.path, parts.query, parts.fragment))
    return urlunsplit((parts.scheme, netloc, *rest))
