"""Rate limits of sending, and the queue of rows that wait for them.

Token buckets are in the database, so that they hold for all processes together and outlive a restart (S6). A process draws a
tenth of a second's worth at once, so the database is asked a few times a second and not once a message.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from ... import database
from ...database.tables import buckets
from .delivery_rows import DeliveryRow

#: Buckets that have not been drawn from for so long (seconds) are full, and are deleted.
_KEEP = 86_400
#: Seconds' worth of messages that a process draws at once.
_SHARE = 0.1
#: Rows kept while the rate of their domain holds them back, so that those of other domains can be found behind them.
MAX_PARKED = 20_000


def draw_tokens(connection: sa.Connection, name: str, rate: float, wanted: int, now: float) -> tuple[int, float]:
    """Return (messages granted, seconds until one more would be). A bucket holds one second's worth, at least one message."""
    c, at = buckets.c, int(now * 1000)
    row = connection.execute(sa.select(c.left, c.at).where(c.name == name).with_for_update()).first()
    full = max(1000, int(rate * 1000))
    left = full if row is None else min(full, row[0] + int(max(0, at - row[1]) * rate))  # a clock set back refills nothing
    granted = min(wanted, left // 1000)
    values = {"left": left - granted * 1000, "at": at}
    if row is None:
        connection.execute(sa.insert(buckets).values(name=name, **values))
    else:
        connection.execute(sa.update(buckets).where(c.name == name).values(values))
    return granted, max(0.001, (1000 - values["left"]) / 1000 / rate)


@dataclass(eq=False)
class Throttle:
    """Tokens that this process has drawn and not used yet."""

    engine: sa.Engine
    now: Callable[[], float]
    _drawn: dict[str, int] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def wait(self, name: str, rate: float) -> float:
        """Use one message's token and return 0, or the seconds until it makes sense to ask again. A rate of 0 is no limit."""
        if not rate:
            return 0.0
        if not self._drawn.get(name):
            now = self.now()
            missing = self._until.get(name, 0.0) - now
            if 0 < missing <= 1 / rate:  # more than that: the clock was set back
                return missing
            try:
                with database.writing(self.engine, together=True) as connection:
                    granted, missing = draw_tokens(connection, name, rate, max(1, int(rate * _SHARE)), now)
            except sa.exc.IntegrityError:  # another process has just made the same bucket
                granted, missing = 0, 0.01
            self._drawn[name], self._until[name] = granted, now + missing
        if not self._drawn[name]:
            return max(0.001, self._until[name] - self.now())
        self._drawn[name] -= 1
        return 0.0

    def undo(self, name: str, rate: float) -> None:
        """Return one token that was not needed."""
        if rate:
            self._drawn[name] += 1

    def close(self) -> None:
        """Return all tokens that were drawn and not used, and delete buckets that have long been full."""
        c = buckets.c
        with database.writing(self.engine, together=True) as connection:
            for name, number in self._drawn.items():
                if number:
                    connection.execute(sa.update(buckets).where(c.name == name).values({"left": c.left + number * 1000}))
            if self._drawn:
                connection.execute(sa.delete(buckets).where(c.at < int((self.now() - _KEEP) * 1000)))
        self._drawn.clear()


@dataclass(eq=False)
class SendQueue:
    """Rows that this process has reserved and not yet handed out: first in, first out, as far as rates let them go.

    The rows of a domain that has had its share are parked until it may have more.
    """

    throttle: Throttle
    rate: float
    domain_rate: float
    #: Rows in order, except those of parked domains; append to it.
    rows: collections.deque[DeliveryRow] = field(default_factory=collections.deque)
    _parked: dict[str, collections.deque[DeliveryRow]] = field(default_factory=dict)
    #: (when a parked domain may have more, its name), a heap.
    _turns: list[tuple[float, str]] = field(default_factory=list)
    _hold: float = 0.0
    #: How many rows are parked.
    _waiting: int = 0

    def __len__(self) -> int:
        return len(self.rows) + self._waiting

    def __iter__(self) -> Iterator[DeliveryRow]:
        yield from self.rows
        for rows in self._parked.values():
            yield from rows

    @property
    def wants_more(self) -> bool:
        """Return whether rows should be claimed."""
        return not self.rows and (not self._parked or len(self) < MAX_PARKED)

    def drop(self, issues: Collection[int]) -> None:
        """Remove all rows of some issues."""
        self.rows = collections.deque(row for row in self.rows if row.issue not in issues)
        kept = {name: collections.deque(row for row in rows if row.issue not in issues) for name, rows in self._parked.items()}
        self._parked = {name: rows for name, rows in kept.items() if rows}
        self._waiting = sum(map(len, self._parked.values()))

    def ready(self) -> int:
        """Return how many could go now; at most what the rate allows in a second, since each takes a connection for a while."""
        now = self.throttle.now()
        if self._hold > now:
            return 0
        number = len(self.rows) + sum(1 for turn, _domain in self._turns if turn <= now)
        return min(number, max(1, int(self.rate))) if self.rate else number

    def pause(self) -> float:
        """Return the seconds until the next may go."""
        turn = self._turns[0][0] if self._turns and not self.rows else 0.0
        return max(0.0, max(self._hold, turn) - self.throttle.now())

    def pop(self, server: str, rate: float) -> DeliveryRow | None:
        """Return the next row that all rates let go to a server that takes `rate` messages a second; None if no row may go."""
        if self._hold > self.throttle.now():
            return None
        while (row := self._next()) is not None:
            name, now = row.domain, self.throttle.now()
            if name in self._parked and not any(domain == name and turn <= now for turn, domain in self._turns):
                self._parked[name].append(row)
                self._waiting += 1
            elif wait := self.throttle.wait(f"domain:{name}", self.domain_rate):
                self._parked.setdefault(name, collections.deque()).appendleft(row)
                self._waiting += 1
                self._turns = [*(entry for entry in self._turns if entry[1] != name), (self.throttle.now() + wait, name)]
                heapq.heapify(self._turns)
            else:
                wait = self.throttle.wait("all", self.rate)
                if not wait and (wait := self.throttle.wait(f"server:{server}", rate)):
                    self.throttle.undo("all", self.rate)
                if not wait:
                    return row
                self._hold = self.throttle.now() + wait
                self.throttle.undo(f"domain:{name}", self.domain_rate)
                self.rows.appendleft(row)
                return None
        return None

    def _next(self) -> DeliveryRow | None:
        """Return a row of a parked domain whose turn it is, else the first of the queue."""
        while self._turns and self._turns[0][0] <= self.throttle.now():
            _turn, domain = heapq.heappop(self._turns)
            if rows := self._parked.pop(domain, None):
                row = rows.popleft()
                self._waiting -= 1
                if rows:
                    self._parked[domain] = rows
                    heapq.heappush(self._turns, (self.throttle.now(), domain))
                return row
        return self.rows.popleft() if self.rows else None
