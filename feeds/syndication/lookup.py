"""Find what an address means: a feed, its document in one format, an archive document, the feed of a selection.

Each question is answered inside one snapshot. Answers are the thing itself, `Elsewhere` (301) or `Gone` (410); an address that
means nothing raises AddressError (404).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from .. import selections, urls
from ..catalog import queries
from ..catalog.queries import KnownTerm, Respelled
from ..errors import AddressError
from ..feed_formats import Format, load_formats
from ..model import Feed, FeedState, Selection
from . import documents, editions, feed_states, feeds
from .documents import FragmentCache
from .editions import Edition
from .feed_states import ArchiveDocument

if TYPE_CHECKING:
    from ..config.models import Config

#: Whether the caller needs no bytes of a document in this state.
Known = Callable[[FeedState], bool]


@dataclass(frozen=True, slots=True)
class Document:
    """One representation of a feed, rendered but not compressed. `changed` in UTC seconds; `query` is that of its address.

    `body` is None where the caller needs no bytes. `base_url`, `hub` ("" for none) and `generation` are those of its snapshot.
    `closed`: its articles are all that it will ever hold. `groups`, of a selection's feed: keys of terms, of each group of
    which all of its articles have one; empty where that is not known.
    """

    path: str
    format: Format
    digest: str
    changed: int
    body: bytes | None
    base_url: str
    generation: int
    query: str = ""
    closed: bool = False
    hub: str = ""
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def address(self) -> str:
        """The document's rel=self, which is also its topic in WebSub."""
        return urls.url(self.base_url, self.path, self.format.extension, self.query)

    @property
    def links(self) -> str:
        """The Link header of its bytes, wherever they are sent (WebSub, sections 4 and 7)."""
        own = f'<{self.address}>; rel="self"'
        return f'<{self.hub}>; rel="hub", {own}' if self.hub else own


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The canonical path of what was asked for, and its query where it has one of its own; answered with 301."""

    path: str
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The operator retired it; answered with 410."""

    path: str


@dataclass(frozen=True, slots=True)
class FoundFeed:
    """A feed and its state in one snapshot; `known` is its term where it is a term's."""

    feed: Feed
    state: FeedState
    known: KnownTerm | None


def find_feed(connection: sa.Connection, config: Config, path: str) -> FoundFeed | Elsewhere | Gone:
    """Return the feed at `path`; what the operator moved or retired counts more than the store. Raises AddressError."""
    if (answer := _retired(config, path)) is not None:
        target = feeds.parse_path(connection, config, answer.path) if isinstance(answer, Elsewhere) else None
        return Elsewhere(target[0].path) if target else answer
    meant = feeds.parse_path(connection, config, path)
    if meant is None:
        raise AddressError(f"no feed has the address /{path}")
    feed, known = meant
    if feed.path != path:
        return _retired(config, feed.path) or Elsewhere(feed.path)
    state = feed_states.find_state(connection, path)
    if state is None:  # the configuration is newer than the rescan; the next one makes it
        raise AddressError(f"no feed has the address /{path} yet")
    return FoundFeed(feed, state, known)


def _retired(config: Config, path: str) -> Elsewhere | Gone | None:
    target = config.retired.get(urls.fold(path))
    if target is None:
        return None
    return Elsewhere(target) if target else Gone(path)


def find_archive(connection: sa.Connection, config: Config, path: str, changed: int) -> ArchiveDocument | Elsewhere | Gone:
    """Return the archive document at `path`. `changed`: when a rescan last changed anything (UTC s). Raises AddressError."""
    feed_path, name = urls.split_archive(path)
    found = find_feed(connection, config, feed_path)
    if isinstance(found, Gone):
        return found
    if isinstance(found, Elsewhere):
        return Elsewhere(urls.archive_path(found.path, name))
    document = feed_states.archive_document(connection, config, found.feed, name, changed)
    if document is None:
        raise AddressError(f"no article of this feed is of {name}")
    return document


def find_selection(connection: sa.Connection, config: Config, text: str) -> tuple[Feed, Respelled] | Elsewhere | None:
    """Return a selection's feed, `query` canonical, and its names; None for the empty selection, Elsewhere for a named feed.

    Raises SelectionError where `text` is not a selection, AddressError where selections are not offered.
    """
    if not config.feeds.select.enabled:
        raise AddressError("selections are not offered as feeds here")
    wanted = selections.parse(text)
    if isinstance(wanted, str):
        return Elsewhere(f"{feeds.NAMED}/{wanted}", "")
    if not selections.clauses(wanted):
        return None
    found = queries.respell(connection, feeds.aliases_of(config), wanted)
    return feeds.selection_feed(config, found), found


def list_feeds(connection: sa.Connection) -> list[tuple[FeedState, Selection]]:
    """Return every feed with its selection, in the order of `feeds list`; none before the first rescan."""
    config = editions.load_edition(connection).config
    if config is None:
        return []
    defined = {feed.path: feed.selection for feed, _known in feeds.list_feeds(connection, config)}
    return [(state, defined.get(state.path, Selection())) for state in feed_states.load_states(connection)]


def find_document(
    connection: sa.Connection,
    edition: Edition,
    path: str,
    format: Format,
    known: Known | None = None,
    fragments: FragmentCache | None = None,
) -> Document | Elsewhere | Gone:
    """Return the document of a feed or of its archive; nothing is rendered where its state is `known`. Raises AddressError."""
    now, config = _current(connection, edition)
    if urls.split_archive(path)[1]:
        archived = find_archive(connection, config, path, now.changed)
        if not isinstance(archived, ArchiveDocument):
            return archived
        needed = not (known and known(archived.state))
        bodies = documents.render_archive(connection, config, archived, [format], fragments) if needed else {}
        return _document(now, config, archived.state, format, bodies, closed=archived.neighbours.closed)
    found = find_feed(connection, config, path)
    if not isinstance(found, FoundFeed):
        return found
    needed = not (known and known(found.state))
    bodies = documents.render(connection, config, found.feed, found.state, [format], fragments) if needed else {}
    return _document(now, config, found.state, format, bodies)


def find_bodies(
    connection: sa.Connection, edition: Edition, path: str, fragments: FragmentCache | None = None
) -> dict[str, bytes]:
    """Return a feed or an archive document in all formats, by their names, from one reading of its articles.

    Raises AddressError, also for what has moved or is gone.
    """
    now, config = _current(connection, edition)
    formats = load_formats().values()
    if urls.split_archive(path)[1]:
        archived = find_archive(connection, config, path, now.changed)
        if isinstance(archived, ArchiveDocument):
            return documents.render_archive(connection, config, archived, formats, fragments)
    else:
        found = find_feed(connection, config, path)
        if isinstance(found, FoundFeed):
            return documents.render(connection, config, found.feed, found.state, formats, fragments)
    raise AddressError(f"no document has the address /{path}")


def find_selection_document(
    connection: sa.Connection,
    edition: Edition,
    text: str,
    format: Format,
    known: Known | None = None,
    fragments: FragmentCache | None = None,
) -> Document | Elsewhere:
    """Return the document of any selection. Raises SelectionError, and AddressError where no term of it exists."""
    now, config = _current(connection, edition)
    found = find_selection(connection, config, text)
    if found is None:
        return Elsewhere(feeds.ALL, "")
    if isinstance(found, Elsewhere):
        return found
    feed, names = found
    if not names.known:
        raise AddressError("no article has any of these terms")
    if feed.query != text:
        return Elsewhere(feeds.SELECT, feed.query)
    clauses = feeds.resolve_clauses(connection, config, feed)
    state = feed_states.selection_state(connection, config, feed, clauses, now.changed)
    needed = not (known and known(state))
    bodies = documents.render(connection, config, feed, state, [format], fragments) if needed else {}
    # While one of the names is not a term, any rescan may make it one: the groups are not known.
    wanted = sum(len(names) for part in (feed.selection.any, feed.selection.all) for names in part.values())
    groups = clauses.some if sum(map(len, clauses.some)) == wanted else ()
    return replace(_document(now, config, state, format, bodies), query=feed.query, groups=groups)


def _current(connection: sa.Connection, edition: Edition) -> tuple[Edition, Config]:
    """Return the edition of this snapshot: a rescan may have ended since `edition` was loaded, and bytes need one digest."""
    now = edition if editions.load_generation(connection) == edition.generation else editions.load_edition(connection)
    if now.config is None:
        raise AddressError("nothing is published yet")
    return now, now.config


def _document(
    now: Edition, config: Config, state: FeedState, format: Format, bodies: Mapping[str, bytes], *, closed: bool = False
) -> Document:
    hub = "" if urls.split_archive(state.path)[1] else config.hub_url  # archive documents are not pushed
    version = (state.path, format, state.digest, state.changed, bodies.get(format.name))
    return Document(*version, config.site.base_url, now.generation, closed=closed, hub=hub)
