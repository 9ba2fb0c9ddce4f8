"""The hub's tables. Each function is one step inside its caller's transaction; times are UTC seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

import sqlalchemy as sa

from .. import urls as addresses
from ..config.models import Config
from ..database.tables import feeds, hub_announced, hub_requests, hub_subscriptions
from ..formats import load_formats
from .protocol import Again, Record
from .requests import Asked

#: How long a request whose verification has failed counts against the limits.
REMEMBERED = 3600

_s, _r = hub_subscriptions.c, hub_requests.c


@dataclass(frozen=True, slots=True)
class Request:
    """To be verified. `asked` is the topic as the subscriber wrote it, `topic` the address that it means."""

    key: int
    mode: str
    topic: str
    asked: str
    callback: str
    host: str
    lease: int
    secret: str
    seen: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery that is due: the subscription as it was when this was read."""

    key: int
    topic: str
    callback: str
    host: str
    secret: str
    expires: int
    delivered: str
    wanted: str
    attempts: int
    failures: int
    failing_since: int | None

    @property
    def record(self) -> Record:
        return Record(self.attempts, self.failures, self.failing_since)


class Crowd(NamedTuple):
    """What the limits bound. Requests that were not confirmed count until they are forgotten."""

    requests: int
    requests_of_host: int
    subscriptions: int
    subscriptions_of_host: int


_REQUEST = [_r[name] for name in Request.__slots__]
_OWED = [_s[name] for name in Owed.__slots__]


# -- asking ------------------------------------------------------------------


def crowding(connection: sa.Connection, host: str) -> Crowd:
    requests, subscriptions = (sa.select(sa.func.count()).select_from(table) for table in (hub_requests, hub_subscriptions))
    queries = (requests, requests.where(_r.host == host), subscriptions, subscriptions.where(_s.host == host))
    return Crowd(*(int(connection.execute(query).scalar() or 0) for query in queries))


def is_subscribed(connection: sa.Connection, topic: str, callback: str) -> bool:
    query = sa.select(_s.key).where(_s.topic == topic, _s.callback == callback)
    return connection.execute(query).first() is not None


def accept(connection: sa.Connection, asked: Asked, topic: str, seen: str, now: int) -> None:
    """Write a request down. `topic` is the address that is meant, `seen` the digest of its feed."""
    connection.execute(
        sa.insert(hub_requests).values(
            mode=asked.mode,
            topic=topic,
            asked=asked.topic,
            callback=asked.callback.url,
            host=asked.callback.host,
            lease=asked.lease,
            secret=asked.secret,
            seen=seen,
            created=now,
            due=now,
            attempts=0,
            problem="",
        )
    )


# -- what is to be done ------------------------------------------------------


def standings(connection: sa.Connection) -> dict[str, set[str]]:
    """Topic -> the digests that are wanted for its subscriptions."""
    found: dict[str, set[str]] = {}
    for topic, wanted in connection.execute(sa.select(_s.topic, _s.wanted).distinct()):
        found.setdefault(topic, set()).add(wanted)
    return found


def open_requests(connection: sa.Connection, now: int, limit: int) -> list[Request]:
    """In the order in which they came."""
    rows = connection.execute(sa.select(*_REQUEST).where(_r.due <= now).order_by(_r.key).limit(limit))
    return [Request(*row) for row in rows]


def owed(connection: sa.Connection, now: int, limit: int) -> list[Owed]:
    """Those whose callbacks work come first; those of one topic together, so that its document is made once."""
    query = sa.select(*_OWED).where(_s.due <= now, _s.expires > now)
    query = query.order_by(sa.case((_s.failures > 0, 1), else_=0), _s.due, _s.topic, _s.key)
    return [Owed(*row) for row in connection.execute(query.limit(limit))]


def owed_to(connection: sa.Connection, keys: Sequence[int], now: int) -> list[Owed]:
    """Of these subscriptions, those that have not got what is wanted; those of one topic together."""
    query = sa.select(*_OWED).where(_s.key.in_(keys), _s.wanted != _s.delivered, _s.expires > now)
    return [Owed(*row) for row in connection.execute(query.order_by(_s.topic, _s.key))]


def hand_over(connection: sa.Connection, keys: Sequence[int], until: int) -> None:
    """Someone else delivers to them; what has not come to an end `until` then is owed again."""
    connection.execute(sa.update(hub_subscriptions).where(_s.key.in_(keys)).values(due=until))


def want(connection: sa.Connection, topic: str, digest: str, now: int) -> int:
    """The topic's feed is this now. Returns how many subscriptions have to be told.

    A callback that fails keeps its time of the next try, whatever changes meanwhile.
    """
    due = sa.case(
        (_s.delivered == digest, sa.null()),
        (sa.and_(_s.failures > 0, _s.due.is_not(None)), _s.due),
        else_=now,
    )
    changed = sa.update(hub_subscriptions).where(_s.topic == topic, _s.wanted != digest)
    return connection.execute(changed.values(wanted=digest, attempts=0, due=due)).rowcount


def of_topic(connection: sa.Connection, topic: str) -> list[Owed]:
    return [Owed(*row) for row in connection.execute(sa.select(*_OWED).where(_s.topic == topic))]


def expire(connection: sa.Connection, now: int) -> int:
    """Leases that have ended, requests that failed long ago. Returns the number of the former."""
    connection.execute(sa.delete(hub_requests).where(_r.due.is_(None), _r.created < now - REMEMBERED))
    return connection.execute(sa.delete(hub_subscriptions).where(_s.expires <= now)).rowcount


# -- what became of it -------------------------------------------------------


def subscribe(connection: sa.Connection, request: Request, begun: int) -> None:
    """The subscriber has confirmed: make the subscription or renew it. The lease runs from `begun`, when it was asked."""
    _forget(connection, request)
    lease = {"secret": request.secret, "expires": begun + request.lease}
    same = sa.and_(_s.topic == request.topic, _s.callback == request.callback)
    renewed = sa.update(hub_subscriptions).where(same).values(
        **lease,
        attempts=0,
        failures=0,
        failing_since=None,
        problem="",
        due=sa.case((_s.wanted != _s.delivered, begun), else_=sa.null()),
    )  # fmt: skip
    if connection.execute(renewed).rowcount:
        return
    named = {name: getattr(request, name) for name in ("topic", "callback", "host")}
    made = {**named, **lease, "created": begun, "delivered": request.seen, "wanted": request.seen, "due": None}
    connection.execute(sa.insert(hub_subscriptions).values(**made, attempts=0, failures=0, failing_since=None, problem=""))


def unsubscribe(connection: sa.Connection, request: Request) -> list[int]:
    """The subscriber has confirmed. Returns the keys of what ended."""
    _forget(connection, request)
    same = sa.and_(_s.topic == request.topic, _s.callback == request.callback)
    keys = list(connection.execute(sa.select(_s.key).where(same)).scalars())
    connection.execute(sa.delete(hub_subscriptions).where(same))
    return keys


def _forget(connection: sa.Connection, request: Request) -> None:
    connection.execute(sa.delete(hub_requests).where(_r.key == request.key))


def unconfirmed(connection: sa.Connection, request: Request, again: int | None, problem: str) -> None:
    """Verification failed, for now or (None) for good; the state of the subscription, if there is one, stays as it was."""
    values = {"due": again, "attempts": _r.attempts + 1, "problem": problem, "secret": _r.secret if again else ""}
    connection.execute(sa.update(hub_requests).where(_r.key == request.key).values(**values))


def delivered(connection: sa.Connection, key: int, digest: str) -> None:
    """The callback has it. A change that came meanwhile stays due."""
    connection.execute(
        sa.update(hub_subscriptions)
        .where(_s.key == key)
        .values(
            delivered=digest,
            due=sa.case((_s.wanted == digest, sa.null()), else_=_s.due),
            attempts=0,
            failures=0,
            failing_since=None,
            problem="",
        )
    )


def failed(connection: sa.Connection, row: Owed, again: Again, problem: str, now: int) -> None:
    """A try failed. What has changed since `row` was read is another delivery, with tries of its own."""
    same = _s.wanted == row.wanted
    connection.execute(
        sa.update(hub_subscriptions)
        .where(_s.key == row.key)
        .values(
            due=sa.case((same, again.due), else_=sa.func.coalesce(again.due, now)),
            attempts=sa.case((same, _s.attempts + 1), else_=0),
            failures=_s.failures + 1,
            failing_since=sa.func.coalesce(_s.failing_since, now),
            problem=problem,
        )
    )


def rest(connection: sa.Connection, key: int) -> None:
    """Nothing can be delivered now: the feed is not there. It is asked for again when the catalog changes."""
    connection.execute(sa.update(hub_subscriptions).where(_s.key == key).values(due=None, wanted=_s.delivered))


def end(connection: sa.Connection, row: Owed) -> None:
    """Unless the subscriber has renewed meanwhile."""
    connection.execute(sa.delete(hub_subscriptions).where(_s.key == row.key, _s.expires == row.expires))


# -- numbers -----------------------------------------------------------------


def counts(connection: sa.Connection) -> dict[str, int]:
    """`pending`: requests to be verified; `due`: deliveries not made yet; `failing`: callbacks that failed last time."""
    numbers: dict[str, Any] = {
        "subscriptions": sa.select(sa.func.count()).select_from(hub_subscriptions),
        "topics": sa.select(sa.func.count(_s.topic.distinct())),
        "pending": sa.select(sa.func.count()).select_from(hub_requests).where(_r.due.is_not(None)),
        "due": sa.select(sa.func.count()).select_from(hub_subscriptions).where(_s.due.is_not(None)),
        "failing": sa.select(sa.func.count()).select_from(hub_subscriptions).where(_s.failures > 0),
    }
    return {name: int(connection.execute(query).scalar() or 0) for name, query in numbers.items()}


def oldest(connection: sa.Connection, now: int) -> int:
    """Seconds for which a delivery has been due; 0 where none is."""
    due = connection.execute(sa.select(sa.func.min(_s.due)).where(_s.due <= now, _s.expires > now)).scalar()
    return 0 if due is None else now - due


# A hub outside: which feeds it has not been told of, and in which words.
#
# The recommendation leaves the words open; `hub.mode=publish` with `hub.url` for each address is what public hubs understand
# (https://github.com/pubsubhubbub/PubSubHubbub/wiki/Hubs, section 7.1 of PubSubHubbub 0.3).

#: Feeds in one request; each has an address for each format.
BATCH = 30
AGAIN_SECONDS = 60
#: The row that says which hub all others are about; no feed has this path.
_HUB = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """`digests`: path -> digest of the feeds that `form` is about."""

    digests: Mapping[str, str]
    form: bytes


def changed(connection: sa.Connection, config: Config) -> list[Batch]:
    """What the hub has not been told of. A hub that is new here has nothing to be told: nobody is subscribed yet."""
    known = _digests(connection, hub_announced)
    current = _digests(connection, feeds)
    hub = config.feeds.websub.outside
    if known.pop(_HUB, None) != hub:
        connection.execute(sa.delete(hub_announced))
        _write(connection, {_HUB: hub, **current})
        return []
    connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(sorted(known.keys() - current.keys())[:400])))
    due = [(path, digest) for path, digest in current.items() if known.get(path) != digest]
    return [_batch(config, dict(due[start : start + BATCH])) for start in range(0, len(due), BATCH)]


def _digests(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    return {path: digest for path, digest in connection.execute(sa.select(table.c.path, table.c.digest))}


def _batch(config: Config, digests: Mapping[str, str]) -> Batch:
    pages = (f"{config.site.base_url}/{addresses.encode(path)}" for path in digests)
    urls = [("hub.url", page + format.extension) for page in pages for format in load_formats().values()]
    return Batch(digests, urlencode([("hub.mode", "publish"), *urls]).encode())


def told(connection: sa.Connection, batches: Iterable[Batch]) -> None:
    digests = {path: digest for batch in batches for path, digest in batch.digests.items()}
    for start in range(0, len(digests), 400):
        some = dict(list(digests.items())[start : start + 400])
        connection.execute(sa.delete(hub_announced).where(hub_announced.c.path.in_(list(some))))
        _write(connection, some)


def _write(connection: sa.Connection, digests: Mapping[str, str]) -> None:
    connection.execute(sa.insert(hub_announced), [{"path": path, "digest": digest} for path, digest in digests.items()])
