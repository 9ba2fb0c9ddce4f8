"""A site with a newsletter, straight on its tables: articles from files, subscribers without the ways they come in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.database import tables
from feeds.database.tables import cohorts, deliveries, subscribers, subscriptions
from feeds.model import Issue
from feeds.newsletter.issues import planning
from feeds.syndication import editions

Site = Any
WEEK = 7 * 86400
MONDAY = 1_767_571_200  # 2026-01-05T00:00:00Z: Monday 08:00 in Shanghai
NEWSLETTER = 'enabled: true\nfrequencies: {daily: "07:30", weekly: "mon 08:00", monthly: "1 08:00"}\n'


def local(instant: int) -> str:
    """A date as files write it, in site time."""
    return datetime.fromtimestamp(instant + 8 * 3600, UTC).strftime("%Y-%m-%d %H:%M:%S")


class Mailing:
    """A site with a newsletter: add articles and subscribers, plan, ask who got what."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.set("newsletter.yaml", NEWSLETTER)
        self._people = 0

    def write(self, name: str, published: int, **fields: Any) -> None:
        self.site.write(f"{name}.md", date=local(published), **fields)

    def subscribe(
        self,
        *wanted: str,
        frequency: str = "weekly",
        day: int = 0,
        timezone: str = "Asia/Shanghai",
        since: int = MONDAY - WEEK + 1,
        confirmed: int = 0,
    ) -> int:
        self._people += 1
        key, address = self._people, f"reader{self._people}@example.org"
        with database.writing(self.site.runtime.engine) as connection:
            row = dict.fromkeys((column.name for column in subscribers.columns), 0)
            row |= {"key": key, "address": address, "mailbox": address, "status": "active", "language": "zh-CN"}
            row |= {"timezone": timezone, "reason": "", "source": "", "version": 1, "confirmed": confirmed, "ended": None}
            connection.execute(sa.insert(subscribers).values(row))
            keys = [self._selection(connection, text) for text in wanted or ("",)]
            cohort = self._cohort(connection, frequency, day if frequency == "weekly" else -1, timezone)
            row = {"subscriber": key, "frequency": frequency, "cohort": cohort, "selections": ",".join(map(str, keys))}
            connection.execute(sa.insert(subscriptions).values(row | {"since": since}))
        return key

    def _selection(self, connection: sa.Connection, text: str) -> int:
        c = tables.selections.c
        found = connection.execute(sa.select(c.key).where(c.query == text)).scalar()
        if found is None:
            made = connection.execute(sa.insert(tables.selections).values(query=text)).inserted_primary_key
            assert made is not None
            found = made[0]
        return int(found)

    def _cohort(self, connection: sa.Connection, frequency: str, day: int, timezone: str) -> int:
        c = cohorts.c
        same = sa.and_(c.frequency == frequency, c.day == day, c.timezone == timezone)
        found = connection.execute(sa.select(c.key).where(same)).scalar()
        if found is None:
            row = {"frequency": frequency, "day": day, "timezone": timezone}
            made = connection.execute(sa.insert(cohorts).values(row)).inserted_primary_key
            assert made is not None
            found = made[0]
        return int(found)

    def move(self, subscriber: int, day: int, timezone: str) -> None:
        """As the preference page does: another day or zone, with all that was covered so far."""
        with database.writing(self.site.runtime.engine) as connection:
            cohort = self._cohort(connection, "weekly", day, timezone)
            connection.execute(sa.update(subscriptions).where(subscriptions.c.subscriber == subscriber).values(cohort=cohort))

    def plan(self, now: int, **options: Any) -> list[Issue]:
        runtime = self.site.runtime
        config = runtime.edition().config
        with database.writing(runtime.engine) as connection:
            return planning.plan_issues(connection, config, now=now, arrival=runtime.read(editions.load_generation), **options)

    def got(self, subscriber: int) -> list[list[str]]:
        """Ids of the articles of each issue, oldest issue first."""
        with database.reading(self.site.runtime.engine) as connection:
            query = sa.select(deliveries.c.issue, deliveries.c.reach, deliveries.c.selections)
            query = query.where(deliveries.c.subscriber == subscriber).order_by(deliveries.c.issue)
            return [self._articles(connection, *row) for row in connection.execute(query)]

    def _articles(self, connection: sa.Connection, issue: int, reach: int, wanted: str) -> list[str]:
        content = planning.load_content(connection, issue)
        ranks = {rank for key in wanted.split(",") for rank in content.sections.get((reach, int(key)), ())}
        return [content.articles[rank].id for rank in sorted(ranks)]

    def count(self, table: sa.Table) -> int:
        with database.reading(self.site.runtime.engine) as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() or 0)


@pytest.fixture
def mailing(site: Site) -> Mailing:
    return Mailing(site)


@pytest.fixture
def make_mailing() -> Callable[[Site], Mailing]:
    return Mailing
