"""Sign-in to the console: the operator's token, once; then a session that a cookie names. Tries are limited.

A session is a row, so that signing out ends it wherever its cookie was copied to. Its id is a hash under the service's secret
and the token: a change of either ends all sessions. Tries are counted for all workers together, of each network (/24, /48) by
itself: guesses from others keep nobody out. A browser that signed in before has a second cookie, and tries of its own, which
nobody in its network can use up.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from .. import audit_log
from ..database.tables import operator_log, operator_sessions
from ..newsletter.subscribers.signup import network_prefix, serialise
from ..runtime import Runtime
from ..tokens import Tokens

#: A session ends after so long without a request, and in any case after so long (seconds).
IDLE, LONGEST = 12 * 3600, 7 * 86400
#: How stale `seen` may get: not every request is worth a write.
_STALE = 300
#: Wrong tokens of one network without a wait; each further one doubles the wait, from a minute to an hour.
FREE_TRIES = 5
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Ids and CSRF tokens of sessions. `token` is the operator's, never empty."""

    token: str
    tokens: Tokens

    @classmethod
    def of(cls, runtime: Runtime) -> SessionKeys:
        """Return the keys of this configuration. The first call may write the service's secret."""
        return cls(runtime.environment.console_token, runtime.tokens())

    def session_id(self, cookie: str) -> str:
        """Return the id under which the session's row is stored."""
        return self.tokens.salted(f"operator session:{self._token_hash}:{cookie}")

    def csrf_token(self, cookie: str) -> str:
        """Return what each form of the session carries: nobody else can know it."""
        return self.tokens.salted(f"operator form:{self._token_hash}:{cookie}")

    def new_browser(self) -> str:
        """Return the cookie by which a browser that has signed in is known again."""
        name = secrets.token_hex(8)
        return f"{name}.{self._browser_mac(name)}"

    def known_browser(self, cookie: str) -> str:
        """Return the name of the browser that has this cookie; "" for one that these keys did not make."""
        name, _dot, mac = cookie.partition(".")
        return name if hmac.compare_digest(mac.encode(), self._browser_mac(name).encode()) else ""

    def _browser_mac(self, name: str) -> str:
        return self.tokens.salted(f"operator browser:{self._token_hash}:{name}")

    @property
    def _token_hash(self) -> str:
        return self.tokens.salted(f"operator token:{self.token}")


@dataclass(frozen=True, slots=True)
class SignIn:
    """The result of a try: the `cookie` of a new session, or "" and the seconds to `wait` for the next try, 0 for none."""

    cookie: str = ""
    wait: int = 0


def sign_in(connection: sa.Connection, keys: SessionKeys, given: str, ip: str, now: int, browser: str = "") -> SignIn:
    """Try the token `given`, in a writing transaction: the try is counted before anyone else's.

    `browser` is the name of a known one, whose tries are counted instead of its network's.
    """
    serialise(connection)
    details = f"browser {browser}" if browser else ""
    if wait := _wait(connection, network_prefix(ip), details, now):
        return SignIn(wait=wait)
    if not hmac.compare_digest(given.encode(), keys.token.encode()):
        audit_log.note(connection, now, "refused", details, ip)
        return SignIn()
    c = operator_sessions.c
    connection.execute(sa.delete(operator_sessions).where(sa.or_(c.seen < now - IDLE, c.created < now - LONGEST)))
    cookie = secrets.token_urlsafe(32)
    connection.execute(sa.insert(operator_sessions).values(id=keys.session_id(cookie), created=now, seen=now))
    audit_log.note(connection, now, "sign-in", details, ip)
    return SignIn(cookie)


def _wait(connection: sa.Connection, network: str, details: str, now: int) -> int:
    """Return the seconds until the next try of a known browser, or else of this network, since its last sign-in."""
    c = operator_log.c
    own = c.details == details if details else sa.and_(c.details == "", c.network == network)
    since = connection.execute(sa.select(sa.func.max(c.key)).where(own, c.event == "sign-in")).scalar() or 0
    refused = sa.and_(own, c.event == "refused", c.at > now - _HOUR, c.key > since)
    tries, last = connection.execute(sa.select(sa.func.count(), sa.func.max(c.at)).where(refused)).one()
    if tries < FREE_TRIES:
        return 0
    pause: int = min(_HOUR, 60 * 2 ** min(tries - FREE_TRIES, 10))
    return max(0, int(last) + pause - now)


def is_signed_in(runtime: Runtime, keys: SessionKeys, cookie: str, now: int) -> bool:
    """Return whether the cookie names an open session, and note its use where the last note is older than _STALE."""
    if not cookie:
        return False
    c = operator_sessions.c
    own = c.id == keys.session_id(cookie)
    row = runtime.read(lambda connection: connection.execute(sa.select(c.created, c.seen).where(own)).first())
    if row is None or now - row.seen > IDLE or now - row.created > LONGEST:
        return False
    if now - row.seen > _STALE:
        runtime.write(lambda connection: connection.execute(sa.update(operator_sessions).where(own).values(seen=now)))
    return True


def sign_out(connection: sa.Connection, keys: SessionKeys, cookie: str, ip: str, now: int) -> None:
    """End the session."""
    connection.execute(sa.delete(operator_sessions).where(operator_sessions.c.id == keys.session_id(cookie)))
    audit_log.note(connection, now, "sign-out", "", ip)
