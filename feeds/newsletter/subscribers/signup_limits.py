"""Against subscription bombing: how many confirmations one address, one network and all of them together may cause.

Counted in the table `requests`, so the limits hold for all processes together. Neither networks nor addresses are kept as such:
both are salted hashes. Beside them the signed times of forms: how long somebody took to fill one in, and the proof that a
browser has worked for it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re

import sqlalchemy as sa

from ...config.models import SignupLimits
from ...database.tables import requests
from ...tokens import Tokens

#: What `requests.wanted` says of a sign-up that the owner of the address did not make: it blocks the next ones.
REFUSED = "refused"
REFUSED_DAYS = 30
#: How long a request is remembered after its link has expired.
PURGE_DAYS = 7
PROOF_BITS = 18
_STAMP = re.compile(r"([0-9]{1,12})\.([0-9a-f]{40})")
_LOCK = 0x6665656473  # a number of our own among PostgreSQL's advisory locks


def network(ip: str) -> str:
    """The /24 of an IPv4 address, the /48 of an IPv6 address; "" for what is neither."""
    try:
        address = ipaddress.ip_address(ip.strip().partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def serialise(connection: sa.Connection) -> None:
    """Until the end of this transaction no other counts. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def exceeded(connection: sa.Connection, settings: SignupLimits, mailbox_hash: str, network_hash: str, now: int) -> str:
    """The name of the limit that one more sign-up would break; "" if none. Call `serialise` before, insert the request after.

    `network_hash` is "" where the network is not known: then only the other limits hold.
    """
    c = requests.c
    mine = c.mailbox_hash == mailbox_hash
    if _count(connection, mine, c.wanted == REFUSED, c.expires > now):
        return "refused"
    if _count(connection, mine, c.created > now - 86400) >= settings.per_address_a_day:
        return "per_address_a_day"
    if _count(connection, mine, c.used.is_(None), c.created > _last_used(connection, mailbox_hash)) >= settings.per_address:
        return "per_address"
    if network_hash and _count(connection, c.network == network_hash, c.created > now - 3600) >= settings.per_network_an_hour:
        return "per_network_an_hour"
    # What an operator imports has no network, and leaves readers their room.
    return "per_minute" if _count(connection, c.network != "", c.created > now - 60) >= settings.per_minute else ""


def _count(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(requests).where(*where)).scalar() or 0)


def _last_used(connection: sa.Connection, mailbox_hash: str) -> int:
    """When the address last confirmed anything; what came before does not count."""
    c = requests.c
    query = sa.select(sa.func.max(c.used)).where(c.mailbox_hash == mailbox_hash)
    return int(connection.execute(query).scalar() or -1)


def purge(connection: sa.Connection, now: int) -> None:
    """An address that did not confirm is forgotten with its link; the hashes, which the limits count, a week later."""
    c = requests.c
    unused = sa.and_(c.used.is_(None), c.expires <= now, c.wanted.not_in(("", REFUSED)))
    connection.execute(sa.update(requests).where(unused).values(wanted=""))
    before = now - PURGE_DAYS * 86400
    connection.execute(sa.delete(requests).where(c.created < before, c.expires < before))


# -- signed times ----------------------------------------------------------


def stamp(tokens: Tokens, kind: str, now: int) -> str:
    """`now`, signed, for a hidden field of a form."""
    return f"{now}.{tokens.salted(f'stamp:{kind}:{now}')}"


def age(tokens: Tokens, kind: str, text: str, now: int) -> int | None:
    """How many seconds ago `stamp` was called; None for what it did not make."""
    found = _STAMP.fullmatch(text)
    if not found or not hmac.compare_digest(found[2], tokens.salted(f"stamp:{kind}:{found[1]}")):
        return None
    return now - int(found[1])


def proven(stamp: str, address: str, answer: str) -> bool:
    """Whether `answer` makes a hash that begins with PROOF_BITS zero bits: about a quarter of a million tries.

    The address is part of it, so that one proof is good for one address.
    """
    if not answer.isascii() or not answer.isdecimal() or len(answer) > 12:
        return False
    digest = hashlib.sha256(f"{stamp}:{address}:{answer}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - PROOF_BITS) == 0
