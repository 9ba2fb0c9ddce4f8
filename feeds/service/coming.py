"""A subscriber's next digests, as they would be if they were due now. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ..config import Config
from ..model import IssueContent, Recipient, Section
from ..newsletter import drafts, layout, subscribers
from ..newsletter.subscribers import Subscriber, Subscription
from .archive import Part, heading_of


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
        _coming(config, drafts.coming(connection, config, one, known.timezone, now), known, chinese)
        for one in _subscriptions(connection, config, known)
    ]


def content(
    connection: sa.Connection, config: Config, known: Subscriber, frequency: str, now: int
) -> tuple[IssueContent, Recipient] | None:
    """What the message of one frequency is made of; None where the subscriber has no such digest."""
    for one in _subscriptions(connection, config, known):
        if one.frequency == frequency:
            made = drafts.coming(connection, config, one, known.timezone, now)
            return made, _recipient(known, made)
    return None


def _subscriptions(connection: sa.Connection, config: Config, known: Subscriber) -> list[Subscription]:
    offered = config.newsletter.frequencies
    return [one for one in subscribers.subscriptions_of(connection, known.key) if one.frequency in offered]


def _recipient(known: Subscriber, made: IssueContent) -> Recipient:
    return Recipient(known.key, known.address, known.language, known.timezone, known.version, 0, tuple(made.queries))


def _coming(config: Config, made: IssueContent, known: Subscriber, chinese: bool) -> Coming:
    found = layout.sections(made, 0, tuple(made.queries), config.newsletter.max_articles)
    at = datetime.fromtimestamp(made.issue.due, ZoneInfo(known.timezone))
    parts = tuple(_part(config, made, section, chinese) for section in found)
    return Coming(made.issue.frequency, at, parts, sum(section.more for section in found))


def _part(config: Config, made: IssueContent, section: Section, chinese: bool) -> Part:
    heading, link = heading_of(config, made.queries[section.selection], chinese=chinese)
    return Part(heading, link, tuple(made.articles[rank] for rank in section.ranks))
