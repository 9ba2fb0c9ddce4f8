"""The nouns of a static tree and the names of its files. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from .. import urls
from ..config.models import Config, feed_path
from ..formats import content_type, load_formats

#: The export's own notes, below the tree. No address begins with a dot, so nothing published is ever called so.
OWN = ".feeds-export"
#: Content codings, each with what it appends to a file's name.
CODINGS = {"identity": "", "gzip": ".gz", "br": ".br"}
#: Media types of files that are not feeds; feeds have those of their formats.
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "opml": "text/x-opml; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
    "xml": "application/xml; charset=utf-8",
    "png": "image/png",
}
#: Addresses with these extensions are documents, as those of feeds are: no term's path ends like that (`urls.slug`).
_DOCUMENTS = ("html", "opml", "xml")
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
    if extension_of(last) in _DOCUMENTS or urls.split_format(last)[1]:
        return path
    return f"{path}/index.html" if last == "index" else f"{path}.html"


def key_of(path: str) -> str:
    """Where the file lies when nothing looks for it, as in a bucket: a page at its very address."""
    if path.endswith("/index/index.html"):
        return path.removesuffix("/index.html")
    stem, _dot, extension = path.rpartition(".")
    if extension != "html" or urls.split_format(path)[1] or stem.rpartition("/")[2] == "index" or stem in ("404", "410"):
        return path
    return stem


def extension_of(path: str) -> str:
    return path.rpartition(".")[2] if "." in path else ""


def content_type_of(path: str) -> str:
    """Return the Content-Type that a file is served with."""
    format = urls.split_format(path)[1]
    return content_type(format) if format else _CONTENT_TYPES.get(extension_of(path), "text/plain; charset=utf-8")


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


# Addresses that lead elsewhere or nowhere any more, as configuration of the servers that serve a static tree. Pure.
#
# A table from address (decoded, with a slash) to address (encoded), or to GONE.

GONE = "gone"


def of_config(config: Config) -> dict[str, str]:
    """`moved` and `gone`: pages and documents, at both ways of writing an address."""
    found: dict[str, str] = {}
    moves = [*config.feeds.moved.items(), *((path, "") for path in config.feeds.gone)]
    for written, new in moves:
        for old in (written.strip("/"), feed_path(written)):
            for extension in ("", *(format.extension for format in load_formats().values())):
                target = urls.encode(feed_path(new)) if new else ""
                found[f"/{old}{extension}"] = f"/{target}{extension}" if new else GONE
    return found


def of_permalinks(lines: Iterable[str]) -> dict[str, str]:
    """Articles link to each other by permalink. A line is the slug of an article's page and its permalink, newest first."""
    found: dict[str, str] = {}
    for line in lines:
        slug, _, permalink = line.rpartition(" ")
        if permalink.startswith("/"):
            found.setdefault(permalink, f"/articles/{urls.encode(slug)}")
    return found


def for_nginx(table: Mapping[str, str]) -> bytes:
    """For the `http` block. Keys compare without regard to the case of ASCII letters; `$` would begin a variable."""
    rows = sorted(table.items())
    longest = max((len(old.encode()) for old, _new in rows), default=0)
    bucket = max(128, 1 << (longest + 64).bit_length())
    lines = [
        f"map_hash_bucket_size {bucket};",
        f"map_hash_max_size {max(2048, 4 * len(rows))};",
        "map $uri $feeds_elsewhere {",
        '  default "";',
        *(f"  {_quoted(old)} {_quoted(new.replace('$', '%24'))};" for old, new in rows),
        "}",
    ]
    return ("\n".join(lines) + "\n").encode()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def for_caddy(table: Mapping[str, str]) -> bytes:
    """For a site block."""
    lines = [
        "map {path} {feeds_elsewhere} {",
        *(f"\t{_for_caddy(old)} {_for_caddy(new)}" for old, new in sorted(table.items())),
        '\tdefault ""',
        "}",
    ]
    return ("\n".join(lines) + "\n").encode()


def as_json(table: Mapping[str, str]) -> bytes:
    """For whatever else."""
    return (json.dumps(dict(sorted(table.items())), ensure_ascii=False, indent=0) + "\n").encode()


#: Files of the table, each with its form.
FILES = {f"{OWN}/nginx.conf": for_nginx, f"{OWN}/redirects.caddy": for_caddy, f"{OWN}/redirects.json": as_json}


def _for_caddy(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("{", "\\{").replace("}", "\\}") + '"'
