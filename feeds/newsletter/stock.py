"""Rows that this process has reserved and not yet handed out, in the order in which rates let them go."""

from __future__ import annotations

import collections
import heapq
from collections.abc import Callable, Iterable, Iterator

from .rates import Rates
from .rows import Row

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
