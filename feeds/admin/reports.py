"""Reports of the console: how things stand, excerpts of quarantined files, the audit log; feeds and subscribers in numbers.

Read-only. Nobody is listed: readers and subscribers are only counted, and comments of readers are never shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from .. import audit_log, urls
from ..audience import requests
from ..audience.requests import Counts
from ..catalog import queries, search
from ..config.models import Config
from ..database import count_rows
from ..database.tables import articles, bounces, operator_log, quarantine, subscribers
from ..model import FREQUENCIES, FeedState, Problem
from ..newsletter.delivery import issue_status
from ..newsletter.issues import calendar
from ..rescan import RemovalHold, is_accepted
from ..store.git import RepositoryStatus
from ..store.search_words import clean_query, sought_words
from ..syndication import editions, feed_states
from ..websub import subscriptions

#: Rescans that the overview lists.
RESCANS = 15
#: Quarantined files, entries of the audit log, and articles whose bodies were changed, on one page.
PROBLEMS, ENTRIES, ARTICLES = 20, 100, 50


@dataclass(frozen=True, slots=True)
class Overview:
    """How things stand: what is published, what is faulty, what was done of late, what is due next (frequency -> UTC seconds).

    Something was left out of the bodies of `mended` articles, or mended in them. `waiting` files have a date to come; the next
    one is out at `next_out` (UTC seconds). `rescan` is the report of the last one that went well, with its time `at`; `going`:
    the articles of `held` have been let go.
    """

    articles: int
    feeds: int
    quarantined: int
    mended: int
    waiting: int
    next_out: int | None
    terms: Mapping[str, int]
    rescan: Mapping[str, Any] | None
    rescans: Sequence[audit_log.Rescan]
    rescan_fault: str
    config_fault: str
    held: RemovalHold | None
    going: bool
    git: RepositoryStatus | None
    due: Mapping[str, int]
    deliveries: Mapping[str, int]
    subscribers: Mapping[str, int]
    hub: Mapping[str, int]


def read_overview(connection: sa.Connection, now: int) -> Overview:
    """Return the overview; `due` is reckoned from `now` (UTC seconds) in the site's time zone."""
    stored, config = editions.load_state(connection), editions.load_edition(connection).config
    due, (waiting, next_out) = {}, queries.waiting_files(connection)
    if config is not None and config.newsletter.enabled:
        settings = config.newsletter
        offered = [name for name in FREQUENCIES if name in settings.frequencies]
        due = {name: calendar.next_due(name, settings.cron(name), config.zone, now) for name in offered}
    return Overview(
        articles=count_rows(connection, articles),
        feeds=len(feed_states.load_paths(connection)),
        quarantined=count_rows(connection, quarantine),
        mended=_count_mended(connection),
        waiting=waiting,
        next_out=next_out,
        terms=queries.term_counts(connection),
        rescan=json.loads(stored.get("rescan", "null")),
        rescans=audit_log.last_rescans(connection, RESCANS),
        rescan_fault=stored.get("rescan_fault", ""),
        config_fault=stored.get("config_fault", ""),
        held=RemovalHold.from_state(stored),
        going=is_accepted(stored),
        git=RepositoryStatus.from_state(stored),
        due=due,
        deliveries=issue_status.counts(connection),
        subscribers=issue_status.subscriber_counts(connection),
        hub=subscriptions.counts(connection),
    )


def read_quarantine(connection: sa.Connection, page: int) -> tuple[Sequence[Problem], int, int]:
    """Return one page of the quarantined files, the number of them, and the number of pages."""
    found = queries.list_problems(connection)
    pages = max(1, -(-len(found) // PROBLEMS))
    page = min(max(page, 1), pages)
    return found[(page - 1) * PROBLEMS : page * PROBLEMS], len(found), pages


@dataclass(frozen=True, slots=True)
class CheckedArticle:
    """An article with what was left out of its body or mended in it -> how often. `id` is that of its page."""

    id: str
    title: str
    path: str
    changes: Mapping[str, int]


def read_articles(connection: sa.Connection, typed: str, page: int) -> tuple[Sequence[CheckedArticle], int, int]:
    """Return one page of the articles that a search finds, the best first; the number of them, and of pages.

    Without a search these are the articles whose bodies were changed, the newest first.
    """
    sought = sought_words(clean_query(typed))
    c = articles.c
    query = sa.select(c.key, c.id, c.title, c.path, c.changes)
    if sought:
        found = search.find_articles(connection, sought)
        total, pages, offset = _page(found.total, page)
        keys = search.in_order(connection, found, ARTICLES, offset)
        by_key = {row.key: row for row in connection.execute(query.where(c.key.in_(keys)))}
        rows = [by_key[key] for key in keys]
    else:
        total, pages, offset = _page(_count_mended(connection), page)
        query = query.where(c.changes != "").order_by(c.position.desc()).limit(ARTICLES).offset(offset)
        rows = list(connection.execute(query))
    return [CheckedArticle(row.id, row.title, row.path, json.loads(row.changes or "{}")) for row in rows], total, pages


def _page(total: int, page: int) -> tuple[int, int, int]:
    """Return the number of articles, of their pages, and of those before a page."""
    pages = max(1, -(-total // ARTICLES))
    return total, pages, (min(max(page, 1), pages) - 1) * ARTICLES


def _count_mended(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(articles).where(articles.c.changes != "")).scalar_one()


def read_audit_log(connection: sa.Connection, page: int) -> tuple[Sequence[audit_log.Entry], int]:
    """Return one page of the audit log, the newest entries first, and the number of pages."""
    pages = max(1, -(-count_rows(connection, operator_log) // ENTRIES))
    return audit_log.entries(connection, ENTRIES, (min(max(page, 1), pages) - 1) * ENTRIES), pages


# A quarantined file is damaged: the end of its comments is uncertain. A line is hidden from the first sign of comments to the
# one place where the archive's files go on behind them; where that is missing too, all the rest is hidden.

#: Lines shown before and behind the one that is named; how much of a line; how much of a file is read.
AROUND, WIDTH, MAX_BYTES = 3, 200, 1024 * 1024
#: Any of these says that the file has, or had, comments of the archive's kind.
_MARKS = re.compile(r"comments_data|postip|islctt|commentnum|largepic")
_BEGIN = re.compile(r"comments_data\s*:\s*")
_NO_COMMENTS = re.compile(r"comments_data\s*:\s*(\[\s*\]|\{\s*\}|''|\"\"|null|~)\s*")
_COMMENTS = re.compile(
    r"[\s\-'\"{\[,]*(?:comments_data|postip|username|message)\b|.*\b(?:comments_data|postip)\b", re.IGNORECASE
)
_BEHIND = re.compile(r"count\s*:\s*(\{[\w\s:,]*\})?\s*")
_FENCE = re.compile(r"---[ \t]*|\[#\]:.*")
_ITEM = re.compile(r"\s*- ")
_KEY = re.compile(r"(?P<key>[A-Za-z_]\w*)\s*:(?:\s|$)")
#: Keys whose values may be lists; items under any other key may be comments that have lost theirs.
_LISTS = frozenset(
    {"tags", "tag", "categories", "category", "authors", "author", "translator", "related", "aliases", "keywords"}
)


@dataclass(frozen=True, slots=True)
class Line:
    """`text` is None where the line may hold a comment; `cut` where there is more of it."""

    number: int
    text: str | None
    cut: bool = False


def read_excerpt(store: Path, path: str, line: int) -> Sequence[Line]:
    """Return the lines around number `line` of a file. Empty without a line, or where no such file is below the store."""
    try:
        file = (store / path).resolve()
        if line < 1 or not file.is_relative_to(store.resolve()) or not file.is_file():
            return ()
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ()
    return excerpt(text, line)


def excerpt(text: str, line: int) -> Sequence[Line]:
    """Return the lines of `text` around number `line`, counted from 1."""
    rows = re.split(r"\r\n|\n|\r", text)
    first, last = max(1, line - AROUND), min(len(rows), line + AROUND)
    shown = list(_hide_comments(rows[:last], marked=bool(_MARKS.search(text))))
    return [
        Line(number, row[:WIDTH], cut=True) if row is not None and len(row) > WIDTH else Line(number, row)
        for number, row in enumerate(shown[first - 1 :], first)
    ]


def _hide_comments(rows: Sequence[str], *, marked: bool) -> Iterator[str | None]:
    """Yield each line, or None in its place. `marked`: the file is of the archive's kind; its beginning must look so, too."""
    begin = next((number for number, row in enumerate(rows) if row.strip()), 0)
    hidden, key, fences = False, "", 0
    for number, row in enumerate(rows):
        if number == begin:
            hidden = marked and not _FENCE.fullmatch(row)
        fences += bool(_FENCE.fullmatch(row))
        if not (hidden or _BEGIN.fullmatch(row) or _NO_COMMENTS.fullmatch(row)):
            header = marked and fences < 2
            hidden = bool(_COMMENTS.match(row) or (header and _ITEM.match(row) and key not in _LISTS))
        hidden = hidden and not _BEHIND.fullmatch(row)
        yield None if hidden else row
        hidden = hidden or bool(_BEGIN.fullmatch(row))
        if found := _KEY.match(row):
            key = found["key"]


# -- feeds and subscribers in numbers ------------------------------------------

#: Days that the table sums up, and that charts show, today included.
RECENT, CHARTED = 7, 90
#: Feeds on one page of the table.
PAGE = 50


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One feed: when its document `changed` last, counts and readers of the last RECENT days."""

    state: FeedState
    changed: datetime
    counts: Counts
    readers: int


#: Columns to sort by: their values, and whether the largest comes first. Equal rows are in the order of paths.
ORDERS: Mapping[str, tuple[Callable[[FeedRow], object], bool]] = {
    "feed": (lambda row: "", False),
    "articles": (lambda row: row.state.articles, True),
    "changed": (lambda row: row.state.changed, True),
    "requests": (lambda row: row.counts.requests, True),
    "unchanged": (lambda row: row.counts.unchanged, True),
    "readers": (lambda row: row.readers, True),
}


@dataclass(frozen=True, slots=True)
class FeedTable:
    """One page of the feeds: `found` match, on `pages` pages."""

    rows: Sequence[FeedRow]
    found: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class FeedDay:
    """Requests and readers of one feed on one day."""

    day: date
    counts: Counts
    readers: int


@dataclass(frozen=True, slots=True)
class FeedHistory:
    """One feed: each of the last CHARTED days, the oldest first; `told` are the readers by aggregator."""

    row: FeedRow
    days: Sequence[FeedDay]
    told: Mapping[str, int]


def feed_table(connection: sa.Connection, config: Config, text: str, order: str, page: int, now: float) -> FeedTable:
    """Return a page of the feeds whose title or address contains `text`, sorted by a column of ORDERS."""
    folded = urls.fold(text.strip())
    since = requests.day_of(config.zone, now) - RECENT + 1
    counts, readers = requests.requests_by_path(connection, since), requests.readers_by(connection, since, "path")
    rows = []
    for state in feed_states.load_states(connection):
        if folded in urls.fold(state.title) or folded in urls.fold(state.path):
            changed = datetime.fromtimestamp(state.changed, config.zone)
            rows.append(FeedRow(state, changed, counts.get(state.path, Counts()), readers.get(state.path, 0)))
    value, reverse = ORDERS[order]
    rows.sort(key=lambda row: (value(row), row.state.path), reverse=reverse)
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(page, 1), pages)
    return FeedTable(rows[(page - 1) * PAGE : page * PAGE], len(rows), page, pages)


def feed_history(connection: sa.Connection, config: Config, path: str, now: float) -> FeedHistory | None:
    """Return the feed at `path` by day, or None."""
    state = feed_states.find_state(connection, path)
    if state is None:
        return None
    today = requests.day_of(config.zone, now)
    since, recent = today - CHARTED + 1, today - RECENT + 1
    counts, readers = requests.requests_by_day(connection, path, since), requests.readers_by_day(connection, path, since)
    days = [FeedDay(date.fromordinal(day), counts.get(day, Counts()), readers.get(day, 0)) for day in range(since, today + 1)]
    week = Counts()
    for day, one in counts.items():
        week = week.plus(one) if day >= recent else week
    reported = requests.readers_by(connection, recent, "aggregator", path)
    changed = datetime.fromtimestamp(state.changed, config.zone)
    return FeedHistory(FeedRow(state, changed, week, sum(reported.values())), days, reported)


@dataclass(frozen=True, slots=True)
class SubscriberDay:
    """`confirmed` and `left` that day; `active` at its end; `bounced` are reports of mail that did not arrive."""

    day: date
    confirmed: int
    left: int
    active: int
    bounced: int


@dataclass(frozen=True, slots=True)
class Growth:
    """Subscribers by state, and each of the last CHARTED days. Erased subscribers are in no number."""

    states: Mapping[str, int]
    days: Sequence[SubscriberDay]


def subscriber_growth(connection: sa.Connection, config: Config, now: float) -> Growth:
    """Return how many subscribers there are, and how many confirmed, left and bounced by day."""
    today = requests.day_of(config.zone, now)
    first = today - CHARTED + 1
    start = int(datetime.combine(date.fromordinal(first), datetime.min.time(), config.zone).timestamp())
    s = subscribers.c
    columns = (s.confirmed, s.ended, bounces.c.at)
    came, left, bounced = (_count_by_day(connection, config, column, start, now) for column in columns)
    before = sa.and_(s.confirmed < start, sa.or_(s.ended.is_(None), s.ended >= start))
    active = count_rows(connection, subscribers, before)
    days = []
    for day in range(first, today + 1):
        active += came.get(day, 0) - left.get(day, 0)
        days.append(SubscriberDay(date.fromordinal(day), came.get(day, 0), left.get(day, 0), active, bounced.get(day, 0)))
    return Growth(issue_status.subscriber_counts(connection), days)


def _count_by_day(connection: sa.Connection, config: Config, column: sa.Column[int], start: int, now: float) -> dict[int, int]:
    """Return day (as `date.toordinal`) -> rows; counted by the hour first, so that the database need not know time zones."""
    query = (
        sa.select((column // 3600).label("hour"), sa.func.count()).where(column >= start, column <= int(now)).group_by("hour")
    )
    found: dict[int, int] = {}
    for number, count in connection.execute(query.group_by("hour")):
        day = datetime.fromtimestamp(int(number) * 3600, config.zone).date().toordinal()
        found[day] = found.get(day, 0) + int(count)
    return found
