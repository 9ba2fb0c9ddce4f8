"""Links and addresses that nobody can guess: signed with the service's secret, checked without asking the database first.

A preference token is permanent until its subscriber's `version` goes up. A confirmation token expires. A bounce token fits in
the local part of an envelope address, which mail servers may write in lower case.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from itsdangerous import BadSignature, URLSafeTimedSerializer

_PREFERENCE = re.compile(r"([0-9a-z]{1,16})-([0-9]{1,9})-([0-9a-f]{32})")
_BOUNCE = re.compile(r"([0-9]{1,12})\.([0-9]{1,16})\.([0-9a-f]{20})")


def new_secret() -> str:
    return secrets.token_urlsafe(32)


class Tokens:
    """All kinds of tokens of one secret. Reading gives None for what this secret did not sign."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._confirm = URLSafeTimedSerializer(secret, salt="feeds.confirm", signer_kwargs={"digest_method": hashlib.sha256})

    def _mac(self, kind: str, text: str, digits: int) -> str:
        return hmac.digest(self._secret, f"{kind}:{text}".encode(), "sha256").hex()[:digits]

    def preferences(self, subscriber: int, version: int) -> str:
        text = f"{subscriber}-{version}"
        return f"{text}-{self._mac('preferences', text, 32)}"

    def read_preferences(self, token: str) -> tuple[int, int] | None:
        """(subscriber, version)"""
        found = _PREFERENCE.fullmatch(token)
        if not found or not found[1].isdecimal():
            return None
        text = f"{found[1]}-{found[2]}"
        same = hmac.compare_digest(found[3], self._mac("preferences", text, 32))
        return (int(found[1]), int(found[2])) if same else None

    def bounce(self, issue: int, subscriber: int) -> str:
        text = f"{issue}.{subscriber}"
        return f"{text}.{self._mac('bounce', text, 20)}"

    def read_bounce(self, token: str) -> tuple[int, int] | None:
        """(issue, subscriber)"""
        found = _BOUNCE.fullmatch(token.lower())
        if not found:
            return None
        same = hmac.compare_digest(found[3], self._mac("bounce", f"{found[1]}.{found[2]}", 20))
        return (int(found[1]), int(found[2])) if same else None

    def confirm(self, request: str) -> str:
        """For the random name of a request; signed with the time."""
        return str(self._confirm.dumps(request))

    def read_confirm(self, token: str, max_age: int) -> str | None:
        """The request's name; None after `max_age` seconds."""
        try:
            found = self._confirm.loads(token, max_age=max_age)
        except BadSignature:
            return None
        return found if isinstance(found, str) else None

    def salted(self, text: str) -> str:
        """A hash that only this service can make: of addresses and networks that are compared but not kept."""
        return hmac.digest(self._secret, f"hash:{text}".encode(), "sha256").hex()[:40]
