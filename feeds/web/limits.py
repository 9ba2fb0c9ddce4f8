"""What one client may be sent. Pure: the time is an argument. Law: a reader that asks as RFC 9110 wants it never hears a no.

Greedy is who is sent again and again what it has. So only these documents count:

- those asked for without If-None-Match and If-Modified-Since (a new reader does so once; a greedy one always);
- those sent before, in the very same version, to the same client.

Two meters: `same_version` for one version of one document, asked for without a validator; `documents` for all that count.
Both allow their hour's worth at once, so an import of hundreds of feeds passes, and refill evenly. 304 and HEAD never get here.
A new version to a reader that named its old one is free, however many feeds change at once.

A client is an IPv4 address or an IPv6 /64 (what one household has), kept as a hash under a key of this process, in memory only,
and forgotten an hour or two later, or earlier where there are too many: then greedy ones profit, never the others pay.
"""

from __future__ import annotations

import math
import os
import threading
from typing import Generic, TypeVar

from .clients import Address

Key = TypeVar("Key")

HOUR = 3600.0
#: The least that a refused client is told to wait, in seconds.
LEAST = 60
#: Versions sent to clients, and clients, that are remembered: a hundred bytes each.
VERSIONS, CLIENTS = 32_768, 16_384


class Meter(Generic[Key]):
    """So many an hour for each key, at once or evenly (GCRA: one number a key, the time when its bucket will be full again)."""

    def __init__(self, per_hour: int, room: int) -> None:
        self.interval = HOUR / per_hour if per_hour else 0.0
        self._slack = HOUR - self.interval
        self._half = room // 2
        self._young: dict[Key, float] = {}
        self._old: dict[Key, float] = {}
        self._turn = -math.inf

    def _full_at(self, key: Key) -> float | None:
        found = self._young.get(key)
        return found if found is not None else self._old.get(key)

    def knows(self, key: Key) -> bool:
        """Whether it was charged lately, if only with nothing."""
        return self._full_at(key) is not None

    def missing(self, key: Key, now: float) -> float:
        """Seconds until one more is allowed."""
        full_at = self._full_at(key)
        return max(0.0, full_at - now - self._slack) if full_at is not None else 0.0

    def charge(self, key: Key, now: float, cost: int = 1) -> None:
        if len(self._young) >= self._half or now >= self._turn:
            # What was not charged for an hour is full again, so nothing is lost with it; without room the oldest half goes.
            self._old, self._young, self._turn = self._young, {}, now + HOUR
        self._young[key] = max(self._full_at(key) or now, now) + cost * self.interval

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Limits:
    """Of one worker process; threads share it."""

    def __init__(self, same_version: int, documents: int) -> None:
        self.versions: Meter[tuple[int, str]] = Meter(same_version, VERSIONS)
        self.clients: Meter[int] = Meter(documents, CLIENTS)
        self._secret = os.urandom(16)
        self._lock = threading.Lock()

    def wait(self, address: Address, version: str, now: float, *, conditional: bool) -> int:
        """0: send it. Else after how many seconds the client may come again; asking too early costs it nothing.

        `version` names a version of a document, `now` is of any clock that never goes back.
        """
        client = hash((self._secret, address[:8]))
        key = (client, version)
        with self._lock:
            if conditional and not self.versions.knows(key):
                self.versions.charge(key, now, 0)
                return 0
            missing = max(self.clients.missing(client, now), 0.0 if conditional else self.versions.missing(key, now))
            # Who is refused is charged nothing, but remembered: the greedy are to be forgotten last.
            self.clients.charge(client, now, 0 if missing else 1)
            self.versions.charge(key, now, 0 if missing or conditional else 1)
        # Whoever goes on at this pace is never refused again.
        return math.ceil(max(LEAST, missing, self.versions.interval, self.clients.interval)) if missing else 0
