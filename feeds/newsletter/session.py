"""One SMTP connection up to where messages can be sent: greeting, EHLO, TLS, AUTH (RFC 5321, 3207, 4954).

No error quotes a password. `smtp.Lane` goes on from there.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import platform
import ssl
from collections.abc import Callable
from typing import TypeVar

from .parcels import TransportError
from .replies import Replies, Reply, ReplyError, one_line
from .servers import Server

#: Seconds for everything up to the first message. RFC 5321 would wait longer; another server may be there to ask.
CONNECT_SECONDS = 60.0
#: RFC 5321, 4.5.3.2: for the reply to a command, and for the one to the end of a message.
COMMAND_SECONDS = 300.0
BODY_SECONDS = 600.0


class ServerError(TransportError):
    """This server cannot be used now; `lasting`: not before someone changes something."""

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


class Session(asyncio.Protocol):
    """Replies come in the order of commands: `_expected` has a handler for each that is still to come."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.features: dict[str, str] = {}
        self.closed = False
        self.deadline = float("inf")
        self._transport: asyncio.Transport | None = None
        self._replies = Replies()
        self._expected: collections.deque[Callable[[Reply], None]] = collections.deque()
        self._answer: asyncio.Future[Reply] | None = None
        self._loop = asyncio.get_running_loop()

    # -- asyncio's side ----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._answer = self._future()  # the greeting

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._replies.feed(data)
        except ReplyError as error:
            self.fail(str(error))
            return
        for reply in replies:
            self._take_reply(reply)
            if self.closed:
                return
        self._set_deadline()
        self.settle()

    def _take_reply(self, reply: Reply) -> None:
        if not self._expected:
            self.fail(reply.text)
            return
        self._expected.popleft()(reply)
        if reply.code == 421 and not self.closed:  # the server closes, whatever it was asked (RFC 5321, 3.8)
            self.leaving(reply)
            self.fail(reply.text)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"connection lost: {one_line(str(exc))}" if exc else "connection lost")

    # -- for those who go on from here -------------------------------------

    def settle(self) -> None:
        """All replies that came together have been handled."""

    def leaving(self, reply: Reply) -> None:
        """The server closes the connection."""

    def dropped(self, reason: str) -> None:
        """The connection is gone; called once."""

    def body_time(self) -> bool:
        """Whether the reply to a whole message is awaited, which may take longer."""
        return False

    def fail(self, reason: str) -> None:
        """Close at once. A message whose end has not been sent is not accepted (RFC 5321, 4.1.1.10)."""
        if self.closed:
            return
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ServerError(f"{self.server.name}: {reason}"))
        self.dropped(reason)

    def quit(self) -> None:
        """Leave politely; nothing may be under way."""
        if not self.closed and self._transport is not None:
            self.closed = True
            self._transport.write(b"QUIT\r\n")
            self._transport.close()
            self.dropped("")

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)
        self._set_deadline()

    def expect(self, *handlers: Callable[[Reply], None]) -> None:
        self._expected.extend(handlers)

    def _set_deadline(self) -> None:
        usual = BODY_SECONDS if self.body_time() else COMMAND_SECONDS
        self.deadline = self._loop.time() + (self.server.timeout or usual) if self._expected else float("inf")

    # -- the first words ---------------------------------------------------

    def _future(self) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._expected.append(lambda reply: None if future.done() else future.set_result(reply))
        return future

    async def _say(self, command: bytes) -> Reply:
        if self.closed:
            raise ServerError(f"{self.server.name}: connection lost")
        self._answer = self._future()
        self.write(command + b"\r\n")
        return await self._answer

    async def greet(self, context: ssl.SSLContext | None) -> None:
        """Until messages can be sent. Raises ServerError."""
        assert self._answer is not None
        self._require(await self._answer, 220, "does not let us in")
        await self._hello()
        if context is not None and not self.server.implicit_tls:
            await self._encrypt(context)
        if self.server.user:
            await self._log_in()
        self._answer = None

    def _require(self, reply: Reply, code: int, fault: str) -> None:
        if reply.code != code:
            raise ServerError(f"{self.server.name} {fault}: {reply.text}", lasting=not reply.passing)

    async def _hello(self) -> None:
        reply = await self._say(f"EHLO {self.server.ehlo or self._own_name()}".encode("ascii", "ignore"))
        self._require(reply, 250, "refuses EHLO")
        words = (line.upper().partition(" ") for line in reply.lines[1:])
        self.features = {keyword: parameters for keyword, _blank, parameters in words}

    def _own_name(self) -> str:
        """A full name, else the address literal that RFC 5321 4.1.4 asks for then; no question to any name server."""
        if "." in platform.node():
            return platform.node()
        assert self._transport is not None
        address = str(self._transport.get_extra_info("sockname")[0])
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    async def _encrypt(self, context: ssl.SSLContext) -> None:
        if "STARTTLS" not in self.features:
            text = f"{self.server.name} offers no STARTTLS; nothing is sent unencrypted unless its address says starttls=0"
            raise ServerError(text, lasting=True)
        self._require(await self._say(b"STARTTLS"), 220, "refuses STARTTLS")
        if (
            self._transport is None or self.closed or not self._replies.empty
        ):  # what came in the clear would count as said under TLS
            raise ServerError(f"{self.server.name} sends replies ahead of TLS", lasting=True)
        upgraded = await self._loop.start_tls(self._transport, self, context, server_hostname=self.server.host)
        if upgraded is None:
            raise ServerError(f"{self.server.name}: connection lost during STARTTLS")
        self._transport = upgraded
        await self._hello()

    async def _log_in(self) -> None:
        offered = self.features.get("AUTH", "").split()
        if "PLAIN" in offered:
            reply = await self._say(b"AUTH PLAIN " + _base64(f"\0{self.server.user}\0{self.server.password}"))
        elif "LOGIN" in offered:
            reply = await self._log_in_by_parts()
        else:
            raise ServerError(f"{self.server.name} offers no AUTH PLAIN and no AUTH LOGIN", lasting=True)
        self._require(reply, 235, "refuses user or password")

    async def _log_in_by_parts(self) -> Reply:
        reply = await self._say(b"AUTH LOGIN")
        for word in (self.server.user, self.server.password):
            if reply.code == 334:
                reply = await self._say(_base64(word))
        return reply


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode())


Made = TypeVar("Made", bound=Session)


async def connect(server: Server, make: Callable[[], Made]) -> Made:
    """A session that can send. Raises ServerError, in words that say what to do where that is known."""
    made: list[Made] = []

    def session() -> Made:
        made.append(make())
        return made[-1]

    try:
        async with asyncio.timeout(min(CONNECT_SECONDS, server.timeout or CONNECT_SECONDS)):
            await _open(server, session)
    except BaseException as error:
        for one in made:
            one.fail("")
        if not isinstance(error, Exception):
            raise
        raise _fault(server, error) from None
    return made[-1]


async def _open(server: Server, make: Callable[[], Made]) -> None:
    context = server.context() if server.implicit_tls or server.starttls else None
    tls = context if server.implicit_tls else None
    name = server.host if server.implicit_tls else None
    loop = asyncio.get_running_loop()
    _transport, session = await loop.create_connection(make, server.host, server.port, ssl=tls, server_hostname=name)
    await session.greet(context)


def _fault(server: Server, error: Exception) -> TransportError:
    match error:
        case TransportError():
            return error
        case TimeoutError():
            return ServerError(f"{server.name}: no answer in time")
        case ssl.SSLCertVerificationError():
            return ServerError(
                f"{server.name}: its certificate is not accepted: {one_line(error.verify_message)}", lasting=True
            )
        case ssl.SSLError():
            return ServerError(f"{server.name}: no TLS: {one_line(error.reason or str(error))}", lasting=True)
        case OSError():
            return ServerError(f"{server.name}: {one_line(error.strerror or str(error))}")
    raise error
