"""The nouns of a static tree and the names of its files. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

#: The export's own notes, below the tree. No address begins with a dot, so nothing published is ever called so.
OWN = ".feeds-export"
#: Content codings, each with what it appends to a file's name.
CODINGS = {"identity": "", "gzip": ".gz", "br": ".br"}
TYPES = {
    "html": "text/html; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
    "json": "application/feed+json; charset=utf-8",
    "opml": "text/x-opml; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
    "xml": "application/xml; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "png": "image/png",
}
#: A term that ends like one of these has its dot escaped (`addresses.EXTENSIONS`), so these addresses are no pages of terms.
_DOCUMENTS = {"html", "atom", "rss", "json", "opml", "xml"}
_PACKED_ALREADY = (".png",)

#: The bytes that an address answers; None where there is nothing any more.
Render = Callable[[str], bytes | None]


class Leaf(NamedTuple):
    """A file of the tree. `mark` is made of all that decides its bytes, so they need not be made to know that they are old.

    `make` gives the bytes where no `address` answers them; pickled, as `functools.partial` can be.
    """

    path: str
    mark: str
    address: str = ""
    make: Callable[[], bytes] | None = None


class File(NamedTuple):
    """One coding of a leaf: `path` is the leaf's."""

    path: str
    coding: str
    data: bytes

    @property
    def name(self) -> str:
        return self.path + CODINGS[self.coding]


def mark_of(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


def content_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def path_of(address: str) -> str:
    """The file of an address: `/` -> `index.html`, `/tags/` -> `tags/index.html`, `/tags/Linux` -> `tags/Linux.html`.

    What is itself called `index` gets a folder, which a server looks into first. Documents lie at their addresses.
    """
    path = address.removeprefix("/")
    last = path.rpartition("/")[2]
    if not last:
        return f"{path}index.html"
    if extension_of(last) in _DOCUMENTS:
        return path
    return f"{path}/index.html" if last == "index" else f"{path}.html"


def key_of(path: str) -> str:
    """Where the file lies when nothing looks for it, as in a bucket: a page at its very address."""
    if path.endswith("/index/index.html"):
        return path.removesuffix("/index.html")
    stem, _dot, extension = path.rpartition(".")
    if extension != "html" or stem.rpartition("/")[2] == "index" or stem in ("404", "410"):
        return path
    return stem


def extension_of(path: str) -> str:
    return path.rpartition(".")[2] if "." in path else ""


def codings_of(path: str, wanted: Collection[str]) -> Iterator[str]:
    """What shrinks is packed; notes for servers are not served."""
    plain = _is_plain(path)
    return (coding for coding in wanted if coding == "identity" or not plain)


def count_of(paths: Collection[str], wanted: Collection[str]) -> int:
    """How many files that makes."""
    plain = sum(map(_is_plain, paths))
    return plain + (len(paths) - plain) * len(wanted)


def _is_plain(path: str) -> bool:
    return path.endswith(_PACKED_ALREADY) or path.startswith(OWN)


def names_of(path: str, wanted: Collection[str]) -> Iterable[str]:
    return (path + CODINGS[coding] for coding in codings_of(path, wanted))
