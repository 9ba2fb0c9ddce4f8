"""Statistics of a term for its page: when its articles were published, and which other terms they have."""

from __future__ import annotations

import bisect
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ..catalog import queries
from ..catalog.queries import KnownTerm
from ..catalog.related import Snapshot
from ..catalog.related_terms import SharedTerms, related_terms, term_positions
from ..catalog.sort_key import first_position, published_at
from ..config.models import Config
from ..model import PEOPLE, Term
from .editions import load_generation


@dataclass(frozen=True, slots=True)
class Activity:
    """How many articles were published in a month, or in a whole year, which has `month` 0."""

    year: int
    month: int
    articles: int


@dataclass(frozen=True, slots=True)
class TermStats:
    """What a term's articles say about it: `periods` without gaps, and by facet the terms that most articles have, too.

    `profile` is the address of a person's own page elsewhere, `place` the host that it is on.
    """

    first: datetime
    last: datetime
    periods: tuple[Activity, ...]
    company: tuple[tuple[str, tuple[Term, ...]], ...]
    profile: str = ""

    @property
    def place(self) -> str:
        """Whose page the profile is."""
        host = urlsplit(self.profile).hostname or ""
        return "GitHub" if host == "github.com" else host

    @property
    def counts(self) -> list[int]:
        """The number of articles of each period."""
        return [period.articles for period in self.periods]

    @property
    def busiest(self) -> Activity:
        """The first of the periods with most articles."""
        return max(self.periods, key=lambda period: period.articles)

    @property
    def years(self) -> list[tuple[int, int]]:
        """(year, articles) of each year from the first to the last."""
        found: dict[int, int] = {}
        for period in self.periods:
            found[period.year] = found.get(period.year, 0) + period.articles
        return list(found.items())


#: Beyond so many months, activity is counted by year.
MAX_MONTHS = 180
#: How many terms of each facet are named.
COMPANY = 8
#: What an account may be called where people have pages of their own: as on GitHub.
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}")


def load_term_stats(connection: sa.Connection, config: Config, known: KnownTerm) -> TermStats | None:
    """Return a term's statistics; None without articles."""
    positions = term_positions(connection, known.key)
    if not positions:
        return None
    found = related_terms(connection, known, _company_facets(config, known.term.facet), COMPANY)
    return _term_stats(config, known.term, positions, found)


def _company_facets(config: Config, facet: str) -> list[str]:
    """Return whose terms are named: a person's tags; a tag's translators and related tags."""
    return [one for one in (("tag",) if facet in PEOPLE else ("translator", "tag")) if config.feeds.facet(one).enabled]


def _term_stats(config: Config, term: Term, positions: Sequence[int], found: Mapping[str, Sequence[Term]]) -> TermStats:
    """`positions` of the term's articles, oldest first; `found`: `related_terms`."""
    company = [(facet, tuple(t for t in terms if config.has_feed(facet, t.path))) for facet, terms in found.items()]
    pattern, name = config.feeds.facet(term.facet).profile, term.name
    first, last = (queries.utc_datetime(published_at(one)) for one in (positions[0], positions[-1]))
    profile = pattern.replace("{name}", name) if _LOGIN.fullmatch(name) else ""
    activity = tuple(count_activity(positions, config.zone))
    return TermStats(first, last, activity, tuple(row for row in company if row[1]), profile)


class TermStatsCache:
    """The statistics of the terms that were asked for last, at most `most` of them, of one edition; threads share it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._edition: tuple[int, Config] | None = None
        self._found: OrderedDict[int, TermStats | None] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, connection: sa.Connection, config: Config, known: KnownTerm) -> TermStats | None:
        """Return a term's statistics, as `load_term_stats`: from memory where neither the catalog nor the settings changed."""
        generation = load_generation(connection)
        with self._lock:
            if self._edition is None or self._edition[0] != generation or self._edition[1] is not config:
                self._edition = edition = generation, config
                self._found.clear()
            edition = self._edition
            if known.key in self._found:
                self._found.move_to_end(known.key)
                return self._found[known.key]
        stats = load_term_stats(connection, config, known)
        with self._lock:
            if self._edition is edition:
                self._found[known.key] = stats
                if len(self._found) > self.most:
                    self._found.popitem(last=False)
        return stats


class Portraits:
    """The statistics of all terms, from a snapshot of all articles: as `load_term_stats`, without a query for each."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.refresh(Config(), {})

    def refresh(self, config: Config, terms: Mapping[int, Term]) -> None:
        """Follow a snapshot and settings. `terms`: by key, all that articles have of the facets that are enabled."""
        self._config, self._terms = config, terms
        self._shared = SharedTerms(self._snapshot, terms)

    def of(self, key: int) -> TermStats:
        """Return the statistics of a term that has articles."""
        config, term, members = self._config, self._terms[key], self._snapshot.members[key]
        found = self._shared.most(key, _company_facets(config, term.facet), COMPANY)
        return _term_stats(config, term, [self._snapshot.articles[one].position for one in reversed(members)], found)


def count_activity(positions: Sequence[int], zone: ZoneInfo) -> Iterator[Activity]:
    """Yield how many of `positions` (ascending) fall in each month, or in each year where there are many months."""
    first, last = (datetime.fromtimestamp(published_at(one), zone) for one in (positions[0], positions[-1]))
    by_year = (last.year - first.year) * 12 + last.month - first.month >= MAX_MONTHS
    year, month, before = first.year, 1 if by_year else first.month, 0
    while (year, month) <= (last.year, last.month):
        following = (year + 1, month) if by_year else (year + month // 12, month % 12 + 1)
        end = bisect.bisect_left(positions, first_position(int(datetime(*following, 1, tzinfo=zone).timestamp())))
        yield Activity(year, 0 if by_year else month, end - before)
        (year, month), before = following, end
