"""One errand each: ask a callback to confirm, deliver to it, tell it that it is dropped, tell a hub outside what changed.

An errand ends in a note: what to write down about it. Nothing here touches the tables.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from ..config.models import Config
from ..counters import PUSHES, Gathered
from . import protocol, subscriptions
from .http import Wire
from .protocol import Again, Answer, End, Payload
from .requests import is_allowed
from .subscriptions import Owed, Request

log: Any = structlog.get_logger("feeds.hub")

#: Documents kept while they are delivered.
BODIES = 32


class Library(Protocol):
    """Where documents come from. Called in a thread."""

    def payload(self, topic: str) -> Payload | None: ...


@dataclass(frozen=True, slots=True)
class After:
    """What a note leaves behind: keys of subscriptions that ended, topics that must be compared once more.

    `told`: whether a hub outside was told all; None where it is not about that.
    """

    ended: Sequence[int] = ()
    unsure: Sequence[str] = ()
    told: bool | None = None


Note = Callable[[sa.Connection], After]


@dataclass(slots=True)
class Errands:
    """`now` in UTC seconds. `config` is replaced when a rescan has brought another one."""

    library: Library
    now: Callable[[], int]
    config: Config = field(default_factory=Config)
    tally: Counter[str] = field(default_factory=Counter)
    gathered: Gathered = field(default_factory=Gathered)
    strangers: Wire = field(init=False)
    outside: Wire = field(init=False)
    _bodies: dict[str, asyncio.Task[Payload | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.strangers = Wire(self._judge)
        self.outside = Wire(lambda _address: True)  # the operator named it

    def _judge(self, address: str) -> bool:
        return is_allowed(address, private=self.config.feeds.websub.allow_private_callbacks)

    def _count(self, outcome: str) -> None:
        self.tally[outcome] += 1
        self.gathered.count(PUSHES, outcome)

    def forget_documents(self) -> None:
        """They may be other ones now."""
        self._bodies = {}

    async def _ask(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        named = {"User-Agent": f"feeds (+{self.config.hub_url})", **(headers or {})}
        return await self.strangers.send(method, url, named, body, seconds=self.config.feeds.websub.timeout_seconds)

    # -- verification of intent (section 5.3) ----------------------------------

    async def verify(self, request: Request) -> Note:
        """The lease runs from here."""
        begun, challenge = self.now(), secrets.token_urlsafe(24)
        lease = {"lease_seconds": request.lease} if request.mode == "subscribe" else {}
        url = protocol.with_query(request.callback, mode=request.mode, topic=request.asked, challenge=challenge, **lease)
        answer = await self._ask("GET", url)
        if not protocol.is_confirmed(answer, challenge):
            return self._unconfirmed(request, answer)
        log.info(f"hub_{request.mode}d", topic=request.topic, host=request.host, **lease)
        return partial(_subscribed, request=request, begun=begun) if lease else partial(_unsubscribed, request=request)

    def _unconfirmed(self, request: Request, answer: Answer) -> Note:
        again = protocol.verify_again(answer, request.attempts, self.now())
        problem = "did not answer with the challenge" if answer.ok else answer.words
        log.info("hub_unconfirmed", mode=request.mode, topic=request.topic, host=request.host, problem=problem)
        return _quietly(partial(subscriptions.unconfirmed, request=request, again=again, problem=problem))

    # -- distribution (section 7) ----------------------------------------------

    async def deliver(self, row: Owed) -> Note:
        if row.expires <= self.now():
            return _quietly(None)
        payload = await self._payload(row.topic)
        if payload is None:
            return partial(_rested, row=row)
        if payload.digest != row.delivered:
            answer = await self._ask("POST", row.callback, _headers(row, payload), payload.body)
            if not answer.ok:
                return await self._failed(row, answer)
            self._count("delivered")
        return partial(_delivered, row=row, digest=payload.digest)

    async def _payload(self, topic: str) -> Payload | None:
        """Made once for all who get it."""
        bodies = self._bodies
        if topic not in bodies:
            while len(bodies) >= BODIES:
                bodies.pop(next(iter(bodies)))
            bodies[topic] = asyncio.create_task(asyncio.to_thread(self.library.payload, topic))
        return await asyncio.shield(bodies[topic])

    async def _failed(self, row: Owed, answer: Answer) -> Note:
        self._count("failed")
        now = self.now()
        outcome = protocol.after_failure(answer, row.record, key=row.key, now=now, settings=self.config.feeds.websub)
        if isinstance(outcome, Again):
            return _quietly(partial(subscriptions.failed, row=row, again=outcome, problem=answer.words, now=now))
        return await self.end(row, outcome)

    async def end(self, row: Owed, end: End) -> Note:
        """Who is dropped is told so, once (section 5.2)."""
        self.gathered.count(PUSHES, "dropped")
        log.info("hub_dropped", topic=row.topic, host=row.host, reason=end.reason)
        if end.denied:
            await self._ask("GET", protocol.with_query(row.callback, mode="denied", topic=row.topic, reason=end.reason))
        return _quietly(partial(subscriptions.end, row=row))

    # -- a hub outside ---------------------------------------------------------

    async def announce(self, batches: Sequence[subscriptions.Batch]) -> Note:
        """In order; at the first failure the rest waits."""
        settings, told = self.config.feeds.websub, []
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": f"feeds (+{self.config.site.base_url})"}
        for batch in batches:
            answer = await self.outside.send("POST", settings.outside, headers, batch.form, seconds=settings.timeout_seconds)
            if not answer.ok:
                log.warning("hub_not_told", problem=answer.words, again_seconds=subscriptions.AGAIN_SECONDS)
                break
            told.append(batch)
        if told:
            log.info("hub_told", feeds=sum(len(batch.digests) for batch in told))
        return partial(_told, batches=told, all=len(told) == len(batches))


def _headers(row: Owed, payload: Payload) -> dict[str, str]:
    signed = {"X-Hub-Signature": protocol.signature(row.secret, payload.body)} if row.secret else {}
    return {"Content-Type": payload.content_type, "Link": payload.links, **signed}


# -- notes -------------------------------------------------------------------


def _quietly(write: Callable[[sa.Connection], object] | None) -> Note:
    """A note that leaves nothing behind."""

    def note(connection: sa.Connection) -> After:
        if write is not None:
            write(connection)
        return After()

    return note


def _subscribed(connection: sa.Connection, request: Request, begun: int) -> After:
    subscriptions.subscribe(connection, request, begun)
    return After(unsure=[request.topic])  # the feed may have changed since it was asked for


def _unsubscribed(connection: sa.Connection, request: Request) -> After:
    return After(ended=subscriptions.unsubscribe(connection, request))


def _rested(connection: sa.Connection, row: Owed) -> After:
    subscriptions.rest(connection, row.key)
    return After(unsure=[row.topic])  # it may be gone for good


def _delivered(connection: sa.Connection, row: Owed, digest: str) -> After:
    subscriptions.delivered(connection, row.key, digest)
    return After(unsure=[row.topic] if digest != row.wanted else ())


def _told(connection: sa.Connection, batches: Sequence[subscriptions.Batch], all: bool) -> After:
    subscriptions.told(connection, batches)
    return After(told=all)
