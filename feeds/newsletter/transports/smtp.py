"""Messages to SMTP servers over kept connections, pipelined (RFC 2920) where that is offered.

The end of one message and the envelope of the next share a write, so a message costs one round trip. A body is handed over only
when its row says so on disk; until then the server waits in DATA.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from ...config.environment import Environment
from ...config.models import Config
from ...counters import LOST, OUTCOMES, REPLY, PendingCounts
from ...errors import TransportError
from ...model import Message, Outcome
from ..delivery.dispatcher import Dispatcher, OutgoingMessage
from .base import STOP_SECONDS
from .smtp_session import LastingError, Reply, Server, SmtpSession, connect, parse_servers

log: Any = structlog.get_logger("feeds.smtp")

_PATH = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]{3,254}")
#: What xtext (RFC 3461, 4) writes as `+` and two digits.
_XTEXT = re.compile(r"[^\x21-\x2a\x2c-\x3c\x3e-\x7e]")
_DOT = re.compile(rb"\n\.")
_NO_END = bytes(byte for byte in range(256) if byte not in b"\r\n")
#: Connections opened at the same time; more would look like an attack.
_OPENING = 20
#: An idle connection is kept so long (seconds).
_IDLE = 20.0
#: So many accepted messages give a server that asked for fewer connections one more.
_RECOVERY = 100
_BUSY = float("inf")
_Command = tuple[bytes, Callable[[Reply], None]]
#: A message, its MAIL and RCPT, its body.
_Encoded = tuple[OutgoingMessage, tuple[bytes, bytes], bytes]


class EnvelopeError(TransportError):
    """This message cannot be sent to this server, whatever it says; the others can."""


def encode_envelope(message: Message, features: dict[str, str]) -> tuple[bytes, bytes]:
    r"""Return MAIL and RCPT, with what the server offers of SIZE (RFC 1870) and DSN (RFC 3461). Raises EnvelopeError.

    >>> encode_envelope(Message("digest@example.org", "a@example.net", "<1@x>", b"text"), {"SIZE": "1000"})
    (b'MAIL FROM:<digest@example.org> SIZE=4\r\n', b'RCPT TO:<a@example.net>\r\n')
    """
    for address in (message.sender, message.recipient):
        if not address.isascii():
            text = "5.6.7 an address with characters beyond ASCII before the @ needs SMTPUTF8, which is not used here"
            raise EnvelopeError(text)
        if not _PATH.fullmatch(address):
            raise EnvelopeError("5.1.3 the address cannot be written in SMTP")
    mail, rcpt = f"MAIL FROM:<{message.sender}>", f"RCPT TO:<{message.recipient}>"
    if "SIZE" in features:
        limit = int(features["SIZE"]) if features["SIZE"].isdecimal() else 0
        if 0 < limit < len(message.data):
            raise EnvelopeError(f"5.3.4 {len(message.data)} bytes are more than the server takes ({limit})")
        mail += f" SIZE={len(message.data)}"
    if "DSN" in features:
        _local, plus, token = message.sender.rpartition("@")[0].partition("+")
        words = (token if plus else message.message_id.strip("<>"), message.recipient)
        envelope_id, recipient = (_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", word) for word in words)
        mail += f" RET=HDRS ENVID={envelope_id[:100]}"
        rcpt += f" NOTIFY=FAILURE ORCPT=rfc822;{recipient}"
    return f"{mail}\r\n".encode("ascii"), f"{rcpt}\r\n".encode("ascii")


def encode_body(data: bytes) -> bytes:
    r"""Return the message dot-stuffed (RFC 5321, 4.5.2) and ended.

    Raises EnvelopeError for a bare CR or LF, which servers read differently.

    >>> encode_body(b".signature\r\n")
    b'..signature\r\n.\r\n'
    """
    ends = data.translate(None, _NO_END)
    if ends != b"\r\n" * (len(ends) // 2):
        raise EnvelopeError("5.6.0 the message holds a bare CR or LF")
    if data.startswith(b"."):
        data = b"." + data
    if _DOT.search(data):  # few messages have any, and looking costs less than replacing
        data = data.replace(b"\r\n.", b"\r\n..")
    return data + (b".\r\n" if not data or data.endswith(b"\r\n") else b"\r\n.\r\n")


@dataclass(slots=True, eq=False)
class _ServerState:
    """What is known of one server in this run. `rest` is the loop's time until which it is left alone."""

    server: Server
    limit: int
    used: int = 0
    failures: int = 0
    rest: float = 0.0
    reason: str = ""
    good: int = 0


class SmtpConnection(SmtpSession):
    """One connection that carries messages. At most one of them is recorded as being sent at any time.

    A message goes: `_next` (envelope written) -> `_begun` (being recorded as sent) -> `_body` (handed over) -> ended.
    """

    def __init__(self, state: _ServerState, pool: _ConnectionPool) -> None:
        super().__init__(state.server)
        self.state, self.pool, self.dispatcher = state, pool, pool.dispatcher
        self.idle_since = _BUSY
        self.count = 0
        #: Whether the session has been greeted, and the connection is one of the pool's.
        self.is_started = False
        self._next: OutgoingMessage | None = None
        self._begun: OutgoingMessage | None = None
        self._body: OutgoingMessage | None = None
        self._refusal: tuple[Reply, str] | None = None
        self._reset = self._is_pipelining = False
        self._later: list[_Command] = []
        self._data = b""
        self._handed_over = 0.0
        self._following: _Encoded | None = None

    def advance(self) -> None:
        """Write the envelope of the next message, or be idle; nothing may be under way."""
        self.idle_since, self.is_started = _BUSY, True
        if encoded := self._take():
            self.write(self._open(encoded))
        elif self._is_surplus() or self.dispatcher.finished:
            self.quit()
        else:
            self.idle_since = self._loop.time()

    def _is_surplus(self, before: int = 0) -> bool:
        return self.count + before >= self.pool.smtp.per_connection or self.state.used > self.state.limit

    def _take(self, before: int = 0) -> _Encoded | None:
        """Return the next message that this server can take, encoded; `before`: messages that go before it."""
        while not self._is_surplus(before) and (outgoing := self.dispatcher.take(self.server.name, self.server.rate)):
            message = outgoing.message
            try:
                return outgoing, encode_envelope(message, self.features), encode_body(message.data)
            except EnvelopeError as error:
                self.dispatcher.end(outgoing, Outcome("failed", str(error)))
        return None

    def _open(self, encoded: _Encoded) -> bytes:
        """Return what opens the message's transaction; RSET only after an error."""
        self._next, (mail, rcpt), self._data = encoded
        self._is_pipelining, self._refusal = "PIPELINING" in self.features, None
        commands: list[_Command] = [
            (mail, partial(self._on_envelope_reply, "mail")),
            (rcpt, partial(self._on_envelope_reply, "recipient")),
            (b"DATA\r\n", self._on_data_reply),
        ]
        if self._reset:
            commands.insert(0, (b"RSET\r\n", partial(self._on_envelope_reply, "")))
            self._reset = False
        number = len(commands) if self._is_pipelining else 1
        self._later = commands[number:][::-1]
        self.expected.extend(handler for _command, handler in commands[:number])
        return b"".join(command for command, _handler in commands[:number])

    def _on_envelope_reply(self, stage: str, reply: Reply) -> None:
        """Remember a refusal; without pipelining, write the next command now that this one is answered."""
        if stage and reply.code >= 300 and self._refusal is None:
            self._refusal = reply, stage
        if self._refusal and not self._is_pipelining:
            self._later.clear()
            self._refuse()
        elif self._later:
            command, handler = self._later.pop()
            self.expected.append(handler)
            self.write(command)

    def _on_data_reply(self, reply: Reply) -> None:
        if reply.code != 354:
            self._refusal = self._refusal or (reply, "data")
            self._refuse()
        elif self._refusal:  # refused, and yet asked for a body: a lone dot ends it (RFC 2920, 3.1)
            self.expected.append(lambda _reply: self._refuse())
            self.write(b".\r\n")
        else:
            assert self._next is not None
            self._begun, self._next = self._next, None
            self.dispatcher.begin(self._begun, self._on_begun)
            if self._is_pipelining:  # encoded while the row is being recorded
                self._following = self._take(before=1)

    def _refuse(self) -> None:
        assert self._next is not None and self._refusal is not None
        reply, stage = self._refusal
        if reply.code == 421:
            return  # the connection ends, and the message goes by another
        outgoing, self._next, self._reset = self._next, None, True
        self._end(outgoing, Outcome("retry" if reply.is_transient else "failed", reply.text, stage))
        self.pool.on_negative_reply(self.state, reply)
        self.advance()

    def _end(self, outgoing: OutgoingMessage, outcome: Outcome) -> None:
        self.pool.smtp.gathered.count(OUTCOMES, self.server.name, outcome.status)
        self.dispatcher.end(outgoing, outcome)

    def _on_begun(self, granted: bool) -> None:
        """Hand the body over, with the envelope of the next message where that is known."""
        outgoing, self._begun = self._begun, None
        assert outgoing is not None
        if not granted:
            self.fail("")  # the server waits for a body that must not be sent any more: only this takes the message back
            return
        if self.closed:
            self.dispatcher.end(outgoing, Outcome("retry", "the connection was lost before the message was handed over"))
            return
        self._body, self._handed_over, self.awaits_body_reply = outgoing, self._loop.time(), True
        self.count += 1
        self.expected.append(self._on_body_reply)
        data = self._data
        if self._following:
            following, self._following = self._following, None
            data += self._open(following)
        self.write(data)

    def _on_body_reply(self, reply: Reply) -> None:
        assert self._body is not None
        self.pool.smtp.gathered.observe(REPLY, self._loop.time() - self._handed_over, self.server.name)
        outgoing, self._body, self.awaits_body_reply = self._body, None, False
        status = "sent" if reply.code < 300 else "retry" if reply.is_transient else "failed"
        self._end(outgoing, Outcome(status, reply.text, "body"))
        if status == "sent":
            self.state.failures, self.state.good = 0, self.state.good + 1
            if self.state.good >= _RECOVERY:
                self.state.limit, self.state.good = min(self.state.limit + 1, self.pool.smtp.connections), 0
        elif reply.code != 421:
            self.pool.on_negative_reply(self.state, reply)
        if self._next is None and reply.code != 421:
            self.advance()

    def on_closed(self, reason: str, reply: Reply | None = None) -> None:
        """End or give back each message that this connection has in hand, and leave the pool."""
        if reply is not None:
            self.pool.on_negative_reply(self.state, reply)
        if self._body:
            text = f"{reason or 'connection closed'}, after the message was handed over and before the reply"
            self._end(self._body, Outcome("uncertain", text, "body"))
        if self._next:
            self.dispatcher.give_back(self._next)
        if self._following:
            self.dispatcher.give_back(self._following[0], tried=False)
        self._body = self._next = self._following = None
        if self.is_started:  # else `connect` raises the reason
            self.state.used -= 1
            self.pool.connected.discard(self)
            if reason and not self.count:
                self.pool.on_failure(self.state, f"{self.server.name}: {reason}")
            self.pool.changed.set()


@dataclass(slots=True)
class _ConnectionPool:
    """The connections of one run: opened as there is work, on the first server that answers."""

    dispatcher: Dispatcher
    smtp: Smtp
    states: list[_ServerState]
    connected: set[SmtpConnection] = field(default_factory=set)
    connecting: set[asyncio.Task[None]] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    async def run(self) -> None:
        """Carry messages until the dispatcher is finished.

        STOP_SECONDS after the process was told to stop, what a server has not answered is uncertain, and recorded so.
        """
        last_call = float("inf")
        try:
            while self.connected or self.connecting or not self.dispatcher.finished:
                now = self.loop.time()
                for connection in list(self.connected):
                    if connection.deadline < now:
                        connection.fail("no reply in time")
                    elif connection.idle_since < now and (self.dispatcher.finished or now - connection.idle_since > _IDLE):
                        connection.quit()
                if self.dispatcher.stopping:
                    last_call = min(last_call, now + STOP_SECONDS)
                if now >= last_call:
                    break
                self._open_more()
                is_idle = not (self.connected or self.connecting or self.dispatcher.finished)
                if is_idle and all(state.rest > self.loop.time() + self.smtp.patience for state in self.states):
                    self.dispatcher.give_up("; ".join(state.reason for state in self.states))
                # Until a connection changes, or an idle one may have a message to take.
                is_any_idle = any(connection.idle_since != _BUSY for connection in self.connected)
                seconds = min(0.25, max(self.dispatcher.pause(), 0.001)) if is_any_idle else 0.25
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self.changed.wait()
                self.changed.clear()
        finally:
            for task in self.connecting:
                task.cancel()
            for connection in list(self.connected):
                connection.fail("the sender had to stop" if self.dispatcher.stopping and connection.awaits_body_reply else "")

    def _open_more(self) -> None:
        """Use idle connections and open new ones, on the first server that is not left alone.

        So the preferred server has its connections back once it answers again.
        """
        wanted = self.dispatcher.ready() - len(self.connecting)
        for connection in [one for one in self.connected if one.idle_since != _BUSY][: max(wanted, 0)]:
            connection.advance()
            wanted -= 1
        now = self.loop.time()
        room = min(self.smtp.connections - len(self.connected) - len(self.connecting), _OPENING - len(self.connecting), wanted)
        for _number in range(room):
            state = next((state for state in self.states if state.rest <= now and state.used < state.limit), None)
            if state is None:
                return
            state.used += 1
            task = self.loop.create_task(self._connect(state))
            self.connecting.add(task)
            task.add_done_callback(self.connecting.discard)
            task.add_done_callback(lambda _task: self.changed.set())

    async def _connect(self, state: _ServerState) -> None:
        try:
            connection = await connect(state.server, lambda: SmtpConnection(state, self))
        except TransportError as error:
            state.used -= 1
            self.on_failure(state, str(error), lasting=isinstance(error, LastingError))
            return
        self.connected.add(connection)
        connection.advance()

    def on_failure(self, state: _ServerState, reason: str, lasting: bool = False) -> None:
        """Leave a server alone for half a second, one, two ... five minutes."""
        if state.rest > self.loop.time():
            return  # of several connections that failed together the first counts
        self.smtp.gathered.count(LOST, state.server.name)
        state.failures = 12 if lasting else min(state.failures + 1, 12)
        state.rest = self.loop.time() + min(300.0, 0.25 * 2**state.failures)
        if reason != state.reason and len(self.states) > 1:  # for a single server the result of the run says it
            log.warning("server", server=state.server.name, reason=reason)
        state.reason = reason

    def on_negative_reply(self, state: _ServerState, reply: Reply) -> None:
        """Use half of the connections after 421 and 454, which ask for less (SES: "454 Throttling failure")."""
        if reply.code in (421, 454) and state.rest <= self.loop.time():
            state.limit, state.good = max(1, state.used // 2), 0
            if reply.code == 421:
                self.on_failure(state, f"{state.server.name}: {reply.text}")


@dataclass(frozen=True, slots=True)
class Smtp:
    """Transport over SMTP. `patience`: seconds to wait for the first server that may answer again before the run ends."""

    servers: tuple[Server, ...]
    connections: int = 10
    per_connection: int = 100
    patience: float = 10.0
    gathered: PendingCounts = field(default_factory=PendingCounts)

    @classmethod
    def configured(cls, config: Config, environment: Environment) -> Smtp:
        """Return the transport over the servers of FEEDS_SMTP_URL. Raises TransportError where it is missing or wrong."""
        if not environment.smtp_url:
            raise TransportError("newsletter.yaml says `transport: smtp`, and FEEDS_SMTP_URL is not set")
        settings = config.newsletter
        servers = parse_servers(environment.smtp_url.get_secret_value())
        return cls(servers, settings.connections, settings.messages_per_connection)

    async def run(self, dispatcher: Dispatcher) -> None:
        """Carry messages over at most `connections` connections, `per_connection` messages over each."""
        states = [_ServerState(server, self.connections) for server in self.servers]
        await _ConnectionPool(dispatcher, self, states).run()

    async def check(self) -> str:
        """Connect to each server and log in. Raises TransportError for the first that fails."""
        found = []
        for server in self.servers:
            session = await connect(server, partial(SmtpSession, server))
            tls = "TLS" if server.implicit_tls or server.starttls else "no TLS"
            found.append(f"{server.name}: {tls}, {'logged in' if server.user else 'no log-in'}")
            session.quit()
        return "; ".join(found)
