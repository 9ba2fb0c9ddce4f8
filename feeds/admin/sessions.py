"""Who may in: the operator's token, once; then a session that a cookie names. Throttled for all workers together.

A session is a row, so that signing out ends it wherever its cookie has got to. Its key is a hash under the service's secret and
the token: with either of them changed, nobody is signed in any more.
"""

from __future__ import annotations

import hmac
import math
import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from .. import audit_log
from ..database.tables import operator_log, operator_sessions
from ..newsletter.subscribers.signup_requests import network_prefix, serialise
from ..tokens import Tokens

#: A session ends after so long without a request, and in any case after so long (seconds).
IDLE, LONGEST = 12 * 3600, 7 * 86400
#: How stale `seen` may get: not every request is worth a write.
_STALE = 300
#: Wrong tokens of one network that cost nothing but themselves; each further one doubles the wait, from a minute to an hour.
FREE_TRIES = 5
#: Wrong tokens of all networks in an hour, from which on there is one try a minute.
MANY_TRIES = 60
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Guard:
    """The keys of one configuration's console. `token` is the operator's, never empty."""

    token: str
    tokens: Tokens

    def key(self, cookie: str) -> str:
        return self.tokens.salted(f"operator session:{self._mark}:{cookie}")

    def form_key(self, cookie: str) -> str:
        """What each form of the session carries: nobody else can know it (CSRF)."""
        return self.tokens.salted(f"operator form:{self._mark}:{cookie}")

    @property
    def _mark(self) -> str:
        return self.tokens.salted(f"operator token:{self.token}")

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())


@dataclass(frozen=True, slots=True)
class Admission:
    """`cookie` for who is let in; else `wait`: in how many seconds there is another try, 0 for at once."""

    cookie: str = ""
    wait: int = 0


def sign_in(connection: sa.Connection, guard: Guard, given: str, ip: str, now: int) -> Admission:
    """In a writing transaction: the try is counted before anyone else's."""
    serialise(connection)
    if wait := _wait(connection, network_prefix(ip), now):
        return Admission(wait=wait)
    if not guard.is_token(given):
        audit_log.note(connection, now, "refused", "", ip)
        return Admission()
    _purge(connection, now)
    cookie = secrets.token_urlsafe(32)
    connection.execute(sa.insert(operator_sessions).values(id=guard.key(cookie), created=now, seen=now))
    audit_log.note(connection, now, "sign-in", "", ip)
    return Admission(cookie)


def _wait(connection: sa.Connection, network: str, now: int) -> int:
    c = operator_log.c
    tried = (c.event == "refused", c.at > now - _HOUR)
    entered = sa.select(sa.func.max(c.at)).where(c.event == "sign-in", c.network == network)
    since = int(connection.execute(entered).scalar() or 0)
    waits = [
        _back_off(*_tries(connection, *tried, c.network == network, c.at > since), now, FREE_TRIES, double=True),
        _back_off(*_tries(connection, *tried), now, MANY_TRIES, double=False),
    ]
    return max(waits)


def _tries(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> tuple[int, int]:
    """How many, and when the last one was."""
    c = operator_log.c
    number, last = connection.execute(sa.select(sa.func.count(), sa.func.max(c.at)).where(*where)).one()
    return int(number), int(last or 0)


def _back_off(number: int, last: int, now: int, free: int, *, double: bool) -> int:
    if number < free:
        return 0
    pause = min(_HOUR, 60 * 2 ** min(number - free, 10)) if double else 60
    return max(0, math.ceil(last + pause - now))


def is_open(connection: sa.Connection, guard: Guard, cookie: str, now: int) -> tuple[bool, bool]:
    """Whether the session goes on; whether it should be marked as seen."""
    c = operator_sessions.c
    row = connection.execute(sa.select(c.created, c.seen).where(c.id == guard.key(cookie))).first() if cookie else None
    if row is None or now - row.seen > IDLE or now - row.created > LONGEST:
        return False, False
    return True, now - row.seen > _STALE


def mark(connection: sa.Connection, guard: Guard, cookie: str, now: int) -> None:
    connection.execute(sa.update(operator_sessions).where(operator_sessions.c.id == guard.key(cookie)).values(seen=now))


def sign_out(connection: sa.Connection, guard: Guard, cookie: str, ip: str, now: int) -> None:
    connection.execute(sa.delete(operator_sessions).where(operator_sessions.c.id == guard.key(cookie)))
    audit_log.note(connection, now, "sign-out", "", ip)


def _purge(connection: sa.Connection, now: int) -> None:
    c = operator_sessions.c
    connection.execute(sa.delete(operator_sessions).where(sa.or_(c.seen < now - IDLE, c.created < now - LONGEST)))
