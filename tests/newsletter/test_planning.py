"""Planning: who gets which article when, whatever the clock and the store do in the meantime."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from feeds import database
from feeds.database import tables
from feeds.database.tables import deliveries, issues, subscribers
from feeds.newsletter.issues import planning
from tests.examples import some

Site = Any
DAY, WEEK = 86400, 7 * 86400
MONDAY = 1_767_571_200  # 2026-01-05T00:00:00Z: Monday 08:00 in Shanghai
Mailing = Any


def test_an_issue_holds_what_was_published_since_the_one_before(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - WEEK)  # at the edge: belongs to the issue before
    mailing.write("2", MONDAY - WEEK + 1)
    mailing.write("3", MONDAY)
    mailing.write("4", MONDAY + 1)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    assert [issue.id for issue in mailing.plan(MONDAY)] == ["weekly-2026-01-05"]
    assert mailing.got(reader) == [["3", "2"]]


def test_planning_again_plans_nothing(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    assert mailing.plan(MONDAY) == mailing.plan(MONDAY + DAY) == mailing.plan(MONDAY - DAY) == []
    assert mailing.got(reader) == [["1"]]


def test_a_reader_gets_only_what_was_chosen(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - 1, tags=["Linux"], translator="geekpi")
    mailing.write("2", MONDAY - 2, tags=["AI"], translator="geekpi")
    mailing.write("3", MONDAY - 3, tags=["linux", "Windows"])
    mailing.site.rescan(MONDAY - 10 * WEEK)
    linux = mailing.subscribe("tag=LINUX")
    both = mailing.subscribe("tag=AI", "translator=geekpi")
    without = mailing.subscribe("tag=Linux&not-tag=Windows")
    nobody = mailing.subscribe("tag=Haskell")
    mailing.plan(MONDAY)
    assert mailing.got(linux) == [["1", "3"]]
    assert mailing.got(both) == [["1", "2"]]
    assert mailing.got(without) == [["1"]]
    assert mailing.got(nobody) == []


def test_an_empty_digest_is_not_sent_and_leaves_no_issue(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY, tags=["Linux"])
    mailing.site.rescan(MONDAY - 10 * WEEK)
    mailing.subscribe("tag=Haskell")
    assert mailing.plan(MONDAY) == []
    assert mailing.count(issues) == mailing.count(deliveries) == mailing.count(tables.issue_articles) == 0
    assert mailing.plan(MONDAY) == []


def test_the_first_import_of_an_old_archive_mails_nobody(mailing: Mailing) -> None:
    for number in range(1, 6):
        mailing.write(str(number), MONDAY - 400 * WEEK + number)
    mailing.site.rescan(MONDAY - DAY)
    reader = mailing.subscribe()
    assert mailing.plan(MONDAY) == []
    mailing.write("6", MONDAY - 300 * WEEK)  # written long ago, added now: this one is news
    mailing.site.rescan(MONDAY + DAY)
    mailing.plan(MONDAY + WEEK)
    assert mailing.got(reader) == [["6"]]


def test_another_store_is_a_baseline_too(mailing: Mailing, tmp_path: Path) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    mailing.site.store.rename(mailing.site.root / "moved")
    mailing.site.store = mailing.site.root / "moved"
    mailing.write("2", MONDAY - 100 * WEEK)
    mailing.site.settle("site.yaml", store="moved")
    mailing.site.rescan(MONDAY + DAY)
    assert mailing.plan(MONDAY + WEEK) == []
    assert mailing.got(reader) == [["1"]]


def test_an_article_dated_ahead_comes_when_its_day_comes(mailing: Mailing) -> None:
    mailing.write("1", MONDAY + 10 * DAY)
    mailing.site.rescan(MONDAY - DAY)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    mailing.plan(MONDAY + WEEK)
    assert mailing.got(reader) == []
    mailing.plan(MONDAY + 2 * WEEK)
    assert mailing.got(reader) == [["1"]]


def test_an_article_that_a_rescan_brings_at_the_very_instant_is_in_one_issue(mailing: Mailing) -> None:
    """The rescan began before the issue was planned and wrote after it: its own time lies inside the window that is closed."""
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    mailing.write("1", MONDAY - 2 * DAY)
    mailing.site.rescan(MONDAY - 2)
    mailing.plan(MONDAY + WEEK)
    mailing.plan(MONDAY + 2 * WEEK)
    assert mailing.got(reader) == [["1"]]


def test_an_article_that_went_and_came_back_is_not_sent_again(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    (mailing.site.store / "1.md").unlink()
    mailing.site.rescan(MONDAY + DAY)
    mailing.write("1", MONDAY + DAY)
    mailing.site.rescan(MONDAY + 2 * DAY)
    assert mailing.plan(MONDAY + WEEK) == []
    assert mailing.got(reader) == [["1"]]


def test_an_edited_article_is_not_sent_again(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    mailing.write("1", MONDAY + DAY, title="新的标题")
    mailing.site.rescan(MONDAY + 2 * DAY)
    assert mailing.plan(MONDAY + WEEK) == []
    assert mailing.got(reader) == [["1"]]


def test_missed_weeks_become_one_issue(mailing: Mailing) -> None:
    for week in range(4):
        mailing.write(str(week), MONDAY + week * WEEK - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    mailing.plan(MONDAY + 3 * WEEK + 5 * 3600)
    assert mailing.got(reader) == [["0"], ["3", "2", "1"]]


def test_an_issue_that_is_very_late_waits_for_the_operator(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    mailing.subscribe()
    [issue] = mailing.plan(MONDAY + 3 * DAY)
    assert (issue.status, issue.reason) == ("paused", "late by more than 48 hours")


def test_an_operator_who_catches_up_means_it(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY + 50 * WEEK)
    mailing.subscribe(since=MONDAY + 50 * WEEK, confirmed=MONDAY - WEEK)
    mailing.subscribe(since=MONDAY + 50 * WEEK, confirmed=MONDAY + WEEK)
    assert mailing.plan(MONDAY + DAY) == []  # by the clock, these subscriptions are too young
    [issue] = mailing.plan(MONDAY + WEEK - 1, written_at=MONDAY + WEEK - 1) or [None]
    assert issue is None  # that instant is done


def test_catching_up_goes_by_the_consent_at_that_time(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY + 50 * WEEK)
    then = mailing.subscribe(since=MONDAY + 50 * WEEK, confirmed=MONDAY - WEEK)
    later = mailing.subscribe(since=MONDAY + 50 * WEEK, confirmed=MONDAY + WEEK)
    [issue] = mailing.plan(MONDAY + 3 * DAY, written_at=MONDAY + 3 * DAY)
    assert issue.status == "open"
    assert (mailing.got(then), mailing.got(later)) == ([["1"]], [])


def test_a_new_subscriber_does_not_get_the_issue_of_before(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.write("2", MONDAY + DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe(since=MONDAY + 60)
    assert mailing.plan(MONDAY + 120) == []
    mailing.plan(MONDAY + WEEK)
    assert mailing.got(reader) == [["2"]]


def test_every_zone_has_its_own_morning_and_days_may_be_chosen(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    readers = {
        "Asia/Shanghai": mailing.subscribe(),
        "Europe/Berlin": mailing.subscribe(timezone="Europe/Berlin"),
        "wednesday": mailing.subscribe(day=2),
        "daily": mailing.subscribe(frequency="daily"),
        "monthly": mailing.subscribe(frequency="monthly"),
    }

    def arrived() -> set[str]:
        return {name for name, key in readers.items() if mailing.got(key)}

    mailing.plan(MONDAY - 1800)  # 7:30
    assert arrived() == {"daily"}
    [issue] = mailing.plan(MONDAY)
    assert (issue.id, arrived()) == ("weekly-2026-01-05", {"daily", "Asia/Shanghai"})
    [issue] = [one for one in mailing.plan(MONDAY + 7 * 3600) if one.frequency == "weekly"]
    assert issue.id == "weekly-2026-01-05-utc-plus-0100"
    mailing.plan(MONDAY + 2 * DAY)
    assert arrived() == set(readers) - {"monthly"}
    with database.reading(mailing.site.runtime.engine) as connection:
        shown = [issue.id for issue in planning.listed_issues(connection, 100) if issue.frequency == "weekly"]
    assert shown == ["weekly-2026-01-07", "weekly-2026-01-05"]


def test_editors_choice_comes_first(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - 3 * DAY, editorchoice=True)
    mailing.write("2", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    assert mailing.got(reader) == [["1", "2"]]


def test_those_who_left_get_nothing(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    gone, there = mailing.subscribe(), mailing.subscribe()
    with database.writing(mailing.site.runtime.engine) as connection:
        connection.execute(sa.update(subscribers).where(subscribers.c.key == gone).values(status="unsubscribed"))
    mailing.plan(MONDAY)
    assert (mailing.got(gone), mailing.got(there)) == ([], [["1"]])


def test_a_crash_in_the_middle_leaves_nothing_behind(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()

    def crash(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mailing.plan(MONDAY, progress=crash)
    assert mailing.count(issues) == mailing.count(deliveries) == mailing.count(tables.plans) == 0
    mailing.plan(MONDAY)
    assert mailing.got(reader) == [["1"]]


def test_an_article_of_the_time_that_a_clock_was_ahead_comes_to_one_who_moves_to_another_day(mailing: Mailing) -> None:
    mailing.site.rescan(MONDAY - WEEK)
    reader = mailing.subscribe(since=MONDAY - WEEK)
    mailing.plan(MONDAY - DAY)
    mailing.plan(MONDAY + 3600)  # the clock is ahead by a day and an hour
    mailing.write("1", MONDAY - DAY + 9 * 3600)
    mailing.site.rescan(MONDAY - DAY + 9 * 3600)
    mailing.move(reader, 6, "UTC")
    for days in (0, 6, 13):
        mailing.plan(MONDAY + days * DAY)
    assert mailing.got(reader) == [["1"]]


class Years(RuleBasedStateMachine):
    """Anything may happen in any order. What was published before the last issues has come exactly once, to everyone."""

    begin_with: Callable[[Path], Mailing]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.mailing = self.begin_with(Path(self.folder.name) / "site")
        self.now = MONDAY + 3 * DAY
        self.number = 0
        self.there: set[str] = set()
        self.mailing.site.rescan(self.now)
        self.readers = [
            self.mailing.subscribe(since=self.now),
            self.mailing.subscribe(day=3, timezone="America/New_York", since=self.now),
            self.mailing.subscribe(frequency="daily", since=self.now),
        ]

    def teardown(self) -> None:
        if hasattr(self, "mailing"):
            self.mailing.site.remove()
            self.folder.cleanup()

    @rule(ago=st.sampled_from((0, 3600, 5 * DAY, 900 * DAY, -2 * DAY)), lag=st.sampled_from((0, 0, 30)))
    def publish(self, ago: int, lag: int) -> None:
        self.number += 1
        self.mailing.write(str(self.number), self.now - ago)
        self.mailing.site.rescan(self.now - lag)
        self.there.add(str(self.number))

    @rule()
    def take_away_and_bring_back(self) -> None:
        for path in self.mailing.site.store.glob("*.md"):
            text = path.read_bytes()
            path.unlink()
            self.mailing.site.rescan(self.now)
            self.mailing.site.write(path.name, text)
        self.mailing.site.rescan(self.now)

    @rule(hours=st.sampled_from((1, 5, 24, 24 * 7, 24 * 20)))
    def wait(self, hours: int) -> None:
        self.now += hours * 3600
        self.mailing.plan(self.now)

    @rule(days=st.sampled_from((-400, -8, -1, 1, 30)))
    def clock_jumps_and_comes_back(self, days: int) -> None:
        self.mailing.plan(self.now + days * DAY)
        self.mailing.plan(self.now)

    @rule(day=st.integers(0, 6), timezone=st.sampled_from(("Asia/Shanghai", "Asia/Hong_Kong", "Pacific/Apia")))
    def move(self, day: int, timezone: str) -> None:
        self.mailing.move(self.readers[0], day, timezone)

    @rule()
    def restart(self) -> None:
        self.mailing.site.reopen()

    @invariant()
    def nothing_comes_twice(self) -> None:
        for reader in getattr(self, "readers", ()):
            seen = Counter(id for articles in self.mailing.got(reader) for id in articles)
            assert not [id for id, times in seen.items() if times > 1], self.mailing.got(reader)

    @rule()
    def everything_has_come_in_the_end(self) -> None:
        self.now += 3 * DAY
        for _week in range(4):
            self.mailing.plan(self.now)
            self.now += WEEK
        for reader in self.readers:
            assert {id for articles in self.mailing.got(reader) for id in articles} == self.there


def test_years_of_anything(site: Site, make_mailing: Callable[[Site], Mailing]) -> None:
    Years.begin_with = staticmethod(lambda folder: make_mailing(type(site)(folder)))
    run_state_machine_as_test(Years, settings=settings(max_examples=some(40), stateful_step_count=12, deadline=None))
