"""The next issue as it would be now: just before an issue is due, it is that issue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from feeds import database
from feeds.database import tables
from feeds.newsletter.issues import preview
from feeds.newsletter.subscribers import records

DAY, WEEK = 86400, 7 * 86400
MONDAY = 1_767_571_200  # 2026-01-05T00:00:00Z: Monday 08:00 in Shanghai
Mailing = Any


def coming(mailing: Mailing, reader: int, now: int) -> list[str]:
    """Ids of the articles, in their order."""
    runtime = mailing.site.runtime
    with database.reading(runtime.engine) as connection:
        known = records.find_by_key(connection, reader)
        [(_subscription, content)] = preview.upcoming_contents(connection, runtime.edition().config, known, now)
    assert content.issue.due > now
    ranks = {rank for found in content.sections.values() for rank in found}
    return [content.articles[rank].id for rank in sorted(ranks)]


def foretold(mailing: Mailing, readers: Iterable[int], due: int) -> None:
    """What is shown a second before `due` is what comes then."""
    before = {reader: (coming(mailing, reader, due - 1), len(mailing.got(reader))) for reader in readers}
    mailing.plan(due)
    for reader, (shown, issues) in before.items():
        assert mailing.got(reader)[issues:] == ([shown] if shown else [])


def test_a_first_issue_and_those_that_follow(mailing: Mailing) -> None:
    for number, at in enumerate((MONDAY - WEEK, MONDAY - DAY, MONDAY - 1, MONDAY + DAY, MONDAY + WEEK + 5), 1):
        mailing.write(str(number), at, tags=["Linux"])
    mailing.site.rescan(MONDAY - 10 * WEEK)
    readers = [mailing.subscribe("tag=Linux"), mailing.subscribe("tag=Haskell"), mailing.subscribe()]
    for week in range(4):
        foretold(mailing, readers, MONDAY + week * WEEK)
    assert mailing.got(readers[0]) == [["3", "2"], ["4"], ["5"]]


def test_an_article_with_an_old_date_that_came_after_the_last_issue(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    foretold(mailing, [reader], MONDAY)
    mailing.write("2", MONDAY - 3 * WEEK)
    mailing.site.rescan(MONDAY + DAY)
    assert coming(mailing, reader, MONDAY + 2 * DAY) == ["2"]
    foretold(mailing, [reader], MONDAY + WEEK)


@pytest.mark.parametrize("since", [MONDAY - WEEK + 1, MONDAY - 1, MONDAY, MONDAY + 3 * DAY, MONDAY + WEEK - 1])
def test_whenever_somebody_has_subscribed(mailing: Mailing, since: int) -> None:
    for number in range(21):
        mailing.write(str(number), MONDAY - WEEK + number * DAY - 60)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe(since=since)
    mailing.plan(max(since, MONDAY))
    foretold(mailing, [reader], MONDAY + WEEK)


def test_daily_in_another_zone_and_after_a_move(mailing: Mailing) -> None:
    for hour in range(0, 96, 5):
        mailing.write(str(hour), MONDAY + hour * 3600)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe(frequency="daily", timezone="America/New_York", since=MONDAY)
    for day in range(3):
        foretold(mailing, [reader], MONDAY + 12 * 3600 + 30 * 60 + day * DAY)  # 07:30 in New York
    mover = mailing.subscribe()
    mailing.plan(MONDAY)
    mailing.move(mover, 3, "Asia/Shanghai")
    foretold(mailing, [mover], MONDAY + 3 * DAY)


def test_nothing_is_written(mailing: Mailing) -> None:
    mailing.write("1", MONDAY - DAY)
    mailing.site.rescan(MONDAY - 10 * WEEK)
    reader = mailing.subscribe()
    coming(mailing, reader, MONDAY - 1)
    assert mailing.count(tables.issues) == mailing.count(tables.plans) == 0
