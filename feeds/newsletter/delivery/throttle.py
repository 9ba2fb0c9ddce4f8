"""Rates of sending: token buckets in the database, so that they hold for all processes together and outlive a restart (S6).

A process draws a tenth of a second's worth at once, so the database is asked a few times a second and not once a message.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Callable, Iterable, Iterator

import sqlalchemy as sa

from ... import database
from ...database.tables import buckets
from .queue import Row

#: Buckets that have not been drawn from for so long (seconds) are full, and go.
_FORGET = 86_400
_SHARE = 0.1


def draw(connection: sa.Connection, name: str, rate: float, wanted: int, now: float) -> tuple[int, float]:
    """(messages granted, seconds until one more would be). A bucket holds one second's worth, at least one message."""
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


def put_back(connection: sa.Connection, name: str, number: int) -> None:
    """Drawn, and not needed."""
    c = buckets.c
    connection.execute(sa.update(buckets).where(c.name == name).values({"left": c.left + number * 1000}))


def forget(connection: sa.Connection, now: float) -> None:
    """Buckets of domains that nothing goes to any more."""
    connection.execute(sa.delete(buckets).where(buckets.c.at < int((now - _FORGET) * 1000)))


class Rates:
    """What this process has drawn and not used yet."""

    def __init__(self, engine: sa.Engine, now: Callable[[], float]) -> None:
        self._engine, self._now = engine, now
        self._drawn: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def wait(self, name: str, rate: float) -> float:
        """Take one message's worth and give 0, or the seconds until it makes sense to ask again. A rate of 0 is no limit."""
        if not rate:
            return 0.0
        if not self._drawn.get(name):
            missing = self._until.get(name, 0.0) - self._now()
            if 0 < missing <= 1 / rate:  # more than that: the clock was set back
                return missing
            self._draw(name, rate)
        if not self._drawn[name]:
            return max(0.001, self._until[name] - self._now())
        self._drawn[name] -= 1
        return 0.0

    def _draw(self, name: str, rate: float) -> None:
        now = self._now()
        try:
            with database.writing(self._engine, together=True) as connection:
                granted, missing = draw(connection, name, rate, max(1, int(rate * _SHARE)), now)
        except sa.exc.IntegrityError:  # another process has just made the same bucket
            granted, missing = 0, 0.01
        self._drawn[name], self._until[name] = granted, now + missing

    def undo(self, name: str, rate: float) -> None:
        """One that was taken is not needed."""
        if rate:
            self._drawn[name] += 1

    def close(self) -> None:
        with database.writing(self._engine, together=True) as connection:
            for name, number in self._drawn.items():
                if number:
                    put_back(connection, name, number)
            if self._drawn:
                forget(connection, self._now())
        self._drawn.clear()


# Rows that this process has reserved and not yet handed out, in the order in which rates let them go.

#: Rows kept while the rate of their domain holds them back, so that those of other domains can be found behind them.
MAX_PARKED = 20_000


class Stock:
    """First in, first out; the rows of a domain that has had its share are parked until it may have more."""

    def __init__(self, rates: Rates, now: Callable[[], float], rate: float, domain_rate: float) -> None:
        self._rates, self._now = rates, now
        self._rate, self._domain_rate = rate, domain_rate
        self._queue: collections.deque[Row] = collections.deque()
        self._parked: dict[str, collections.deque[Row]] = {}
        self._turns: list[tuple[float, str]] = []
        self._hold = 0.0
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._queue) + self._waiting

    def __iter__(self) -> Iterator[Row]:
        yield from self._queue
        for rows in self._parked.values():
            yield from rows

    @property
    def wants_more(self) -> bool:
        return not self._queue and (not self._parked or len(self) < MAX_PARKED)

    def add(self, rows: Iterable[Row]) -> None:
        self._queue.extend(rows)

    def drop(self, issue: int) -> list[Row]:
        """Take all rows of an issue out."""
        dropped = [row for row in self if row.issue == issue]
        self._queue = collections.deque(row for row in self._queue if row.issue != issue)
        kept = {name: collections.deque(row for row in rows if row.issue != issue) for name, rows in self._parked.items()}
        self._parked = {name: rows for name, rows in kept.items() if rows}
        self._waiting = sum(map(len, self._parked.values()))
        return dropped

    def ready(self) -> int:
        """How many could go now; no more than the rate lets go in a second, since each takes a connection for a while."""
        now = self._now()
        if self._hold > now:
            return 0
        number = len(self._queue) + sum(1 for turn, _domain in self._turns if turn <= now)
        return min(number, max(1, int(self._rate))) if self._rate else number

    def pause(self) -> float:
        """Seconds until the next may go."""
        turn = self._turns[0][0] if self._turns and not self._queue else 0.0
        return max(0.0, max(self._hold, turn) - self._now())

    def pop(self, server: str, rate: float) -> Row | None:
        """The next row that all rates let go."""
        if self._hold > self._now():
            return None
        while (row := self._next()) is not None:
            if self._park(row):
                continue
            self._hold = self._general(server, rate)
            if not self._hold:
                return row
            self._rates.undo(_domain(row), self._domain_rate)
            self._queue.appendleft(row)
            return None
        return None

    def _next(self) -> Row | None:
        """From a parked domain whose turn it is, else from the queue."""
        while self._turns and self._turns[0][0] <= self._now():
            _turn, domain = heapq.heappop(self._turns)
            if rows := self._parked.pop(domain, None):
                row = rows.popleft()
                self._waiting -= 1
                if rows:
                    self._parked[domain] = rows
                    heapq.heappush(self._turns, (self._now(), domain))
                return row
        return self._queue.popleft() if self._queue else None

    def _park(self, row: Row) -> bool:
        """True if its domain has had its share; then it waits in line."""
        name = row.domain
        if not self._domain_rate:
            return False
        if name in self._parked and not self._is_turn(name):
            self._parked[name].append(row)
            self._waiting += 1
            return True
        wait = self._rates.wait(_domain(row), self._domain_rate)
        if wait:
            self._parked.setdefault(name, collections.deque()).appendleft(row)
            self._waiting += 1
            self._turns = [entry for entry in self._turns if entry[1] != name]
            heapq.heapify(self._turns)
            heapq.heappush(self._turns, (self._now() + wait, name))
        return wait > 0

    def _is_turn(self, name: str) -> bool:
        return any(domain == name and turn <= self._now() for turn, domain in self._turns)

    def _general(self, server: str, rate: float) -> float:
        """0, or the time until which everything waits."""
        wait = self._rates.wait("all", self._rate)
        if not wait and (wait := self._rates.wait(f"server:{server}", rate)):
            self._rates.undo("all", self._rate)
        return self._now() + wait if wait else 0.0


def _domain(row: Row) -> str:
    return f"domain:{row.domain}"
