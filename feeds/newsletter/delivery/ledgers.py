"""Ledgers of the database: delivery rows of issues (`send_issues`), and single messages of the outbox (`send_outbox`).

Rows of issues are claimed, held back by rate, composed and settled, by several processes at once. A row is recorded as being
sent before its message is handed over. All commits are on disk before anything goes on (`database.writing(durable=True)`,
SQLite's synchronous=FULL), so a power cut undoes none; rows of killed processes are found by `delivery_rows.reap`.

Single messages (confirmations, receipts) are sent by one process at a time. A second confirmation does no harm and a missing
one does, so a message that a crash leaves in doubt goes again, with the same Message-ID. One that was taken is deleted: it
holds a person's address and links.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import sqlalchemy as sa
import structlog

from ... import database
from ...config.models import Config
from ...database.tables import outbox
from ...model import Message, Outcome, Recipient
from ..messages.transactional import envelope_sender
from ..transports.base import Transport, one_line
from . import delivery_rows, issue_status
from .delivery_rows import DELAYS, DeliveryRow, Result
from .dispatcher import Ledger, OutgoingMessage, dispatch
from .throttle import SendQueue, Throttle

log: Any = structlog.get_logger("feeds.newsletter")

#: Rows claimed at once.
BATCH = 500
#: Refusals of the sender (5xx to MAIL) with nothing accepted in between: then it is not the messages' fault.
SENDER_REFUSALS = 10
#: Messages of the outbox that could not be sent are shown so long (days); their text is deleted at once.
KEEP_DAYS = 7
#: Messages of the outbox in one run; what is left goes with the next.
LIMIT = 1000
_ENDS = re.compile(r"\r\n|\r|\n")

#: Called with (recipient, now): composes the message of one recipient.
Compose = Callable[[Recipient, int], Message]
#: Called with (connection, issue): returns what composes the messages of that issue.
ComposerFor = Callable[[sa.Connection, int], Compose]
#: Called with (connection, subscriber, issue, the server's reply, now): a recipient was refused for good.
HardFailure = Callable[[sa.Connection, int, int, str, int], object]


@dataclass(slots=True)
class Tally:
    """What one run did; `cancelled`: rows of people who had left. `problem`: why it ended early, "" if it did not."""

    sent: int = 0
    retry: int = 0
    failed: int = 0
    uncertain: int = 0
    cancelled: int = 0
    problem: str = ""

    @property
    def done(self) -> int:
        """Return how many deliveries came to an end, for now."""
        return self.sent + self.retry + self.failed + self.uncertain + self.cancelled


@dataclass(eq=False)
class IssueLedger(Ledger):
    """Delivery rows of open issues, the oldest issue first.

    `composer_for` gives the composer of an issue; `now` the time (UTC seconds), which may stand still; `progress` is called
    with the number of deliveries done. `only` and `limit`: messages of one issue, about so many: what one job of several does.
    """

    engine: sa.Engine
    config: Config
    composer_for: ComposerFor
    now: Callable[[], float]
    progress: Callable[[int], None] | None = None
    on_hard_failure: HardFailure = lambda *_failure: None
    owner: str = field(default_factory=delivery_rows.new_owner)
    only: int | None = None
    limit: int | None = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        settings, start, started = self.config.newsletter, self.now(), time.monotonic()
        self._resend = settings.on_uncertain == "resend"
        # The clock of rates goes on where the operator's `now` stands still.
        self._throttle = Throttle(self.engine, lambda: max(self.now(), start + time.monotonic() - started))
        self._queue = SendQueue(self._throttle, settings.rate, settings.domain_rate)
        self._claimed, self._is_all_claimed = 0, False
        self._composers: dict[int, Compose] = {}
        #: Messages that are out, or were given back.
        self._in_hand: set[OutgoingMessage] = set()
        self._returned: list[OutgoingMessage] = []
        #: Issues of which nothing more is sent in this run, and those of them that are to be paused.
        self._closed: set[int] = set()
        self._pauses: dict[int, str] = {}
        self._results: list[Result] = []
        self._hard_failures: list[Result] = []
        self._errors = 0
        self._suspects: list[tuple[OutgoingMessage, str]] = []
        self._renewed = time.monotonic()

    @property
    def is_exhausted(self) -> bool:
        """See Ledger."""
        return self._is_all_claimed and not self._returned and not len(self._queue)

    def ready(self) -> int:
        """See Ledger."""
        self._fill()
        return len(self._returned) + self._queue.ready()

    def pause(self) -> float:
        """See Ledger."""
        return self._queue.pause()

    def take(self, server: str, rate: float) -> OutgoingMessage | None:
        """See Ledger. A message that cannot be composed fails alone."""
        while not self._returned:
            self._fill()
            row = self._queue.pop(server, rate)
            if row is None:
                return None
            try:
                message = self._composers[row.issue](row.recipient, int(self.now()))
            except Exception as error:
                self._fail(row, Outcome("failed", one_line(f"not composed: {type(error).__name__}: {error}")))
                self.is_changed = True
            else:
                outgoing = OutgoingMessage(row, message)
                self._in_hand.add(outgoing)
                return outgoing
        return self._returned.pop()

    def give_back(self, outgoing: OutgoingMessage) -> None:
        """See Ledger. One of a closed issue is freed at the end of the run."""
        if outgoing.key.issue not in self._closed:
            self._returned.append(outgoing)

    def _fill(self) -> None:
        """Claim rows while the queue wants more, from the oldest open issue that has any."""
        while self._queue.wants_more and not self._is_all_claimed:
            with database.writing(self.engine, together=True) as connection:
                found = self._claim(connection)
                if not found:
                    delivery_rows.reap(connection, int(self.now()), resend=self._resend)
                    found = self._claim(connection)
            self._queue.rows.extend(found)
            self._claimed += len(found)
            self._is_all_claimed = not found or (self.limit is not None and self._claimed >= self.limit)

    def _claim(self, connection: sa.Connection) -> list[DeliveryRow]:
        for issue in issue_status.due_issues(connection, self.only):
            deadline = issue.planned_at + self.config.newsletter.retry_hours * 3600
            if issue.key not in self._composers and issue.key not in self._closed:
                try:
                    self._composers[issue.key] = self.composer_for(connection, issue.key)
                except Exception as error:
                    self._pause(issue.key, one_line(f"its messages cannot be composed: {type(error).__name__}: {error}"))
            while issue.key not in self._closed:
                now = int(self.now())
                found, gone = delivery_rows.claim(connection, issue.key, deadline, owner=self.owner, now=now, limit=BATCH)
                self.tally.cancelled += gone
                if found:
                    return found
                if not gone:
                    break
        return []

    def end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        """See Ledger: decide what an outcome means for the row, and for its issue."""
        row: DeliveryRow = outgoing.key
        if outcome.status == "failed" and outcome.stage == "mail":
            self._suspects.append((outgoing, outcome.reply))
            self._count_error(row, outcome)
            return
        self._in_hand.discard(outgoing)
        if outcome.status == "sent":
            self._errors = 0
            self._add(Result(row, "sent", outcome.reply))
            self._settle_suspects(is_accepted=True)
        elif outcome.status == "retry" or (outcome.status == "uncertain" and self._resend):
            self._add(delivery_rows.put_off(row, outcome.reply, int(self.now())))
            if outcome.status == "uncertain":
                self._count_error(row, outcome)
        else:
            self._fail(row, outcome)

    def _fail(self, row: DeliveryRow, outcome: Outcome) -> None:
        self._add(Result(row, outcome.status, outcome.reply))
        if outcome.status == "failed" and outcome.stage == "recipient":
            self._hard_failures.append(self._results[-1])
        self._count_error(row, outcome)

    def _add(self, result: Result) -> None:
        self._results.append(result)
        setattr(self.tally, result.status, getattr(self.tally, result.status) + 1)

    def _count_error(self, row: DeliveryRow, outcome: Outcome) -> None:
        """Pause the issue after too many errors in a row, or where the sender is refused whatever the message."""
        self._errors += 1
        most = self.config.newsletter.max_errors
        if len(self._suspects) >= min(SENDER_REFUSALS, most):
            self._settle_suspects(is_accepted=False)
        elif self._errors >= most:
            self._pause(row.issue, f"{self._errors} errors in a row; the last: {outcome.reply}")
            self._errors = 0

    def _settle_suspects(self, *, is_accepted: bool) -> None:
        """Decide about messages whose sender was refused.

        Where another message was accepted, they were refused for themselves, and fail. Else the sender is refused whatever the
        message: no row is to blame, all stay as they are (or are retried where they were begun), and their issues are paused.
        """
        for outgoing, reply in self._suspects:
            if not is_accepted:
                self._pause(outgoing.key.issue, f"the server refuses the sender: {reply}")
            if is_accepted or outgoing.begun:
                self._in_hand.discard(outgoing)
                failed = Result(outgoing.key, "failed", reply)
                self._add(failed if is_accepted else delivery_rows.put_off(outgoing.key, reply, int(self.now())))
        self._suspects.clear()

    def _pause(self, issue: int, reason: str) -> None:
        if issue not in self._closed:
            self._closed.add(issue)
            self._pauses[issue] = reason[:500]
            self.is_changed = True

    def commit(self, begun: Sequence[OutgoingMessage]) -> set[OutgoingMessage]:
        """See Ledger. Rows of closed issues are freed, except those that a connection holds."""
        now = int(self.now())
        back = [outgoing for outgoing in self._returned if outgoing.key.issue in self._closed]
        with database.writing(self.engine, durable=True, together=True) as connection:
            delivery_rows.end(connection, self._results, owner=self.owner, now=now)
            for result in self._hard_failures:
                row = result.row
                try:  # an error there is no reason to stop
                    with connection.begin_nested():
                        self.on_hard_failure(connection, row.recipient.subscriber, row.issue, result.reply, now)
                except Exception:
                    log.exception("hard failure not booked", subscriber=row.recipient.subscriber)
            for issue, reason in self._pauses.items():
                issue_status.pause(connection, issue, reason)
            if self._closed:
                shed = [row for row in self._queue if row.issue in self._closed]
                delivery_rows.release(connection, [*shed, *(outgoing.key for outgoing in back)], self.owner)
            rows: list[DeliveryRow] = [outgoing.key for outgoing in begun]
            keys = delivery_rows.begin(connection, rows, owner=self.owner, now=now)
        for issue, reason in self._pauses.items():
            log.error("issue paused", issue=issue, reason=reason)
        if self._closed:
            self._queue.drop(self._closed)
            self._returned = [outgoing for outgoing in self._returned if outgoing not in back]
        self._results, self._hard_failures, self._pauses, self.is_changed = [], [], {}, False
        granted = {outgoing for outgoing in begun if (outgoing.key.issue, outgoing.key.recipient.subscriber) in keys}
        self._in_hand -= {*begun, *back} - granted
        if self.progress:
            self.progress(self.tally.done)
        return granted

    def refresh(self) -> None:
        """See Ledger: close issues that an operator has stopped; now and then renew leases, and reap rows of dead senders."""
        with database.reading(self.engine) as connection:
            live = {issue.key for issue in issue_status.due_issues(connection)}
        if stopped := self._composers.keys() - live - self._closed:
            self._closed |= stopped
            self.is_changed = True
        if time.monotonic() - self._renewed > delivery_rows.LEASE / 4:
            self._renewed = time.monotonic()
            with database.writing(self.engine, together=True) as connection:
                rows = [*self._queue, *(outgoing.key for outgoing in self._in_hand)]
                delivery_rows.renew(connection, rows, self.owner, int(self.now()))
                delivery_rows.reap(connection, int(self.now()), resend=self._resend, reserved=False)

    def close(self) -> None:
        """See Ledger: what is left in hand is free again, or uncertain where it was begun."""
        self._settle_suspects(is_accepted=self.tally.sent > 0)
        for outgoing in [outgoing for outgoing in self._in_hand if outgoing.begun]:
            self._in_hand.discard(outgoing)
            self._add(Result(outgoing.key, "uncertain", "the sender stopped while sending it"))
        left = [*self._queue, *(outgoing.key for outgoing in self._in_hand)]
        self.commit([])
        with database.writing(self.engine, durable=True, together=True) as connection:
            delivery_rows.release(connection, left, self.owner)
            issue_status.close_finished(connection)
        self._throttle.close()


def send_issues(ledger: IssueLedger, transport: Transport, stop: Event | None = None) -> Tally:
    """Send whatever is open and due; return what was done when nothing is left that is due now, or after `stop`.

    Rows of dead senders are recovered first, and issues that are late wait for the operator (S7).
    """
    now, settings = int(ledger.now()), ledger.config.newsletter
    with database.writing(ledger.engine, durable=True, together=True) as connection:
        delivery_rows.reap(connection, now, resend=settings.on_uncertain == "resend", reserved=False)
        late = issue_status.pause_late(connection, now, settings.late_hours)
    for issue in late:
        log.error("issue paused", issue=issue, reason=f"nothing was sent for more than {settings.late_hours} hours")
    ledger.tally.problem = dispatch(ledger, transport.run, stop)
    return ledger.tally


def due_messages(connection: sa.Connection, now: int, limit: int = LIMIT) -> Sequence[Any]:
    """Return rows of the outbox that are due, in their order."""
    c = outbox.c
    query = sa.select(outbox).where(c.status.in_(("pending", "retry", "sending")), c.next_at <= now)
    return connection.execute(query.order_by(c.key).limit(limit)).all()


class OutboxLedger(Ledger):
    """The outbox rows of one run, under the lock of the outbox; rates do not hold them up."""

    most_ready = 2

    def __init__(self, engine: sa.Engine, config: Config, rows: Sequence[Any], now: Callable[[], float]) -> None:
        self._engine, self._config, self._now = engine, config, now
        sender = envelope_sender(config)
        texts = {row: _ENDS.sub("\r\n", row.message).encode("utf-8") for row in rows}
        super().__init__((row, Message(sender, row.recipient, row.message_id, data)) for row, data in texts.items())

    def commit(self, begun: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
        """See Ledger. Rows of a subscriber who was erased meanwhile are gone, and not sent."""
        now, patience, granted = int(self._now()), self._config.newsletter.confirm_hours * 3600, []
        with database.writing(self._engine, durable=True, together=True) as connection:
            for row, outcome in self.outcomes.items():
                next_at = now + 60 * DELAYS[min(row.attempts, len(DELAYS) - 1)]
                values = {"status": "retry", "next_at": next_at, "reply": outcome.reply, "attempts": row.attempts + 1}
                if outcome.status == "failed" or next_at > row.created + patience:
                    values = {"status": "failed", "next_at": now, "reply": outcome.reply, "message": ""}
                is_row = outbox.c.key == row.key
                is_sent = outcome.status == "sent"
                connection.execute(
                    sa.delete(outbox).where(is_row) if is_sent else sa.update(outbox).where(is_row).values(values)
                )
            for outgoing in begun:
                row = outgoing.key
                started = sa.update(outbox).where(outbox.c.key == row.key)
                if connection.execute(started.values(status="sending", attempts=row.attempts + 1)).rowcount:
                    granted.append(outgoing)
        self.outcomes.clear()
        return granted


def send_outbox(
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
            rows = due_messages(connection, moment)
        return dispatch(OutboxLedger(engine, config, rows, now), transport.run, stop) if rows else ""
