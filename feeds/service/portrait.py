"""What the page of a term says about it, beside its articles."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ..config import Config
from ..library import catalog, portrait
from ..library.catalog import KnownTerm
from ..library.position import first_of, published_at
from ..model import PEOPLE, Term

#: Beyond so many months, activity is told by year.
MAX_MONTHS = 180
#: How many terms of each facet are named.
COMPANY = 8
#: What an account may be called where people have pages of their own: as on GitHub.
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}")


@dataclass(frozen=True, slots=True)
class Period:
    """A month, or with `month` 0 a whole year, and how many articles were published in it."""

    year: int
    month: int
    articles: int


@dataclass(frozen=True, slots=True)
class Portrait:
    """`periods` have no gaps. `company`: the terms that most of the articles have, too, with how many, by facet.

    `profile` is the address of a person's own page elsewhere, `place` the host that it is on.
    """

    first: datetime
    last: datetime
    periods: tuple[Period, ...]
    company: tuple[tuple[str, tuple[Term, ...]], ...]
    profile: str = ""

    @property
    def place(self) -> str:
        host = urlsplit(self.profile).hostname or ""
        return "GitHub" if host == "github.com" else host

    @property
    def busiest(self) -> Period:
        """The first of those with most articles."""
        return max(self.periods, key=lambda period: period.articles)

    @property
    def years(self) -> list[tuple[int, int]]:
        """(year, articles) of each year from the first to the last."""
        found: dict[int, int] = {}
        for period in self.periods:
            found[period.year] = found.get(period.year, 0) + period.articles
        return list(found.items())


def portray(connection: sa.Connection, config: Config, known: KnownTerm) -> Portrait | None:
    """None where no article is left."""
    positions = portrait.positions(connection, known.key)
    if not positions:
        return None
    return Portrait(
        catalog.instant(published_at(positions[0])),
        catalog.instant(published_at(positions[-1])),
        tuple(activity(positions, config.zone)),
        tuple(_company(connection, config, known)),
        profile(config, known.term),
    )


def _company(connection: sa.Connection, config: Config, known: KnownTerm) -> Iterator[tuple[str, tuple[Term, ...]]]:
    """A person's tags; who writes, translates about a tag, and what else it goes with."""
    facets = ("tag",) if known.term.facet in PEOPLE else ("translator", "tag")
    for facet in facets:
        if config.feeds.facet(facet).enabled:
            found = [t for t in portrait.company(connection, known.key, facet, COMPANY) if config.has_feed(facet, t.path)]
            if found:
                yield facet, tuple(found)


def activity(positions: Sequence[int], zone: ZoneInfo) -> Iterator[Period]:
    """How many of `positions` (ascending) fall in each month, or in each year where there are many months."""
    first, last = (datetime.fromtimestamp(published_at(one), zone) for one in (positions[0], positions[-1]))
    by_year = (last.year - first.year) * 12 + last.month - first.month >= MAX_MONTHS
    year, month, before = first.year, 1 if by_year else first.month, 0
    while (year, month) <= (last.year, last.month):
        following = (year + 1, month) if by_year else (year + month // 12, month % 12 + 1)
        end = bisect.bisect_left(positions, first_of(int(datetime(*following, 1, tzinfo=zone).timestamp())))
        yield Period(year, 0 if by_year else month, end - before)
        (year, month), before = following, end


def profile(config: Config, term: Term) -> str:
    """Where the operator says that such a person has a page, if the name can be that of an account; "" if not."""
    pattern = config.feeds.facet(term.facet).profile
    return pattern.replace("{name}", term.name) if _LOGIN.fullmatch(term.name) else ""
