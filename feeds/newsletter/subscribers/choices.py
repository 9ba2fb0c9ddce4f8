"""Change what a subscriber gets, remember what it was before each change, and bring that back.

Links to change it stand in mails, and mails are forwarded: whatever a stranger does with such a link, its owner can undo.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import sqlalchemy as sa

from ...database.tables import subscribers
from .records import Settings, Wish, replace_wishes, selection_keys, selection_texts

DAY = 86400
#: How long earlier choices are kept: a monthly digest, even a late one, comes before they go.
KEEP_DAYS = 45
#: Changes that are remembered: the first of a day, and so many in all. Later ones push no earlier choices out.
A_DAY, MOST = 10, 60


@dataclass(frozen=True, slots=True)
class PastChoices:
    """What a subscriber got until `until` (UTC seconds), when it was changed."""

    until: int
    wishes: tuple[Wish, ...]
    settings: Settings


def load_past(connection: sa.Connection, subscriber: int, now: int) -> list[PastChoices]:
    """Return the choices before each change of the last KEEP_DAYS, the newest first; none of what cannot be read."""
    text = connection.execute(sa.select(subscribers.c.previous).where(subscribers.c.key == subscriber)).scalar()
    with suppress(ValueError, TypeError, KeyError, RecursionError):  # a database that somebody has edited
        rows = [row for row in json.loads(text or "[]") or () if row[0] > now - KEEP_DAYS * DAY]
        texts = selection_texts(connection, (key for _until, wishes, _settings in rows for _frequency, key in wishes))
        return [
            PastChoices(until, tuple(Wish(frequency, texts[key]) for frequency, key in wishes), Settings(*settings))
            for until, wishes, settings in sorted(rows, key=lambda row: -row[0])
        ]
    return []


def change_choices(
    connection: sa.Connection, subscriber: int, before: PastChoices, wishes: Sequence[Wish], settings: Settings, now: int
) -> bool:
    """Store just these wishes; `before` is what they replace. Return whether it is the first change of 24 hours."""
    if (tuple(wishes), settings) == (before.wishes, before.settings):
        return False
    kept = [
        one for one in load_past(connection, subscriber, now) if (one.wishes, one.settings) != (before.wishes, before.settings)
    ]
    if len(kept) < MOST and sum(one.until > now - DAY for one in kept) < A_DAY:
        latest = max((one.until for one in kept), default=0)
        kept.append(replace(before, until=max(before.until, latest + 1)))  # each has a time of its own: a page names it by that
    keys = selection_keys(connection, (wish.select for one in kept for wish in one.wishes))
    rows = [[one.until, [[wish.frequency, keys[wish.select]] for wish in one.wishes], [*_fields(one.settings)]] for one in kept]
    mine = subscribers.c.key == subscriber
    last = connection.execute(sa.select(subscribers.c.changed).where(mine)).scalar()
    connection.execute(sa.update(subscribers).where(mine).values(previous=json.dumps(rows), changed=now))
    replace_wishes(connection, subscriber, wishes, settings, now)
    return last is None or last <= now - DAY


def _fields(settings: Settings) -> tuple[int, str, str]:
    return settings.day, settings.timezone, settings.language


def purge_past(connection: sa.Connection, now: int) -> None:
    """Forget the earlier choices of everyone who has changed nothing for KEEP_DAYS."""
    old = subscribers.c.changed <= now - KEEP_DAYS * DAY
    connection.execute(sa.update(subscribers).where(old).values(previous=None, changed=None))
