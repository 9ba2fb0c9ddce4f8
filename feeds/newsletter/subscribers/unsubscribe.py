"""Unsubscribe and erase: what a link in a mail, its owner or the operator does to end a subscription."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ...database.tables import bounces, deliveries, outbox, requests, subscribers, subscriptions
from .. import NewsletterContext
from . import departures
from .departures import Departure
from .email_address import EmailAddress, mask_address, parse_address
from .records import find_by_key, find_by_mailbox, find_owner
from .signup import REFUSED, REFUSED_DAYS, find_request
from .suppression import end_subscription, suppress_address


@dataclass(frozen=True, slots=True)
class UnsubscribeLink:
    """The subscriber of a link to unsubscribe. `address` is masked: such links are forwarded. `state`: active | gone."""

    state: str
    language: str
    address: str = ""
    preferences: str = ""


def find_unsubscribe_link(context: NewsletterContext, token: str, now: int) -> UnsubscribeLink | None:
    """Return what a link to unsubscribe is about, however old it is. None for a token that was never signed here."""
    with context.reading() as connection:
        if (found := context.tokens.read_preferences(token)) is not None:
            known = find_by_key(connection, found[0])
            if known is None or known.status != "active":
                return UnsubscribeLink("gone", known.language if known else "")
            own = token if known.version == found[1] else ""
            return UnsubscribeLink("active", known.language, mask_address(known.address), own)
        request = find_request(context, connection, token, now)
    if request is None:
        return None
    if request.requested is None:
        return UnsubscribeLink("gone", "")
    return UnsubscribeLink("active", request.requested.settings.language, mask_address(request.requested.address))


def unsubscribe(context: NewsletterContext, token: str, reason: str, now: int) -> UnsubscribeLink | None:
    """End a subscription, for every message not yet handed over. Any link that was ever sent does it; idempotent.

    With the token of a confirmation it says "that was not me".
    """
    with context.writing() as connection:
        if (found := context.tokens.read_preferences(token)) is None:
            request = find_request(context, connection, token, now)
            if request is None:
                return None
            if request.state == "open" and request.requested is not None:
                mailbox = parse_address(request.requested.address).mailbox
                departures.record(connection, Departure(departures.REFUSED, now, mailbox, request.mailbox_hash))
            if request.state == "open":  # its owner did not sign up: no link works, and no other is sent for REFUSED_DAYS
                mine = sa.and_(requests.c.mailbox_hash == request.mailbox_hash, requests.c.used.is_(None))
                refused = {"wanted": REFUSED, "expires": now + REFUSED_DAYS * 86400}
                connection.execute(sa.update(requests).where(mine).values(refused))
            return UnsubscribeLink("gone", request.requested.settings.language if request.requested else "")
        known = find_by_key(connection, found[0])
        if known is None:  # erased
            return UnsubscribeLink("gone", "")
        hashed = context.tokens.salted(known.mailbox)
        end_subscription(connection, known.key, "unsubscribed", " ".join(reason.split())[:200], now, hashed)
        return UnsubscribeLink("gone", known.language)


def erase_by_token(context: NewsletterContext, token: str, now: int) -> bool:
    """Erase the subscriber of a link; the hash that keeps imports from adding the address stays."""
    with context.writing() as connection:
        known = find_owner(connection, context.tokens, token, active=False)
        return known is not None and _erase(context, connection, parse_address(known.address), now)


def erase_address(context: NewsletterContext, address: str, now: int) -> bool:
    """Erase an address for the operator. Return whether anything was known of it. Raises EmailAddressError."""
    with context.writing() as connection:
        return _erase(context, connection, parse_address(address), now)


def _erase(context: NewsletterContext, connection: sa.Connection, address: EmailAddress, now: int) -> bool:
    """Leave only the hash in `suppressions`, and the fact of deliveries. Old links are safe: keys are never given twice."""
    mailbox_hash = context.tokens.salted(address.mailbox)
    known = find_by_mailbox(connection, address.mailbox)
    departures.record(connection, Departure(departures.ERASED, now, address.mailbox, mailbox_hash))
    gone = connection.execute(sa.delete(requests).where(requests.c.mailbox_hash == mailbox_hash)).rowcount
    gone += connection.execute(sa.delete(outbox).where(sa.func.lower(outbox.c.recipient) == address.mailbox)).rowcount
    if known is None:
        suppress_address(connection, mailbox_hash, "unsubscribed", now)
        return gone > 0
    remove_subscriber(connection, known.key, mailbox_hash, now)
    return True


def remove_subscriber(connection: sa.Connection, key: int, mailbox_hash: str, now: int) -> None:
    """Delete the rows of a subscriber; the hash stays in `suppressions`, and the fact of deliveries."""
    end_subscription(connection, key, "unsubscribed", "", now, mailbox_hash)
    # A server's reply may quote the address.
    connection.execute(sa.update(deliveries).where(deliveries.c.subscriber == key).values(reply=""))
    connection.execute(sa.delete(bounces).where(bounces.c.subscriber == key))
    connection.execute(sa.delete(subscriptions).where(subscriptions.c.subscriber == key))
    connection.execute(sa.delete(subscribers).where(subscribers.c.key == key))
