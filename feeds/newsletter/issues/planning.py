"""What is due becomes an issue and its deliveries, in one transaction. Deciding is in `due`; here it meets the tables.

A cohort is planned once for each instant (`plans`), so that a restart, a missed hour, two clocks or a clock that jumps neither
skip nor repeat an issue. What is new for a subscription is what became available since its last issue, and what rescans after
that issue brought: an article at a window's edge is in one of two issues, never in both and never in none. How far a
subscription has come is its `reach`; those that have come equally far share one list of articles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ... import selections, urls
from ...catalog import queries
from ...config.models import Config
from ...database import insert_rows
from ...database.tables import cohorts, deliveries, issue_articles, issue_sections, issues, plans, subscribers, subscriptions
from ...database.tables import selections as selections_table
from ...errors import AddressError
from ...model import Article, Credit, Issue, IssueArticle, IssueContent, Recipient, Selection, Term
from . import calendar as clock

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

    def instant_before(self, config: Config, now: int) -> int:
        cron = config.newsletter.cron(self.frequency, self.day)
        return clock.latest(self.frequency, cron, ZoneInfo(self.timezone), now - 1)


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
_Came = tuple[int, int | None, int | None, int | None]


def due_cohorts(connection: sa.Connection, config: Config, now: int) -> list[Cohort]:
    """Cohorts whose newest instant has not been planned yet."""
    offered = sa.select(cohorts).where(cohorts.c.frequency.in_(list(config.newsletter.frequencies)))
    found = [_cohort(config, row, now) for row in connection.execute(offered.order_by(cohorts.c.key))]
    done = sa.select(plans.c.cohort, plans.c.due).where(plans.c.due >= min((one.due for one in found), default=0))
    planned = {(cohort, due) for cohort, due in connection.execute(done)}
    return [one for one in found if (one.key, one.due) not in planned]


def _cohort(config: Config, row: Any, now: int) -> Cohort:
    zone, cron = ZoneInfo(row.timezone), config.newsletter.cron(row.frequency, row.day)
    due = clock.latest(row.frequency, cron, zone, now)
    return Cohort(row.key, row.frequency, row.day, row.timezone, due, clock.previous(row.frequency, cron, zone, due))


def plan(
    connection: sa.Connection,
    config: Config,
    *,
    now: int,
    arrival: int,
    catching_up: bool = False,
    written_at: int | None = None,
    progress: Progress | None = None,
) -> list[Issue]:
    """Write every issue that is due at `now` (UTC seconds) and its deliveries. Idempotent.

    `written_at` is what time it really is, where `now` is not.

    `arrival` is the catalog's generation; no rescan may write at the same time. A subscription entered after an instant does
    not get that issue; `catching_up` (an operator's own `now`) goes by when subscribers confirmed instead, and lets an issue
    that is late go out at once. Returns the issues that anyone gets.
    """
    groups: dict[tuple[str, int], list[Cohort]] = {}
    for cohort in due_cohorts(connection, config, now):
        groups.setdefault((cohort.frequency, cohort.due), []).append(cohort)
    made = [
        _Plan(connection, config, tuple(members), now, written_at or now, arrival, catching_up, progress).run()
        for _instant, members in sorted(groups.items(), key=lambda group: (group[0][1], group[0][0]))
    ]
    return [issue for issue in made if issue is not None]


@dataclass(slots=True)
class _Plan:
    """One issue in the making: cohorts of one frequency that are due at one instant."""

    connection: sa.Connection
    config: Config
    members: tuple[Cohort, ...]
    now: int
    written_at: int
    arrival: int
    catching_up: bool
    progress: Progress | None

    def run(self) -> Issue | None:
        if self._exists():
            self._join_next()
            return None
        reaches = self._reaches()
        press = _Articles(self.connection, self.config, self.members[0].due, reaches)
        issue = self._insert_issue(press) if press.articles else None
        anyone = issue is not None and self._insert_deliveries(issue, press, reaches)
        if issue is not None and anyone:
            press.write(issue.key)
        elif issue is not None:
            self.connection.execute(sa.delete(issues).where(issues.c.key == issue.key))
            issue = None
        self._close(issue, reaches)
        return issue

    @property
    def due(self) -> int:
        return self.members[0].due

    def _exists(self) -> bool:
        c = issues.c
        query = sa.select(c.key).where(c.frequency == self.members[0].frequency, c.due == self.due)
        return self.connection.execute(query).scalar() is not None

    def _join_next(self) -> None:
        """The issue of this instant is out: what these cohorts would have got is in their next one."""
        for cohort in self.members:
            fresh = sa.and_(subscriptions.c.cohort == cohort.key, subscriptions.c.covered.is_(None), self._eligible())
            self.connection.execute(sa.update(subscriptions).where(fresh).values(covered=cohort.before))
        self._note(None)

    # -- who ---------------------------------------------------------------

    def _eligible(self) -> sa.ColumnElement[bool]:
        if not self.catching_up:
            return subscriptions.c.since <= self.due
        confirmed = sa.select(subscribers.c.key).where(subscribers.c.confirmed <= self.due)
        return subscriptions.c.subscriber.in_(confirmed)

    def _reaches(self) -> dict[_Came, _Reach]:
        """How far subscriptions have come -> from where their articles are new."""
        c = subscriptions.c
        found: dict[_Came, _Reach] = {}
        for cohort in self.members:
            query = sa.select(c.covered, c.arrival, self._waiting_since(cohort)).distinct()
            for row in self.connection.execute(query.where(c.cohort == cohort.key, self._eligible())):
                found[cohort.key, *row] = self._reach(cohort, *row)
        return found

    def _waiting_since(self, cohort: Cohort) -> sa.ColumnElement[int | None]:
        """When a subscription was entered, where it should have had an issue before this one, but no clock was running."""
        c = subscriptions.c
        missed = sa.false() if self.catching_up else sa.and_(c.covered.is_(None), c.since <= cohort.before)
        return sa.case((missed, c.since), else_=None)

    def _reach(self, cohort: Cohort, covered: int | None, arrival: int | None, since: int | None) -> _Reach:
        """A first issue begins where the one before would have ended, at the time of subscribing."""
        if covered is not None:
            return _Reach(covered, arrival, self._settled(covered, arrival) if covered > self.due else None)
        return _Reach(cohort.before if since is None else cohort.instant_before(self.config, since), arrival)

    def _settled(self, covered: int, arrival: int | None) -> int:
        waiting = queries.first_arrival(self.connection, self.due, covered, arrival or 0)
        return self.arrival if waiting is None else waiting - 1

    def _insert_deliveries(self, issue: Issue, press: _Articles, reaches: Mapping[_Came, _Reach]) -> bool:
        number = {key: press.reaches.index(reach) for key, reach in reaches.items()}
        done = 0
        for rows in self._subscriptions():
            batch = [
                (issue.key, row[1], at, row[2], "pending", 0, 0, "", 0, self.written_at, "")
                for row in rows
                if press.has_any(at := number[tuple(row[3:7])], row[2])
            ]
            insert_rows(self.connection, deliveries, batch)
            done += len(batch)
            if self.progress:
                self.progress(done)
        return done > 0

    def _subscriptions(self) -> Iterator[Sequence[Any]]:
        """(key, subscriber, selections, cohort, and how far it has come) of those that may get the issue, in parts."""
        c = subscriptions.c
        for cohort in self.members:
            columns = sa.select(c.key, c.subscriber, c.selections, c.cohort, c.covered, c.arrival, self._waiting_since(cohort))
            query = columns.join(subscribers, subscribers.c.key == c.subscriber)
            query = query.where(c.cohort == cohort.key, c.key > sa.bindparam("last"), self._eligible())
            query = query.where(subscribers.c.status == "active").order_by(c.key).limit(_CHUNK)
            last = -1
            while rows := self.connection.execute(query, {"last": last}).all():
                yield rows
                last = rows[-1][0]

    # -- what --------------------------------------------------------------

    def _insert_issue(self, press: _Articles) -> Issue:
        late = self.now - self.due > self.config.newsletter.late_hours * 3600 and not self.catching_up
        first = self.members[0]
        row: dict[str, Any] = {
            "id": self._id(),
            "frequency": first.frequency,
            "due": self.due,
            "timezone": first.timezone,
            "planned_at": self.written_at,
            "status": "paused" if late else "open",
            "reason": f"late by more than {self.config.newsletter.late_hours} hours" if late else "",
            "listed": int(self._is_listed()),
            "articles": len(press.articles),
        }
        key = self.connection.execute(sa.insert(issues).values(row)).inserted_primary_key
        assert key is not None
        del row["listed"]
        return Issue(key=key[0], **row)

    def _local(self, timezone: str) -> datetime:
        return datetime.fromtimestamp(self.due, ZoneInfo(timezone))

    def _is_home(self) -> bool:
        """Whether it is due at the site's own time of day."""
        zone = self.config.zone
        return any(
            self._local(c.timezone).utcoffset() == datetime.fromtimestamp(self.due, zone).utcoffset() for c in self.members
        )

    def _id(self) -> str:
        """`weekly-2014-06-02`; other parts of the world, which have an issue of their own, add their offset."""
        first = self.members[0]
        local = self._local(first.timezone)
        name = f"{first.frequency}-{local:%Y-%m-%d}" + ("" if self._is_home() else f"-utc{local:%z}".replace("+", "-plus-"))
        taken = {id for (id,) in self.connection.execute(sa.select(issues.c.id).where(issues.c.id.startswith(name)))}
        return next(
            id for number in range(1, len(taken) + 2) if (id := name if number == 1 else f"{name}-{number}") not in taken
        )

    def _is_listed(self) -> bool:
        """One issue of each frequency and day is shown in the archive: the site's own, or the first."""
        first = self.members[0]
        same_day = sa.and_(
            issues.c.frequency == first.frequency,
            issues.c.id.startswith(f"{first.frequency}-{self._local(first.timezone):%Y-%m-%d}"),
        )
        if self._is_home():
            self.connection.execute(sa.update(issues).where(same_day).values(listed=0))
            return True
        return self.connection.execute(sa.select(issues.c.key).where(same_day, issues.c.listed == 1)).first() is None

    # -- done --------------------------------------------------------------

    def _close(self, issue: Issue | None, reaches: Mapping[_Came, _Reach]) -> None:
        """These subscriptions have come up to here, whether anything was new for them or not."""
        c = subscriptions.c
        mine = sa.and_(c.cohort.in_([cohort.key for cohort in self.members]), self._eligible())
        # The furthest first, so that none of these is taken for one that has just come as far.
        for (cohort, covered, arrival, _since), reach in sorted(reaches.items(), key=lambda pair: -(pair[0][2] or 0)):
            if reach.settled is not None:
                ahead = sa.and_(mine, c.cohort == cohort, c.covered == covered, c.arrival.is_not_distinct_from(arrival))
                self.connection.execute(sa.update(subscriptions).where(ahead).values(arrival=reach.settled))
        behind = sa.and_(mine, sa.or_(c.covered.is_(None), c.covered <= self.due))
        self.connection.execute(sa.update(subscriptions).where(behind).values(covered=self.due, arrival=self.arrival))
        self._note(issue)

    def _note(self, issue: Issue | None) -> None:
        key = issue.key if issue else None
        rows = [{"cohort": c.key, "due": c.due, "issue": key, "planned_at": self.written_at} for c in self.members]
        self.connection.execute(sa.insert(plans), rows)


class _Articles:
    """What is new for each reach, and what of it each selection takes."""

    def __init__(self, connection: sa.Connection, config: Config, due: int, reaches: Mapping[_Came, _Reach]) -> None:
        self.connection, self.config = connection, config
        self.reaches = sorted(
            set(reaches.values()), key=lambda reach: (reach.after, reach.arrival is not None, reach.arrival or 0)
        )
        found = [
            queries.new_articles(connection, reach.after, due, reach.arrival, settled=reach.settled) for reach in self.reaches
        ]
        unique = {article.id: article for articles in found for article in articles}
        self.articles = sorted(unique.values(), key=lambda article: (not article.editor_choice, -article.position))
        rank = {article.id: index for index, article in enumerate(self.articles)}
        self._new = [frozenset(rank[article.id] for article in articles) for articles in found]
        self._aliases = selections.Aliases.from_config(config.feeds.aliases)
        self._terms = [selections.term_keys(article) for article in self.articles]
        self._taken: dict[int, frozenset[int]] = {}
        self._sections: dict[tuple[int, int], tuple[int, ...]] = {}

    def has_any(self, reach: int, wanted: str) -> bool:
        """Whether a reader of these selections gets anything."""
        found = False
        for text in wanted.split(","):
            found = bool(self.section(reach, int(text))) or found  # each is asked for, so that each is written
        return found

    def section(self, reach: int, selection: int) -> tuple[int, ...]:
        """Ranks of what is new at `reach` and taken by the selection."""
        known = self._sections.get((reach, selection))
        if known is None:
            known = self._sections[reach, selection] = tuple(sorted(self._new[reach] & self._all_of(selection)))
        return known

    def _all_of(self, key: int) -> frozenset[int]:
        if key not in self._taken:
            query = sa.select(selections_table.c.query).where(selections_table.c.key == key)
            text = self.connection.execute(query).scalar()
            selection = wanted(self.config, str(text)) if text is not None else None
            self._taken[key] = frozenset()
            if selection is not None:
                asked = selections.condition(selection, self._aliases)
                self._taken[key] = frozenset(rank for rank, terms in enumerate(self._terms) if selections.matches(asked, terms))
        return self._taken[key]

    def write(self, issue: int) -> None:
        rows = [
            (issue, rank, article.id, json.dumps(asdict(issue_article(self.config, article)), ensure_ascii=False))
            for rank, article in enumerate(self.articles)
        ]
        insert_rows(self.connection, issue_articles, rows)
        sections = [(issue, *at, ",".join(map(str, ranks))) for at, ranks in sorted(self._sections.items()) if ranks]
        insert_rows(self.connection, issue_sections, sections)


def wanted(config: Config, text: str) -> Selection | None:
    """The selection that a subscriber's text means; None for a feed that the operator has taken away."""
    try:
        found = selections.parse(text)
    except AddressError:
        return None
    if isinstance(found, Selection):
        return found
    named = config.named(found)
    return named.select.selection() if named else None


def issue_article(config: Config, article: Article) -> IssueArticle:
    return IssueArticle(
        id=article.id,
        url=article.url,
        title=article.title,
        summary=article.summary,
        picture=article.picture,
        published=int(article.published.timestamp()),
        original=article.original,
        editor_choice=article.editor_choice,
        authors=_credits(config, article.of("author")),
        translators=_credits(config, article.of("translator")),
        tags=_credits(config, article.of("tag")),
    )


def _credits(config: Config, terms: Iterable[Term]) -> tuple[Credit, ...]:
    return tuple(_credit(config, term) for term in terms)


def _credit(config: Config, term: Term) -> Credit:
    if not config.feeds.facet(term.facet).enabled:
        return Credit(term.name)
    page = f"{config.site.base_url}/{urls.encode(term.path)}"
    return Credit(term.name, page, f"{page}.atom")


# -- reading ---------------------------------------------------------------


def issue(connection: sa.Connection, id: str) -> Issue | None:
    """By what its address ends in."""
    row = connection.execute(sa.select(issues).where(issues.c.id == id)).first()
    return _issue(row) if row else None


def newest(connection: sa.Connection, limit: int) -> list[Issue]:
    """Listed in the archive or not."""
    query = sa.select(issues).order_by(issues.c.due.desc(), issues.c.key.desc()).limit(limit)
    return [_issue(row) for row in connection.execute(query)]


def paused(connection: sa.Connection) -> list[Issue]:
    query = sa.select(issues).where(issues.c.status == "paused").order_by(issues.c.due)
    return [_issue(row) for row in connection.execute(query)]


def listed(connection: sa.Connection, limit: int, skip: int = 0) -> list[Issue]:
    """The archive: newest first, without so many of the newest."""
    query = sa.select(issues).where(*_LISTED).order_by(issues.c.due.desc(), issues.c.key.desc())
    return [_issue(row) for row in connection.execute(query.limit(limit).offset(skip))]


def count_listed(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(issues).where(*_LISTED)).scalar() or 0)


_LISTED = (issues.c.listed == 1, issues.c.status != "cancelled")


def _issue(row: Any) -> Issue:
    names = ("key", "id", "frequency", "due", "timezone", "status", "reason", "articles", "planned_at")
    return Issue(**{name: getattr(row, name) for name in names})


def content(connection: sa.Connection, key: int, selections: Iterable[int] | None = None) -> IssueContent:
    """All that messages of an issue are made of, or only what some selections need. Raises LookupError."""
    row = connection.execute(sa.select(issues).where(issues.c.key == key)).first()
    if row is None:
        raise LookupError(f"no issue has the key {key}")
    texts = sa.select(issue_articles.c.data).where(issue_articles.c.issue == key).order_by(issue_articles.c.rank)
    s = issue_sections.c
    found = sa.select(s.reach, s.selection, s.ranks, selections_table.c.query)
    found = found.join(selections_table, selections_table.c.key == s.selection).where(s.issue == key)
    if selections is not None:
        found = found.where(s.selection.in_(list(selections)))
    rows = connection.execute(found).all()
    return IssueContent(
        _issue(row),
        tuple(_read_article(text) for (text,) in connection.execute(texts)),
        {(reach, selection): tuple(map(int, ranks.split(","))) for reach, selection, ranks, _query in rows},
        {selection: query for _reach, selection, _ranks, query in rows},
    )


def titles(connection: sa.Connection, key: int, limit: int) -> tuple[str, ...]:
    """Of an issue's first articles."""
    c = issue_articles.c
    rows = connection.execute(sa.select(c.data).where(c.issue == key).order_by(c.rank).limit(limit))
    return tuple(_read_article(text).title for (text,) in rows)


def _read_article(text: str) -> IssueArticle:
    data = json.loads(text)
    for role in ("authors", "translators", "tags"):
        data[role] = tuple(Credit(**credit) for credit in data[role])
    return IssueArticle(**data)


def recipients(connection: sa.Connection, key: int, limit: int | None = None) -> list[Recipient]:
    """Those who get an issue, in the order of their subscription; at most `limit`."""
    d, s = deliveries.c, subscribers.c
    query = sa.select(s.key, s.address, s.language, s.timezone, s.version, d.reach, d.selections)
    query = query.join(deliveries, d.subscriber == s.key).where(d.issue == key).order_by(s.key)
    return [Recipient(*row[:6], tuple(map(int, row[6].split(",")))) for row in connection.execute(query.limit(limit))]
