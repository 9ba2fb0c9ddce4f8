"""Consent: how people come, change and leave; what is kept of them; that looking never acts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import database
from feeds.database import tables
from feeds.newsletter.subscribers import importer, owner, preferences, records, signup, suppression, unsubscribe
from feeds.newsletter.subscribers.email_address import EmailAddressError
from feeds.newsletter.subscribers.preferences import PreferenceChanges, WishError
from feeds.newsletter.subscribers.records import Wish
from feeds.newsletter.subscribers.signup import SignupForm
from tests.examples import some

from .club import DAY, NOW, Club, link

READER = "reader@example.org"


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


# -- coming ----------------------------------------------------------------


def test_nobody_is_a_subscriber_before_confirming(club: Club) -> None:
    club.sign_up()
    assert club.count(tables.subscribers) == club.count(tables.subscriptions) == 0
    assert club.count(tables.requests) == len(club.letters()) == 1


def test_a_confirmation_makes_a_subscriber_with_what_was_chosen(club: Club) -> None:
    club.join(
        "Reader@Example.ORG", "tag=Linux", "translator=geekpi", frequency="daily", timezone="Europe/Berlin", language="en"
    )
    (row,) = records.list_subscribers(club.context.engine)
    assert (row["email"], row["status"], row["timezone"], row["language"]) == (
        "Reader@Example.ORG",
        "active",
        "Europe/Berlin",
        "en",
    )
    assert club.wanted() == {"Reader@Example.ORG": {"daily": ["tag=Linux", "translator=geekpi"]}}
    assert row["source"] == "web" and row["confirmed"] == "2026-01-05T00:01:00+00:00"


def test_looking_at_a_confirmation_changes_nothing(club: Club) -> None:
    club.sign_up()
    token, before = club.token(), club.everything()
    found = signup.find_confirmation(club.context, token, NOW + 1)
    assert found is not None and found.state == "open" and found.wishes == (Wish("weekly", "tag=Linux"),)
    assert club.everything() == before


def test_confirming_twice_changes_nothing_and_says_so(club: Club) -> None:
    own = club.join()
    before = club.everything()
    again = signup.confirm(club.context, club.token(), NOW + 300)
    assert again is not None and (again.state, again.token) == ("done", own)
    assert club.everything() == before


def test_a_confirmation_expires(club: Club) -> None:
    club.sign_up()
    late = NOW + 72 * 3600
    assert signup.find_confirmation(club.context, club.token(), late) is None
    assert signup.confirm(club.context, club.token(), late) is None
    assert signup.confirm(club.context, club.token(), late - 1) is not None


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "1-1-" + "0" * 32, "é", "x" * 5000])
def test_a_token_that_nobody_signed_opens_nothing(club: Club, token: str) -> None:
    context = club.context
    assert signup.find_confirmation(context, token, NOW) is None and signup.confirm(context, token, NOW) is None
    assert preferences.find_preferences(context, token, NOW) is None and owner.export_own_data(context, token, NOW) is None
    assert (
        unsubscribe.find_unsubscribe_link(context, token, NOW) is None
        and unsubscribe.unsubscribe(context, token, "", NOW) is None
    )
    assert owner.erase_by_owner(context, token, NOW) is False


def test_the_token_is_kept_as_a_hash_and_the_address_only_while_it_waits(club: Club) -> None:
    club.sign_up()
    token = club.token()
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.delete(tables.outbox))  # the mail itself holds both, of course
    assert token.encode() not in club.dump() and READER.encode() in club.dump()
    club.sign_up("other@example.org", now=NOW + 73 * 3600)  # any sign-up tidies up
    assert READER.encode() not in club.dump()
    assert club.count(tables.requests) == 2
    club.sign_up("third@example.org", now=NOW + 20 * DAY)
    assert club.count(tables.requests) == 1


def test_an_active_subscriber_who_confirms_again_gets_more_and_loses_nothing(club: Club) -> None:
    club.join(READER, "tag=Linux", timezone="Europe/Berlin")
    club.join("READER@example.org", "tag=Ubuntu", "tag=Linux", now=NOW + DAY + 1)
    club.join(READER, "", frequency="daily", now=NOW + 3 * DAY)
    assert club.wanted() == {READER: {"daily": [""], "weekly": ["tag=Linux", "tag=Ubuntu"]}}
    assert next(iter(records.list_subscribers(club.context.engine)))["timezone"] == "Europe/Berlin"


def test_the_answer_is_the_same_for_known_and_unknown_addresses(club: Club) -> None:
    club.join()
    club.sign_up(READER, now=NOW + 2 * DAY)
    known = club.letters()[-1]
    club.sign_up("other@example.org", now=NOW + 2 * DAY)
    unknown = club.letters()[-1]
    assert known["Subject"] == unknown["Subject"]
    bodies = [letter.get_body(("plain",)).get_content() for letter in (known, unknown)]
    tokens = [link(letter, "confirm") for letter in (known, unknown)]
    assert bodies[0].replace(tokens[0], "") == bodies[1].replace(tokens[1], "")


def test_a_sign_up_can_name_only_what_exists_and_in_the_catalogs_own_spelling(club: Club) -> None:
    club.join(READER, "tag=linux&all-tag=AI", "feed=kernel")
    assert club.wanted()[READER]["weekly"] == ["tag=Linux&all-tag=AI", "feed=kernel"]
    for text in ("tag=Buy+now+at+example.com", "not-translator=nobody", "feed=none", "x=y", "tag="):
        with pytest.raises(WishError) as found:
            club.sign_up("other@example.org", text)
        assert found.value.field == "select"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("frequency", {"frequency": "hourly"}),
        ("timezone", {"timezone": "Mars/Olympus"}),
        ("timezone", {"timezone": "../../etc/passwd"}),
        ("timezone", {"timezone": "Asia"}),
        ("language", {"language": "tlh"}),
        ("day", {"day": 7}),
    ],
)
def test_what_is_not_on_offer_is_refused_by_name(club: Club, field: str, values: dict[str, Any]) -> None:
    with pytest.raises(WishError) as found:
        club.sign_up(**values)
    assert found.value.field == field and club.count(tables.requests) == 0


def test_a_frequency_that_is_not_offered_cannot_be_chosen(club: Club) -> None:
    club.settle(frequencies={"weekly": "tue 08:00"})
    with pytest.raises(WishError):
        club.sign_up(frequency="daily")
    club.join()
    assert club.rows(sa.select(tables.cohorts.c.frequency, tables.cohorts.c.day)) == [("weekly", 1)]


# -- the mails -------------------------------------------------------------


def test_a_confirmation_mail_is_whole_and_says_nothing_of_what_was_typed(club: Club) -> None:
    club.sign_up("Reader+x@例子.中国", "tag=内核")
    ((recipient, text, status),) = club.rows(
        sa.select(tables.outbox.c.recipient, tables.outbox.c.message, tables.outbox.c.status)
    )
    (letter,) = club.letters()
    assert (recipient, status, letter["To"]) == ("Reader+x@xn--fsqu00a.xn--fiqs8s", "pending", recipient)
    for name in ("From", "To", "Date", "Subject", "Message-ID", "MIME-Version", "List-Unsubscribe"):
        assert len(letter.get_all(name)) == 1, name
    assert letter["Auto-Submitted"] == "auto-generated" and letter["Content-Language"] == "zh-CN"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = link(letter, "confirm")
    leave = letter["List-Unsubscribe"].rpartition("/")[2].rstrip(">")
    assert unsubscribe.find_unsubscribe_link(club.context, leave, NOW) is not None
    assert signup.find_confirmation(club.context, leave, NOW) is None, "one click says no, and cannot say yes"
    assert "内核" not in letter.get_body(("plain",)).get_content() + letter.get_body(("html",)).get_content()
    assert f"/confirm/{token}" in letter.get_body(("html",)).get_content()
    assert "\n" not in text.replace("\r\n", "") and max(map(len, text.split("\r\n"))) <= 998


def test_the_receipt_carries_the_links_and_what_is_wanted(club: Club) -> None:
    own = club.join(READER, "tag=Linux", "translator=geekpi", language="en")
    receipt = club.letters()[-1]
    text = receipt.get_body(("plain",)).get_content()
    assert link(receipt, "preferences") == own != link(receipt, "unsubscribe")
    assert "every Monday at 08:00" in text and "* Linux" in text and "geekpi" in text
    assert receipt["List-Unsubscribe"] == f"<http://localhost/unsubscribe/{club.leaving()}>"
    logged = [letter["Message-ID"] for letter in club.letters()]
    assert len(set(logged)) == 2 and not any(own[-20:] in id or club.token()[-20:] in id for id in logged), "servers log it"


def test_an_operators_template_comes_first_and_its_faults_are_named(club: Club) -> None:
    folder = club.site.root / "templates" / "mail"
    folder.mkdir(parents=True)
    (folder / "confirm.subject").write_text("Hello from {{ site.title }}\n")
    club.sign_up()
    assert club.letters()[-1]["Subject"] == "Hello from Linux 中国"
    (folder / "confirm.txt").write_text("one\n{{ nothing }}\n")
    with pytest.raises(Exception, match=r"confirm\.txt:2:1: 'nothing' is undefined"):
        club.sign_up("other@example.org")
    assert club.count(tables.requests) == 1


# -- one's own page --------------------------------------------------------


def save(club: Club, token: str, *wishes: tuple[str, str], now: int = NOW + 600, **more: Any) -> bool:
    values = {"day": None, "timezone": "Asia/Shanghai", "language": "zh-CN", **more}
    return preferences.save_preferences(club.context, token, PreferenceChanges(wishes, **values), now)


def cover(club: Club, frequency: str, covered: int, arrival: int) -> None:
    """As if issues up to then had been planned."""
    with club.site.runtime.engine.begin() as connection:
        mine = tables.subscriptions.c.frequency == frequency
        connection.execute(sa.update(tables.subscriptions).where(mine).values(covered=covered, arrival=arrival))


def reach(club: Club) -> dict[str, tuple[Any, ...]]:
    s = tables.subscriptions.c
    return {row[0]: tuple(row[1:]) for row in club.rows(sa.select(s.frequency, s.since, s.covered, s.arrival))}


def test_every_selection_has_a_frequency_of_its_own(club: Club) -> None:
    token = club.join(READER, "tag=Linux", "tag=Ubuntu")
    assert save(
        club, token, ("daily", "tag=Linux"), ("weekly", "tag=Ubuntu"), ("monthly", "translator=wxy"), day=3, language="en"
    )
    assert club.wanted() == {
        READER: {"daily": ["tag=Linux"], "weekly": ["tag=Ubuntu"], "monthly": ["translator=wxy"]},
    }
    found = preferences.find_preferences(club.context, token, NOW)
    assert found is not None and (found.day, found.subscriber.language) == (3, "en")


def test_another_day_or_zone_keeps_how_far_a_subscription_has_come(club: Club) -> None:
    token = club.join()
    cover(club, "weekly", NOW + 100, 7)
    before = reach(club)
    save(club, token, ("weekly", "tag=Linux"), day=5, timezone="America/New_York")
    assert reach(club) == before
    assert ("weekly", 5, "America/New_York") in club.rows(
        sa.select(tables.cohorts.c.frequency, tables.cohorts.c.day, tables.cohorts.c.timezone)
    )


def test_another_frequency_keeps_how_far_a_subscription_has_come(club: Club) -> None:
    token = club.join()
    cover(club, "weekly", NOW + 100, 7)
    before = reach(club)["weekly"]
    save(club, token, ("daily", "tag=Linux"))
    assert reach(club) == {"daily": before}


def test_a_selection_that_moves_out_begins_where_it_was(club: Club) -> None:
    token = club.join(READER, "tag=Linux", "tag=Ubuntu")
    cover(club, "weekly", NOW + 100, 7)
    save(club, token, ("weekly", "tag=Linux"), ("daily", "tag=Ubuntu"), ("monthly", "tag=AI"), now=NOW + 700)
    assert reach(club)["daily"] == (NOW + 700, NOW + 100, 7)
    assert reach(club)["monthly"] == (NOW + 700, None, None)


def test_choosing_nothing_is_no_way_to_unsubscribe(club: Club) -> None:
    token = club.join()
    before = club.everything()
    with pytest.raises(WishError):
        save(club, token)
    assert club.everything() == before


def test_what_somebody_has_is_kept_when_its_term_or_feed_goes_away(club: Club) -> None:
    token = club.join(READER, "feed=kernel", "tag=Ubuntu")
    club.site.set("feeds.yaml", "facets: {tag: {limit: 20}}\n")
    (club.site.store / "2.md").unlink()
    club.site.rescan()
    assert save(club, token, ("daily", "feed=kernel"), ("weekly", "tag=Ubuntu"))
    assert club.wanted()[READER] == {"daily": ["feed=kernel"], "weekly": ["tag=Ubuntu"]}
    with pytest.raises(WishError):
        save(club, token, ("daily", "feed=other"))


def test_revoked_links_lead_nowhere_but_still_unsubscribe(club: Club) -> None:
    old = club.join()
    used = club.token()
    assert not owner.revoke_links(club.context, old, NOW + 100), "that is the owner's alone"
    leave = club.leaving()
    assert owner.revoke_links(club.context, club.owner_link(old, NOW + 90), NOW + 100)
    assert preferences.find_preferences(club.context, old, NOW) is None and not save(club, old, ("daily", "tag=Linux"))
    renewed = link(club.letters()[-1], "preferences")
    assert renewed != old and preferences.find_preferences(club.context, renewed, NOW) is not None
    again = signup.find_confirmation(club.context, used, NOW + 100)
    assert again is not None and again.token == "", "the used confirmation does not give the new link away"
    assert unsubscribe.unsubscribe(club.context, leave, "", NOW + 200) is not None
    assert club.status() == "unsubscribed"


# -- leaving ---------------------------------------------------------------


def deliver(club: Club, subscriber: int, *states: str) -> None:
    """Deliveries of as many issues, in these states."""
    with club.site.runtime.engine.begin() as connection:
        for key, status in enumerate(states, 1):
            issue = dict.fromkeys((column.name for column in tables.issues.columns), 0)
            issue |= {"key": key, "id": f"i{key}", "frequency": "weekly", "due": key, "timezone": "UTC"}
            connection.execute(sa.insert(tables.issues).values(issue | {"status": "open", "reason": ""}))
            row = dict.fromkeys((column.name for column in tables.deliveries.columns), 0)
            row |= {"issue": key, "subscriber": subscriber, "selections": "1", "status": status, "owner": ""}
            connection.execute(sa.insert(tables.deliveries).values(row | {"reply": f"250 ok <{READER}>"}))


def states(club: Club) -> list[str]:
    return [status for (status,) in club.rows(sa.select(tables.deliveries.c.status).order_by(tables.deliveries.c.issue))]


def test_unsubscribing_takes_effect_for_all_that_was_not_handed_over(club: Club) -> None:
    club.join()
    deliver(club, 1, "pending", "retry", "sending", "sent", "uncertain", "failed")
    found = unsubscribe.unsubscribe(club.context, club.leaving(), "too\r\nmany", NOW + 100)
    assert found is not None and found.state == "gone"
    assert states(club) == ["cancelled", "cancelled", "sending", "sent", "uncertain", "failed"]
    assert club.rows(sa.select(tables.suppressions.c.reason)) == [("unsubscribed",)]
    (row,) = records.list_subscribers(club.context.engine)
    assert (row["status"], row["reason"]) == ("unsubscribed", "too many")


def test_unsubscribing_twice_is_once(club: Club) -> None:
    club.join()
    unsubscribe.unsubscribe(club.context, club.leaving(), "first", NOW + 100)
    before = club.everything()
    assert unsubscribe.unsubscribe(club.context, club.leaving(), "second", NOW + 200) is not None
    assert club.everything() == before


def test_one_who_had_left_comes_back_by_confirming_and_begins_anew(club: Club) -> None:
    club.join(READER, "tag=Linux", "tag=Ubuntu")
    unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW + 100)
    club.join(READER, "translator=wxy", now=NOW + 2 * DAY, language="en")
    assert club.wanted() == {READER: {"weekly": ["translator=wxy"]}}
    assert club.count(tables.suppressions) == 0
    assert reach(club) == {"weekly": (NOW + 2 * DAY + 60, None, None)}


@pytest.mark.parametrize("reason", ["complained", "operator"])
def test_a_complaint_or_the_operators_word_is_never_undone_by_a_sign_up(club: Club, reason: str) -> None:
    token = club.join()
    club.sign_up(READER, now=NOW + DAY + 1)  # a confirmation that is under way does not help either
    waiting, letters = club.token(), len(club.letters())
    hashed = club.site.runtime.tokens().salted(READER)
    with club.site.runtime.engine.begin() as connection:
        suppression.end_subscription(connection, 1, "complained", "arf", NOW + 100, hashed)
        connection.execute(sa.update(tables.suppressions).values(reason=reason))
    assert signup.confirm(club.context, waiting, NOW + DAY + 100) is None
    club.sign_up(READER, now=NOW + 5 * DAY)
    assert club.status() == "complained" and len(club.letters()) == letters
    assert preferences.find_preferences(club.context, token, NOW) is None
    form = SignupForm(READER, (), "weekly")
    assert importer.add_subscriber(club.context, form, confirmed_at="2025-01-01", source="", now=NOW) == "suppressed"


def test_a_bounced_address_that_confirms_again_is_active_with_a_clean_record(club: Club) -> None:
    club.join()
    with club.site.runtime.engine.begin() as connection:
        suppression.end_subscription(connection, 1, "bounced", "550", NOW + 100, club.site.runtime.tokens().salted(READER))
        connection.execute(sa.update(tables.subscribers).values(bounce_score=500))
    club.join(READER, now=NOW + 2 * DAY)
    assert club.rows(sa.select(tables.subscribers.c.status, tables.subscribers.c.bounce_score)) == [("active", 0)]


def test_it_was_not_me_ends_the_link_and_holds_back_further_mail(club: Club) -> None:
    club.sign_up()
    token = club.token()
    found = unsubscribe.find_unsubscribe_link(club.context, token, NOW + 1)
    assert found is not None and (found.state, found.address) == ("active", "r***@example.org")
    assert unsubscribe.unsubscribe(club.context, token, "one-click", NOW + 2) is not None
    assert signup.confirm(club.context, token, NOW + 3) is None
    assert READER.encode() not in json.dumps(club.rows(sa.select(tables.requests.c.wanted))[0][0]).encode()
    letters = len(club.letters())
    for days in (2, 5, 20):
        club.sign_up(READER, now=NOW + days * DAY)
    assert len(club.letters()) == letters
    club.sign_up(READER, now=NOW + 31 * DAY)
    assert len(club.letters()) == letters + 1


def test_erasing_leaves_nothing_but_the_hash(club: Club) -> None:
    token = club.join("Very.Special+Reader@example.org", language="en")
    club.sign_up("very.special+reader@example.org", now=NOW + 2 * DAY)
    deliver(club, 1, "sent", "pending")
    with club.site.runtime.engine.begin() as connection:
        row = {"message": "m", "subscriber": 1, "issue": 1, "kind": "soft", "status": "4.0.0", "at": NOW}
        connection.execute(sa.insert(tables.bounces).values(row | {"diagnostic": "<Very.Special+Reader@example.org> full"}))
        connection.execute(sa.update(tables.deliveries).values(reply="250 <Very.Special+Reader@example.org>"))
    assert not owner.erase_by_owner(club.context, token, NOW + 3 * DAY)
    assert owner.erase_by_owner(club.context, club.owner_link(token, NOW + 3 * DAY), NOW + 3 * DAY + 10)
    assert "deleted" in club.letters()[-1]["Subject"], "the last mail, which goes when it is sent"
    with club.site.runtime.engine.begin() as connection:
        connection.execute(sa.delete(tables.outbox))
    dump = club.dump().lower()
    assert b"very.special" not in dump and b"special+reader" not in dump
    hashed = club.site.runtime.tokens().salted("very.special+reader@example.org")
    assert club.rows(sa.select(tables.suppressions.c.mailbox_hash, tables.suppressions.c.reason)) == [(hashed, "unsubscribed")]
    assert club.count(tables.subscribers) == club.count(tables.requests) == club.count(tables.outbox) == 0
    assert states(club) == ["sent", "cancelled"]


def test_old_links_of_an_erased_subscriber_are_harmless_and_mean_nobody_else(club: Club) -> None:
    token = club.join()
    leave = club.leaving()
    unsubscribe.erase_address(club.context, "READER@example.org", NOW + 100)
    other = club.join("other@example.org", now=NOW + 200)
    assert other.partition("-")[0] != token.partition("-")[0], "keys are not given twice"
    assert preferences.find_preferences(club.context, token, NOW) is None and not owner.erase_by_owner(club.context, token, NOW)
    found = unsubscribe.unsubscribe(club.context, leave, "", NOW + 300)
    assert found is not None and found.state == "gone"
    assert club.status("other@example.org") == "active"


def test_one_can_take_along_all_that_is_kept(club: Club) -> None:
    token = club.join(READER, "tag=Linux")
    deliver(club, 1, "sent")
    assert owner.export_own_data(club.context, token, NOW) is None, "that is the owner's alone"
    found = owner.export_own_data(club.context, club.owner_link(token), NOW + 700)
    assert found is not None
    assert found["address"] == READER and found["confirmed"] == "2026-01-05T00:01:00+00:00" and found["source"] == "web"
    assert found["subscriptions"][0]["selects"] == ["tag=Linux"]
    assert found["deliveries"][0]["issue"] == "i1"
    json.dumps(found)


# -- the operator's --------------------------------------------------------


def test_an_operator_enters_addresses_with_and_without_consent(club: Club) -> None:
    context = club.context
    with_date = SignupForm("a@example.org", ("tag=Not+yet",), "daily")
    when = "2024-05-01T08:00:00+08:00"
    assert importer.add_subscriber(context, with_date, confirmed_at=when, source="fair", now=NOW) == "confirmed"
    for number in range(3):  # the limits are the web's
        form = SignupForm(f"b{number}@example.org", (), "weekly")
        assert importer.add_subscriber(context, form, confirmed_at="", source="fair", now=NOW) == "asked"
    (row,) = records.list_subscribers(context.engine)
    assert (row["confirmed"], row["source"]) == ("2024-05-01T00:00:00+00:00", "fair")
    with pytest.raises(WishError):
        importer.add_subscriber(context, with_date, confirmed_at="tomorrow", source="", now=NOW)
    with pytest.raises(EmailAddressError):
        importer.add_subscriber(context, SignupForm("nobody", (), "weekly"), confirmed_at="", source="", now=NOW)


def test_an_operator_cannot_revive_who_has_left(club: Club) -> None:
    club.join()
    unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW + 100)
    form = SignupForm(READER, (), "weekly")
    assert importer.add_subscriber(club.context, form, confirmed_at="2025-01-01", source="", now=NOW) == "suppressed"
    assert club.status() == "unsubscribed"


# -- any order of doings ---------------------------------------------------

ACTIONS = st.lists(st.sampled_from(["sign", "confirm", "leave", "undo", "save", "erase", "add"]), max_size=12)


class Life:
    """What an address should be after each action; `open` are the confirmations that may still be used, by token."""

    def __init__(self, club: Club) -> None:
        self.club, self.now, self.own, self.back, self.until = club, NOW, "", "", 0
        self.active = self.suppressed = False
        self.open: dict[str, int] = {}
        self.asked = ""

    def sign(self) -> None:
        before = len(self.club.letters())
        self.club.sign_up(now=self.now)
        if len(self.club.letters()) > before:  # within the limits
            self.asked = self.club.token()
            self.open[self.asked] = self.now + 72 * 3600

    def confirm(self) -> None:
        works = self.now < self.open.pop(self.asked, 0)
        found = signup.confirm(self.club.context, self.asked, self.now)
        if works:
            assert found is not None
            self.active, self.suppressed, self.own = True, False, found.token

    def leave(self) -> None:
        if self.own:
            subscriber = int(self.own.partition("-")[0])
            leave = self.club.site.runtime.tokens().unsubscribe(subscriber)
            found = unsubscribe.unsubscribe(self.club.context, leave, "", self.now)
            assert found is not None
            if self.active:
                self.back, self.until = found.undo, found.until
            self.suppressed = self.suppressed or self.club.count(tables.subscribers) > 0
            self.active = False

    def undo(self) -> None:
        found = unsubscribe.undo_unsubscribing(self.club.context, self.back, self.now)
        if not self.active:
            works = bool(self.back) and self.now < self.until
            assert (found is not None) == works
            self.active, self.suppressed = works, self.suppressed and not works

    def save(self) -> None:
        assert save(self.club, self.own, ("daily", "tag=Linux"), now=self.now) == self.active or not self.own

    def erase(self) -> None:
        unsubscribe.erase_address(self.club.context, READER, self.now)
        self.active, self.suppressed, self.own, self.back = False, True, "", ""
        self.open.clear()

    def add(self) -> None:
        form = SignupForm(READER, (), "weekly")
        became = importer.add_subscriber(self.club.context, form, confirmed_at="2025-01-01", source="", now=self.now)
        assert (became == "suppressed") == self.suppressed
        self.active = self.active or not self.suppressed
        known = self.club.rows(sa.select(tables.subscribers.c.key, tables.subscribers.c.version))
        self.own = self.club.site.runtime.tokens().preferences(known[0][0], known[0][1], self.now) if known else ""


@settings(max_examples=some(30))
@given(actions=ACTIONS)
def test_whatever_happens_only_fresh_consent_makes_an_address_active(
    actions: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    club = _fresh(tmp_path_factory)
    life = Life(club)
    for action in actions:
        life.now += DAY + 1
        getattr(life, action)()
        assert (club.status() == "active") == life.active, action
        assert bool(club.count(tables.suppressions)) == life.suppressed, action
    club.site.close()


def _fresh(factory: pytest.TempPathFactory) -> Club:
    from tests.conftest import Site

    return Club(Site(factory.mktemp("club") / "site"))


def test_selections_and_cohorts_are_kept_once(club: Club) -> None:
    with database.writing(club.site.runtime.engine) as connection:
        first = records.selection_keys(connection, ["tag=Linux"])["tag=Linux"]
        assert records.selection_keys(connection, ["tag=AI", "tag=Linux", "tag=AI"])["tag=Linux"] == first
        cohort = records.cohort_key(connection, "daily", records.Settings(3, "UTC", "en"))
        assert records.cohort_key(connection, "daily", records.Settings(-1, "UTC", "en")) == cohort, (
            "the day counts for weekly only"
        )
        assert records.cohort_key(connection, "weekly", records.Settings(3, "UTC", "en")) != records.cohort_key(
            connection, "weekly", records.Settings(4, "UTC", "en")
        )
    assert club.count(tables.selections) == 2
