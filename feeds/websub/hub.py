"""The WebSub hub's use cases: take in what is asked, say what a topic is now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from .. import database, urls
from ..config.models import Config, WebSub
from ..errors import AddressError
from ..formats import Format
from ..model import FeedState
from ..syndication import editions, feeds, lookup
from ..syndication.editions import Edition
from ..syndication.lookup import Document, Elsewhere, Gone
from . import requests, subscriptions
from .protocol import Payload
from .requests import Asked, Form, Published

#: When those who have met a limit may ask again, in seconds.
RETRY_AFTER = 60


def document_at(
    connection: sa.Connection, edition: Edition, topic: str, known: Callable[[FeedState], bool] | None = None
) -> Document | Gone:
    """The document that a topic means: the one place where the hub learns which addresses are feeds. Raises AddressError.

    The host is not looked at, and an address that was canonical once is followed: subscriptions from then go on.
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
    found = _at(connection, edition, Elsewhere(path, parts.query), format, known)
    if isinstance(found, Elsewhere):
        found = _at(connection, edition, found, format, known)
    if isinstance(found, Elsewhere):
        raise AddressError(f"no feed has the address /{path}")
    return found


def _at(
    connection: sa.Connection, edition: Edition, place: Elsewhere, format: Format, known: Callable[[FeedState], bool] | None
) -> Document | Elsewhere | Gone:
    if place.path == feeds.SELECT:
        return lookup.find_selection_document(connection, edition, place.query or "", format, known)
    return lookup.find_document(connection, edition, place.path, format, known)


def _without_body(_state: FeedState) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Reply:
    """To a request at the hub: plain words for who develops a subscriber."""

    status: int
    text: str
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Meant:
    """The topic of a request, and what its feed is like at that moment."""

    topic: str
    seen: str


@dataclass(frozen=True, slots=True)
class Hub:
    """For web workers, which only write down what is asked."""

    engine: sa.Engine
    edition: Edition
    settings: WebSub

    @classmethod
    def of(cls, engine: sa.Engine, edition: Edition) -> Hub:
        """Return the hub of an edition that has a configuration."""
        assert edition.config is not None
        return cls(engine, edition, edition.config.feeds.websub)

    def receive(self, form: Form, now: int) -> Reply:
        """Does not depend on what verification will find (WebSub, section 5.1.2)."""
        asked = requests.read(form, self.settings)
        if isinstance(asked, str):
            return Reply(400, asked)
        with database.reading(self.engine) as connection:
            if isinstance(asked, Published):
                return self._published(connection, asked)
            meant = self._meant(connection, asked)
        return meant if isinstance(meant, Reply) else self._accept(asked, meant, now)

    def _published(self, connection: sa.Connection, said: Published) -> Reply:
        """Rescans find changes by themselves; all that there is to say is whether this hub knows the topic."""
        for topic in said.topics:
            found = self._own_address(connection, topic)
            if isinstance(found, Reply):
                return found
        return Reply(202, "Thank you; this hub also finds changes by itself.\n")

    def _meant(self, connection: sa.Connection, asked: Asked) -> Meant | Reply:
        if asked.mode == "unsubscribe" and subscriptions.is_subscribed(connection, asked.topic, asked.callback.url):
            return Meant(asked.topic, "")
        return self._own_address(connection, asked.topic)

    def _own_address(self, connection: sa.Connection, topic: str) -> Meant | Reply:
        try:
            found = document_at(connection, self.edition, topic, _without_body)
        except AddressError as error:
            return Reply(404, f"{error}\n")
        if isinstance(found, Gone):
            return Reply(410, "this feed is gone for good\n")
        if requests.normal(topic) != requests.normal(found.address):
            return Reply(400, f"hub.topic must be the feed's own address (rel=self): {found.address}\n")
        return Meant(found.address, found.digest)

    def _accept(self, asked: Asked, meant: Meant, now: int) -> Reply:
        with database.writing(self.engine, durable=True) as connection:
            if refused := self._crowded(connection, asked):
                return refused
            subscriptions.accept(connection, asked, meant.topic, meant.seen, now)
        return Reply(202, "Accepted; the callback will be asked to confirm.\n")

    def _crowded(self, connection: sa.Connection, asked: Asked) -> Reply | None:
        limits = self.settings
        crowd = subscriptions.crowding(connection, asked.callback.host)
        if crowd.requests >= limits.max_pending or crowd.requests_of_host >= limits.max_pending_per_host:
            return Reply(
                429, "too many requests wait to be confirmed, or were not confirmed within the last hour\n", RETRY_AFTER
            )
        if asked.mode == "unsubscribe":
            return None
        if (
            crowd.subscriptions + crowd.requests >= limits.max_subscriptions
            or crowd.subscriptions_of_host + crowd.requests_of_host >= limits.max_subscriptions_per_host
        ) and not subscriptions.is_subscribed(connection, asked.topic, asked.callback.url):  # renewing takes no more room
            return Reply(503, "this hub has as many subscriptions as it can serve\n", RETRY_AFTER)
        return None


@dataclass(frozen=True, slots=True)
class Topics:
    """What the hub's run asks of the catalog: `websub.looking.Source`."""

    engine: sa.Engine

    def generation(self) -> int:
        with database.reading(self.engine) as connection:
            return editions.load_generation(connection)

    def config(self) -> Config | None:
        with database.reading(self.engine) as connection:
            return editions.load_edition(connection).config

    def digests(self, topics: Iterable[str]) -> dict[str, str | None]:
        with database.reading(self.engine) as connection:
            edition = editions.load_edition(connection)
            return {topic: _digest(connection, edition, topic) for topic in topics}

    def payload(self, topic: str) -> Payload | None:
        with database.reading(self.engine) as connection:
            try:
                found = document_at(connection, editions.load_edition(connection), topic)
            except AddressError:
                return None
        if isinstance(found, Gone) or found.body is None:
            return None
        return Payload(found.digest, found.content_type, found.links, found.body)


def _digest(connection: sa.Connection, edition: Edition, topic: str) -> str | None:
    try:
        found = document_at(connection, edition, topic, _without_body)
    except AddressError:
        return ""
    return None if isinstance(found, Gone) else found.digest
