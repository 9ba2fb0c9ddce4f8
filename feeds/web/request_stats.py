"""Counts of requests, and how they went, gathered in memory and written every few seconds and at the end of the process.

Web workers otherwise only read. This is the one exception, because only they see the requests: one small transaction every
FLUSH_SECONDS, in a thread of its own, so that no request ever waits for it. Where the database is busy (a rescan writes) or
away, the counts stay and are written later, within MAX_ROWS; beyond that feeds are counted together, under no path. A crash
loses what was not written: the last FLUSH_SECONDS, where the database was free.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog

from ..audience.requests import ELSEWHERE, Batch, Claim, Counts, is_claim, read_claim
from ..counters import Gathered, Measure

log: Any = structlog.get_logger("feeds.web")

FLUSH_SECONDS = 5.0
#: A database that is away is asked less and less often, but as often as this.
RETRY_SECONDS = 60.0
MAX_ROWS = 20_000
#: User-Agents of aggregators that are not taken apart anew each time.
MAX_AGENTS = 256
#: A feed's path, and the name of a format.
Document = tuple[str, str]
Write = Callable[[Batch], None]


@dataclass(frozen=True, slots=True)
class Today:
    """A day of the site's time zone, as `date.toordinal` counts, and the seconds until it ends."""

    day: int
    left: float


class Tally:
    """Threads share it. A thread writes as long as there is something to write, and then ends."""

    def __init__(self, write: Write, today: Callable[[], Today]) -> None:
        self._write, self._today = write, today
        self._read = lru_cache(maxsize=MAX_AGENTS)(read_claim)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._day = 0
        self._rows: dict[Document, list[int]] = {}  # requests, unchanged, refused, sent
        self._told: dict[tuple[str, str, str], int] = {}
        self._kept = Batch()
        self._measured = Gathered()
        self._writer: threading.Thread | None = None
        self._failures = 0

    def count(self, document: Document, status: int, size: int, agent: str | None) -> None:
        claim = self._read(agent) if agent and is_claim(agent) else None
        with self._lock:
            row = self._rows.get(document)
            if row is None:
                row = self._new_row(document)
            row[0] += 1
            if status == 304:
                row[1] += 1
            elif status == 429:
                row[2] += 1
            else:
                row[3] += size
            if claim is not None:
                self._note(document, claim)

    def measure(self, measure: Measure, *labels: str, seconds: float | None = None) -> None:
        """One more; with `seconds` where the measure is of durations."""
        if seconds is None:
            self._measured.count(measure, *labels)
        else:
            self._measured.observe(measure, seconds, *labels)
        with self._lock:
            if self._writer is None:
                self._begin()

    def _new_row(self, document: Document) -> list[int]:
        """The day is asked for only here: before the first request nobody knows the site's time zone."""
        today = self._begin() if self._writer is None else None
        if not self._day:
            self._day = (today or self._today()).day
        if len(self._rows) >= MAX_ROWS:
            document = (ELSEWHERE, document[1])
        return self._rows.setdefault(document, [0, 0, 0, 0])

    def _note(self, document: Document, claim: Claim) -> None:
        path, format = document
        # Without an aggregator's own name for it, a feed is told apart by its address at least.
        key = (path, claim.aggregator, claim.feed or f".{format}")
        if key in self._told or len(self._told) < MAX_ROWS:
            self._told[key] = max(claim.readers, self._told.get(key, 0))

    # -- writing -----------------------------------------------------------

    def _begin(self) -> Today:
        today = self._today()
        with contextlib.suppress(RuntimeError):  # the process is ending: no more threads
            # Said explicitly, because threads of the server count as daemons, and children would inherit that.
            writer = threading.Thread(target=self._run, args=(today.left,), name="audience", daemon=False)
            writer.start()
            self._writer = writer
        return today

    def _run(self, left: float) -> None:
        """Not a daemon: the interpreter waits for the last counts. It is the end of the main thread that ends the process."""
        main = threading.main_thread()
        while True:
            main.join(min(FLUSH_SECONDS * 2**self._failures, RETRY_SECONDS, left))
            self.flush()
            with self._lock:
                if not main.is_alive() or not (self._rows or self._told or self._kept or self._measured):
                    self._writer = None
                    return
                left = self._today().left

    def flush(self) -> None:
        """Write what there is; keep it where that fails."""
        with self._flushing:
            batch = _merged(self._kept, self._take())
            try:
                if batch:
                    self._write(batch)
            except Exception as error:  # whatever the database has to say: readers get their feeds
                if not self._failures:
                    log.error("audience_not_written", error=type(error).__name__, action="trying again")
                self._failures, self._kept = min(self._failures + 1, 10), batch
            else:
                self._failures, self._kept = 0, Batch()

    def _take(self) -> Batch:
        with self._lock:
            rows, told, day = self._rows, self._told, self._day
            self._rows, self._told, self._day = {}, {}, 0
        return Batch(
            {(day, *document): Counts(*row) for document, row in rows.items()},
            {(day, *key): number for key, number in told.items()},
            self._measured.take(),
        )


def _merged(kept: Batch, fresh: Batch) -> Batch:
    if not kept:
        return fresh
    counts, readers = dict(kept.counts), dict(kept.readers)
    for key, more in fresh.counts.items():
        if key not in counts and len(counts) >= MAX_ROWS:
            key = (key[0], ELSEWHERE, key[2])
        counts[key] = counts.get(key, Counts()).plus(more)
    for told, number in fresh.readers.items():
        if told in readers or len(readers) < MAX_ROWS:
            readers[told] = max(number, readers.get(told, 0))
    measured = Counter(kept.measured)
    measured.update(fresh.measured)
    return Batch(counts, readers, measured)
