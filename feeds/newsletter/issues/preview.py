"""Issues as they would be, for previews and rehearsals of one message: the same articles as `issues` plans, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ...catalog import queries
from ...config.models import Config
from ...model import Article, Issue, IssueContent, Recipient, Section
from ...selections import Aliases, condition, matches, term_keys
from ..subscribers import records
from ..subscribers.records import Subscriber, Subscription
from . import calendar as clock
from .archive import Part, heading_of
from .planning import issue_article, wanted
from .sections import arrange_sections


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
    articles = queries.new_articles(connection, since, due, limit=limit)
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
    articles = queries.new_articles(connection, since, now, subscription.arrival)
    due = clock.following(frequency, cron, zone, now)
    return _content(config, frequency, due, timezone, subscription.selects, articles)


def _content(
    config: Config, frequency: str, due: int, timezone: str, texts: Sequence[str], articles: Sequence[Article]
) -> IssueContent:
    """Selections are numbered 1, 2, ..."""
    aliases = Aliases.from_config(config.feeds.aliases)
    terms = [term_keys(article) for article in articles]
    sections: dict[tuple[int, int], tuple[int, ...]] = {}
    for number, text in enumerate(texts, 1):
        selection = wanted(config, text)
        if selection is not None:
            asked = condition(selection, aliases)
            sections[0, number] = tuple(rank for rank, found in enumerate(terms) if matches(asked, found))
    id = f"{frequency}-{datetime.fromtimestamp(due, ZoneInfo(timezone)):%Y-%m-%d}"
    return IssueContent(
        Issue(0, id, frequency, due, timezone, articles=len(articles)),
        tuple(issue_article(config, article) for article in articles),
        {at: ranks for at, ranks in sections.items() if ranks},
        dict(enumerate(texts, 1)),
    )


# A subscriber's next digests, as they would be if they were due now. Nothing is written.


@dataclass(frozen=True, slots=True)
class Coming:
    """The next digest of a frequency: when it goes out, in the subscriber's time zone, and what would be in it.

    `more` are articles beyond `max_articles`, which the message counts and links. Without `parts` none would be sent.
    """

    frequency: str
    at: datetime
    parts: tuple[Part, ...]
    more: int


def digests(connection: sa.Connection, config: Config, known: Subscriber, now: int, *, chinese: bool) -> list[Coming]:
    """One for each frequency that the subscriber has."""
    return [
        _coming(config, coming(connection, config, one, known.timezone, now), known, chinese)
        for one in _subscriptions(connection, config, known)
    ]


def content(
    connection: sa.Connection, config: Config, known: Subscriber, frequency: str, now: int
) -> tuple[IssueContent, Recipient] | None:
    """What the message of one frequency is made of; None where the subscriber has no such digest."""
    for one in _subscriptions(connection, config, known):
        if one.frequency == frequency:
            made = coming(connection, config, one, known.timezone, now)
            return made, _recipient(known, made)
    return None


def _subscriptions(connection: sa.Connection, config: Config, known: Subscriber) -> list[Subscription]:
    offered = config.newsletter.frequencies
    return [one for one in records.subscriptions_of(connection, known.key) if one.frequency in offered]


def _recipient(known: Subscriber, made: IssueContent) -> Recipient:
    return Recipient(known.key, known.address, known.language, known.timezone, known.version, 0, tuple(made.queries))


def _coming(config: Config, made: IssueContent, known: Subscriber, chinese: bool) -> Coming:
    found = arrange_sections(made, 0, tuple(made.queries), config.newsletter.max_articles)
    at = datetime.fromtimestamp(made.issue.due, ZoneInfo(known.timezone))
    parts = tuple(_part(config, made, section, chinese) for section in found)
    return Coming(made.issue.frequency, at, parts, sum(section.more for section in found))


def _part(config: Config, made: IssueContent, section: Section, chinese: bool) -> Part:
    heading, link = heading_of(config, made.queries[section.selection], "zh-CN" if chinese else "en")
    return Part(heading, link, tuple(made.articles[rank] for rank in section.ranks))
