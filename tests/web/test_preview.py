"""A subscriber's next digest as it would be now: what is shown is what will be sent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.subscribers import preferences, unsubscribe

from ..newsletter.club import DAY, NOW, Club

WEEK = 7 * DAY


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


@pytest.fixture
def browser(club: Club, make_client: Callable[[Any], Client]) -> Client:
    return make_client(club.site)


def publish(club: Club, id: str, at: int, **header: Any) -> None:
    club.site.write(
        f"{id}.md", date=f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}+00:00", title=f"Article {id}", **header
    )
    club.site.rescan(at)


def shown(club: Club, token: str, now: int) -> dict[str, list[str]]:
    """Frequency -> titles on the page."""
    found = preferences.preview_digests(club.context, token, now, "zh-CN")
    assert found is not None
    return {one.frequency: [article.title for part in one.parts for article in part.articles] for one in found}


def sent(club: Club, now: int) -> dict[str, list[str]]:
    """Frequency -> titles of the message that an issue due at `now` holds for the one subscriber there is."""
    context = NewsletterContext.of(club.site.runtime, club.config)
    return {
        rehearsal.issue.frequency: [f"Article {id}" for recipient in rehearsal.recipients for id in recipient.articles]
        for rehearsal in digests.rehearse(context, now)
    }


def test_it_shows_what_came_since_the_last_issue_and_is_chosen(club: Club) -> None:
    token = club.join("reader@example.org", "tag=Linux", now=NOW + 100)
    publish(club, "10", NOW + DAY, tags=["Linux"])
    publish(club, "11", NOW + DAY + 60, tags=["Windows"])
    assert shown(club, token, NOW + 2 * DAY) == {"weekly": ["Article 10"]}
    assert sent(club, NOW + WEEK) == {"weekly": ["Article 10"]}
    digests.plan(NewsletterContext.of(club.site.runtime, club.config), NOW + WEEK)
    assert shown(club, token, NOW + WEEK + 60) == {"weekly": []}


def test_the_page_says_when_it_comes_and_leads_to_the_mail_itself(browser: Client, club: Club) -> None:
    now = int(time.time())
    token = club.join("reader@example.org", "tag=Linux", now=now - 400)
    publish(club, "10", now - 60, tags=["Linux"])
    page = browser.get(f"/preferences/{token}/next")
    assert page.status_code == 200
    assert "Article 10" in page.text and "下一期" in page.text
    assert f"/preferences/{token}/next/weekly" in page.text
    mail = browser.get(f"/preferences/{token}/next/weekly")
    assert "r***@example.org" in mail.text and "reader@example.org" not in page.text + mail.text
    assert set(re.findall(r"/preferences/([\w-]+)", mail.text)) == {token}, "looking makes no link younger"
    assert mail.status_code == 200 and "Article 10" in mail.text and "<style" not in page.text
    for answered in (page, mail):
        assert answered.headers["Cache-Control"] == "no-store"
        assert answered.headers["Referrer-Policy"] == "same-origin"
        assert "script-src" not in mail.headers["Content-Security-Policy"]


def test_without_news_it_says_that_nothing_would_be_sent(browser: Client, club: Club) -> None:
    token = club.join("reader@example.org", "tag=AI", now=int(time.time()) - 400)
    assert "没有内容的文摘不会寄出" in browser.get(f"/preferences/{token}/next").text


def test_looking_at_it_changes_nothing(browser: Client, club: Club) -> None:
    token = club.join("reader@example.org", "tag=Linux", now=int(time.time()) - 400)
    before = club.everything()
    for address in (f"/preferences/{token}/next", f"/preferences/{token}/next/weekly"):
        assert browser.get(address).status_code == 200
    assert club.everything() == before


def test_it_is_reached_from_the_subscribers_page_and_by_nobody_else(browser: Client, club: Club) -> None:
    token = club.join(now=int(time.time()) - 400)
    assert f"/preferences/{token}/next" in browser.get(f"/preferences/{token}").text
    for address in ("/preferences/none/next", "/preferences/none/next/weekly", f"/preferences/{token}/next/hourly"):
        assert browser.get(address).status_code == 404
    unsubscribe.unsubscribe(club.context, club.leaving(), "", NOW)
    assert browser.get(f"/preferences/{token}/next").status_code == 404
