"""The clock's post: a sign-up is confirmed, a digest goes out at its instant, and again next week; nothing ends the clock."""

from __future__ import annotations

import email
import email.policy
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from werkzeug.test import Client

from feeds.audience import requests
from feeds.audience.requests import Batch, Counts
from feeds.newsletter import NewsletterContext
from feeds.newsletter.subscribers import signup
from feeds.newsletter.subscribers.signup import SignupForm
from feeds.scheduler import MailJobs
from feeds.web.app import create_app

Mailing = Any
MONDAY = 1_767_571_200  # 2026-01-05T00:00:00Z
WEEK = 7 * 86400


class Now:
    """A clock that stands until it is set."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return float(self.seconds)


def messages(site: Any) -> list[Any]:
    folder: Path = site.root / "var" / "maildir" / "new"
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns) if folder.is_dir() else []
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]


@pytest.fixture
def now() -> Now:
    return Now(MONDAY)


@pytest.fixture
def post(mailing: Mailing, now: Now) -> MailJobs:
    mailing.write("1", MONDAY - 3600, tags=["Linux"])
    mailing.site.rescan(MONDAY - 10**7)
    return MailJobs(mailing.site.runtime, now, threading.Event())


def test_an_issue_goes_out_at_its_instant_and_once(mailing: Mailing, post: MailJobs, now: Now) -> None:
    mailing.subscribe("tag=Linux")
    now.seconds = MONDAY - 1
    post.send()
    assert messages(mailing.site) == []
    for now.seconds in (MONDAY, MONDAY + 2, MONDAY + 3600):
        post.send()
    assert [message["To"] for message in messages(mailing.site)] == ["reader1@example.org"]


def test_a_clock_that_was_off_for_an_hour_catches_up(mailing: Mailing, post: MailJobs, now: Now) -> None:
    mailing.subscribe("tag=Linux")
    now.seconds = MONDAY + 3600
    post.send()
    assert len(messages(mailing.site)) == 1


def test_a_fault_is_said_once_and_ends_nothing(mailing: Mailing, post: MailJobs, now: Now) -> None:
    mailing.subscribe("tag=Linux")
    mailing.site.settle("newsletter.yaml", transport="smtp")
    mailing.site.rescan()
    with structlog.testing.capture_logs() as said:
        for _again in range(3):
            post.send()
    [fault] = [line["fault"] for line in said if line["event"] == "mail_failed"]
    assert "FEEDS_SMTP_URL" in fault
    mailing.site.settle("newsletter.yaml", transport="maildir")
    mailing.site.rescan()
    post.send()
    assert len(messages(mailing.site)) == 1


def test_a_newsletter_that_is_off_sends_nothing(mailing: Mailing, post: MailJobs) -> None:
    mailing.subscribe("tag=Linux")
    mailing.site.settle("newsletter.yaml", enabled=False)
    mailing.site.rescan()
    post.send()
    post.fetch()
    assert messages(mailing.site) == []


def test_from_the_form_to_the_digest_by_links_alone(mailing: Mailing, post: MailJobs, now: Now) -> None:
    client = Client(create_app(mailing.site.environment))
    page = client.get("/subscribe?select=tag%3DLinux", headers={"Accept-Language": "en"}).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    form = {**hidden, "email": "new@example.org", "select": "tag=Linux", "frequency": "weekly"}
    import time

    time.sleep(3)  # people take a moment to fill a form in, and programs do not
    assert client.post("/subscribe", data=form).status_code == 200
    now.seconds = int(time.time())
    post.send()
    [letter] = messages(mailing.site)
    link = re.search(r"https://feeds\.example(/confirm/\S+)", letter.get_body(("plain",)).get_content())
    assert link is not None
    assert client.get(link[1]).status_code == 200
    post.send()
    assert len(messages(mailing.site)) == 1, "a GET confirmed"
    asked = client.get(link[1]).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', asked))
    assert client.post(link[1], data=hidden).status_code in (200, 303)
    mailing.write("2", now.seconds + 60, tags=["Linux"], title="给新读者")
    mailing.site.rescan(now.seconds + 60)
    now.seconds += WEEK + 60
    post.send()
    digests = [message for message in messages(mailing.site) if "给新读者" in message.get_body(("plain",)).get_content()]
    assert [message["To"] for message in digests] == ["new@example.org"]


def test_an_address_that_never_confirmed_is_forgotten_by_the_clock(mailing: Mailing, post: MailJobs, now: Now) -> None:
    context = NewsletterContext.of(mailing.site.runtime, mailing.site.runtime.edition().config)
    signup.sign_up(context, SignupForm("never@example.org", ["tag=Linux"], "weekly"), now.seconds)
    for hours, kept in ((1, True), (24 * 30, False)):
        now.seconds = MONDAY + hours * 3600
        post.send()
        post.purge()
        assert ("never@example.org" in mailing.site.kept("requests")) is kept


def test_old_days_of_the_audience_are_forgotten_by_the_clock(mailing: Mailing, post: MailJobs, now: Now) -> None:
    runtime = mailing.site.runtime
    key = (datetime.fromtimestamp(MONDAY, UTC).toordinal(), "all", "atom")
    runtime.count(requests.add_batch, Batch({key: Counts(3)}))
    for days, kept in ((1, 3), (500, 0)):
        now.seconds = MONDAY + days * 86400
        post.purge()
        assert runtime.read(requests.recent_as_json, runtime.edition().config.zone, MONDAY, 1)["requests"] == kept
