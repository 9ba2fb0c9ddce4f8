"""The dispatcher of one run: hands messages of any ledger to a transport, and has the ledger record what became of them.

A ledger says where messages come from and where their outcomes go: rows of issues or of the outbox (`ledgers`), or a list in
memory. The dispatcher commits in groups: what all connections report in one turn of the event loop is one transaction, on disk
before any of them goes on. While it is being written, further replies gather for the next.

Invariants: a message is handed over only after the ledger has committed its beginning, and its outcome is committed before or
with the beginning of the next message of the same connection. So a kill leaves at most one message a connection in doubt.
As the commits are grouped, that costs less than the measurement's noise on a disk that syncs in 0.2 ms
(`benchmarks/sending.py`); a disk that takes 10 ms allows 100 groups a second, of as many messages as there are connections.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeVar

import sqlalchemy as sa

from ... import database
from ...errors import TransportError
from ...model import Message, Outcome

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


@dataclass(slots=True, eq=False)
class OutgoingMessage:
    """A message that a transport has taken from the dispatcher.

    `key` belongs to the ledger that it came from; `returns` counts how often it was given back; `begun`: its row is recorded as
    being sent, so that from now on only its outcome can end it.
    """

    key: Any
    message: Message
    returns: int = 0
    begun: bool = False


class Ledger:
    """Where messages come from, and where their outcomes are recorded: in memory here, in rows of the database in subclasses.

    Everything is called on the event loop's thread. Database errors may be raised: the dispatcher asks again after those that
    pass, and ends the run after others.
    """

    #: Whether something besides outcomes and beginnings waits for the next `commit`.
    is_changed = False
    #: At most so many are ready at once: transports open connections for what is ready.
    most_ready = 1000

    def __init__(self, messages: Iterable[tuple[Any, Message]]) -> None:
        """Take messages with their keys, in the order in which they go out."""
        self._waiting = [OutgoingMessage(key, message) for key, message in messages][::-1]
        self.outcomes: dict[Any, Outcome] = {}

    @property
    def is_exhausted(self) -> bool:
        """Return whether `take` will find nothing more in this run."""
        return not self._waiting

    def ready(self) -> int:
        """Return about how many messages `take` would give at once."""
        return min(len(self._waiting), self.most_ready)

    def pause(self) -> float:
        """Return the seconds until the next message may go, where none is ready."""
        return 0.05

    def take(self, server: str, rate: float) -> OutgoingMessage | None:
        """Return the next message, for a server that takes `rate` messages a second (0: any number)."""
        return self._waiting.pop() if self._waiting else None

    def give_back(self, outgoing: OutgoingMessage) -> None:
        """Keep a message that was not begun for another `take`."""
        self._waiting.append(outgoing)

    def end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        """Note in memory what became of a message; `commit` records it."""
        self.outcomes[outgoing.key] = outcome

    def commit(self, begun: Sequence[OutgoingMessage]) -> Container[OutgoingMessage]:
        """Record all outcomes and that these messages are about to be handed over, in one durable transaction.

        Returns those that may be; the others are no longer in hand. After an error the same call is repeated.
        """
        return begun

    def refresh(self) -> None:
        """Look at what others changed meanwhile; called every second."""

    def close(self) -> None:
        """Record what is left in hand at the end of the run."""
        if self.outcomes:
            self.commit([])


@dataclass(eq=False)
class Dispatcher:
    """The messages of one run, as a transport sees them. Everything is called on the event loop's thread.

    Order for each message: `take`; then `begin`, or `give_back`, or `end` with a failure; after `begin` only `end`.
    """

    _ledger: Ledger
    _stop: Event
    _problem: str = ""
    _failure: Exception | None = None
    _carrying: asyncio.Future[None] | None = None
    _begins: list[tuple[OutgoingMessage, Callable[[bool], None]]] = field(default_factory=list)
    _timer: asyncio.Handle | None = None
    _is_urgent: bool = False
    #: Messages that a server has in hand.
    _under_way: int = 0
    _busy_since: float | None = None

    @property
    def finished(self) -> bool:
        """Return whether no further message comes in this run."""
        return self._is_over or self._ledger.is_exhausted

    @property
    def stopping(self) -> bool:
        """Return whether the process is to end soon: messages in hand may be finished, within `base.STOP_SECONDS`."""
        return self._stop.is_set()

    @property
    def _is_over(self) -> bool:
        return bool(self._problem) or self._failure is not None or self._stop.is_set()

    def ready(self) -> int:
        """Return about how many messages `take` would give at once; 0 while rates hold them back."""
        return 0 if self._is_over else self._guarded(self._ledger.ready) or 0

    def pause(self) -> float:
        """Return the seconds after which it makes sense to ask again, where nothing is ready."""
        return self._ledger.pause()

    def take(self, server: str = "", rate: float = 0.0) -> OutgoingMessage | None:
        """Return the next message, for a server that takes `rate` messages a second (0: any number); None if none is ready."""
        return None if self._is_over else self._guarded(lambda: self._ledger.take(server, rate))

    def begin(self, outgoing: OutgoingMessage, then: Callable[[bool], None]) -> None:
        """Record that a message is about to be handed over, and call `then` when that is on disk.

        `then(False)`: the message must not be sent any more, and is no longer in the transport's hands.
        """
        self._begins.append((outgoing, then))
        self._schedule()

    def end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        """Record what became of a message."""
        self._under_way -= outgoing.begun
        self._ledger.end(outgoing, outcome)
        self._schedule()

    def give_back(self, outgoing: OutgoingMessage, *, tried: bool = True) -> None:
        """Return a message that was not begun, for another connection. `tried`: the server has seen its envelope.

        One that comes back too often is retried later.
        """
        outgoing.returns += tried
        if outgoing.returns < _RETURNS:
            self._ledger.give_back(outgoing)
        else:
            self.end(outgoing, Outcome("retry", f"the connection was lost {_RETURNS} times before it could be handed over"))

    def give_up(self, reason: str) -> None:
        """End the run: nothing can be sent for now. Every row stays as it is."""
        self._problem = self._problem or reason or "no server answers"

    def _guarded(self, work: Callable[[], Found]) -> Found | None:
        """Keep an error that would otherwise be lost in a callback of the event loop. A database that is locked takes time."""
        try:
            return work()
        except Exception as error:
            if not database.is_temporary(error):
                self._break(error)
            return None
        finally:
            if self._ledger.is_changed:
                self._schedule()

    def _schedule(self) -> None:
        """Commit soon: at once where most connections wait for us, else when more have gathered."""
        loop = asyncio.get_running_loop()
        is_urgent = len(self._begins) >= URGENT * self._under_way
        if self._timer is not None and is_urgent and not self._is_urgent:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._is_urgent = is_urgent
            self._timer = loop.call_soon(self._flush) if is_urgent else loop.call_later(GATHER, self._flush)

    def _flush(self) -> None:
        """Commit, then let all that waited for it go on.

        Where others write for longer than the database's own patience, or its server is away, wait: nothing is lost by that.
        """
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
            loop = asyncio.get_running_loop()
            self._busy_since = self._busy_since or loop.time()
            if database.is_temporary(error) and loop.time() - self._busy_since <= _BUSY:
                self._is_urgent = True
                self._timer = loop.call_later(0.2, self._flush)
            else:
                self._break(error)

    def _break(self, error: Exception) -> None:
        self._failure = error
        if self._carrying is not None:
            self._carrying.cancel()

    async def run(self, carry: Callable[[Dispatcher], Awaitable[None]]) -> str:
        """Have a transport carry the ledger's messages; return why the run ended early. Raises what broke either.

        The ledger is refreshed every second meanwhile.
        """
        self._carrying = asyncio.ensure_future(carry(self))
        try:
            while not self._carrying.done() and self._failure is None:
                done, _pending = await asyncio.wait({self._carrying}, timeout=1.0)
                if not done:
                    self._guarded(self._ledger.refresh)
            if self._failure is None:
                try:
                    self._carrying.result()
                except TransportError as error:
                    self.give_up(str(error))
                await self.settled()
            if self._failure is not None:
                raise self._failure
        finally:
            self._carrying.cancel()
            await asyncio.gather(self._carrying, return_exceptions=True)
            self._begins.clear()  # not handed over, and not to be begun when the event loop ends
            # After a failure closing may fail, too: that says less, and the rows are then those of a dead sender.
            with contextlib.suppress(*([sa.exc.SQLAlchemyError] if self._failure else [])):
                self._ledger.close()
        return self._problem

    async def settled(self) -> None:
        """Wait until everything that was reported is on disk."""
        while self._timer is not None and self._failure is None:
            await asyncio.sleep(0.001)


def dispatch(ledger: Ledger, carry: Callable[[Dispatcher], Awaitable[None]], stop: Event | None = None) -> str:
    """Send the messages of a ledger by a transport's `run`; return why the run ended early, "" if it did not.

    Returns when nothing is left that may go now, or after `stop`. What a server or a message does wrong is recorded and never
    raised; what the database does wrong is raised.
    """
    return asyncio.run(Dispatcher(ledger, stop or Event()).run(carry))
