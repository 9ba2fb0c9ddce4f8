"""Limits on request bodies: of bytes, of time, and of how many may be on their way at once. They are read by the event loop.

No thread waits for a body: `rsgi` reads it here, and only a complete one goes on to the application. A body has GRACE seconds,
and more while it comes at RATE or faster, so that a connection that stalls or drips ends by itself. Where all PLACES are taken,
the network (/24, /48) that holds the most of them gives up its oldest: a newcomer always gets a place.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterable
from typing import Any

from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge, RequestTimeout

#: Bytes. The largest form of the service has fewer; a longer body is answered 413.
MAX_BODY = 64 * 1024
#: Bodies of a worker that may be on their way at once: at most 32 MB in all.
PLACES = 512
#: Seconds that every body has, and the bytes a second that give it more. A body of MAX_BODY bytes has 69 seconds at most.
GRACE, RATE = 5.0, 1024


class Bodies:
    """The bodies that one worker is reading. Its methods run in the event loop, so nothing is locked."""

    def __init__(self, places: int = PLACES) -> None:
        self.places = places
        self._held: dict[str, dict[asyncio.Timeout, None]] = {}  # of each network, the oldest first
        self._evicted: set[asyncio.Timeout] = set()

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    async def read(self, chunks: AsyncIterable[bytes], network: str, length: int | None) -> bytes:
        """Return a body of `length` bytes (None: chunked). Raises the HTTPException that answers a body that does not come."""
        if length is not None and length > MAX_BODY:
            raise RequestEntityTooLarge
        if len(self) >= self.places:
            self._evict()
        loop, parts, received = asyncio.get_running_loop(), [], 0
        begun = loop.time()
        deadline = asyncio.timeout_at(begun + GRACE)
        own = self._held.setdefault(network, {})
        own[deadline] = None
        try:
            async with deadline:
                async for chunk in chunks:
                    parts.append(chunk)
                    received += len(chunk)
                    if received > MAX_BODY:
                        raise RequestEntityTooLarge
                    if deadline not in self._evicted:
                        deadline.reschedule(begun + GRACE + received / RATE)
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            own.pop(deadline)
            self._evicted.discard(deadline)
            if not own:
                self._held.pop(network, None)
        if length is not None and received < length:
            raise ClientDisconnected
        return b"".join(parts)

    def _evict(self) -> None:
        """End the oldest body of the network that holds the most places, among equals of the one that came first."""
        waiting = [[one for one in held if one not in self._evicted] for held in self._held.values()]
        if oldest := max(waiting, key=len, default=[]):
            self._evicted.add(oldest[0])
            oldest[0].reschedule(0)


class NoBody(io.RawIOBase):
    """`wsgi.input` of a body that did not come: reading it raises why, which the application answers as any other error."""

    def __init__(self, reason: HTTPException) -> None:
        self._reason = reason

    def readable(self) -> bool:
        """Return True, as `io` asks for."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raise the reason."""
        raise self._reason
