"""Interface between the dispatcher and a transport, and the base class of transports that send one message at a time.

A transport pulls: it takes a message, asks that its row be recorded as being sent, hands the message over only once that is on
disk, then reports the outcome. So a crash leaves no more rows in doubt than the transport has messages in hand.

Other packages provide transports by an entry point of the group `feeds.transports`; its name is what newsletter.yaml says as
`transport: NAME`, and it is called with the configuration and the environment:

    [project.entry-points."feeds.transports"]
    example = "feeds_example:ExampleTransport.configured"
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import FeedsError
from ...model import Message, Outcome

#: What of a server's reply is kept for the operator.
MAX_TEXT = 500
#: When the process is to end, messages that were handed over have so long (seconds) to be answered.
STOP_SECONDS = 10.0
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


class TransportError(FeedsError):
    """Nothing can be sent this way; one line, without secrets."""


def one_line(text: str) -> str:
    r"""Return text as one printable line of at most MAX_TEXT characters.

    >>> one_line("550 no such\r\n user ")
    '550 no such  user'
    """
    return _UNPRINTABLE.sub(" ", text).strip()[:MAX_TEXT]


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


class MessageSource(Protocol):
    """The dispatcher, as a transport sees it. Everything is called on the event loop's thread.

    Order for each message: `take`; then `begin`, or `give_back`, or `end` with a failure; after `begin` only `end`.
    """

    @property
    def finished(self) -> bool:
        """Return whether no further message comes in this run."""
        ...

    @property
    def stopping(self) -> bool:
        """Return whether the process is to end soon: messages in hand may be finished, within STOP_SECONDS."""
        ...

    def ready(self) -> int:
        """Return about how many messages `take` would give at once; 0 while rates hold them back."""
        ...

    def pause(self) -> float:
        """Return the seconds after which it makes sense to ask again, where `ready` is 0."""
        ...

    def take(self, server: str = "", rate: float = 0.0) -> OutgoingMessage | None:
        """Return the next message, for a server that takes `rate` messages a second (0: any number); None if none is ready."""
        ...

    def begin(self, outgoing: OutgoingMessage, then: Callable[[bool], None]) -> None:
        """Record that a message is about to be handed over, and call `then` when that is on disk.

        `then(False)`: the message must not be sent any more, and is no longer in the transport's hands.
        """
        ...

    def end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        """Record what became of a message."""
        ...

    def give_back(self, outgoing: OutgoingMessage, *, tried: bool = True) -> None:
        """Return a message that was not begun, for another connection. `tried`: the server has seen its envelope."""
        ...

    def give_up(self, reason: str) -> None:
        """End the run: nothing can be sent for now. Every row stays as it is."""
        ...


class Transport(Protocol):
    """What carries messages. Most transports derive from PerMessageTransport; this is for those that need more control.

    A transport that carries each message over a connection of its own (`exchange` stands for the work):

        class Plain:
            async def check(self) -> str:
                return "ready"

            async def run(self, source: MessageSource) -> None:
                while not source.finished:
                    if (outgoing := source.take()) is None:
                        await asyncio.sleep(source.pause())
                        continue
                    begun = asyncio.get_running_loop().create_future()
                    source.begin(outgoing, begun.set_result)
                    if await begun:
                        source.end(outgoing, await exchange(outgoing.message))
    """

    async def run(self, source: MessageSource) -> None:
        """Carry messages until the source is finished. Raises TransportError where nothing can be sent at all."""
        ...

    async def check(self) -> str:
        """Try the transport without sending; return one line that says what was found. Raises TransportError."""
        ...


class PerMessageTransport(ABC):
    """Base class of a transport that needs only to know how one message is sent. `concurrency`: messages in hand at once.

    A mail provider's HTTP API, with a client of your choice; blocking clients go through `asyncio.to_thread`:

        class ExampleTransport(PerMessageTransport):
            concurrency = 20

            @classmethod
            def configured(cls, config: Config, environment: Environment) -> "ExampleTransport":
                return cls(os.environ["EXAMPLE_API_KEY"])

            async def check(self) -> str:
                return f"example.com: account {await self.client.account()}"

            async def send(self, message: Message) -> Outcome:
                answer = await self.client.post("/messages", to=message.recipient, mime=message.data)
                if answer.status == 429 or answer.status >= 500:
                    return Outcome("retry", answer.text)
                return Outcome("sent" if answer.status < 300 else "failed", answer.text, "body")
    """

    concurrency: int = 10

    @abstractmethod
    async def send(self, message: Message) -> Outcome:
        """Hand over one message; return what became of it.

        The outcome's `stage` tells what was refused: "recipient" counts as a bounce, "mail" (the sender) may pause the issue.
        Raises TransportError where this message was not taken and no other would be: it is retried, and the run ends. After any
        other exception the message counts as uncertain, since nobody knows whether it was taken.
        """

    @abstractmethod
    async def check(self) -> str:
        """Try the transport without sending; return one line that says what was found. Raises TransportError."""

    async def run(self, source: MessageSource) -> None:
        """Check, so that a transport that cannot work changes no row; then send until the source is finished."""
        await self.check()
        tasks = {asyncio.create_task(self._work(source)) for _number in range(self.concurrency)}
        last_call = float("inf")
        try:
            while tasks and (now := asyncio.get_running_loop().time()) < last_call:
                done, tasks = await asyncio.wait(tasks, timeout=0.25, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                if source.stopping:
                    last_call = min(last_call, now + STOP_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, source: MessageSource) -> None:
        while not source.finished:
            outgoing = source.take()
            if outgoing is None:
                await asyncio.sleep(min(max(source.pause(), 0.001), 0.25))
                continue
            begun: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            source.begin(outgoing, begun.set_result)
            if not await begun:
                continue
            try:
                outcome = await self.send(outgoing.message)
            except TransportError as error:
                outcome = Outcome("retry", str(error))
                source.give_up(str(error))
            except asyncio.CancelledError:
                source.end(outgoing, Outcome("uncertain", "the sender had to stop"))
                raise
            except Exception as error:
                outcome = Outcome("uncertain", one_line(f"{type(error).__name__}: {error}"))
            source.end(outgoing, outcome)
