"""Many machines: jobs in PostgreSQL, real `feeds worker` and `feeds clock` processes, some of which die."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.config.environment import Environment
from feeds.config.load import load_config
from feeds.database import jobs
from feeds.database.tables import hub_subscriptions
from feeds.errors import ConfigError
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.delivery import issue_status
from feeds.newsletter.subscribers import importer
from feeds.syndication import lookup
from feeds.websub import worker as worker_
from feeds.worker import Worker

from . import forking, postgresql
from .conftest import CHECKOUT, NOW
from .newsletter.sending import Server, serving

PLANNED = NOW + 8 * 86400


@pytest.fixture
def mails() -> Iterator[Server]:
    with serving(offers=("PIPELINING",)) as server:
        yield server


@pytest.fixture
def scaled(site: Any, postgresql_server: str, mails: Server) -> Iterator[Any]:
    """A site that leaves its mail to workers, on PostgreSQL whatever this run's sites keep."""
    site.close()
    url = postgresql.new(postgresql_server)
    (site.root / ".env").write_text(f'FEEDS_DATABASE_URL="{url}"\nFEEDS_SMTP_URL="{mails.url}"\n')
    site.settle("site.yaml", workers=True)
    site.set("newsletter.yaml", "enabled: true\ntransport: smtp\nconnections: 4\n")
    site.environment = Environment.read(site.config_dir, {})
    site.reopen()
    site.rescan()
    jobs.prepare(site.runtime.engine)
    yield site


def subscribe(site: Any, people: int) -> None:
    rows = "".join(
        f"r{number}@example.org,weekly,tag=Linux,Asia/Shanghai,zh-CN,2024-06-01T00:00:00Z,x\n" for number in range(people)
    )
    text = "email,frequency,select,timezone,language,confirmed_at,source\n" + rows
    context = NewsletterContext.of(site.runtime, site.runtime.edition().config)
    importer.import_csv(context, io.BytesIO(text.encode()), "readers.csv", NOW)
    site.write("7.md", tags=["Linux"], date="2026-01-02 00:00:00")
    site.rescan(NOW + 2 * 86400)


def plan(site: Any) -> list[Any]:
    return list(
        digests.plan(NewsletterContext.of(site.runtime, site.runtime.edition().config), PLANNED, written_at=int(time.time()))
    )


def statuses(site: Any) -> dict[str, int]:
    with database.reading(site.runtime.engine) as connection:
        found = issue_status.counts(connection)
    return {name: number for name, number in found.items() if number and name != "issues"}


def waiting(site: Any) -> dict[str, int]:
    with database.reading(site.runtime.engine) as connection:
        return jobs.counts(connection)


def wait(what: Callable[[], Any], seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    pytest.fail(f"nothing after {seconds} s")


@contextlib.contextmanager
def process(site: Any, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`feeds ...` over the site, with a log that a failing test shows; killed in the end."""
    log = site.root / f"log-{'-'.join(words)}-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "feeds", *words, "--config", str(site.config_dir)]
    with log.open("wb") as file:
        made = forking.Popen(command, cwd=CHECKOUT, stdout=file, stderr=file)
    made.log = log.read_text  # type: ignore[attr-defined]
    try:
        yield made
    finally:
        made.kill()
        made.wait()
        print(log.read_text())


# -- jobs ----------------------------------------------------------------------


def test_jobs_are_there_when_the_deliveries_are_and_not_before(scaled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    subscribe(scaled, 30)
    real = jobs.enqueue

    def broken(connection: sa.Connection, wanted: Any) -> None:
        real(connection, wanted)
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "enqueue", broken)
        with pytest.raises(RuntimeError):
            plan(scaled)
    assert statuses(scaled) == {} and waiting(scaled)["todo"] == 0
    assert len(plan(scaled)) == 1
    assert statuses(scaled) == {"pending": 30} and waiting(scaled)["todo"] == 1


def test_a_large_issue_is_many_jobs(scaled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeds.newsletter.digests.MESSAGES_PER_JOB", 7)
    subscribe(scaled, 30)
    plan(scaled)
    assert waiting(scaled)["todo"] == 5


def test_no_second_job_is_written_down_while_one_waits_and_one_is_where_none_does(scaled: Any) -> None:
    subscribe(scaled, 5)
    plan(scaled)
    scaled.runtime.write(digests.enqueue_jobs, PLANNED)
    assert waiting(scaled)["todo"] == 1
    with database.writing(scaled.runtime.engine) as connection:
        connection.execute(sa.text("DELETE FROM procrastinate_jobs"))
    scaled.runtime.write(digests.enqueue_jobs, PLANNED)
    assert waiting(scaled)["todo"] == 1


def test_the_tables_of_jobs_are_made_once(scaled: Any) -> None:
    subscribe(scaled, 5)
    plan(scaled)
    jobs.prepare(scaled.runtime.engine)
    assert waiting(scaled)["todo"] == 1


def test_workers_want_postgresql(new_site: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers: true needs PostgreSQL"):
        folder = tmp_path / "config"
        folder.mkdir()
        (folder / "site.yaml").write_text("workers: true\n")
        load_config(Environment.read(folder, {}))


# -- workers -------------------------------------------------------------------


def test_a_worker_sends_what_was_planned_and_ends_when_told(scaled: Any, mails: Server) -> None:
    subscribe(scaled, 60)
    plan(scaled)
    worker = Worker(scaled.runtime)
    thread = threading.Thread(target=worker.run_until_stopped)
    thread.start()
    wait(lambda: statuses(scaled) == {"sent": 60} and not waiting(scaled)["todo"] and not waiting(scaled)["doing"])
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert len(mails.ids) == len(set(mails.ids)) == 60


@pytest.mark.interop
@pytest.mark.fault(
    "A Procrastinate worker is killed while it sends",
    readers="subscribers get every message once, or it is listed as uncertain for an operator",
    lost="nothing: at most the messages that the worker had in hand are in doubt, and none is sent twice",
    heals="by itself: another worker takes the job over when the dead one has given no sign of life for 20 seconds",
)
def test_a_worker_that_is_killed_is_replaced_and_nobody_gets_a_message_twice(
    scaled: Any, mails: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 seconds without a sign of life, then the job is somebody else's; rows in hand are told apart by their owner."""
    monkeypatch.setattr("feeds.newsletter.digests.MESSAGES_PER_JOB", 200)
    mails.data = lambda _id, _number: time.sleep(0.005)  # type: ignore[assignment,func-returns-value]
    subscribe(scaled, 600)
    plan(scaled)
    with process(scaled, "worker"), process(scaled, "clock"):
        with process(scaled, "worker") as victim:
            wait(lambda: len(mails.ids) > 100)
            victim.send_signal(signal.SIGKILL)
        wait(lambda: set(statuses(scaled)) <= {"sent", "uncertain"} and not waiting(scaled)["doing"])
    found = statuses(scaled)
    assert sum(found.values()) == 600 and found.get("uncertain", 0) <= 8, "no more than it had in hand"
    assert max(Counter(mails.ids).values()) == 1


def test_a_job_of_a_worker_that_gives_no_sign_of_life_waits_again(scaled: Any) -> None:
    subscribe(scaled, 5)
    plan(scaled)
    with database.writing(scaled.runtime.engine) as connection:
        connection.execute(sa.text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')"))
        connection.execute(
            sa.text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)")
        )
    assert waiting(scaled) == {"todo": 0, "doing": 1, "failed": 0}
    assert jobs.rescue(scaled.runtime.engine) == 1
    assert waiting(scaled) == {"todo": 1, "doing": 0, "failed": 0}
    assert jobs.rescue(scaled.runtime.engine) == 0


@pytest.mark.interop
def test_workers_and_clocks_outlive_their_database(site: Any, mails: Server) -> None:
    with postgresql.running() as cluster:
        url = postgresql.new(cluster.url(), "")
        (site.root / ".env").write_text(f'FEEDS_DATABASE_URL="{url}"\nFEEDS_SMTP_URL="{mails.url}"\n')
        site.settle("site.yaml", workers=True, rescan_seconds=1)
        site.set("newsletter.yaml", "enabled: true\ntransport: smtp\n")
        site.environment = Environment.read(site.config_dir, {})
        site.reopen()
        site.rescan()
        subscribe(site, 40)
        with process(site, "worker") as worker, process(site, "clock") as clock:
            wait(lambda: "working" in worker.log() and "acting" in clock.log())  # type: ignore[attr-defined]
            cluster.stop()
            time.sleep(2)
            cluster.start()
            plan_when_it_is_back = wait(lambda: _planned(site))
            assert len(plan_when_it_is_back) == 1
            wait(lambda: len(mails.ids) == 40)
            assert worker.poll() is None and clock.poll() is None
        site.runtime.close()
    assert len(set(mails.ids)) == 40


def _planned(site: Any) -> list[Any]:
    with contextlib.suppress(sa.exc.DBAPIError):
        return plan(site)
    return []


# -- clocks --------------------------------------------------------------------


@pytest.mark.interop
def test_when_the_acting_clock_is_killed_another_takes_over(scaled: Any) -> None:
    scaled.settle("site.yaml", rescan_seconds=1)
    with process(scaled, "clock") as first:
        wait(lambda: "acting" in first.log())  # type: ignore[attr-defined]
        with process(scaled, "clock") as second:
            wait(lambda: "standby" in second.log())  # type: ignore[attr-defined]
            os.kill(first.pid, signal.SIGKILL)
            scaled.write("8.md", tags=["Neu"])
            wait(lambda: any(state.path == "tags/Neu" for state, _selection in scaled.runtime.read(lookup.list_feeds)), 15 + 15)


def test_a_clock_that_lost_its_lock_acts_no_more(scaled: Any) -> None:
    with database.lock(scaled.runtime.engine, "clock", wait=False) as held:
        assert held is not None and held()
        with database.lock(scaled.runtime.engine, "clock", wait=False) as other:
            assert other is None
        with scaled.runtime.engine.connect() as connection:
            mine = """\
                SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
            connection.exec_driver_sql(mine)  # of this database alone: other tests use the same server
        wait(lambda: not held())


# -- nodes ---------------------------------------------------------------------


@pytest.mark.interop
def test_a_rescan_by_one_node_reaches_the_answers_of_all_with_equal_etags(scaled: Any, running: Callable[..., Any]) -> None:
    nodes = [running(scaled.config_dir, "--no-clock", "--workers", "1").ready() for _ in range(2)]
    scaled.write("9.md", tags=["Linux"], title="neu")
    scaled.rescan(NOW + 3 * 86400)

    def answers() -> list[tuple[str | None, bytes]]:
        found = [node.request("/tags/Linux.atom") for node in nodes]
        return [(headers["ETag"], body) for _status, headers, body in found]

    wait(lambda: all(b"neu" in body for _etag, body in answers()))
    assert len(set(answers())) == 1


# -- push ----------------------------------------------------------------------


def test_what_the_hub_owes_is_handed_to_a_worker_once(scaled: Any) -> None:
    """Nobody listens at the callback: what counts is who tries, and that it is owed again should the worker die."""
    from feeds.websub.requests import Topics
    from feeds.websub.worker import JOB_SECONDS, ChangeDetector

    handed: list[list[int]] = []
    topic = "https://feeds.example/all.atom"
    row = {"topic": topic, "callback": "https://subscriber.example.org/", "host": "subscriber.example.org", "secret": ""}
    row |= {"created": NOW, "expires": NOW + 10**7, "delivered": "old", "wanted": "old", "due": None}
    with database.writing(scaled.runtime.engine) as connection:
        connection.execute(sa.insert(hub_subscriptions).values(**row, attempts=0, failures=0, failing_since=None, problem=""))
    detector = ChangeDetector(
        scaled.runtime.engine, Topics(scaled.runtime.engine), lambda: NOW, lambda _c, keys: handed.append(keys)
    )
    assert detector.find_work(set(), more=True).deliveries == []
    assert handed == [[1]]
    detector.find_work(set(), more=True)
    assert handed == [[1]], "not twice"
    late = ChangeDetector(
        scaled.runtime.engine, Topics(scaled.runtime.engine), lambda: NOW + JOB_SECONDS, lambda _c, keys: handed.append(keys)
    )
    late.find_work(set(), more=True)
    assert handed == [[1], [1]], "but again where nothing was heard of it"
    assert worker_.run_job(scaled.runtime.engine, [1], lambda: NOW) == {"failed": 1}
    assert worker_.run_job(scaled.runtime.engine, [99], lambda: NOW) == {}
