"""Topics of the hub and requests for them: parse the form (WebSub, section 5.1), find the topic, write down what to verify.

Web workers use `receive` and nothing else of the hub. Changes of topics are found by comparing digests, not by listening to
rescans: at the start, whenever the catalog has another generation, and where a request left a doubt. So no change is lost with
a process, and a hub that was down catches up.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

import sqlalchemy as sa

from .. import database, urls
from ..config.models import Lease, WebSub
from ..errors import AddressError
from ..feed_formats import content_type
from ..model import FeedState
from ..syndication import editions, feeds, lookup
from ..syndication.editions import Edition
from ..syndication.lookup import Document, Elsewhere, Gone
from . import subscriptions
from .protocol import MAX_URL_LENGTH, Content, SubscriptionRequest, parse_callback
from .subscriptions import PendingDelivery

MODES = ("subscribe", "unsubscribe", "publish")
#: Bytes of a secret (section 5.1: less than 200), topics of one notice, and those of them that are looked up.
MAX_SECRET, MAX_PUBLISHED, MAX_CHECKED = 199, 1000, 20
#: Requests of one network for a subscription that exists, while they wait to be verified.
MAX_REPEATED = 3
#: When a subscriber that met a limit may ask again, in seconds.
RETRY_AFTER = 60
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED = string.ascii_letters + string.digits + "-._~"

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
    scheme, separator, rest = quote(url, safe="%:/?#[]@!$&'()*+,;=-._~").partition("://")
    host, slash, path = rest.partition("/")
    path = _ENCODED.sub(lambda code: found if (found := unquote(code[0])) in _UNRESERVED else code[0].upper(), path)
    return scheme.lower() + separator + host.lower() + slash + path


def receive(engine: sa.Engine, edition: Edition, form: Form, network: str, now: int) -> Reply:
    """Write down what a form asks for and reply; verification comes later (section 5.1.2). `edition` has a configuration.

    `network` is a salted hash of the client's network, for its share of the limits.
    """
    assert edition.config is not None
    settings = edition.config.feeds.websub
    request = parse_form(form, settings)
    if isinstance(request, str):
        return Reply(400, request)
    with database.reading(engine) as connection:
        if isinstance(request, PublishRequest):
            # Rescans find changes by themselves; the reply only says whether this hub knows the topics, as far as it looks.
            found = (_find_topic(connection, edition, topic) for topic in request.topics[:MAX_CHECKED])
            refusal = next((reply for reply in found if isinstance(reply, Reply)), None)
            return refusal or Reply(202, "Thank you; this hub also finds changes by itself.\n")
        if request.mode == "unsubscribe" and subscriptions.is_subscribed(connection, request.topic, request.callback.url):
            topic: tuple[str, str] | Reply = (request.topic, "")
        else:
            topic = _find_topic(connection, edition, request.topic)
    if isinstance(topic, Reply):
        return topic
    with database.writing(engine, durable=True) as connection:
        if refused := _check_limits(connection, request, topic[0], network, settings):
            return refused
        subscriptions.add_request(connection, request, *topic, now, network)
    return Reply(202, "Accepted; the callback will be asked to confirm.\n")


def _find_topic(connection: sa.Connection, edition: Edition, topic: str) -> tuple[str, str] | Reply:
    """Return a feed's own address and its digest at this moment, or why there is none."""
    try:
        found = find_document(connection, edition, topic)
    except AddressError as error:
        return Reply(404, f"{error}\n")
    if isinstance(found, Gone):
        return Reply(410, "this feed is gone for good\n")
    if normalize(topic) != normalize(found.address):
        return Reply(400, f"hub.topic must be the feed's own address (rel=self): {found.address}\n")
    return found.address, found.digest


def _check_limits(
    connection: sa.Connection, request: SubscriptionRequest, topic: str, network: str, limits: WebSub
) -> Reply | None:
    """Return the reply to a request beyond a limit. Those for a subscription that exists take no room and meet none of them."""
    text = "too many requests wait to be confirmed, or were not confirmed within the last hour\n"
    callback = request.callback
    if any(subscriptions.is_subscribed(connection, known, callback.url) for known in {topic, request.topic}):
        waiting = subscriptions.count_waiting(connection, topic, callback.url, network)
        return Reply(429, text, RETRY_AFTER) if waiting >= MAX_REPEATED else None
    room = functools.partial(subscriptions.has_room, connection, network)
    if not room(limits.max_pending) or not room(limits.max_pending_per_host, callback.host):
        return Reply(429, text, RETRY_AFTER)
    if request.mode == "unsubscribe":
        return None
    if room(limits.max_subscriptions, subscriptions=True) and room(
        limits.max_subscriptions_per_host, callback.host, subscriptions=True
    ):
        return None
    return Reply(503, "this hub has as many subscriptions as it can serve\n", RETRY_AFTER)


def find_document(
    connection: sa.Connection, edition: Edition, topic: str, known: Callable[[FeedState], bool] = lambda _state: True
) -> Document | Gone:
    """Return the document that a topic stands for; nothing is rendered where its feed is `known`. Raises AddressError.

    The host is not compared, and an address that was canonical once is followed: subscriptions made under it stay valid.
    """
    try:
        parts = urlsplit(topic)
    except ValueError:
        raise AddressError("hub.topic is not an address") from None
    path, format = urls.split_format(unquote(parts.path).lstrip("/"))
    if format is None:
        raise AddressError(f"hub.topic must be the address of a feed, which ends in {urls.list_extensions()}")
    if urls.split_archive(path)[1]:
        raise AddressError("an archive document is not pushed; subscribe to the feed itself")
    found: Document | Elsewhere | Gone = Elsewhere(path, parts.query)
    for _redirect in range(2):
        if isinstance(found, Elsewhere) and found.path == feeds.SELECT:
            found = lookup.find_selection_document(connection, edition, found.query or "", format, known)
        elif isinstance(found, Elsewhere):
            found = lookup.find_document(connection, edition, found.path, format, known)
    if isinstance(found, Elsewhere):
        raise AddressError(f"no feed has the address /{path}")
    return found


@dataclass(frozen=True, slots=True)
class Topics:
    """The catalog as the hub's worker sees it. Each method reads one snapshot; call them in a thread."""

    engine: sa.Engine

    def generation(self) -> int:
        """Return the number of the catalog's current state."""
        with database.reading(self.engine) as connection:
            return editions.load_generation(connection)

    def digests(self, topics: Iterable[str]) -> dict[str, str | None]:
        """Return the digest of each topic's feed: "" where it has no feed at present, None where it is gone for good."""
        found: dict[str, str | None] = {}
        with database.reading(self.engine) as connection:
            edition = editions.load_edition(connection)
            for topic in topics:
                try:
                    document = find_document(connection, edition, topic)
                    found[topic] = None if isinstance(document, Gone) else document.digest
                except AddressError:
                    found[topic] = ""
        return found

    def content(self, topic: str) -> Content | None:
        """Return what is delivered to subscribers of a topic, None where it has no feed at present."""
        with database.reading(self.engine) as connection:
            try:
                found = find_document(connection, editions.load_edition(connection), topic, lambda _state: False)
            except AddressError:
                return None
        if isinstance(found, Gone) or found.body is None:
            return None
        return Content(found.digest, content_type(found.format), found.links, found.body)


def record_changes(engine: sa.Engine, topics: Topics, unsure: set[str] | None, now: int) -> list[PendingDelivery]:
    """Compare `unsure` topics (None: all) with what their subscriptions want, and make deliveries due where they changed.

    Returns the subscriptions of topics that are gone for good.
    """
    if unsure == set():
        return []
    with database.reading(engine) as connection:
        wanted = subscriptions.wanted_digests(connection)
    digests = topics.digests(topic for topic in wanted if unsure is None or topic in unsure)
    changed = {topic: digest for topic, digest in digests.items() if digest and wanted[topic] != {digest}}
    gone = [topic for topic, digest in digests.items() if digest is None]
    if not changed and not gone:
        return []
    with database.writing(engine) as connection:
        subscriptions.mark_changed(connection, changed, now)
        return subscriptions.deliveries_of(connection, gone)
