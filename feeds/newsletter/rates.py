"""Rates of sending: token buckets in the database, so that they hold for all processes together and outlive a restart (S6).

A process draws a tenth of a second's worth at once, so the database is asked a few times a second and not once a message.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from .. import database
from ..database import buckets

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
