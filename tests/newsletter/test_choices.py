"""Every change of choices can be undone, exactly, whatever a stranger does with a forwarded link meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import database
from feeds.database import tables
from feeds.newsletter.subscribers import choices, preferences, unsubscribe
from feeds.newsletter.subscribers.preferences import PreferenceChanges
from feeds.newsletter.subscribers.records import Settings
from tests.examples import some

from .club import DAY, NOW, Club, link

READER = "reader@example.org"
SELECTS = ("", "tag=Linux", "tag=Ubuntu", "tag=AI", "translator=geekpi", "feed=kernel", "tag=Linux&all-tag=AI")
Choices = tuple[list[tuple[str, str]], int, str, str]
wishes = st.lists(
    st.tuples(st.sampled_from(("daily", "weekly", "monthly")), st.sampled_from(SELECTS)), min_size=1, max_size=6, unique=True
)
chosen: st.SearchStrategy[Choices] = st.tuples(
    wishes, st.integers(0, 6), st.sampled_from(("UTC", "Asia/Shanghai", "Europe/Berlin")), st.sampled_from(("en", "zh-CN"))
)


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


def save(club: Club, token: str, wanted: Choices, now: int) -> bool:
    found, day, timezone, language = wanted
    return preferences.save_preferences(club.context, token, PreferenceChanges(found, day, timezone, language), now)


def held(club: Club, token: str, now: int) -> tuple[Any, ...]:
    """What the page of a link shows."""
    found = preferences.find_preferences(club.context, token, now)
    assert found is not None
    return found.wishes, found.day, found.subscriber.timezone, found.subscriber.language


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.conftest import Site

    club = Club(Site(tmp_path_factory.mktemp("choices") / "site"))
    yield club
    club.site.close()


@settings(max_examples=some(12))
@given(own=chosen, strangers=st.lists(chosen, min_size=1, max_size=14), number=st.integers(0, 10**6))
def test_whatever_a_stranger_chooses_the_owner_brings_back_exactly_what_was(
    shared: Club, own: Choices, strangers: list[Choices], number: int
) -> None:
    club, now = shared, NOW + 600
    with club.site.runtime.engine.begin() as connection:
        for table in (tables.outbox, tables.requests, tables.subscriptions, tables.subscribers):
            connection.execute(sa.delete(table))
    token = club.join(f"reader{number}@example.org")
    save(club, token, own, now)
    before = held(club, token, now)
    for stranger in strangers:
        now += number % 3
        save(club, token, stranger, now)
    if held(club, token, now) == before:
        return
    found = preferences.find_preferences(club.context, token, now)
    assert found is not None
    wanted = next(one for one in found.past if (list(one.wishes), one.settings) == (before[0], Settings(*before[1:])))
    assert preferences.restore_choices(club.context, token, wanted.until, now + 10)
    assert held(club, token, now + 10) == before


def test_a_flood_of_changes_pushes_no_earlier_choices_out(club: Club) -> None:
    token = club.join(READER, "tag=Linux")
    before, now = held(club, token, NOW), NOW + 600
    for number in range(90):
        now += DAY // 20
        save(
            club, token, ([("daily", SELECTS[number % 7]), ("weekly", SELECTS[number // 7 % 7])], number % 5, "UTC", "en"), now
        )
        if number % 9 == 8:
            found = preferences.find_preferences(club.context, token, now)
            assert found is not None and list(found.past[-1].wishes) == before[0] and len(found.past) <= choices.MOST


@pytest.mark.parametrize(
    "text", ["", "x", "0", "{}", "[1]", '[["a"]]', "[[1]]", f"[[{NOW}, [[1, 99]], [0]]]", "[" * 5000, "null"]
)
def test_what_somebody_has_edited_shows_no_earlier_choices(club: Club, text: str) -> None:
    token = club.join(READER, "tag=Linux")
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.update(tables.subscribers).values(previous=text, changed=NOW))
    found = preferences.find_preferences(club.context, token, NOW)
    assert found is not None and found.past == ()
    assert save(club, token, ([("daily", "tag=AI")], 0, "UTC", "en"), NOW + 700)
    assert preferences.restore_choices(club.context, token, NOW + 700, NOW + 800)


def test_bringing_back_can_be_undone_too(club: Club) -> None:
    token = club.join(READER, "tag=Linux")
    save(club, token, ([("daily", "tag=AI")], 2, "UTC", "en"), NOW + 700)
    changed = held(club, token, NOW + 700)
    assert preferences.restore_choices(club.context, token, NOW + 700, NOW + 800)
    assert club.wanted() == {READER: {"weekly": ["tag=Linux"]}}
    assert preferences.restore_choices(club.context, token, NOW + 800, NOW + 900)
    assert held(club, token, NOW + 900) == changed


def test_saving_the_same_changes_nothing(club: Club) -> None:
    token = club.join(READER, "tag=Linux")
    found = preferences.find_preferences(club.context, token, NOW)
    assert found is not None
    before = club.everything()
    same = ([("weekly", "tag=Linux")], found.day, found.subscriber.timezone, found.subscriber.language)
    assert save(club, token, same, NOW + 700) and club.everything() == before


def test_the_owner_is_told_by_mail_once_a_day_in_the_language_of_before(club: Club) -> None:
    token = club.join(READER, "tag=Linux", language="zh-CN")
    letters = len(club.letters())
    for number in range(5):
        save(club, token, ([("daily", SELECTS[number])], 0, "UTC", "en"), NOW + 700 + number)
    (letter,) = club.letters()[letters:]
    body = letter.get_body(("plain",)).get_content()
    assert letter["To"] == READER and "更改过" in body
    told = preferences.find_preferences(club.context, link(letter, "preferences"), NOW + 800)
    assert told is not None and told.past
    save(club, token, ([("monthly", "tag=AI")], 0, "UTC", "en"), NOW + 2 * DAY)
    assert len(club.letters()) == letters + 2


def test_earlier_choices_are_kept_for_a_time_and_go_with_the_subscriber(club: Club) -> None:
    token = club.join(READER, "tag=Linux")
    save(club, token, ([("daily", "tag=AI")], 0, "UTC", "en"), NOW + 700)
    last = NOW + 700 + choices.KEEP_DAYS * DAY
    for now, kept in ((last - 1, 1), (last, 0)):
        found = preferences.find_preferences(club.context, token, now)
        assert found is not None and len(found.past) == kept
    assert not preferences.restore_choices(club.context, token, NOW + 700, last)
    with database.writing(club.context.engine) as connection:
        choices.purge_past(connection, last - 1)
    assert club.rows(sa.select(tables.subscribers.c.changed)) == [(NOW + 700,)]
    with database.writing(club.context.engine) as connection:
        choices.purge_past(connection, last)
    assert club.rows(sa.select(tables.subscribers.c.previous, tables.subscribers.c.changed)) == [(None, None)]


@settings(max_examples=some(12))
@given(own=chosen, days=st.integers(0, 10), number=st.integers(0, 10**6))
def test_undoing_brings_back_every_choice_and_how_far_it_had_come(shared: Club, own: Choices, days: int, number: int) -> None:
    club, s = shared, tables.subscriptions.c
    with club.site.runtime.engine.begin() as connection:
        for table in (tables.outbox, tables.requests, tables.suppressions, tables.subscriptions, tables.subscribers):
            connection.execute(sa.delete(table))
    token = club.join(f"reader{number}@example.org")
    save(club, token, own, NOW + 600)
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.update(tables.subscriptions).values(covered=NOW + 500, arrival=number))
    before, rows = held(club, token, NOW), club.rows(sa.select(tables.subscriptions).order_by(s.key))
    left = NOW + 1000
    found = unsubscribe.unsubscribe(club.context, club.leaving(), "one-click", left)
    assert found is not None and found.undo and 7 * DAY < found.until - left <= 8 * DAY
    now = left + days * DAY
    again = unsubscribe.find_unsubscribe_link(club.context, club.leaving(), now)
    assert again is not None and again.undo == (found.undo if now < found.until else "")
    back = unsubscribe.undo_unsubscribing(club.context, found.undo, now)
    assert (back is not None) == (now < found.until)
    if back is not None:
        assert held(club, token, NOW) == before and club.rows(sa.select(tables.subscriptions).order_by(s.key)) == rows
        assert club.count(tables.suppressions) == 0
        assert link(club.letters()[-1], "unsubscribe") == club.leaving(), "the owner hears of it"


@pytest.mark.parametrize("reason", ["complained", "operator", "bounced"])
def test_no_undo_revives_one_who_complained_bounced_or_was_taken_off(club: Club, reason: str) -> None:
    from feeds.newsletter.subscribers import suppression

    club.join()
    found = unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW + 100)
    assert found is not None
    hashed = club.site.runtime.tokens().salted(READER)
    with database.writing(club.context.engine) as connection:
        if reason == "operator":
            connection.execute(sa.update(tables.suppressions).values(reason=reason))
        elif reason == "bounced":
            connection.execute(sa.update(tables.subscribers).values(status=reason, ended=NOW + 200))
        else:
            suppression.end_subscription(connection, 1, reason, "", NOW + 200, hashed)
    assert unsubscribe.undo_unsubscribing(club.context, found.undo, NOW + 300) is None
    assert club.status() != "active"


@pytest.mark.parametrize("how", ["a bounce before it", "a complaint by its link"])
def test_no_undo_is_offered_where_leaving_was_not_all(club: Club, how: str) -> None:
    from feeds.newsletter.subscribers import suppression

    club.join()
    hashed, leave = club.site.runtime.tokens().salted(READER), club.leaving()
    with database.writing(club.context.engine) as connection:
        if how.startswith("a bounce"):
            suppression.end_subscription(connection, 1, "bounced", "550", NOW + 50, hashed)
        else:
            suppression.end_subscription(connection, 1, "unsubscribed", suppression.COMPLAINT, NOW + 90, hashed)
    found = unsubscribe.unsubscribe(club.context, leave, "moved", NOW + 100)
    assert found is not None and (found.state, found.undo) == ("gone", "")
    for ended in (NOW + 50, NOW + 90, NOW + 100):
        undo = club.site.runtime.tokens().undo(1, ended)
        assert unsubscribe.undo_unsubscribing(club.context, undo, NOW + 200) is None
    club.join(READER, now=NOW + 2 * DAY)
    assert club.status() == "active", "fresh consent is another thing"


def test_nobody_who_wants_to_leave_is_held_by_undoing(club: Club) -> None:
    club.join()
    leave, offered = club.leaving(), []
    for number in range(unsubscribe.UNDOS + 2):
        found = unsubscribe.unsubscribe(club.context, leave, "", NOW + 100 * number)
        assert found is not None
        offered.append(bool(found.undo))
        unsubscribe.undo_unsubscribing(club.context, found.undo, NOW + 100 * number + 50)
    assert offered == [True] * unsubscribe.UNDOS + [False] * 2 and club.status() == "unsubscribed"
    assert unsubscribe.erase_address(club.context, READER, NOW + 900) and club.count(tables.requests) == 0


def test_an_undo_is_for_the_ending_that_it_was_made_for(club: Club) -> None:
    club.join(READER, "tag=Linux")
    first = unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW + 100)
    assert first is not None
    club.join(READER, "tag=AI", now=NOW + 2 * DAY)
    unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW + 3 * DAY)
    assert unsubscribe.undo_unsubscribing(club.context, first.undo, NOW + 3 * DAY + 5) is None
    assert club.status() == "unsubscribed"
