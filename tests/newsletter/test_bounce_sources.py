"""Bounce sources of other packages: polled like our own, or posted to; booked by the same rules, and once."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import Client, TestResponse

from feeds.database import tables
from feeds.newsletter.bounces import GROUP, BounceReport, BounceSource, MailboxError, WebhookError, booking, sources
from feeds.newsletter.subscribers import unsubscribe
from feeds.plugins import Plugin
from feeds.web.app import create_app

from .club import NOW, Club


class Acme(BounceSource):
    """A provider with a webhook, which is told apart from others by a key."""

    name = "acme of the tests"

    @classmethod
    def configured(cls, config: Any, environment: Any) -> Acme:
        return cls()

    def receive(self, headers: Mapping[str, str], body: bytes) -> list[BounceReport]:
        if headers.get("x-acme-key") != "right":
            raise WebhookError("wrong key", 403)
        try:
            return [BounceReport(id, kind, status, tokens=(token,)) for id, kind, status, token in json.loads(body)]
        except ValueError:
            raise WebhookError("no JSON") from None


class Queue(BounceSource):
    """A source that is polled; `pending` is what its server still has."""

    name = "a queue"
    pending: list[BounceReport] = []
    kept: list[str] = []

    def poll(self) -> Generator[Sequence[BounceReport]]:
        while batch := self.pending[:2]:
            yield batch

    def settle(self, booked: Sequence[BounceReport], kept: Sequence[BounceReport]) -> None:
        done = {report.name for report in (*booked, *kept)}
        self.pending[:] = [report for report in self.pending if report.name not in done]
        self.kept.extend(report.name for report in kept)


@pytest.fixture
def club(site: Any, monkeypatch: pytest.MonkeyPatch) -> Club:
    install(monkeypatch, acme="Acme.configured", off="not_configured", queue="make_queue")
    Queue.pending, Queue.kept = [], []
    return Club(site)


def install(monkeypatch: pytest.MonkeyPatch, **factories: str) -> None:
    found = [Plugin(GROUP, name, f"feeds-{name}", "1.0", f"{__name__}:{target}") for name, target in factories.items()]
    monkeypatch.setattr(sources, "find_plugins", lambda group: found if group == GROUP else ())


def not_configured(config: Any, environment: Any) -> None:
    return None


def make_queue(config: Any, environment: Any) -> Queue:
    return Queue()


@pytest.fixture
def browser(club: Club) -> Client:
    return Client(create_app(club.site.environment))


def token(club: Club) -> str:
    """Of a delivery to the only subscriber."""
    [(key,)] = club.rows(sa.select(tables.subscribers.c.key))
    return club.site.runtime.tokens().bounce(4, key)


def post(browser: Client, *events: Any, name: str = "acme", key: str = "right") -> TestResponse:
    return browser.post(f"/bounces/{name}", data=json.dumps(events), headers={"X-Acme-Key": key})


def test_an_event_of_a_webhook_is_booked_like_a_report_by_mail_and_once(club: Club, browser: Client) -> None:
    club.join()
    events = [["acme:1", "soft", "4.4.1", token(club)], ["acme:2", "hard", "5.1.1", token(club)]]
    answered = post(browser, *events)
    assert (answered.status_code, answered.data, answered.headers["Cache-Control"]) == (204, b"", "no-store")
    assert club.status() == "bounced"
    assert {row.status for row in club.rows(sa.select(tables.bounces))} == {"4.4.1", "5.1.1"}
    before = club.everything()
    assert post(browser, *events).status_code == 204
    assert club.everything() == before and club.count(tables.bounces) == 2


def test_an_event_without_a_valid_token_or_of_another_kind_changes_nothing(club: Club, browser: Client) -> None:
    club.join()
    before = club.everything()
    forged = token(club)[:-1] + "x"
    assert post(browser, ["1", "hard", "5.1.1", forged], ["2", "opened", "", token(club)]).status_code == 204
    assert club.everything() == before and club.count(tables.bounces) == 0


def test_what_a_source_refuses_is_answered_as_it_says(club: Club, browser: Client) -> None:
    refused = post(browser, ["1", "hard", "5.1.1", ""], key="wrong")
    assert (refused.status_code, refused.text) == (403, "wrong key\n")
    assert browser.post("/bounces/acme", data=b"{", headers={"X-Acme-Key": "right"}).status_code == 400
    assert browser.post("/bounces/acme", data=b"x" * 70_000, headers={"X-Acme-Key": "right"}).status_code == 413


@pytest.mark.parametrize("name", ["nobody", "off", "queue", "imap", "maildir"])
def test_only_a_configured_webhook_has_an_address(club: Club, browser: Client, name: str) -> None:
    club.site.settle("newsletter.yaml", bounces={"maildir": "var/returned"})
    club.site.rescan()
    assert post(browser, name=name).status_code == 404
    assert browser.get(f"/bounces/{name}").status_code == 404


def test_without_a_newsletter_there_is_no_webhook(club: Club, browser: Client) -> None:
    club.settle(enabled=False)
    assert post(browser).status_code == 404


def test_a_polled_source_is_read_to_the_end_and_told_what_to_let_go(club: Club) -> None:
    club.join()
    right = token(club)
    Queue.pending = [BounceReport(f"queue:{n}", "soft", "4.4.1", tokens=(right,), name=f"{n}") for n in range(3)]
    Queue.pending.append(BounceReport("queue:9", "hard", "5.1.1", name="nameless"))
    found = booking.collect(club.context, NOW).as_json()
    assert (found["read"], found["soft"], found["kept"]) == (4, 3, 1) and "a queue" in found["mailboxes"]
    assert found["problems"] == [
        {"mailbox": "a queue", "message": "nameless", "reason": "it names no subscriber by a valid token"}
    ]
    assert Queue.pending == [] and Queue.kept == ["nameless"] and club.status() == "active"


def test_a_source_that_cannot_be_loaded_is_named(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, broken="Nothing")
    with pytest.raises(MailboxError, match=r"package feeds-broken 1\.0: feeds\.bounces 'broken' .* cannot be used"):
        booking.collect(club.context, NOW)


def test_a_suppressed_address_stays_so_whatever_a_webhook_says(club: Club, browser: Client) -> None:
    club.join()
    unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW + 100)
    assert post(browser, ["acme:3", "hard", "5.1.1", token(club)]).status_code == 204
    assert club.status() == "unsubscribed"
