"""Read and write the rows of subscribers and their subscriptions, inside the caller's transaction.

A subscriber has at most one subscription of each frequency, with any number of selections. How far a subscription has come
(`covered`, `arrival`) survives a change of its frequency, day or time zone, so that no article comes twice or is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ... import database
from ...database.tables import bounces, cohorts, deliveries, issues, selections, subscribers, subscriptions
from ...model import FREQUENCIES
from ...tokens import Tokens

#: Rows of one query; SQLite takes a limited number of parameters.
_CHUNK = 400


@dataclass(frozen=True, slots=True)
class Wish:
    """One selection, in its canonical text, and how often it is to come."""

    frequency: str
    select: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all mail to one subscriber. `day` of weekly digests: 0 (Monday) to 6."""

    day: int
    timezone: str
    language: str


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A row of `subscribers`. Times in UTC seconds."""

    key: int
    address: str
    mailbox: str
    status: str
    language: str
    timezone: str
    version: int
    created: int
    confirmed: int
    ended: int | None
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """`covered` (UTC seconds) and `arrival` (a rescan) say how far its issues have come; None before the first."""

    frequency: str
    day: int
    selects: tuple[str, ...]
    since: int
    covered: int | None
    arrival: int | None = None


# -- keys of selections and cohorts ----------------------------------------


def selection_keys(connection: sa.Connection, texts: Iterable[str]) -> dict[str, int]:
    """Return canonical texts -> keys. New selections are inserted."""
    wanted = list(dict.fromkeys(texts))
    found = {text: key for key, text in _selection_rows(connection, selections.c.query, wanted)}
    if missing := [text for text in wanted if text not in found]:
        _insert_or_ignore(connection, selections, [{"query": text} for text in missing])
        found |= {text: key for key, text in _selection_rows(connection, selections.c.query, missing)}
    return found


def selection_texts(connection: sa.Connection, keys: Iterable[int]) -> dict[int, str]:
    """Return keys -> canonical texts."""
    return {key: text for key, text in _selection_rows(connection, selections.c.key, sorted(set(keys)))}


def _selection_rows(connection: sa.Connection, column: sa.Column[Any], values: Sequence[Any]) -> Iterator[tuple[int, str]]:
    for start in range(0, len(values), _CHUNK):
        query = sa.select(selections.c.key, selections.c.query).where(column.in_(values[start : start + _CHUNK]))
        yield from ((key, text) for key, text in connection.execute(query))


def cohort_key(connection: sa.Connection, frequency: str, settings: Settings) -> int:
    """Return the key of the cohort: subscriptions that are due together. `settings.day` counts for weekly only."""
    row = {"frequency": frequency, "day": settings.day if frequency == "weekly" else -1, "timezone": settings.timezone}
    query = sa.select(cohorts.c.key).where(*(cohorts.c[name] == value for name, value in row.items()))
    found = connection.execute(query).scalar()
    if found is None:
        _insert_or_ignore(connection, cohorts, [row])
        found = connection.execute(query).scalar_one()
    return int(found)


def _insert_or_ignore(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; one that another process inserted meanwhile stays as it is."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def parse_keys(text: str) -> list[int]:
    """Return the numbers of `subscriptions.selections`.

    >>> parse_keys("3,14")
    [3, 14]
    """
    return [int(key) for key in text.split(",") if key]


# -- reading ---------------------------------------------------------------

_COLUMNS = [subscribers.c[name] for name in Subscriber.__slots__]


def find_by_mailbox(connection: sa.Connection, mailbox: str) -> Subscriber | None:
    """Return the subscriber of a normalised address, whatever the status."""
    row = connection.execute(sa.select(*_COLUMNS).where(subscribers.c.mailbox == mailbox)).first()
    return Subscriber(*row) if row else None


def find_by_key(connection: sa.Connection, key: int) -> Subscriber | None:
    """Return the subscriber that tokens call `key`, whatever the status."""
    row = connection.execute(sa.select(*_COLUMNS).where(subscribers.c.key == key)).first()
    return Subscriber(*row) if row else None


def find_by_preferences(connection: sa.Connection, tokens: Tokens, token: str, now: int) -> Subscriber | None:
    """Return the active subscriber of a preference token that is neither too old nor revoked."""
    found = tokens.read_preferences(token, now)
    known = find_by_key(connection, found[0]) if found else None
    return known if known and found and known.version == found[1] and known.status == "active" else None


def subscriptions_of(connection: sa.Connection, subscriber: int) -> list[Subscription]:
    """Return subscriptions in the order of frequency, their selections in the subscriber's order."""
    rows = _subscription_rows(connection, subscriber)
    texts = selection_texts(connection, (key for row in rows for key in parse_keys(row.selections)))
    found = []
    for row in rows:
        selects = tuple(texts[key] for key in parse_keys(row.selections))
        found.append(Subscription(row.frequency, row.day, selects, row.since, row.covered, row.arrival))
    return sorted(found, key=lambda subscription: FREQUENCIES.index(subscription.frequency))


def _subscription_rows(connection: sa.Connection, subscriber: int) -> Sequence[Any]:
    s = subscriptions.c
    query = sa.select(s.key, s.frequency, s.cohort, s.selections, s.since, s.covered, s.arrival, cohorts.c.day)
    return connection.execute(query.join(cohorts, cohorts.c.key == s.cohort).where(s.subscriber == subscriber)).all()


def list_subscribers(engine: sa.Engine) -> Iterator[dict[str, Any]]:
    """Yield every subscriber as JSON values, also those who have left, in the order in which they came."""
    with database.reading(engine) as connection:
        last = 0
        while rows := connection.execute(
            sa.select(*_COLUMNS).where(subscribers.c.key > last).order_by(subscribers.c.key).limit(500)
        ).all():
            for row in rows:
                yield describe(connection, Subscriber(*row))
            last = rows[-1][0]


def describe(connection: sa.Connection, subscriber: Subscriber) -> dict[str, Any]:
    """Return a subscriber and the subscriptions as JSON values, for the operator."""
    wanted = subscriptions_of(connection, subscriber.key)
    names = ("status", "language", "timezone", "confirmed", "ended", "reason", "source")
    found = {"email": subscriber.address, **{name: getattr(subscriber, name) for name in names}}
    found["subscriptions"] = [{"frequency": one.frequency, "day": one.day, "select": list(one.selects)} for one in wanted]
    data: dict[str, Any] = with_iso_times(found)
    return data


def delivery_history(connection: sa.Connection, subscriber: int) -> dict[str, list[dict[str, Any]]]:
    """Return what was sent to a subscriber and what bounced, for the export of one's own data."""
    d, b = deliveries.c, bounces.c
    sent = sa.select(issues.c.id.label("issue"), d.status, d.updated.label("at"), d.reply).join(issues, issues.c.key == d.issue)
    came = sa.select(b.kind, b.status, b.diagnostic, b.at).where(b.subscriber == subscriber).order_by(b.at)
    sent = sent.where(d.subscriber == subscriber).order_by(d.updated)
    return {
        "deliveries": [dict(row) for row in connection.execute(sent).mappings()],
        "bounces": [dict(row) for row in connection.execute(came).mappings()],
    }


_TIMES = {"created", "confirmed", "ended", "since", "covered", "at", "until"}


def with_iso_times(value: Any, name: str = "") -> Any:
    """Return the same JSON values with times (UTC seconds) as ISO 8601, at any depth.

    >>> with_iso_times({"sent": [{"at": 1767571200}]})
    {'sent': [{'at': '2026-01-05T00:00:00+00:00'}]}
    """
    if isinstance(value, dict):
        return {inner: with_iso_times(one, inner) for inner, one in value.items()}
    if isinstance(value, list | tuple):
        return [with_iso_times(inner) for inner in value]
    return datetime.fromtimestamp(value, UTC).isoformat() if name in _TIMES and isinstance(value, int) else value


# -- writing ---------------------------------------------------------------


def new_subscription(subscriber: int, wanted: tuple[str, int, Iterable[int]], since: int) -> dict[str, Any]:
    """Return a row to insert of `wanted` (frequency, cohort, keys of selections), before its first issue."""
    frequency, cohort, keys = wanted
    row = {"subscriber": subscriber, "frequency": frequency, "cohort": cohort, "selections": ",".join(map(str, keys))}
    return row | {"since": since, "covered": None, "arrival": None}


def add_wishes(connection: sa.Connection, subscriber: int, wishes: Sequence[Wish], settings: Settings, now: int) -> None:
    """Put new wishes behind those that are there. Nothing is taken away or moved."""
    keys = selection_keys(connection, (one.select for one in wishes))
    here = {row.frequency: row for row in _subscription_rows(connection, subscriber)}
    for frequency in dict.fromkeys(one.frequency for one in wishes):
        row = here.get(frequency)
        before = parse_keys(row.selections) if row else []
        after = list(dict.fromkeys([*before, *(keys[one.select] for one in wishes if one.frequency == frequency)]))
        if row is None:
            wanted = (frequency, cohort_key(connection, frequency, settings), after)
            connection.execute(sa.insert(subscriptions).values(new_subscription(subscriber, wanted, now)))
        elif after != before:
            update = sa.update(subscriptions).where(subscriptions.c.key == row.key)
            connection.execute(update.values(selections=",".join(map(str, after))))


def replace_wishes(connection: sa.Connection, subscriber: int, wishes: Sequence[Wish], settings: Settings, now: int) -> None:
    """Store just these wishes.

    A subscription whose frequency goes away becomes the one that is new; else a new one starts where the subscription was that
    had any of its selections before: what comes at another time comes once, and nothing is left out.
    """
    values = {"timezone": settings.timezone, "language": settings.language}
    connection.execute(sa.update(subscribers).where(subscribers.c.key == subscriber).values(values))
    keys = selection_keys(connection, (one.select for one in wishes))
    wanted: dict[str, list[int]] = {}
    for one in wishes:
        wanted.setdefault(one.frequency, []).append(keys[one.select])
    rows = _subscription_rows(connection, subscriber)
    kept = {row.frequency: row for row in rows if row.frequency in wanted}
    going = [row for row in rows if row.frequency not in wanted]
    for frequency, chosen in wanted.items():
        cohort, unique = cohort_key(connection, frequency, settings), list(dict.fromkeys(chosen))
        row = kept.get(frequency) or (going.pop(0) if going else None)
        if row is not None:
            changed = {"frequency": frequency, "cohort": cohort, "selections": ",".join(map(str, unique))}
            connection.execute(sa.update(subscriptions).where(subscriptions.c.key == row.key).values(changed))
            continue
        new = new_subscription(subscriber, (frequency, cohort, unique), now)
        if before := next((row for row in rows if set(chosen) & set(parse_keys(row.selections))), None):
            new |= {"covered": before.covered, "arrival": before.arrival}
        connection.execute(sa.insert(subscriptions).values(new))
    for row in going:
        connection.execute(sa.delete(subscriptions).where(subscriptions.c.key == row.key))
