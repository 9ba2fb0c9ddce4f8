"""A look at the tables: what is to be done now. It finds changes by comparing digests, not by listening to rescans.

At the start, whenever the catalog has another generation, and where an errand left a doubt, a topic's digest is compared with
the one that is wanted for its subscriptions. So nothing is lost with a process, and one that was down catches up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from ... import database
from ...config import Config
from . import announce, rows
from .errands import Library
from .rows import Owed, Request

log: Any = structlog.get_logger("feeds.hub")

SWEEP_SECONDS = 60
#: How much is read from the tables at once.
AT_ONCE = 4000
#: Subscriptions that a worker delivers to in one job, and the seconds after which they are owed again if it says nothing.
ROUND, ROUND_SECONDS = 100, 300

#: (connection, keys of subscriptions)
HandOver = Callable[[sa.Connection, list[int]], None]


class Source(Library, Protocol):
    """What the hub asks of the catalog. Called in a thread."""

    def generation(self) -> int: ...

    def config(self) -> Config | None: ...

    def digests(self, topics: Iterable[str]) -> Mapping[str, str | None]:
        """What each topic's feed is now: "" where there is none at present, None where it is gone for good."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """`config` is None where nothing is to be done at all; `renewed`: it is of another generation than at the last look."""

    config: Config | None = None
    renewed: bool = False
    requests: list[Request] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)
    retired: list[Owed] = field(default_factory=list)
    batches: list[announce.Batch] = field(default_factory=list)


@dataclass(slots=True)
class Lookout:
    """Remembers what it has seen. One look at a time.

    `workers` enqueues deliveries to these subscriptions, in the transaction that hands them over; without it, they are `owed`.
    """

    engine: sa.Engine
    source: Source
    now: Callable[[], int]
    workers: HandOver | None = None
    _generation: int = -1
    _config: Config | None = None
    _swept: int = 0
    _told: int = -1
    _quiet_until: int = 0

    def look(self, unsure: Iterable[str], *, hungry: bool, told: bool | None = None) -> Work:
        """`unsure` topics are compared whatever else; without `hungry` there is enough to do already.

        `told`: since the last look, a hub outside has taken what was found, or not all of it; None if it was not told anything.
        """
        generation, now = self.source.generation(), self.now()
        renewed = generation != self._generation
        if renewed:
            self._generation, self._config = generation, self.source.config()
        config = self._config
        if config is None or not config.hub_url:
            return Work()
        if config.feeds.websub.outside:
            return Work(config, renewed, batches=self._announcements(config, told, now))
        self._sweep(now)
        retired = self._compare(None if renewed else set(unsure), now)
        if not hungry:
            return Work(config, renewed, retired=retired)
        with database.reading(self.engine) as connection:
            requests = _first_of_each(rows.open_requests(connection, now, AT_ONCE))
            owed = rows.owed(connection, now, AT_ONCE)
        if self.workers is not None and config.site.workers:
            self._hand_over(self.workers, owed, now)
            owed = []
        return Work(config, renewed, requests, owed, retired)

    def _hand_over(self, workers: HandOver, owed: list[Owed], now: int) -> None:
        for start in range(0, len(owed), ROUND):
            keys = [row.key for row in owed[start : start + ROUND]]
            with database.writing(self.engine, durable=True) as connection:
                rows.hand_over(connection, keys, now + ROUND_SECONDS)
                workers(connection, keys)

    def compare(self, topics: Iterable[str]) -> None:
        """After errands that were done elsewhere."""
        self._compare(set(topics), self.now())

    def _sweep(self, now: int) -> None:
        if abs(now - self._swept) < SWEEP_SECONDS:
            return
        self._swept = now
        with database.writing(self.engine) as connection:
            expired = rows.expire(connection, now)
        if expired:
            log.info("hub_expired", subscriptions=expired)

    def _compare(self, unsure: set[str] | None, now: int) -> list[Owed]:
        """Write down which topics (None: all) have changed. Returns the subscriptions of those that are gone for good."""
        if unsure is not None and not unsure:
            return []
        with database.reading(self.engine) as connection:
            known = rows.standings(connection)
        digests = self.source.digests(topic for topic in known if unsure is None or topic in unsure)
        changed = {topic: digest for topic, digest in digests.items() if digest and known[topic] != {digest}}
        gone = [topic for topic, digest in digests.items() if digest is None]
        if not changed and not gone:
            return []
        with database.writing(self.engine) as connection:
            for topic, digest in changed.items():
                rows.want(connection, topic, digest, now)
            return [row for topic in gone for row in rows.of_topic(connection, topic)]

    # -- a hub outside ---------------------------------------------------------

    def _announcements(self, config: Config, told: bool | None, now: int) -> list[announce.Batch]:
        if told is not None:  # more may have changed while it was being told
            self._told, self._quiet_until = -1, 0 if told else now + announce.AGAIN_SECONDS
        if self._told == self._generation or now < self._quiet_until:
            return []
        with database.writing(self.engine) as connection:
            found = announce.changed(connection, config)
        self._told = self._generation
        return found


def _first_of_each(requests: Iterable[Request]) -> list[Request]:
    """Requests of one callback are verified one after the other: the last word is the one that counts."""
    seen: dict[str, Request] = {}
    for request in requests:
        seen.setdefault(request.callback, request)
    return list(seen.values())
