"""A response that is a part of an open file, and how a server that opens files by itself is given one.

The server's streams take all that they are given into memory, however slow a client is; a file is read as the client takes it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator

_CHUNK = 256 * 1024


class FilePart:
    """The bytes from `start` to `stop` of an open file, which is closed with this: the body of a WSGI response."""

    def __init__(self, descriptor: int, start: int, stop: int) -> None:
        self.descriptor, self.start, self.stop = descriptor, start, stop

    def __iter__(self) -> Iterator[bytes]:
        at = self.start
        while at < self.stop and (chunk := os.pread(self.descriptor, min(_CHUNK, self.stop - at), at)):
            yield chunk
            at += len(chunk)

    def close(self) -> None:
        """Close the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


#: Of a worker: files that wait to be opened by the server, and seconds after which each has been.
SLOTS, OPENED_SECONDS = 128, 5.0


class Slots:
    """Names by which a server opens files that are open already. Threads share it.

    A name is the number of a descriptor. These numbers are never given back to the system: should the server be late, it meets
    another file that was published, and nothing else that this process has open.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: deque[tuple[float, int]] = deque()

    def name(self, descriptor: int) -> str | None:
        """Return the name of an open file, which may be closed then; None where too many wait."""
        with self._lock:
            now = time.monotonic()
            if self._taken and (self._taken[0][0] < now):
                number = self._taken.popleft()[1]
                os.dup2(descriptor, number, inheritable=False)
            elif len(self._taken) < SLOTS:
                number = os.dup(descriptor)
            else:
                return None
            self._taken.append((now + OPENED_SECONDS, number))
        return f"/dev/fd/{number}"
