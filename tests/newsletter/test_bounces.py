"""What comes back: who it is about, what it means, that it counts once, and that nothing forged counts at all."""

from __future__ import annotations

import dataclasses
import email.policy
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from feeds import database
from feeds.cli import main
from feeds.config.environment import Environment, SecretStr
from feeds.config.models import Config
from feeds.database.tables import bounces as booked
from feeds.database.tables import deliveries, issues, subscribers, suppressions
from feeds.newsletter import NewsletterContext
from feeds.newsletter.bounces import MailboxError, booking, parser
from feeds.newsletter.bounces.sources import Account, Maildir
from feeds.tokens import Tokens
from tests.conftest import settle_database
from tests.examples import some

CASES = Path(__file__).with_name("cases") / "bounces"
NOW = 1_767_571_200
DAY = 86400
TOKENS = Tokens("a secret of the tests")
READER = "reader@example.com"

#: What each message in cases/bounces is: how it is booked, by which code, and the subscriber's status afterwards.
EXPECTED = {
    "answer-of-a-person": ("kept", "", "active"),
    "authentication-failure": ("ignored", "", "active"),
    "chinese-full": ("soft", "5.2.2", "active"),
    "chinese-html": ("hard", "5.0.0", "bounced"),
    "chinese-spam": ("noted", "5.7.0", "active"),
    "complaint": ("complaint", "", "complained"),
    "complaint-by-link": ("complaint", "", "unsubscribed"),
    "complaint-by-returned-message": ("complaint", "", "complained"),
    "complaint-taken-back": ("ignored", "", "active"),
    "envelope-id-only": ("hard", "5.1.1", "bounced"),
    "exchange": ("hard", "5.1.10", "bounced"),
    "exim-report": ("hard", "5.1.1", "bounced"),
    "exim-text": ("hard", "5.0.0", "bounced"),
    "forged": ("kept", "5.1.1", "active"),
    "international": ("hard", "5.1.1", "bounced"),
    "mailbox-full": ("soft", "5.2.2", "active"),
    "message-too-large": ("noted", "5.3.4", "active"),
    "no-token": ("kept", "5.1.1", "active"),
    "nothing-but-a-token": ("soft", "", "active"),
    "outlook-authentication": ("noted", "5.7.515", "active"),
    "policy": ("noted", "5.7.1", "active"),
    "postfix-delayed": ("soft", "4.4.1", "active"),
    "postfix-delivered": ("ignored", "", "active"),
    "postfix-expired": ("soft", "4.4.1", "active"),
    "postfix-unknown-user": ("hard", "5.1.1", "bounced"),
    "qmail": ("hard", "5.1.1", "bounced"),
    "read-receipt": ("ignored", "", "active"),
    "several-recipients": ("hard", "5.1.1", "bounced"),
    "unsubscribe-by-address": ("unsubscribed", "", "unsubscribed"),
    "unsubscribe-by-subject": ("unsubscribed", "", "unsubscribed"),
    "vacation": ("ignored", "", "active"),
    "vacation-unmarked": ("ignored", "", "active"),
}


class Mailing:
    """Subscribers 1 and 2, issue 7 in the middle of being sent, and a Maildir of what came back."""

    def __init__(self, root: Path) -> None:
        (root / "config").mkdir(parents=True)
        (root / "config" / "newsletter.yaml").write_text(
            "from: digest@example.org\nunsubscribe_mailto: Unsubscribe@example.org\n"
            "bounces: {address: bounce@bounces.example.org, maildir: var/returned}\n"
        )
        for name in ("site.yaml", "feeds.yaml"):
            (root / "config" / name).write_text("{}\n")
        self.maildir = root / "var" / "returned"
        settle_database(root)
        self.environment = Environment.read(root / "config", {"FEEDS_SECRET_KEY": "a secret of the tests"})
        self.config = Config.model_validate({"newsletter": _settings(root)})
        self.engine = database.connect(self.environment.database_url.get_secret_value())
        database.ensure_tables(self.engine)
        with database.writing(self.engine) as connection:
            for key in (5, 7, 8, 9):
                row = dict.fromkeys((column.name for column in issues.columns), 0)
                row |= {"key": key, "id": f"weekly-{key}", "frequency": "weekly", "due": NOW + key, "timezone": "UTC"}
                row |= {"planned_at": int(time.time())}  # commands act as of now
                connection.execute(sa.insert(issues).values(row | {"status": "open", "reason": ""}))
            for key in (1, 2):
                self._subscribe(connection, key)

    def _subscribe(self, connection: sa.Connection, key: int) -> None:
        row: dict[str, Any] = dict.fromkeys((column.name for column in subscribers.columns), 0)
        mailbox = READER if key == 1 else f"reader{key}@example.com"
        row |= {"key": key, "address": mailbox, "mailbox": mailbox, "status": "active", "language": "zh-CN", "ended": None}
        row |= {"timezone": "UTC", "reason": "", "source": "", "version": 1, "confirmed": NOW - 90 * DAY}
        connection.execute(sa.insert(subscribers).values(row))
        for issue, status in ((5, "sent"), (7, "pending"), (8, "retry"), (9, "sending")):
            row = dict.fromkeys((column.name for column in deliveries.columns), 0)
            row |= {"issue": issue, "subscriber": key, "selections": "", "status": status, "owner": "", "reply": ""}
            connection.execute(sa.insert(deliveries).values(row))

    def put(self, raw: bytes, name: str = "") -> Path:
        for place in ("new", "cur", "tmp"):
            (self.maildir / place).mkdir(parents=True, exist_ok=True)
        path = self.maildir / "new" / (name or f"{time.time_ns()}.M1.host")
        path.write_bytes(raw)
        return path

    def book(self, raw: bytes, now: int = NOW) -> booking.Booking:
        with database.writing(self.engine) as connection:
            return booking.BounceBook(connection, TOKENS, self.config.newsletter, now).book(parser.parse_report(raw))

    def collect(self, now: int = NOW) -> dict[str, Any]:
        return booking.collect(NewsletterContext(self.engine, self.environment, self.config, TOKENS), now).as_json()

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        with database.reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(sa.select(table)).mappings()]

    def subscriber(self, key: int = 1) -> dict[str, Any]:
        return next(row for row in self.rows(subscribers) if row["key"] == key)

    def deliveries(self, key: int = 1) -> dict[int, str]:
        return {row["issue"]: row["status"] for row in self.rows(deliveries) if row["subscriber"] == key}

    def everything(self) -> list[list[dict[str, Any]]]:
        return [self.rows(table) for table in (subscribers, suppressions, deliveries, booked)]


def _settings(root: Path) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load((root / "config" / "newsletter.yaml").read_text())
    return found


@pytest.fixture
def mailing(tmp_path: Path) -> Mailing:
    return Mailing(tmp_path / "site")


def case(name: str, subscriber: int = 1, issue: int = 7, **changes: str) -> bytes:
    """A message of cases/bounces about this subscriber, by tokens of this service."""
    token = TOKENS.bounce(issue, subscriber)
    forged = token[:-1] + ("0" if token[-1] != "0" else "1")
    text = (CASES / f"{name}.eml").read_bytes()
    words = {"TOKEN": token, "LINK": TOKENS.unsubscribe(subscriber), "FORGED": forged, **changes}
    for word, value in words.items():
        text = text.replace(word.encode(), value.encode())
    return text


# -- every form ------------------------------------------------------------


def test_every_case_is_expected_to_be_something() -> None:
    assert {path.stem for path in CASES.glob("*.eml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_report_is_booked_as_what_it_is(mailing: Mailing, name: str) -> None:
    what, status, after = EXPECTED[name]
    raw = case(name)
    assert (mailing.book(raw).what, parser.parse_report(raw).status) == (what, status)
    assert mailing.subscriber()["status"] == after
    assert mailing.subscriber(2)["status"] == "active"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_report_counts_once_however_its_lines_end(mailing: Mailing, name: str) -> None:
    first = mailing.book(case(name))
    before = mailing.everything()
    second = mailing.book(case(name).replace(b"\n", b"\r\n"), NOW + 3 * DAY)
    assert mailing.everything() == before
    assert second.what in ("repeated", "ignored", "kept")
    assert (second.what == "repeated") == (first.what in ("hard", "soft", "noted", "complaint"))


@pytest.mark.parametrize("name", [name for name, (what, _code, _after) in EXPECTED.items() if what not in ("kept", "ignored")])
def test_without_a_valid_token_no_report_changes_anything(mailing: Mailing, name: str) -> None:
    before = mailing.everything()
    forged = case(name, TOKEN="7.1." + "a" * 20, LINK="1-1-" + "b" * 32)
    stranger = Tokens("another secret")
    foreign = case(name, TOKEN=stranger.bounce(7, 1), LINK=stranger.unsubscribe(1))
    for raw in (forged, foreign, case(name, TOKEN="", LINK="")):
        assert mailing.book(raw).what == "kept"
    assert mailing.everything() == before


def test_a_long_report_is_the_same_by_imap_and_by_maildir() -> None:
    raw = case("mailbox-full") + b"a line of the message that is returned\n" * 40_000
    by_imap = raw.replace(b"\n", b"\r\n")[: parser.MAX_BYTES]
    assert parser.parse_report(by_imap).id == parser.parse_report(raw[: parser.MAX_BYTES]).id


def test_a_token_survives_a_server_that_writes_capitals(mailing: Mailing) -> None:
    assert mailing.book(case("postfix-unknown-user", TOKEN=TOKENS.bounce(7, 1).upper())).what == "hard"


# -- what follows ----------------------------------------------------------


def test_a_hard_bounce_suppresses_the_address_and_cancels_what_is_open(mailing: Mailing) -> None:
    booking = mailing.book(case("postfix-unknown-user"))
    assert (booking.what, booking.issue, booking.subscriber, booking.ended) == ("hard", 7, 1, True)
    row = mailing.subscriber()
    assert (row["status"], row["ended"]) == ("bounced", NOW)
    assert "5.1.1" in row["reason"]
    assert mailing.rows(suppressions) == [{"mailbox_hash": TOKENS.salted(READER), "reason": "bounced", "since": NOW}]
    assert mailing.deliveries() == {5: "sent", 7: "cancelled", 8: "cancelled", 9: "sending"}
    assert mailing.deliveries(2) == {5: "sent", 7: "pending", 8: "retry", 9: "sending"}
    [row] = mailing.rows(booked)
    assert (row["kind"], row["status"], row["subscriber"], row["issue"], row["at"]) == ("hard", "5.1.1", 1, 7, NOW)
    assert "User unknown" in row["diagnostic"]


def test_a_complaint_outweighs_an_unsubscription_and_a_bounce_does_not(mailing: Mailing) -> None:
    mailing.book(case("unsubscribe-by-subject"))
    assert not mailing.book(case("postfix-unknown-user")).ended
    assert mailing.subscriber()["status"] == "unsubscribed"
    assert mailing.book(case("complaint")).ended
    assert mailing.subscriber()["status"] == "complained"
    assert [row["reason"] for row in mailing.rows(suppressions)] == ["complained"]
    assert not mailing.book(case("unsubscribe-by-address")).ended
    assert mailing.subscriber()["status"] == "complained"


def test_soft_bounces_end_a_subscription_on_the_day_that_reaches_the_limit(mailing: Mailing) -> None:
    for day in range(5):
        assert mailing.subscriber()["status"] == "active"
        mailing.book(case("mailbox-full", issue=day + 1), NOW + day * DAY)
    assert mailing.subscriber()["bounce_score"] == 5 * booking.POINT
    assert mailing.subscriber()["bounced_at"] == NOW + 4 * DAY
    assert mailing.subscriber()["status"] == "bounced"


def test_at_most_one_soft_bounce_a_day_counts(mailing: Mailing) -> None:
    for issue in range(1, 40):
        mailing.book(case("postfix-delayed", issue=issue), NOW + issue)
    assert mailing.subscriber()["bounce_score"] == booking.POINT
    assert mailing.subscriber()["status"] == "active"


def test_old_soft_bounces_are_forgotten(mailing: Mailing) -> None:
    for month in range(12):
        for day in (0, 6, 12, 18):
            mailing.book(case("mailbox-full", issue=month * 4 + day // 6 + 1), NOW + month * 40 * DAY + day * DAY)
        assert mailing.subscriber()["status"] == "active"


def test_soft_bounces_of_before_a_new_consent_do_not_count(mailing: Mailing) -> None:
    for day in range(4):
        mailing.book(case("mailbox-full", issue=day + 1), NOW + day * DAY)
    with database.writing(mailing.engine) as connection:
        connection.execute(sa.update(subscribers).values(confirmed=NOW + 4 * DAY))
    mailing.book(case("mailbox-full", issue=6), NOW + 5 * DAY)
    assert mailing.subscriber()["bounce_score"] == booking.POINT


def test_refusals_by_policy_are_recorded_and_never_count(mailing: Mailing) -> None:
    for day in range(30):
        for name in ("policy", "message-too-large", "chinese-spam"):
            assert mailing.book(case(name, issue=day + 1), NOW + day * DAY).what == "noted"
    assert mailing.subscriber()["status"] == "active"
    assert mailing.subscriber()["bounce_score"] == 0
    assert {row["kind"] for row in mailing.rows(booked)} == {"soft"}
    assert len(mailing.rows(booked)) == 90


def test_missing_authentication_alarms_the_operator(mailing: Mailing) -> None:
    with capture_logs() as said:
        mailing.book(case("policy"))
        assert not said
        mailing.book(case("outlook-authentication"))
    assert "5.7.515" in str(said)
    assert READER not in str(said)


def test_a_report_about_somebody_erased_changes_nothing(mailing: Mailing) -> None:
    with database.writing(mailing.engine) as connection:
        connection.execute(sa.delete(deliveries).where(deliveries.c.subscriber == 1))
        connection.execute(sa.delete(subscribers).where(subscribers.c.key == 1))
    before = mailing.everything()
    for name in ("postfix-unknown-user", "complaint", "unsubscribe-by-subject"):
        assert mailing.book(case(name)).what == "ignored"
    assert mailing.everything() == before


def test_a_revoked_link_still_unsubscribes(mailing: Mailing) -> None:
    with database.writing(mailing.engine) as connection:
        connection.execute(sa.update(subscribers).values(version=3))
    assert mailing.book(case("unsubscribe-by-subject")).ended


def test_the_link_of_a_digest_that_somebody_forwards_does_not_unsubscribe(mailing: Mailing) -> None:
    raw = case("unsubscribe-by-subject").replace(b"unsubscribe@example.org", b"friend@example.net")
    assert mailing.book(raw).what == "kept"
    assert mailing.subscriber()["status"] == "active"


def test_mail_in_bulk_and_spam_to_an_old_envelope_address_unsubscribe_nobody(mailing: Mailing) -> None:
    token = TOKENS.bounce(7, 1)
    raw = f"From: x@example.net\nTo: bounce+{token}@bounces.example.org\nSubject: Buy!\n\nAddress not found? Buy.\n".encode()
    assert mailing.book(raw).what == "kept"
    assert mailing.subscriber()["status"] == "active"


# -- refusals in our own session -------------------------------------------

REPLIES = [
    ("550 5.1.1 no such user", "hard", "5.1.1", "bounced"),
    ("550 no such user here", "hard", "5.0.0", "bounced"),
    ("553 sorry, that address is not in my list", "hard", "5.0.0", "bounced"),
    ("550 5.4.1 Recipient address rejected: Access denied", "hard", "5.4.1", "bounced"),
    ("554 5.7.1 blocked", "noted", "5.7.1", "active"),
    ("550 5.7.515 sending domain does not meet the required authentication level", "noted", "5.7.515", "active"),
    ("554 your address is on a blocklist", "noted", "5.7.0", "active"),
    ("550 MI:SPF mx1,AAAA", "noted", "5.7.0", "active"),
    ("550 5.1.8 sender address rejected: domain not found", "noted", "5.1.8", "active"),
    ("450 4.7.28 unusual rate of mail, put off", "noted", "4.7.28", "active"),
    ("552 5.2.2 over quota", "soft", "5.2.2", "active"),
    ("552 mailbox full", "soft", "5.2.2", "active"),
    ("550 5.6.7 address needs SMTPUTF8", "hard", "5.6.7", "bounced"),
    ("550 192.0.5.1.1 is no code", "hard", "5.0.0", "bounced"),
]


@pytest.mark.parametrize("days", [89, 90, 400])
def test_a_token_counts_for_ninety_days_after_its_issue(mailing: Mailing, days: int) -> None:
    issued = next(row["planned_at"] for row in mailing.rows(issues) if row["key"] == 7)
    before = mailing.everything()
    booked_as = mailing.book(case("postfix-unknown-user"), issued + days * DAY).what
    assert booked_as == ("hard" if days < 90 else "ignored")
    assert (mailing.everything() == before) == (days >= 90)


@pytest.mark.parametrize(("reply", "what", "code", "after"), REPLIES)
def test_a_refusal_in_our_own_session_counts_at_once_and_once(
    mailing: Mailing, reply: str, what: str, code: str, after: str
) -> None:
    with database.writing(mailing.engine) as connection:
        book = booking.BounceBook(connection, TOKENS, mailing.config.newsletter, NOW)
        assert book.book_refusal(1, 9, reply).what == what
        assert replace(book, now=NOW + DAY).book_refusal(1, 9, reply).what == "repeated"
    assert mailing.subscriber()["status"] == after
    assert mailing.deliveries()[9] == "sending"  # whoever has it in hand marks it
    [row] = mailing.rows(booked)
    assert (row["status"], row["diagnostic"]) == (code, reply)


# -- no bytes do harm ------------------------------------------------------


def _no_harm(raw: bytes) -> None:
    report = parser.parse_report(raw)
    assert not any(map(TOKENS.read_bounce, report.tokens))
    assert not any(map(TOKENS.read_unsubscribe, (*report.unsubscribe_tokens, *report.link_tokens)))
    assert len(report.diagnostic) <= parser.MAX_DIAGNOSTIC
    assert not set(report.diagnostic) & set("\r\n\x00")
    report.diagnostic.encode()  # a database takes it


@given(st.binary(max_size=400))
@example(b"Content-Type: multipart/report; boundary=\x00\n\n--\x00\n")
@example(b"Subject: =?idna?b?////?=\nFrom: =?x-none?q?=FF?=\nAuto-Submitted: \xff\n\n")
@example(b"Content-Type: text/plain; charset=idna\nContent-Transfer-Encoding: base64\nFrom: mailer-daemon@x\n\n=\xff\n")
@example(b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\nContent-Type: multipart/mixed; boundary=a\n\n" * 2000)
def test_no_bytes_make_reading_fail(raw: bytes) -> None:
    _no_harm(raw)


@settings(max_examples=some(150))
@given(st.sampled_from(sorted(EXPECTED)), st.data())
def test_no_damage_to_a_report_makes_reading_fail_or_a_token_valid(name: str, data: st.DataObject) -> None:
    raw = bytearray(case(name, TOKEN="7.1." + "a" * 20, LINK="1-1-" + "b" * 32))
    for _change in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
        if not raw:
            break
    _no_harm(bytes(raw))


@settings(max_examples=some(60))
@given(raw=st.one_of(st.binary(max_size=200), st.sampled_from(sorted(EXPECTED)).map(lambda name: case(name, TOKEN="1.1.x"))))
def test_no_bytes_change_a_subscriber_without_a_valid_token(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    mailing = Mailing(tmp_path_factory.mktemp("harmless") / "site")
    before = mailing.everything()
    raw = raw.replace(TOKENS.unsubscribe(1).encode(), b"")
    mailing.book(raw)
    assert mailing.everything() == before
    mailing.engine.dispose()


@pytest.mark.parametrize(
    "filling", [b"a", b"-", b"<", b"5.1.1 ", b"mailbox ", b"=?utf-8?q?", b"a@", b"\n\n", b"--b\n", b": ", "邮箱".encode()]
)
def test_a_huge_message_is_read_in_a_moment(filling: bytes) -> None:
    head = b"Return-Path: <>\nFrom: mailer-daemon@example.net\nSubject: " + filling * 200 + b"\n\n"
    for raw in (head + filling * (4_000_000 // len(filling)), filling * (1_000_000 // len(filling))):
        started = time.perf_counter()
        _no_harm(raw)
        assert time.perf_counter() - started < 5


# -- the Maildir -----------------------------------------------------------


def test_a_message_leaves_the_mailbox_once_it_is_booked(mailing: Mailing) -> None:
    for name in EXPECTED:
        mailing.put(case(name, subscriber=2 if EXPECTED[name][0] != "hard" else 1), name)
    answer = mailing.collect()
    kept = sorted(name for name, (what, _code, _after) in EXPECTED.items() if what == "kept")
    assert answer["read"] == len(EXPECTED)
    assert answer["kept"] == len(kept) == len(answer["problems"])
    assert answer["hard"] == sum(what == "hard" for what, _code, _after in EXPECTED.values())
    assert sorted(path.name for path in mailing.maildir.rglob("*") if path.is_file()) == [f"{name}:2,F" for name in kept]
    assert all(path.parent.name == "cur" for path in mailing.maildir.rglob("*:2,F"))
    before = mailing.everything()
    assert mailing.collect(NOW + DAY)["read"] == 0
    assert mailing.everything() == before


def test_a_report_that_comes_again_is_removed_and_counts_no_second_time(mailing: Mailing) -> None:
    mailing.put(case("mailbox-full"))
    assert mailing.collect()["soft"] == 1
    mailing.put(case("mailbox-full"))
    assert mailing.collect(NOW + DAY)["repeated"] == 1
    assert mailing.subscriber()["bounce_score"] == booking.POINT
    assert not [path for path in mailing.maildir.rglob("*") if path.is_file()]


def test_a_message_stays_where_its_booking_is_not_committed(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = mailing.put(case("mailbox-full"), "1"), mailing.put(case("postfix-unknown-user"), "2")
    monkeypatch.setattr(booking, "end_subscription", _fail)
    with pytest.raises(OSError, match="no space left"):
        mailing.collect()
    assert good.exists() and bad.exists()
    assert mailing.rows(booked) == []
    monkeypatch.undo()
    assert mailing.collect()["ended"] == 1


def test_a_crash_between_booking_and_removing_counts_nothing_twice(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    mailing.put(case("mailbox-full"))
    monkeypatch.setattr(Maildir, "settle", _fail)
    with pytest.raises(OSError, match="no space left"):
        mailing.collect()
    assert mailing.subscriber()["bounce_score"] == booking.POINT
    monkeypatch.undo()
    assert mailing.collect(NOW + DAY)["repeated"] == 1
    assert mailing.subscriber()["bounce_score"] == booking.POINT
    assert not [path for path in mailing.maildir.rglob("*") if path.is_file()]


def _fail(*_arguments: Any) -> bool:
    raise OSError("no space left")


def test_a_kept_message_is_read_again_once_its_flag_is_off(mailing: Mailing) -> None:
    path = mailing.put(case("no-token"), "1")
    mailing.collect()
    flagged = mailing.maildir / "cur" / "1:2,F"
    assert not path.exists()
    flagged.write_bytes(case("postfix-unknown-user"))
    flagged.rename(mailing.maildir / "cur" / "1:2,S")
    assert mailing.collect()["hard"] == 1
    assert not list((mailing.maildir / "cur").iterdir())


def test_another_reader_may_move_a_message_while_it_is_booked(mailing: Mailing) -> None:
    mailing.put(b"x", "1"), mailing.put(b"y", "2"), mailing.put(b"z", "3")
    box = Maildir(mailing.maildir)
    [reports] = box.poll()
    (mailing.maildir / "new" / "1").rename(mailing.maildir / "cur" / "1:2,S")
    (mailing.maildir / "new" / "2").rename(mailing.maildir / "cur" / "2:2,S")
    (mailing.maildir / "new" / "3").unlink()
    box.settle([reports[0], reports[2]], [reports[1], reports[2]])
    assert [path.name for path in mailing.maildir.rglob("*:*")] == ["2:2,FS"]


def test_a_maildir_that_does_not_exist_yet_is_empty(mailing: Mailing) -> None:
    assert mailing.collect()["read"] == 0


def test_a_maildir_that_is_none_is_a_fault(mailing: Mailing) -> None:
    mailing.maildir.mkdir(parents=True)
    (mailing.maildir / "new").write_text("a file")
    with pytest.raises(MailboxError):
        mailing.collect()


def test_many_reports_are_booked_in_a_moment(mailing: Mailing) -> None:
    for number in range(300):
        mailing.put(case("mailbox-full", issue=number + 1, subscriber=1 + number % 2), f"{number}")
    started = time.perf_counter()
    assert mailing.collect()["soft"] == 300
    assert time.perf_counter() - started < 10


# -- the IMAP address ------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "folder", "secured"),
    [
        ("imaps://me:secret@mail.example.org/INBOX", "mail.example.org", 993, "me", "secret", "INBOX", "tls"),
        (
            "imaps://me%40example.org:p%2Fw%3A@mail.example.org:9993",
            "mail.example.org",
            9993,
            "me@example.org",
            "p/w:",
            "INBOX",
            "tls",
        ),
        (
            "imap://me:geheim@mail.example.org/Returned%20mail?starttls=1",
            "mail.example.org",
            143,
            "me",
            "geheim",
            "Returned mail",
            "starttls",
        ),
        ("imap://me:geheim@127.0.0.1:1143/INBOX", "127.0.0.1", 1143, "me", "geheim", "INBOX", "no"),
        ("imap://me:geheim@[::1]/a/b", "::1", 143, "me", "geheim", "a/b", "no"),
    ],
)
def test_an_imap_address_says_where_and_how(
    url: str, host: str, port: int, user: str, password: str, folder: str, secured: str
) -> None:
    assert Account.parse(url) == Account(host, port, user, password, folder, secured)
    assert password not in str(Account.parse(url)).replace(user, "")
    assert password not in repr(Account.parse(url)).replace(user, "")


@pytest.mark.parametrize(
    "url",
    [
        "imap://me:geheim@mail.example.org/INBOX",
        "pop3://me:geheim@x/",
        "imaps://mail.example.org/",
        "imaps://me:geheim@host:nan/",
        "imap://me:geheim@mail.example.org/?starttls=0",
        "geheim",
    ],
)
def test_a_password_leaves_this_machine_encrypted_only(url: str) -> None:
    with pytest.raises(MailboxError) as error:
        Account.parse(url)
    assert "geheim" not in str(error.value)


def test_a_server_that_is_not_there_is_a_fault_without_a_password(mailing: Mailing) -> None:
    url = "imap://me:geheim@127.0.0.1:1/INBOX"
    mailing.environment = dataclasses.replace(mailing.environment, imap_url=SecretStr(url))
    with pytest.raises(MailboxError, match=r"INBOX of me on 127\.0\.0\.1") as error:
        mailing.collect()
    assert "geheim" not in str(error.value)


# -- the command -----------------------------------------------------------


@pytest.fixture
def bounces_command(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("FEEDS_SECRET_KEY", "a secret of the tests")
    folder = str(mailing.environment.config_dir)
    return lambda *words: CliRunner().invoke(main, ["bounces", "--config", folder, *words])


def test_the_command_answers_for_programs(mailing: Mailing, bounces_command: Callable[..., Any]) -> None:
    mailing.put(case("postfix-unknown-user"))
    mailing.put(case("complaint", subscriber=2))
    mailing.put(case("outlook-authentication"))
    mailing.put(case("forged"), "forged")
    answered = bounces_command("--json")
    assert answered.exit_code == 0, answered.output
    said = json.loads(answered.stdout)  # the alarm goes elsewhere
    assert (said["read"], said["hard"], said["complaint"], said["noted"], said["kept"], said["ended"]) == (4, 1, 1, 1, 1, 2)
    assert said["issues"] == {"weekly-7": {"sent": 0, "hard": 1, "complaint": 1, "soft": 1}}
    assert said["problems"][0]["message"] == "forged"
    assert "5.7.515" in answered.stderr


def test_the_command_answers_for_people(mailing: Mailing, bounces_command: Callable[..., Any]) -> None:
    mailing.put(case("postfix-unknown-user"))
    mailing.put(case("forged"), "forged")
    answered = bounces_command()
    assert "2 messages read: 1 refused for good" in answered.stdout
    assert "1 taken off the list" in answered.stdout
    assert "forged" in answered.stderr and "token" in answered.stderr


def test_the_command_says_what_is_missing(mailing: Mailing, bounces_command: Callable[..., Any]) -> None:
    shutil.copy(mailing.environment.config_dir / "site.yaml", mailing.environment.config_dir / "newsletter.yaml")
    answered = bounces_command()
    assert answered.exit_code == 1
    assert "bounces.maildir" in answered.stderr and "FEEDS_IMAP_URL" in answered.stderr


def test_a_message_of_pythons_own_making_is_read_alike(mailing: Mailing) -> None:
    """The token in a folded, quoted and encoded header is found, too."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = "MAILER-DAEMON <mailer-daemon@example.net>"
    message["To"] = f'"退信, daemon" <bounce+{TOKENS.bounce(7, 1)}@bounces.example.org>'
    message["Subject"] = "退信通知" * 20
    message.set_content("收件人 reader@example.com 不存在\n", cte="base64")
    assert mailing.book(message.as_bytes()).what == "hard"
