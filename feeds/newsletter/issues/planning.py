"""Plan issues: what is due becomes an issue and its deliveries, in one transaction; and read issues that were planned.

When something is due is decided in `calendar`, what a selection takes in `sections`; here both meet the tables. A cohort is
planned once for each instant (`plans`), so that a restart, a missed hour, two clocks or a clock that jumps neither skip nor
repeat an issue. What is new for a subscription is what became available since its last issue, and what rescans after that issue
brought: an article at a window's edge is in one of two issues, never in both and never in none. How far a subscription has come
is its `reach`; those that have come equally far share one list of articles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ... import urls
from ...catalog import queries
from ...database import insert_rows
from ...database.backup import RESTORED
from ...database.tables import (
    cohorts,
    deliveries,
    departed,
    issue_articles,
    issue_sections,
    issues,
    plans,
    state,
    subscribers,
    subscriptions,
)
from ...database.tables import selections as selections_table
from ...licences import differing_licence
from ...model import Article, Credit, Issue, IssueArticle, IssueContent, Recipient
from . import calendar
from .sections import ArticleMatcher

if TYPE_CHECKING:
    from ...config.models import Config

_CHUNK = 20_000
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Subscriptions whose issues are due at the same instants; `due` is the newest of them, `before` the one before."""

    key: int
    frequency: str
    day: int
    timezone: str
    due: int
    before: int


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a group of subscriptions has come: up to that time, and that rescan.

    `settled`: the last rescan of which this issue may bring anything; None for all. After a clock that was ahead, some articles
    are of a time that counts as over and not due yet: they, and what came with them or later, wait for a later issue.
    """

    after: int
    arrival: int | None
    settled: int | None = None


#: Cohort, `covered`, `arrival`, and when it was entered if that matters: what decides a subscription's reach.
_Coverage = tuple[int, int | None, int | None, int | None]


def due_cohorts(connection: sa.Connection, config: Config, now: int) -> list[Cohort]:
    """Return the cohorts whose newest instant has not been planned yet."""
    offered = sa.select(cohorts).where(cohorts.c.frequency.in_(list(config.newsletter.frequencies)))
    found = []
    for row in connection.execute(offered.order_by(cohorts.c.key)):
        zone, cron = ZoneInfo(row.timezone), config.newsletter.cron(row.frequency, row.day)
        due = calendar.latest_due(row.frequency, cron, zone, now)
        before = calendar.latest_due(row.frequency, cron, zone, due - 1)
        found.append(Cohort(row.key, row.frequency, row.day, row.timezone, due, before))
    done = sa.select(plans.c.cohort, plans.c.due).where(plans.c.due >= min((one.due for one in found), default=0))
    planned = {(cohort, due) for cohort, due in connection.execute(done)}
    return [one for one in found if (one.key, one.due) not in planned]


def plan_issues(
    connection: sa.Connection,
    config: Config,
    *,
    now: int,
    arrival: int,
    written_at: int | None = None,
    progress: Progress | None = None,
) -> list[Issue]:
    """Write every issue that is due at `now` (UTC seconds) and its deliveries; return those that anyone gets. Idempotent.

    `arrival` is the catalog's generation; no rescan may write at the same time. A subscription entered after an instant does
    not get that issue. With `written_at`, the real time, an operator catches up as at `now`: it goes by when subscribers
    confirmed instead, and an issue that is late goes out at once. `progress` gets the number of deliveries so far.
    """
    groups: dict[tuple[int, str], list[Cohort]] = {}
    for cohort in due_cohorts(connection, config, now):
        groups.setdefault((cohort.due, cohort.frequency), []).append(cohort)
    found = []
    for (due, _frequency), members in sorted(groups.items(), key=lambda group: group[0]):
        eligible, is_catching_up = subscriptions.c.since <= due, written_at is not None
        if is_catching_up:
            confirmed = sa.select(subscribers.c.key).where(subscribers.c.confirmed <= due)
            eligible = subscriptions.c.subscriber.in_(confirmed)
        planner = _Planner(
            connection, config, members, due, eligible, now, written_at or now, is_catching_up, arrival, progress
        )
        found.append(planner.plan_issue())
    return [issue for issue in found if issue is not None]


def _restored(connection: sa.Connection) -> int:
    """Return when a backup took the place of a database that was lost, 0 for never: what was due before may have gone out."""
    return int(connection.execute(sa.select(state.c.value).where(state.c.name == "restored")).scalar() or 0)


@dataclass(frozen=True, slots=True)
class _Planner:
    """One issue in the making: cohorts of one frequency that are due at one instant."""

    connection: sa.Connection
    config: Config
    members: Sequence[Cohort]
    due: int
    eligible: sa.ColumnElement[bool]
    now: int
    written_at: int
    is_catching_up: bool
    arrival: int
    progress: Progress | None

    def plan_issue(self) -> Issue | None:
        """Write the issue and its deliveries; None where nobody gets anything, or the instant's issue is out already."""
        issue: Issue | None = None
        same = sa.select(issues.c.key).where(issues.c.frequency == self.members[0].frequency, issues.c.due == self.due)
        if self.connection.execute(same).scalar() is not None:
            for cohort in self.members:  # what these would have got of this instant is in their next issue
                fresh = sa.and_(subscriptions.c.cohort == cohort.key, subscriptions.c.covered.is_(None), self.eligible)
                self.connection.execute(sa.update(subscriptions).where(fresh).values(covered=cohort.before))
        else:
            reaches = self._reaches()
            articles = _NewArticles(self.connection, self.config, self.due, set(reaches.values()))
            if articles.articles:
                issue = self._insert_issue(len(articles.articles))
                if self._insert_deliveries(issue, articles, reaches):
                    articles.insert(issue.key)
                else:
                    self.connection.execute(sa.delete(issues).where(issues.c.key == issue.key))
                    issue = None
            self._advance(reaches)
        key = issue.key if issue else None
        rows = [{"cohort": one.key, "due": one.due, "issue": key, "planned_at": self.written_at} for one in self.members]
        self.connection.execute(sa.insert(plans), rows)
        return issue

    def _waiting_since(self, cohort: Cohort) -> sa.ColumnElement[int | None]:
        """When a subscription was entered, where it should have had an issue before this one, but no clock was running."""
        c = subscriptions.c
        missed = sa.false() if self.is_catching_up else sa.and_(c.covered.is_(None), c.since <= cohort.before)
        return sa.case((missed, c.since), else_=None)

    def _reaches(self) -> dict[_Coverage, _Reach]:
        """Return from where articles are new, for each way that subscriptions have come.

        A first issue begins where the one before would have ended, at the time of subscribing.
        """
        c = subscriptions.c
        found: dict[_Coverage, _Reach] = {}
        for cohort in self.members:
            query = sa.select(c.covered, c.arrival, self._waiting_since(cohort)).distinct()
            for covered, arrival, since in self.connection.execute(query.where(c.cohort == cohort.key, self.eligible)):
                after, settled = covered, None
                if covered is None and since is None:
                    after = cohort.before
                elif covered is None:
                    cron = self.config.newsletter.cron(cohort.frequency, cohort.day)
                    after = calendar.latest_due(cohort.frequency, cron, ZoneInfo(cohort.timezone), since - 1)
                elif covered > self.due:
                    waiting = queries.first_arrival(self.connection, self.due, covered, arrival or 0)
                    settled = self.arrival if waiting is None else waiting - 1
                found[cohort.key, covered, arrival, since] = _Reach(after, arrival, settled)
        return found

    def _insert_deliveries(self, issue: Issue, articles: _NewArticles, reaches: Mapping[_Coverage, _Reach]) -> bool:
        """Insert a delivery for each subscription that gets anything. Returns whether any does."""
        c = subscriptions.c
        number = {coverage: articles.reaches.index(reach) for coverage, reach in reaches.items()}
        done = 0
        for cohort in self.members:
            columns = sa.select(c.key, c.subscriber, c.selections, c.cohort, c.covered, c.arrival, self._waiting_since(cohort))
            query = columns.join(subscribers, subscribers.c.key == c.subscriber)
            query = query.where(c.cohort == cohort.key, c.key > sa.bindparam("last"), self.eligible)
            query = query.where(subscribers.c.status == "active").order_by(c.key).limit(_CHUNK)
            last = -1
            while rows := self.connection.execute(query, {"last": last}).all():
                batch = [
                    (issue.key, subscriber, reach, chosen, "pending", 0, 0, "", 0, self.written_at, "")
                    for _key, subscriber, chosen, *coverage in rows
                    if articles.has_any(reach := number[tuple(coverage)], chosen)
                ]
                insert_rows(self.connection, deliveries, batch)
                done += len(batch)
                if self.progress:
                    self.progress(done)
                last = rows[-1][0]
        return done > 0

    def _insert_issue(self, articles: int) -> Issue:
        """Write the issue's own row. Its id is `weekly-2014-06-02`; parts of the world with one of their own add their offset.

        One issue of each frequency and day is listed in the archive: the site's own, or the first.
        """
        c, first, hours = issues.c, self.members[0], self.config.newsletter.late_hours
        local = datetime.fromtimestamp(self.due, ZoneInfo(first.timezone))
        home = datetime.fromtimestamp(self.due, self.config.zone).utcoffset()
        # Whether it is due at the site's own time of day.
        is_home = any(datetime.fromtimestamp(self.due, ZoneInfo(one.timezone)).utcoffset() == home for one in self.members)
        name = day = f"{first.frequency}-{local:%Y-%m-%d}"
        if not is_home:
            name += f"-utc{local:%z}".replace("+", "-plus-")
        taken = set(self.connection.execute(sa.select(c.id).where(c.id.startswith(name))).scalars())
        names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
        same_day = sa.and_(c.frequency == first.frequency, c.id.startswith(day))
        if is_home:
            self.connection.execute(sa.update(issues).where(same_day).values(listed=0))
        is_late = self.now - self.due > hours * 3600 and not self.is_catching_up
        is_unclear = self.due < _restored(self.connection) and not self.is_catching_up
        row: dict[str, Any] = {
            "id": next(one for one in names if one not in taken),
            "frequency": first.frequency,
            "due": self.due,
            "timezone": first.timezone,
            "planned_at": self.written_at,
            "status": "paused" if is_late or is_unclear else "open",
            "reason": RESTORED if is_unclear else f"late by more than {hours} hours" if is_late else "",
            "articles": articles,
        }
        listed = self.connection.execute(sa.select(c.key).where(same_day, c.listed == 1)).first() is None
        key = self.connection.execute(sa.insert(issues).values({**row, "listed": int(listed)})).inserted_primary_key
        assert key is not None
        return Issue(key=key[0], **row)

    def _advance(self, reaches: Mapping[_Coverage, _Reach]) -> None:
        """Record that these subscriptions have come up to here, whether anything was new for them or not."""
        c = subscriptions.c
        mine = sa.and_(c.cohort.in_([cohort.key for cohort in self.members]), self.eligible)
        # The furthest first, so that none of these is taken for one that has just come as far.
        for (cohort, covered, arrival, _since), reach in sorted(reaches.items(), key=lambda pair: -(pair[0][2] or 0)):
            if reach.settled is not None:
                ahead = sa.and_(mine, c.cohort == cohort, c.covered == covered, c.arrival.is_not_distinct_from(arrival))
                self.connection.execute(sa.update(subscriptions).where(ahead).values(arrival=reach.settled))
        behind = sa.and_(mine, sa.or_(c.covered.is_(None), c.covered <= self.due))
        self.connection.execute(sa.update(subscriptions).where(behind).values(covered=self.due, arrival=self.arrival))


class _NewArticles:
    """What is new for each reach, and what of it each selection takes."""

    def __init__(self, connection: sa.Connection, config: Config, due: int, reaches: Iterable[_Reach]) -> None:
        self.connection, self.config = connection, config
        self.reaches = sorted(reaches, key=lambda reach: (reach.after, reach.arrival is not None, reach.arrival or 0))
        found = [
            queries.new_articles(connection, config.site, one.after, due, one.arrival, settled=one.settled)
            for one in self.reaches
        ]
        unique = {article.id: article for articles in found for article in articles}
        self.articles = sorted(unique.values(), key=lambda article: (not article.editor_choice, -article.position))
        rank = {article.id: index for index, article in enumerate(self.articles)}
        self._new = [frozenset(rank[article.id] for article in articles) for articles in found]
        self._matcher = ArticleMatcher(config, self.articles)
        self._taken: dict[int, frozenset[int]] = {}
        self._sections: dict[tuple[int, int], tuple[int, ...]] = {}

    def has_any(self, reach: int, chosen: str) -> bool:
        """Return whether a reader of these selections ("1,2") gets anything. The sections of each are kept, to be written."""
        wanted = [(reach, int(text)) for text in chosen.split(",")]
        for at in wanted:
            if at in self._sections:
                continue
            selection = at[1]
            if selection not in self._taken:
                query = sa.select(selections_table.c.query).where(selections_table.c.key == selection)
                text = self.connection.execute(query).scalar()
                self._taken[selection] = frozenset(self._matcher.ranks(str(text)) if text is not None else ())
            self._sections[at] = tuple(sorted(self._new[reach] & self._taken[selection]))
        return any(self._sections[at] for at in wanted)

    def insert(self, issue: int) -> None:
        """Write the articles of an issue, and the sections that were asked for."""
        rows = [
            (issue, rank, article.id, json.dumps(asdict(issue_article(self.config, article)), ensure_ascii=False))
            for rank, article in enumerate(self.articles)
        ]
        insert_rows(self.connection, issue_articles, rows)
        sections = [(issue, *at, ",".join(map(str, ranks))) for at, ranks in sorted(self._sections.items()) if ranks]
        insert_rows(self.connection, issue_sections, sections)


def issue_article(config: Config, article: Article) -> IssueArticle:
    """Return an article as its issue keeps it, with the pages and feeds of its terms."""
    named: dict[str, tuple[Credit, ...]] = {}
    licence = differing_licence(article.details, config.site.rights)
    for facet, role in (("author", "authors"), ("translator", "translators"), ("tag", "tags"), ("series", "series")):
        pages = [(term.name, f"{config.site.base_url}/{urls.encode(term.path)}") for term in article.of(facet)]
        has_page = config.feeds.facet(facet).enabled
        named[role] = tuple(Credit(name, page, f"{page}.atom") if has_page else Credit(name) for name, page in pages)
    return IssueArticle(
        id=article.id,
        url=article.url,
        title=article.title,
        summary=article.summary,
        picture=article.picture,
        published=int(article.published.timestamp()),
        original=article.original,
        editor_choice=article.editor_choice,
        **named,
        language=article.language if article.language.lower() != config.site.language.lower() else "",
        licence=Credit(licence.name or licence.url, licence.url) if licence.name or licence.url else None,
        discussion=article.details.discussion,
        media=next((Credit(file.type, file.url) for file in article.details.media), None),
    )


#: Conditions of the issues that the archive shows.
LISTED = (issues.c.listed == 1, issues.c.status != "cancelled")


def _read_issues(connection: sa.Connection, query: sa.Select[Any]) -> list[Issue]:
    names = ("key", "id", "frequency", "due", "timezone", "status", "reason", "articles", "planned_at")
    return [Issue(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]


def find_issue(connection: sa.Connection, id: str) -> Issue | None:
    """Return an issue by what its address ends in."""
    return next(iter(_read_issues(connection, sa.select(issues).where(issues.c.id == id))), None)


def newest_issues(connection: sa.Connection, limit: int) -> list[Issue]:
    """Return the newest issues, listed in the archive or not."""
    return _read_issues(connection, sa.select(issues).order_by(issues.c.due.desc(), issues.c.key.desc()).limit(limit))


def paused_issues(connection: sa.Connection) -> list[Issue]:
    """Return the issues that wait for the operator, the oldest first."""
    return _read_issues(connection, sa.select(issues).where(issues.c.status == "paused").order_by(issues.c.due))


def listed_issues(connection: sa.Connection, limit: int | None = None, skip: int = 0) -> list[Issue]:
    """Return the issues of the archive, newest first, without the first `skip`."""
    query = sa.select(issues).where(*LISTED).order_by(issues.c.due.desc(), issues.c.key.desc())
    return _read_issues(connection, query.limit(limit).offset(skip))


def load_content(connection: sa.Connection, key: int, selections: Iterable[int] | None = None) -> IssueContent:
    """Return all that messages of an issue are made of, or only what some selections need. Raises LookupError.

    An article that has been withheld or removed since it was planned is in it no more.
    """
    found = _read_issues(connection, sa.select(issues).where(issues.c.key == key))
    if not found:
        raise LookupError(f"no issue has the key {key}")
    s = issue_sections.c
    query = sa.select(s.reach, s.selection, s.ranks, selections_table.c.query)
    query = query.join(selections_table, selections_table.c.key == s.selection).where(s.issue == key)
    if selections is not None:
        query = query.where(s.selection.in_(list(selections)))
    rows = connection.execute(query).all()
    articles = _load_ranked(connection, key)
    places = {rank: place for place, rank in enumerate(articles)}
    sections = {
        (reach, selection): tuple(places[rank] for rank in map(int, ranks.split(",")) if rank in places)
        for reach, selection, ranks, _query in rows
    }
    return IssueContent(
        found[0],
        tuple(articles.values()),
        {key: ranks for key, ranks in sections.items() if ranks},
        {selection: query for _reach, selection, _ranks, query in rows},
    )


def load_articles(connection: sa.Connection, key: int, limit: int | None = None) -> tuple[IssueArticle, ...]:
    """Return the articles of an issue by rank, at most the first `limit`, without those that are published no more."""
    return tuple(_load_ranked(connection, key, limit).values())


def _load_ranked(connection: sa.Connection, key: int, limit: int | None = None) -> dict[int, IssueArticle]:
    c = issue_articles.c
    found = {}
    query = sa.select(c.rank, c.data).where(c.issue == key, ~sa.exists().where(departed.c.id == c.article))
    for rank, text in connection.execute(query.order_by(c.rank).limit(limit)):
        data = json.loads(text)
        for role in ("authors", "translators", "tags", "series"):
            data[role] = tuple(Credit(**credit) for credit in data.get(role, ()))
        for one in ("licence", "media"):
            data[one] = Credit(**data[one]) if data.get(one) else None
        found[rank] = IssueArticle(**data)
    return found


def load_recipients(connection: sa.Connection, key: int, limit: int | None = None) -> list[Recipient]:
    """Return those who get an issue, in the order of their subscription; at most `limit`."""
    d, s = deliveries.c, subscribers.c
    query = sa.select(s.key, s.address, s.language, s.timezone, s.version, d.reach, d.selections)
    query = query.join(deliveries, d.subscriber == s.key).where(d.issue == key).order_by(s.key)
    return [Recipient(*row[:6], tuple(map(int, row[6].split(",")))) for row in connection.execute(query.limit(limit))]
