"""Large tables are counted by the clock, not by whoever scrapes: rarely where that takes long, and never wrong for long."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from feeds import database
from feeds.audience import requests
from feeds.audience.requests import Batch, Counts
from feeds.config.environment import Environment
from feeds.config.models import Config
from feeds.database import jobs
from feeds.database.tables import counted, deliveries, issues, outbox
from feeds.monitoring import gauges
from feeds.monitoring.gauges import AGE, LEAST, SHARE, LastCount, Snapshot, is_due
from feeds.newsletter.delivery import issue_status

from . import postgresql

NOW = 1_767_225_600
PLANNED = NOW - 100


class Post:
    """Issues and their deliveries, as rows."""

    def __init__(self, site: Any) -> None:
        self.site, self.now = site, NOW
        site.rescan()

    def write(self, *statements: Any) -> None:
        with database.writing(self.site.runtime.engine) as connection:
            for statement in statements:
                connection.execute(statement)

    def issue(self, key: int, status: str = "open", planned_at: int = PLANNED, **rows: int) -> None:
        """`rows`: how many deliveries there are of each status."""
        same = {"frequency": "daily", "timezone": "UTC", "reason": "", "listed": 1, "articles": 1}
        self.write(sa.insert(issues).values(key=key, id=f"i{key}", due=NOW + key, planned_at=planned_at, status=status, **same))
        numbers = iter(range(10**6))
        for state, number in rows.items():
            self.write(*(self._delivery(key, next(numbers), status=state) for _ in range(number)))

    def _delivery(self, issue: int, subscriber: int, **values: Any) -> Any:
        row = {
            "reach": 0,
            "selections": "",
            "attempts": 0,
            "next_at": 0,
            "owner": "",
            "lease": 0,
            "updated": PLANNED,
            "reply": "",
        }
        return sa.insert(deliveries).values(issue=issue, subscriber=subscriber, **{**row, **values})

    def move(self, issue: int, before: str, **becomes: Any) -> None:
        d = deliveries.c
        self.write(sa.update(deliveries).where(d.issue == issue, d.status == before).values(**becomes))

    def count(self, after: int = 0) -> None:
        self.now += after
        gauges.count_tables(self.site.runtime.engine, self.site.runtime.edition().config, lambda: self.now, threading.Event())

    @property
    def figures(self) -> Snapshot:
        runtime = self.site.runtime
        found: Snapshot = runtime.read(gauges.take_snapshot, runtime.edition().config, self.now)
        return found

    def exact(self) -> dict[str, int]:
        with database.reading(self.site.runtime.engine) as connection:
            return issue_status.statuses(connection)


@pytest.fixture
def post(site: Any) -> Post:
    return Post(site)


def test_what_was_never_counted_is_counted_when_it_is_asked_for(post: Post) -> None:
    post.issue(1, pending=3, sent=2)
    assert post.figures.deliveries == post.exact() and post.figures.counted_at is None


def test_the_clocks_count_is_what_a_scrape_shows_until_the_next(post: Post) -> None:
    post.issue(1, pending=3, sent=2)
    post.issue(2, "done", sent=4)
    post.count()
    assert post.figures.deliveries == post.exact() == {**dict.fromkeys(issue_status.STATUSES, 0), "pending": 3, "sent": 6}
    post.move(1, "pending", status="sent")
    assert post.figures.deliveries["pending"] == 3
    post.count(LEAST - 1)
    assert post.figures.deliveries["pending"] == 3
    post.count(1)
    assert post.figures.deliveries == post.exact()
    assert post.figures.counted_at == post.now


def test_the_last_messages_of_an_issue_are_counted_after_it_was_closed(post: Post) -> None:
    post.issue(1, pending=1, sent=2)
    post.count()
    post.move(1, "pending", status="sent")
    post.write(sa.update(issues).values(status="done"))
    post.count(LEAST)
    assert post.figures.deliveries == post.exact()


def test_an_old_issue_that_goes_on_is_counted_soon(post: Post) -> None:
    post.issue(1, "done", planned_at=NOW - 10**7, failed=2)
    post.count()
    post.move(1, "failed", status="pending")
    post.write(sa.update(issues).values(status="open"))
    post.count(LEAST)
    assert post.figures.deliveries["pending"] == 2


def test_what_changes_in_an_old_issue_is_counted_late(post: Post) -> None:
    post.issue(1, "done", planned_at=NOW - 1000 * AGE, sent=2)
    post.count()
    post.move(1, "sent", status="failed")
    post.count(900)
    assert post.figures.deliveries["sent"] == 2
    post.count(200)
    assert post.figures.deliveries["failed"] == 2


def test_counting_ends_when_the_clock_does(post: Post) -> None:
    post.issue(1, sent=2)
    stop = threading.Event()
    stop.set()
    gauges.count_tables(post.site.runtime.engine, post.site.runtime.edition().config, lambda: NOW, stop)
    assert post.figures.counted_at is None


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**7), st.booleans())
def test_counting_takes_a_bounded_share_of_time(since: int, took: int, age: int, moving: bool) -> None:
    now = 2_000_000_000
    last = LastCount(now - since, took, moving)
    if is_due(last, now, now - age):
        assert since >= LEAST and since * 1000 >= SHARE * took - 1000
        assert moving or since >= age // AGE
    else:
        assert since < max(LEAST, SHARE * took // 1000, 0 if moving else age // AGE)


def test_a_count_from_the_future_is_not_believed() -> None:
    assert is_due(LastCount(NOW + 5000, 0), NOW) and is_due(None, NOW)


def test_which_feeds_are_asked_for_most_is_known_from_the_count_and_their_numbers_are_of_now(post: Post) -> None:
    note = functools.partial(post.site.runtime.count, requests.add_batch)
    note(Batch({(1, f"tags/{number}", "atom"): Counts(number) for number in range(1, gauges.MOST_REQUESTED + 50)}))
    post.count()
    note(Batch({(1, "tags/149", "rss"): Counts(5)}))
    found = post.figures.requested
    assert len(found) == gauges.MOST_REQUESTED and found["tags/149"].requests == 154
    assert post.figures.counters["requests"]["rss",].number == 5


def test_a_scrape_reads_no_whole_table_of_deliveries_subscribers_or_readers(site: Any) -> None:
    """Of the plans of all its statements none scans a table that grows with the number of people. SQLite tells them."""
    site.environment = Environment.read(site.config_dir, {"FEEDS_DATABASE_URL": "sqlite:///var/plans.db"})
    site.reopen()
    post = Post(site)
    post.issue(1, pending=3, sent=2)
    post.count()
    engine, said = post.site.runtime.engine, []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, values, *_more: said.append((statement, values)))
    assert post.figures.deliveries["pending"] == 3
    assert len(said) > 10
    with engine.connect() as connection:
        for statement, values in said:
            if statement.lstrip().upper().startswith("SELECT"):
                plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
                grown = ("SCAN d", "SCAN deliveries", "SCAN subscribers", "SCAN readers", "SCAN audience")
                assert not [step for step in plan if step.startswith(grown)], (statement, plan)


def test_jobs_and_workers_are_counted_where_there_are_any(post: Post, postgresql_server: str) -> None:
    assert post.figures.jobs == {} or database.is_postgresql(post.site.runtime.engine)
    engine = database.connect(postgresql.new(postgresql_server))
    jobs.prepare(engine)
    with database.writing(engine) as connection:
        jobs.enqueue(connection, [jobs.Job("send", {"issue": 1}), jobs.Job("send", {"issue": 2})])
    with database.reading(engine) as connection:
        found = gauges.take_snapshot(connection, Config(), NOW)
    assert found.jobs == {"todo": 2, "doing": 0, "failed": 0} and found.workers == 0
    assert found.waiting == {"deliveries": 0, "outbox": 0, "pushes": 0} and found.schema == database.HEAD
    engine.dispose()


# -- how long things have been waiting -----------------------------------------


def ask(post: Post, question: Callable[[sa.Connection, int], int]) -> int:
    with database.reading(post.site.runtime.engine) as connection:
        return question(connection, NOW)


def test_a_message_waits_since_it_was_planned_or_since_its_next_try(post: Post) -> None:
    post.issue(1, pending=2, sent=1)
    assert ask(post, issue_status.oldest_delivery) == 100
    post.move(1, "pending", status="retry", next_at=NOW - 30)
    assert ask(post, issue_status.oldest_delivery) == 30
    post.move(1, "retry", next_at=NOW + 30)
    assert ask(post, issue_status.oldest_delivery) == 0


def test_an_issue_that_waits_for_the_operator_is_not_late(post: Post) -> None:
    post.issue(1, "paused", pending=2)
    assert ask(post, issue_status.oldest_delivery) == 0
    assert post.figures.issues == {"all": 1, "open": 0, "paused": 1}


def test_a_confirmation_waits_since_it_was_written(post: Post) -> None:
    assert ask(post, issue_status.oldest_message) == 0
    row = {"recipient": "x", "message_id": "x", "message": "x", "attempts": 0, "reply": ""}
    for status, created, next_at in (
        ("failed", 1, 0),
        ("retry", 2, NOW + 60),
        ("pending", NOW - 40, 0),
        ("pending", NOW - 5, 0),
    ):
        post.write(sa.insert(outbox).values(status=status, created=created, next_at=next_at, **row))
    assert ask(post, issue_status.oldest_message) == 40


def test_counts_that_nobody_asks_for_any_more_do_not_pile_up(post: Post) -> None:
    post.issue(1, pending=3, failed=1)
    for _ in range(3):
        post.count(LEAST)
    with database.reading(post.site.runtime.engine) as connection:
        rows = connection.execute(sa.select(counted.c.subject, counted.c.label).order_by(counted.c.subject)).all()
    assert len(rows) == len(set(rows)) and {label for subject, label in rows if subject == "deliveries"} == {
        "pending",
        "failed",
    }
