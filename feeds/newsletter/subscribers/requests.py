"""Sign-ups that wait for their confirmation: rows of `requests`. Inside the caller's transaction.

The token in the mail is signed and single purpose; the table keeps its hash only, and of an address that has confirmed, said no
or let the link expire no more than a hash. What a used link still tells is who it made a subscriber.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ...database.tables import requests
from ...tokens import Tokens
from . import signup_limits
from .records import Settings, Subscriber, Wish

DAY = 86400


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody signed up for. `address` as typed; `source` says where."""

    address: str
    wishes: tuple[Wish, ...]
    chosen: Settings
    source: str

    def as_json(self) -> str:
        wishes = [[one.frequency, one.select] for one in self.wishes]
        chosen = [self.chosen.day, self.chosen.timezone, self.chosen.language]
        return json.dumps(
            {"address": self.address, "wishes": wishes, "chosen": chosen, "source": self.source}, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str) -> Asked:
        found = json.loads(text)
        return cls(found["address"], tuple(Wish(*one) for one in found["wishes"]), Settings(*found["chosen"]), found["source"])


@dataclass(frozen=True, slots=True)
class Request:
    """`state`: open | used | expired | refused. `asked` of an open one; `subscriber` and the `version` then of a used one."""

    token_hash: str
    mailbox_hash: str
    state: str
    asked: Asked | None = None
    subscriber: int = 0
    version: int = 0


def row(
    tokens: Tokens, asked: Asked, mailbox_hash: str, network_hash: str, *, hours: int, now: int
) -> tuple[str, dict[str, Any]]:
    """The token for the mail, and the row to insert. The link works for `hours`."""
    name = secrets.token_hex(16)
    return tokens.confirm(name), {
        "token_hash": tokens.salted(name),
        "mailbox_hash": mailbox_hash,
        "network": network_hash,
        "created": now,
        "expires": now + hours * 3600,
        "used": None,
        "wanted": asked.as_json(),
    }


def insert(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(requests), list(rows))


def find(connection: sa.Connection, tokens: Tokens, token: str, *, hours: int, now: int) -> Request | None:
    """None for what was not signed here, or was too long ago to be remembered."""
    # Whether the link still works is for the row to say; the signature's own time only bounds how long it is looked up.
    name = tokens.read_confirm(token, hours * 3600 + (signup_limits.REFUSED_DAYS + signup_limits.PURGE_DAYS) * DAY)
    if name is None:
        return None
    found = connection.execute(sa.select(requests).where(requests.c.token_hash == tokens.salted(name))).first()
    return _request(found, now) if found else None


def _request(found: Any, now: int) -> Request:
    hashes = (found.token_hash, found.mailbox_hash)
    if found.used is not None:
        subscriber, version = json.loads(found.wanted or "[0, 0]")
        return Request(*hashes, "used", subscriber=subscriber, version=version)
    if found.wanted == signup_limits.REFUSED:
        return Request(*hashes, "refused")
    if not found.wanted or found.expires <= now:
        return Request(*hashes, "expired")
    return Request(*hashes, "open", Asked.from_json(found.wanted))


def use(connection: sa.Connection, request: Request, subscriber: Subscriber, now: int) -> None:
    """The address goes from the row: what remains is which subscriber the link made."""
    values = {"used": now, "wanted": json.dumps([subscriber.key, subscriber.version])}
    connection.execute(sa.update(requests).where(requests.c.token_hash == request.token_hash).values(values))


def refuse(connection: sa.Connection, request: Request, now: int) -> None:
    """It was not the owner of the address who signed up: no link works, and for a while no other is sent."""
    mine = sa.and_(requests.c.mailbox_hash == request.mailbox_hash, requests.c.used.is_(None))
    values = {"wanted": signup_limits.REFUSED, "expires": now + signup_limits.REFUSED_DAYS * DAY}
    connection.execute(sa.update(requests).where(mine).values(values))


def waiting(connection: sa.Connection, mailbox_hashes: Sequence[str], now: int) -> dict[str, set[Wish]]:
    """What these addresses have already been asked to confirm, by hash."""
    c = requests.c
    query = sa.select(c.mailbox_hash, c.wanted).where(
        c.mailbox_hash.in_(mailbox_hashes), c.used.is_(None), c.expires > now, c.wanted.not_in(("", signup_limits.REFUSED))
    )
    found: dict[str, set[Wish]] = {}
    for mailbox_hash, wanted in connection.execute(query):
        found.setdefault(mailbox_hash, set()).update(Asked.from_json(wanted).wishes)
    return found
