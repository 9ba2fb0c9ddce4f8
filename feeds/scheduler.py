"""Run periodic jobs: rescans, mail, push, monitoring. The only user of APScheduler.

One clock acts for a database; others stand by until its lock is released. A tick asks for a rescan, which finds out by itself
whether there is anything to do, so a missed, late or doubled tick costs one walk of the store. Watching files only makes the
next tick come sooner: it misses renamed folders and network mounts. Mail and push run in threads of their own: an issue that
takes an hour to send holds up no rescan. What is due is asked of the database.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from . import counters, database, faults, file_watch, logs, rescan
from .audience import requests
from .catalog import queries, store_changes
from .config import load
from .config.models import Config
from .database import identity, jobs
from .errors import DatabaseFault, FeedsError
from .model import Problem, RescanReport
from .monitoring import gauges, health
from .newsletter import NewsletterContext, digests
from .newsletter.bounces import booking
from .newsletter.subscribers import choices, departures, signup, unsubscribe
from .runtime import Runtime
from .store.parser_pool import ParserPool
from .websub import worker

if TYPE_CHECKING:
    from .websub.worker import HubWorker

log: Any = structlog.get_logger("feeds.clock")
#: Seconds between two attempts of a standby clock to act, and between two looks of an acting one at its lock.
STANDBY_SECONDS = 5
#: Seconds between two looks for jobs of dead workers.
RESCUE_SECONDS = 5
#: Seconds between two looks when a verdict is due: a rescan elsewhere may have found an embargo, or the time be set.
LOOK_SECONDS = 5
#: Seconds until a confirmation is sent, and an issue after its instant.
MAIL_SECONDS = 2
#: Seconds until a push subscription is confirmed, and a delivery retried after its time; changes do not wait for it.
PUSH_SECONDS = 1
#: Seconds that the hub pauses after a fault of its own, such as a database that does not answer; and a rescan that is due.
PAUSE_SECONDS = 5
#: Seconds that the hub has to work before a fault that it had is logged again.
FORGET_SECONDS = 30
#: Seconds between two visits to the mailbox of bounces.
FETCH_SECONDS = 60
#: Seconds between two heartbeats of the clock, and between two looks whether anything is to be counted for monitors.
BEAT_SECONDS = health.BEAT_SECONDS
#: Seconds that an address stays, at most, after the link that it did not follow has expired.
PURGE_SECONDS = 600


BUSY = "busy"


class _Stopped(Exception):
    """Ends a rescan that there is no time for."""


class FaultLog:
    """Log each fault once, until it changes or ends: a full disk must not be filled by its own reports."""

    def __init__(self) -> None:
        self._reported: dict[str, str] = {}

    def attempt(self, event: str, work: Callable[[], object]) -> None:
        """Call `work`; whatever it raises is logged as `event`, and the next tick tries again."""
        try:
            work()
        except DatabaseFault as error:  # `database_fault` said it
            self._reported[event] = str(error)
        except FeedsError as error:
            self.report(event, str(error))
        except Exception as error:
            if health.is_busy(error):
                if self._reported.get(event) != BUSY:
                    log.info("database_busy", work=event, reason="another process writes; tried again")
                self._reported[event] = BUSY
            elif sentence := faults.sentence(error):
                self.report(event, sentence)
            elif self._reported.get(event) != repr(error):
                log.exception(event, error=type(error).__name__)
                self._reported[event] = repr(error)
        else:
            self._reported[event] = ""

    def report(self, event: str, fault: str, *, hint: bool = False) -> None:
        """Log `fault`, one event a line, or a hint as a warning; "" means that all is well again."""
        if fault != self._reported.get(event, ""):
            for line in fault.splitlines():
                log.warning(event, hint=line) if hint else log.error(event, fault=line)
        self._reported[event] = fault


class Clock:
    """Rescan at an interval and when `wake` is set, one rescan at a time, and run all other jobs beside."""

    def __init__(self, runtime: Runtime, *, now: Callable[[], float] = time.time, parent: int | None = None) -> None:
        self.runtime, self.now, self.parent = runtime, now, parent
        self.stopped = threading.Event()
        self.wake = threading.Event()
        self.push = PushThread(runtime, now, self.stopped)
        self._parsers = ParserPool()
        self._faults = FaultLog()
        self._standby = ""
        self._commit = ""
        self._seconds = 30
        self._warned: set[Problem] = set()
        self._lock_lost = False
        self._acting = False
        self._judged = self._pause_ends = 0

    def stop(self, *_signal: object) -> None:
        """Make `run_until_stopped` return, from any thread or as the handler of a signal."""
        self.stopped.set()
        self.wake.set()

    def run_until_stopped(self) -> bool:
        """Stand by until no other clock acts, then act. Returns False where the lock was lost: another clock may act by now."""
        threading.Thread(target=self._watch_database, daemon=True).start()
        while not self.stopped.is_set():
            try:
                with database.lock(self.runtime.engine, "clock", wait=False) as is_held:
                    if is_held is not None:
                        self._standby = ""
                        return self._act(is_held)
                    reason = "another clock acts for this database"
            except (sa.exc.DBAPIError, OSError) as error:
                reason = f"the database does not answer: {type(getattr(error, 'orig', error)).__name__}"
            if reason != self._standby:
                log.info("standby", reason=reason)
            self._standby = reason
            self._wait(STANDBY_SECONDS)
        return True

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stopped.wait(min(1.0, seconds)):
            self._check_parent()

    def _check_parent(self) -> None:
        """A clock whose service was killed has nothing left to do."""
        if self.parent is not None and os.getppid() != self.parent:
            self.stop()

    def _act(self, is_held: Callable[[], bool]) -> bool:
        """Run all jobs until `stop`, or until the lock is no longer held."""

        def check_lock() -> None:  # a clock that the database has forgotten must not act beside its successor
            if not is_held():
                self._lock_lost = True
                log.warning("clock_lost", reason="the connection that held its lock is gone")
                self.stop()

        log.info("acting")
        self._acting = True
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # mail that takes longer than a tick is no warning for each
        scheduler = BackgroundScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
        seconds = self.tick()
        job = scheduler.add_job(self.wake.set, "interval", seconds=seconds)
        mail = MailJobs(self.runtime, self.now, self.stopped)
        for interval, work in (
            (1, self._check_parent),
            (STANDBY_SECONDS, check_lock),
            (MAIL_SECONDS, mail.send),
            (FETCH_SECONDS, mail.fetch),
            (PURGE_SECONDS, mail.purge),
            (RESCUE_SECONDS, mail.rescue),
            (PUSH_SECONDS, self.push.wake),
            (BEAT_SECONDS, self._count_tables),
        ):
            scheduler.add_job(work, "interval", seconds=interval)
        scheduler.add_job(self._write_heartbeat, "interval", seconds=BEAT_SECONDS, next_run_time=datetime.now(UTC))
        threading.Thread(target=self._watch_files, daemon=True).start()
        scheduler.start()
        self.push.start()
        try:
            while True:
                while (left := self._seconds_to_due()) > 0 and not self.wake.wait(min(left, LOOK_SECONDS)):
                    pass
                self.wake.clear()
                if self.stopped.is_set():
                    break
                if (wanted := self.tick()) != seconds:
                    seconds = wanted
                    job.reschedule("interval", seconds=seconds)
        finally:
            self.stop()  # also where a fault ends the clock: the hub runs until `stopped` is set
            self.push.join()
            self._parsers.close()
            scheduler.shutdown()  # a message under way is finished: `stopped` keeps mail from beginning another
        return not self._lock_lost

    def _seconds_to_due(self) -> float:
        """Return how long until a file's verdict changes by itself, at a second that no rescan has judged yet."""
        with contextlib.suppress(sa.exc.DBAPIError, FeedsError):  # the next tick says what is wrong
            if (due := self.runtime.read(store_changes.next_due, self._judged)) is not None:
                return max(due, self._pause_ends) - self.now()
        return math.inf

    def tick(self) -> int:
        """Rescan once; return the seconds until the next rescan. No fault ends the clock."""

        def give_up_when_stopped(_done: int, _total: int) -> None:
            if self.stopped.is_set():
                raise _Stopped

        def rescan_and_log() -> None:
            engine, environment, now = self.runtime.engine, self.runtime.environment, int(self.now())
            self._pause_ends = now + PAUSE_SECONDS  # if this fails
            options = rescan.RescanOptions(parsers=self._parsers)
            try:
                report = rescan.rescan(engine, environment, options, now=now, stop=self.stopped, progress=give_up_when_stopped)
            except _Stopped:
                log.info("rescan_given_up", reason="the clock stops; the catalog is as it was")
            else:
                self._judged, self._pause_ends = now, 0
                self._log(report)

        self._faults.attempt("rescan_failed", rescan_and_log)
        self.push.wake()
        with contextlib.suppress(sa.exc.DBAPIError, FeedsError):  # else as before
            if (config := self.runtime.edition().config) is not None:
                self._seconds = config.site.rescan_seconds
        return self._seconds

    def _watch_database(self) -> None:
        """Find out whether the database is still the site's, and sound; note how far it has come. In a thread of its own."""
        watch, faults = self.runtime.watch, FaultLog()

        def work() -> None:
            watch.look()
            if self._acting:
                watch.keep()
                watch.check_when_due()

        while not self.stopped.is_set():
            faults.attempt("watching_failed", work)
            self.stopped.wait(identity.LOOK_SECONDS)

    def _write_heartbeat(self) -> None:
        self._faults.attempt("beat_failed", lambda: self.runtime.write(health.write_heartbeat, self.now()))

    def _count_tables(self) -> None:
        def work() -> None:
            if (config := self.runtime.edition().config) is not None:
                gauges.count_tables(self.runtime.engine, config, self.now, self.stopped)

        self._faults.attempt("counting_failed", work)

    def _log(self, report: RescanReport) -> None:
        """Log what has changed, and each fault and each file in quarantine once for each change."""
        status = self.runtime.read(health.catalog_status)
        git = status["store_git"] or {}
        self._faults.report("config_refused", status["config_fault"])
        hints = "\n".join(map(str, load.removed_settings(self.runtime.environment)))
        self._faults.report("setting_removed", hints, hint=True)
        self._faults.report("removals_held", status["held_fault"])
        self._faults.report("pull_failed", git.get("fault", ""))
        self._faults.report("git_dates_failed", git.get("dates_fault", ""))
        before, self._commit = self._commit, git.get("commit", "")
        if before and before != self._commit:
            log.info("store", commit=self._commit[:12])
        problems = self.runtime.read(queries.list_problems)
        for problem in problems:
            if problem not in self._warned:
                place = f"{problem.path}:{problem.line}:{problem.column}" if problem.line else problem.path
                log.warning("quarantine", file=place, reason=problem.reason)
        self._warned = set(problems)
        if report.added or report.changed or report.removed or report.renamed or report.feeds_changed:
            figures = {name: getattr(report, name) for name in ("articles", "added", "changed", "removed", "quarantined")}
            log.info("rescan", **figures, feeds=report.feeds_changed, seconds=report.seconds)

    def _watch_files(self) -> None:
        def report(reason: str) -> None:
            log.warning("watching_failed", reason=reason, fallback="rescans go on by the clock")

        file_watch.watch(self.runtime, self.wake, self.stopped, report)


class MailJobs:
    """The newsletter's jobs: plan what is due, send, fetch bounces, purge, rescue. No fault ends one."""

    def __init__(self, runtime: Runtime, now: Callable[[], float], stopped: threading.Event) -> None:
        self.runtime, self.now, self.stopped = runtime, now, stopped
        self._faults = FaultLog()
        self._jobs_prepared = False

    def send(self) -> None:
        """Plan the issues that are due, and send what is open or leave it to workers."""
        self._faults.attempt("mail_failed", self._plan_and_send)

    def _plan_and_send(self) -> None:
        if (config := self._enabled_config()) is None:
            return
        context, now = NewsletterContext.of(self.runtime, config), int(self.now())
        if not digests.has_work(context, now):
            return
        for issue in digests.plan(context, now):
            log.info("issue", id=issue.id, articles=issue.articles, status=issue.status, reason=issue.reason)
        if config.site.workers:
            self._faults.report("mail_waiting", digests.send_single(context, self.now, stop=self.stopped))
            self.runtime.write(digests.enqueue_jobs, now)
            return
        tally = digests.send(context, self.now, stop=self.stopped)
        if tally.sent or tally.failed or tally.retry or tally.uncertain:
            log.info("mail_sent", sent=tally.sent, failed=tally.failed, retry=tally.retry, uncertain=tally.uncertain)
        self._faults.report("mail_waiting", tally.problem)

    def _enabled_config(self) -> Config | None:
        config = self.runtime.edition().config
        return config if config and config.newsletter.enabled and not self.stopped.is_set() else None

    def fetch(self) -> None:
        """Fetch and book bounces."""

        def work() -> None:
            if (config := self._enabled_config()) is not None:
                booking.collect(NewsletterContext.of(self.runtime, config), int(self.now()), stop=self.stopped)

        self._faults.attempt("bounces_failed", work)

    def purge(self) -> None:
        """Delete expired sign-ups, choices before old changes, old counts; overwrite what was erased; list who has left."""

        def purge_audience() -> None:
            if (config := self.runtime.edition().config) is not None:
                self.runtime.write(requests.delete_old_days, config.zone, self.now(), config.site.audience_days)

        purge_signups = functools.partial(self.runtime.write, signup.purge_requests, int(self.now()))
        self._faults.attempt("purging_signups_failed", purge_signups)
        purge_choices = functools.partial(self.runtime.write, choices.purge_past, int(self.now()))
        self._faults.attempt("purging_choices_failed", purge_choices)
        self._faults.attempt("purging_audience_failed", purge_audience)
        self._faults.attempt("overwriting_erased_failed", functools.partial(unsubscribe.overwrite_erased, self.runtime.engine))
        if self._enabled_config() is not None:
            self._faults.attempt("list_of_departures_failed", lambda: self.runtime.read(departures.begin))

    def rescue(self) -> None:
        """Give jobs of dead workers to others."""

        def work() -> None:
            config = self.runtime.edition().config
            if config is None or not config.site.workers:
                return
            if not self._jobs_prepared:
                jobs.prepare(self.runtime.engine)
                self._jobs_prepared = True
            if number := jobs.rescue(self.runtime.engine):
                log.warning("jobs_rescued", jobs=number, reason="their workers give no sign of life")

        self._faults.attempt("rescue_failed", work)


class PushThread:
    """Run the hub in a thread of its own: a slow callback holds up no rescan and no mail."""

    def __init__(self, runtime: Runtime, now: Callable[[], float], stopped: threading.Event) -> None:
        self.runtime, self.now, self.stopped = runtime, now, stopped
        self._hub: HubWorker | None = None
        self._thread = threading.Thread(target=self._run, name="push")

    def start(self) -> None:
        """Start the thread; it ends once `stopped` is set."""
        self._thread.start()

    def wake(self) -> None:
        """Make the hub look for work now."""
        if self._hub is not None:
            self._hub.wake()

    def join(self) -> None:
        """Wait until deliveries under way have ended. Call it once `stopped` is set."""
        while self._thread.is_alive():
            self.wake()
            self._thread.join(0.1)

    def _run(self) -> None:
        reports = FaultLog()
        self._hub = worker.HubWorker(self.runtime.engine, self.now)  # loaded here: the first rescan does not wait for it
        while not self.stopped.is_set():
            began = time.monotonic()
            reports.attempt("push_failed", functools.partial(self._hub.run, self.stopped))  # what is due lies in the tables
            if time.monotonic() - began > FORGET_SECONDS:
                reports = FaultLog()
            self.stopped.wait(PAUSE_SECONDS)


def run_clock(runtime: Runtime, *, parent: int | None = None) -> None:
    """Run a clock in this process until SIGTERM or SIGINT. Raises ConfigError before the first good configuration."""
    runtime.watch.report_to(logs.report_database)
    FaultLog().attempt("start_not_counted", lambda: runtime.count(counters.count_start, "clock"))
    while True:
        clock = Clock(runtime, parent=parent)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, clock.stop)
        if clock.run_until_stopped():
            return
