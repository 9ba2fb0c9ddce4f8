"""The lane: documents that are in the cache and current are answered here, before Flask, in a few microseconds.

A reader that has the version that is out is answered here even where the cache holds no more than its validators. All else
goes on to Flask, which fills the cache. Both answer through the turnstile.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import structlog

from ..syndication.editions import Edition
from .access_log import HEADER, App, Journal, StartResponse
from .cache import Cache
from .rate_limit import Turnstile

log: Any = structlog.get_logger("feeds.web")

#: How long a worker may go on without asking whether a rescan has changed anything, in seconds.
RECHECK_SECONDS = 0.2
_STATUS = {200: "200 OK", 304: "304 Not Modified", 412: "412 Precondition Failed", 429: "429 Too Many Requests"}


class Current:
    """The edition that is out, asked of the database a few times a second at most.

    `renew` is told of the edition before and the one after it, before that is out here.
    """

    def __init__(
        self, number: Callable[[], int], load: Callable[[], Edition], renew: Callable[[Edition, Edition], None]
    ) -> None:
        self._number, self._load, self._renew = number, load, renew
        self._lock = threading.Lock()
        self._due = 0.0
        self._failing = False
        self._edition: Edition | None = None

    def edition(self) -> Edition:
        """At most RECHECK_SECONDS old. While one thread asks, the others go on with what is known."""
        if self._edition is None:
            with self._lock:
                return self._ask()
        if time.monotonic() >= self._due and self._lock.acquire(blocking=False):
            try:
                return self._ask()
            finally:
                self._lock.release()
        return self._edition

    def renew(self) -> None:
        """Whoever asks next gets what is out then."""
        self._due = 0.0

    def _ask(self) -> Edition:
        """Where the database does not answer, what was out goes on being out."""
        self._due = time.monotonic() + RECHECK_SECONDS
        try:
            if self._edition is None:
                self._edition = self._load()
            elif self._number() != self._edition.generation:
                edition = self._load()
                self._renew(self._edition, edition)
                self._edition = edition
        except Exception as error:
            if self._edition is None:
                raise
            if not self._failing:
                log.error("catalog_unreachable", error=type(error).__name__, action="serving what is known")
            self._failing = True
        else:
            self._failing = False
        return self._edition


def _encode_query(environ: dict[str, Any]) -> None:
    """One that was typed without percent signs. Flask would raise where it is not UTF-8."""
    query: str = environ.get("QUERY_STRING", "")
    if not query.isascii():
        environ["QUERY_STRING"] = _NOT_ASCII.sub(lambda found: quote(found[0], encoding="latin-1"), query)


_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


class Lane:
    """A WSGI application in front of another."""

    def __init__(self, app: App, cache: Cache, current: Current, turnstile: Turnstile, journal: Journal) -> None:
        self.app, self.cache, self.current, self.turnstile, self.journal = app, cache, current, turnstile, journal

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        name = self.journal.name(environ)
        path = environ["PATH_INFO"]
        # A selection is what its query says; the key is as in `building`.
        served = self.cache.get(f"{path[1:]}?{environ['QUERY_STRING']}" if path.startswith("/select.") else path)
        if (
            served is None
            or (edition := self.current.edition()).generation > served.generation  # in this order: it renews what is kept
            or environ.get("HTTP_SEC_FETCH_DEST") == "document"
            or environ["REQUEST_METHOD"] not in ("GET", "HEAD")
            or not served.answers(environ)
        ):
            _encode_query(environ)
            return self.journal.watch(self.app, environ, start_response, name)
        status, headers, body = self.turnstile.answer(served, environ, edition)
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        start_response(_STATUS[status], [*headers, (HEADER, name)])
        if self.journal.everything:
            self.journal.log(environ, name, status, len(body), 0.0)
        return [body]
