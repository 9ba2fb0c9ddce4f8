"""Counters and histograms of all processes, summed in the table `measures`. Sums of all time, which never fall.

A process gathers counts in memory and adds them all at once every few seconds, so that neither a request nor a message waits
for a row that other processes count in. Why not prometheus-client's multiprocess mode: docs/design.md.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from . import database
from .database.tables import measures

FLUSH_SECONDS = 5.0
#: (name of the metric, values of its labels joined by blanks, slot).
Key = tuple[str, str, int]
Sums = Mapping[Key, int]
#: Slots of a histogram: its bounds in microseconds, TOP for values above them, SUM for their sum; COUNT is that of a counter.
TOP, SUM, COUNT = 2**62, -1, 0
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter, or with `bounds` (seconds) a histogram of durations. `labels` are the names of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


#: For work of web workers: from a fraction of what anyone notices to what nobody waits for.
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REPLIES = (*_QUICK[4:], 30.0, 60.0, 300.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

REQUESTS = Metric("requests", "Requests of all feeds, by format.", ("format",))
UNCHANGED = Metric("not_modified", "Requests answered 304 of all feeds, by format.", ("format",))
REFUSED = Metric("refused", "Requests answered 429 of all feeds, by format.", ("format",))
SENT = Metric("sent_bytes", "Bytes of bodies of all feeds, by format.", ("format",))
#: In the order of the fields of `audience.requests.Counts`.
FEEDS = (REQUESTS, UNCHANGED, REFUSED, SENT)
ANSWERS = Metric("http_answers", "Answers that were made, by the part of the service and status.", ("part", "code"))
ANSWER = Metric("http_answer_seconds", "How long they took to be made.", ("part",), _QUICK)
RENDER = Metric("render_seconds", "How long documents of feeds took to be found, rendered and packed.", ("format",), _QUICK)
RESCAN = Metric("rescan_seconds", "How long rescans took, by what came of them.", ("outcome",), _SLOW)
FILES = Metric("rescan_articles", "Articles that rescans brought, changed, renamed or took away.", ("change",))
REPLY = Metric("smtp_reply_seconds", "From a whole message to the server's reply.", ("server",), _REPLIES)
OUTCOMES = Metric("smtp_messages", "Messages by what became of them at a server.", ("server", "outcome"))
LOST = Metric("smtp_failures", "Connections to a server that failed or were lost.", ("server",))
PUSHES = Metric("hub_pushes", "Deliveries to subscribers of the hub by outcome.", ("outcome",))
STARTS = Metric("starts", "Processes that were started.", ("process",))
METRICS = (*FEEDS, ANSWERS, ANSWER, RENDER, RESCAN, FILES, REPLY, OUTCOMES, LOST, PUSHES, STARTS)


@dataclass(frozen=True, slots=True)
class Series:
    """Counts under one set of label values, by slot and not cumulative."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Return the number of all values."""
        return sum(number for slot, number in self.counts.items() if slot != SUM)

    @property
    def seconds(self) -> float:
        """Return the sum of all values of a histogram."""
        return self.counts.get(SUM, 0) / _MICRO

    def buckets(self, metric: Metric) -> list[tuple[float, int]]:
        """Return (bound, cumulative count) without +Inf; counts under bounds of an older version go under the next bound."""
        rows = [(slot, number) for slot, number in self.counts.items() if slot != SUM]
        return [(bound, sum(number for slot, number in rows if slot <= round(bound * _MICRO))) for bound in metric.bounds]


class PendingCounts:
    """Counts of a process that are not yet written. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Counter[Key] = Counter()

    def count(self, metric: Metric, *labels: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._sums[metric.name, " ".join(labels), COUNT] += number

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Add a value to a histogram."""
        joined = " ".join(labels)
        slot = next((round(bound * _MICRO) for bound in metric.bounds if seconds <= bound), TOP)
        with self._lock:
            self._sums[metric.name, joined, slot] += 1
            self._sums[metric.name, joined, SUM] += round(seconds * _MICRO)

    def take(self) -> Sums:
        """Return the counts and start from zero again."""
        with self._lock:
            sums, self._sums = self._sums, Counter()
        return sums

    def __bool__(self) -> bool:
        return bool(self._sums)


_ADD = sa.text("""\
INSERT INTO measures (name, label, slot, number) VALUES (:name, :label, :slot, :number)
ON CONFLICT (name, label, slot) DO UPDATE SET number = measures.number + excluded.number""")


def add(connection: sa.Connection, sums: Sums) -> None:
    """Add counts to the stored sums. In sorted order, so that two processes cannot deadlock."""
    rows = [{"name": name, "label": label, "slot": slot, "number": n} for (name, label, slot), n in sorted(sums.items())]
    if rows:
        connection.execute(_ADD, rows)


def count_start(connection: sa.Connection, process: str) -> None:
    """Count the start of a process of this kind."""
    add(connection, {(STARTS.name, process, COUNT): 1})


def read_all(connection: sa.Connection) -> dict[str, dict[tuple[str, ...], Series]]:
    """Return name of the metric -> values of its labels -> counts."""
    c = measures.c
    found: dict[str, dict[tuple[str, ...], dict[int, int]]] = {}
    for name, label, slot, number in connection.execute(sa.select(measures).order_by(c.name, c.label, c.slot)):
        found.setdefault(name, {}).setdefault(tuple(label.split()), {})[slot] = number
    return {name: {labels: Series(counts) for labels, counts in rows.items()} for name, rows in found.items()}


@contextlib.contextmanager
def flush_regularly(engine: sa.Engine) -> Iterator[PendingCounts]:
    """Yield counts that are written every FLUSH_SECONDS and at the end, so that a long run is visible while it lasts.

    Counts that cannot be written are lost and the fault is logged: no message waits for them.
    """
    counts, over = PendingCounts(), threading.Event()

    def write() -> None:
        ended = False
        while not ended:
            ended = over.wait(FLUSH_SECONDS)
            if sums := counts.take():
                try:
                    with database.writing(engine, together=True) as connection:
                        add(connection, sums)
                except sa.exc.SQLAlchemyError as error:
                    import structlog  # commands that only read need not wait for it

                    log = structlog.get_logger("feeds.measures")
                    event = log.info if database.is_busy(error) else log.error
                    event("measures_not_written", error=type(error).__name__)

    writer = threading.Thread(target=write, name="counters")
    writer.start()
    try:
        yield counts
    finally:
        over.set()
        writer.join()
