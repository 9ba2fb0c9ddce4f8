"""Read and write the hub's tables of subscriptions and requests.

Functions are steps inside their caller's transaction; times are UTC seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..database.tables import hub_requests, hub_subscriptions
from ..fair_share import is_within_share

if TYPE_CHECKING:
    from .protocol import Retry, SubscriptionRequest

#: How many seconds a request whose verification failed counts against the limits.
FAILED_REQUEST_SECONDS = 3600

_s, _r = hub_subscriptions.c, hub_requests.c


@dataclass(frozen=True, slots=True)
class PendingVerification:
    """A request to verify: `asked` is the topic as written, `topic` the feed's own address, `seen` its digest at that time."""

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
    network: str | None = None


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A subscription to deliver to, as it was when this was read: digest `wanted` to a callback that has `delivered`."""

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


_VERIFICATION = [_r[name] for name in PendingVerification.__slots__]
_DELIVERY = [_s[name] for name in PendingDelivery.__slots__]
#: A subscription whose callback has not failed.
_WORKING: dict[str, Any] = {"attempts": 0, "failures": 0, "failing_since": None, "problem": ""}


def has_room(connection: sa.Connection, network: str, limit: int, host: str = "", *, subscriptions: bool = False) -> bool:
    """Return whether a network may have one more of `limit` requests, with callbacks on `host` ("": anywhere).

    `subscriptions` counts them, too. Requests that were not confirmed count for FAILED_REQUEST_SECONDS.
    """
    columns = (_r, _s) if subscriptions else (_r,)
    places = [c.host == host if host else sa.true() for c in columns]
    numbers = (sa.select(sa.func.count(c.key)).where(place) for c, place in zip(columns, places, strict=True))
    if sum(int(connection.execute(query).scalar() or 0) for query in numbers) < limit:
        return True
    used: Counter[str] = Counter()
    for c, place in zip(columns, places, strict=True):
        for owner, number in connection.execute(sa.select(c.network, sa.func.count()).where(place).group_by(c.network)):
            used[owner or ""] += number
    return is_within_share(used, network, limit)


def count_waiting(connection: sa.Connection, topic: str, callback: str, network: str) -> int:
    """Return how many requests of this network for one subscription wait to be verified."""
    query = sa.select(sa.func.count()).where(
        _r.topic == topic, _r.callback == callback, _r.network == network, _r.due.is_not(None)
    )
    return int(connection.execute(query).scalar() or 0)


def is_subscribed(connection: sa.Connection, topic: str, callback: str) -> bool:
    """Return whether the callback has a subscription to exactly this topic."""
    query = sa.select(_s.key).where(_s.topic == topic, _s.callback == callback)
    return connection.execute(query).first() is not None


def add_request(connection: sa.Connection, request: SubscriptionRequest, topic: str, seen: str, now: int, network: str) -> None:
    """Add a request to be verified at once. `topic` is the feed's own address, `seen` its digest."""
    callback = {"callback": request.callback.url, "host": request.callback.host}
    asked = {"mode": request.mode, "asked": request.topic, "lease": request.lease, "secret": request.secret}
    row = {
        **asked,
        **callback,
        "topic": topic,
        "seen": seen,
        "created": now,
        "due": now,
        "attempts": 0,
        "problem": "",
        "network": network,
    }
    connection.execute(sa.insert(hub_requests).values(**row))


def wanted_digests(connection: sa.Connection) -> dict[str, set[str]]:
    """Return topic -> the digests that its subscriptions are to have."""
    found: dict[str, set[str]] = {}
    for topic, wanted in connection.execute(sa.select(_s.topic, _s.wanted).distinct()):
        found.setdefault(topic, set()).add(wanted)
    return found


def due_verifications(connection: sa.Connection, now: int, limit: int) -> list[PendingVerification]:
    """Return the oldest due request of each callback, in order of arrival: verified one by one, the last one decides."""
    oldest: dict[str, PendingVerification] = {}
    for row in connection.execute(sa.select(*_VERIFICATION).where(_r.due <= now).order_by(_r.key).limit(limit)):
        oldest.setdefault(row.callback, PendingVerification(*row))
    return list(oldest.values())


def due_deliveries(connection: sa.Connection, now: int, limit: int) -> list[PendingDelivery]:
    """Return due deliveries, working callbacks first, those of one topic together so that its document is rendered once."""
    query = sa.select(*_DELIVERY).where(_s.due <= now, _s.expires > now)
    query = query.order_by(sa.case((_s.failures > 0, 1), else_=0), _s.due, _s.topic, _s.key)
    return [PendingDelivery(*row) for row in connection.execute(query.limit(limit))]


def deliveries_to(connection: sa.Connection, keys: Sequence[int], now: int) -> list[PendingDelivery]:
    """Return the deliveries that these subscriptions still need, due or not, those of one topic together."""
    query = sa.select(*_DELIVERY).where(_s.key.in_(keys), _s.wanted != _s.delivered, _s.expires > now)
    return [PendingDelivery(*row) for row in connection.execute(query.order_by(_s.topic, _s.key))]


def deliveries_of(connection: sa.Connection, topics: Sequence[str]) -> list[PendingDelivery]:
    """Return all subscriptions to these topics."""
    queries = (sa.select(*_DELIVERY).where(_s.topic == topic) for topic in topics)
    return [PendingDelivery(*row) for query in queries for row in connection.execute(query)]


def postpone(connection: sa.Connection, keys: Sequence[int], until: int) -> None:
    """Make deliveries due at `until`: a worker has them meanwhile, and should it die, they are due again then."""
    connection.execute(sa.update(hub_subscriptions).where(_s.key.in_(keys)).values(due=until))


def mark_changed(connection: sa.Connection, digests: Mapping[str, str], now: int) -> None:
    """Make deliveries of new content due (topic -> digest); a failing callback keeps the time of its next attempt."""
    for topic, digest in digests.items():
        failing = (sa.and_(_s.failures > 0, _s.due.is_not(None)), _s.due)
        due = sa.case((_s.delivered == digest, sa.null()), failing, else_=now)
        changed = sa.update(hub_subscriptions).where(_s.topic == topic, _s.wanted != digest)
        connection.execute(changed.values(wanted=digest, attempts=0, due=due))


def delete_expired(connection: sa.Connection, now: int) -> int:
    """Delete subscriptions whose leases ended, and old failed requests. Returns the number of subscriptions."""
    connection.execute(sa.delete(hub_requests).where(_r.due.is_(None), _r.created < now - FAILED_REQUEST_SECONDS))
    return connection.execute(sa.delete(hub_subscriptions).where(_s.expires <= now)).rowcount


def subscribe(connection: sa.Connection, request: PendingVerification, begun: int) -> None:
    """Create or renew the confirmed subscription. Its lease runs from `begun`, when verification started."""
    connection.execute(sa.delete(hub_requests).where(_r.key == request.key))
    lease = {"secret": request.secret, "expires": begun + request.lease}
    same = sa.and_(_s.topic == request.topic, _s.callback == request.callback)
    due = sa.case((_s.wanted != _s.delivered, begun), else_=sa.null())
    if connection.execute(sa.update(hub_subscriptions).where(same).values(**lease, **_WORKING, due=due)).rowcount:
        return
    named = {name: getattr(request, name) for name in ("topic", "callback", "host", "network")}
    made = {**named, **lease, "created": begun, "delivered": request.seen, "wanted": request.seen, "due": None}
    connection.execute(sa.insert(hub_subscriptions).values(**made, **_WORKING))


def unsubscribe(connection: sa.Connection, request: PendingVerification) -> list[int]:
    """Delete the subscription, as its subscriber confirmed. Returns the keys of deleted subscriptions."""
    connection.execute(sa.delete(hub_requests).where(_r.key == request.key))
    same = sa.and_(_s.topic == request.topic, _s.callback == request.callback)
    keys = list(connection.execute(sa.select(_s.key).where(same)).scalars())
    connection.execute(sa.delete(hub_subscriptions).where(same))
    return keys


def mark_unconfirmed(connection: sa.Connection, request: PendingVerification, due: int | None, problem: str) -> None:
    """Note a failed verification, to be repeated at `due` or (None) never; an existing subscription stays as it was."""
    values = {"due": due, "attempts": _r.attempts + 1, "problem": problem, "secret": _r.secret if due else ""}
    connection.execute(sa.update(hub_requests).where(_r.key == request.key).values(**values))


def mark_delivered(connection: sa.Connection, key: int, digest: str) -> None:
    """Note that the callback has this content. A change that came meanwhile stays due."""
    due = sa.case((_s.wanted == digest, sa.null()), else_=_s.due)
    connection.execute(sa.update(hub_subscriptions).where(_s.key == key).values(delivered=digest, due=due, **_WORKING))


def mark_failed(connection: sa.Connection, row: PendingDelivery, retry: Retry, problem: str, now: int) -> None:
    """Note a failed attempt. A change since `row` was read is another delivery, with attempts of its own."""
    same = _s.wanted == row.wanted
    values = {
        "due": sa.case((same, retry.due), else_=sa.func.coalesce(retry.due, now)),
        "attempts": sa.case((same, _s.attempts + 1), else_=0),
        "failures": _s.failures + 1,
        "failing_since": sa.func.coalesce(_s.failing_since, now),
        "problem": problem,
    }
    connection.execute(sa.update(hub_subscriptions).where(_s.key == row.key).values(**values))


def suspend(connection: sa.Connection, key: int) -> None:
    """Make nothing due: the topic has no feed at present. It is compared again when the catalog changes."""
    connection.execute(sa.update(hub_subscriptions).where(_s.key == key).values(due=None, wanted=_s.delivered))


def drop(connection: sa.Connection, row: PendingDelivery) -> None:
    """Delete a subscription, unless its subscriber renewed it since `row` was read."""
    connection.execute(sa.delete(hub_subscriptions).where(_s.key == row.key, _s.expires == row.expires))


def counts(connection: sa.Connection) -> dict[str, int]:
    """Return numbers of the hub, as `feeds status` and /metrics show them.

    `pending`: requests to be verified; `due`: deliveries not made yet; `failing`: callbacks that failed last time.
    """
    requests, subscriptions = (sa.select(sa.func.count()).select_from(table) for table in (hub_requests, hub_subscriptions))
    numbers = {
        "subscriptions": subscriptions,
        "topics": sa.select(sa.func.count(_s.topic.distinct())),
        "pending": requests.where(_r.due.is_not(None)),
        "due": subscriptions.where(_s.due.is_not(None)),
        "failing": subscriptions.where(_s.failures > 0),
    }
    return {name: int(connection.execute(query).scalar() or 0) for name, query in numbers.items()}


def oldest_due_seconds(connection: sa.Connection, now: int) -> int:
    """Return for how many seconds the oldest delivery has been due; 0 where none is."""
    due = connection.execute(sa.select(sa.func.min(_s.due)).where(_s.due <= now, _s.expires > now)).scalar()
    return 0 if due is None else now - due
