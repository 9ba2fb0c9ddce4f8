"""The desk of one run: hands out messages, notes what became of them. `deliver` opens and closes it.

Notes are committed in groups: what all connections report in one turn of the event loop is one transaction, on disk before
anyone goes on. While it is being written, further replies gather for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
import structlog

from ... import database
from ...config.models import Config
from ...model import Message, Outcome, Recipient
from ..transports import choose
from ..transports.base import Parcel, Transport, TransportError
from ..transports.smtp_session import one_line
from . import queue
from .queue import End, Row
from .throttle import Rates, Stock

log: Any = structlog.get_logger("feeds.newsletter")

Found = TypeVar("Found")
BATCH = 500
#: How long (seconds) a group may grow while servers still have messages in hand: a commit costs as much as ten messages, and
#: next to a server on the same machine fewer of them are worth more than the wait (`benchmarks/postfix.py`).
GATHER = 0.010
#: So many connections that wait for us, for each that waits for a server, are reason enough to commit at once.
URGENT = 9
#: Refusals of the sender (5xx to MAIL) with nothing taken in between: then it is not the messages' fault.
SENDER_REFUSALS = 10
#: A message that came back untouched so often is put off: it may be what makes the server hang up.
_RETURNS = 3
#: How long (seconds) a database that others hold, or that is away, is asked again before the run ends.
_BUSY = 600.0


class Composer(Protocol):
    """Makes the messages of one issue."""

    def message(self, recipient: Recipient, now: int) -> Message: ...


PressOf = Callable[[sa.Connection, int], Composer]
#: (connection, subscriber, issue, the server's reply, now): a recipient was refused for good.
HardFailure = Callable[[sa.Connection, int, int, str, int], None]


@dataclass(slots=True)
class Tally:
    """What one run did; `cancelled`: rows of people who had left. `problem`: why it ended early, "" if it did not."""

    sent: int = 0
    retry: int = 0
    failed: int = 0
    uncertain: int = 0
    cancelled: int = 0
    problem: str = ""

    def add(self, status: str) -> None:
        setattr(self, status, getattr(self, status) + 1)

    @property
    def done(self) -> int:
        return self.sent + self.retry + self.failed + self.uncertain + self.cancelled


@dataclass(slots=True)
class Desk:
    """See `parcels.Desk`. All state of a run that is not in the database."""

    engine: sa.Engine
    config: Config
    press_of: PressOf
    now: Callable[[], float]
    stop: Event
    progress: Callable[[int], None] | None
    on_hard_failure: HardFailure | None
    owner: str
    #: Only messages of this issue, and no more than so many: what one job of several does. None: all there is.
    only: int | None = None
    limit: int | None = None
    tally: Tally = field(default_factory=Tally)
    failure: Exception | None = None
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    rates: Rates = field(init=False)
    stock: Stock = field(init=False)
    _presses: dict[int, Composer] = field(default_factory=dict)
    _shut: set[int] = field(default_factory=set)
    _returned: list[Parcel] = field(default_factory=list)
    #: Rows of parcels that are out: True once they are noted as being sent.
    _out: dict[Row, bool] = field(default_factory=dict)
    _suspects: list[tuple[Row, str]] = field(default_factory=list)
    _errors: int = 0
    _exhausted: bool = False
    _claimed: int = 0
    _ends: list[End] = field(default_factory=list)
    _hard: list[End] = field(default_factory=list)
    _begins: list[tuple[Parcel, Callable[[bool], None] | None]] = field(default_factory=list)
    _pauses: dict[int, str] = field(default_factory=dict)
    _timer: asyncio.Handle | None = None
    _urgent: bool = False
    #: Messages that a server has in hand.
    _under_way: int = 0
    _busy_since: float | None = None
    _started: float = field(default_factory=time.monotonic)
    _start: float = 0.0

    def __post_init__(self) -> None:
        self._start = self.now()
        settings = self.config.newsletter
        self.rates = Rates(self.engine, self._clock)
        self.stock = Stock(self.rates, self._clock, settings.rate, settings.domain_rate)

    def _clock(self) -> float:
        """For rates: goes on where the operator's `now` stands still."""
        return max(self.now(), self._start + time.monotonic() - self._started)

    def _second(self) -> int:
        return int(self.now())

    # -- handing out -------------------------------------------------------

    @property
    def _over(self) -> bool:
        return bool(self.tally.problem) or self.failure is not None or self.stop.is_set()

    @property
    def finished(self) -> bool:
        return self._over or (self._exhausted and not self._returned and not len(self.stock))

    @property
    def stopping(self) -> bool:
        return self.stop.is_set()

    def ready(self) -> int:
        if self._over:
            return 0
        return self._guarded(self._ready) or 0

    def _ready(self) -> int:
        self._fill()
        return len(self._returned) + self.stock.ready()

    def pause(self) -> float:
        return self.stock.pause()

    def take(self, server: str = "", rate: float = 0.0) -> Parcel | None:
        return self._guarded(lambda: self._take(server, rate))

    def _take(self, server: str, rate: float) -> Parcel | None:
        while not self._over:
            if self._returned:
                return self._returned.pop()
            self._fill()
            row = self.stock.pop(server, rate)
            if row is None:
                return None
            if parcel := self._compose(row):
                return parcel
        return None

    def _guarded(self, work: Callable[[], Found]) -> Found | None:
        """What breaks here would otherwise be lost in a callback of the event loop. A database busy or away takes time."""
        try:
            return work()
        except Exception as error:
            if not database.is_passing(error):
                self._break(error)
            return None

    def _compose(self, row: Row) -> Parcel | None:
        """A message that cannot be made fails alone."""
        try:
            message = self._presses[row.issue].message(row.recipient, self._second())
        except Exception as error:
            self._out[row] = False
            self._settle(row, Outcome("failed", one_line(f"not composed: {type(error).__name__}: {error}")))
            return None
        self._out[row] = False
        return Parcel(row, message)

    def give_back(self, parcel: Parcel, *, tried: bool = True) -> None:
        parcel.returns += tried
        row: Row = parcel.key
        if parcel.returns >= _RETURNS:
            self._settle(row, Outcome("retry", f"the connection was lost {_RETURNS} times before it could be handed over"))
        elif row.issue in self._shut:
            self._schedule()
        else:
            self._returned.append(parcel)

    def give_up(self, reason: str) -> None:
        self.tally.problem = self.tally.problem or reason or "no server answers"

    # -- claiming ----------------------------------------------------------

    def _fill(self) -> None:
        while self.stock.wants_more and not self._exhausted and not self._over:
            with database.writing(self.engine, together=True) as connection:
                found = self._claim(connection)
                if not found:
                    queue.reap(connection, self._second(), resend=self._resend)
                    found = self._claim(connection)
            self.stock.add(found)
            self._claimed += len(found)
            self._exhausted = not found or (self.limit is not None and self._claimed >= self.limit)

    @property
    def _resend(self) -> bool:
        return self.config.newsletter.on_uncertain == "resend"

    def _claim(self, connection: sa.Connection) -> list[Row]:
        """From the oldest open issue that has any."""
        for issue in queue.due_issues(connection, self.only):
            deadline = issue.planned_at + self.config.newsletter.retry_hours * 3600
            while issue.key not in self._shut and self._has_press(connection, issue.key):
                now = self._second()
                found, gone = queue.claim(connection, issue.key, deadline, owner=self.owner, now=now, limit=BATCH)
                self.tally.cancelled += gone
                if found or not gone:
                    break
            else:
                continue
            if found:
                return found
        return []

    def _has_press(self, connection: sa.Connection, issue: int) -> bool:
        """An issue whose messages cannot be made at all is paused."""
        if issue not in self._presses:
            try:
                self._presses[issue] = self.press_of(connection, issue)
            except Exception as error:
                self._pause(issue, one_line(f"its messages cannot be composed: {type(error).__name__}: {error}"))
        return issue in self._presses

    # -- noting ------------------------------------------------------------

    def move(self, ended: tuple[Parcel, Outcome] | None, begun: Parcel | None, then: Callable[[bool], None] | None) -> None:
        if ended:
            self._settle(ended[0].key, ended[1])
        if begun:
            self._begins.append((begun, then))
        self._schedule()

    def _settle(self, row: Row, outcome: Outcome) -> None:
        """What the outcome means for the row, and for its issue."""
        if outcome.status == "sent":
            self._errors = 0
            self._end(End(row, "sent", outcome.reply))
            self._fail_suspects()
        elif outcome.status == "retry" or (outcome.status == "uncertain" and self._resend):
            self._end(queue.put_off(row, outcome.reply, self._second()))
        elif outcome.stage == "mail":
            self._suspects.append((row, outcome.reply))
        else:
            self._end(End(row, outcome.status, outcome.reply))
            if outcome.stage == "recipient":
                self._hard.append(self._ends[-1])
        if outcome.status in ("failed", "uncertain"):
            self._count_error(row, outcome)
        self._schedule()

    def _end(self, end: End) -> None:
        self._ends.append(end)
        self._under_way -= self._out.pop(end.row, False)
        self.tally.add(end.status)

    def _fail_suspects(self) -> None:
        """Another message was taken, so these were refused for themselves."""
        for row, reply in self._suspects:
            self._end(End(row, "failed", reply))
        self._suspects.clear()

    def _count_error(self, row: Row, outcome: Outcome) -> None:
        self._errors += 1
        if len(self._suspects) >= min(SENDER_REFUSALS, self.config.newsletter.max_errors):
            self._pause_suspects()
        elif self._errors >= self.config.newsletter.max_errors:
            self._pause(row.issue, f"{self._errors} errors in a row; the last: {outcome.reply}")
            self._errors = 0

    def _pause_suspects(self) -> None:
        """The sender is refused whatever the message: no row is to blame, all stay as they are."""
        for row, reply in self._suspects:
            self._pause(row.issue, f"the server refuses the sender: {reply}")
        self._suspects.clear()

    def _pause(self, issue: int, reason: str) -> None:
        if issue not in self._shut:
            self._shut.add(issue)
            self._pauses[issue] = reason[:500]
            self._schedule()

    def _schedule(self) -> None:
        """Commit soon: at once where most connections wait for us, else when more have gathered."""
        loop = asyncio.get_running_loop()
        urgent = len(self._begins) >= URGENT * self._under_way
        if self._timer is not None and (urgent and not self._urgent):
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._urgent = urgent
            self._timer = loop.call_soon(self._flush) if urgent else loop.call_later(GATHER, self._flush)

    def _flush(self) -> None:
        self._timer = None
        try:
            self._answer(self._commit())
        except Exception as error:
            if database.is_passing(error):
                self._try_again(error)
            else:
                self._break(error)

    def _commit(self) -> set[tuple[int, int]]:
        now = self._second()
        with database.writing(self.engine, durable=True, together=True) as connection:
            queue.end(connection, self._ends, owner=self.owner, now=now)
            for end in self._hard:
                self._book(connection, end, now)
            for issue, reason in self._pauses.items():
                queue.pause(connection, issue, reason)
            self._shed(connection)
            return queue.begin(connection, [parcel.key for parcel, _then in self._begins], owner=self.owner, now=now)

    def _book(self, connection: sa.Connection, end: End, now: int) -> None:
        """What others make of a refused recipient is no reason to stop."""
        if self.on_hard_failure is None:
            return
        try:
            with connection.begin_nested():
                self.on_hard_failure(connection, end.row.recipient.subscriber, end.row.issue, end.reply, now)
        except Exception:
            log.exception("hard failure not booked", subscriber=end.row.recipient.subscriber)

    def _shed(self, connection: sa.Connection) -> None:
        """Rows of issues that are shut are anyone's again, but for those that a connection holds."""
        if not self._shut:
            return
        shed = [row for issue in self._shut for row in self.stock.drop(issue)]
        held = {parcel.key for parcel, _then in self._begins}
        back = [parcel.key for parcel in self._returned if parcel.key.issue in self._shut]
        self._returned = [parcel for parcel in self._returned if parcel.key.issue not in self._shut]
        for row in back:
            self._out.pop(row, None)
        queue.release(connection, [row for row in (*shed, *back) if row not in held], self.owner)

    def _answer(self, granted: set[tuple[int, int]]) -> None:
        """On disk: everyone may go on."""
        self._busy_since = None
        for issue, reason in self._pauses.items():
            log.error("issue paused", issue=issue, reason=reason)
        begins = self._begins
        self._ends, self._hard, self._begins, self._pauses = [], [], [], {}
        for parcel, then in begins:
            row: Row = parcel.key
            yes = (row.issue, row.recipient.subscriber) in granted
            if yes:
                self._out[row] = True
                self._under_way += 1
            else:
                self._out.pop(row, None)
            if then:
                then(yes)
        if self.progress:
            self.progress(self.tally.done)

    def _try_again(self, error: Exception) -> None:
        """Others write for longer than the database's own patience, or its server is away; nothing is lost by waiting."""
        loop = asyncio.get_running_loop()
        if self._busy_since is None:
            self._busy_since = loop.time()
        if loop.time() - self._busy_since > _BUSY:
            self._break(error)
        else:
            self._urgent = True
            self._timer = loop.call_later(0.2, self._flush)

    def _break(self, error: Exception) -> None:
        self.failure = error
        self.failed.set()

    async def settled(self) -> None:
        """Until everything that was reported is on disk."""
        while self._timer is not None and self.failure is None:
            await asyncio.sleep(0.001)

    # -- beside the sending ------------------------------------------------

    def open(self) -> None:
        """Before the first message: rows of the dead, and issues that should not go out by themselves any more."""
        now = self._second()
        with database.writing(self.engine, durable=True, together=True) as connection:
            queue.reap(connection, now, resend=self._resend, reserved=False)
            for issue in queue.due_issues(connection):
                self._hold_late(connection, issue, now)

    def _hold_late(self, connection: sa.Connection, issue: Any, now: int) -> None:
        """After a long outage or from a restored backup, an issue waits for the operator (S7)."""
        hours = self.config.newsletter.late_hours
        late = now - hours * 3600
        if issue.planned_at < late and not issue.reason and queue.last_change(connection, issue.key) < late:
            queue.pause(connection, issue.key, f"nothing of it was sent for more than {hours} hours")
            log.error("issue paused", issue=issue.key, reason=f"nothing was sent for more than {hours} hours")

    async def watch(self) -> None:
        """Every second: what an operator changed; now and then: leases. Raises what broke the desk."""
        renewed = asyncio.get_running_loop().time()
        while self.failure is None:
            try:
                async with asyncio.timeout(1.0):
                    await self.failed.wait()
            except TimeoutError:
                self._guarded(self._look)
            if asyncio.get_running_loop().time() - renewed > queue.LEASE / 4:
                renewed = asyncio.get_running_loop().time()
                self._guarded(self._renew)
        raise self.failure

    def _look(self) -> None:
        with database.reading(self.engine) as connection:
            live = {issue.key for issue in queue.due_issues(connection)}
        if stopped := self._presses.keys() - live - self._shut:
            self._shut |= stopped
            self._schedule()

    def _renew(self) -> None:
        with database.writing(self.engine, together=True) as connection:
            queue.renew(connection, [*self.stock, *self._out], self.owner, self._second())
            queue.reap(connection, self._second(), resend=self._resend, reserved=False)

    def close(self) -> None:
        """Whatever is left in hand: free again, or uncertain where it was begun."""
        if self._suspects and not self.tally.sent:
            self._pause_suspects()
        else:
            self._fail_suspects()
        begun = [row for row, noted in self._out.items() if noted]
        for row in begun:
            self._end(End(row, "uncertain", "the sender stopped while sending it"))
        left = [*self.stock, *self._out]
        self._begins.clear()
        self._commit()
        for issue, reason in self._pauses.items():
            log.error("issue paused", issue=issue, reason=reason)
        with database.writing(self.engine, durable=True, together=True) as connection:
            queue.release(connection, left, self.owner)
            queue.close_finished(connection)
        self.rates.close()


# Open deliveries -> transport: claim, compose, note, hand over, note. Crash-safe without asking anyone.
#
# A row is noted as being sent before its message is handed over, what became of it before the same connection begins the next:
# a kill leaves at most one row a connection in doubt, and `rows.reap` finds those. All notes are on disk before anyone goes on
# (`database.writing(durable=True)`, SQLite's synchronous=FULL), so a power cut forgets none. As `desk` commits them in groups,
# that costs less than the measurement's noise on a disk that syncs in 0.2 ms (`benchmarks/sending.py`); a disk that takes 10 ms
# allows 100 groups a second, of as many messages as there are connections.

__all__ = [
    "Composer",
    "HardFailure",
    "PressOf",
    "Tally",
    "deliver",
    "free",
    "has_work",
    "has_work_of",
    "open_issues",
    "reap",
    "send_one",
]

#: More than the deliveries of any issue.
_MANY = 1 << 31


def deliver(
    engine: sa.Engine,
    *,
    config: Config,
    transport: Transport,
    press_of: PressOf,
    now: Callable[[], float],
    stop: Event | None = None,
    progress: Callable[[int], None] | None = None,
    on_hard_failure: HardFailure | None = None,
    owner: str = "",
    only: int | None = None,
    limit: int | None = None,
) -> Tally:
    """Send whatever is open and due; return when nothing is left that is due `now` (UTC seconds), or after `stop`.

    `only` and `limit`: messages of one issue, about so many.

    Several processes may do this at once. `press_of` gives the composer of an issue; `progress` hears how many deliveries are
    done. What a server or a message does wrong is noted in rows and in the tally and never raised; what the database does wrong
    is raised.
    """
    me = owner or queue.me()
    return asyncio.run(
        _deliver(
            transport,
            lambda: Desk(engine, config, press_of, now, stop or Event(), progress, on_hard_failure, me, only, limit),
        )
    )


async def _deliver(transport: Transport, make: Callable[[], Desk]) -> Tally:
    desk = make()
    desk.open()
    tasks = {asyncio.create_task(_carry(transport, desk)), asyncio.create_task(desk.watch())}
    try:
        done, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _close(desk)
    return desk.tally


def _close(desk: Desk) -> None:
    """What broke the desk says more than that it cannot be closed either; its rows are those of a dead sender then."""
    if desk.failure is None:
        desk.close()
        return
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        desk.close()


async def _carry(transport: Transport, desk: Desk) -> None:
    try:
        await transport.run(desk)
    except TransportError as error:
        desk.give_up(str(error))
    await desk.settled()


def has_work(connection: sa.Connection, now: int) -> bool:
    """Whether `deliver` would find anything: rows that are due, rows of a sender that may be dead, an issue to close."""
    return any(queue.has_work(connection, issue.key, now) for issue in queue.due_issues(connection))


def open_issues(connection: sa.Connection) -> list[int]:
    """Keys, the oldest first."""
    return [issue.key for issue in queue.due_issues(connection)]


def has_work_of(connection: sa.Connection, issue: int, now: int) -> bool:
    """As `has_work`, of one issue."""
    return queue.has_work(connection, issue, now)


def free(connection: sa.Connection, issue: int, now: int) -> int:
    """How many messages are due and in nobody's hands."""
    return queue.free(connection, issue, now, _MANY)


def reap(engine: sa.Engine, config: Config, now: int) -> int:
    """Rows that dead senders left behind, put right at once: for whoever wants to see the truth without sending."""
    with database.writing(engine, durable=True, together=True) as connection:
        return queue.reap(connection, now, resend=config.newsletter.on_uncertain == "resend", reserved=False)


def send_one(config: Config, transport: Transport, message: Message) -> Outcome:
    """Send it now, outside of every issue and count: a test message."""
    return choose.carry(transport, [message])[0]
