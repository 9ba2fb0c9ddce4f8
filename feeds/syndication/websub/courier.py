"""The hub's run: looks, sends out, notes, until it is stopped. One process runs it.

All that is owed lies in the tables; in memory is only what is under way. So a crash loses nothing: what had not been noted is
done again. A callback may see a delivery twice then, but never none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from threading import Event
from typing import Any

import sqlalchemy as sa
import structlog

from ... import database, measures
from ...config import WebSub
from .errands import After, Errands, Note
from .looking import HandOver, Lookout, Source, Work
from .rules import End
from .turns import Lane

log: Any = structlog.get_logger("feeds.hub")

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
            measures.add(connection, self.errands.gathered.take())
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
