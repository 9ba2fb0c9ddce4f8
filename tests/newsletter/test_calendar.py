"""When issues are due: fixed cases from the calendar, and laws that hold for every zone and instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.config.models import Cron
from feeds.newsletter.issues import calendar

ZONES = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Apia",  # had no 30 December 2011
    "Africa/Casablanca",
    "UTC",
)
YEAR = 365 * 86400
INSTANTS = st.integers(1_300_000_000, 2_000_000_000)


@st.composite
def crons(draw: st.DrawFn) -> tuple[str, Cron]:
    frequency = draw(st.sampled_from(("daily", "weekly", "monthly")))
    day = {"daily": st.just(-1), "weekly": st.integers(0, 6), "monthly": st.integers(1, 31)}[frequency]
    return frequency, Cron(draw(st.integers(0, 23)), draw(st.integers(0, 59)), draw(day))


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize(
    ("frequency", "text", "zone", "now", "expected"),
    [
        ("weekly", "mon 08:00", "Asia/Shanghai", "2014-06-02T08:00:00", "2014-06-02T08:00"),
        ("weekly", "mon 08:00", "Asia/Shanghai", "2014-06-02T07:59:59", "2014-05-26T08:00"),
        ("daily", "07:30", "Asia/Shanghai", "2014-06-02T06:00", "2014-06-01T07:30"),
        ("monthly", "31 08:00", "Asia/Shanghai", "2024-03-05T00:00", "2024-02-29T08:00"),
        ("monthly", "31 08:00", "Asia/Shanghai", "2023-03-05T00:00", "2023-02-28T08:00"),
        ("monthly", "30 08:00", "Asia/Shanghai", "2024-02-29T09:00", "2024-02-29T08:00"),
        ("monthly", "1 08:00", "Asia/Shanghai", "2024-01-01T07:59", "2023-12-01T08:00"),
        # 2:30 does not exist on the day that summer time begins, and exists twice when it ends: the first time counts.
        ("daily", "02:30", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T03:30"),
        ("daily", "02:30", "Europe/Berlin", "2026-10-25T12:00", "2026-10-25T02:30"),
    ],
)
def test_the_newest_instant_is_the_calendars(frequency: str, text: str, zone: str, now: str, expected: str) -> None:
    found = calendar.latest_due(frequency, Cron.parse(frequency, text), ZoneInfo(zone), at(now, zone))
    assert datetime.fromtimestamp(found, ZoneInfo(zone)).replace(tzinfo=None).isoformat(timespec="minutes") == expected


def test_a_local_time_that_comes_twice_is_due_once() -> None:
    zone, cron = ZoneInfo("Europe/Berlin"), Cron(2, 30)
    hours = [at("2026-10-25T00:00", "Europe/Berlin") + 1800 * half for half in range(12)]
    assert (
        len({calendar.latest_due("daily", cron, zone, now) for now in hours}) == 2
    )  # that of the day before, and one of this day


@given(crons(), st.sampled_from(ZONES), INSTANTS)
def test_now_lies_between_the_latest_and_the_following_instant(made: tuple[str, Cron], zone: str, now: int) -> None:
    where = ZoneInfo(zone)
    latest = calendar.latest_due(*made, where, now)
    assert calendar.latest_due(*made, where, latest - 1) < latest <= now < calendar.next_due(*made, where, now)


@given(crons(), st.sampled_from(ZONES), INSTANTS)
def test_instants_follow_each_other_without_a_gap_in_either_direction(made: tuple[str, Cron], zone: str, now: int) -> None:
    where = ZoneInfo(zone)
    latest = calendar.latest_due(*made, where, now)
    following = calendar.next_due(*made, where, latest)
    assert calendar.latest_due(*made, where, following - 1) == latest
    assert calendar.latest_due(*made, where, following - 1) == latest
    assert calendar.latest_due(*made, where, following) == following


@given(crons(), st.sampled_from(ZONES), INSTANTS, st.integers(0, YEAR))
def test_later_is_never_due_earlier(made: tuple[str, Cron], zone: str, now: int, more: int) -> None:
    assert calendar.latest_due(*made, ZoneInfo(zone), now) <= calendar.latest_due(*made, ZoneInfo(zone), now + more)


@given(crons(), st.sampled_from(ZONES), INSTANTS)
def test_an_instant_shows_the_hour_that_was_asked_for_where_that_hour_exists(
    made: tuple[str, Cron], zone: str, now: int
) -> None:
    frequency, cron = made
    local = datetime.fromtimestamp(calendar.latest_due(frequency, cron, ZoneInfo(zone), now), ZoneInfo(zone))
    if (local.hour, local.minute) != (cron.hour, cron.minute):
        written = local.replace(hour=cron.hour, minute=cron.minute, fold=0, tzinfo=None)
        gone = written.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert gone != written or abs(local.replace(tzinfo=None) - written) >= timedelta(hours=23)


@pytest.mark.parametrize(
    ("frequency", "text"),
    [
        ("daily", "25:00"),
        ("daily", "mon 08:00"),
        ("weekly", "08:00"),
        ("weekly", "foo 08:00"),
        ("monthly", "32 08:00"),
        ("monthly", ""),
    ],
)
def test_a_time_that_is_none_is_refused_with_an_example(frequency: str, text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Cron.parse(frequency, text)
