"""Name the files of a static export: paths, content codings, media types, and tables of redirects for web servers. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from .. import urls
from ..config.models import Config, feed_path
from ..feed_formats import content_type, load_formats
from ..private_files import STATIC_TREE
from ..store.assets.kinds import kind_of

#: The export's own notes, below the tree. No address begins with a dot, so nothing published has such a path.
OWN = STATIC_TREE
#: Files beside articles, which lie at addresses of their content.
ASSETS = "files/"
#: Content codings, each with what it appends to a file's name.
CODINGS = {"identity": "", "gzip": ".gz", "br": ".br"}
_ALL = tuple(CODINGS)
#: Media types of files that are not feeds; feeds have those of their formats.
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "opml": "text/x-opml; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
    "xml": "application/xml; charset=utf-8",
    "png": "image/png",
}
#: Addresses with these extensions are documents, as those of feeds are: no term's path ends like that (`urls.slug`).
_DOCUMENTS = (".html", ".opml", ".xml")

#: Return the bytes that an address answers, given `SiteFile.facts`; None where it has nothing any more.
Render = Callable[[str, object], bytes | None]


class SiteFile(NamedTuple):
    """A file of the tree; its `mark` is made of all that decides its bytes. `make` gives those that no `address` answers,
    or None for what is there no more.

    `make` must be picklable, as `functools.partial` can be. `when`, of documents and pages of archives, begins with the year
    that the articles are of: what shows the same articles is made together. `entries`: how many a document has.

    `facts`: what is known of a page, so that it is not asked for again; picklable, or a function that returns such.
    """

    path: str
    mark: str
    address: str = ""
    make: Callable[[], bytes | None] | None = None
    when: str = ""
    entries: int = 0
    facts: object = None

    def with_facts(self, *, many: bool) -> SiteFile:
        """Return the file as it is handed on. What a function would collect is asked for, unless there are `many` files."""
        if not callable(self.facts):
            return self
        return self._replace(facts=self.facts() if many else None)


class EncodedFile(NamedTuple):
    """A file in one content coding. `path` is that of the file without coding."""

    path: str
    coding: str
    data: bytes


def mark_of(*parts: str) -> str:
    """Return the mark made of some texts."""
    return digest_of("\0".join(parts).encode())


def digest_of(data: bytes) -> str:
    """Return the digest by which contents are compared."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def path_of(address: str) -> str:
    """Return the file of an address.

    A term called `index` gets a folder, which a server looks into first. Documents lie at their addresses.

    >>> [path_of(address) for address in ("/", "/tags/", "/tags/Linux", "/tags/index", "/tags/Linux.atom")]
    ['index.html', 'tags/index.html', 'tags/Linux.html', 'tags/index/index.html', 'tags/Linux.atom']
    """
    path = address.removeprefix("/")
    last = path.rpartition("/")[2]
    if not last:
        return f"{path}index.html"
    if last.endswith(_DOCUMENTS) or urls.split_format(last)[1]:
        return path
    return f"{path}/index.html" if last == "index" else f"{path}.html"


def is_archive(path: str) -> bool:
    """Return whether a file is an archive document: most of the tree, and fetched once by a reader, if ever.

    >>> [is_archive(path) for path in ("tags/Linux/archive/2018.atom", "tags/Linux/archive/2018.html", "tags/Linux.atom")]
    [True, False, False]
    """
    return not path.endswith(".html") and bool(urls.split_archive(path)[1])


def key_of(path: str) -> str:
    """Return where a file lies when nothing looks for it, as in a bucket: a page at its very address.

    >>> [key_of(path) for path in ("index.html", "tags/Linux.html", "tags/index/index.html", "tags/Linux.atom")]
    ['index.html', 'tags/Linux', 'tags/index', 'tags/Linux.atom']
    """
    if path.endswith("/index/index.html"):
        return path.removesuffix("/index.html")
    stem, _dot, extension = path.rpartition(".")
    is_page = extension == "html" and not urls.split_format(path)[1]
    return stem if is_page and stem.rpartition("/")[2] != "index" and stem not in ("404", "410") else path


def content_type_of(path: str) -> str:
    """Return the Content-Type that a file is served with."""
    if path.startswith(ASSETS) and (kind := kind_of(path)):
        return kind.media_type
    format = urls.split_format(path)[1]
    return content_type(format) if format else _CONTENT_TYPES.get(path.rpartition(".")[2], "text/plain; charset=utf-8")


class Codings(NamedTuple):
    """In which codings the files of a tree are. `brotli_archives`: whether archive documents, most of the tree, have `.br`.

    Of two values the greater one has all codings of the other, unless nothing is compressed and `brotli_archives` is set.
    """

    compressed: bool = True
    brotli_archives: bool = True

    @classmethod
    def parse(cls, note: str) -> Codings:
        """Return the codings that a manifest notes."""
        return cls(note != "", note == "1")

    @property
    def note(self) -> str:
        """The codings as a manifest notes them: "" where nothing is compressed."""
        return ("1" if self.brotli_archives else "2") if self.compressed else ""

    def of(self, path: str) -> tuple[str, ...]:
        """Return the codings of a file: what shrinks is compressed; notes for web servers are not served."""
        if not self.compressed or path.endswith(".png") or path.startswith((OWN, ASSETS)):
            return ("identity",)
        if not self.brotli_archives and is_archive(path):
            return ("identity", "gzip")
        return _ALL

    def names_of(self, path: str) -> Iterator[str]:
        """Return the paths of all codings of a file."""
        return (path + CODINGS[coding] for coding in self.of(path))

    def without(self, others: Codings, paths: Iterable[str]) -> list[tuple[str, str]]:
        """Return the files that are in these codings and not in `others`, each as its path without coding and the coding."""
        if self.note == others.note:
            return []
        return [(path, coding) for path in paths for coding in self.of(path) if coding not in others.of(path)]


# -- redirects -------------------------------------------------------------
#
# A tree of files cannot answer 301 or 410. A table goes from address (decoded, with a slash) to address (encoded), or to GONE.

GONE = "gone"


def configured_redirects(config: Config) -> dict[str, str]:
    """Return the table of `moved` and `gone`: pages and documents, at both ways of writing an address."""
    found: dict[str, str] = {}
    extensions = ("", *(format.extension for format in load_formats().values()))
    for written, new in (*config.feeds.moved.items(), *((path, "") for path in config.feeds.gone)):
        target = f"/{urls.encode(feed_path(new))}" if new else ""
        for old in (written.strip("/"), feed_path(written)):
            found.update({f"/{old}{extension}": target + extension if new else GONE for extension in extensions})
    return found


def permalink_redirects(lines: Iterable[str]) -> dict[str, str]:
    """Return the table of permalinks from lines `SLUG PERMALINK`; articles link by them. Of equal ones the first counts."""
    found: dict[str, str] = {}
    for line in lines:
        slug, _, permalink = line.rpartition(" ")
        if permalink.startswith("/"):
            found.setdefault(permalink, f"/articles/{urls.encode(slug)}")
    return found


def nginx_map(table: Mapping[str, str]) -> bytes:
    """Return a table for nginx's `http` block. Keys compare regardless of ASCII case; `$` would begin a variable."""
    rows = sorted(table.items())
    longest = max((len(old.encode()) for old, _new in rows), default=0)
    lines = [
        f"map_hash_bucket_size {max(128, 1 << (longest + 64).bit_length())};",
        f"map_hash_max_size {max(2048, 4 * len(rows))};",
        "map $uri $feeds_elsewhere {",
        '  default "";',
        *(f"  {_quoted(old)} {_quoted(new.replace('$', '%24'))};" for old, new in rows),
        "}",
    ]
    return ("\n".join(lines) + "\n").encode()


def caddy_map(table: Mapping[str, str]) -> bytes:
    """Return a table for a site block of a Caddyfile."""
    rows = (f"\t{_quoted(old, '{}')} {_quoted(new, '{}')}" for old, new in sorted(table.items()))
    return "\n".join(("map {path} {feeds_elsewhere} {", *rows, '\tdefault ""', "}", "")).encode()


def _quoted(text: str, special: str = "") -> str:
    for character in '\\"' + special:
        text = text.replace(character, "\\" + character)
    return f'"{text}"'


def json_map(table: Mapping[str, str]) -> bytes:
    """Return a table for any other server."""
    return (json.dumps(dict(sorted(table.items())), ensure_ascii=False, indent=0) + "\n").encode()


#: Files with the table of redirects, each with the function that writes it.
REDIRECT_FILES = {f"{OWN}/nginx.conf": nginx_map, f"{OWN}/redirects.caddy": caddy_map, f"{OWN}/redirects.json": json_map}
