"""Issues as they would be, for previews and rehearsals of one message: the same articles as `issues` plans, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ..config import Config
from ..library import catalog
from ..library.matching import Matcher
from ..model import Article, Issue, IssueContent
from . import due as clock
from .issues import issue_article, wanted
from .subscribers import Subscription


def newest(
    connection: sa.Connection,
    config: Config,
    frequency: str,
    timezone: str,
    texts: Sequence[str],
    now: int,
    after: int | None = None,
    limit: int | None = None,
) -> IssueContent:
    """What someone with these selections would have got last: one period up to its newest instant.

    With `after` (UTC seconds), what came between then and now. At most the last `limit` articles are looked at.
    """
    zone, cron = ZoneInfo(timezone), config.newsletter.cron(frequency)
    due = clock.latest(frequency, cron, zone, now) if after is None else now
    since = clock.previous(frequency, cron, zone, due) if after is None else after
    articles = catalog.news(connection, since, due, limit=limit)
    return _content(config, frequency, due, timezone, texts, articles)


def coming(connection: sa.Connection, config: Config, subscription: Subscription, timezone: str, now: int) -> IssueContent:
    """The next issue of a subscription as it would be if it were due now; its `due` is when it will be.

    What is new is what came since the subscription's last issue, or, before its first, what that issue begins with.
    """
    frequency, zone = subscription.frequency, ZoneInfo(timezone)
    cron = config.newsletter.cron(frequency, subscription.day)
    since = subscription.covered
    if since is None:  # as in `issues`: a first issue begins where the one before would have ended, when subscribing
        since = clock.latest(frequency, cron, zone, subscription.since - 1)
    articles = catalog.news(connection, since, now, subscription.arrival)
    due = clock.following(frequency, cron, zone, now)
    return _content(config, frequency, due, timezone, subscription.selects, articles)


def _content(
    config: Config, frequency: str, due: int, timezone: str, texts: Sequence[str], articles: Sequence[Article]
) -> IssueContent:
    """Selections are numbered 1, 2, ..."""
    matcher = Matcher(articles, config.feeds.aliases)
    taken = {number: wanted(config, text) for number, text in enumerate(texts, 1)}
    sections = {(0, number): matcher.take(selection) for number, selection in taken.items() if selection is not None}
    id = f"{frequency}-{datetime.fromtimestamp(due, ZoneInfo(timezone)):%Y-%m-%d}"
    return IssueContent(
        Issue(0, id, frequency, due, timezone, articles=len(articles)),
        tuple(issue_article(config, article) for article in articles),
        {at: ranks for at, ranks in sections.items() if ranks},
        dict(enumerate(texts, 1)),
    )
