"""Run `feeds worker`: the jobs that the acting clock leaves to other processes, on as many machines as needed.

A worker outlives its database: when the server is away, the connection is given up and made again once it is back. On SIGTERM
messages that a mail server has in hand are finished; all other work is free for other workers.
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
from procrastinate import RetryStrategy

from . import counters, database, logs
from .database import jobs
from .errors import DatabaseError, FeedsError
from .newsletter import NewsletterContext, digests
from .runtime import Runtime
from .websub import worker as hub

log: Any = structlog.get_logger("feeds.worker")

#: Seconds until a database that is away is tried again.
RECONNECT_SECONDS = 2.0
#: For a mail server that is away or a broken configuration: after 1, 2, 4, ... 64 s; then the clock offers the work again.
RETRY = RetryStrategy(max_attempts=7, exponential_wait=2)


class Worker:
    """`now` in UTC seconds. `run_until_stopped` returns after `stop`."""

    def __init__(self, runtime: Runtime, *, concurrency: int = 2, now: Callable[[], float] = time.time) -> None:
        self.runtime, self.concurrency, self.now = runtime, concurrency, now
        self.stopped = threading.Event()
        self._fault = ""
        self._working: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None

    def stop(self, *_signal: object) -> None:
        """End the work, from any thread or as the handler of a signal."""
        self.stopped.set()
        if self._working is not None:
            loop, task = self._working
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)

    def run_until_stopped(self) -> None:
        """Do jobs; a lost database only takes time. Raises DatabaseError where this database can have no workers."""
        while not self.stopped.is_set():
            try:
                jobs.prepare(self.runtime.engine)
                asyncio.run(self._do_jobs())
            except DatabaseError:
                raise
            except Exception as error:  # nothing is lost: what is due lies in rows, and the next attempt may go well
                if self._fault != (fault := f"{type(error).__name__}: {error}".splitlines()[0]):
                    log.error("worker_interrupted", fault=fault, again_seconds=RECONNECT_SECONDS)
                self._fault = fault
            self.stopped.wait(RECONNECT_SECONDS)

    async def _do_jobs(self) -> None:
        app = jobs.app(database.conninfo(self.runtime.engine), connections=self.concurrency + 2)
        app.task(name="send", queue="send", retry=RETRY)(self.send)
        app.task(name="push", queue="push", retry=RETRY)(self.push)
        async with app.open_async():
            working = asyncio.create_task(
                app.run_worker_async(
                    concurrency=self.concurrency,
                    install_signal_handlers=False,
                    update_heartbeat_interval=jobs.HEARTBEAT,
                    stalled_worker_timeout=jobs.STALLED,
                    delete_jobs="always",
                )
            )
            self._working = asyncio.get_running_loop(), working
            self._fault = ""
            log.info("working", concurrency=self.concurrency)
            with contextlib.suppress(asyncio.CancelledError):
                await working

    def send(self, issue: int) -> None:
        """Send messages of an issue that no other worker has in hand. Called in a thread."""
        config = self.runtime.edition().config
        if config is None or not config.newsletter.enabled or self.stopped.is_set():
            return
        tally = digests.send(NewsletterContext.of(self.runtime, config), self.now, issue=issue, stop=self.stopped)
        if tally.done:
            log.info("mail_sent", sent=tally.sent, failed=tally.failed, retry=tally.retry, uncertain=tally.uncertain)
        if tally.problem:
            raise FeedsError(tally.problem)  # retried later, by any worker

    def push(self, subscriptions: list[int]) -> None:
        """Deliver to WebSub subscriptions, by their keys, what is due to them. Called in a thread."""
        if not self.stopped.is_set():
            hub.run_job(self.runtime.engine, subscriptions, self.now)


def run_worker(runtime: Runtime, *, concurrency: int) -> None:
    """Run a worker in this process until SIGTERM or SIGINT."""
    worker = Worker(runtime, concurrency=concurrency)
    runtime.watch.report_to(logs.report_database)
    with contextlib.suppress(Exception):  # the database is away: the worker reports it
        runtime.count(counters.count_start, "worker")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)
    worker.run_until_stopped()
