"""Settle who is subscribed after a restore: people who left after the backup stay away, people who came back stay.

What happened since comes from the list of departures, and from the database that is replaced as far as it can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ...database.tables import requests, state, subscribers, suppressions
from ...errors import DatabaseError
from ...tokens import Tokens
from . import departures
from .departures import Standing
from .signup import LIFTED, REFUSED, REFUSED_DAYS
from .suppression import end_subscription, suppress_address
from .unsubscribe import remove_subscriber

_COLUMNS = [subscribers.c[name] for name in ("key", "mailbox", "status", "created", "confirmed", "ended", "version")]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a subscriber of a backup. `reason`: why the subscription ended, at `at`; `erased`: no row stays."""

    reason: str = ""
    at: int = 0
    erased: bool = False
    returned: bool = False
    version: int = 1


def decide(row: Any, standing: Standing | None, old: Any | None, suppressed: tuple[str, int] | None) -> Fate:
    """Decide about a subscriber (`row`) of a backup.

    `standing`: what the list says of the address; `old`, `suppressed` (reason, since): what the replaced database does.
    A departure counts unless consent was given later. In doubt, where times are equal, it counts.
    """
    version = max(row.version, standing.version if standing else 0, old.version if old is not None else 0)
    consents = [one.confirmed for one in (row, old) if one is not None and one.status == "active"]
    if standing and standing.returned:
        consents.append(standing.at)
    consent = max(consents, default=0)
    ends: list[tuple[int, str, bool]] = []
    if standing and standing.reason:
        ends.append((standing.at, standing.reason, standing.erased >= row.created))
    if old is not None and old.status != "active":
        ends.append((old.ended or 0, old.status, False))
    elif old is None and suppressed is not None:
        ends.append((suppressed[1], suppressed[0], True))
    counted = [end for end in ends if end[0] >= consent]
    if counted:
        at, reason = max(counted, key=lambda end: departures.strength(end[1]))[:2]
        return Fate(reason, at, any(erased for *_end, erased in counted), version=version)
    again = row.status in LIFTED and consent > (row.ended or 0)
    if standing and standing.erased >= row.created and standing.returned:
        version += 1  # links of the time before the erasure open nothing
    return Fate(at=consent, returned=again, version=version)


@dataclass(slots=True)
class Departed:
    """`path`: the list of departures; `secret`: FEEDS_SECRET_KEY, "" where the database keeps its own; `now` in UTC seconds."""

    path: Path
    secret: str
    now: int
    _people: dict[str, Any] = field(default_factory=dict)
    _suppressed: dict[str, tuple[str, int]] = field(default_factory=dict)
    _secrets: list[str] = field(default_factory=list)

    def learn(self, old: sa.Connection) -> None:
        """Take in who had left, or come, in the database that is replaced; as much as can be read of a damaged one."""
        with suppress(sa.exc.DBAPIError, ValueError):
            for row in old.execute(sa.select(*_COLUMNS)):
                self._people[row.mailbox] = row
        with suppress(sa.exc.DBAPIError, ValueError):
            for mailbox_hash, reason, since in old.execute(sa.select(suppressions)):
                self._suppressed[mailbox_hash] = (reason, since)
        with suppress(sa.exc.DBAPIError, ValueError):
            self._secrets += old.execute(sa.select(state.c.value).where(state.c.name == "secret")).scalars().all()

    def settle(self, restored: sa.Connection) -> int:
        """Bring a restored database up to what happened since. Return how many of its people had left. Raises DatabaseError."""
        try:
            history = departures.read(self.path)
        except OSError as error:
            raise DatabaseError(f"{self.path}: who has left cannot be read: {error.strerror}") from error
        own = restored.execute(sa.select(state.c.value).where(state.c.name == "secret")).scalars().all()
        signers = [Tokens(secret) for secret in dict.fromkeys([self.secret] if self.secret else [*own, *self._secrets])]
        left = 0
        staying: set[str] = set()
        for row in restored.execute(sa.select(*_COLUMNS).order_by(subscribers.c.key)).all():
            hashes = [signer.salted(row.mailbox) for signer in signers]
            standing = history.find(row.mailbox, hashes)
            suppressed = next((self._suppressed[one] for one in hashes if one in self._suppressed), None)
            fate = decide(row, standing, self._people.get(row.mailbox), suppressed)
            left += self._apply(restored, row, fate, hashes[0] if hashes else "")
            if not fate.reason:
                staying.update(hashes, [standing.hash] if standing else [])
        self._suppress({one.hash: one for one in history.standings.values() if one.hash}, staying, restored)
        return left

    def _apply(self, restored: sa.Connection, row: Any, fate: Fate, mailbox_hash: str) -> bool:
        mine = sa.update(subscribers).where(subscribers.c.key == row.key)
        if fate.version != row.version:
            restored.execute(mine.values(version=fate.version))
        if fate.erased:
            remove_subscriber(restored, row.key, mailbox_hash, fate.at)
        elif fate.reason:
            return end_subscription(restored, row.key, fate.reason, "", fate.at, mailbox_hash)
        elif fate.returned:
            restored.execute(mine.values(status="active", reason="", ended=None, confirmed=fate.at))
            restored.execute(sa.delete(suppressions).where(suppressions.c.mailbox_hash == mailbox_hash))
        return fate.erased

    def _suppress(self, listed: Mapping[str, Standing], staying: set[str], restored: sa.Connection) -> None:
        """Bring the suppression list, and the requests that wait for a confirmation, up to what happened since."""
        c = requests.c
        for mailbox_hash, (reason, since) in self._suppressed.items():
            if mailbox_hash not in staying and not (mailbox_hash in listed and listed[mailbox_hash].returned):
                suppress_address(restored, mailbox_hash, reason, since)
        for mailbox_hash, standing in listed.items():
            if standing.reason and mailbox_hash not in staying:
                suppress_address(restored, mailbox_hash, standing.reason, standing.at)
            mine = sa.and_(c.mailbox_hash == mailbox_hash, c.used.is_(None), c.wanted.not_in(("", REFUSED)))
            restored.execute(sa.update(requests).where(mine, c.created <= standing.at).values(wanted=""))
            if (until := standing.refused + REFUSED_DAYS * 86400) > self.now:
                name = f"refused {mailbox_hash}"  # no token has this hash
                row = {"token_hash": name, "mailbox_hash": mailbox_hash, "network": "", "created": standing.refused}
                restored.execute(sa.delete(requests).where(c.token_hash == name))
                restored.execute(sa.insert(requests).values(**row, expires=until, used=None, wanted=REFUSED))
