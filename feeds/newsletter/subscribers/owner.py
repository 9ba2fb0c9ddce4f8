"""What a subscriber's own mailbox opens: the full address, all data, a change of address, new links, erasure.

None of it hangs on a link that stands in a digest, since digests are forwarded. A link of a mail asks for another one, which is
mailed to the owner, works for LINK_SECONDS, and is spent by a change of address or an erasure. The row of a request, in the
table `requests`, says whether its link still works; a new `version` of the subscriber makes it void.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from ...database.tables import requests, subscribers
from ...tokens import Purpose
from .. import NewsletterContext
from ..messages.transactional import enqueue
from . import choices, departures
from .departures import Departure
from .email_address import mask_address, parse_address
from .preferences import make_receipt, own_links
from .records import (
    Subscriber,
    delivery_history,
    find_by_key,
    find_by_mailbox,
    find_by_preferences,
    subscriptions_of,
    with_iso_times,
)
from .signup import DAY, LIFTED, exceeded_limit, hash_client, lift_suppression, serialise
from .suppression import suppress_address, suppression_reason
from .unsubscribe import erase_subscriber, forget_requests

LINK_SECONDS = 3600
#: Links of one subscriber in 24 hours; of one who has left, since then a single one. More are not sent.
LINKS_A_DAY = 3


@dataclass(frozen=True, slots=True)
class AddressChange:
    """What a link for a change of address is about. `state`: open | done | taken. Both addresses are masked."""

    state: str
    language: str
    old: str = ""
    new: str = ""


def request_link(context: NewsletterContext, token: str, now: int) -> bool:
    """Mail the owner's link, unless LINKS_A_DAY were. Return False for a token that does not allow to ask for one.

    The token of the page of choices does, and of someone who has left, the one that unsubscribes.
    """
    with context.writing() as connection:
        serialise(connection)
        known = find_by_preferences(connection, context.tokens, token, now)
        if known is None and (subscriber := context.tokens.read_unsubscribe(token)) is not None:
            found = find_by_key(connection, subscriber)
            known = found if found and found.status == "unsubscribed" else None
        if known is None:
            return False
        mine = sa.and_(
            requests.c.mailbox_hash == _own_hash(context, known.key), requests.c.created > max(now - DAY, known.ended or 0)
        )
        sent = connection.execute(sa.select(sa.func.count()).select_from(requests).where(mine)).scalar_one()
        if sent < (LINKS_A_DAY if known.status == "active" else 1):
            own = {"subscriber": known.key, "version": known.version}
            link = _new_request(context, connection, "owner", own, {"mailbox_hash": _own_hash(context, known.key)}, now)
            message = context.composer.notice("owner", parse_address(known.address), known.language, now, link=link)
            enqueue(connection, [message], now)
    return True


def _own_hash(context: NewsletterContext, subscriber: int) -> str:
    """Return what stands for the mailbox in rows of links: they are no sign-ups, and count against no limit of those."""
    return context.tokens.salted(f"owner:{subscriber}")


def _new_request(
    context: NewsletterContext,
    connection: sa.Connection,
    purpose: Purpose,
    wanted: dict[str, Any],
    hashes: dict[str, str],
    now: int,
) -> str:
    name, hours = secrets.token_hex(16), context.config.newsletter.confirm_hours
    expires = now + (LINK_SECONDS if purpose == "owner" else hours * 3600)
    row = {"token_hash": context.tokens.salted(name), "used": None, "created": now, "expires": expires}
    row |= {"wanted": json.dumps(wanted, ensure_ascii=False), "network": "", **hashes}
    connection.execute(sa.insert(requests).values(row))
    return context.tokens.request(purpose, name)


def _find(context: NewsletterContext, connection: sa.Connection, purpose: Purpose, token: str, now: int) -> Any:
    """Return (request's row, subscriber) of a link that works, `used` only by the change that it made; None for any other."""
    name = context.tokens.read_request(purpose, token, 31 * DAY)
    query = sa.select(requests).where(requests.c.token_hash == context.tokens.salted(name or ""))
    row = connection.execute(query).first() if name is not None else None
    if row is None or not row.wanted or row.expires <= now or (row.used is not None and purpose == "owner"):
        return None
    wanted = json.loads(row.wanted)
    known = find_by_key(connection, wanted["subscriber"])
    works = known and known.version == wanted["version"] and known.status in ("active", "unsubscribed")
    return (row, known) if works else None


def find_owner(context: NewsletterContext, token: str, now: int) -> Subscriber | None:
    """Return the subscriber of an owner's link, with the full address. None for a link that does not work (any more)."""
    with context.reading() as connection:
        found = _find(context, connection, "owner", token, now)
    return found[1] if found else None


def preferences_link(context: NewsletterContext, known: Subscriber, now: int) -> str:
    """Return the token of the owner's page of choices; "" for one who has left."""
    return own_links(context, known, now).preferences if known.status == "active" else ""


def export_own_data(context: NewsletterContext, token: str, now: int) -> dict[str, Any] | None:
    """Return all that is kept about a subscriber, times in UTC. None for a link that does not work."""
    with context.reading() as connection:
        found = _find(context, connection, "owner", token, now)
        if found is None:
            return None
        known: Subscriber = found[1]
        data = {name: value for name, value in asdict(known).items() if name != "key"}
        data["subscriptions"] = [asdict(one) for one in subscriptions_of(connection, known.key)]
        data["previous"] = [asdict(one) for one in choices.load_past(connection, known.key, now)]
        kept: dict[str, Any] = with_iso_times(data | delivery_history(connection, known.key))
        return kept


def revoke_links(context: NewsletterContext, token: str, now: int) -> bool:
    """Make links sent so far work for unsubscribing only, and mail new ones to the address."""
    with context.writing() as connection:
        found = _find(context, connection, "owner", token, now)
        if found is None:
            return False
        known: Subscriber = found[1]
        departures.record(connection, Departure(departures.LINKS, now, known.mailbox, version=known.version + 1))
        renewed = _renew(connection, known.key, {})
        if renewed.status == "active":
            enqueue(connection, [make_receipt(context, connection, renewed, now)], now)
    return True


def _renew(connection: sa.Connection, subscriber: int, values: dict[str, Any]) -> Subscriber:
    update = sa.update(subscribers).where(subscribers.c.key == subscriber)
    connection.execute(update.values(version=subscribers.c.version + 1, **values))
    renewed = find_by_key(connection, subscriber)
    assert renewed is not None
    return renewed


def erase_by_owner(context: NewsletterContext, token: str, now: int) -> bool:
    """Erase the subscriber of an owner's link, and say so in a last mail. What keeps imports from adding the address stays."""
    with context.writing() as connection:
        found = _find(context, connection, "owner", token, now)
        if found is None:
            return False
        address = parse_address(found[1].address)
        erase_subscriber(context, connection, address, now)
        enqueue(connection, [context.composer.notice("erased", address, found[1].language, now)], now)
    return True


# -- change of address -----------------------------------------------------


def request_address(context: NewsletterContext, token: str, text: str, ip: str, now: int) -> bool:
    """Mail a link to a new address that confirms it, and spend the owner's link. False for a link that does not work.

    Silent about whether the address is known, suppressed or over a limit of sign-ups. Raises EmailAddressError.
    """
    address = parse_address(text)
    hashes = hash_client(context, address, ip)
    with context.writing() as connection:
        serialise(connection)
        found = _find(context, connection, "owner", token, now)
        if found is None or found[1].status != "active":
            return False
        row, known = found
        spent = sa.update(requests).where(requests.c.token_hash == row.token_hash)
        connection.execute(spent.values(used=now))
        held = suppression_reason(connection, hashes["mailbox_hash"]) not in ("", *LIFTED)
        if not held and not exceeded_limit(connection, context.config.newsletter.signup, hashes, now):
            # Read as a sign-up it wishes for nothing: what the limits count has one form.
            wanted = {"subscriber": known.key, "version": known.version, "address": address.address, "wishes": []}
            wanted |= {"chosen": [0, known.timezone, known.language], "source": "address"}
            link = _new_request(context, connection, "address", wanted, hashes, now)
            old = mask_address(known.address)
            enqueue(connection, [context.composer.notice("address", address, known.language, now, link=link, address=old)], now)
    return True


def find_address_change(context: NewsletterContext, token: str, now: int) -> AddressChange | None:
    """Return what a link of a new address asks to confirm. None for a link that does not work (any more)."""
    with context.reading() as connection:
        found = _find(context, connection, "address", token, now)
    if found is None or found[1].status != "active":
        return None
    if found[0].used is not None:
        return AddressChange("done", found[1].language)
    new = json.loads(found[0].wanted)["address"]
    return AddressChange("open", found[1].language, mask_address(found[1].address), mask_address(new))


def confirm_address(context: NewsletterContext, token: str, now: int) -> AddressChange | None:
    """Send digests to the new address from now on: all earlier links are void, and the old address gets a notice.

    When and how consent was given stays as it was recorded. `taken`: another subscriber has the address, and keeps it.
    """
    with context.writing() as connection:
        serialise(connection)
        found = _find(context, connection, "address", token, now)
        if found is None or found[1].status != "active":
            return None
        if found[0].used is not None:  # a double click
            return AddressChange("done", found[1].language)
        known: Subscriber = found[1]
        address, old = parse_address(json.loads(found[0].wanted)["address"]), parse_address(known.address)
        hashed, shown = context.tokens.salted(address.mailbox), (mask_address(old.address), mask_address(address.address))
        if suppression_reason(connection, hashed) not in ("", *LIFTED):
            return None
        other = find_by_mailbox(connection, address.mailbox)
        if other is not None and other.key != known.key:
            if other.status == "active":
                return AddressChange("taken", known.language, *shown)
            erase_subscriber(context, connection, address, now)
        if other is None or other.key != known.key:
            was = context.tokens.salted(old.mailbox)  # neither an import nor a backup brings it back
            departures.record(connection, Departure("unsubscribed", now, old.mailbox, was))
            suppress_address(connection, was, "unsubscribed", now)
        lift_suppression(connection, address.mailbox, hashed, now)
        forget_requests(connection, known.key, but=found[0].token_hash)
        clean = {"address": address.address, "mailbox": address.mailbox, "bounce_score": 0, "bounced_at": 0}
        renewed = _renew(connection, known.key, clean)
        done = {"used": now, "wanted": json.dumps({"subscriber": known.key, "version": renewed.version})}
        connection.execute(sa.update(requests).where(requests.c.token_hash == found[0].token_hash).values(done))
        notice = context.composer.notice("moved", old, known.language, now, address=shown[1])
        enqueue(connection, [notice, make_receipt(context, connection, renewed, now)], now)
    return AddressChange("done", known.language, *shown)
