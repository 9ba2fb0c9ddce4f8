"""Show issues as they would be: the same articles as `planning` takes, nothing written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ...catalog import queries
from ...config.models import Config
from ...model import Article, Issue, IssueContent, Recipient
from ..subscribers import records
from ..subscribers.records import Subscriber, Subscription
from . import calendar
from .archive import Part, make_part
from .planning import issue_article
from .sections import ArticleMatcher, arrange_sections


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """A reader as a preview supposes one: `selects` are queries of selections, "" for all articles."""

    frequency: str
    timezone: str
    selects: Sequence[str] = ("",)
    language: str = ""
    address: str = "reader@example.org"


@dataclass(frozen=True, slots=True)
class UpcomingDigest:
    """The next digest of a frequency: when it goes out, in the subscriber's time zone, and what would be in it.

    `more` are articles beyond `max_articles`, which the message counts and links. Without `parts` none would be sent.
    """

    frequency: str
    at: datetime
    parts: tuple[Part, ...]
    more: int


def newest_content(
    connection: sa.Connection,
    config: Config,
    wanted: PreviewRequest,
    now: int,
    *,
    after: int | None = None,
    limit: int | None = None,
) -> IssueContent:
    """Return what the reader would have got last: one period up to its newest instant before `now` (UTC seconds).

    With `after` (UTC seconds), what came between then and now. At most the last `limit` articles are looked at.
    """
    zone, cron = ZoneInfo(wanted.timezone), config.newsletter.cron(wanted.frequency)
    due, since = now, after
    if since is None:
        due = calendar.latest_due(wanted.frequency, cron, zone, now)
        since = calendar.latest_due(wanted.frequency, cron, zone, due - 1)
    articles = queries.new_articles(connection, config.site, since, due, limit=limit)
    return _make_content(config, articles, wanted, due)


def upcoming_contents(
    connection: sa.Connection, config: Config, known: Subscriber, now: int
) -> Iterator[tuple[Subscription, IssueContent]]:
    """Yield each subscription that is still offered, and its next issue as if it were due now; its `due` is when it will be.

    What is new is what came since the subscription's last issue, or, before its first, what that issue begins with.
    """
    zone = ZoneInfo(known.timezone)
    for one in records.subscriptions_of(connection, known.key):
        if one.frequency not in config.newsletter.frequencies:
            continue
        cron, since = config.newsletter.cron(one.frequency, one.day), one.covered
        if since is None:  # as in `planning`: a first issue begins where the one before would have ended, when subscribing
            since = calendar.latest_due(one.frequency, cron, zone, one.since - 1)
        articles = queries.new_articles(connection, config.site, since, now, one.arrival)
        due = calendar.next_due(one.frequency, cron, zone, now)
        yield one, _make_content(config, articles, PreviewRequest(one.frequency, known.timezone, one.selects), due)


def _make_content(config: Config, articles: Sequence[Article], wanted: PreviewRequest, due: int) -> IssueContent:
    """Return articles as an issue that was not planned; selections are numbered 1, 2, ..."""
    chosen = dict(enumerate(wanted.selects, 1))
    matcher = ArticleMatcher(config, articles)
    id = f"{wanted.frequency}-{datetime.fromtimestamp(due, ZoneInfo(wanted.timezone)):%Y-%m-%d}"
    return IssueContent(
        Issue(0, id, wanted.frequency, due, wanted.timezone, articles=len(articles)),
        tuple(issue_article(config, article) for article in articles),
        {(0, number): ranks for number, query in chosen.items() if (ranks := matcher.ranks(query))},
        chosen,
    )


def upcoming_digests(
    connection: sa.Connection, config: Config, known: Subscriber, now: int, language: str
) -> list[UpcomingDigest]:
    """Return one for each frequency that the subscriber has, as they would be if they were due now."""
    found = []
    for one, content in upcoming_contents(connection, config, known, now):
        sections = arrange_sections(content, 0, tuple(content.queries), config.newsletter.max_articles)
        parts = tuple(make_part(config, content, section.selection, section.ranks, language) for section in sections)
        at = datetime.fromtimestamp(content.issue.due, ZoneInfo(known.timezone))
        found.append(UpcomingDigest(one.frequency, at, parts, sum(section.more for section in sections)))
    return found


def upcoming_message(
    connection: sa.Connection, config: Config, known: Subscriber, frequency: str, now: int
) -> tuple[IssueContent, Recipient] | None:
    """Return what the next message of one frequency is made of; None where the subscriber has no such digest."""
    for one, content in upcoming_contents(connection, config, known, now):
        if one.frequency == frequency:
            wanted = tuple(content.queries)
            return content, Recipient(known.key, known.address, known.language, known.timezone, known.version, 0, wanted)
    return None
