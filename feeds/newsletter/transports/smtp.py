"""Messages to SMTP servers over kept connections, pipelined (RFC 2920) where that is offered.

The end of one message and the envelope of the next share a write, so a message costs one round trip. A body is handed over only
when its row says so on disk; until then the server waits in DATA.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from ...counters import LOST, OUTCOMES, REPLY, Gathered
from ...model import Message, Outcome
from .base import Desk, Parcel, TransportError
from .smtp_session import Reply, Server, ServerError, Session, connect

log: Any = structlog.get_logger("feeds.smtp")

_PATH = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]{3,254}")
_XTEXT = re.compile(r"[^\x21-\x2a\x2c-\x3c\x3e-\x7e]")
_DOT = re.compile(rb"\n\.")
_NO_END = bytes(byte for byte in range(256) if byte not in b"\r\n")
#: Made at the same time; more would look like an attack.
_OPENING = 20
#: When the process is to end, servers have so long (seconds) to reply to the messages that they have in hand.
STOP_SECONDS = 10.0
#: An idle connection is kept so long (seconds).
_IDLE = 20.0
#: So many messages that went well give a server that asked for less one connection more.
_RECOVERY = 100
_Step = tuple[bytes, Callable[[Reply], None]]
#: A parcel, its MAIL and RCPT, its body.
_Prepared = tuple[Parcel, tuple[bytes, bytes], bytes]


class EnvelopeError(TransportError):
    """This message cannot be sent to this server, whatever it says; the others can."""


def _path(address: str) -> str:
    if not address.isascii():
        raise EnvelopeError("5.6.7 an address with characters beyond ASCII before the @ needs SMTPUTF8, which is not used here")
    if not _PATH.fullmatch(address):
        raise EnvelopeError("5.1.3 the address cannot be written in SMTP")
    return address


def _xtext(text: str) -> str:
    """RFC 3461, 4."""
    return _XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


def envelope(message: Message, features: dict[str, str]) -> tuple[bytes, bytes]:
    """MAIL and RCPT, with what the server offers of SIZE (RFC 1870) and DSN (RFC 3461). Raises EnvelopeError."""
    mail, rcpt = f"MAIL FROM:<{_path(message.sender)}>", f"RCPT TO:<{_path(message.recipient)}>"
    if "SIZE" in features:
        limit = int(features["SIZE"]) if features["SIZE"].isdecimal() else 0
        if 0 < limit < len(message.data):
            raise EnvelopeError(f"5.3.4 {len(message.data)} bytes are more than the server takes ({limit})")
        mail += f" SIZE={len(message.data)}"
    if "DSN" in features:
        _local, plus, token = message.sender.rpartition("@")[0].partition("+")
        mail += f" RET=HDRS ENVID={_xtext(token if plus else message.message_id.strip('<>'))[:100]}"
        rcpt += f" NOTIFY=FAILURE ORCPT=rfc822;{_xtext(message.recipient)}"
    return f"{mail}\r\n".encode("ascii"), f"{rcpt}\r\n".encode("ascii")


def body(data: bytes) -> bytes:
    """Dot-stuffed (RFC 5321, 4.5.2) and ended. Raises EnvelopeError for a bare CR or LF, which servers read differently."""
    ends = data.translate(None, _NO_END)
    if ends != b"\r\n" * (len(ends) // 2):
        raise EnvelopeError("5.6.0 the message holds a bare CR or LF")
    if data.startswith(b"."):
        data = b"." + data
    if _DOT.search(data):  # few messages have any, and looking costs less than replacing
        data = data.replace(b"\r\n.", b"\r\n..")
    return data + (b".\r\n" if not data or data.endswith(b"\r\n") else b"\r\n.\r\n")


class Lane(Session):
    """One connection that carries messages. At most one of them is noted as being sent at any time.

    A parcel goes: `next` (envelope written) -> `begun` (being noted as sent) -> `body` (handed over) -> `ended`.
    """

    def __init__(self, server: Server, pool: _Pool) -> None:
        super().__init__(server)
        self.pool, self.desk = pool, pool.desk
        self.idle_since = float("inf")
        self.count = 0
        self._next: Parcel | None = None
        self._begun: Parcel | None = None
        self._body: Parcel | None = None
        self._ended: tuple[Parcel, Outcome] | None = None
        self._refusal: tuple[Reply, str] | None = None
        self._reset = False
        self._later: list[_Step] = []
        self._data = b""
        self._handed = 0.0
        self._following: _Prepared | None = None
        self.started = False

    def start(self) -> None:
        self.started = True
        self.pipelining = "PIPELINING" in self.features
        self.advance()

    def body_time(self) -> bool:
        return self._body is not None

    # -- envelopes ---------------------------------------------------------

    def advance(self) -> None:
        """Nothing is under way: the next message, or rest."""
        self.idle_since = float("inf")
        if prepared := self._prepare():
            self.write(self._open(prepared))
        elif self._surplus() or self.desk.finished:
            self.quit()
        else:
            self.idle_since = self._loop.time()

    def _surplus(self, carried: int = 0) -> bool:
        return self.count + carried >= self.pool.per_connection or self.pool.too_many(self.server)

    def _prepare(self, carried: int = 0) -> _Prepared | None:
        """The next message that this server can take, made ready; `carried`: messages that go before it."""
        while not self._surplus(carried) and (parcel := self.desk.take(self.server.name, self.server.rate)):
            try:
                return parcel, envelope(parcel.message, self.features), body(parcel.message.data)
            except EnvelopeError as error:
                self.desk.move((parcel, Outcome("failed", str(error))), None, None)
        return None

    def _open(self, prepared: _Prepared) -> bytes:
        """What begins the message's transaction; RSET only after an error."""
        self._next, (mail, rcpt), self._data = prepared
        self._refusal = None
        commands: list[_Step] = [(mail, self._on_mail), (rcpt, self._on_rcpt), (b"DATA\r\n", self._on_data)]
        if self._reset:
            commands.insert(0, (b"RSET\r\n", self._on_reset))
            self._reset = False
        if self.pipelining:
            self.expect(*(handler for _command, handler in commands))
            return b"".join(command for command, _handler in commands)
        self._later = commands[:0:-1]
        self.expect(commands[0][1])
        return commands[0][0]

    def _on_reset(self, _reply: Reply) -> None:
        self._step()

    def _on_mail(self, reply: Reply) -> None:
        self._weigh(reply, "mail")

    def _on_rcpt(self, reply: Reply) -> None:
        self._weigh(reply, "recipient")

    def _weigh(self, reply: Reply, stage: str) -> None:
        if not reply.good and self._refusal is None:
            self._refusal = reply, stage
        if self._refusal and not self.pipelining:
            self._later.clear()
            self._refuse()
        else:
            self._step()

    def _step(self) -> None:
        """Without pipelining: the next command, now that the one before is answered."""
        if self._later:
            command, handler = self._later.pop()
            self.expect(handler)
            self.write(command)

    def _on_data(self, reply: Reply) -> None:
        if reply.code != 354:
            self._refusal = self._refusal or (reply, "data")
            self._refuse()
        elif self._refusal:  # refused, and yet asked for a body: a lone dot ends it (RFC 2920, 3.1)
            self.expect(lambda _reply: self._refuse())
            self.write(b".\r\n")
        else:
            self._begun, self._next = self._next, None
            self.desk.move(self._pop_ended(), self._begun, self._granted)
            if self.pipelining:  # made while the row is being noted
                self._following = self._prepare(carried=1)

    def _refuse(self) -> None:
        assert self._next is not None and self._refusal is not None
        reply, stage = self._refusal
        if reply.code == 421:
            return  # the connection ends, and the message goes by another
        parcel, self._next, self._reset = self._next, None, True
        self.pool.count(self.server, outcome := _outcome(reply, stage))
        self.desk.move((parcel, outcome), None, None)
        self.pool.heed(self.server, reply)
        self.advance()

    # -- bodies ------------------------------------------------------------

    def _granted(self, granted: bool) -> None:
        parcel, self._begun = self._begun, None
        assert parcel is not None
        if not granted:
            self.fail("")  # the server waits for a body that must not be sent any more: only this takes the message back
        elif self.closed:
            self.desk.move((parcel, Outcome("retry", "the connection was lost before the message was handed over")), None, None)
        else:
            self._hand_over(parcel)

    def _hand_over(self, parcel: Parcel) -> None:
        self._body = parcel
        self._handed = self._loop.time()
        self.count += 1
        data = self._data
        self.expect(self._on_end)
        if self._following:
            following, self._following = self._following, None
            data += self._open(following)
        self.write(data)

    def _on_end(self, reply: Reply) -> None:
        assert self._body is not None
        self._ended, self._body = (self._body, _outcome(reply, "body")), None
        self.pool.gathered.observe(REPLY, self._loop.time() - self._handed, self.server.name)
        self.pool.count(self.server, self._ended[1])
        if reply.good:
            self.pool.went_well(self.server)
        elif reply.code != 421:
            self.pool.heed(self.server, reply)
        if self._next is None and reply.code != 421:
            self.settle()
            self.advance()

    def leaving(self, reply: Reply) -> None:
        self.pool.heed(self.server, reply)

    def settle(self) -> None:
        """The end of one message is noted with the beginning of the next where both are known together, else at once."""
        if self._ended:
            self.desk.move(self._pop_ended(), None, None)

    def _pop_ended(self) -> tuple[Parcel, Outcome] | None:
        ended, self._ended = self._ended, None
        return ended

    def dropped(self, reason: str) -> None:
        self.settle()
        if self._body:
            text = f"{reason or 'connection closed'}, after the message was handed over and before the reply"
            self.pool.count(self.server, outcome := Outcome("uncertain", text, "body"))
            self.desk.move((self._body, outcome), None, None)
            self._body = None
        if self._next:
            self.desk.give_back(self._next)
            self._next = None
        if self._following:
            self.desk.give_back(self._following[0], tried=False)
            self._following = None
        self.pool.lost(self, reason)


def _outcome(reply: Reply, stage: str) -> Outcome:
    status = "sent" if reply.good else "retry" if reply.passing else "failed"
    return Outcome(status, reply.text, stage)


@dataclass(slots=True)
class _State:
    """What is known of one server in this run. `rest` is the loop's time until which it is left alone."""

    server: Server
    limit: int
    used: int = 0
    failures: int = 0
    rest: float = 0.0
    reason: str = ""
    good: int = 0


@dataclass(slots=True)
class _Pool:
    """The connections of one run: opened as there is work, on the first server that answers."""

    desk: Desk
    states: list[_State]
    connections: int
    per_connection: int
    patience: float
    gathered: Gathered
    lanes: set[Lane] = field(default_factory=set)
    opening: set[asyncio.Task[None]] = field(default_factory=set)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    _last_call: float = float("inf")

    async def run(self) -> None:
        try:
            while self.lanes or self.opening or not self.desk.finished:
                self._watch()
                if self._must_end():
                    break
                self._open_more()
                if self._hopeless():
                    self.desk.give_up("; ".join(state.reason for state in self.states))
                await self._wait()
        finally:
            for task in self.opening:
                task.cancel()
            for lane in list(self.lanes):
                lane.fail("the sender had to stop" if self.desk.stopping and lane.body_time() else "")

    async def _wait(self) -> None:
        pause = min(0.25, max(self.desk.pause(), 0.001)) if any(lane.idle_since < 1e300 for lane in self.lanes) else 0.25
        try:
            async with asyncio.timeout(pause):
                await self.bell.wait()
        except TimeoutError:
            pass
        self.bell.clear()

    def _watch(self) -> None:
        now = _time()
        for lane in list(self.lanes):
            if lane.deadline < now:
                lane.fail("no reply in time")
            elif lane.idle_since < now and (self.desk.finished or now - lane.idle_since > _IDLE):
                lane.quit()

    def _must_end(self) -> bool:
        """STOP_SECONDS after the process was told to stop: what a server has not answered then is uncertain, and noted so."""
        if self.desk.stopping:
            self._last_call = min(self._last_call, _time() + STOP_SECONDS)
        return _time() >= self._last_call

    # -- connections -------------------------------------------------------

    def _open_more(self) -> None:
        wanted = self.desk.ready() - len(self.opening)
        for lane in [lane for lane in self.lanes if lane.idle_since < 1e300][: max(wanted, 0)]:
            lane.advance()
            wanted -= 1
        room = min(self.connections - len(self.lanes) - len(self.opening), _OPENING - len(self.opening), wanted)
        for _number in range(room):
            if state := self._choose():
                self._open(state)

    def _choose(self) -> _State | None:
        """The first that is not left alone: so the preferred one has its connections back once it answers again."""
        now = _time()
        return next((state for state in self.states if state.rest <= now and state.used < state.limit), None)

    def _open(self, state: _State) -> None:
        state.used += 1
        task = asyncio.get_running_loop().create_task(self._connect(state))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)
        task.add_done_callback(lambda _task: self.bell.set())

    async def _connect(self, state: _State) -> None:
        try:
            lane = await connect(state.server, lambda: Lane(state.server, self))
        except TransportError as error:
            state.used -= 1
            self._failed(state, str(error), lasting=isinstance(error, ServerError) and error.lasting)
            return
        self.lanes.add(lane)
        lane.start()

    def lost(self, lane: Lane, reason: str) -> None:
        if not lane.started:
            return  # `_connect` hears of it
        state = self._state(lane.server)
        state.used -= 1
        self.lanes.discard(lane)
        if reason and not lane.count:
            self._failed(state, f"{lane.server.name}: {reason}")
        self.bell.set()

    # -- what servers ask for ----------------------------------------------

    def _state(self, server: Server) -> _State:
        return next(state for state in self.states if state.server is server)

    def _failed(self, state: _State, reason: str, lasting: bool = False) -> None:
        """Left alone for half a second, one, two ... five minutes."""
        if state.rest > _time():
            return  # of several connections that failed together the first counts
        self.gathered.count(LOST, state.server.name)
        state.failures = 12 if lasting else min(state.failures + 1, 12)
        state.rest = _time() + min(300.0, 0.25 * 2**state.failures)
        if reason != state.reason and len(self.states) > 1:  # of an only one the tally tells
            log.warning("server", server=state.server.name, reason=reason)
        state.reason = reason

    def count(self, server: Server, outcome: Outcome) -> None:
        self.gathered.count(OUTCOMES, server.name, outcome.status)

    def heed(self, server: Server, reply: Reply) -> None:
        """421 and 454 ask for less (SES: "454 Throttling failure"): half of the connections."""
        state = self._state(server)
        if reply.code in (421, 454) and state.rest <= _time():
            state.limit, state.good = max(1, state.used // 2), 0
            if reply.code == 421:
                self._failed(state, f"{server.name}: {reply.text}")

    def went_well(self, server: Server) -> None:
        state = self._state(server)
        state.failures, state.good = 0, state.good + 1
        if state.good >= _RECOVERY:
            state.limit, state.good = min(state.limit + 1, self.connections), 0

    def too_many(self, server: Server) -> bool:
        state = self._state(server)
        return state.used > state.limit

    def _hopeless(self) -> bool:
        if self.lanes or self.opening or self.desk.finished:
            return False
        soon = _time() + self.patience
        return all(state.rest > soon for state in self.states)


def _time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Smtp:
    """The transport. `patience`: seconds to wait for the first server that may answer again before the run ends."""

    servers: tuple[Server, ...]
    connections: int = 10
    per_connection: int = 100
    patience: float = 10.0
    gathered: Gathered = field(default_factory=Gathered)

    async def run(self, desk: Desk) -> None:
        states = [_State(server, self.connections) for server in self.servers]
        await _Pool(desk, states, self.connections, self.per_connection, self.patience, self.gathered).run()

    async def check(self) -> str:
        """Connect to each and log in. Raises TransportError for the first that fails."""
        said = []
        for server in self.servers:
            session = await connect(server, partial(Session, server))
            tls = "TLS" if server.implicit_tls or server.starttls else "no TLS"
            said.append(f"{server.name}: {tls}, {'logged in' if server.user else 'no log-in'}")
            session.quit()
        return "; ".join(said)
