"""The hub's worker: find due work in the tables, make the requests, write down the outcomes. One process runs it at a time.

The tables hold everything that is due, memory only what is in flight, so a crash loses nothing: what was not written down is
repeated. A callback may see a delivery twice then, but never none. With worker processes (setting `workers`), deliveries become
jobs, which the same code carries out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa
import structlog

from .. import counters, database
from ..config.models import Config, WebSub
from ..database import jobs
from ..syndication import editions
from . import delivery, subscriptions
from .delivery import Announcement, HubClient, Outcome
from .protocol import Drop
from .requests import Topics, record_changes
from .subscriptions import PendingDelivery, PendingVerification

log: Any = structlog.get_logger("feeds.hub")

EXPIRE_SECONDS = 60
#: Rows read from a table at once.
MAX_ROWS = 4000
#: Subscriptions in one job, and the seconds after which their deliveries are due again if the job says nothing.
JOB_SIZE, JOB_SECONDS = 100, 300
#: With so many requests in flight or waiting, no more are read.
MAX_IN_FLIGHT = 2000
#: Seconds that requests in flight have left when the worker is stopped.
GRACE_SECONDS = 3.0

_GONE = Drop("the feed is gone", denied=True)


def enqueue_deliveries(connection: sa.Connection, keys: list[int]) -> None:
    """Enqueue a job that delivers to these subscriptions."""
    jobs.enqueue(connection, [jobs.Job("push", {"subscriptions": keys})])


@dataclass(frozen=True, slots=True)
class Work:
    """Due work; no hub without `config`. `changed`: the catalog has changed. `gone`: subscriptions to topics gone for good."""

    config: Config | None = None
    changed: bool = False
    verifications: list[PendingVerification] = field(default_factory=list)
    deliveries: list[PendingDelivery] = field(default_factory=list)
    gone: list[PendingDelivery] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)


@dataclass(slots=True)
class ChangeDetector:
    """Finds due work and remembers what it has seen; not for two threads at once. `now` in UTC seconds.

    `enqueue` turns deliveries into a job where worker processes make them, in the transaction that postpones the rows.
    """

    engine: sa.Engine
    topics: Topics
    now: Callable[[], int]
    enqueue: Callable[[sa.Connection, list[int]], None] = enqueue_deliveries
    _generation: int = -1
    _config: Config | None = None
    _expired_at: int = 0
    _announced_generation: int = -1
    _no_announcement_before: int = 0

    def find_work(self, unsure: set[str], *, more: bool, announced: bool | None = None) -> Work:
        """Return due work. `unsure` topics are compared in any case; without `more`, no verifications and deliveries are read.

        `announced`: whether an external hub has accepted all that was found before; None if nothing was sent meanwhile.
        """
        generation, now = self.topics.generation(), self.now()
        changed = generation != self._generation
        if changed:
            with database.reading(self.engine) as connection:
                self._generation, self._config = generation, editions.load_edition(connection).config
        config = self._config
        if config is None or not config.hub_url:
            return Work()
        if config.feeds.websub.outside:
            return Work(config, changed, announcements=self._find_announcements(config, announced, now))
        if abs(now - self._expired_at) >= EXPIRE_SECONDS:
            self._expired_at = now
            with database.writing(self.engine) as connection:
                expired = subscriptions.delete_expired(connection, now)
            if expired:
                log.info("hub_expired", subscriptions=expired)
        gone = record_changes(self.engine, self.topics, None if changed else unsure, now)
        if not more:
            return Work(config, changed, gone=gone)
        with database.reading(self.engine) as connection:
            verifications = subscriptions.due_verifications(connection, now, MAX_ROWS)
            deliveries = subscriptions.due_deliveries(connection, now, MAX_ROWS)
        if config.site.workers:
            for rows in database.chunks(deliveries, JOB_SIZE):
                keys = [row.key for row in rows]
                with database.writing(self.engine, durable=True) as connection:
                    subscriptions.postpone(connection, keys, now + JOB_SECONDS)
                    self.enqueue(connection, keys)
            deliveries = []
        return Work(config, changed, verifications, deliveries, gone)

    def _find_announcements(self, config: Config, announced: bool | None, now: int) -> list[Announcement]:
        if announced is not None:  # more may have changed while the requests were made
            self._announced_generation = -1
            self._no_announcement_before = 0 if announced else now + delivery.RETRY_SECONDS
        if self._announced_generation == self._generation or now < self._no_announcement_before:
            return []
        with database.writing(self.engine) as connection:
            found = delivery.find_announcements(connection, config)
        self._announced_generation = self._generation
        return found


Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """A queue in which hosts take turns, so that one with many or slow callbacks keeps no other waiting.

    At most `slots` items are in flight, `per_host` of one host, in the order in which they were added.
    """

    def __init__(self, slots: int, per_host: int) -> None:
        self.slots, self.per_host = slots, per_host
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()
        self._busy: Counter[str] = Counter()

    def add(self, host: str, item: Item) -> None:
        """Append an item."""
        self._waiting.setdefault(host, deque()).append(item)

    def pop(self) -> Item | None:
        """Return the next item that may begin, None where none may; call `release` with its host when it has ended."""
        if self._busy.total() >= self.slots:
            return None
        for host, items in self._waiting.items():
            if self._busy[host] < self.per_host:
                self._busy[host] += 1
                self._waiting.move_to_end(host)
                if len(items) == 1:
                    del self._waiting[host]
                return items.popleft()
        return None

    def release(self, host: str) -> None:
        """Free the slot of an item that has ended."""
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]


#: What a request is about: ("row", key of a subscription), ("callback", its address), ("hub", "external").
Subject = tuple[str, int | str]


class _Request(NamedTuple):
    subject: Subject
    host: str
    send: Callable[[], Coroutine[Any, Any, Outcome]]


class _Loop:
    """Requests in flight, and the task that writes down their outcomes. Runs in an event loop, its transactions in threads."""

    def __init__(self, engine: sa.Engine, client: HubClient, wake: asyncio.Event) -> None:
        self.engine, self.client, self.wake = engine, client, wake
        self.unsure: set[str] = set()
        self.total: Counter[str] = Counter()
        # Failing callbacks have a queue of their own, so that they delay no others.
        self._queues = {name: FairQueue[_Request](1, 1) for name in ("verify", "deliver", "failing", "external")}
        self._in_flight: dict[Subject, bool] = {}  # False: ended before it began
        self._announced: bool | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._outcomes: asyncio.Queue[tuple[Subject, Outcome]] = asyncio.Queue()
        self._fault: BaseException | None = None

    async def serve(self, detector: ChangeDetector, stop: Event) -> None:
        """Work until `stop` is set and the loop woken. Raises faults of this program or the database."""
        async with self._writing() as writer:
            while not stop.is_set() and self._fault is None:
                await self._add_work(detector)
                await self.wake.wait()
                self.wake.clear()
            if self._fault is None:  # what is in flight may end and is written down; nothing else begins
                for queue in self._queues.values():
                    queue.slots = 0
                if requests := self._tasks - {writer}:
                    await asyncio.wait(requests, timeout=GRACE_SECONDS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._outcomes.join(), GRACE_SECONDS)

    async def deliver_all(self, rows: Sequence[PendingDelivery]) -> None:
        """Deliver to these subscriptions and return when all outcomes are written down. Raises as `serve`."""
        self._resize(self.client.config.feeds.websub)
        async with self._writing():
            requests = (_Request(("row", row.key), row.host, partial(self.client.deliver, row)) for row in rows)
            self._start(("deliver", request) for request in requests)
            while self._in_flight and self._fault is None:
                await self.wake.wait()
                self.wake.clear()

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[asyncio.Task[None]]:
        """Write down outcomes meanwhile; raises at the end what went wrong in any task."""
        try:
            yield self._spawn(self._write_outcomes())
            if self._fault is not None:
                raise self._fault
        finally:
            for task in self._tasks:
                task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._fault = error
                self.wake.set()

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)
        return task

    async def _add_work(self, detector: ChangeDetector) -> None:
        in_flight = set(self._in_flight)  # what ends while the tables are read must not begin again
        unsure, announced = self.unsure, self._announced
        self.unsure, self._announced = set(), None
        more = len(in_flight) < MAX_IN_FLIGHT
        work = await asyncio.to_thread(detector.find_work, unsure, more=more, announced=announced)
        if work.config is None:
            return
        client = self.client
        client.config = work.config
        if work.changed:
            client.contents.clear()
            self._resize(work.config.feeds.websub)
        found = []
        for one in work.verifications:
            found.append(("verify", _Request(("callback", one.callback), one.host, partial(client.verify, one))))
        for row in work.gone:
            found.append(("failing", _Request(("row", row.key), row.host, partial(client.drop, row, _GONE))))
        for row in work.deliveries:
            queue = "failing" if row.failures else "deliver"
            found.append((queue, _Request(("row", row.key), row.host, partial(client.deliver, row))))
        if work.announcements:
            found.append(("external", _Request(("hub", "external"), "", partial(client.announce, work.announcements))))
        self._start((queue, request) for queue, request in found if request.subject not in in_flight)

    def _resize(self, settings: WebSub) -> None:
        slots, per_host, queues = settings.parallel, settings.parallel_per_host, self._queues
        queues["verify"].slots, queues["verify"].per_host = min(20, slots), min(4, per_host)
        queues["deliver"].slots, queues["deliver"].per_host = slots, per_host
        queues["failing"].slots, queues["failing"].per_host = max(1, slots // 5), min(2, per_host)

    def _start(self, added: Iterable[tuple[str, _Request]] = ()) -> None:
        """Add requests to the named queues, and send whatever has a free slot."""
        for name, request in added:
            self._in_flight[request.subject] = True
            self._queues[name].add(request.host, request)
        for queue in self._queues.values():
            while (next_one := queue.pop()) is not None:
                self._spawn(self._send(queue, next_one))

    async def _send(self, queue: FairQueue[_Request], request: _Request) -> None:
        try:
            if self._in_flight[request.subject]:
                self._outcomes.put_nowait((request.subject, await request.send()))
            else:
                del self._in_flight[request.subject]
        finally:
            queue.release(request.host)
        self._start()

    async def _write_outcomes(self) -> None:
        """Write outcomes in groups: what ends while one group is being written is the next."""
        while True:
            group = [await self._outcomes.get()]
            while not self._outcomes.empty():
                group.append(self._outcomes.get_nowait())
            ended = await asyncio.to_thread(self._write, [outcome for _subject, outcome in group])
            for subject, outcome in group:
                del self._in_flight[subject]
                self._outcomes.task_done()
                self.unsure.update(outcome.unsure)
                if outcome.announced is not None:
                    self._announced = outcome.announced
            for key in ended:
                if ("row", key) in self._in_flight:
                    self._in_flight["row", key] = False
            tally = self.client.tally
            if tally and not any(kind == "row" for kind, _key in self._in_flight):
                log.info("push", **tally)  # one line for all deliveries of a change, when the last is written down
                self.total.update(tally)
                tally.clear()
            if self.unsure or not self._in_flight:
                self.wake.set()

    def _write(self, outcomes: Sequence[Outcome]) -> list[int]:
        """Return keys of subscriptions that ended. Runs in a thread."""
        with database.writing(self.engine, durable=True) as connection:
            counters.add(connection, self.client.counts.take())
            return [key for outcome in outcomes for key in outcome.write(connection) or ()]


class HubWorker:
    """The hub's worker in the clock. `now` in UTC seconds."""

    def __init__(self, engine: sa.Engine, now: Callable[[], float]) -> None:
        self.engine, self.now = engine, lambda: int(now())
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def wake(self) -> None:
        """Look for work at once. From any thread, at any time."""
        if self._wake is not None:
            loop, event = self._wake
            with contextlib.suppress(RuntimeError):  # the worker has just ended
                loop.call_soon_threadsafe(event.set)

    def run(self, stop: Event) -> None:
        """Work until `stop` is set and `wake` called; without `wake`, nothing new is looked for."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: Event) -> None:
        event = asyncio.Event()
        self._wake = asyncio.get_running_loop(), event
        topics = Topics(self.engine)
        client = HubClient(topics, self.now)
        async with client.callbacks, client.external:
            await _Loop(self.engine, client, event).serve(ChangeDetector(self.engine, topics, self.now), stop)


def run_job(engine: sa.Engine, keys: Sequence[int], now: Callable[[], float]) -> dict[str, int]:
    """Deliver to the subscriptions with these keys, as a job of a worker process. Returns the number of each outcome.

    Idempotent: a callback that has the present content already is not called. Should the job die, the clock makes the
    deliveries due again after JOB_SECONDS.
    """
    topics = Topics(engine)
    with database.reading(engine) as connection:
        config = editions.load_edition(connection).config
        if config is None or not config.hub_url or config.feeds.websub.outside:
            return {}
        rows = subscriptions.deliveries_to(connection, keys, int(now()))
    client = HubClient(topics, lambda: int(now()), config)

    async def deliver() -> _Loop:
        loop = _Loop(engine, client, asyncio.Event())
        async with client.callbacks:
            await loop.deliver_all(rows)
        return loop

    done = asyncio.run(deliver())
    record_changes(engine, topics, done.unsure, int(now()))
    return dict(done.total)
