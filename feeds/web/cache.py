"""A document as a response: status, headers and bytes for any request, the same in the lane and in Flask."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from .. import urls
from ..formats import Format
from ..model import FeedState
from ..syndication.documents import compress
from ..syndication.editions import Edition
from ..syndication.lookup import Document
from .conditional import ENCODINGS, choose_encoding, decide, etag, http_date

Headers = list[tuple[str, str]]

_remembered = lru_cache(maxsize=512)(choose_encoding)
#: Honest values of Accept-Encoding are shorter; others are not kept in memory.
_LONGEST = 200


def chosen_encoding(header: str | None) -> str:
    return _remembered(header) if header is None or len(header) <= _LONGEST else choose_encoding(header)


@dataclass(frozen=True, slots=True)
class Coding:
    """One content coding of a document: what a 200 and a 304 carry. `full` and `short` are header lists.

    `full` and `body` are empty where only validators are known.
    """

    tag: str
    full: Headers
    short: Headers
    body: bytes


@dataclass(slots=True)
class Served:
    """A document ready to be sent. It is kept compressed: nearly all readers want it so, and it is a third of the size.

    `packed` None: only its validators are known, which is enough for a reader that has it. `generation` is the catalog's in
    which the document was last known to be current; `key` is what it is counted under; `groups` as of a `Document`.
    """

    path: str
    key: tuple[str, str]
    digest: str
    changed: int
    generation: int
    packed: bytes | None
    headers: Headers
    tags: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    codings: dict[str, Coding] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes in memory, with room for the other coding."""
        return 2 * len(self.packed or b"") + 4096

    def answers(self, environ: Mapping[str, str]) -> bool:
        """Whether what is known of it is enough."""
        return self.packed is not None or decide(environ, self.tags, self.tags[0], self.changed) != 200

    def validators(self) -> Served:
        """Without its bytes."""
        return replace(self, packed=None, codings={})


#: How long (seconds) a closed archive document may be kept unasked: for ever, as far as RFC 9111 goes.
FOR_EVER = 31_536_000


_FAILED = [
    ("Cache-Control", "no-store"),
    ("Access-Control-Allow-Origin", "*"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Length", "0"),
]


def serve(document: Document, body: bytes | None, max_age: int) -> Served:
    """`max_age` in seconds; of a closed archive document it is for ever. `body` None: as far as validators go."""
    age = FOR_EVER if document.closed else max_age
    headers = [*_common_headers(document.content_type, age), ("Link", document.links)]
    tags = _tags(document.digest, document.format)
    key = (urls.split_archive(document.path)[0], document.format.name)  # its history is a feed's own
    packed = None if body is None else compress(body, "gzip")
    known = (document.digest, document.changed, document.generation)
    return Served(document.path, key, *known, packed, headers, tags, document.groups)


@lru_cache(maxsize=64)
def _common_headers(content_type: str, age: int) -> tuple[tuple[str, str], ...]:
    """Thousands of documents share them. The type, which a 304 leaves out, is the first."""
    return (
        ("Content-Type", content_type),
        ("Cache-Control", f"public, max-age={age}, stale-while-revalidate=600, stale-if-error=86400"),
        ("Vary", "Accept-Encoding, Sec-Fetch-Dest"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "ETag, Last-Modified, Link"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    )


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
    now = int(time.time())
    tag = served.tags[ENCODINGS.index(encoding)]
    # Never later than now, or a client would send back a date from the future (RFC 9110 section 8.8.2.1).
    validators = [("ETag", tag), ("Last-Modified", http_date(min(served.changed, now)))]
    full, body = _whole(served.headers, validators, served.packed, encoding) if served.packed is not None else ([], b"")
    made = Coding(tag, full, [*served.headers[1:], *validators], body)
    if encoding != "identity" and served.changed <= now:
        served.codings[encoding] = made
    return made


def _whole(headers: Headers, validators: Headers, packed: bytes, encoding: str) -> tuple[Headers, bytes]:
    """Headers and body of a 200."""
    body = packed if encoding == "gzip" else compress(gzip.decompress(packed), encoding)
    full = [*headers, *validators, ("Content-Length", str(len(body)))]
    if encoding != "identity":
        full.append(("Content-Encoding", encoding))
    return full, body


#: Feeds of which only validators are kept: one or two kilobytes each.
SLIPS = 10_000


class Cache:
    """The documents asked for last, within a bound of bytes; of others, that were dropped or never read, the validators.

    Threads share it.
    """

    def __init__(self, max_bytes: int, max_slips: int = SLIPS) -> None:
        self.max_bytes, self.max_slips = max_bytes, max_slips
        self._rows: OrderedDict[str, Served] = OrderedDict()
        self._slips: dict[str, Served] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, path: str) -> Served | None:
        served = self._rows.get(path)
        if served is None:
            return self._slips.get(path)
        with contextlib.suppress(KeyError):  # another thread has just dropped it
            self._rows.move_to_end(path)
        return served

    def put(self, path: str, served: Served) -> None:
        with self._lock:
            self._forget(path)
            if served.packed is None:
                self._note(path, served)
                return
            self._rows[path] = served
            self._bytes += served.size
            while self._bytes > self.max_bytes and len(self._rows) > 1:
                oldest, dropped = self._rows.popitem(last=False)
                self._bytes -= dropped.size
                self._note(oldest, dropped.validators())

    def _forget(self, path: str) -> None:
        self._slips.pop(path, None)
        if (before := self._rows.pop(path, None)) is not None:
            self._bytes -= before.size

    def _note(self, path: str, served: Served) -> None:
        self._slips[path] = served
        if len(self._slips) > self.max_slips:
            del self._slips[next(iter(self._slips))]

    def known(self) -> list[Served]:
        """All that is in it, with or without bytes."""
        with self._lock:
            return [*self._rows.values(), *self._slips.values()]

    def clear(self) -> None:
        with self._lock:
            self._rows.clear()
            self._slips.clear()
            self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes


# After a rescan: what of the cache is as it was, found out for all of it at once. Law: whatever is not sure is asked again.
#
# Without this, thousands of feeds that nobody has changed would each be looked up at their next request, by every worker.


def renew(cache: Cache, digests: Callable[[Collection[str]], Mapping[str, str]], before: Edition, now: Edition) -> None:
    """Bring what is current over from one edition to the next; `digests` tells what feeds hold by their paths."""
    if now.generation < before.generation:  # an older database was put in its place
        cache.clear()
        return
    if before.config != now.config:
        return
    rows = [served for served in cache.known() if served.generation == before.generation]
    known = digests({served.path for served in rows if not served.groups})
    touched = now.touched_since(before.generation)
    for served in rows:
        if _is_untouched(served, touched) if served.groups else known.get(served.path) == served.digest:
            served.generation = now.generation


def _is_untouched(served: Served, touched: frozenset[int] | None) -> bool:
    """An article that came or went has a term of every group, and so has one that was changed."""
    return touched is not None and any(touched.isdisjoint(group) for group in served.groups)
