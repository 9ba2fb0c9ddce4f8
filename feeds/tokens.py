"""Sign and verify tokens: of links in mails, of envelope addresses, of forms. None needs a look into the database.

A preference token is permanent until its subscriber's `version` goes up. A confirmation token expires. A bounce token fits in
the local part of an envelope address, which mail servers may write in lower case. A timestamp proves when a form was shown.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from itsdangerous import BadSignature, URLSafeTimedSerializer

_PREFERENCE = re.compile(r"([0-9a-z]{1,16})-([0-9]{1,9})-([0-9a-f]{32})")
_BOUNCE = re.compile(r"([0-9]{1,12})\.([0-9]{1,16})\.([0-9a-f]{20})")
_TIMESTAMP = re.compile(r"([0-9]{1,12})\.([0-9a-f]{40})")


def new_secret() -> str:
    """Return a random secret for `Tokens`, as text that fits in a setting."""
    return secrets.token_urlsafe(32)


class Tokens:
    """Make and read all kinds of tokens of one secret. Reading returns None for a token that this secret did not sign.

    >>> tokens = Tokens("a secret")
    >>> tokens.read_bounce(tokens.bounce(issue=7, subscriber=12))
    (7, 12)
    >>> print(Tokens("another secret").read_bounce(tokens.bounce(issue=7, subscriber=12)))
    None
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._confirm = URLSafeTimedSerializer(secret, salt="feeds.confirm", signer_kwargs={"digest_method": hashlib.sha256})

    def _mac(self, kind: str, text: str, digits: int) -> str:
        return hmac.digest(self._secret, f"{kind}:{text}".encode(), "sha256").hex()[:digits]

    def preferences(self, subscriber: int, version: int) -> str:
        """Return the token of a subscriber's own links: preferences, unsubscribing."""
        text = f"{subscriber}-{version}"
        return f"{text}-{self._mac('preferences', text, 32)}"

    def read_preferences(self, token: str) -> tuple[int, int] | None:
        """Return (subscriber, version) of a preference token."""
        found = _PREFERENCE.fullmatch(token)
        if not found or not found[1].isdecimal():
            return None
        text = f"{found[1]}-{found[2]}"
        same = hmac.compare_digest(found[3], self._mac("preferences", text, 32))
        return (int(found[1]), int(found[2])) if same else None

    def bounce(self, issue: int, subscriber: int) -> str:
        """Return the token of one delivery, for its envelope sender and its envelope id (RFC 3461)."""
        text = f"{issue}.{subscriber}"
        return f"{text}.{self._mac('bounce', text, 20)}"

    def read_bounce(self, token: str) -> tuple[int, int] | None:
        """Return (issue, subscriber) of a bounce token, in upper or lower case."""
        found = _BOUNCE.fullmatch(token.lower())
        if not found:
            return None
        same = hmac.compare_digest(found[3], self._mac("bounce", f"{found[1]}.{found[2]}", 20))
        return (int(found[1]), int(found[2])) if same else None

    def confirm(self, request: str) -> str:
        """Return the token of a confirmation link: the random name of a request, signed with the time."""
        return str(self._confirm.dumps(request))

    def read_confirm(self, token: str, max_age: int) -> str | None:
        """Return the request's name; None after `max_age` seconds."""
        try:
            found = self._confirm.loads(token, max_age=max_age)
        except BadSignature:
            return None
        return found if isinstance(found, str) else None

    def salted(self, text: str) -> str:
        """Return a keyed hash (40 hex digits) of an address or network that is compared but not stored."""
        return self._mac("hash", text, 40)

    def timestamp(self, kind: str, now: int) -> str:
        """Return `now` (UTC seconds), signed, for a hidden field of a form of this `kind`."""
        return f"{now}.{self.salted(f'stamp:{kind}:{now}')}"

    def timestamp_age(self, kind: str, text: str, now: int) -> int | None:
        """Return how many seconds ago `timestamp` was called; None for a text that it did not make."""
        found = _TIMESTAMP.fullmatch(text)
        if not found or not hmac.compare_digest(found[2], self.salted(f"stamp:{kind}:{found[1]}")):
            return None
        return now - int(found[1])
