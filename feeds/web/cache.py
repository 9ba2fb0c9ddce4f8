"""The response cache: feed documents kept ready to be sent, and what remains valid of them after a rescan.

A `CachedDocument` answers any GET or HEAD in the same way, from the fast path and from Flask.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from .. import urls
from ..feed_formats import content_type
from ..syndication.documents import compress, decompress
from ..syndication.editions import Edition
from ..syndication.lookup import Document
from .conditional import ENCODINGS, decide, etags, http_date, negotiate_encoding

Headers = list[tuple[str, str]]

#: How long (seconds) a closed archive document may be kept without asking again: for ever, as far as RFC 9111 goes.
FOREVER = 31_536_000
#: Feeds of which only validators are kept: one or two kilobytes each.
MAX_VALIDATORS = 10_000
#: Bytes in memory of a document without its bodies.
_OVERHEAD = 4096
_PRECONDITION_FAILED = [
    ("Cache-Control", "no-store"),
    ("Access-Control-Allow-Origin", "*"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Length", "0"),
]


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """The responses of a document in one coding: headers of a 304, and a 200, whose body is None until somebody asks for it."""

    etag: str
    not_modified: Headers
    headers: Headers
    body: bytes | None


@dataclass(slots=True)
class CachedDocument:
    """A feed document ready to be sent, kept in the codings that were asked for: most readers want it compressed.

    `plain`: the body until it is asked for in the first coding; neither it nor `bodies`: only validators are known.
    `generation` is the last in which it was known to be current. `counted_as`: (path, format) for the audience; `groups`: as
    of `lookup.Document`. `grown` is called when `size` has changed, the bytes in memory; `counted` is what it was before.
    """

    path: str
    counted_as: tuple[str, str]
    digest: str
    changed: int
    generation: int
    plain: bytes | None
    headers: Headers
    etags: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    bodies: dict[str, bytes] = field(default_factory=dict)
    responses: dict[str, EncodedResponse] = field(default_factory=dict)
    size: int = 0
    counted: int = 0
    grown: Callable[[CachedDocument], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @classmethod
    def of(cls, document: Document, max_age: int) -> CachedDocument:
        """Return the entry for `document`, with or without a body. `max_age` in seconds; a closed archive is kept FOREVER."""
        format = document.format
        headers = [*_common_headers(content_type(format), FOREVER if document.closed else max_age), ("Link", document.links)]
        return cls(
            document.path,
            (urls.split_archive(document.path)[0], format.name),  # an archive counts as a part of its feed
            document.digest,
            document.changed,
            document.generation,
            document.body,
            headers,
            etags(document.digest, format.name),
            document.groups,
            size=_OVERHEAD + len(document.body or b""),
        )

    @property
    def has_body(self) -> bool:
        """Whether more than validators are known."""
        return bool(self.bodies) or self.plain is not None

    def without_body(self) -> CachedDocument:
        """Return what remains of the entry when its body is dropped."""
        return replace(self, plain=None, bodies={}, responses={}, grown=None)

    def can_answer(self, environ: Mapping[str, str]) -> bool:
        """Return whether the entry is enough for a response to this request."""
        return self.has_body or decide(environ, self.etags, self.etags[0], self.changed) != 200

    def respond(self, environ: Mapping[str, str]) -> tuple[int, Headers, bytes]:
        """Return status, headers and body for GET or HEAD; HEAD gets the body, too: the server leaves it out."""
        encoding = negotiate_encoding(environ.get("HTTP_ACCEPT_ENCODING"))
        response = self.responses.get(encoding) or self._prepare(encoding)
        status = decide(environ, self.etags, response.etag, self.changed)
        if status == 200:
            if response.body is None:
                response = self._prepare(encoding, self._encode(encoding))
            return 200, response.headers, response.body or b""
        return (304, response.not_modified, b"") if status == 304 else (412, [*_PRECONDITION_FAILED], b"")

    def _prepare(self, encoding: str, body: bytes | None = None) -> EncodedResponse:
        now = int(time.time())
        tag = self.etags[ENCODINGS.index(encoding)]
        # Never later than now, or a client would send back a date from the future (RFC 9110 section 8.8.2.1).
        validators = [("ETag", tag), ("Last-Modified", http_date(min(self.changed, now)))]
        full: Headers = []
        if body is not None:
            full = [*self.headers, *validators, ("Content-Length", str(len(body)))]
            if encoding != "identity":
                full.append(("Content-Encoding", encoding))
        made = EncodedResponse(tag, [*self.headers[1:], *validators], full, body)
        if self.changed <= now:
            self.responses[encoding] = made
        return made

    def _encode(self, encoding: str) -> bytes:
        """Return the body in one coding. Of threads that ask for the same at once, one does the work."""
        with self._lock:
            body = self.bodies.get(encoding)
            if body is not None:
                return body
            plain = self.plain
            if plain is None:
                coding, kept = next(iter(self.bodies.items()))
                plain = decompress(kept, coding)
            body = self.bodies[encoding] = compress(plain, encoding)
            self.plain = None
            self.size = _OVERHEAD + sum(map(len, self.bodies.values()))
        if self.grown is not None:
            self.grown(self)
        return body


@functools.lru_cache(maxsize=64)
def _common_headers(content_type: str, age: int) -> tuple[tuple[str, str], ...]:
    """Return headers that thousands of documents share. The type, which a 304 leaves out, is the first."""
    return (
        ("Content-Type", content_type),
        ("Cache-Control", f"public, max-age={age}, stale-while-revalidate=600, stale-if-error=86400"),
        ("Vary", "Accept-Encoding, Sec-Fetch-Dest"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "ETag, Last-Modified, Link"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    )


class ResponseCache:
    """The documents requested last, within `max_bytes`; of others, dropped or never sent, the last `max_validators` validators.

    `bytes` are those of the entries with bodies, in memory. Threads share it. `get` takes no lock.
    """

    def __init__(self, max_bytes: int, max_validators: int = MAX_VALIDATORS) -> None:
        self.max_bytes, self.max_validators = max_bytes, max_validators
        self._documents: OrderedDict[str, CachedDocument] = OrderedDict()
        self._validators: dict[str, CachedDocument] = {}
        self.bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> CachedDocument | None:
        """Return the entry, if there is one, and mark it as used last."""
        document = self._documents.get(key)
        if document is None:
            return self._validators.get(key)
        with contextlib.suppress(KeyError):  # another thread has just dropped it
            self._documents.move_to_end(key)
        return document

    def put(self, key: str, document: CachedDocument) -> None:
        """Keep an entry in place of the one before; beyond the bound the oldest ones lose their bodies."""
        with self._lock:
            self._validators.pop(key, None)
            if (before := self._documents.pop(key, None)) is not None:
                self.bytes -= before.counted
            if not document.has_body:
                self._keep_validators(key, document)
                return
            document.grown, document.counted = functools.partial(self._recount, key), 0
            self._documents[key] = document
        self._recount(key, document)

    def _recount(self, key: str, document: CachedDocument) -> None:
        with self._lock:
            if self._documents.get(key) is not document:
                return  # dropped meanwhile
            self.bytes += document.size - document.counted
            document.counted = document.size
            while self.bytes > self.max_bytes and len(self._documents) > 1:
                oldest, dropped = self._documents.popitem(last=False)
                self.bytes -= dropped.counted
                self._keep_validators(oldest, dropped.without_body())

    def _keep_validators(self, key: str, document: CachedDocument) -> None:
        self._validators[key] = document
        if len(self._validators) > self.max_validators:
            del self._validators[next(iter(self._validators))]

    def entries(self) -> list[CachedDocument]:
        """Return all entries, with and without bodies."""
        with self._lock:
            return [*self._documents.values(), *self._validators.values()]

    def clear(self) -> None:
        """Drop all entries."""
        with self._lock:
            self._documents.clear()
            self._validators.clear()
            self.bytes = 0


def revalidate(
    cache: ResponseCache, digests_at: Callable[[Collection[str]], Mapping[str, str]], before: Edition, now: Edition
) -> None:
    """Mark entries that a rescan did not change as current in the edition `now`; uncertain entries are revalidated on request.

    `digests_at` returns the digests of feed documents by their paths: one query, instead of one for each feed and worker.
    """
    if now.generation < before.generation:  # an older database was put in its place
        cache.clear()
        return
    if before.config != now.config:
        return
    entries = [entry for entry in cache.entries() if entry.generation == before.generation]
    digests = digests_at({entry.path for entry in entries if not entry.groups})
    touched = now.touched_since(before.generation)
    for entry in entries:
        if entry.groups:
            # An article that was added, changed or removed has a term of every group.
            current = touched is not None and any(touched.isdisjoint(group) for group in entry.groups)
        else:
            current = digests.get(entry.path) == entry.digest
        if current:
            entry.generation = now.generation
