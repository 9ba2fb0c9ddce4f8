"""Many processes on one PostgreSQL: what they send while they are killed, and how two workers compare with one.

The server is begun here, on the bench's disk and with fsync, as one would run it; the processes are `feeds serve`, `feeds
clock` and `feeds worker`, the mail server a sink that notes each message before it says that it has it.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
import yaml

from feeds import database
from feeds.config.environment import Environment
from feeds.database import jobs, tables
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.delivery import issue_status
from feeds.runtime import Runtime
from tests import postgresql

from .bench import Bench, Site, clean_environ
from .figures import Figure, middle, ratio, spread
from .processes import free_port, get, wait_for
from .sending import sink
from .stores import ROOT

KILLS = 20
#: A sink that is far away: each reply takes so long (milliseconds).
LATENCY = 50
CONNECTIONS = 20
PATIENCE = 900.0


def measure(bench: Bench) -> Iterator[Figure]:
    with server(bench.folder) as url:
        yield from _killed(bench, url)
        yield from _two_workers(bench, url)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """A PostgreSQL whose commits are on the disk when it says so."""
    settings = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB"}
    with postgresql.running(place=folder, **settings) as cluster:
        yield cluster.url()


# -- a site of many processes --------------------------------------------------


@dataclass(slots=True)
class Fleet:
    """Processes of one site, each begun again when it ends, as a service manager does, until the fleet is stopped."""

    site: Site
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _words: dict[str, list[str]] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str, *words: str) -> None:
        self._words[name] = self.site.command(*words)
        self._begin(name)
        threading.Thread(target=self._keep, args=[name], daemon=True).start()

    def _begin(self, name: str) -> None:
        with (self.site.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(self._words[name], stdout=log, stderr=log, cwd=ROOT, env=clean_environ())

    def _keep(self, name: str) -> None:
        while not self._stopping.is_set():
            self.processes[name].wait()
            if not self._stopping.wait(0.5):
                self._begin(name)

    def kill(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.processes[name].send_signal(signal.SIGKILL)

    def acting(self) -> str:
        """The clock that said last that it acts."""
        logs = [path for path in self.site.folder.glob("clock*.log") if b"acting" in path.read_bytes()]
        return max(logs, key=lambda path: path.stat().st_mtime).stem if logs else "clock1"

    def stop(self) -> None:
        self._stopping.set()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def site(bench: Bench, name: str, url: str, mail: str, connections: int = 5) -> Site:
    """A small store, on a new database, with everything left to workers."""
    made = bench.site(name, bench.store(200))
    for log in made.folder.glob("*.log"):
        log.unlink()
    shutil.rmtree(made.folder / "var", ignore_errors=True)
    _settle(made.config / "site.yaml", workers=True, rescan_seconds=5)
    _settle(
        made.config / "newsletter.yaml", enabled=True, transport="smtp", connections=connections, **{"from": "d@example.org"}
    )
    (made.folder / ".env").write_text(f'FEEDS_DATABASE_URL="{postgresql.new(url, "")}"\nFEEDS_SMTP_URL="{mail}"\n')
    made.run("rescan")
    return made


def _settle(path: Path, **values: object) -> None:
    settings = {**(yaml.safe_load(path.read_text("utf-8")) or {}), **values}
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")


def people(runtime: Runtime, number: int, due: int) -> None:
    """So many readers of everything, weekly, whose issue is due on the Monday before `due`; one article is new to them."""
    with database.writing(runtime.engine) as connection:
        database.insert_rows(connection, tables.selections, [(1, "")])
        database.insert_rows(connection, tables.cohorts, [(1, "weekly", 0, "UTC")])
        for start in range(1, number + 1, 50_000):
            keys = range(start, min(start + 50_000, number + 1))
            database.insert_rows(connection, tables.subscribers, [_subscriber(key, due) for key in keys])
            rows = [(key, key, "weekly", 1, "1", due - 20 * 86400, None, None) for key in keys]
            database.insert_rows(connection, tables.subscriptions, rows)
        c = tables.articles.c
        newest = connection.execute(sa.select(c.key).order_by(c.position.desc()).limit(3)).scalars().all()
        monday = due - due % 86400 - 86400 * ((due // 86400 + 3) % 7)
        when = {"available": monday - 86400, "published": monday - 86400, "arrival": 1}
        connection.execute(sa.update(tables.articles).where(c.key.in_(newest)).values(**when))


def _subscriber(key: int, now: int) -> tuple[object, ...]:
    address, since = f"reader{key}@example.org", now - 20 * 86400
    return (key, address, address, "active", "en", "UTC", 1, since, since, None, "", "", 0, 0)


def statuses(runtime: Runtime) -> dict[str, int]:
    with database.reading(runtime.engine) as connection:
        return issue_status.counts(connection)


# -- kill -9 -------------------------------------------------------------------


def _killed(bench: Bench, url: str) -> Iterator[Figure]:
    number, kills = (4_000, 4) if bench.quick else (100_000, KILLS)
    log = bench.folder / "scale-taken"
    log.unlink(missing_ok=True)
    with sink(reply_ms=1, log=log) as port:
        made = site(bench, "scale", url, f"smtp://127.0.0.1:{port}?starttls=0")
        runtime = Runtime(Environment.read(made.config, {}))
        jobs.prepare(runtime.engine)
        now = int(time.time())
        people(runtime, number, now)
        fleet = Fleet(made)
        ports = [free_port() for _ in range(3)]
        try:
            for node, web in enumerate(ports, 1):
                fleet.start(f"web{node}", "serve", "--no-clock", "--workers", "1", "--port", str(web))
            for web, name in zip(ports, ("web1", "web2", "web3"), strict=True):
                wait_for(web, "/ready", fleet.processes[name])
            for worker in range(1, 5):
                fleet.start(f"worker{worker}", "worker")
            started = time.monotonic()
            for clock in (1, 2):
                fleet.start(f"clock{clock}", "clock")
            done = _kill(fleet, log, number, kills)
            finished = _wait(runtime, number)
            seconds = time.monotonic() - started
            answers = {get(web, "/all.atom")[2] for web in ports}
        finally:
            fleet.stop()
        yield from _judge(runtime, log, number, done, seconds, finished, len(answers))
        runtime.close()


def _kill(fleet: Fleet, log: Path, number: int, kills: int) -> list[str]:
    """At random moments of the sending, a worker or the clock that acts."""
    chance = random.Random(7)
    done: list[str] = []
    for turn in range(kills):
        enough = number * (turn + chance.uniform(0.05, 0.9)) / (kills + 1)
        deadline = time.monotonic() + PATIENCE
        while _lines(log) < enough and time.monotonic() < deadline:
            time.sleep(0.02)
        name = fleet.acting() if chance.random() < 0.3 else f"worker{chance.randint(1, 4)}"
        fleet.kill(name)
        done.append(name)
    return done


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _wait(runtime: Runtime, number: int) -> bool:
    """Until nothing is open, and every delivery is in a state that ends it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = statuses(runtime)
        if found["sent"] + found["uncertain"] + found["failed"] + found["cancelled"] == number:
            return True
        time.sleep(0.5)
    return False


def _judge(
    runtime: Runtime, log: Path, number: int, kills: list[str], seconds: float, finished: bool, answers: int
) -> Iterator[Figure]:
    taken = Counter(log.read_text().split())
    found = statuses(runtime)
    clocks = sum(name.startswith("clock") for name in kills)
    note = (
        f"3 web nodes, 2 clocks, 4 workers, {number:,} deliveries in {seconds:.0f} s, {len(kills)} x kill -9 "
        f"({len(kills) - clocks} of a worker, {clocks} of the acting clock)"
    )
    yield Figure("killed workers and clocks: sent twice", sum(taken.values()) - len(taken), "", 0, note=note)
    with database.reading(runtime.engine) as connection:
        listed = sum(one.status == "uncertain" for one in issue_status.troubled(connection, 100_000))
    lost = number - found["sent"] - found["uncertain"] + abs(found["uncertain"] - listed)
    lost += max(0, found["sent"] - len(taken))
    note = (
        f"{found['sent']:,} sent, {found['uncertain']} uncertain and listed ({len(taken) - found['sent']} of them had arrived)"
    )
    yield Figure("killed workers and clocks: unaccounted for", lost, "", 0, note=note)
    note = "every delivery came to an end without a person" if finished else "not done within the time"
    yield Figure("killed workers and clocks: left open", 0 if finished else 1, "", 0, note=note)
    yield Figure("killed workers and clocks: different answers of web nodes", answers - 1, "", 0)


# -- two workers ---------------------------------------------------------------


def _two_workers(bench: Bench, url: str) -> Iterator[Figure]:
    number = 2_000 if bench.quick else 8_000
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(1 if bench.quick else 3):
        for workers in (1, 2)[:: -1 if turn % 2 else 1]:
            rates[workers].append(_rate(bench, url, number, workers))
    note = f"{number:,} messages, a sink with {LATENCY} ms latency, {CONNECTIONS} connections a job; "
    note += f"two {middle(rates[2]):,.0f}/s ({spread(rates[2])}), one {middle(rates[1]):,.0f}/s ({spread(rates[1])})"
    yield Figure("two workers against one", ratio(rates[2], rates[1]), "x", 1.8, at_least=True, note=note)


def _rate(bench: Bench, url: str, number: int, workers: int) -> float:
    """Messages a second, from the first that is sent to the last."""
    log = bench.folder / "scale-rate"
    log.unlink(missing_ok=True)
    with sink(reply_ms=LATENCY, log=log) as port:
        made = site(bench, "scale-rate", url, f"smtp://127.0.0.1:{port}?starttls=0", connections=CONNECTIONS)
        runtime = Runtime(Environment.read(made.config, {}))
        jobs.prepare(runtime.engine)
        now = int(time.time())
        people(runtime, number, now)
        config = runtime.edition().config
        assert config is not None
        fleet = Fleet(made)
        try:
            digests.plan(NewsletterContext.of(runtime, config), now)
            for worker in range(workers):
                fleet.start(f"worker{worker}", "worker")
            while not _lines(log):
                time.sleep(0.01)
            started = time.monotonic()
            while _lines(log) < number:
                time.sleep(0.02)
            return number / (time.monotonic() - started)
        finally:
            fleet.stop()
            runtime.close()
