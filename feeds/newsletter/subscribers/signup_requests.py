"""Limit sign-ups, and keep them until they are confirmed: rows of the table `requests`, inside the caller's transaction.

Against subscription bombing, one address, one network and all of them together may cause only so many confirmations. They are
counted in the table, so the limits hold for all processes together. Neither networks nor addresses are kept as such: both are
salted hashes. The token in the mail is signed and serves one purpose; the table keeps only its hash, and of an address that has
confirmed, refused or let the link expire only a hash, too. A used link still says which subscriber it made.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ...config.models import SignupLimits
from ...database.tables import requests
from .. import NewsletterContext
from .records import Settings, Subscriber, Wish

DAY = 86400
#: What `requests.wanted` says of a sign-up that the owner of the address did not make: it blocks the next ones.
REFUSED = "refused"
REFUSED_DAYS = 30
#: How long a request is remembered after its link has expired.
PURGE_DAYS = 7
_LOCK = 0x6665656473  # a number of our own among PostgreSQL's advisory locks


@dataclass(frozen=True, slots=True)
class RequestedSubscription:
    """What somebody signed up for. `address` as typed; `source` says where."""

    address: str
    wishes: tuple[Wish, ...]
    settings: Settings
    source: str

    def as_json(self) -> str:
        """Return the text that `requests.wanted` keeps until the confirmation."""
        wishes = [[one.frequency, one.select] for one in self.wishes]
        chosen = [self.settings.day, self.settings.timezone, self.settings.language]
        found = {"address": self.address, "wishes": wishes, "chosen": chosen, "source": self.source}
        return json.dumps(found, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> RequestedSubscription:
        """Return what `as_json` wrote."""
        found = json.loads(text)
        return cls(found["address"], tuple(Wish(*one) for one in found["wishes"]), Settings(*found["chosen"]), found["source"])


@dataclass(frozen=True, slots=True)
class ConfirmationRequest:
    """`state`: open | used | expired | refused. `requested` of an open one; `subscriber`, `version` of a used one."""

    token_hash: str
    mailbox_hash: str
    state: str
    requested: RequestedSubscription | None = None
    subscriber: int = 0
    version: int = 0


# -- rate limits -----------------------------------------------------------


def network_prefix(ip: str) -> str:
    """Return the /24 of an IPv4 address, the /48 of an IPv6 address; "" for any other text.

    >>> network_prefix("192.0.2.7"), network_prefix("2001:db8:1:2::3"), network_prefix("unknown")
    ('192.0.2.0/24', '2001:db8:1::/48', '')
    """
    try:
        address = ipaddress.ip_address(ip.strip().partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def serialise(connection: sa.Connection) -> None:
    """Let no other transaction count until this one ends. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def exceeded_limit(connection: sa.Connection, settings: SignupLimits, mailbox_hash: str, network_hash: str, now: int) -> str:
    """Return the name of the limit that one more sign-up would break, or "". Call `serialise` before, insert the row after.

    `network_hash` is "" where the network is not known: then only the other limits hold.
    """
    c = requests.c

    def count(*where: sa.ColumnElement[bool]) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(requests).where(*where)).scalar() or 0)

    mine = c.mailbox_hash == mailbox_hash
    if count(mine, c.wanted == REFUSED, c.expires > now):
        return "refused"
    if count(mine, c.created > now - DAY) >= settings.per_address_a_day:
        return "per_address_a_day"
    # Requests before the last confirmation of the address do not count.
    confirmed = int(connection.execute(sa.select(sa.func.max(c.used)).where(mine)).scalar() or -1)
    if count(mine, c.used.is_(None), c.created > confirmed) >= settings.per_address:
        return "per_address"
    if network_hash and count(c.network == network_hash, c.created > now - 3600) >= settings.per_network_an_hour:
        return "per_network_an_hour"
    # What an operator imports has no network, and leaves readers their room.
    return "per_minute" if count(c.network != "", c.created > now - 60) >= settings.per_minute else ""


def purge_requests(connection: sa.Connection, now: int) -> None:
    """Forget an address that did not confirm with its link; the hashes, which the limits count, PURGE_DAYS later."""
    c = requests.c
    unused = sa.and_(c.used.is_(None), c.expires <= now, c.wanted.not_in(("", REFUSED)))
    connection.execute(sa.update(requests).where(unused).values(wanted=""))
    before = now - PURGE_DAYS * DAY
    connection.execute(sa.delete(requests).where(c.created < before, c.expires < before))


# -- requests that wait for their confirmation -----------------------------


def new_request(
    context: NewsletterContext, requested: RequestedSubscription, mailbox_hash: str, network_hash: str, now: int
) -> tuple[str, dict[str, Any]]:
    """Return the token for the mail, and the row to insert. The link works for `newsletter.confirm_hours`."""
    name = secrets.token_hex(16)
    return context.tokens.confirm(name), {
        "token_hash": context.tokens.salted(name),
        "mailbox_hash": mailbox_hash,
        "network": network_hash,
        "created": now,
        "expires": now + context.config.newsletter.confirm_hours * 3600,
        "used": None,
        "wanted": requested.as_json(),
    }


def insert_requests(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of `new_request`."""
    if rows:
        connection.execute(sa.insert(requests), list(rows))


def find_request(context: NewsletterContext, connection: sa.Connection, token: str, now: int) -> ConfirmationRequest | None:
    """Return the request of a confirmation token; None for one that was not signed here, or is too old to be remembered."""
    # The row says whether the link still works; the signature's own time only bounds how long it is looked up.
    longest = context.config.newsletter.confirm_hours * 3600 + (REFUSED_DAYS + PURGE_DAYS) * DAY
    name = context.tokens.read_confirm(token, longest)
    query = sa.select(requests).where(requests.c.token_hash == context.tokens.salted(name or ""))
    row = connection.execute(query).first() if name is not None else None
    if row is None:
        return None
    hashes = (row.token_hash, row.mailbox_hash)
    if row.used is not None:
        subscriber, version = json.loads(row.wanted or "[0, 0]")
        return ConfirmationRequest(*hashes, "used", subscriber=subscriber, version=version)
    if row.wanted == REFUSED:
        return ConfirmationRequest(*hashes, "refused")
    if not row.wanted or row.expires <= now:
        return ConfirmationRequest(*hashes, "expired")
    return ConfirmationRequest(*hashes, "open", RequestedSubscription.from_json(row.wanted))


def mark_used(connection: sa.Connection, request: ConfirmationRequest, subscriber: Subscriber, now: int) -> None:
    """Take the address from the row: what remains is which subscriber the link made."""
    values = {"used": now, "wanted": json.dumps([subscriber.key, subscriber.version])}
    connection.execute(sa.update(requests).where(requests.c.token_hash == request.token_hash).values(values))


def refuse_requests(connection: sa.Connection, request: ConfirmationRequest, now: int) -> None:
    """Block the address for REFUSED_DAYS: its owner did not sign up. No link works, and no other is sent."""
    mine = sa.and_(requests.c.mailbox_hash == request.mailbox_hash, requests.c.used.is_(None))
    values = {"wanted": REFUSED, "expires": now + REFUSED_DAYS * DAY}
    connection.execute(sa.update(requests).where(mine).values(values))


def pending_wishes(connection: sa.Connection, mailbox_hashes: Sequence[str], now: int) -> dict[str, set[Wish]]:
    """Return what these addresses have already been asked to confirm, by hash."""
    c = requests.c
    query = sa.select(c.mailbox_hash, c.wanted).where(
        c.mailbox_hash.in_(mailbox_hashes), c.used.is_(None), c.expires > now, c.wanted.not_in(("", REFUSED))
    )
    found: dict[str, set[Wish]] = {}
    for mailbox_hash, wanted in connection.execute(query):
        found.setdefault(mailbox_hash, set()).update(RequestedSubscription.from_json(wanted).wishes)
    return found
