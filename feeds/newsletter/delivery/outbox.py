"""Single messages (confirmations, receipts): sent one after the other by one process at a time.

A second confirmation does no harm and a missing one does, so a message that a crash leaves in doubt goes again, with the same
Message-ID. One that was taken is deleted: it holds somebody's address and links.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from email.utils import parseaddr
from threading import Event
from typing import Any

import sqlalchemy as sa

from ... import database
from ...config.models import Config
from ...database.tables import outbox
from ...model import Message, Outcome
from ..transports.base import Parcel, Transport, TransportError
from .queue import DELAYS

#: Messages that could not be sent are shown so long (days); their text goes at once.
KEEP_DAYS = 7
#: In one run; what is left goes with the next.
LIMIT = 1000
_ENDS = re.compile(r"\r\n|\r|\n")
_WAITING = ("pending", "retry", "sending")


def has_work(connection: sa.Connection, now: int) -> bool:
    return connection.execute(_due(now).limit(1)).first() is not None


def deliver(
    engine: sa.Engine, *, config: Config, transport: Transport, now: Callable[[], float], stop: Event | None = None
) -> str:
    """Send what is due `now` (UTC seconds), until `stop`. Returns why the rest waits; "" where none does, or another sends."""
    with database.exclusive(engine, "outbox", wait=False) as mine:
        if not mine:
            return ""
        moment = int(now())
        with database.writing(engine, together=True) as connection:
            connection.execute(
                sa.delete(outbox).where(outbox.c.status == "failed", outbox.c.next_at < moment - KEEP_DAYS * 86400)
            )
            rows = connection.execute(_due(moment).limit(LIMIT)).all()
        desk = _Desk(engine, config, rows, now, stop or Event())
        try:
            if rows:
                asyncio.run(transport.run(desk))
        except TransportError as error:
            return str(error)
        return desk.problem


def _due(now: int) -> sa.Select[Any]:
    c = outbox.c
    return sa.select(outbox).where(c.status.in_(_WAITING), c.next_at <= now).order_by(c.key)


class _Desk:
    """The rows of one run, under the lock of the outbox."""

    def __init__(self, engine: sa.Engine, config: Config, rows: Any, now: Callable[[], float], stop: Event) -> None:
        self._engine, self._config, self._now, self._stop = engine, config, now, stop
        self._waiting = [Parcel(row, _message(config, row)) for row in rows][::-1]
        self.problem = ""

    @property
    def finished(self) -> bool:
        return not self._waiting or self.stopping

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def ready(self) -> int:
        return 0 if self.stopping else min(len(self._waiting), 2)  # few messages, few connections

    def pause(self) -> float:
        return 0.05

    def take(self, server: str = "", rate: float = 0.0) -> Parcel | None:
        return None if self.finished else self._waiting.pop()

    def move(self, ended: tuple[Parcel, Outcome] | None, begun: Parcel | None, then: Callable[[bool], None] | None) -> None:
        granted = True
        with database.writing(self._engine, durable=True, together=True) as connection:
            if ended:
                self._end(connection, ended[0].key, ended[1])
            if begun:
                values = {"status": "sending", "attempts": begun.key.attempts + 1}
                granted = self._update(connection, begun.key, values) > 0  # an erased subscriber's are gone
        if then:
            asyncio.get_running_loop().call_soon(then, granted)

    def _end(self, connection: sa.Connection, row: Any, outcome: Outcome) -> None:
        now = int(self._now())
        next_at = now + 60 * DELAYS[min(row.attempts, len(DELAYS) - 1)]
        late = next_at > row.created + self._config.newsletter.confirm_hours * 3600
        if outcome.status == "sent":
            connection.execute(sa.delete(outbox).where(outbox.c.key == row.key))
        elif outcome.status == "failed" or late:
            self._update(connection, row, {"status": "failed", "next_at": now, "reply": outcome.reply, "message": ""})
        else:
            values = {"status": "retry", "next_at": next_at, "reply": outcome.reply, "attempts": row.attempts + 1}
            self._update(connection, row, values)

    def _update(self, connection: sa.Connection, row: Any, values: dict[str, Any]) -> int:
        return connection.execute(sa.update(outbox).where(outbox.c.key == row.key).values(values)).rowcount

    def give_back(self, parcel: Parcel, *, tried: bool = True) -> None:
        parcel.returns += tried
        if parcel.returns < 3:
            self._waiting.append(parcel)
        else:
            self.move((parcel, Outcome("retry", "the connection was lost three times")), None, None)

    def give_up(self, reason: str) -> None:
        self.problem = reason
        self._waiting.clear()


def _message(config: Config, row: Any) -> Message:
    """The envelope's sender is where bounces go, else who the message is from."""
    settings = config.newsletter
    sender = parseaddr(settings.bounces.address or settings.confirmations_from or settings.sender)[1]
    return Message(sender, row.recipient, row.message_id, _ENDS.sub("\r\n", row.message).encode("utf-8"))
