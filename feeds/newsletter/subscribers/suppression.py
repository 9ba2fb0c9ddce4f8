"""The suppression list: addresses that must get no mail, as salted hashes; and how a subscription ends on it.

No import revives a suppressed address. Fresh consent lifts "unsubscribed" and "bounced" (`signup.enter_subscriber`);
"complained" and "operator" stay.
"""

from __future__ import annotations

import sqlalchemy as sa

from ...database.tables import deliveries, subscribers, suppressions
from . import departures
from .departures import ENDS, Departure, strength

#: What a complaint says that names nothing but a link to unsubscribe, and what the reason begins with where an end replaces
#: another one: neither can be undone by a link, only by fresh consent.
COMPLAINT, NOT_ACTIVE = "a complaint was reported", "had bounced; "
#: A delivery in these states has not been handed over yet.
OPEN = ("pending", "retry")


def suppression_reason(connection: sa.Connection, mailbox_hash: str) -> str:
    """Return why nothing may be sent to an address; "" if mail may be sent."""
    query = sa.select(suppressions.c.reason).where(suppressions.c.mailbox_hash == mailbox_hash)
    return str(connection.execute(query).scalar() or "")


def end_subscription(connection: sa.Connection, subscriber: int, status: str, reason: str, now: int, mailbox_hash: str) -> bool:
    """Take `subscriber` off the list. Return whether anything changed: the same end, or a stronger one, stays.

    A stronger end replaces a weaker one and never the other way (`departures.strength`).

    `status`: unsubscribed | bounced | complained; `reason`: in a few words, for the operator. `mailbox_hash` is
    `Tokens.salted(mailbox)`. Deliveries not yet handed over are cancelled in every case. Idempotent.
    """
    weaker = ["active", *(name for name in ENDS if strength(name) < strength(status))]
    s = subscribers.c
    ending = sa.select(s.mailbox, s.status).where(s.key == subscriber, s.status.in_(weaker))
    if (row := connection.execute(ending).first()) is not None:
        departures.record(connection, Departure(status, now, row.mailbox, mailbox_hash))
        reason = reason if row.status == "active" else f"{NOT_ACTIVE}{reason}"
    mine = sa.and_(deliveries.c.subscriber == subscriber, deliveries.c.status.in_(OPEN))
    connection.execute(sa.update(deliveries).where(mine).values(status="cancelled", updated=now))
    suppress_address(connection, mailbox_hash, status, now)
    update = sa.update(subscribers).where(subscribers.c.key == subscriber, subscribers.c.status.in_(weaker))
    return connection.execute(update.values(status=status, ended=now, reason=reason)).rowcount == 1


def suppress_address(connection: sa.Connection, mailbox_hash: str, reason: str, now: int) -> None:
    """Put an address on the suppression list. `reason` is a status of `end_subscription`; the strongest one stays."""
    here = suppressions.c.mailbox_hash == mailbox_hash
    known = connection.execute(sa.select(suppressions.c.reason).where(here).with_for_update()).scalar()
    if known is None:
        connection.execute(sa.insert(suppressions).values(mailbox_hash=mailbox_hash, reason=reason, since=now))
    elif strength(known) < strength(reason):
        connection.execute(sa.update(suppressions).where(here).values(reason=reason, since=now))
