"""Topics of the hub: the feed that an address stands for, and which topics have changed.

Changes are found by comparing digests, not by listening to rescans: at the start, whenever the catalog has another generation,
and where a request left a doubt. So no change is lost with a process, and a hub that was down catches up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from .. import database, urls
from ..config.models import Config
from ..errors import AddressError
from ..formats import content_type
from ..model import FeedState
from ..syndication import editions, feeds, lookup
from ..syndication.editions import Edition
from ..syndication.lookup import Document, Elsewhere, Gone
from . import subscriptions
from .protocol import Content
from .subscriptions import PendingDelivery


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
        if isinstance(found, Elsewhere):
            if found.path == feeds.SELECT:
                found = lookup.find_selection_document(connection, edition, found.query or "", format, known)
            else:
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

    def config(self) -> Config | None:
        """Return the configuration in force, None before the first rescan."""
        with database.reading(self.engine) as connection:
            return editions.load_edition(connection).config

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
    if unsure is not None and not unsure:
        return []
    with database.reading(engine) as connection:
        wanted = subscriptions.wanted_digests(connection)
    digests = topics.digests(topic for topic in wanted if unsure is None or topic in unsure)
    changed = {topic: digest for topic, digest in digests.items() if digest and wanted[topic] != {digest}}
    gone = [topic for topic, digest in digests.items() if digest is None]
    if not changed and not gone:
        return []
    with database.writing(engine) as connection:
        for topic, digest in changed.items():
            subscriptions.mark_changed(connection, topic, digest, now)
        return [row for topic in gone for row in subscriptions.deliveries_of_topic(connection, topic)]
