"""Who wants what: subscribers, their subscriptions, how they come and go. Inside the caller's transaction.

A subscriber has at most one subscription of each frequency, with any number of selections. How far a subscription has come
(`covered`, `arrival`) survives a change of its frequency, day or time zone, so that no article comes twice or is dropped.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ... import selections as grammar
from ...config.models import FREQUENCIES, Config
from ...database.tables import (
    bounces,
    cohorts,
    deliveries,
    issues,
    outbox,
    requests,
    selections,
    subscribers,
    subscriptions,
    suppressions,
)
from ...errors import AddressError, FeedsError
from . import suppression as endings
from .address import Mailbox

LANGUAGES = ("zh-CN", "en")
#: Of one subscriber; a digest of more sections than that is nobody's wish.
MAX_WISHES = 100
#: Suppressions that fresh consent lifts. What people complained of and what the operator decided stays.
LIFTED = ("unsubscribed", "bounced")


class WishError(FeedsError):
    """What somebody wants is not to be had. `field`: select | frequency | day | timezone | language; `value`: what of it."""

    def __init__(self, field: str, reason: str, value: str = "") -> None:
        super().__init__(reason)
        self.field, self.value = field, value


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


# -- what may be wanted ----------------------------------------------------


def wish(config: Config, frequency: str, text: str) -> Wish:
    """Raises WishError. Terms need not exist: an article may bring them later."""
    if frequency not in config.newsletter.frequencies:
        offered = ", ".join(name for name in FREQUENCIES if name in config.newsletter.frequencies)
        raise WishError("frequency", f"{frequency[:40]!r} is no frequency on offer; expected {offered}")
    return Wish(frequency, select(config, text))


def select(config: Config, text: str) -> str:
    """The canonical text of a selection, "" for all articles. Raises WishError."""
    try:
        found = grammar.parse(text.strip())
    except AddressError as error:
        raise WishError("select", str(error)) from None
    if isinstance(found, str) and config.named(found) is None:
        raise WishError("select", f"no feed is called {found[:80]!r}", found)
    return grammar.canonical(found)


def settings(config: Config, day: int | None, timezone: str, language: str) -> Settings:
    """With the site's own where nothing is said. Raises WishError."""
    if day is not None and not 0 <= day <= 6:
        raise WishError("day", "a day of the week is 0 (Monday) to 6")
    zone = timezone.strip() or config.site.timezone
    if not is_zone(zone):
        raise WishError("timezone", f"no time zone is called {zone[:60]!r}; expected a name such as Asia/Shanghai")
    return Settings(usual_day(config) if day is None else day, zone, _language(language.strip() or config.site.language))


def usual_day(config: Config) -> int:
    """Of weekly digests, where the subscriber does not choose."""
    return config.newsletter.cron("weekly").day if "weekly" in config.newsletter.frequencies else 0


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _language(tag: str) -> str:
    for known in LANGUAGES:
        if tag.lower().split("-")[0] == known.split("-")[0]:
            return known
    raise WishError("language", f"{tag[:20]!r} is no language of the digests; expected {' or '.join(LANGUAGES)}")


# -- keys ------------------------------------------------------------------


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows that are there already stay as they are, also where another process was faster."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def selection_keys(connection: sa.Connection, texts: Iterable[str]) -> dict[str, int]:
    """Canonical texts -> keys; made where they are new."""
    wanted = list(dict.fromkeys(texts))
    found = _known_selections(connection, wanted)
    if missing := [text for text in wanted if text not in found]:
        insert_new(connection, selections, [{"query": text} for text in missing])
        found |= _known_selections(connection, missing)
    return found


def selection_key(connection: sa.Connection, text: str) -> int:
    return selection_keys(connection, [text])[text]


def _known_selections(connection: sa.Connection, texts: Sequence[str]) -> dict[str, int]:
    c = selections.c
    found: dict[str, int] = {}
    for start in range(0, len(texts), 400):
        query = sa.select(c.query, c.key).where(c.query.in_(texts[start : start + 400]))
        found.update((text, key) for text, key in connection.execute(query))
    return found


def cohort_key(connection: sa.Connection, frequency: str, day: int, timezone: str) -> int:
    """`day` counts for weekly only."""
    row = {"frequency": frequency, "day": day if frequency == "weekly" else -1, "timezone": timezone}
    query = sa.select(cohorts.c.key).where(*(cohorts.c[name] == value for name, value in row.items()))
    found = connection.execute(query).scalar()
    if found is None:
        insert_new(connection, cohorts, [row])
        found = connection.execute(query).scalar_one()
    return int(found)


# -- reading ---------------------------------------------------------------

_COLUMNS = [subscribers.c[name] for name in Subscriber.__slots__]


def by_mailbox(connection: sa.Connection, mailbox: str) -> Subscriber | None:
    row = connection.execute(sa.select(*_COLUMNS).where(subscribers.c.mailbox == mailbox)).first()
    return Subscriber(*row) if row else None


def by_key(connection: sa.Connection, key: int) -> Subscriber | None:
    row = connection.execute(sa.select(*_COLUMNS).where(subscribers.c.key == key)).first()
    return Subscriber(*row) if row else None


def some(connection: sa.Connection, after: int, limit: int) -> list[tuple[Subscriber, list[Subscription]]]:
    """The next `limit` subscribers behind key `after`, whatever their status."""
    query = sa.select(*_COLUMNS).where(subscribers.c.key > after).order_by(subscribers.c.key).limit(limit)
    found = [Subscriber(*row) for row in connection.execute(query)]
    return [(one, subscriptions_of(connection, one.key)) for one in found]


def subscriptions_of(connection: sa.Connection, subscriber: int) -> list[Subscription]:
    """In the order of frequency; selections in the subscriber's."""
    rows = _rows_of(connection, subscriber)
    texts = texts_of(connection, (key for row in rows for key in keys_in(row.selections)))
    found = [
        Subscription(
            row.frequency,
            row.day,
            tuple(texts[key] for key in keys_in(row.selections)),
            row.since,
            row.covered,
            row.arrival,
        )
        for row in rows
    ]
    return sorted(found, key=lambda subscription: FREQUENCIES.index(subscription.frequency))


def _rows_of(connection: sa.Connection, subscriber: int) -> Sequence[Any]:
    s = subscriptions.c
    query = sa.select(s.key, s.frequency, s.cohort, s.selections, s.since, s.covered, s.arrival, cohorts.c.day)
    return connection.execute(query.join(cohorts, cohorts.c.key == s.cohort).where(s.subscriber == subscriber)).all()


def keys_in(text: str) -> list[int]:
    """`subscriptions.selections` as numbers."""
    return [int(key) for key in text.split(",") if key]


def texts_of(connection: sa.Connection, keys: Iterable[int]) -> dict[int, str]:
    c = selections.c
    wanted = sorted(set(keys))
    found: dict[int, str] = {}
    for start in range(0, len(wanted), 400):
        query = sa.select(c.key, c.query).where(c.key.in_(wanted[start : start + 400]))
        found.update((key, text) for key, text in connection.execute(query))
    return found


def suppression(connection: sa.Connection, mailbox_hash: str) -> str:
    """Why nothing may be sent to an address; "" if it may."""
    c = suppressions.c
    return str(connection.execute(sa.select(c.reason).where(c.mailbox_hash == mailbox_hash)).scalar() or "")


# -- coming ----------------------------------------------------------------


def enter(
    connection: sa.Connection,
    mailbox: Mailbox,
    wishes: Sequence[Wish],
    chosen: Settings,
    *,
    mailbox_hash: str,
    source: str,
    confirmed: int,
    now: int,
) -> Subscriber | None:
    """Fresh consent: a new subscriber, or one more time a known one. None where a complaint or the operator forbids it.

    What an active subscriber wants is added to what is there; one who had left or bounced begins anew with just these wishes,
    and the suppression of "unsubscribed" and "bounced" is lifted. One of "complained" or "operator" is never lifted here.
    """
    if suppression(connection, mailbox_hash) not in ("", *LIFTED):
        return None
    connection.execute(sa.delete(suppressions).where(suppressions.c.mailbox_hash == mailbox_hash))
    known = by_mailbox(connection, mailbox.mailbox)
    if known is None:
        key = _insert(connection, mailbox, chosen, source, confirmed, now)
    else:
        key = known.key
        if known.status != "active":
            _begin_anew(connection, key, mailbox, chosen, source, confirmed)
    add(connection, key, wishes, chosen, now)
    return by_key(connection, key)


def _insert(connection: sa.Connection, mailbox: Mailbox, chosen: Settings, source: str, confirmed: int, now: int) -> int:
    row = {"address": mailbox.address, "mailbox": mailbox.mailbox, "language": chosen.language, "timezone": chosen.timezone}
    row |= {"status": "active", "reason": "", "source": source}
    times = {"version": 1, "created": now, "confirmed": confirmed, "bounce_score": 0, "bounced_at": 0}
    made = connection.execute(sa.insert(subscribers).values(**row, **times)).inserted_primary_key
    assert made is not None
    return int(made[0])


def _begin_anew(connection: sa.Connection, key: int, mailbox: Mailbox, chosen: Settings, source: str, confirmed: int) -> None:
    row = {"status": "active", "ended": None, "reason": "", "source": source, "confirmed": confirmed, "bounce_score": 0}
    row |= {"address": mailbox.address, "language": chosen.language, "timezone": chosen.timezone}
    connection.execute(sa.update(subscribers).where(subscribers.c.key == key).values(row))
    connection.execute(sa.delete(subscriptions).where(subscriptions.c.subscriber == key))


def add(connection: sa.Connection, subscriber: int, wishes: Sequence[Wish], chosen: Settings, now: int) -> int:
    """Wishes that are new are put behind those that are there. How many were new. Nothing is taken away or moved."""
    keys = selection_keys(connection, (one.select for one in wishes))
    here = {row.frequency: row for row in _rows_of(connection, subscriber)}
    added = 0
    for frequency in dict.fromkeys(one.frequency for one in wishes):
        row = here.get(frequency)
        before = keys_in(row.selections) if row else []
        after = list(dict.fromkeys([*before, *(keys[one.select] for one in wishes if one.frequency == frequency)]))
        added += len(after) - len(before)
        if row is None:
            _insert_subscription(connection, subscriber, frequency, chosen, after, now)
        elif after != before:
            _update_subscription(connection, row.key, selections=_joined(after))
    return added


def _joined(keys: Iterable[int]) -> str:
    return ",".join(map(str, keys))


def _insert_subscription(
    connection: sa.Connection,
    subscriber: int,
    frequency: str,
    chosen: Settings,
    keys: Iterable[int],
    now: int,
    come: tuple[int | None, int | None] = (None, None),
) -> None:
    row = {"subscriber": subscriber, "frequency": frequency, "selections": _joined(keys), "since": now}
    row |= {"cohort": cohort_key(connection, frequency, chosen.day, chosen.timezone), "covered": come[0], "arrival": come[1]}
    connection.execute(sa.insert(subscriptions).values(row))


def _update_subscription(connection: sa.Connection, key: int, **values: Any) -> None:
    connection.execute(sa.update(subscriptions).where(subscriptions.c.key == key).values(values))


# -- changing --------------------------------------------------------------


def replace(connection: sa.Connection, subscriber: int, wishes: Sequence[Wish], chosen: Settings, now: int) -> None:
    """Just these wishes from now on.

    A subscription whose frequency goes away becomes the one that is new; else a new one starts where the subscription was that
    had any of its selections before: what comes at another time comes once, and nothing is left out.
    """
    row = {"timezone": chosen.timezone, "language": chosen.language}
    connection.execute(sa.update(subscribers).where(subscribers.c.key == subscriber).values(row))
    keys = selection_keys(connection, (one.select for one in wishes))
    wanted: dict[str, list[int]] = {}
    for one in wishes:
        wanted.setdefault(one.frequency, []).append(keys[one.select])
    _Change(connection, subscriber, chosen, now, list(_rows_of(connection, subscriber))).run(wanted)


@dataclass(slots=True)
class _Change:
    connection: sa.Connection
    subscriber: int
    chosen: Settings
    now: int
    rows: list[Any]

    def run(self, wanted: Mapping[str, list[int]]) -> None:
        going = [row for row in self.rows if row.frequency not in wanted]
        for row in self.rows:
            if row.frequency in wanted:
                self._move(row, row.frequency, wanted[row.frequency])
        for frequency in [name for name in wanted if name not in {row.frequency for row in self.rows}]:
            if going:
                self._move(going.pop(0), frequency, wanted[frequency])
            else:
                self._make(frequency, wanted[frequency])
        for row in going:
            self.connection.execute(sa.delete(subscriptions).where(subscriptions.c.key == row.key))

    def _move(self, row: Any, frequency: str, keys: Sequence[int]) -> None:
        cohort = cohort_key(self.connection, frequency, self.chosen.day, self.chosen.timezone)
        values = {"frequency": frequency, "cohort": cohort, "selections": _joined(dict.fromkeys(keys))}
        _update_subscription(self.connection, row.key, **values)

    def _make(self, frequency: str, keys: Sequence[int]) -> None:
        before = next((row for row in self.rows if set(keys) & set(keys_in(row.selections))), None)
        come = (before.covered, before.arrival) if before else (None, None)
        _insert_subscription(self.connection, self.subscriber, frequency, self.chosen, dict.fromkeys(keys), self.now, come)


def revoke(connection: sa.Connection, subscriber: int) -> int:
    """Links sent so far lead nowhere any more, but for unsubscribing. The version of those to come."""
    version = subscribers.c.version
    connection.execute(sa.update(subscribers).where(subscribers.c.key == subscriber).values(version=version + 1))
    return int(connection.execute(sa.select(version).where(subscribers.c.key == subscriber)).scalar_one())


# -- going -----------------------------------------------------------------


def erase(connection: sa.Connection, mailbox: Mailbox, mailbox_hash: str, now: int) -> bool:
    """Whether there was anything to forget. Only the hash in `suppressions` is left, and the bare fact of deliveries.

    Old links stay harmless: keys are never given twice.
    """
    known = by_mailbox(connection, mailbox.mailbox)
    gone = connection.execute(sa.delete(requests).where(requests.c.mailbox_hash == mailbox_hash)).rowcount
    gone += connection.execute(sa.delete(outbox).where(sa.func.lower(outbox.c.recipient) == mailbox.mailbox)).rowcount
    endings.suppress(connection, mailbox_hash, "unsubscribed", now)
    if known is None:
        return gone > 0
    endings.cancel(connection, known.key, now)
    # A server's reply may quote the address.
    connection.execute(sa.update(deliveries).where(deliveries.c.subscriber == known.key).values(reply=""))
    connection.execute(sa.delete(bounces).where(bounces.c.subscriber == known.key))
    connection.execute(sa.delete(subscriptions).where(subscriptions.c.subscriber == known.key))
    connection.execute(sa.delete(subscribers).where(subscribers.c.key == known.key))
    return True


def history(connection: sa.Connection, subscriber: int) -> dict[str, list[dict[str, Any]]]:
    """What was sent to a subscriber and what came back, for the export of one's own data."""
    d, b = deliveries.c, bounces.c
    sent = sa.select(issues.c.id, d.status, d.updated, d.reply).join(issues, issues.c.key == d.issue)
    came = sa.select(b.kind, b.status, b.diagnostic, b.at).where(b.subscriber == subscriber).order_by(b.at)
    return {
        "deliveries": [
            dict(zip(("issue", "status", "at", "reply"), row, strict=True))
            for row in connection.execute(sent.where(d.subscriber == subscriber).order_by(d.updated))
        ],
        "bounces": [dict(zip(("kind", "status", "diagnostic", "at"), row, strict=True)) for row in connection.execute(came)],
    }
