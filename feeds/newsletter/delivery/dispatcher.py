"""The dispatcher of one run: hands messages of any ledger to a transport, and has the ledger record what became of them.

A ledger says where messages come from and where their outcomes go: rows of issues (`issue_ledger`), rows of the outbox
(`outbox`), or a list in memory. The dispatcher commits in groups: what all connections report in one turn of the event loop is
one transaction, on disk before any of them goes on. While it is being written, further replies gather for the next.

Invariants: a message is handed over only after the ledger has committed its beginning, and its outcome is committed before or
with the beginning of the next message of the same connection. So a kill leaves at most one message a connection in doubt.
As the commits are grouped, that costs less than the measurement's noise on a disk that syncs in 0.2 ms
(`benchmarks/sending.py`); a disk that takes 10 ms allows 100 groups a second, of as many messages as there are connections.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from threading import Event
from typing import TypeVar

import sqlalchemy as sa

from ... import database
from ...model import Message, Outcome
from ..transports.base import MessageSource, OutgoingMessage, Transport, TransportError

#: How long (seconds) a group may grow while servers still have messages in hand: a commit costs as much as ten messages, and
#: next to a server on the same machine fewer of them are worth more than the wait (`benchmarks/postfix.py`).
GATHER = 0.010
#: So many connections that wait for us, for each that waits for a server, are reason enough to commit at once.
URGENT = 9
#: A message that was given back untouched so often is put off: it may be what makes the server hang up.
_RETURNS = 3
#: How long (seconds) a database that is locked or away is asked again before the run ends.
_BUSY = 600.0

Found = TypeVar("Found")


class Ledger(ABC):
    """Where messages come from, and where their outcomes are recorded. Everything is called on the event loop's thread.

    Database errors may be raised: the dispatcher asks again after those that pass, and ends the run after others.
    """

    #: Whether something besides outcomes and beginnings waits for the next `commit`.
    is_changed = False

    @property
    @abstractmethod
    def is_exhausted(self) -> bool:
        """Return whether `take` will find nothing more in this run."""

    @abstractmethod
    def ready(self) -> int:
        """Return about how many messages `take` would give at once."""

    def pause(self) -> float:
        """Return the seconds until the next message may go, where none is ready."""
        return 0.05

    @abstractmethod
    def take(self, server: str, rate: float) -> OutgoingMessage | None:
        """Return the next message, for a server that takes `rate` messages a second (0: any number)."""

    @abstractmethod
    def give_back(self, outgoing: OutgoingMessage) -> None:
        """Keep a message that was not begun for another `take`."""

    @abstractmethod
    def end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        """Note in memory what became of a message; `commit` records it."""

    @abstractmethod
    def commit(self, begun: Sequence[OutgoingMessage]) -> Container[OutgoingMessage]:
        """Record all outcomes and that these messages are about to be handed over, in one durable transaction.

        Returns those that may be; the others are no longer in hand. After an error the same call is repeated.
        """

    def open(self) -> None:  # noqa: B027 - only some ledgers need these
        """Prepare, before the first message."""

    def refresh(self) -> None:  # noqa: B027
        """Look at what others changed meanwhile; called every second."""

    def close(self) -> None:  # noqa: B027
        """Record what is left in hand at the end of the run."""


class Dispatcher(MessageSource):
    """The message source of a transport in one run, and all state of that run that a ledger does not keep.

    `problem` says why the run ended early, "" if it did not; `failure` is the error that broke it.
    """

    def __init__(self, ledger: Ledger, stop: Event) -> None:
        self._ledger, self._stop = ledger, stop
        self.problem = ""
        self._failure: Exception | None = None
        self._failed = asyncio.Event()
        self._begins: list[tuple[OutgoingMessage, Callable[[bool], None]]] = []
        self._timer: asyncio.Handle | None = None
        self._urgent = False
        #: Messages that a server has in hand.
        self._under_way = 0
        self._busy_since: float | None = None

    # -- for transports ----------------------------------------------------

    @property
    def finished(self) -> bool:
        """See MessageSource."""
        return self._is_over or self._ledger.is_exhausted

    @property
    def stopping(self) -> bool:
        """See MessageSource."""
        return self._stop.is_set()

    @property
    def _is_over(self) -> bool:
        return bool(self.problem) or self._failure is not None or self._stop.is_set()

    def ready(self) -> int:
        """See MessageSource."""
        return 0 if self._is_over else self._guarded(self._ledger.ready) or 0

    def pause(self) -> float:
        """See MessageSource."""
        return self._ledger.pause()

    def take(self, server: str = "", rate: float = 0.0) -> OutgoingMessage | None:
        """See MessageSource."""
        return None if self._is_over else self._guarded(lambda: self._ledger.take(server, rate))

    def begin(self, outgoing: OutgoingMessage, then: Callable[[bool], None]) -> None:
        """See MessageSource."""
        self._begins.append((outgoing, then))
        self._schedule()

    def end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        """See MessageSource."""
        self._under_way -= outgoing.begun
        self._ledger.end(outgoing, outcome)
        self._schedule()

    def give_back(self, outgoing: OutgoingMessage, *, tried: bool = True) -> None:
        """See MessageSource. A message that is given back _RETURNS times is retried later."""
        outgoing.returns += tried
        if outgoing.returns >= _RETURNS:
            text = f"the connection was lost {_RETURNS} times before it could be handed over"
            self.end(outgoing, Outcome("retry", text))
        else:
            self._ledger.give_back(outgoing)

    def give_up(self, reason: str) -> None:
        """See MessageSource."""
        self.problem = self.problem or reason or "no server answers"

    # -- group commits -----------------------------------------------------

    def _guarded(self, work: Callable[[], Found]) -> Found | None:
        """Keep an error that would otherwise be lost in a callback of the event loop. A database that is locked takes time."""
        try:
            return work()
        except Exception as error:
            if not database.is_passing(error):
                self._break(error)
            return None
        finally:
            if self._ledger.is_changed:
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
        """Commit, then let all that waited for it go on."""
        self._timer = None
        try:
            granted = self._ledger.commit([outgoing for outgoing, _then in self._begins])
            self._busy_since = None
            begins, self._begins = self._begins, []
            for outgoing, then in begins:
                outgoing.begun = outgoing in granted
                self._under_way += outgoing.begun
                then(outgoing.begun)
        except Exception as error:
            if database.is_passing(error):
                self._flush_later(error)
            else:
                self._break(error)

    def _flush_later(self, error: Exception) -> None:
        """Wait: others write for longer than the database's own patience, or its server is away. Nothing is lost by that."""
        loop = asyncio.get_running_loop()
        if self._busy_since is None:
            self._busy_since = loop.time()
        if loop.time() - self._busy_since > _BUSY:
            self._break(error)
        else:
            self._urgent = True
            self._timer = loop.call_later(0.2, self._flush)

    def _break(self, error: Exception) -> None:
        self._failure = error
        self._failed.set()

    # -- one run -----------------------------------------------------------

    async def run(self, transport: Transport) -> None:
        """Carry the ledger's messages by a transport. Raises what broke the ledger or the transport, except TransportError."""
        self._ledger.open()
        tasks = {asyncio.create_task(self._carry(transport)), asyncio.create_task(self._watch())}
        try:
            done, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._begins.clear()  # not handed over, and not to be begun when the event loop ends
            # After a failure closing may fail, too: that says less, and the rows are then those of a dead sender.
            with contextlib.suppress(*([sa.exc.SQLAlchemyError] if self._failure else [])):
                self._ledger.close()

    async def _carry(self, transport: Transport) -> None:
        try:
            await transport.run(self)
        except TransportError as error:
            self.give_up(str(error))
        await self.settled()

    async def settled(self) -> None:
        """Wait until everything that was reported is on disk."""
        while self._timer is not None and self._failure is None:
            await asyncio.sleep(0.001)

    async def _watch(self) -> None:
        """Refresh the ledger every second. Raises what broke it."""
        while self._failure is None:
            try:
                async with asyncio.timeout(1.0):
                    await self._failed.wait()
            except TimeoutError:
                self._guarded(self._ledger.refresh)
        raise self._failure


def dispatch(ledger: Ledger, transport: Transport, stop: Event | None = None) -> str:
    """Send the messages of a ledger; return why the run ended early, "" if it did not.

    Returns when nothing is left that may go now, or after `stop`. What a server or a message does wrong is recorded and never
    raised; what the database does wrong is raised.
    """

    async def run() -> str:
        dispatcher = Dispatcher(ledger, stop or Event())
        await dispatcher.run(transport)
        return dispatcher.problem

    return asyncio.run(run())


class ListLedger(Ledger):
    """Some messages that have no row; `outcomes` by their order, None for those that were not tried."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._waiting = [OutgoingMessage(index, message) for index, message in enumerate(messages)][::-1]
        self.outcomes: list[Outcome | None] = [None] * len(messages)

    @property
    def is_exhausted(self) -> bool:
        """See Ledger."""
        return not self._waiting

    def ready(self) -> int:
        """See Ledger."""
        return len(self._waiting)

    def take(self, server: str, rate: float) -> OutgoingMessage | None:
        """See Ledger; rates do not hold these up."""
        return self._waiting.pop() if self._waiting else None

    def give_back(self, outgoing: OutgoingMessage) -> None:
        """See Ledger."""
        self._waiting.append(outgoing)

    def end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        """See Ledger."""
        self.outcomes[outgoing.key] = outcome

    def commit(self, begun: Sequence[OutgoingMessage]) -> Sequence[OutgoingMessage]:
        """See Ledger: there is nothing to record."""
        return begun


def send_now(transport: Transport, messages: Sequence[Message]) -> list[Outcome]:
    """Send these now, outside of every issue and count: test messages."""
    ledger = ListLedger(messages)
    problem = dispatch(ledger, transport)
    return [outcome or Outcome("retry", problem or "not tried") for outcome in ledger.outcomes]
