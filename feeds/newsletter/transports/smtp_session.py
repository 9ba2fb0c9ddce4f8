"""One SMTP connection up to where messages can be sent: server addresses, replies, EHLO, TLS, AUTH (RFC 5321, 3207, 4954).

No error quotes a password. `smtp.SmtpConnection` goes on from there.
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
from urllib.parse import parse_qsl, unquote, urlsplit

from ...errors import FeedsError, TransportError
from .base import one_line

#: RFC 5321 allows 512 octets a line; real servers write more. Beyond this it is no SMTP server.
MAX_LINE = 8192
MAX_LINES = 256
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_OPTIONS = ("starttls", "cafile", "verify", "ehlo", "rate", "timeout")
_EHLO = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
#: Seconds for everything up to the first message. RFC 5321 would wait longer; another server may be there to ask.
CONNECT_SECONDS = 60.0
#: RFC 5321, 4.5.3.2: for the reply to a command, and for the one to the end of a message.
COMMAND_SECONDS = 300.0
BODY_SECONDS = 600.0


class ReplyError(FeedsError):
    """The other side does not speak SMTP; the connection is of no more use."""


class Reply(NamedTuple):
    """One whole reply; `lines` without the code, which is from 200 to 599."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return all of it as one printable line."""
        return one_line(f"{self.code} {' '.join(self.lines)}")

    @property
    def is_transient(self) -> bool:
        """Return whether it is a 4xx: the same may go well later."""
        return 400 <= self.code < 500


@dataclass(slots=True)
class ReplyParser:
    """Parser of what an SMTP server says (RFC 5321, 4.2); bytes may arrive in any pieces.

    >>> parser = ReplyParser()
    >>> parser.feed(b"250-mail.example.org\\r\\n250 PIPEL"), parser.feed(b"INING\\r\\n")
    ([], [Reply(code=250, lines=('mail.example.org', 'PIPELINING'))])
    """

    _rest: bytes = b""
    _code: bytes = b""
    _lines: list[str] = field(default_factory=list)
    #: Whether nothing is left over from the replies given so far.
    is_empty: bool = True

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that are complete now. Raises ReplyError; after that the connection must be closed."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ReplyError("a line without an end")
        replies = []
        for line in lines:
            line = line.removesuffix(b"\r")
            parts = _LINE.fullmatch(line)
            if parts is None or len(line) > MAX_LINE or (self._lines and parts[1] != self._code):
                raise ReplyError("not an SMTP reply: " + one_line(line[:100].decode("utf-8", "replace")))
            self._code = parts[1]
            self._lines.append((parts[3] or b"").decode("utf-8", "replace"))
            if parts[2] != b"-":
                replies.append(Reply(int(self._code), tuple(self._lines)))
                self._lines = []
            elif len(self._lines) >= MAX_LINES:
                raise ReplyError("a reply without an end")
        self.is_empty = not self._rest and not self._lines
        return replies


@dataclass(frozen=True, slots=True)
class Server:
    """Address and options of one server. `timeout` (seconds) 0 means the times of RFC 5321."""

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
        """Return `host:port`, for logs, metrics and rates."""
        return f"{self.host}:{self.port}"


def parse_servers(urls: str) -> tuple[Server, ...]:
    """Parse FEEDS_SMTP_URL: the servers in the order of preference. Raises TransportError, which never quotes a password.

    `smtp://user:password@host:587` (STARTTLS required; port 587 by default), `smtps://host` (TLS from the start; 465), several
    separated by blanks: the first is used while it answers. Options: `starttls=0` (plain; port 25), `cafile=FILE`, `verify=0`
    (loopback only), `ehlo=NAME`, `rate=N` (messages a second to this server), `timeout=SECONDS` (longest wait for any reply).

    >>> [(server.name, server.user) for server in parse_servers("smtp://me:secret@a.example smtps://b.example")]
    [('a.example:587', 'me'), ('b.example:465', '')]
    """
    servers = []
    for number, url in enumerate(urls.split(), 1):
        try:
            servers.append(_parse_server(url))
        except ValueError as error:
            raise TransportError(f"FEEDS_SMTP_URL, address {number}: {error}") from None
    if not servers:
        raise TransportError("FEEDS_SMTP_URL is empty")
    return tuple(servers)


def _parse_server(url: str) -> Server:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("it is no address; characters such as / @ : # in a password are written as %2F %40 %3A %23") from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/") or parts.fragment:
        raise ValueError("expected smtp://user:password@host:587 or smtps://host; / @ : # in a password are written as %2F ...")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= {*_OPTIONS}:  # what stands there instead may be the end of a password
        raise ValueError(f"an option that there is not; expected {', '.join(_OPTIONS)}, and ? in a password as %3F")
    if options.get("ehlo") and not _EHLO.fullmatch(options["ehlo"]):
        raise ValueError("ehlo= expects a host name")
    for name in ("starttls", "verify"):
        if options.get(name, "1") not in ("0", "1"):
            raise ValueError(f"{name}= expects 0 or 1")
    numbers = dict.fromkeys(("rate", "timeout"), -1.0)
    for name in numbers:
        with contextlib.suppress(ValueError):
            numbers[name] = float(options.get(name, "0"))
        if not 0 <= numbers[name] <= 1e6:
            raise ValueError(f"{name}= expects a number")
    is_implicit, starttls, verify = parts.scheme == "smtps", options.get("starttls") != "0", options.get("verify") != "0"
    user, is_loopback = unquote(parts.username or ""), host == "localhost"
    with contextlib.suppress(ValueError):
        is_loopback = ipaddress.ip_address(host).is_loopback
    if not verify and not is_loopback:
        raise ValueError("verify=0 is for servers on this machine; name the authority with cafile=FILE")
    if user and not is_implicit and not starttls and not is_loopback:
        raise ValueError("a password needs TLS: leave starttls=0 out")
    port = port or (465 if is_implicit else 587 if starttls else 25)
    cafile, ehlo, password = options.get("cafile", ""), options.get("ehlo", ""), unquote(parts.password or "")
    return Server(host, port, user, password, is_implicit, starttls, verify, cafile, ehlo, **numbers)


class ServerError(TransportError):
    """This server cannot be used now."""


class LastingError(ServerError):
    """This server cannot be used before someone changes something."""


@dataclass(eq=False, repr=False)
class SmtpSession(asyncio.Protocol):
    """A connection whose replies come in the order of commands: `expected` has a handler for each that is still to come."""

    server: Server
    features: dict[str, str] = field(default_factory=dict)
    expected: collections.deque[Callable[[Reply], None]] = field(default_factory=collections.deque)
    closed: bool = False
    #: Whether the reply to a whole message is awaited, which may take longer.
    awaits_body_reply: bool = False
    deadline: float = float("inf")
    _transport: asyncio.Transport | None = None
    _parser: ReplyParser = field(default_factory=ReplyParser)
    _answer: asyncio.Future[Reply] | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._answer = self._expect_answer()

    def data_received(self, data: bytes) -> None:
        """Call the handler of each reply that is complete."""
        try:
            replies = self._parser.feed(data)
        except ReplyError as error:
            self.fail(str(error))
            return
        for reply in replies:
            if not self.expected:
                self.fail(reply.text)
                return
            self.expected.popleft()(reply)
            if reply.code == 421 and not self.closed:  # the server closes, whatever it was asked (RFC 5321, 3.8)
                self.fail(reply.text, reply)
            if self.closed:
                return
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail, unless the connection has been closed from here."""
        self.fail(f"connection lost: {one_line(str(exc))}" if exc else "connection lost")

    def on_closed(self, reason: str, reply: Reply | None = None) -> None:
        """The connection is gone; called once. `reply`: the 421 by which the server said so."""

    def fail(self, reason: str, reply: Reply | None = None) -> None:
        """Close at once. A message whose end has not been sent is not accepted (RFC 5321, 4.1.1.10)."""
        if self.closed:
            return
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ServerError(f"{self.server.name}: {reason}"))
        self.on_closed(reason, reply)

    def quit(self) -> None:
        """Send QUIT and close; nothing may be under way."""
        if not self.closed and self._transport is not None:
            self.closed = True
            self._transport.write(b"QUIT\r\n")
            self._transport.close()
            self.on_closed("")

    def write(self, data: bytes) -> None:
        """Send bytes; the time for the next reply starts again."""
        assert self._transport is not None
        self._transport.write(data)
        self._set_deadline()

    def _set_deadline(self) -> None:
        seconds = self.server.timeout or (BODY_SECONDS if self.awaits_body_reply else COMMAND_SECONDS)
        self.deadline = self._loop.time() + seconds if self.expected else float("inf")

    async def greet(self, context: ssl.SSLContext | None) -> None:
        """Greet, start TLS and log in, until messages can be sent. Raises ServerError."""
        assert self._answer is not None
        self._require(await self._answer, 220, "does not let us in")
        await self._hello()
        if context is not None and not self.server.implicit_tls:
            if "STARTTLS" not in self.features:
                text = f"{self.server.name} offers no STARTTLS; nothing is sent unencrypted unless its address says starttls=0"
                raise LastingError(text)
            self._require(await self._command(b"STARTTLS"), 220, "refuses STARTTLS")
            # Replies that came in the clear would count as said under TLS.
            if self._transport is None or self.closed or not self._parser.is_empty:
                raise LastingError(f"{self.server.name} sends replies ahead of TLS")
            upgraded = await self._loop.start_tls(self._transport, self, context, server_hostname=self.server.host)
            if upgraded is None:
                raise ServerError(f"{self.server.name}: connection lost during STARTTLS")
            self._transport = upgraded
            await self._hello()
        if self.server.user:
            offered, user, password = self.features.get("AUTH", "").split(), self.server.user, self.server.password
            if "PLAIN" in offered:
                reply = await self._command(b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()))
            elif "LOGIN" in offered:
                reply = await self._command(b"AUTH LOGIN")
                for word in (user, password):
                    if reply.code == 334:
                        reply = await self._command(base64.b64encode(word.encode()))
            else:
                raise LastingError(f"{self.server.name} offers no AUTH PLAIN and no AUTH LOGIN")
            self._require(reply, 235, "refuses user or password")
        self._answer = None

    def _expect_answer(self) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.expected.append(lambda reply: None if future.done() else future.set_result(reply))
        return future

    async def _command(self, command: bytes) -> Reply:
        if self.closed:
            raise ServerError(f"{self.server.name}: connection lost")
        self._answer = self._expect_answer()
        self.write(command + b"\r\n")
        return await self._answer

    def _require(self, reply: Reply, code: int, fault: str) -> None:
        if reply.code != code:
            error = ServerError if reply.is_transient else LastingError
            raise error(f"{self.server.name} {fault}: {reply.text}")

    async def _hello(self) -> None:
        """Send a full name, else the address literal that RFC 5321 4.1.4 asks for then; no name server is asked."""
        name = self.server.ehlo or platform.node()
        if "." not in name and not self.server.ehlo:
            assert self._transport is not None
            address = str(self._transport.get_extra_info("sockname")[0])
            name = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        reply = await self._command(f"EHLO {name}".encode("ascii", "ignore"))
        self._require(reply, 250, "refuses EHLO")
        words = (line.upper().partition(" ") for line in reply.lines[1:])
        self.features = {keyword: parameters for keyword, _blank, parameters in words}


AnySession = TypeVar("AnySession", bound=SmtpSession)


async def connect(server: Server, make: Callable[[], AnySession]) -> AnySession:
    """Return a session that can send. Raises TransportError, in words that say what to do where that is known."""
    session, loop, name = make(), asyncio.get_running_loop(), server.name
    try:
        async with asyncio.timeout(min(CONNECT_SECONDS, server.timeout or CONNECT_SECONDS)):
            context = None
            if server.implicit_tls or server.starttls:
                try:
                    context = ssl.create_default_context(cafile=server.cafile or None)
                except (OSError, ssl.SSLError):
                    raise TransportError(f"{name}: cafile={server.cafile} cannot be read") from None
                if not server.verify:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            tls, host = (context, server.host) if server.implicit_tls else (None, None)
            await loop.create_connection(lambda: session, server.host, server.port, ssl=tls, server_hostname=host)
            await session.greet(context)
    except BaseException as error:
        session.fail("")
        match error:
            case TimeoutError():
                raise ServerError(f"{name}: no answer in time") from None
            case ssl.SSLCertVerificationError():
                reason = one_line(error.verify_message)
                raise LastingError(f"{name}: its certificate is not accepted: {reason}") from None
            case ssl.SSLError():
                raise LastingError(f"{name}: no TLS: {one_line(error.reason or str(error))}") from None
            case OSError():
                raise ServerError(f"{name}: {one_line(error.strerror or str(error))}") from None
        raise
    return session
