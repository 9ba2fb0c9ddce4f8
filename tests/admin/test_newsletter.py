"""Subscribers in numbers, one of them by address; issues with their progress and the buttons for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.admin import actions
from feeds.database import tables
from feeds.database.tables import deliveries, subscribers
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.delivery.issue_status import recent_issues
from tests.admin.conftest import Operator
from tests.admin.test_reports import facts, rows
from tests.newsletter.conftest import MONDAY, Mailing

DAY = 86400


@pytest.fixture
def mailing(console_site: Any) -> Mailing:
    """Two subscribers, of whom both get this Monday's issue; nothing has been sent yet."""
    made = Mailing(console_site)
    made.write("11", MONDAY - 3600, title="内核文章", tags=["Linux"])
    console_site.rescan(MONDAY - 10**7)
    made.subscribe("tag=Linux", confirmed=int(time.time()) - 3 * DAY)
    made.subscribe("tag=Linux", confirmed=int(time.time()) - 40 * DAY)
    return made


@pytest.fixture
def issue(mailing: Mailing) -> str:
    context = NewsletterContext.of(mailing.site.runtime, mailing.site.runtime.edition().config)
    [planned] = digests.plan(context, MONDAY + 60)
    return str(planned.id)


def set_status(mailing: Mailing, *statuses: str) -> None:
    with database.writing(mailing.site.runtime.engine) as connection:
        for number, status in enumerate(statuses, 1):
            change = sa.update(deliveries).where(deliveries.c.subscriber == number)
            connection.execute(change.values(status=status, reply="550 <b>no</b>"))


def statuses(mailing: Mailing) -> list[str]:
    with mailing.site.runtime.reading() as connection:
        return list(connection.execute(sa.select(deliveries.c.status).order_by(deliveries.c.subscriber)).scalars())


# -- subscribers -----------------------------------------------------------------


def test_growth_is_told_day_by_day(mailing: Mailing, operator: Operator) -> None:
    with database.writing(mailing.site.runtime.engine) as connection:
        left = {"status": "unsubscribed", "ended": int(time.time()) - DAY}
        connection.execute(sa.update(subscribers).where(subscribers.c.key == 2).values(left))
        bounce = {"subscriber": 1, "issue": 1, "kind": "soft", "status": "4.0.0", "diagnostic": "", "at": int(time.time())}
        connection.execute(sa.insert(tables.bounces).values(message="x", **bounce))
    operator.get("/subscribers")
    assert facts(operator.page) | {"active": "1", "unsubscribed": "1"} == facts(operator.page)
    days = [row[1:] for row in rows(operator.page)[1:]]
    assert (days[0][0], days[0][3], days[1][2], days[3][:2], days[40][:2]) == ("1", "1", "1", ["2", "1"], ["1", "1"])
    assert days[89][0] == "0"


def test_no_address_is_listed(mailing: Mailing, operator: Operator) -> None:
    assert "reader1@example.org" not in operator.get("/subscribers").get_data(as_text=True)


def test_one_subscriber_is_found_by_the_whole_address(mailing: Mailing, issue: str, operator: Operator) -> None:
    operator.get("/subscribers")
    operator.post("/subscribers", email=" Reader1@Example.org ")
    found = facts(operator.page)
    assert (found["E-mail address"], found["State"], found["Weekly digest"]) == ("reader1@example.org", "active", "tag=Linux")
    assert rows(operator.page, 1)[1][1:3] == [issue, "pending"]


def test_an_address_that_is_not_known_or_none_is_told_so(mailing: Mailing, operator: Operator) -> None:
    operator.get("/subscribers")
    assert "not known here" in operator.post("/subscribers", email="reader@example.org").get_data(as_text=True)
    assert operator.post("/subscribers", email="nonsense").status_code == 400
    assert "no e-mail address" in operator.text


def test_the_log_has_no_whole_address(mailing: Mailing, operator: Operator) -> None:
    operator.get("/subscribers")
    operator.post("/subscribers", email="reader1@example.org")
    operator.get("/log")
    assert "r***@example.org" in operator.text and "reader1@" not in operator.text


# -- issues ------------------------------------------------------------------------


def test_an_issue_shows_how_far_it_has_come(mailing: Mailing, issue: str, operator: Operator) -> None:
    set_status(mailing, "sent", "failed")
    operator.get("/issues")
    assert issue in operator.text and "sent <b>1</b>" in operator.text and "failed <b>1</b>" in operator.text
    assert 'max="2" value="2"' in operator.text
    assert rows(operator.page)[1][1:] == ["reader2@example.org", "failed", "550 <b>no</b>"]


def test_an_issue_can_be_paused_resumed_and_cancelled(mailing: Mailing, issue: str, operator: Operator) -> None:
    for action, word, offered in (("pause", "paused", "Resume"), ("resume", "under way", "Pause"), ("cancel", "cancelled", "")):
        operator.get("/issues")
        assert operator.post(f"/issues/{action}").status_code == 303
        operator.follow()
        assert f">{word}</span>" in operator.text and offered in operator.text
        assert [one.status for one, _counts in mailing.site.runtime.read(recent_issues)] == [
            {"under way": "open"}.get(word, word)
        ]
    assert statuses(mailing) == ["cancelled", "cancelled"]


def test_uncertain_messages_are_sent_again_and_failed_ones_if_asked(mailing: Mailing, issue: str, operator: Operator) -> None:
    set_status(mailing, "uncertain", "failed")
    operator.get("/issues")
    operator.post("/issues/retry")
    assert statuses(mailing) == ["pending", "failed"]
    operator.get("/issues")
    operator.post("/issues/retry-failed")
    assert statuses(mailing) == ["pending", "pending"]
    operator.get("/log")
    assert [row[1] for row in rows(operator.page)[1:3]] == [
        "Uncertain and failed messages sent again",
        "Uncertain messages sent again",
    ]


@pytest.mark.parametrize(("action", "id"), [("pause", "nothing"), ("explode", "weekly"), ("pause", "")])
def test_what_is_no_issue_or_no_action_is_not_found(mailing: Mailing, operator: Operator, action: str, id: str) -> None:
    operator.get("/issues")
    key = operator.hidden("/issues/test")["key"]
    assert operator.post(f"/issues/{action}", key=key, issue=id).status_code == 404


def test_a_test_message_goes_to_one_address_outside_of_every_count(mailing: Mailing, issue: str, operator: Operator) -> None:
    operator.get("/issues")
    operator.post("/issues/test", email="me@example.org", frequency="weekly")
    assert operator.page.status_code == 303
    [message] = Path(mailing.site.root, "var", "maildir", "new").iterdir()
    assert b"To: me@example.org" in message.read_bytes()
    assert statuses(mailing) == ["pending", "pending"]
    operator.get("/log")
    assert "m***@example.org" in operator.text and "me@example.org" not in operator.text


def test_test_messages_are_few_an_hour(mailing: Mailing, operator: Operator) -> None:
    operator.get("/issues")
    key = operator.hidden("/issues/test")["key"]
    answers = [
        operator.post("/issues/test", email="me@example.org", frequency="daily", key=key).status_code
        for _one in range(actions.TESTS + 1)
    ]
    assert answers == [303] * actions.TESTS + [429]


def test_an_address_that_mail_cannot_reach_is_told_beside_the_form(mailing: Mailing, operator: Operator) -> None:
    operator.get("/issues")
    assert operator.post("/issues/test", email="<script>@", frequency="weekly").status_code == 400
    assert "<script>@" not in operator.text
    assert operator.post("/issues/test", email="me@example.org", frequency="hourly").status_code == 400


def test_where_the_newsletter_is_off_nothing_can_be_sent(operator: Operator) -> None:
    operator.get("/issues")
    assert "newsletter is off" in operator.text and "/issues/test" not in operator.text
    key = operator.hidden("/sign-out")["key"]
    assert operator.post("/issues/test", key=key, email="me@example.org", frequency="weekly").status_code == 404
