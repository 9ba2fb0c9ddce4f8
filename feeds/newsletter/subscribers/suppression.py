"""How a subscriber's mail ends: unsubscribed, bounced, complained. What is still open is cancelled."""

from __future__ import annotations

import sqlalchemy as sa

from ...database.tables import deliveries, subscribers, suppressions

#: A stronger end replaces a weaker one and never the other way: what people say counts for more than what machines report.
_STRENGTH = {"active": 0, "bounced": 1, "unsubscribed": 2, "complained": 3, "operator": 4}
#: A delivery in these states has not been handed to anybody yet.
OPEN = ("pending", "retry")


def end(connection: sa.Connection, subscriber: int, status: str, reason: str, now: int, mailbox_hash: str) -> bool:
    """Take `subscriber` off the list. Whether anything changed: an end that has come already, or a stronger one, stays.

    `status`: unsubscribed | bounced | complained; `reason`: in a few words, for the operator. `mailbox_hash` is
    `Tokens.salted(mailbox)`. Deliveries not yet handed over are cancelled in every case. Idempotent.
    """
    cancel(connection, subscriber, now)
    suppress(connection, mailbox_hash, status, now)
    weaker = [name for name, strength in _STRENGTH.items() if strength < _STRENGTH[status]]
    update = sa.update(subscribers).where(subscribers.c.key == subscriber, subscribers.c.status.in_(weaker))
    return connection.execute(update.values(status=status, ended=now, reason=reason)).rowcount == 1


def cancel(connection: sa.Connection, subscriber: int, now: int) -> int:
    """How many deliveries of `subscriber` were still open and are not any more."""
    mine = sa.and_(deliveries.c.subscriber == subscriber, deliveries.c.status.in_(OPEN))
    return connection.execute(sa.update(deliveries).where(mine).values(status="cancelled", updated=now)).rowcount


def suppress(connection: sa.Connection, mailbox_hash: str, reason: str, now: int) -> None:
    """Put an address on the list that no import undoes. `reason` as the status in `end`; the strongest one stays."""
    here = suppressions.c.mailbox_hash == mailbox_hash
    known = connection.execute(sa.select(suppressions.c.reason).where(here).with_for_update()).scalar()
    if known is None:
        connection.execute(sa.insert(suppressions).values(mailbox_hash=mailbox_hash, reason=reason, since=now))
    elif _STRENGTH.get(known, 0) < _STRENGTH.get(reason, 0):
        connection.execute(sa.update(suppressions).where(here).values(reason=reason, since=now))
