"""Requests at the hub (WebSub, section 5.1): parse the form, check topic and limits, write down what is to be verified.

Web workers use this and nothing else of the hub; verification and delivery are the clock's (`worker`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import sqlalchemy as sa

from .. import database
from ..config.models import Lease, WebSub
from ..errors import AddressError
from ..syndication.editions import Edition
from ..syndication.lookup import Gone
from . import subscriptions
from .protocol import MAX_URL_LENGTH, SubscriptionRequest, parse_callback
from .topics import find_document

MODES = ("subscribe", "unsubscribe", "publish")
#: Bytes of a secret (section 5.1: less than 200).
MAX_SECRET = 199
MAX_PUBLISHED = 1000
#: When a subscriber that met a limit may ask again, in seconds.
RETRY_AFTER = 60
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")

Form = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """A notice that these topics have changed."""

    topics: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reply:
    """The hub's reply to a request: plain words for the developer of a subscriber; `retry_after` in seconds, 0 for none."""

    status: int
    text: str
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Topic:
    """A feed's own address, and the digest of the feed at that moment."""

    address: str
    digest: str


def parse_form(form: Form, settings: WebSub) -> SubscriptionRequest | PublishRequest | str:
    """Return the request that a form makes, or what is wrong with it. Unknown parameters are ignored."""
    mode = _single(form, "hub.mode")
    if mode not in MODES:
        return f"hub.mode must be given once: one of {', '.join(MODES)}"
    if mode == "publish":
        topics = [*form.get("hub.url", ()), *form.get("hub.topic", ())]
        if not topics or len(topics) > MAX_PUBLISHED or any(len(topic) > MAX_URL_LENGTH for topic in topics):
            return f"hub.url must be given, at most {MAX_PUBLISHED} times"
        return PublishRequest(topics)
    topic, address = _single(form, "hub.topic"), _single(form, "hub.callback")
    if not topic or len(topic) > MAX_URL_LENGTH:
        return f"hub.topic must be given once, with at most {MAX_URL_LENGTH} characters"
    if not address:
        return "hub.callback must be given once"
    callback = parse_callback(address, private=settings.allow_private_callbacks)
    if isinstance(callback, str):
        return callback
    if mode == "unsubscribe":  # a lease and a secret may be given and are ignored
        return SubscriptionRequest(mode, topic, callback, 0, "")
    lease = _single(form, "hub.lease_seconds")
    if lease is None or (lease and not re.fullmatch(r"0*[1-9][0-9]{0,17}", lease)):
        return "hub.lease_seconds must be a positive decimal integer"
    secret = _single(form, "hub.secret")
    if secret is None or len(secret.encode()) > MAX_SECRET:
        return f"hub.secret must have at most {MAX_SECRET} bytes"
    if "\0" in secret or "\ufffd" in secret:
        return "hub.secret must be UTF-8 text"
    seconds = choose_lease(int(lease) if lease else None, settings.lease_seconds)
    return SubscriptionRequest(mode, topic, callback, seconds, secret)


def _single(form: Form, name: str) -> str | None:
    """Return a parameter: "" where it is missing, None where it is given more than once."""
    values = form.get(name, ())
    return None if len(values) > 1 else values[0] if values else ""


def choose_lease(requested: int | None, bounds: Lease) -> int:
    """Return how long a subscription will hold, in seconds; `requested` may be None: the hub chooses."""
    return bounds.default if requested is None else min(max(requested, bounds.min), bounds.max)


def normalize(url: str) -> str:
    """Return an address without needless encoding (RFC 3986, section 6.2.2; WebSub, section 5.1.1).

    >>> normalize("HTTP://Example.org/%7Ea/%e5") == normalize("http://example.org/~a/%E5")
    True
    """

    def decode(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if re.fullmatch(r"[A-Za-z0-9._~-]", character) else match[0].upper()

    scheme, separator, rest = quote(url, safe="%:/?#[]@!$&'()*+,;=-._~").partition("://")
    host, slash, path = rest.partition("/")
    return scheme.lower() + separator + host.lower() + slash + _ENCODED.sub(decode, path)


@dataclass(frozen=True, slots=True)
class RequestReceiver:
    """Receives requests at the hub for web workers. `edition` must have a configuration."""

    engine: sa.Engine
    edition: Edition

    def receive(self, form: Form, now: int) -> Reply:
        """Write down what a form asks for and reply; verification comes later (section 5.1.2)."""
        assert self.edition.config is not None
        settings = self.edition.config.feeds.websub
        request = parse_form(form, settings)
        if isinstance(request, str):
            return Reply(400, request)
        with database.reading(self.engine) as connection:
            if isinstance(request, PublishRequest):
                # Rescans find changes by themselves; the reply only says whether this hub knows the topics.
                found = (self._find_topic(connection, topic) for topic in request.topics)
                refusal = next((reply for reply in found if isinstance(reply, Reply)), None)
                return refusal or Reply(202, "Thank you; this hub also finds changes by itself.\n")
            if request.mode == "unsubscribe" and subscriptions.is_subscribed(connection, request.topic, request.callback.url):
                topic: Topic | Reply = Topic(request.topic, "")
            else:
                topic = self._find_topic(connection, request.topic)
        if isinstance(topic, Reply):
            return topic
        with database.writing(self.engine, durable=True) as connection:
            if refused := _check_limits(connection, request, settings):
                return refused
            subscriptions.add_request(connection, request, topic.address, topic.digest, now)
        return Reply(202, "Accepted; the callback will be asked to confirm.\n")

    def _find_topic(self, connection: sa.Connection, topic: str) -> Topic | Reply:
        try:
            found = find_document(connection, self.edition, topic)
        except AddressError as error:
            return Reply(404, f"{error}\n")
        if isinstance(found, Gone):
            return Reply(410, "this feed is gone for good\n")
        if normalize(topic) != normalize(found.address):
            return Reply(400, f"hub.topic must be the feed's own address (rel=self): {found.address}\n")
        return Topic(found.address, found.digest)


def _check_limits(connection: sa.Connection, request: SubscriptionRequest, limits: WebSub) -> Reply | None:
    usage = subscriptions.count_usage(connection, request.callback.host)
    if usage.requests >= limits.max_pending or usage.requests_of_host >= limits.max_pending_per_host:
        text = "too many requests wait to be confirmed, or were not confirmed within the last hour\n"
        return Reply(429, text, RETRY_AFTER)
    if request.mode == "unsubscribe":
        return None
    full = usage.subscriptions + usage.requests >= limits.max_subscriptions
    full = full or usage.subscriptions_of_host + usage.requests_of_host >= limits.max_subscriptions_per_host
    # Renewing a subscription takes no room.
    if full and not subscriptions.is_subscribed(connection, request.topic, request.callback.url):
        return Reply(503, "this hub has as many subscriptions as it can serve\n", RETRY_AFTER)
    return None
