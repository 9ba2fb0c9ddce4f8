"""Interface of a transport towards the dispatcher, base class of transports that send one message at a time, and Maildir.

A transport pulls: it takes a message, asks that its row be recorded as being sent, hands the message over only once that is on
disk, then reports the outcome. So a crash leaves no more rows in doubt than the transport has messages in hand.

Other packages provide transports by an entry point of the group `feeds.transports`; its name is what newsletter.yaml says as
`transport: NAME`, and it is called with the configuration and the environment:

    [project.entry-points."feeds.transports"]
    example = "feeds_example:ExampleTransport.configured"
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...config.environment import Environment
from ...config.models import Config
from ...errors import TransportError
from ...model import Message, Outcome
from ...private_files import SUFFIX, make_private_folder, open_private, remove_leftovers
from ..delivery.dispatcher import Dispatcher, Ledger, dispatch

#: What of a server's reply is kept for the operator.
MAX_TEXT = 500
#: When the process is to end, messages that were handed over have so long (seconds) to be answered.
STOP_SECONDS = 10.0
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9@._+-]+")


def one_line(text: str) -> str:
    r"""Return text as one printable line of at most MAX_TEXT characters.

    >>> one_line("550 no such\r\n user ")
    '550 no such  user'
    """
    return _UNPRINTABLE.sub(" ", text).strip()[:MAX_TEXT]


class Transport(Protocol):
    """What carries messages. Most transports derive from PerMessageTransport; this is for those that need more control.

    A transport that carries each message over a connection of its own (`exchange` stands for the work):

        class Plain:
            async def check(self) -> str:
                return "ready"

            async def run(self, dispatcher: Dispatcher) -> None:
                while not dispatcher.finished:
                    outgoing = dispatcher.take()
                    if not outgoing:
                        await asyncio.sleep(dispatcher.pause())
                        continue
                    begun = asyncio.get_running_loop().create_future()
                    dispatcher.begin(outgoing, begun.set_result)
                    if await begun:
                        dispatcher.end(outgoing, await exchange(outgoing.message))
    """

    @abstractmethod
    async def run(self, dispatcher: Dispatcher) -> None:
        """Carry messages until the dispatcher is finished. Raises TransportError where nothing can be sent at all."""

    @abstractmethod
    async def check(self) -> str:
        """Try the transport without sending; return one line that says what was found. Raises TransportError."""


class PerMessageTransport(Transport):
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
        other exception the message counts as uncertain, since it may have been taken.
        """

    async def run(self, dispatcher: Dispatcher) -> None:
        """Check, so that a transport that cannot work changes no row; then send until the dispatcher is finished."""
        await self.check()
        tasks = {asyncio.create_task(self._work(dispatcher)) for _number in range(self.concurrency)}
        last_call = float("inf")
        try:
            while tasks and (now := asyncio.get_running_loop().time()) < last_call:
                done, tasks = await asyncio.wait(tasks, timeout=0.25, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                if dispatcher.stopping:
                    last_call = min(last_call, now + STOP_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, dispatcher: Dispatcher) -> None:
        while not dispatcher.finished:
            outgoing = dispatcher.take()
            if outgoing is None:
                await asyncio.sleep(min(max(dispatcher.pause(), 0.001), 0.25))
                continue
            begun: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            dispatcher.begin(outgoing, begun.set_result)
            if not await begun:
                continue
            try:
                outcome = await self.send(outgoing.message)
            except TransportError as error:
                outcome = Outcome("retry", str(error))
                dispatcher.give_up(str(error))
            except asyncio.CancelledError:
                dispatcher.end(outgoing, Outcome("uncertain", "the sender had to stop"))
                raise
            except Exception as error:
                outcome = Outcome("uncertain", one_line(f"{type(error).__name__}: {error}"))
            dispatcher.end(outgoing, outcome)


def file_name(message: Message) -> str:
    """Return the Message-ID where it can be a file name (a colon begins a mail reader's flags), else a hash of it.

    >>> file_name(Message("a@example.org", "b@example.org", "<weekly-1.7@example.org>", b""))
    'weekly-1.7@example.org'
    """
    id = message.message_id.strip("<>")
    if _UNSAFE_NAME.search(id) or id.startswith(".") or not 0 < len(id) <= 200:
        return hashlib.sha256(id.encode()).hexdigest()
    return id


@dataclass(slots=True)
class Maildir(PerMessageTransport):
    """Transport that writes each message as a file of `folder`: what a newcomer looks at instead of a mailbox.

    A file's name is made of the Message-ID, so a message that is sent again replaces itself.
    """

    folder: Path
    concurrency: int = 10
    #: Names of messages that a mail reader has moved to cur/, as the last check found them.
    _read: set[str] = field(default_factory=set, init=False, repr=False)
    #: The next sync of the folder, shared by all messages that are renamed before it begins.
    _syncing: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> Maildir:
        """Return the transport of newsletter.yaml's `maildir`."""
        return cls(environment.root / config.newsletter.maildir, config.newsletter.connections)

    async def check(self) -> str:
        """Look whether messages can be written to the folder, or the folder made. Raises TransportError."""
        target = self.folder / "new"
        existing = next((path for path in (target, *target.parents) if os.path.lexists(path)), target)
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise TransportError(f"{existing}: {'not writable' if existing.is_dir() else 'not a directory'}")
        return f"{self.folder}: messages become files in it"

    async def run(self, dispatcher: Dispatcher) -> None:
        """Make the folders where they are missing, then write messages. Raises TransportError."""
        try:
            for name in ("tmp", "new", "cur"):
                make_private_folder(self.folder / name)
            remove_leftovers(self.folder / "tmp")
            self._read = {name.partition(":")[0] for name in os.listdir(self.folder / "cur")}
        except OSError as error:
            raise TransportError(f"{self.folder}: {error.strerror}") from None
        await PerMessageTransport.run(self, dispatcher)  # `super()` does not know a class with slots

    async def send(self, message: Message) -> Outcome:
        """Write the envelope as two header lines, then the message with the line ends of this system, as in every Maildir.

        It is on disk when this returns. A full disk is not the message's fault: it is retried.
        """
        name = file_name(message)
        if name in self._read:
            return Outcome("sent", "already read", "body")
        head = f"Return-Path: <{message.sender}>\r\nDelivered-To: {message.recipient}\r\n"
        try:
            draft = self.folder / "tmp" / f".{name}{SUFFIX}"
            with os.fdopen(open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # in use, as `remove_leftovers` sees it
                file.write((head.encode() + message.data).replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
                draft.replace(self.folder / "new" / name)
            self._syncing = self._syncing or asyncio.create_task(self._sync_folder())
            await asyncio.shield(self._syncing)
        except OSError as error:
            return Outcome("retry", error.strerror or "cannot be written")
        return Outcome("sent", f"new/{name}", "body")

    async def _sync_folder(self) -> None:
        self._syncing = None
        descriptor = os.open(self.folder / "new", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def send_now(transport: Transport, messages: Sequence[Message]) -> list[Outcome]:
    """Send messages outside of every issue and count: test messages. Returns what became of each."""
    ledger = Ledger(enumerate(messages))
    problem = dispatch(ledger, transport.run)
    return [ledger.outcomes.get(index, Outcome("retry", problem or "not tried")) for index in range(len(messages))]
