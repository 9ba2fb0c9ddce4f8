"""Limits on request bodies: read as a whole, within a bound of bytes, by few threads at once and fewer for each client.

The server waits for a body in the thread that reads it, without a timeout: a few connections that promise a form and never send
it would take all threads. So readers of bodies have places; without a free one the response is 503 at once. Behind a proxy that
receives bodies before it passes them on (nginx does) nobody waits at all.
"""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, ServiceUnavailable

from .access_log import App, StartResponse
from .rate_limit import Address

#: Bytes. The largest form of the service has fewer; a longer body is answered 413.
MAX_BODY = 64 * 1024
#: Of a worker: threads of the server, those that may wait for bodies, and those for one client (an IPv6 /64 is one).
THREADS, PLACES, PLACES_EACH = 5, 3, 2


class BodyLimit:
    """A WSGI application in front of another. `client` returns the client's address of a request. Threads share it."""

    def __init__(self, app: App, client: Callable[[dict[str, Any]], Address]) -> None:
        self.app, self.client = app, client
        self._taken: Counter[Address] = Counter()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"] = LimitedBody(environ, lambda: self.reserve(self.client(environ)))
        return self.app(environ, start_response)

    @contextmanager
    def reserve(self, client: Address) -> Iterator[None]:
        """Hold a place for `client`. Raises ServiceUnavailable where none is free."""
        with self._lock:
            if self._taken.total() >= PLACES or self._taken[client] >= PLACES_EACH:
                raise ServiceUnavailable
            self._taken[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[client] -= 1
                self._taken += Counter()  # drops counts of 0


class LimitedBody(io.RawIOBase):
    """`wsgi.input`, read as a whole at the first read, while `reserve` holds a place. Truncated bodies are rejected."""

    def __init__(self, environ: Mapping[str, Any], reserve: Callable[[], AbstractContextManager[None]]) -> None:
        self._stream, self._length = environ["wsgi.input"], environ.get("CONTENT_LENGTH") or ""
        self._reserve = reserve
        self._held: io.BytesIO | None = None

    def readable(self) -> bool:
        """Return True, as `io` asks for."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Copy the next bytes to `buffer`. Raises ServiceUnavailable, ClientDisconnected, RequestEntityTooLarge."""
        if self._held is None:
            with self._reserve():
                found = self._stream.read(MAX_BODY + 1)
            if self._length.isdecimal() and len(found) < min(int(self._length), MAX_BODY):
                raise ClientDisconnected
            if len(found) > MAX_BODY:  # Werkzeug would take the part that was read for the whole
                raise RequestEntityTooLarge
            self._held = io.BytesIO(found)
        return self._held.readinto(buffer)
