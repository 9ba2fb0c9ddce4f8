"""Count requests of feeds, and what else a web worker measures, in memory; write the counts every few seconds and at exit.

Web workers otherwise only read. One small transaction every FLUSH_SECONDS, in a thread of its own: no request waits for it.
While the database is busy (a rescan writes) or away, counts are kept, within MAX_ROWS; beyond that feeds are counted together,
under no path. A crash loses what was not written: the last FLUSH_SECONDS, where the database was free.
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

from ..audience.requests import ELSEWHERE, Batch, Counts
from ..audience.user_agents import may_report_readers, parse_reader_report
from ..counters import Metric, PendingCounts
from ..errors import DatabaseFault
from ..monitoring.health import is_busy

log: Any = structlog.get_logger("feeds.web")

FLUSH_SECONDS = 5.0
#: A database that is away is tried less and less often, but at least this often.
RETRY_SECONDS = 60.0
MAX_ROWS = 20_000
#: User-Agents of aggregators whose parsed form is kept.
MAX_AGENTS = 256
#: A feed's path, and the name of a format.
Document = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Today:
    """A day of the site's time zone, as `date.toordinal` counts, and the seconds until it ends."""

    day: int
    left: float


class RequestStats:
    """The counts of one web worker; thread-safe. `write` stores a batch or raises, in a thread that ends with its work."""

    def __init__(self, write: Callable[[Batch], None], today: Callable[[], Today]) -> None:
        self._store, self._today = write, today
        self._parse_report = lru_cache(maxsize=MAX_AGENTS)(parse_reader_report)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._day = 0
        self._rows: dict[Document, list[int]] = {}  # requests, unchanged, refused, sent
        self._readers: dict[tuple[str, str, str], int] = {}  # path, aggregator, its name of the feed
        self._kept = Batch()
        self._metrics = PendingCounts()
        self._writer: threading.Thread | None = None
        self._failures = 0

    def count(self, document: Document, status: int, size: int, agent: str | None) -> None:
        """Count a request of a feed's document, and the readers that its User-Agent reports."""
        report = self._parse_report(agent) if agent and may_report_readers(agent) else None
        with self._lock:
            row = self._rows.get(document)
            if row is None:
                # Only here is the day asked for: before the first request, the site's time zone is not known.
                today = self._start_writer() if self._writer is None else None
                self._day = self._day or (today or self._today()).day
                key = document if len(self._rows) < MAX_ROWS else (ELSEWHERE, document[1])
                row = self._rows.setdefault(key, [0, 0, 0, 0])
            row[0] += 1
            if status == 304:
                row[1] += 1
            elif status == 429:
                row[2] += 1
            else:
                row[3] += size
            if report is not None:
                # Without an aggregator's own name of it, a feed is told apart by its format at least.
                reported = (document[0], report.aggregator, report.feed or f".{document[1]}")
                if reported in self._readers or len(self._readers) < MAX_ROWS:
                    self._readers[reported] = max(report.readers, self._readers.get(reported, 0))

    def measure(self, metric: Metric, *labels: str, seconds: float | None = None) -> None:
        """Add one to a counter, or with `seconds` a value to a histogram."""
        if seconds is None:
            self._metrics.count(metric, *labels)
        else:
            self._metrics.observe(metric, seconds, *labels)
        with self._lock:
            if self._writer is None:
                self._start_writer()

    def _start_writer(self) -> Today:
        today = self._today()
        with contextlib.suppress(RuntimeError):  # the process is ending: no more threads
            # Explicitly no daemon: the interpreter waits for the last counts. Threads of the server are daemons, which
            # children would inherit.
            writer = threading.Thread(target=self._write_until_idle, args=(today.left,), name="request-stats", daemon=False)
            writer.start()
            self._writer = writer
        return today

    def _write_until_idle(self, left: float) -> None:
        """Flush now and then, and before the day ends in `left` seconds. The end of the main thread ends the process."""
        main = threading.main_thread()
        while True:
            main.join(min(FLUSH_SECONDS * 2**self._failures, RETRY_SECONDS, left))
            self.flush()
            with self._lock:
                if not main.is_alive() or not (self._rows or self._readers or self._kept or self._metrics):
                    self._writer = None
                    return
                left = self._today().left

    def flush(self) -> None:
        """Write all counts; keep them where that fails."""
        with self._flushing:
            with self._lock:
                rows, readers, day = self._rows, self._readers, self._day
                self._rows, self._readers, self._day = {}, {}, 0
            fresh = Batch(
                {(day, *document): Counts(*row) for document, row in rows.items()},
                {(day, *key): number for key, number in readers.items()},
                self._metrics.take(),
            )
            batch = _merge(self._kept, fresh)
            try:
                if batch:
                    self._store(batch)
            except Exception as error:  # whatever the database's fault is: readers get their feeds
                if not self._failures:
                    known = is_busy(error) or isinstance(error, DatabaseFault)  # that the log has already
                    event = log.info if known else log.error
                    event("audience_not_written", error=type(error).__name__, action="trying again")
                self._failures, self._kept = min(self._failures + 1, 10), batch
            else:
                self._failures, self._kept = 0, Batch()


def _merge(kept: Batch, fresh: Batch) -> Batch:
    """Return both batches as one of at most MAX_ROWS rows."""
    if not kept:
        return fresh
    counts, readers = dict(kept.counts), dict(kept.readers)
    for key, more in fresh.counts.items():
        if key not in counts and len(counts) >= MAX_ROWS:
            key = (key[0], ELSEWHERE, key[2])
        counts[key] = counts.get(key, Counts()).plus(more)
    for reader_key, number in fresh.readers.items():
        if reader_key in readers or len(readers) < MAX_ROWS:
            readers[reader_key] = max(number, readers.get(reader_key, 0))
    metrics = Counter(kept.metrics)
    metrics.update(fresh.metrics)  # unlike a sum of both, this keeps zeros
    return Batch(counts, readers, metrics)
