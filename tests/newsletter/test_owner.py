"""The owner's link: mailed on request, for an hour; what it opens; a change of address; erasure and its last mail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds.database import tables
from feeds.newsletter.subscribers import departures, importer, owner, preferences, records, signup, unsubscribe
from feeds.newsletter.subscribers.email_address import EmailAddressError
from feeds.newsletter.subscribers.signup import SignupForm

from .club import DAY, NOW, Club, link

READER, NEW = "reader@example.org", "new@example.net"


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


def asked(club: Club, own: str, address: str = NEW, now: int = NOW + 700) -> str:
    """The token of the mail to a new address."""
    assert owner.request_address(club.context, club.owner_link(own, now), address, "192.0.2.9", now + 1)
    return link(club.letters()[-1], "confirm")


# -- the link --------------------------------------------------------------


def test_the_link_goes_to_the_owner_alone_and_works_for_an_hour(club: Club) -> None:
    mine = club.owner_link(club.join(), NOW + 700)
    letter = club.letters()[-1]
    assert letter["To"] == READER and "List-Unsubscribe" not in letter and mine not in letter["Message-ID"]
    for now, works in ((NOW + 700, True), (NOW + 4299, True), (NOW + 4300, False)):
        assert (owner.find_owner(club.context, mine, now) is not None) == works
        assert (owner.export_own_data(club.context, mine, now) is not None) == works
    assert not owner.erase_by_owner(club.context, mine, NOW + 4300) and club.status() == "active"


def test_only_so_many_links_are_sent_and_the_answer_is_the_same(club: Club) -> None:
    own = club.join()
    letters = len(club.letters())
    assert {owner.request_link(club.context, own, NOW + 700 + number) for number in range(20)} == {True}
    assert len(club.letters()) == letters + owner.LINKS_A_DAY
    assert owner.request_link(club.context, own, NOW + 800 + DAY) and len(club.letters()) == letters + owner.LINKS_A_DAY + 1


def test_one_who_has_left_gets_a_link_whatever_was_sent_before_and_one_a_day(club: Club) -> None:
    own = club.join()
    for number in range(5):
        owner.request_link(club.context, own, NOW + 700 + number)
    leave = club.leaving()
    unsubscribe.unsubscribe(club.context, leave, "", NOW + 800)
    letters = len(club.letters())
    for number in range(5):
        assert owner.request_link(club.context, leave, NOW + 900 + number)
    assert len(club.letters()) == letters + 1
    assert owner.find_owner(club.context, link(club.letters()[-1], "preferences"), NOW + 950) is not None


def test_asking_for_links_takes_nothing_from_sign_ups(club: Club) -> None:
    own = club.join()
    for number in range(5):
        owner.request_link(club.context, own, NOW + DAY + number)
    letters = len(club.letters())
    club.sign_up(READER, now=NOW + DAY + 100)
    assert len(club.letters()) == letters + 1


def test_no_other_token_asks_for_the_link_or_is_one(club: Club) -> None:
    own = club.join()
    leave, confirm = club.leaving(), club.token()
    letters = len(club.letters())
    for token in (leave, confirm, "", "x", own[:-1], own.upper().replace("-", "_")):
        assert not owner.request_link(club.context, token, NOW + 700)
    assert len(club.letters()) == letters
    for token in (own, leave, confirm):
        assert owner.find_owner(club.context, token, NOW + 700) is None
        assert owner.export_own_data(club.context, token, NOW + 700) is None
        assert not owner.revoke_links(club.context, token, NOW + 700)
        assert not owner.erase_by_owner(club.context, token, NOW + 700)
        assert not owner.request_address(club.context, token, NEW, "", NOW + 700)
    assert club.status() == "active" and len(club.letters()) == letters


def test_nobody_who_complained_is_written_to(club: Club) -> None:
    club.join()
    leave = club.leaving()
    unsubscribe.unsubscribe(club.context, leave, "", NOW + 100)
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.update(tables.subscribers).values(status="complained"))
    letters = len(club.letters())
    assert not owner.request_link(club.context, leave, NOW + 700) and len(club.letters()) == letters


def test_new_links_make_all_earlier_ones_void_but_for_leaving(club: Club) -> None:
    own = club.join()
    leave, first, second = club.leaving(), club.owner_link(own, NOW + 700), club.owner_link(own, NOW + 701)
    assert owner.revoke_links(club.context, first, NOW + 800)
    for token in (first, second):
        assert owner.find_owner(club.context, token, NOW + 800) is None
    assert preferences.find_preferences(club.context, own, NOW + 800) is None
    renewed = link(club.letters()[-1], "preferences")
    assert preferences.find_preferences(club.context, renewed, NOW + 800) is not None
    assert unsubscribe.unsubscribe(club.context, leave, "", NOW + 900) is not None and club.status() == "unsubscribed"


# -- erasure ---------------------------------------------------------------


def test_erasure_is_confirmed_by_a_last_mail_and_nothing_else_is_kept(club: Club) -> None:
    own = club.join("Very.Special@example.org", language="en")
    waiting = asked(club, own, "other.special@example.net")
    mine = club.owner_link(own, NOW + 800)
    assert owner.erase_by_owner(club.context, mine, NOW + 900)
    (last,) = club.letters()
    assert last["To"] == "Very.Special@example.org" and "List-Unsubscribe" not in last
    assert "http://localhost/" not in last.get_body(("plain",)).get_content().replace("http://localhost\n", ""), "no link"
    assert club.count(tables.subscribers) == club.count(tables.requests) == 0
    assert not owner.erase_by_owner(club.context, mine, NOW + 901) and len(club.letters()) == 1
    assert owner.confirm_address(club.context, waiting, NOW + 902) is None
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.delete(tables.outbox))  # as when it is sent
    assert b"special@" not in club.dump().lower()


# -- change of address -----------------------------------------------------


def test_digests_go_to_the_new_address_once_its_owner_has_confirmed(club: Club) -> None:
    own = club.join(READER, "tag=Linux", "translator=geekpi", timezone="Europe/Berlin")
    (before,) = records.list_subscribers(club.context.engine)
    token = asked(club, own)
    assert club.letters()[-1]["To"] == NEW and READER not in club.letters()[-1].as_string()
    change = owner.find_address_change(club.context, token, NOW + 800)
    assert change is not None and (change.state, change.old, change.new) == ("open", "r***@example.org", "n***@example.net")
    assert list(records.list_subscribers(club.context.engine)) == [before], "looking changes nothing"
    done = owner.confirm_address(club.context, token, NOW + 900)
    assert done is not None and done.state == "done"
    (after,) = records.list_subscribers(club.context.engine)
    assert after == before | {"email": NEW}, "choices, consent and where it came from stay as they are"
    told, receipt = club.letters()[-2:]
    assert (told["To"], receipt["To"]) == (READER, NEW) and NEW not in told.as_string()
    assert preferences.find_preferences(club.context, own, NOW + 900) is None
    again = owner.confirm_address(club.context, token, NOW + 901)
    assert again is not None and again.state == "done" and len(club.letters()) == 5, "a double click"


def test_the_link_is_spent_by_a_change_of_address_and_not_by_a_typing_error(club: Club) -> None:
    mine = club.owner_link(club.join())
    for text in ("", "nobody", "a@b", f"{NEW}\r\nBcc: x@example.org"):
        with pytest.raises(EmailAddressError):
            owner.request_address(club.context, mine, text, "", NOW + 700)
    assert owner.request_address(club.context, mine, NEW, "", NOW + 701)
    letters = len(club.letters())
    assert not owner.request_address(club.context, mine, "third@example.net", "", NOW + 702)
    assert owner.find_owner(club.context, mine, NOW + 702) is None and len(club.letters()) == letters


def test_a_new_address_has_the_limits_of_sign_ups(club: Club) -> None:
    own = club.join()
    club.sign_up(NEW, now=NOW + 650)
    mine, letters = club.owner_link(own), len(club.letters())
    assert owner.request_address(club.context, mine, NEW, "", NOW + 700), "the answer is the same"
    assert len(club.letters()) == letters + 0


@pytest.mark.parametrize("reason", ["complained", "operator"])
def test_an_address_that_wants_no_mail_gets_none(club: Club, reason: str) -> None:
    own = club.join()
    hashed = club.site.runtime.tokens().salted(NEW)
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.insert(tables.suppressions).values(mailbox_hash=hashed, reason=reason, since=NOW))
    mine = club.owner_link(own)
    letters = len(club.letters())
    assert owner.request_address(club.context, mine, NEW, "", NOW + 700) and len(club.letters()) == letters


def test_an_address_that_is_subscribed_keeps_its_own_choices(club: Club) -> None:
    own = club.join(READER, "tag=Linux")
    token = asked(club, own)
    club.join(NEW, "tag=AI", now=NOW + 2 * DAY)
    found = owner.confirm_address(club.context, token, NOW + 2 * DAY + 100)
    assert found is not None and found.state == "taken"
    assert club.wanted() == {READER: {"weekly": ["tag=Linux"]}, NEW: {"weekly": ["tag=AI"]}}


def test_an_address_that_had_left_is_taken_over_by_its_owners_confirmation(club: Club) -> None:
    club.join(NEW, "tag=AI", now=NOW - 3 * DAY)
    unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW - 2 * DAY)
    token = asked(club, club.join(READER, "tag=Linux"))
    found = owner.confirm_address(club.context, token, NOW + 900)
    assert found is not None and found.state == "done" and club.wanted() == {NEW: {"weekly": ["tag=Linux"]}}
    assert club.count(tables.subscribers) == 1
    salted = club.site.runtime.tokens().salted
    assert club.rows(sa.select(tables.suppressions.c.mailbox_hash)) == [(salted(READER),)]


def test_the_old_address_comes_back_by_no_import_and_by_no_backup(club: Club) -> None:
    owner.confirm_address(club.context, asked(club, club.join()), NOW + 900)
    form = SignupForm(READER, (), "weekly")
    assert importer.add_subscriber(club.context, form, confirmed_at="2025-01-01", source="", now=NOW + DAY) == "suppressed"
    path = club.context.engine.get_execution_options().get("departures")
    if path is not None:
        salted, history = club.site.runtime.tokens().salted, departures.read(Path(path))
        old, new = (history.find(address, (salted(address),)) for address in (READER, NEW))
        assert old is not None and old.reason == "unsubscribed" and (new is None or not new.reason)
    club.join(READER, now=NOW + 2 * DAY)
    assert club.status() == "active", "its owner can sign up again"


@pytest.mark.parametrize(
    "event",
    [
        lambda club, own, leave: unsubscribe.unsubscribe(club.context, leave, "", NOW + 800),
        lambda club, own, leave: owner.revoke_links(club.context, club.owner_link(own, NOW + 790), NOW + 800),
        lambda club, own, leave: owner.erase_by_owner(club.context, club.owner_link(own, NOW + 790), NOW + 800),
        lambda club, own, leave: unsubscribe.erase_address(club.context, READER, NOW + 800),
        lambda club, own, leave: owner.confirm_address(club.context, asked(club, own, "x@example.net", NOW + 790), NOW + 800),
    ],
    ids=["left", "revoked", "erased", "erased by the operator", "moved elsewhere"],
)
def test_what_has_happened_since_makes_a_confirmation_void(club: Club, event: Callable[..., Any]) -> None:
    own = club.join()
    leave, token = club.leaving(), asked(club, own)
    assert event(club, own, leave)
    assert owner.confirm_address(club.context, token, NOW + 900) is None and NEW not in club.wanted()


def test_a_confirmation_expires_and_its_link_confirms_nothing_else(club: Club) -> None:
    token = asked(club, club.join())
    late = NOW + 701 + 72 * 3600
    assert owner.find_address_change(club.context, token, late) is None
    assert owner.confirm_address(club.context, token, late) is None
    assert signup.confirm(club.context, token, NOW + 800) is None
    assert owner.find_owner(club.context, token, NOW + 800) is None
    assert unsubscribe.unsubscribe(club.context, token, "", NOW + 800) is None and club.status() == "active"
