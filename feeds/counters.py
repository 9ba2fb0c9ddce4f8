"""Counters and histograms of all processes, added up in the table `measures`. Invariant: sums never decrease.

A process gathers in memory and adds everything at once every few seconds, so that neither a request nor a message waits for a
row that others count in, too. A value is its sum over all processes that there ever were; a monitor asks for rates.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from . import database
from .database.tables import measures as table

#: (measure, values of its labels joined by blanks, slot).
Key = tuple[str, str, int]
Sums = Mapping[Key, int]
#: Slots of a histogram: its bounds in microseconds, TOP for what lies above them, SUM for the sum of all values.
TOP = 2**62
SUM = -1
#: The one slot of a counter.
COUNT = 0
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """`bounds` (seconds) make it a histogram of durations, none a counter. `labels` name what its values are told apart by."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    def slot(self, seconds: float) -> int:
        return next((_micro(bound) for bound in self.bounds if seconds <= bound), TOP)


#: From what a worker does in a fifth of a bearable moment up to what nobody waits for.
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REPLIES = (*_QUICK[4:], 30.0, 60.0, 300.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

REQUESTS = Measure("requests", "Requests of all feeds, by format.", ("format",))
UNCHANGED = Measure("not_modified", "Requests answered 304 of all feeds, by format.", ("format",))
REFUSED = Measure("refused", "Requests answered 429 of all feeds, by format.", ("format",))
SENT = Measure("sent_bytes", "Bytes of bodies of all feeds, by format.", ("format",))
#: In the order of `audience.records.Counts`.
FEEDS = (REQUESTS, UNCHANGED, REFUSED, SENT)
ANSWERS = Measure("http_answers", "Answers that were made, by the part of the service and status.", ("part", "code"))
ANSWER = Measure("http_answer_seconds", "How long they took to be made.", ("part",), _QUICK)
RENDER = Measure("render_seconds", "How long documents of feeds took to be found, rendered and packed.", ("format",), _QUICK)
RESCAN = Measure("rescan_seconds", "How long rescans took, by what came of them.", ("outcome",), _SLOW)
FILES = Measure("rescan_articles", "Articles that rescans brought, changed, renamed or took away.", ("change",))
REPLY = Measure("smtp_reply_seconds", "From a whole message to the server's reply.", ("server",), _REPLIES)
OUTCOMES = Measure("smtp_messages", "Messages by what became of them at a server.", ("server", "outcome"))
LOST = Measure("smtp_failures", "Connections to a server that failed or were lost.", ("server",))
PUSHES = Measure("hub_pushes", "Deliveries to subscribers of the hub by outcome.", ("outcome",))
STARTS = Measure("starts", "Processes that were started.", ("process",))
MEASURES = (*FEEDS, ANSWERS, ANSWER, RENDER, RESCAN, FILES, REPLY, OUTCOMES, LOST, PUSHES, STARTS)


def _micro(seconds: float) -> int:
    return round(seconds * _MICRO)


@dataclass(frozen=True, slots=True)
class Series:
    """What was counted under one set of labels; `counts` by slot, not cumulative."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return sum(number for slot, number in self.counts.items() if slot != SUM)

    @property
    def seconds(self) -> float:
        return self.counts.get(SUM, 0) / _MICRO

    def buckets(self, measure: Measure) -> list[tuple[float, int]]:
        """Cumulative, as Prometheus wants them, without the last (all). Bounds that an older version had count at the next."""
        rows = [(slot, number) for slot, number in self.counts.items() if slot != SUM]
        return [(bound, sum(number for slot, number in rows if slot <= _micro(bound))) for bound in measure.bounds]


class Gathered:
    """What a process has measured since it last wrote. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Counter[Key] = Counter()

    def count(self, measure: Measure, *labels: str, number: int = 1) -> None:
        with self._lock:
            self._sums[measure.name, " ".join(labels), COUNT] += number

    def observe(self, measure: Measure, seconds: float, *labels: str) -> None:
        joined = " ".join(labels)
        with self._lock:
            self._sums[measure.name, joined, measure.slot(seconds)] += 1
            self._sums[measure.name, joined, SUM] += _micro(seconds)

    def put_back(self, sums: Sums) -> None:
        """What could not be written goes with the next."""
        with self._lock:
            self._sums.update(sums)

    def take(self) -> Sums:
        with self._lock:
            sums, self._sums = self._sums, Counter()
        return sums

    def __bool__(self) -> bool:
        return bool(self._sums)


_ADD = sa.text("""\
INSERT INTO measures (name, label, slot, number) VALUES (:name, :label, :slot, :number)
ON CONFLICT (name, label, slot) DO UPDATE SET number = measures.number + excluded.number""")


def add(connection: sa.Connection, sums: Sums) -> None:
    """Sorted, so that two processes never wait crosswise."""
    if sums:
        names = ("name", "label", "slot")
        rows = [dict(zip(names, key, strict=True)) | {"number": number} for key, number in sorted(sums.items())]
        connection.execute(_ADD, rows)


def read(connection: sa.Connection) -> dict[str, dict[tuple[str, ...], Series]]:
    """Measure -> values of its labels -> what was counted."""
    c = table.c
    found: dict[str, dict[tuple[str, ...], dict[int, int]]] = {}
    for name, label, slot, number in connection.execute(sa.select(table).order_by(c.name, c.label, c.slot)):
        found.setdefault(name, {}).setdefault(tuple(label.split()), {})[slot] = number
    return {name: {labels: Series(counts) for labels, counts in rows.items()} for name, rows in found.items()}


# What a run of some length measures is written while it goes on: nobody waits an hour to see how mail servers answer.

FLUSH_SECONDS = 5.0


@contextlib.contextmanager
def gathered(engine: sa.Engine) -> Iterator[Gathered]:
    """Written every FLUSH_SECONDS and at the end. What cannot be written is lost, and said: no message waits for it."""
    found, over = Gathered(), threading.Event()
    writer = threading.Thread(target=_write_now_and_then, args=(engine, found, over), name="measures")
    writer.start()
    try:
        yield found
    finally:
        over.set()
        writer.join()


def _write_now_and_then(engine: sa.Engine, found: Gathered, over: threading.Event) -> None:
    ended = False
    while not ended:
        ended = over.wait(FLUSH_SECONDS)
        if sums := found.take():
            try:
                with database.writing(engine, together=True) as connection:
                    add(connection, sums)
            except sa.exc.SQLAlchemyError as error:
                import structlog  # commands that only read need not wait for it

                structlog.get_logger("feeds.measures").error("measures_not_written", error=type(error).__name__)


def note_start(connection: sa.Connection, process: str) -> None:
    """Count the start of a process of this kind."""
    add(connection, {(STARTS.name, process, COUNT): 1})
