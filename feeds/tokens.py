"""Sign and verify tokens: of links in mails, of envelope addresses, of forms. None needs a look into the database.

Each purpose has a key of its own: a token of one is nothing to the reader of any other.

| token | where | opens | until |
|---|---|---|---|
| unsubscribe | link and header of every digest | leaving | never expires: leaving is all that it does |
| preferences | "change what you get" | what comes, how often and when | 400 days after the mail, or a new `version` |
| undo | the page after unsubscribing | the choices that there were | the page's date; the next change of status |
| owner, address | a mail to the owner | data, address, erasure | an hour, once: the row of its request |
| confirm, refuse | the mail that asks | one sign-up | `confirm_hours`, once: the row of its request |
| bounce | the envelope's sender | booking a report | 90 days after its issue (`bounces.booking`) |

A bounce token fits in the local part of an envelope address, and mail servers may write it, and a link to unsubscribe by mail,
in lower case. A timestamp proves when a form was shown.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Literal

from itsdangerous import BadSignature, URLSafeTimedSerializer

#: What the link of a request is for: a row of `requests` holds the rest.
Purpose = Literal["confirm", "refuse", "owner", "address"]
DAY = 86400
#: How long after its mail a preference token opens what it opens.
PREFERENCE_DAYS = 400
#: Preference tokens of versions before count as of this day (2026-11-30, in days since 1970). They unsubscribe as well.
UNDATED = 20787
_UNDATED = re.compile(r"([0-9]{1,16})-([0-9]{1,9})-([0-9a-f]{32})")
_PREFERENCE = re.compile(r"([0-9]{1,16})-([0-9]{1,9})-([0-9]{1,6})-([0-9a-f]{32})")
_UNSUBSCRIBE = re.compile(r"u([0-9]{1,16})-([0-9a-f]{32})")
_UNDO = re.compile(r"z([0-9]{1,16})-([0-9]{1,12})-([0-9a-f]{32})")
_BOUNCE = re.compile(r"([0-9]{1,12})\.([0-9]{1,16})\.([0-9a-f]{20})")
_TIMESTAMP = re.compile(r"([0-9]{1,12})\.([0-9a-f]{40})")


def new_secret() -> str:
    """Return a random secret for `Tokens`, as text that fits in a setting."""
    return secrets.token_urlsafe(32)


#: What people write where a secret is asked for, and rows of keyboards; longer ones first.
_COMMON = re.compile(
    "administrator|qwertyuiop|production|123456789|asdfghjkl|changeit|changeme|operator|password|passwort|passwd|letmein|zxcvbnm|"
    "default|example|replace|dragon|monkey|qwerty|qwertz|secret|change|welcome|token|admin|feeds|login|your|test|this|here|root|key"
)


def weakness(secret: str) -> str:
    """Return why a secret that people chose can be guessed, "" where it is long and mixed enough.

    At least 16 characters are wanted, without repeating a shorter text; and of what is left without common words, sequences and
    repetitions at least 8 characters, 6 of them different. What `new_secret` makes always has that.

    >>> weakness("change-me-in-production"), weakness("Zk3-wbTq9_xLr2Vd")
    ('it is made of common words, sequences or repetitions', '')
    """
    if len(secret) < 16:
        return "it has fewer than 16 characters"
    if (period := (secret + secret).find(secret, 1)) < 16:
        return f"it repeats {period} characters"
    rest, before = "", 0
    for character in _COMMON.sub("", secret.casefold()):
        if abs(ord(character) - before) > 1:
            rest += character
        before = ord(character)
    if len(rest) < 8 or len(set(rest)) < 6:
        return "it is made of common words, sequences or repetitions"
    return ""


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
        self._requests = {
            purpose: URLSafeTimedSerializer(secret, salt=f"feeds.{purpose}", signer_kwargs={"digest_method": hashlib.sha256})
            for purpose in ("confirm", "refuse", "owner", "address")
        }

    def _mac(self, kind: str, text: str, digits: int) -> str:
        return hmac.digest(self._secret, f"{kind}:{text}".encode(), "sha256").hex()[:digits]

    def _read(self, pattern: re.Pattern[str], kind: str, token: str) -> tuple[int, ...] | None:
        """Return the numbers of a token `prefix 1-2-...-mac`; None unless the mac is that of this kind and these numbers."""
        found = pattern.fullmatch(token)
        if not found:
            return None
        text, _, mac = token.rpartition("-")
        same = hmac.compare_digest(mac, self._mac(kind, text, 32))
        return tuple(map(int, found.groups()[:-1])) if same else None

    def preferences(self, subscriber: int, version: int, at: int) -> str:
        """Return the token of the page where a subscriber changes what comes; `at`: when its mail was made (UTC seconds)."""
        text = f"{subscriber}-{version}-{at // DAY}"
        return f"{text}-{self._mac('choices', text, 32)}"

    def read_preferences(self, token: str, now: int) -> tuple[int, int, int] | None:
        """Return (subscriber, version, time of the mail) of a preference token that is at most PREFERENCE_DAYS old.

        >>> tokens = Tokens("a secret")
        >>> tokens.read_preferences(tokens.preferences(12, 1, at=0), now=400 * 86400)
        (12, 1, 0)
        >>> tokens.read_preferences(tokens.preferences(12, 1, at=0), now=401 * 86400)
        >>> tokens.read_preferences(tokens.unsubscribe(12), now=0)
        """
        found = self._read(_PREFERENCE, "choices", token)
        if found is None and (undated := self._read(_UNDATED, "preferences", token)) is not None:
            found = (*undated, UNDATED)
        if found is None or now // DAY > found[2] + PREFERENCE_DAYS:
            return None
        return found[0], found[1], found[2] * DAY

    def unsubscribe(self, subscriber: int) -> str:
        """Return the token that ends a subscription, and does nothing else."""
        text = f"u{subscriber}"
        return f"{text}-{self._mac('unsubscribe', text, 32)}"

    def read_unsubscribe(self, token: str) -> int | None:
        """Return the subscriber of a token to unsubscribe, however old; that of an undated preference token, too."""
        found = self._read(_UNSUBSCRIBE, "unsubscribe", token) or self._read(_UNDATED, "preferences", token)
        return found[0] if found else None

    def undo(self, subscriber: int, ended: int) -> str:
        """Return the token that brings back a subscription that was ended at `ended` (UTC seconds)."""
        text = f"z{subscriber}-{ended}"
        return f"{text}-{self._mac('undo', text, 32)}"

    def read_undo(self, token: str) -> tuple[int, int] | None:
        """Return (subscriber, ended) of an undo token; whether it is too late, the subscriber's row says."""
        found = self._read(_UNDO, "undo", token)
        return (found[0], found[1]) if found else None

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

    def request(self, purpose: Purpose, name: str) -> str:
        """Return the token of a link that was asked for: the random name of a request, signed with the time."""
        return str(self._requests[purpose].dumps(name))

    def read_request(self, purpose: Purpose, token: str, max_age: int) -> str | None:
        """Return the request's name; None after `max_age` seconds."""
        try:
            found = self._requests[purpose].loads(token, max_age=max_age)
        except BadSignature:
            return None
        # Base64 leaves bits unused, which the library does not look at: one token is written in one way.
        return found if isinstance(found, str) and token[-1] in "AEIMQUYcgkosw048" else None

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
