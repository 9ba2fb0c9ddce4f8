"""Unsubscribe, undo that, and erase: what a link in a mail, its owner or the operator does to end a subscription."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import sqlalchemy as sa

from ... import database
from ...database.tables import bounces, deliveries, outbox, requests, state, subscribers, subscriptions
from ...syndication import editions
from .. import NewsletterContext
from ..messages.transactional import enqueue
from . import departures
from .departures import Departure
from .email_address import EmailAddress, mask_address, parse_address
from .preferences import make_receipt
from .records import Subscriber, find_by_key, find_by_mailbox
from .signup import REFUSED, REFUSED_DAYS, find_refusal, lift_suppression
from .suppression import COMPLAINT, NOT_ACTIVE, end_subscription, suppress_address, suppression_reason

#: How long a subscription that was ended by a link can be brought back as it was: to the end of that day, as the page says.
UNDO_DAYS = 7
#: How often in that time: nobody who wants to leave is held by one who has the link.
UNDOS = 3
#: Row of `state`: when (UTC seconds) somebody was erased whose bytes are not overwritten yet.
_ERASED = "erased"


@dataclass(frozen=True, slots=True)
class UnsubscribeLink:
    """The subscriber of a link to unsubscribe. `address` is masked: such links are forwarded. `state`: active | gone.

    Of someone who has left, `link` is the token to unsubscribe, which asks for the owner's link, and `undo` the one that brings
    the subscription back, until `until` (UTC seconds); "" where it is too late. `preferences` is always "": only templates of
    versions before ask for it.
    """

    state: str
    language: str
    address: str = ""
    link: str = ""
    undo: str = ""
    until: int = 0
    preferences: str = ""


def find_unsubscribe_link(context: NewsletterContext, token: str, now: int) -> UnsubscribeLink | None:
    """Return what a link to unsubscribe is about, however old it is. None for a token that was never signed here."""
    with context.reading() as connection:
        if (subscriber := context.tokens.read_unsubscribe(token)) is not None:
            return _describe(context, connection, find_by_key(connection, subscriber), now)
        request = find_refusal(context, connection, token, now)
    if request is None:
        return None
    if request.requested is None:
        return UnsubscribeLink("gone", "")
    return UnsubscribeLink("active", request.requested.settings.language, mask_address(request.requested.address))


def _describe(context: NewsletterContext, connection: sa.Connection, known: Subscriber | None, now: int) -> UnsubscribeLink:
    if known is not None and known.status == "active":
        return UnsubscribeLink("active", known.language, mask_address(known.address))
    if known is None or known.status != "unsubscribed":
        return UnsubscribeLink("gone", known.language if known else "")
    link, until = context.tokens.unsubscribe(known.key), _undo_until(context, connection, known, now)
    undo = context.tokens.undo(known.key, known.ended or 0) if now < until else ""
    return UnsubscribeLink("gone", known.language, "", link, undo, until)


def _undo_until(context: NewsletterContext, connection: sa.Connection, known: Subscriber, now: int) -> int:
    """Return when it is too late to undo (UTC seconds): at a midnight of the site; 0 where it cannot be undone."""
    undone = sa.and_(requests.c.mailbox_hash == _undo_hash(context, known), requests.c.created > now - UNDO_DAYS * 86400)
    undos = connection.execute(sa.select(sa.func.count()).select_from(requests).where(undone)).scalar_one()
    is_final = known.reason == COMPLAINT or known.reason.startswith(NOT_ACTIVE)
    if known.status != "unsubscribed" or known.ended is None or is_final or undos >= UNDOS:
        return 0
    zone = context.config.zone
    day = datetime.fromtimestamp(known.ended, zone).date() + timedelta(days=UNDO_DAYS + 1)
    return int(datetime.combine(day, time.min, zone).timestamp())


def _undo_hash(context: NewsletterContext, known: Subscriber) -> str:
    """Return what stands for the mailbox in the rows of `requests` that count undoing."""
    return context.tokens.salted(f"undo:{known.key}")


def unsubscribe(context: NewsletterContext, token: str, reason: str, now: int) -> UnsubscribeLink | None:
    """End a subscription, for every message not yet handed over. Any link that was ever sent does it; idempotent.

    With a token of the mail that asks for confirmation it says "that was not me".
    """
    with context.writing() as connection:
        if (subscriber := context.tokens.read_unsubscribe(token)) is None:
            request = find_refusal(context, connection, token, now)
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
        known = find_by_key(connection, subscriber)
        if known is not None:  # not erased
            hashed = context.tokens.salted(known.mailbox)
            end_subscription(connection, known.key, "unsubscribed", " ".join(reason.split())[:200], now, hashed)
        return _describe(context, connection, find_by_key(connection, subscriber), now)


def undo_unsubscribing(context: NewsletterContext, token: str, now: int, *, look: bool = False) -> UnsubscribeLink | None:
    """Bring back a subscription with all its choices, as they were; with `look`, only say what the link is about.

    It works for UNDO_DAYS, for the ending that it was made for, and never against a complaint or the operator. The mail that
    says so goes to the owner. Idempotent. None for a link that does not work (any more).
    """
    found = context.tokens.read_undo(token)
    with context.reading() if look else context.writing() as connection:
        known = find_by_key(connection, found[0]) if found else None
        if known is None or found is None:
            return None
        if known.status == "active":
            return UnsubscribeLink("active", known.language)
        hashed = context.tokens.salted(known.mailbox)
        is_free = suppression_reason(connection, hashed) in ("", "unsubscribed")
        if known.ended != found[1] or now >= _undo_until(context, connection, known, now) or not is_free:
            return None
        if not look:
            lift_suppression(connection, known.mailbox, hashed, now)
            back = sa.update(subscribers).where(subscribers.c.key == known.key)
            connection.execute(back.values(status="active", ended=None, reason=""))
            names = {"token_hash": secrets.token_hex(20), "mailbox_hash": _undo_hash(context, known), "network": ""}
            counted = {"created": now, "used": now, "expires": now, "wanted": f'{{"subscriber": {known.key}, "undone": {now}}}'}
            connection.execute(sa.insert(requests).values(**names, **counted))
            enqueue(connection, [make_receipt(context, connection, known, now)], now)
            return UnsubscribeLink("active", known.language)
        return _describe(context, connection, known, now)


def erase_address(context: NewsletterContext, address: str, now: int) -> bool:
    """Erase an address for the operator. Return whether anything was known of it. Raises EmailAddressError."""
    with context.writing() as connection:
        return erase_subscriber(context, connection, parse_address(address), now)


def overwrite_erased(engine: sa.Engine) -> bool:
    """Leave no bytes of erased addresses in the files of SQLite; return whether that is so. Idempotent.

    It waits for the last mails to them, which are in `outbox` until they are sent.
    """
    if database.is_postgresql(engine):  # VACUUM is the server's own business
        return True
    with database.reading(engine) as connection:
        since = editions.load_state(connection).get(_ERASED)
        if since is None:
            return True
        waiting = database.count_rows(connection, outbox, outbox.c.created <= int(since))
    if not waiting:
        with database.writing(engine, durable=True) as connection:
            database.rewrite(connection, (subscribers, requests, outbox, bounces))
    if not database.empty_log(engine) or waiting:
        return False
    with database.writing(engine) as connection:
        connection.execute(sa.delete(state).where(state.c.name == _ERASED, state.c.value == since))
    return True


def forget_requests(connection: sa.Connection, subscriber: int, but: str = "") -> None:
    """Delete requests for the owner's links, and for a change of address, with the mails to new addresses that wait."""
    theirs = requests.c.wanted.startswith(f'{{"subscriber": {subscriber},', autoescape=True)
    for (wanted,) in connection.execute(sa.select(requests.c.wanted).where(theirs)).all():
        if new := json.loads(wanted).get("address"):
            waits = sa.func.lower(outbox.c.recipient) == parse_address(new).mailbox
            connection.execute(sa.delete(outbox).where(waits, outbox.c.message_id.startswith("<address.")))
    connection.execute(sa.delete(requests).where(theirs, requests.c.token_hash != but))


def erase_subscriber(context: NewsletterContext, connection: sa.Connection, address: EmailAddress, now: int) -> bool:
    """Leave only the hash in `suppressions`, and the fact of deliveries. Old links are safe: keys are never given twice."""
    mailbox_hash = context.tokens.salted(address.mailbox)
    known = find_by_mailbox(connection, address.mailbox)
    departures.record(connection, Departure(departures.ERASED, now, address.mailbox, mailbox_hash))
    gone = connection.execute(sa.delete(requests).where(requests.c.mailbox_hash == mailbox_hash)).rowcount
    gone += connection.execute(sa.delete(outbox).where(sa.func.lower(outbox.c.recipient) == address.mailbox)).rowcount
    if known is None:
        suppress_address(connection, mailbox_hash, "unsubscribed", now)
        editions.save_state(connection, {_ERASED: str(now)})
        return gone > 0
    remove_subscriber(connection, known.key, mailbox_hash, now)
    return True


def remove_subscriber(connection: sa.Connection, key: int, mailbox_hash: str, now: int) -> None:
    """Delete the rows of a subscriber; the hash stays in `suppressions`, and the fact of deliveries."""
    end_subscription(connection, key, "unsubscribed", "", now, mailbox_hash)
    forget_requests(connection, key)
    # A server's reply may quote the address.
    connection.execute(sa.update(deliveries).where(deliveries.c.subscriber == key).values(reply=""))
    connection.execute(sa.delete(bounces).where(bounces.c.subscriber == key))
    editions.save_state(connection, {_ERASED: str(now)})
    connection.execute(sa.delete(subscriptions).where(subscriptions.c.subscriber == key))
    connection.execute(sa.delete(subscribers).where(subscribers.c.key == key))
