"""Bodies of requests: read whole, within a bound of bytes, by so many threads at once and so many for each client.

The server waits for a body in the thread that asks for it and knows no end of waiting: a few connections that promise a form
and never send it would take all threads, and no feed would be answered any more. So readers of bodies have places; who
finds none is answered 503 at once. A proxy that takes bodies in before it passes them on (nginx does) lets nobody wait at all.
"""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, ServiceUnavailable

from .access_log import App, StartResponse
from .rate_limit import Address

#: The largest form of the service has less; what is longer is 413.
MAX_BODY = 64 * 1024
#: Of a worker: threads of the server, those that may wait for bodies, and those for one client (an IPv6 /64 is one).
THREADS, PLACES, EACH = 5, 3, 2


class Places:
    """Threads share it."""

    def __init__(self, most: int = PLACES, each: int = EACH) -> None:
        self._most, self._each = most, each
        self._taken: Counter[Address] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, client: Address) -> Iterator[None]:
        """Raises ServiceUnavailable where there is none."""
        with self._lock:
            if self._taken.total() >= self._most or self._taken[client] >= self._each:
                raise ServiceUnavailable
            self._taken[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[client] -= 1
                self._taken += Counter()  # keeps only what is above nothing


class Body(io.RawIOBase):
    """`wsgi.input`, read when somebody asks for it, and then as a whole. Half a form is none."""

    def __init__(self, environ: Mapping[str, Any], places: Places, client: Callable[[], Address]) -> None:
        self._stream, self._length = environ["wsgi.input"], environ.get("CONTENT_LENGTH") or ""
        self._places, self._client = places, client
        self._held: io.BytesIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._held is None:
            with self._places.one(self._client()):
                found = self._stream.read(MAX_BODY + 1)
            if self._length.isdecimal() and len(found) < min(int(self._length), MAX_BODY):
                raise ClientDisconnected
            if len(found) > MAX_BODY:  # Werkzeug would take what it has read by then for the whole
                raise RequestEntityTooLarge
            self._held = io.BytesIO(found)
        return self._held.readinto(buffer)


class Bodies:
    """A WSGI application in front of another. `client` says who asks."""

    def __init__(self, app: App, client: Callable[[dict[str, Any]], Address]) -> None:
        self.app, self.client, self.places = app, client, Places()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"] = Body(environ, self.places, lambda: self.client(environ))
        return self.app(environ, start_response)
