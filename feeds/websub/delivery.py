"""Requests that the hub makes: verify intent, distribute content, notify of a denial, announce changes to an external hub.

Each request returns an `Outcome`, which says what to write down; the tables themselves are the worker's. What an external hub
is sent the recommendation leaves open; `hub.mode=publish` with `hub.url` for each address is what public hubs understand
(https://github.com/pubsubhubbub/PubSubHubbub/wiki/Hubs, section 7.1 of PubSubHubbub 0.3).
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
import structlog

from .. import urls
from ..config.models import Config
from ..counters import PUSHES, PendingCounts
from ..database import chunks
from ..database.tables import feeds, hub_announced
from ..feed_formats import load_formats
from . import protocol, subscriptions
from .http import HttpClient
from .protocol import VERIFICATION_DELAYS, Content, Drop, FailureRecord, Response
from .requests import Topics
from .subscriptions import PendingDelivery, PendingVerification

log: Any = structlog.get_logger("feeds.hub")

#: Documents kept in memory during their delivery.
MAX_CONTENTS = 32
#: Feeds in one request; each has an address for each format.
BATCH_SIZE = 30
#: Seconds until an external hub that failed is notified again.
RETRY_SECONDS = 60
#: The row whose digest is the address of the hub that all other rows are about; no feed has this path.
_HUB = ""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One request to an external hub: its `form`, and path -> digest of the feeds in it."""

    digests: Mapping[str, str]
    form: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a request: `write` notes it inside a transaction and may return keys of subscriptions that ended.

    `unsure`: topics to compare once more. `announced`: whether an external hub accepted everything, None for other requests.
    """

    write: Callable[[sa.Connection], Sequence[int] | None]
    unsure: Sequence[str] = ()
    announced: bool | None = None


@dataclass(slots=True)
class HubClient:
    """Makes the hub's requests. `now` in UTC seconds; the worker replaces `config` after a rescan that changed it."""

    topics: Topics
    now: Callable[[], int]
    config: Config = field(default_factory=Config)
    #: Deliveries by outcome since the worker last logged them.
    tally: Counter[str] = field(default_factory=Counter)
    counts: PendingCounts = field(default_factory=PendingCounts)
    callbacks: HttpClient = field(init=False)
    external: HttpClient = field(init=False)
    #: Rendered documents of topics; the worker clears them when the catalog has changed.
    contents: dict[str, asyncio.Task[Content | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.callbacks = HttpClient(
            lambda address: protocol.is_allowed(address, private=self.config.feeds.websub.allow_private_callbacks)
        )
        self.external = HttpClient(lambda _address: True)  # the operator named it

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        sent = {"User-Agent": f"feeds (+{self.config.hub_url})", **(headers or {})}
        return await self.callbacks.send(method, url, sent, body, seconds=self.config.feeds.websub.timeout_seconds)

    async def verify(self, request: PendingVerification) -> Outcome:
        """Verify a subscriber's intent (section 5.3). The lease runs from the start of the verification."""
        begun, challenge = self.now(), secrets.token_urlsafe(24)
        lease = {"lease_seconds": request.lease} if request.mode == "subscribe" else {}
        url = protocol.add_parameters(request.callback, mode=request.mode, topic=request.asked, challenge=challenge, **lease)
        response = await self._call("GET", url)
        if not (response.ok and hmac.compare_digest(response.body, challenge.encode())):
            # Any response is final, silence is not.
            again = not response.status and request.attempts < len(VERIFICATION_DELAYS)
            due = self.now() + VERIFICATION_DELAYS[request.attempts] if again else None
            problem = "did not answer with the challenge" if response.ok else response.words
            log.info("hub_unconfirmed", mode=request.mode, topic=request.topic, host=request.host, problem=problem)
            return Outcome(partial(subscriptions.mark_unconfirmed, request=request, due=due, problem=problem))
        log.info(f"hub_{request.mode}d", topic=request.topic, host=request.host, **lease)
        if request.mode == "unsubscribe":
            return Outcome(partial(subscriptions.unsubscribe, request=request))
        # The feed may have changed since the request came.
        return Outcome(partial(subscriptions.subscribe, request=request, begun=begun), unsure=[request.topic])

    async def deliver(self, row: PendingDelivery) -> Outcome:
        """Distribute a topic's present content to one callback (section 7)."""
        if row.expires <= self.now():
            return Outcome(lambda _connection: None)
        content = await self._render(row.topic)
        if content is None:  # perhaps gone for good
            return Outcome(partial(subscriptions.suspend, key=row.key), unsure=[row.topic])
        if content.digest != row.delivered:
            headers = {"Content-Type": content.content_type, "Link": content.links}
            if row.secret:
                headers["X-Hub-Signature"] = protocol.sign(row.secret, content.body)
            response = await self._call("POST", row.callback, headers, content.body)
            outcome = "delivered" if response.ok else "failed"
            self.tally[outcome] += 1
            self.counts.count(PUSHES, outcome)
            if not response.ok:
                now, settings = self.now(), self.config.feeds.websub
                record = FailureRecord(row.attempts, row.failures, row.failing_since)
                decision = protocol.decide_after_failure(response, record, key=row.key, now=now, settings=settings)
                if isinstance(decision, Drop):
                    return await self.drop(row, decision)
                return Outcome(partial(subscriptions.mark_failed, row=row, retry=decision, problem=response.words, now=now))
        unsure = [row.topic] if content.digest != row.wanted else ()
        return Outcome(partial(subscriptions.mark_delivered, key=row.key, digest=content.digest), unsure)

    async def _render(self, topic: str) -> Content | None:
        """Return a topic's content, rendered once for all its subscribers."""
        contents = self.contents
        if topic not in contents:
            while len(contents) >= MAX_CONTENTS:
                contents.pop(next(iter(contents)))
            contents[topic] = asyncio.create_task(asyncio.to_thread(self.topics.content, topic))
        return await asyncio.shield(contents[topic])

    async def drop(self, row: PendingDelivery, drop: Drop) -> Outcome:
        """End a subscription; its subscriber is notified once (section 5.2), whatever it responds."""
        self.counts.count(PUSHES, "dropped")
        log.info("hub_dropped", topic=row.topic, host=row.host, reason=drop.reason)
        if drop.denied:
            await self._call("GET", protocol.add_parameters(row.callback, mode="denied", topic=row.topic, reason=drop.reason))
        return Outcome(partial(subscriptions.drop, row=row))

    async def announce(self, announcements: Sequence[Announcement]) -> Outcome:
        """Send announcements to the external hub in order; after the first failure the rest waits."""
        settings, accepted = self.config.feeds.websub, []
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": f"feeds (+{self.config.site.base_url})"}
        for one in announcements:
            response = await self.external.send("POST", settings.outside, headers, one.form, seconds=settings.timeout_seconds)
            if not response.ok:
                log.warning("hub_not_told", problem=response.words, again_seconds=RETRY_SECONDS)
                break
            accepted.append(one)
        if accepted:
            log.info("hub_told", feeds=sum(len(one.digests) for one in accepted))
        write = partial(mark_announced, announcements=accepted)
        return Outcome(write, announced=len(accepted) == len(announcements))


def find_announcements(connection: sa.Connection, config: Config) -> list[Announcement]:
    """Return what the external hub has not been notified of: nothing if it is new here, as nobody has subscribed to it yet."""
    rows = (connection.execute(sa.select(table.c.path, table.c.digest)) for table in (hub_announced, feeds))
    known, current = ({path: digest for path, digest in found} for found in rows)
    hub = config.feeds.websub.outside
    if known.pop(_HUB, None) != hub:
        connection.execute(sa.delete(hub_announced))
        _write_digests(connection, {_HUB: hub, **current})
        return []
    connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(sorted(known.keys() - current.keys())[:400])))
    found = []
    for paths in chunks((path for path, digest in current.items() if known.get(path) != digest), BATCH_SIZE):
        pages = (f"{config.site.base_url}/{urls.encode(path)}" for path in paths)
        addresses = [("hub.url", page + format.extension) for page in pages for format in load_formats().values()]
        form = urlencode([("hub.mode", "publish"), *addresses]).encode()
        found.append(Announcement({path: current[path] for path in paths}, form))
    return found


def mark_announced(connection: sa.Connection, announcements: Iterable[Announcement]) -> None:
    """Note that the external hub accepted these."""
    for announcement in announcements:
        connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(list(announcement.digests))))
        _write_digests(connection, announcement.digests)


def _write_digests(connection: sa.Connection, digests: Mapping[str, str]) -> None:
    connection.execute(sa.insert(hub_announced), [{"path": path, "digest": digest} for path, digest in digests.items()])
