"""Single messages (confirmations, receipts): sent one after the other by one process at a time.

A second confirmation does no harm and a missing one does, so a message that a crash leaves in doubt goes again, with the same
Message-ID. One that was taken is deleted: it holds a person's address and links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import sqlalchemy as sa

from ... import database
from ...config.models import Config
from ...database.tables import outbox
from ...model import Message, Outcome
from ..messages.transactional import envelope_sender
from ..transports.base import Transport
from .delivery_rows import DELAYS
from .dispatcher import Ledger, OutgoingMessage, dispatch

#: Messages that could not be sent are shown so long (days); their text is deleted at once.
KEEP_DAYS = 7
#: Messages of one run; what is left goes with the next.
LIMIT = 1000
_ENDS = re.compile(r"\r\n|\r|\n")


def _due(now: int) -> sa.Select[Any]:
    c = outbox.c
    return sa.select(outbox).where(c.status.in_(("pending", "retry", "sending")), c.next_at <= now).order_by(c.key)


def has_work(connection: sa.Connection, now: int) -> bool:
    """Return whether a single message is due."""
    return connection.execute(_due(now).limit(1)).first() is not None


def send_due(
    engine: sa.Engine, *, config: Config, transport: Transport, now: Callable[[], float], stop: Event | None = None
) -> str:
    """Send single messages that are due `now` (UTC seconds), until `stop`.

    Returns why the rest waits; "" where none does, or where another process is sending them.
    """
    with database.lock(engine, "outbox", wait=False) as is_ours:
        if not is_ours:
            return ""
        moment, c = int(now()), outbox.c
        with database.writing(engine, together=True) as connection:
            connection.execute(sa.delete(outbox).where(c.status == "failed", c.next_at < moment - KEEP_DAYS * 86400))
            rows = connection.execute(_due(moment).limit(LIMIT)).all()
        return dispatch(OutboxLedger(engine, config, rows, now), transport.run, stop) if rows else ""


class OutboxLedger(Ledger):
    """The outbox rows of one run, under the lock of the outbox; rates do not hold them up."""

    def __init__(self, engine: sa.Engine, config: Config, rows: Sequence[Any], now: Callable[[], float]) -> None:
        self._engine, self._config, self._now = engine, config, now
        sender = envelope_sender(config)
        texts = {row: _ENDS.sub("\r\n", row.message).encode("utf-8") for row in rows}
        super().__init__((row, Message(sender, row.recipient, row.message_id, data)) for row, data in texts.items())

    def ready(self) -> int:
        """See Ledger: few messages, few connections."""
        return min(super().ready(), 2)

    def commit(self, begun: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
        """See Ledger. Rows of a subscriber who was erased meanwhile are gone, and not sent."""
        granted = []
        with database.writing(self._engine, durable=True, together=True) as connection:
            for row, outcome in self.outcomes.items():
                self._record(connection, row, outcome)
            for outgoing in begun:
                values = {"status": "sending", "attempts": outgoing.key.attempts + 1}
                if self._update(connection, outgoing.key, values):
                    granted.append(outgoing)
        self.outcomes.clear()
        return granted

    def _record(self, connection: sa.Connection, row: Any, outcome: Outcome) -> None:
        now = int(self._now())
        next_at = now + 60 * DELAYS[min(row.attempts, len(DELAYS) - 1)]
        is_late = next_at > row.created + self._config.newsletter.confirm_hours * 3600
        if outcome.status == "sent":
            connection.execute(sa.delete(outbox).where(outbox.c.key == row.key))
        elif outcome.status == "failed" or is_late:
            self._update(connection, row, {"status": "failed", "next_at": now, "reply": outcome.reply, "message": ""})
        else:
            values = {"status": "retry", "next_at": next_at, "reply": outcome.reply, "attempts": row.attempts + 1}
            self._update(connection, row, values)

    def _update(self, connection: sa.Connection, row: Any, values: dict[str, Any]) -> int:
        return connection.execute(sa.update(outbox).where(outbox.c.key == row.key).values(values)).rowcount

    def close(self) -> None:
        """See Ledger: one that was begun and not answered goes again in the next run."""
        if self.outcomes:
            self.commit([])
