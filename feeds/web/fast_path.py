"""The fast path: cached documents are answered before Flask, in a few microseconds.

A request passes `FastPath`, `RateLimiter.respond`, `CachedDocument.respond`, `conditional.decide`. A reader that has the
current version is answered here even where only the validators of a document are cached. Everything else goes on to Flask,
which fills the cache and answers through the rate limiter, too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import structlog

from ..monitoring.health import is_busy
from ..syndication.editions import Edition
from .access_log import HEADER, AccessLog, App, StartResponse
from .cache import Headers, ResponseCache
from .rate_limit import RateLimiter

log: Any = structlog.get_logger("feeds.web")

#: How long a worker may go on without asking whether a rescan has changed anything, in seconds.
RECHECK_SECONDS = 0.2
_STATUS = {200: "200 OK", 304: "304 Not Modified", 412: "412 Precondition Failed", 429: "429 Too Many Requests"}
#: Request ids of proxies: `$request_id` of nginx, a UUID, `{http.request.uuid}` of Caddy, and their like.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._=+-]{1,128}")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


class EditionPoller:
    """The latest edition, asked of the database now and then. `on_change(before, after)` is called before it is in force."""

    def __init__(
        self, generation: Callable[[], int], load: Callable[[], Edition], on_change: Callable[[Edition, Edition], None]
    ) -> None:
        self._generation, self._load, self._on_change = generation, load, on_change
        self._lock = threading.Lock()
        self._due = 0.0
        self._failing = False
        self._edition: Edition | None = None

    def latest(self) -> Edition:
        """Return the edition, at most RECHECK_SECONDS old. While one thread asks, the others go on with the known one."""
        if self._edition is None:
            with self._lock:
                return self._poll()
        if time.monotonic() >= self._due and self._lock.acquire(blocking=False):
            try:
                return self._poll()
            finally:
                self._lock.release()
        return self._edition

    def known(self) -> Edition | None:
        """Return the edition without waiting for the database; None where `latest` would ask it."""
        return self._edition if time.monotonic() < self._due or self._lock.locked() else None

    def expire(self) -> None:
        """Make the next call of `latest` ask the database."""
        self._due = 0.0

    def _poll(self) -> Edition:
        """Where the database does not answer, the known edition stays in force."""
        self._due = time.monotonic() + RECHECK_SECONDS
        try:
            if self._edition is None:
                self._edition = self._load()
            elif self._generation() != self._edition.generation:
                edition = self._load()
                self._on_change(self._edition, edition)
                self._edition = edition
        except Exception as error:
            if self._edition is None:
                raise
            if not self._failing and not is_busy(error):
                log.error("catalog_unreachable", error=type(error).__name__, action="serving what is known")
            self._failing = self._failing or not is_busy(error)
        else:
            self._failing = False
        return self._edition


class FastPath:
    """The WSGI application of a worker, in front of Flask's: it gives each request an id, and answers it from the cache."""

    def __init__(
        self, app: App, cache: ResponseCache, editions: EditionPoller, limiter: RateLimiter, access_log: AccessLog
    ) -> None:
        self.app, self.cache, self.editions, self.limiter, self.access_log = app, cache, editions, limiter, access_log
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count(1)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if (found := self._answer_from_cache(environ, self.editions.latest)) is None:
            request_id = self._request_id(environ, self.editions.latest)
            if not environ.get("QUERY_STRING", "").isascii():  # typed without percent signs: Flask raises where it is not UTF-8
                encoded = _NOT_ASCII.sub(lambda found: quote(found[0], encoding="latin-1"), environ["QUERY_STRING"])
                environ["QUERY_STRING"] = encoded
            return self.access_log.watch(self.app, environ, start_response, request_id)
        status, headers, body = found
        start_response(_STATUS[status], headers)
        return [body]

    def answer_at_once(self, environ: dict[str, Any]) -> tuple[int, Headers, bytes] | None:
        """Return status, headers and body of a cached document; None where there is none, or the database would be asked."""
        if (edition := self.editions.known()) is None:
            return None
        return self._answer_from_cache(environ, lambda: edition)

    def _request_id(self, environ: dict[str, Any], latest: Callable[[], Edition]) -> str:
        if (given := environ.get("HTTP_X_REQUEST_ID")) is not None and _REQUEST_ID.fullmatch(given):
            with contextlib.suppress(Exception):  # the database is away: the known configuration stays in force
                self.limiter.adopt(latest().config)
            if self.limiter.trusts(environ):  # the id that a proxy of the operator gave the request
                return str(given)
        return f"{self._prefix}-{next(self._numbers)}"

    def _answer_from_cache(self, environ: dict[str, Any], latest: Callable[[], Edition]) -> tuple[int, Headers, bytes] | None:
        path = environ["PATH_INFO"]
        # A selection is what its query says; the key is as in `views.select`.
        cached = self.cache.get(f"{path[1:]}?{environ['QUERY_STRING']}" if path.startswith("/select.") else path)
        if (
            cached is None
            or (edition := latest()).generation > cached.generation  # in this order: polling revalidates entries
            or environ.get("HTTP_SEC_FETCH_DEST") == "document"
            or environ["REQUEST_METHOD"] not in ("GET", "HEAD")
            or not cached.can_answer(environ)
        ):
            return None
        request_id = self._request_id(environ, latest)
        status, headers, body = self.limiter.respond(cached, environ, edition)
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        if self.access_log.everything:
            self.access_log.write(environ, request_id, status, len(body), 0.0)
        return status, [*headers, (HEADER, request_id)], body
