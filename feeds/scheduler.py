"""The clock: ticks and nothing else. The only user of APScheduler and watchfiles.

One clock acts for a database; others stand by until its lock falls. A tick asks the service for a rescan, which itself finds
out whether there is anything to do, so a missed, late or doubled tick costs a sweep and no more. File watching is a bell that
makes the next tick come sooner: it misses renamed folders and network mounts, so the sweep is the truth. Post and hub have
ticks of their own, in threads beside: an issue that takes an hour to send holds up no rescan. "Is it due?" is asked of the
database.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
import watchfiles
from apscheduler.schedulers.background import BackgroundScheduler

from . import counters, database, rescan
from .audience import requests
from .catalog import queries
from .config.models import Config
from .database import jobs
from .errors import FeedsError
from .model import Problem, RescanReport
from .monitoring import gauges, health
from .monitoring.health import is_away
from .newsletter.bounces import booking
from .newsletter.digests import Digests
from .newsletter.subscribers import signup_requests
from .runtime import Runtime
from .websub import worker

if TYPE_CHECKING:
    from .websub.worker import Courier

log: Any = structlog.get_logger("feeds.clock")
#: How often a clock that stands by asks for its turn, and one that acts whether it still may.
STANDBY_SECONDS = 5
#: How often jobs of dead workers are looked for.
RESCUE_SECONDS = 5
#: How soon a confirmation is on its way, and an issue after its instant.
POST_SECONDS = 2
#: How soon a push subscription is confirmed, and a delivery tried again after its time; changes do not wait for it.
PUSH_SECONDS = 1
#: How long the hub rests after a fault of its own, such as a database that does not answer.
REST_SECONDS = 5
#: How often reports of failed deliveries are fetched.
FETCH_SECONDS = 60
#: How often the clock says that it is there, and looks whether anything is to be counted for monitors.
BEAT_SECONDS = health.BEAT_SECONDS
#: How long an address stays, at most, after the link that it did not follow has expired.
FORGET_SECONDS = 600


class _Stopped(Exception):
    """Ends a rescan that there is no time for."""


class Clock:
    """Rescans on the second hand and when the bell rings, one at a time. `run` returns after `stop`."""

    def __init__(self, runtime: Runtime, *, now: Callable[[], float] = time.time, parent: int | None = None) -> None:
        self.runtime, self.now, self.parent = runtime, now, parent
        self.stopped = threading.Event()
        self.bell = threading.Event()
        self._said: dict[str, str] = {}
        self._commit = ""
        self._every = 30
        self._warned: set[Problem] = set()
        self._held: Callable[[], bool] = lambda: True
        self._lost = False
        self.push = Push(runtime, now, self.stopped)

    def stop(self, *_signal: object) -> None:
        self.stopped.set()
        self.bell.set()

    def run(self) -> bool:
        """Stand by until no other clock acts, then act. False where the lock was lost: another clock may act by now."""
        while not self.stopped.is_set():
            if (kept := self._try_to_act()) is not None:
                return kept
            self._wait(STANDBY_SECONDS)
        return True

    def _try_to_act(self) -> bool | None:
        """None where it is not this clock's turn."""
        try:
            with database.tenure(self.runtime.engine, "clock") as held:
                if held is not None:
                    self._said["standby"] = ""
                    return self._act(held)
                self._note_standby("another clock acts for this database")
        except sa.exc.DBAPIError as error:
            self._note_standby(f"the database does not answer: {type(error.orig).__name__}")
        return None

    def _note_standby(self, reason: str) -> None:
        if self._said.get("standby") != reason:
            log.info("standby", reason=reason)
        self._said["standby"] = reason

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stopped.wait(min(1.0, seconds)):
            self._watch_parent()

    def _watch_parent(self) -> None:
        """A clock whose service was killed has no one left to work for."""
        if self.parent is not None and os.getppid() != self.parent:
            self.stop()

    def _act(self, held: Callable[[], bool]) -> bool:
        """Until `stop`, or until the lock is no longer held."""
        self._held = held
        log.info("acting")
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # mail that takes longer than a tick is no warning for each
        scheduler = BackgroundScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
        scheduler.add_job(self._watch_parent, "interval", seconds=1)
        seconds = self._tick()
        job = scheduler.add_job(self.bell.set, "interval", seconds=seconds)
        post = Post(self.runtime, self.now, self.stopped)
        scheduler.add_job(post.tick, "interval", seconds=POST_SECONDS)
        scheduler.add_job(post.fetch, "interval", seconds=FETCH_SECONDS)
        scheduler.add_job(post.forget, "interval", seconds=FORGET_SECONDS)
        scheduler.add_job(self.push.tick, "interval", seconds=PUSH_SECONDS)
        pulse = Pulse(self.runtime, self.now, self.stopped)
        scheduler.add_job(pulse.beat, "interval", seconds=BEAT_SECONDS, next_run_time=datetime.now(UTC))
        scheduler.add_job(pulse.count, "interval", seconds=BEAT_SECONDS)
        scheduler.add_job(self._watch_lock, "interval", seconds=STANDBY_SECONDS)
        scheduler.add_job(post.rescue, "interval", seconds=RESCUE_SECONDS)
        threading.Thread(target=self._listen, daemon=True).start()
        scheduler.start()
        self.push.start()
        try:
            while not self.stopped.is_set():
                self.bell.wait()
                self.bell.clear()
                if self.stopped.is_set():
                    break
                if (wanted := self._tick()) != seconds:
                    seconds = wanted
                    job.reschedule("interval", seconds=seconds)
        finally:
            self.stop()  # also where a fault ends the clock: the hub goes on until it is told
            self.push.end()
            scheduler.shutdown()  # a message under way is finished: `stopped` keeps the post from beginning another
        return not self._lost

    def _watch_lock(self) -> None:
        """A clock that the database has forgotten must not act beside its successor."""
        if not self._held():
            self._lost = True
            log.warning("clock_lost", reason="the connection that held its lock is gone")
            self.stop()

    def _tick(self) -> int:
        """One rescan; returns the seconds until the next. Nothing that goes wrong ends the clock."""
        try:
            report = rescan.rescan(
                self.runtime.engine, self.runtime.environment, now=int(self.now()), stop=self.stopped, progress=self._go_on
            )
            self._log(report)
        except _Stopped:
            log.info("rescan_given_up", reason="the clock stops; the catalog is as it was")
        except FeedsError as error:
            self._say("rescan_failed", str(error))
        except Exception as error:
            self._fail(error)
        self.push.tick()
        return self._seconds()

    def _seconds(self) -> int:
        """Until the next rescan; as before where the database does not say."""
        with contextlib.suppress(sa.exc.DBAPIError):
            if (config := self.runtime.edition().config) is not None:
                self._every = config.site.rescan_seconds
        return self._every

    def _fail(self, error: Exception) -> None:
        """A fault of this program's own with its traceback, and that once, too: a disk that is full must not be filled."""
        if is_away(error):
            reason = str(getattr(error, "orig", error)).partition("\n")[0]
            self._say("rescan_failed", f"the database cannot be used: {reason}")
        elif self._said.get("rescan_failed") != repr(error):
            log.exception("rescan_failed", error=type(error).__name__)
            self._said["rescan_failed"] = repr(error)

    def _go_on(self, _done: int, _total: int) -> None:
        """A rescan of many files is one transaction: it can be given up at any time, and is begun anew by the next clock."""
        if self.stopped.is_set():
            raise _Stopped

    def _log(self, report: RescanReport) -> None:
        status = self.runtime.read(health.status)
        self._say("rescan_failed", "")
        self._say("config_refused", status["config_fault"])
        self._say("removals_held", status["held_fault"])
        self._log_git(status["store_git"] or {})
        self._warn(self.runtime.read(queries.list_problems))
        if report.added or report.changed or report.removed or report.renamed or report.feeds_changed:
            log.info(
                "rescan",
                articles=report.articles,
                added=report.added,
                changed=report.changed,
                removed=report.removed,
                quarantined=report.quarantined,
                feeds=report.feeds_changed,
                seconds=report.seconds,
            )

    def _log_git(self, found: dict[str, Any]) -> None:
        self._say("pull_failed", found.get("fault", ""))
        self._say("git_dates_failed", found.get("dates_fault", ""))
        commit = found.get("commit", "")
        if commit != self._commit and self._commit:
            log.info("store", commit=commit[:12])
        self._commit = commit

    def _warn(self, problems: list[Problem]) -> None:
        """A file in quarantine is a warning once for each change, not once for each rescan."""
        for problem in problems:
            if problem not in self._warned:
                place = f"{problem.path}:{problem.line}:{problem.column}" if problem.line else problem.path
                log.warning("quarantine", file=place, reason=problem.reason)
        self._warned = set(problems)

    def _say(self, event: str, fault: str) -> None:
        """A fault is logged once, not at every tick."""
        if fault != self._said.get(event, ""):
            for line in fault.splitlines():
                log.error(event, fault=line)
        self._said[event] = fault

    def _listen(self) -> None:
        """Ring the bell on changes below the store and the configuration."""
        while not self.stopped.is_set():
            folders = [path for path in self._folders() if path.is_dir()]
            try:
                for _changes in watchfiles.watch(
                    *folders, stop_event=self.stopped, debounce=400, step=50, recursive=True, ignore_permission_denied=True
                ):
                    self.bell.set()
                    if [path for path in self._folders() if path.is_dir()] != folders:
                        break  # the store is another one now
            except (OSError, RuntimeError) as error:
                log.warning("watching_failed", reason=str(error), fallback="the sweep goes on by the clock")
                self._wait(60)

    def _folders(self) -> list[Path]:
        config = self.runtime.edition().config
        folders = [self.runtime.environment.config_dir]
        return [*folders, Path(config.site.store)] if config else folders


class Post:
    """The newsletter's ticks: plan what is due, send what is open, fetch what came back, forget what is over."""

    def __init__(self, runtime: Runtime, now: Callable[[], float], stopped: threading.Event) -> None:
        self.runtime, self.now, self.stopped = runtime, now, stopped
        self._try = Attempts()
        self._jobs_prepared = False

    def tick(self) -> None:
        self._try("post_failed", self._send)

    def fetch(self) -> None:
        self._try("bounces_failed", self._fetch)

    def forget(self) -> None:
        self._try("forgetting_failed", lambda: self.runtime.write(signup_requests.purge_requests, int(self.now())))
        self._try("purging_failed", self._forget_audience)

    def _forget_audience(self) -> None:
        if (config := self.runtime.edition().config) is not None:
            self.runtime.write(requests.forget, config.zone, self.now(), config.site.audience_days)

    def rescue(self) -> None:
        self._try("rescue_failed", self._rescue)

    def _rescue(self) -> None:
        config = self.runtime.edition().config
        if config is None or not config.site.workers:
            return
        if not self._jobs_prepared:
            jobs.prepare(self.runtime.engine)
            self._jobs_prepared = True
        if number := jobs.rescue(self.runtime.engine):
            log.warning("jobs_rescued", jobs=number, reason="their workers give no sign of life")

    def _config(self) -> Config | None:
        config = self.runtime.edition().config
        return config if config and config.newsletter.enabled and not self.stopped.is_set() else None

    def _send(self) -> None:
        config = self._config()
        if config is None:
            return
        digests, now = Digests.from_runtime(self.runtime, config), int(self.now())
        if not digests.has_work(now):
            return
        for issue in digests.plan(now):
            log.info("issue", id=issue.id, articles=issue.articles, status=issue.status, reason=issue.reason)
        if config.site.workers:
            self._try.say("not sending", digests.send_single(self.now, stop=self.stopped))
            digests.enqueue_jobs(now)
            return
        tally = digests.send(self.now, stop=self.stopped)
        if tally.sent or tally.failed or tally.retry or tally.uncertain:
            log.info("post", sent=tally.sent, failed=tally.failed, retry=tally.retry, uncertain=tally.uncertain)
        self._try.say("not sending", tally.problem)

    def _fetch(self) -> None:
        config = self._config()
        if config is not None:
            booking.collect_configured(self.runtime, config, int(self.now()), self.stopped)


class Pulse:
    """What monitors go by: that the clock is there, and what it counts."""

    def __init__(self, runtime: Runtime, now: Callable[[], float], stopped: threading.Event) -> None:
        self.runtime, self.now, self.stopped = runtime, now, stopped
        self._try = Attempts()

    def beat(self) -> None:
        self._try("beat_failed", lambda: self.runtime.write(health.beat, self.now()))

    def count(self) -> None:
        self._try("counting_failed", self._count)

    def _count(self) -> None:
        if (config := self.runtime.edition().config) is not None:
            gauges.count(self.runtime.engine, config, self.now, self.stopped)


class Attempts:
    """What goes wrong is logged once, and tried again at the next tick."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def __call__(self, event: str, work: Callable[[], None]) -> None:
        try:
            work()
            self._said[event] = ""
        except FeedsError as error:
            self.say(event, str(error))
        except Exception as error:
            if is_away(error):
                self.say(event, f"the database is away ({type(error).__name__})")
            else:
                log.exception(event, error=type(error).__name__)

    def say(self, event: str, fault: str) -> None:
        """No fault: all is well again."""
        if fault and self._said.get(event) != fault:
            log.error(event, fault=fault)
        self._said[event] = fault


class Push:
    """The hub's run, in a thread of its own: a slow callback holds up no rescan and no post. Ticks and rescans wake it."""

    def __init__(self, runtime: Runtime, now: Callable[[], float], stopped: threading.Event) -> None:
        self.runtime, self.now, self.stopped = runtime, now, stopped
        self._courier: Courier | None = None
        self._thread = threading.Thread(target=self._run, name="push")

    def start(self) -> None:
        self._thread.start()

    def tick(self) -> None:
        if self._courier is not None:
            self._courier.wake()

    def end(self) -> None:
        """What is under way may end; `stopped` is set."""
        while self._thread.is_alive():
            self.tick()
            self._thread.join(0.1)

    def _run(self) -> None:
        self._courier = worker.courier(self.runtime.engine, self.now)  # loaded here: the first rescan does not wait for it
        while not self.stopped.is_set():
            try:
                self._courier.run(self.stopped)
            except Exception as error:  # nothing is lost: all that is owed lies in the tables
                if is_away(error):
                    log.error("push_failed", fault=f"the database is away ({type(error).__name__})", again_seconds=REST_SECONDS)
                else:
                    log.exception("push_failed", error=type(error).__name__)
                self.stopped.wait(REST_SECONDS)


def run(runtime: Runtime, *, parent: int | None = None) -> None:
    """Run a clock in this process until SIGTERM or SIGINT. Raises ConfigError where there has never been a good one."""
    Attempts()("start_not_noted", lambda: runtime.count(counters.note_start, "clock"))
    while True:
        clock = Clock(runtime, parent=parent)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, clock.stop)
        if clock.run():
            return
