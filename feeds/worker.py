"""`feeds worker`: does what the acting clock has left to it. The other door to the service beside the clock, for many machines.

A worker outlives its database: when the server is away the run ends, and the next begins once it is back. SIGTERM ends it for
good: messages that a mail server has in hand are finished, everything else is anyone's again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from procrastinate import App, RetryStrategy

from . import counters, database
from .database import jobs
from .errors import DatabaseError, FeedsError
from .newsletter.digests import Digests
from .runtime import Runtime
from .websub import worker as _worker_module

log: Any = structlog.get_logger("feeds.worker")

#: Seconds until a server that is away is asked again.
AGAIN = 2.0
#: A mail server that is away, a configuration that is broken: again after 1, 2, 4, ... 64 s; then the clock asks anew.
RETRY = RetryStrategy(max_attempts=7, exponential_wait=2)


class Worker:
    """`now` in UTC seconds. `run` returns after `stop`."""

    def __init__(self, runtime: Runtime, *, concurrency: int = 2, now: Callable[[], float] = time.time) -> None:
        self.runtime, self.concurrency, self.now = runtime, concurrency, now
        self.stopped = threading.Event()
        self._fault = ""
        self._run: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None

    def stop(self, *_signal: object) -> None:
        """From any thread, or as the handler of a signal."""
        self.stopped.set()
        if self._run is not None:
            loop, task = self._run
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)

    def run(self) -> None:
        """Until `stop`; a lost database only takes time. Raises DatabaseError where this database can have no workers."""
        while not self.stopped.is_set():
            try:
                jobs.prepare(self.runtime.engine)
                asyncio.run(self._work())
            except DatabaseError:
                raise
            except Exception as error:  # whatever it is: what is owed lies in rows, and the next run may go well
                if self._fault != (fault := f"{type(error).__name__}: {error}".splitlines()[0]):
                    log.error("worker_interrupted", fault=fault, again_seconds=AGAIN)
                self._fault = fault
            self.stopped.wait(0 if self.stopped.is_set() else AGAIN)

    async def _work(self) -> None:
        async with self._app().open_async() as app:
            working = asyncio.create_task(
                app.run_worker_async(
                    concurrency=self.concurrency,
                    install_signal_handlers=False,
                    update_heartbeat_interval=jobs.HEARTBEAT,
                    stalled_worker_timeout=jobs.STALLED,
                    delete_jobs="always",
                )
            )
            self._run = asyncio.get_running_loop(), working
            self._fault = ""
            log.info("working", concurrency=self.concurrency)
            with contextlib.suppress(asyncio.CancelledError):
                await working

    def _app(self) -> App:
        app = jobs.app(database.conninfo(self.runtime.engine), connections=self.concurrency + 2)
        app.task(name="send", queue="send", retry=RETRY)(self.send)
        app.task(name="push", queue="push", retry=RETRY)(self.push)
        return app

    # -- what there is to do -----------------------------------------------------

    def send(self, issue: int) -> None:
        """Some of the messages of an issue: whichever are free. In a thread."""
        config = self.runtime.edition().config
        if config is None or not config.newsletter.enabled or self.stopped.is_set():
            return
        tally = Digests.from_runtime(self.runtime, config).send_some(issue, self.now, stop=self.stopped)
        if tally.done:
            log.info("post", sent=tally.sent, failed=tally.failed, retry=tally.retry, uncertain=tally.uncertain)
        if tally.problem:
            raise FeedsError(tally.problem)  # later, and by whoever has time then

    def push(self, subscriptions: list[int]) -> None:
        """Deliver to these WebSub subscriptions whatever is owed to them. In a thread."""
        if not self.stopped.is_set():
            _worker_module.push_some(self.runtime.engine, subscriptions, self.now)


def run(runtime: Runtime, *, concurrency: int) -> None:
    """Run a worker in this process until SIGTERM or SIGINT."""
    worker = Worker(runtime, concurrency=concurrency)
    with contextlib.suppress(Exception):  # the database is away: the run says so
        runtime.count(counters.note_start, "worker")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)
    worker.run()
