"""The hub's run: looks, sends out, notes, until it is stopped. One process runs it.

All that is owed lies in the tables; in memory is only what is under way. So a crash loses nothing: what had not been noted is
done again. A callback may see a delivery twice then, but never none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa
import structlog

from .. import counters, database
from ..config.models import Config, WebSub
from ..database import jobs
from . import subscriptions
from .delivery import After, Errands, Library, Note
from .hub import Topics
from .protocol import End
from .subscriptions import Owed, Request

# A look at the tables: what is to be done now. It finds changes by comparing digests, not by listening to rescans.
#
# At the start, whenever the catalog has another generation, and where an errand left a doubt, a topic's digest is compared with
# the one that is wanted for its subscriptions. So nothing is lost with a process, and one that was down catches up.

log: Any = structlog.get_logger("feeds.hub")

SWEEP_SECONDS = 60
#: How much is read from the tables at once.
AT_ONCE = 4000
#: Subscriptions that a worker delivers to in one job, and the seconds after which they are owed again if it says nothing.
ROUND, ROUND_SECONDS = 100, 300

#: (connection, keys of subscriptions)
HandOver = Callable[[sa.Connection, list[int]], None]


class Source(Library, Protocol):
    """What the hub asks of the catalog. Called in a thread."""

    def generation(self) -> int: ...

    def config(self) -> Config | None: ...

    def digests(self, topics: Iterable[str]) -> Mapping[str, str | None]:
        """What each topic's feed is now: "" where there is none at present, None where it is gone for good."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """`config` is None where nothing is to be done at all; `renewed`: it is of another generation than at the last look."""

    config: Config | None = None
    renewed: bool = False
    requests: list[Request] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)
    retired: list[Owed] = field(default_factory=list)
    batches: list[subscriptions.Batch] = field(default_factory=list)


@dataclass(slots=True)
class Lookout:
    """Remembers what it has seen. One look at a time.

    `workers` enqueues deliveries to these subscriptions, in the transaction that hands them over; without it, they are `owed`.
    """

    engine: sa.Engine
    source: Source
    now: Callable[[], int]
    workers: HandOver | None = None
    _generation: int = -1
    _config: Config | None = None
    _swept: int = 0
    _told: int = -1
    _quiet_until: int = 0

    def look(self, unsure: Iterable[str], *, hungry: bool, told: bool | None = None) -> Work:
        """`unsure` topics are compared whatever else; without `hungry` there is enough to do already.

        `told`: since the last look, a hub outside has taken what was found, or not all of it; None if it was not told anything.
        """
        generation, now = self.source.generation(), self.now()
        renewed = generation != self._generation
        if renewed:
            self._generation, self._config = generation, self.source.config()
        config = self._config
        if config is None or not config.hub_url:
            return Work()
        if config.feeds.websub.outside:
            return Work(config, renewed, batches=self._announcements(config, told, now))
        self._sweep(now)
        retired = self._compare(None if renewed else set(unsure), now)
        if not hungry:
            return Work(config, renewed, retired=retired)
        with database.reading(self.engine) as connection:
            requests = _first_of_each(subscriptions.open_requests(connection, now, AT_ONCE))
            owed = subscriptions.owed(connection, now, AT_ONCE)
        if self.workers is not None and config.site.workers:
            self._hand_over(self.workers, owed, now)
            owed = []
        return Work(config, renewed, requests, owed, retired)

    def _hand_over(self, workers: HandOver, owed: list[Owed], now: int) -> None:
        for start in range(0, len(owed), ROUND):
            keys = [row.key for row in owed[start : start + ROUND]]
            with database.writing(self.engine, durable=True) as connection:
                subscriptions.hand_over(connection, keys, now + ROUND_SECONDS)
                workers(connection, keys)

    def compare(self, topics: Iterable[str]) -> None:
        """After errands that were done elsewhere."""
        self._compare(set(topics), self.now())

    def _sweep(self, now: int) -> None:
        if abs(now - self._swept) < SWEEP_SECONDS:
            return
        self._swept = now
        with database.writing(self.engine) as connection:
            expired = subscriptions.expire(connection, now)
        if expired:
            log.info("hub_expired", subscriptions=expired)

    def _compare(self, unsure: set[str] | None, now: int) -> list[Owed]:
        """Write down which topics (None: all) have changed. Returns the subscriptions of those that are gone for good."""
        if unsure is not None and not unsure:
            return []
        with database.reading(self.engine) as connection:
            known = subscriptions.standings(connection)
        digests = self.source.digests(topic for topic in known if unsure is None or topic in unsure)
        changed = {topic: digest for topic, digest in digests.items() if digest and known[topic] != {digest}}
        gone = [topic for topic, digest in digests.items() if digest is None]
        if not changed and not gone:
            return []
        with database.writing(self.engine) as connection:
            for topic, digest in changed.items():
                subscriptions.want(connection, topic, digest, now)
            return [row for topic in gone for row in subscriptions.of_topic(connection, topic)]

    # -- a hub outside ---------------------------------------------------------

    def _announcements(self, config: Config, told: bool | None, now: int) -> list[subscriptions.Batch]:
        if told is not None:  # more may have changed while it was being told
            self._told, self._quiet_until = -1, 0 if told else now + subscriptions.AGAIN_SECONDS
        if self._told == self._generation or now < self._quiet_until:
            return []
        with database.writing(self.engine) as connection:
            found = subscriptions.changed(connection, config)
        self._told = self._generation
        return found


def _first_of_each(requests: Iterable[Request]) -> list[Request]:
    """Requests of one callback are verified one after the other: the last word is the one that counts."""
    seen: dict[str, Request] = {}
    for request in requests:
        seen.setdefault(request.callback, request)
    return list(seen.values())


# One round: deliver to some subscriptions whatever is owed to them. What a worker does for the acting clock's hub.
#
# The clock has put off what it handed over (`rows.hand_over`); should this round die, it is owed again by then.

#: Notes that are written together.
TOGETHER = 50


def carry(engine: sa.Engine, source: Source, keys: Sequence[int], now: Callable[[], float]) -> dict[str, int]:
    """Returns how many deliveries went well and how many did not. Whoever has got what is wanted already is left alone."""
    config = source.config()
    if config is None or not config.hub_url or config.feeds.websub.outside:
        return {}
    moment = int(now())
    with database.reading(engine) as connection:
        owed = subscriptions.owed_to(connection, keys, moment)
    errands = Errands(source, lambda: int(now()), config)
    unsure = asyncio.run(_Round(engine, errands, config.feeds.websub).run(owed))
    Lookout(engine, source, lambda: int(now())).compare(unsure)
    if errands.tally:
        log.info("push", **errands.tally)
    return dict(errands.tally)


class _Round:
    def __init__(self, engine: sa.Engine, errands: Errands, settings: WebSub) -> None:
        self.engine, self.errands = engine, errands
        self._slots = asyncio.Semaphore(settings.parallel)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(settings.parallel_per_host))
        self._unsure: set[str] = set()

    async def run(self, owed: Sequence[Owed]) -> set[str]:
        """Returns topics that must be compared once more."""
        async with self.errands.strangers:
            notes: list[Note] = []
            for ended in asyncio.as_completed([self._deliver(row) for row in owed]):
                notes.append(await ended)
                if len(notes) >= TOGETHER:
                    await asyncio.to_thread(self._write, notes)
                    notes = []
            await asyncio.to_thread(self._write, notes)
        return self._unsure

    async def _deliver(self, row: Owed) -> Note:
        async with self._hosts[row.host], self._slots:  # the host first: who waits for it keeps no slot from others
            return await self.errands.deliver(row)

    def _write(self, notes: Sequence[Note]) -> None:
        if notes:
            with database.writing(self.engine, durable=True) as connection:
                counters.add(connection, self.errands.gathered.take())
                for note in notes:
                    self._unsure.update(note(connection).unsure)


# Who is next: hosts take turns, so that a host with many callbacks, or slow ones, keeps no other waiting. Pure.

Item = TypeVar("Item")


class Lane(Generic[Item]):
    """At most `slots` items are under way at a time, `per_host` of one host; those of a host in the order of their coming."""

    def __init__(self, slots: int, per_host: int) -> None:
        self.slots, self.per_host = slots, per_host
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()
        self._busy: Counter[str] = Counter()

    def resize(self, slots: int, per_host: int) -> None:
        self.slots, self.per_host = slots, per_host

    def add(self, host: str, item: Item) -> None:
        self._waiting.setdefault(host, deque()).append(item)

    def take(self) -> Item | None:
        """The next item that may begin; call `done` with its host when it has ended."""
        if self._busy.total() >= self.slots:
            return None
        host = next((host for host in self._waiting if self._busy[host] < self.per_host), None)
        if host is None:
            return None
        item = self._waiting[host].popleft()
        self._waiting.move_to_end(host)
        if not self._waiting[host]:
            del self._waiting[host]
        self._busy[host] += 1
        return item

    def done(self, host: str) -> None:
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]


#: So much under way or waiting is enough for now.
ENOUGH = 2000
#: Seconds that errands under way have left when the run is stopped.
GRACE = 3.0

#: What is under way: ("row", key of a subscription), ("callback", address being asked to confirm), ("hub", "outside").
Name = tuple[str, int | str]
Errand = Callable[[], Coroutine[Any, Any, Note]]


class Courier:
    """`now` is a clock in UTC seconds. `workers` as in Lookout."""

    def __init__(self, engine: sa.Engine, source: Source, now: Callable[[], float], workers: HandOver | None = None) -> None:
        self.engine, self.source, self.workers = engine, source, workers
        self.now = lambda: int(now())
        self._bell: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def wake(self) -> None:
        """Look at once. From any thread, at any time."""
        if self._bell is not None:
            loop, rung = self._bell
            with contextlib.suppress(RuntimeError):  # the run has just ended
                loop.call_soon_threadsafe(rung.set)

    def run(self, stop: Event) -> None:
        """Until `stop` is set and `wake` called. Between looks it waits for `wake`."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: Event) -> None:
        rung = asyncio.Event()
        self._bell = asyncio.get_running_loop(), rung
        errands = Errands(self.source, self.now)
        async with errands.strangers, errands.outside:
            lookout = Lookout(self.engine, self.source, self.now, self.workers)
            await _Run(self.engine, lookout, errands, rung).until(stop)


class _Run:
    """Its methods run in the event loop; what they do in the database, in threads."""

    def __init__(self, engine: sa.Engine, lookout: Lookout, errands: Errands, rung: asyncio.Event) -> None:
        self.engine, self.lookout, self.errands, self.rung = engine, lookout, errands, rung
        self._lanes = {name: Lane[tuple[Name, str, Errand]](1, 1) for name in ("verify", "deliver", "failing", "outside")}
        self._flying: dict[Name, bool] = {}  # False: ended before it began
        self._unsure: set[str] = set()
        self._told: bool | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: asyncio.Queue[tuple[Name, Note]] = asyncio.Queue()
        self._fault: BaseException | None = None

    async def until(self, stop: Event) -> None:
        """Raises what went wrong here; strangers cannot make it."""
        writer = self._spawn(self._write_notes())
        try:
            while not stop.is_set() and self._fault is None:
                await self._look()
                await self.rung.wait()
                self.rung.clear()
            if self._fault is not None:
                raise self._fault
            await self._land(writer)
        finally:
            for task in self._tasks:
                task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault = error
            self.rung.set()

    async def _land(self, writer: asyncio.Task[None]) -> None:
        """What is under way may end, and is noted; nothing else begins."""
        for lane in self._lanes.values():
            lane.slots = 0
        if errands := self._tasks - {writer}:
            await asyncio.wait(errands, timeout=GRACE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._done.join(), GRACE)

    # -- looking -----------------------------------------------------------------

    async def _look(self) -> None:
        flying = set(self._flying)  # what ends while the tables are read must not begin anew
        unsure, told = self._unsure, self._told
        self._unsure, self._told = set(), None
        work = await asyncio.to_thread(self.lookout.look, unsure, hungry=len(flying) < ENOUGH, told=told)
        if work.config is None:
            return
        self.errands.config = work.config
        if work.renewed:
            self.errands.forget_documents()
            self._resize(work.config.feeds.websub)
        for lane, host, name, errand in self._errands(work):
            if name not in flying:
                self._flying[name] = True
                self._lanes[lane].add(host, (name, host, errand))
        self._start()

    def _errands(self, work: Work) -> list[tuple[str, str, Name, Errand]]:
        send = self.errands
        return [
            *(("verify", one.host, ("callback", one.callback), partial(send.verify, one)) for one in work.requests),
            *(("failing", row.host, ("row", row.key), partial(send.end, row, _GONE)) for row in work.retired),
            *(
                ("failing" if row.failures else "deliver", row.host, ("row", row.key), partial(send.deliver, row))
                for row in work.owed
            ),
            *([("outside", "", ("hub", "outside"), partial(send.announce, work.batches))] if work.batches else []),
        ]

    def _resize(self, settings: WebSub) -> None:
        """Failing callbacks have a lane of their own, so that they hold up no others."""
        slots, per_host = settings.parallel, settings.parallel_per_host
        self._lanes["verify"].resize(min(20, slots), min(4, per_host))
        self._lanes["deliver"].resize(slots, per_host)
        self._lanes["failing"].resize(max(1, slots // 5), min(2, per_host))

    # -- sending out -------------------------------------------------------------

    def _start(self) -> None:
        for lane in self._lanes.values():
            while (item := lane.take()) is not None:
                self._spawn(self._carry(lane, *item))

    async def _carry(self, lane: Lane[tuple[Name, str, Errand]], name: Name, host: str, errand: Errand) -> None:
        try:
            if self._flying[name]:
                self._done.put_nowait((name, await errand()))
            else:
                del self._flying[name]
        finally:
            lane.done(host)
        self._start()

    # -- noting ------------------------------------------------------------------

    async def _write_notes(self) -> None:
        """In groups: what ends while one is being written is the next."""
        while True:
            group = [await self._done.get()]
            while not self._done.empty():
                group.append(self._done.get_nowait())
            after = await asyncio.to_thread(self._write, [note for _name, note in group])
            for name, _note in group:
                del self._flying[name]
                self._done.task_done()
            self._follow(after)

    def _write(self, notes: Sequence[Note]) -> list[After]:
        """In a thread."""
        with database.writing(self.engine, durable=True) as connection:
            counters.add(connection, self.errands.gathered.take())
            return [note(connection) for note in notes]

    def _follow(self, after: Sequence[After]) -> None:
        """What the notes leave to do."""
        for one in after:
            for key in one.ended:
                if ("row", key) in self._flying:
                    self._flying["row", key] = False
            self._unsure.update(one.unsure)
            if one.told is not None:
                self._told = one.told
        if self._unsure:
            self.rung.set()
        if self.errands.tally and not any(kind == "row" for kind, _key in self._flying):
            log.info("push", **self.errands.tally)  # one line for a wave, when the last of it is noted
            self.errands.tally.clear()


_GONE = End("the feed is gone", denied=True)


def push_some(engine: sa.Engine, subscriptions: Sequence[int], now: Callable[[], float]) -> dict[str, int]:
    """Deliver what is owed to these subscriptions, as one job of a worker does. Return the number of each outcome."""
    return carry(engine, Topics(engine), subscriptions, now)


def courier(engine: sa.Engine, now: Callable[[], float]) -> Courier:
    """Return the hub's run, for the clock; it writes jobs where other processes do the work."""

    def hand_over(connection: sa.Connection, keys: list[int]) -> None:
        jobs.enqueue(connection, [jobs.Job("push", {"subscriptions": keys})])

    return Courier(engine, Topics(engine), now, hand_over)
