"""One SMTP connection up to where messages can be sent: greeting, EHLO, TLS, AUTH (RFC 5321, 3207, 4954).

No error quotes a password. `smtp.Lane` goes on from there.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import ipaddress
import platform
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...errors import FeedsError
from .base import TransportError

# What an SMTP server says: bytes, in whatever pieces they arrive, -> replies (RFC 5321, 4.2). Pure.

#: RFC 5321 allows 512 octets a line; real servers write more. Beyond this it is no SMTP server.
MAX_LINE = 8192
MAX_LINES = 256
#: What of a reply is kept for the operator.
MAX_TEXT = 500
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


class ReplyError(FeedsError):
    """The other side does not speak SMTP; the connection is of no more use."""


class Reply(NamedTuple):
    """One whole reply; `lines` without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it in one printable line."""
        return one_line(f"{self.code} {' '.join(self.lines)}")

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def passing(self) -> bool:
        """4xx: another time."""
        return 400 <= self.code < 500


def one_line(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()[:MAX_TEXT]


class Replies:
    """Collects bytes; gives the replies that are complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = b""
        self._lines: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing is left over from the replies given so far."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Reply]:
        """Raises ReplyError; after that the connection must be closed."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ReplyError("a line without an end")
        found = (self._line(line.removesuffix(b"\r")) for line in lines)
        return [reply for reply in found if reply is not None]

    def _line(self, line: bytes) -> Reply | None:
        parts = _LINE.fullmatch(line)
        if parts is None or len(line) > MAX_LINE or (self._lines and parts[1] != self._code):
            raise ReplyError("not an SMTP reply: " + one_line(line[:100].decode("utf-8", "replace")))
        self._code = parts[1]
        self._lines.append((parts[3] or b"").decode("utf-8", "replace"))
        if parts[2] == b"-":
            if len(self._lines) >= MAX_LINES:
                raise ReplyError("a reply without an end")
            return None
        reply = Reply(int(self._code), tuple(self._lines))
        self._lines = []
        return reply


# FEEDS_SMTP_URL -> servers. No password in any text that comes out of here.
#
# `smtp://user:password@host:587` (STARTTLS required; port 587 by default), `smtps://host` (TLS from the start; 465), several
# separated by blanks: the first is used while it answers. Options: `starttls=0` (plain; port 25), `cafile=FILE`, `verify=0`
# (loopback only), `ehlo=NAME`, `rate=N` (messages a second to this server), `timeout=SECONDS` (longest wait for any reply).

_OPTIONS = ("starttls", "cafile", "verify", "ehlo", "rate", "timeout")
_EHLO = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class Server:
    """One server. `timeout` 0 means those of RFC 5321."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    implicit_tls: bool = False
    starttls: bool = True
    verify: bool = True
    cafile: str = ""
    ehlo: str = ""
    rate: float = 0.0
    timeout: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def context(self) -> ssl.SSLContext:
        """Certificates and names are verified, but for `verify=0`. Raises TransportError."""
        try:
            context = ssl.create_default_context(cafile=self.cafile or None)
        except (OSError, ssl.SSLError):
            raise TransportError(f"{self.name}: cafile={self.cafile} cannot be read") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse(urls: str) -> tuple[Server, ...]:
    """In the order of preference. Raises TransportError."""
    found = tuple(_server(number, url) for number, url in enumerate(urls.split(), 1))
    if not found:
        raise TransportError("FEEDS_SMTP_URL is empty")
    return found


def _server(number: int, url: str) -> Server:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _server_fault(
            number, "it is no address; characters such as / @ : # in a password are written as %2F %40 %3A %23"
        ) from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/") or parts.fragment:
        raise _server_fault(
            number, "expected smtp://user:password@host:587 or smtps://host; / @ : # in a password are written as %2F ..."
        )
    server = _with_options(number, parts, host, port, dict(parse_qsl(parts.query, keep_blank_values=True)))
    if not server.verify and not server.loopback:
        raise _server_fault(number, "verify=0 is for servers on this machine; name the authority with cafile=FILE")
    if server.user and not server.implicit_tls and not server.starttls and not server.loopback:
        raise _server_fault(number, "a password needs TLS: leave starttls=0 out")
    return server


def _with_options(number: int, parts: SplitResult, host: str, port: int | None, options: dict[str, str]) -> Server:
    if not options.keys() <= {*_OPTIONS}:  # what stands there instead may be the end of a password
        raise _server_fault(number, f"an option that there is not; expected {', '.join(_OPTIONS)}, and ? in a password as %3F")
    implicit = parts.scheme == "smtps"
    starttls = _switch(number, options, "starttls")
    if options.get("ehlo") and not _EHLO.fullmatch(options["ehlo"]):
        raise _server_fault(number, "ehlo= expects a host name")
    return Server(
        host=host,
        port=port or (465 if implicit else 587 if starttls else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        implicit_tls=implicit,
        starttls=starttls,
        verify=_switch(number, options, "verify"),
        cafile=options.get("cafile", ""),
        ehlo=options.get("ehlo", ""),
        rate=_number(number, options, "rate"),
        timeout=_number(number, options, "timeout"),
    )


def _switch(number: int, options: dict[str, str], name: str) -> bool:
    value = options.get(name, "1")
    if value not in ("0", "1"):
        raise _server_fault(number, f"{name}= expects 0 or 1")
    return value == "1"


def _number(number: int, options: dict[str, str], name: str) -> float:
    try:
        value = float(options.get(name, "0"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise _server_fault(number, f"{name}= expects a number")
    return value


def _server_fault(number: int, reason: str) -> TransportError:
    return TransportError(f"FEEDS_SMTP_URL, address {number}: {reason}")


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
