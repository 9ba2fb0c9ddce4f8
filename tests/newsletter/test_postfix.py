"""A real mail server: digests go out through Postfix, its reports come back, by Maildir and by Dovecot's IMAP."""

from __future__ import annotations

import dataclasses
import smtplib
import time
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.config.environment import SecretStr
from feeds.config.models import Config
from feeds.database.tables import bounces, deliveries, subscribers, suppressions
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.bounces import MailboxError, booking

from . import servers
from .servers import GREY, HOST, NOUSER, REFUSED

pytestmark = pytest.mark.interop

MONDAY = 1_767_571_200  # 2026-01-05T00:00:00Z: Monday 08:00 in Shanghai
WEEK = 7 * 86400
NEWSLETTER = """\
enabled: true
from: digest@bounces.test
transport: smtp
connections: 4
frequencies: {weekly: "mon 08:00"}
"""
Mailing = Any


@pytest.fixture(scope="module")
def mta() -> Iterator[servers.Postfix]:
    with servers.needed(), servers.postfix(tls=True, policy=True) as running:
        yield running


@pytest.fixture(scope="module")
def imap(mta: servers.Postfix) -> Iterator[int]:
    (mta.maildir.parent).mkdir(exist_ok=True)
    with servers.needed(), servers.dovecot(mta.maildir) as port:
        yield port


@pytest.fixture(autouse=True)
def _an_empty_maildir(mta: servers.Postfix) -> None:
    for path in mta.arrived():
        path.unlink()


class Post:
    """A site that sends through `mta`, with one article, and what became of its issue."""

    def __init__(self, mailing: Mailing, mta: servers.Postfix) -> None:
        self.mailing, self.mta = mailing, mta
        self.url = f"smtp://localhost:{mta.port}?cafile={quote(str(mta.certificate))}&timeout=20"
        mailing.site.set("newsletter.yaml", f"{NEWSLETTER}bounces: {{maildir: {mta.maildir}}}\n")
        mailing.write("1", MONDAY - 86400, title="关于 init 的一篇文章")
        mailing.site.rescan(MONDAY - 10 * WEEK)

    def subscribe(self, *addresses: str) -> list[int]:
        keys = []
        with_address = sa.update(subscribers)
        for address in addresses:
            keys.append(self.mailing.subscribe())
            with database.writing(self.engine) as connection:
                row = with_address.where(subscribers.c.key == keys[-1])
                connection.execute(row.values(address=address, mailbox=address))
        return keys

    @property
    def engine(self) -> sa.Engine:
        engine: sa.Engine = self.mailing.site.runtime.engine
        return engine

    @property
    def config(self) -> Config:
        config: Config = self.mailing.site.runtime.edition().config
        return config

    def context(self, **environment: str) -> NewsletterContext:
        changed = dataclasses.replace(
            self.mailing.site.environment,
            **{name: SecretStr(url) for name, url in {"smtp_url": self.url, **environment}.items()},
        )
        return NewsletterContext(self.engine, changed, self.config, self.mailing.site.runtime.tokens())

    def send(self, now: int = MONDAY, **environment: str) -> Any:
        context = self.context(**environment)
        digests.plan(context, now)
        return digests.send(context, lambda: now)

    def collect(self, now: int = MONDAY + 3600, *, imap: int = 0) -> dict[str, Any]:
        config, environment = self.config, self.mailing.site.environment
        if imap:
            user = f"bounce:{quote(servers.PASSWORD, safe='')}"
            environment = dataclasses.replace(environment, imap_url=SecretStr(f"imap://{user}@{HOST}:{imap}/INBOX"))
            letters = config.newsletter.model_copy(
                update={"bounces": config.newsletter.bounces.model_copy(update={"maildir": ""})}
            )
            config = config.model_copy(update={"newsletter": letters})
        return booking.collect(
            NewsletterContext(self.engine, environment, config, self.mailing.site.runtime.tokens()), now
        ).as_json()

    def states(self) -> dict[int, str]:
        with database.reading(self.engine) as connection:
            return {key: status for key, status in connection.execute(sa.select(deliveries.c.subscriber, deliveries.c.status))}

    def status(self, subscriber: int) -> str:
        with database.reading(self.engine) as connection:
            query = sa.select(subscribers.c.status).where(subscribers.c.key == subscriber)
            return str(connection.execute(query).scalar_one())

    def snapshot(self) -> list[list[Any]]:
        with database.reading(self.engine) as connection:
            tables = (subscribers, suppressions, deliveries, bounces)
            return [[tuple(row) for row in connection.execute(sa.select(table))] for table in tables]


@pytest.fixture
def post(mailing: Mailing, mta: servers.Postfix) -> Post:
    return Post(mailing, mta)


def test_every_digest_goes_through_postfix_encrypted(post: Post) -> None:
    readers = post.subscribe(*(f"reader{number}@example.org" for number in range(60)))
    tally = post.send()
    assert (tally.sent, tally.problem) == (60, "")
    assert post.states() == dict.fromkeys(readers, "sent")
    post.mta.wait_for_log(*(f"to=<reader{number}@example.org>, relay=none" for number in range(60)))
    assert "TLS connection established from" in post.mta.log()


def test_what_arrives_is_the_message_that_was_made(post: Post) -> None:
    [reader] = post.subscribe("somebody@bounces.test")
    post.send()
    [path] = post.mta.wait_for_mail()
    message = message_from_bytes(path.read_bytes())
    token = post.mailing.site.runtime.tokens().bounce(1, reader)
    assert message["Return-Path"] == f"<digest+{token}@bounces.test>"
    assert message["Delivered-To"] == "somebody@bounces.test"
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    text = message.get_payload(0).get_payload(decode=True).decode()
    assert "关于 init 的一篇文章" in text
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_report_of_postfix_ends_a_subscription_once(post: Post) -> None:
    good, gone = post.subscribe("reader@example.org", f"nobody@{NOUSER}")
    assert post.send().sent == 2  # the next server refuses, later
    [path] = post.mta.wait_for_mail()
    report = message_from_bytes(path.read_bytes())
    token = post.mailing.site.runtime.tokens().bounce(1, gone)
    fields = report.get_payload(1).get_payload()
    assert fields[0]["Original-Envelope-Id"] == token
    assert fields[1]["Original-Recipient"] == f"rfc822;nobody@{NOUSER}"
    answer = post.collect()
    assert (answer["read"], answer["hard"], answer["ended"], answer["kept"]) == (1, 1, 1, 0)
    assert (post.status(good), post.status(gone)) == ("active", "bounced")
    assert post.mta.arrived() == []
    before = post.snapshot()
    assert post.collect()["read"] == 0
    assert post.snapshot() == before


def test_the_same_through_imap(post: Post, imap: int) -> None:
    good, gone = post.subscribe("reader@example.org", f"nobody@{NOUSER}")
    post.send()
    [report] = [path.read_bytes() for path in post.mta.wait_for_mail()]
    _send(post.mta, "somebody@example.org", "digest@bounces.test", b"Subject: a letter\r\n\r\nDear operator\r\n")
    post.mta.wait_for_mail(2)
    answer = post.collect(imap=imap)
    assert (answer["read"], answer["hard"], answer["ended"], answer["kept"]) == (2, 1, 1, 1)
    assert (post.status(good), post.status(gone)) == ("active", "bounced")
    [left] = post.mta.arrived()
    assert b"Dear operator" in left.read_bytes()
    assert left.name.endswith(":2,F")
    before = post.snapshot()
    assert post.collect(imap=imap)["read"] == 0
    path = post.mta.maildir / "new" / "again"
    path.write_bytes(report)  # the very bytes that came by IMAP, by Maildir now
    assert post.collect()["repeated"] == 1
    assert post.snapshot() == before


def test_many_reports_leave_an_imap_mailbox_in_batches(post: Post, imap: int) -> None:
    gone = post.subscribe(*(f"nobody{number}@{NOUSER}" for number in range(230)))
    post.send()
    post.mta.wait_for_mail(230)
    started = time.perf_counter()
    assert post.collect(imap=imap)["hard"] == 230
    assert time.perf_counter() - started < 20
    assert {post.status(key) for key in gone} == {"bounced"}
    assert post.mta.arrived() == []


def test_a_wrong_password_is_a_fault_without_that_password(post: Post, imap: int) -> None:
    environment = dataclasses.replace(
        post.mailing.site.environment, imap_url=SecretStr(f"imap://bounce:geheim@{HOST}:{imap}/INBOX")
    )
    with pytest.raises(MailboxError) as error:
        booking.collect(NewsletterContext(post.engine, environment, post.config, post.mailing.site.runtime.tokens()), MONDAY)
    assert "geheim" not in str(error.value)
    assert "bounce" in str(error.value)


def test_a_refused_recipient_is_off_the_list_at_once_and_the_others_get_theirs(post: Post) -> None:
    first, gone, last = post.subscribe("first@example.org", f"nobody@{REFUSED}", "last@example.org")
    tally = post.send()
    assert (tally.sent, tally.failed, tally.problem) == (2, 1, "")
    assert post.states() == {first: "sent", gone: "failed", last: "sent"}
    assert [post.status(key) for key in (first, gone, last)] == ["active", "bounced", "active"]


def test_a_greylisted_message_waits_and_goes_the_next_time(post: Post) -> None:
    grey, good = post.subscribe(f"reader-{time.time_ns()}@{GREY}", "reader@example.org")
    tally = post.send()
    assert (tally.sent, tally.retry) == (1, 1)
    assert post.states() == {grey: "retry", good: "sent"}
    assert post.send().sent == 0  # not before its time
    assert post.send(MONDAY + 1800).sent == 1
    assert post.states() == {grey: "sent", good: "sent"}
    assert post.status(grey) == "active"


def test_nothing_goes_to_a_server_whose_certificate_is_not_accepted(post: Post) -> None:
    [reader] = post.subscribe("reader@example.org")
    tally = post.send(smtp_url=f"smtp://localhost:{post.mta.port}")
    assert tally.sent == 0
    assert "certificate" in tally.problem
    assert post.states() == {reader: "pending"}


def test_nothing_goes_to_a_server_without_encryption_unless_that_is_said(post: Post) -> None:
    [reader] = post.subscribe("reader@example.org")
    with servers.receiver() as plain:
        tally = post.send(smtp_url=f"smtp://{HOST}:{plain.port}")
        assert tally.sent == 0
        assert "STARTTLS" in tally.problem
        assert plain.arrived == []
        assert post.states() == {reader: "pending"}
        assert post.send(smtp_url=f"smtp://{HOST}:{plain.port}?starttls=0").sent == 1
        [(sender, recipients, _data)] = plain.arrived
        assert (sender.partition("+")[0], recipients) == ("digest", ["reader@example.org"])


def test_a_plain_client_gets_the_same_report(post: Post) -> None:
    """Whatever carries a message: its envelope is enough."""
    [gone] = post.subscribe(f"nobody@{NOUSER}")
    token = post.mailing.site.runtime.tokens().bounce(4, gone)
    _send(post.mta, f"digest+{token}@bounces.test", f"nobody@{NOUSER}", b"Subject: x\r\n\r\ntext\r\n", envid=token)
    post.mta.wait_for_mail()
    assert post.collect()["hard"] == 1
    assert post.status(gone) == "bounced"


def test_a_report_with_a_forged_token_is_kept_and_changes_nothing(post: Post) -> None:
    [reader] = post.subscribe("reader@example.org")
    token = post.mailing.site.runtime.tokens().bounce(4, reader)
    forged = token[:-1] + ("0" if token[-1] != "0" else "1")
    _send(post.mta, f"digest+{forged}@bounces.test", f"nobody@{NOUSER}", b"Subject: x\r\n\r\ntext\r\n", envid=forged)
    [path] = post.mta.wait_for_mail()
    before = post.snapshot()
    answer = post.collect()
    assert (answer["kept"], answer["ended"]) == (1, 0)
    assert "token" in answer["problems"][0]["reason"]
    assert post.snapshot() == before
    assert [Path(left).name.partition(":")[0] for left in post.mta.arrived()] == [path.name.partition(":")[0]]


def _send(mta: servers.Postfix, sender: str, recipient: str, data: bytes, *, envid: str = "") -> None:
    with smtplib.SMTP(HOST, mta.port, timeout=20) as client:
        mail = ["RET=HDRS", f"ENVID={envid}"] if envid else []
        client.sendmail(sender, [recipient], data, mail_options=mail, rcpt_options=["NOTIFY=FAILURE"])
