"""A document as a response: status, headers and bytes for any request, the same in the lane and in Flask."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from .. import addresses
from ..model import FeedState
from ..service import Document, Format, compress
from .conditional import ENCODINGS, choose_encoding, decide, etag, http_date

Headers = list[tuple[str, str]]

_remembered = lru_cache(maxsize=512)(choose_encoding)
#: Honest values of Accept-Encoding are shorter; others are not kept in memory.
_LONGEST = 200


def chosen_encoding(header: str | None) -> str:
    return _remembered(header) if header is None or len(header) <= _LONGEST else choose_encoding(header)


@dataclass(frozen=True, slots=True)
class Coding:
    """One content coding of a document: what a 200 and a 304 carry. `full` and `short` are header lists."""

    tag: str
    full: Headers
    short: Headers
    body: bytes


@dataclass(slots=True)
class Served:
    """A document ready to be sent. It is kept compressed: nearly all readers want it so, and it is a third of the size.

    `generation` is the catalog's in which the document was last known to be current; `key` is what it is counted under.
    """

    path: str
    key: tuple[str, str]
    digest: str
    changed: int
    generation: int
    packed: bytes
    headers: Headers
    tags: tuple[str, ...]
    codings: dict[str, Coding] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes in memory, with room for the other coding."""
        return 2 * len(self.packed) + 4096


#: How long (seconds) a closed archive document may be kept unasked: for ever, as far as RFC 9111 goes.
FOR_EVER = 31_536_000


_FAILED = [
    ("Cache-Control", "no-store"),
    ("Access-Control-Allow-Origin", "*"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Length", "0"),
]


def serve(document: Document, body: bytes, max_age: int) -> Served:
    """`max_age` in seconds; of a closed archive document it is for ever."""
    age = FOR_EVER if document.closed else max_age
    headers = [
        ("Content-Type", document.format.content_type),
        ("Cache-Control", f"public, max-age={age}, stale-while-revalidate=600, stale-if-error=86400"),
        ("Vary", "Accept-Encoding, Sec-Fetch-Dest"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "ETag, Last-Modified, Link"),
        ("Link", document.links),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ]
    tags = _tags(document.digest, document.format)
    key = (addresses.split_archive(document.path)[0], document.format.name)  # its history is a feed's own
    packed = compress(body, "gzip")
    return Served(document.path, key, document.digest, document.changed, document.generation, packed, headers, tags)


def _tags(digest: str, format: Format) -> tuple[str, ...]:
    return tuple(etag(digest, format.name, encoding) for encoding in ENCODINGS)


def needs_no_body(environ: Mapping[str, str], state: FeedState, format: Format) -> bool:
    """Whether the answer will be 304 or 412: so much is known before anything is rendered."""
    tags = _tags(state.digest, format)
    return decide(environ, tags, tags[0], state.changed) != 200


def answer(served: Served, environ: Mapping[str, str]) -> tuple[int, Headers, bytes]:
    """The response to GET or HEAD. The body comes with HEAD, too: the server leaves it out."""
    encoding = chosen_encoding(environ.get("HTTP_ACCEPT_ENCODING"))
    coding = served.codings.get(encoding) or _coding(served, encoding)
    status = decide(environ, served.tags, coding.tag, served.changed)
    if status == 200:
        return 200, coding.full, coding.body
    if status == 304:
        return 304, coding.short, b""
    return 412, [*_FAILED], b""


def _coding(served: Served, encoding: str) -> Coding:
    body = served.packed if encoding == "gzip" else compress(gzip.decompress(served.packed), encoding)
    now = int(time.time())
    tag = served.tags[ENCODINGS.index(encoding)]
    # Never later than now, or a client would send back a date from the future (RFC 9110 section 8.8.2.1).
    validators = [("ETag", tag), ("Last-Modified", http_date(min(served.changed, now)))]
    full = [*served.headers, *validators, ("Content-Length", str(len(body)))]
    if encoding != "identity":
        full.append(("Content-Encoding", encoding))
    made = Coding(tag, full, [*served.headers[1:], *validators], body)
    if encoding != "identity" and served.changed <= now:
        served.codings[encoding] = made
    return made


class Cache:
    """The documents asked for last, within a bound of bytes. Threads share it."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._rows: OrderedDict[str, Served] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, path: str) -> Served | None:
        served = self._rows.get(path)
        if served is not None:
            with contextlib.suppress(KeyError):  # another thread has just dropped it
                self._rows.move_to_end(path)
        return served

    def put(self, path: str, served: Served) -> None:
        with self._lock:
            before = self._rows.pop(path, None)
            self._rows[path] = served
            self._bytes += served.size - (before.size if before else 0)
            while self._bytes > self.max_bytes and len(self._rows) > 1:
                _path, dropped = self._rows.popitem(last=False)
                self._bytes -= dropped.size

    @property
    def bytes(self) -> int:
        return self._bytes
