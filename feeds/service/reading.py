"""What readers ask: the feed at an address, its document, pages for people. Each inside one snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from .. import addresses
from ..config import Config
from ..errors import AddressError
from ..library import catalog
from ..library.body import opens_with_picture, opens_with_summary
from ..model import Article, Feed, FeedState, Term
from ..syndication import definitions, documents
from ..syndication.formats import Format
from . import state
from .state import Edition

PAGE = 20


@dataclass(frozen=True, slots=True)
class Document:
    """One representation of a feed, rendered but not compressed. `changed` in UTC seconds.

    `body` is None where the caller needs no bytes. `base_url`, `hub` (the hub's address, "" for none) and `generation` are
    those of the snapshot it was made in.
    """

    path: str
    format: Format
    digest: str
    changed: int
    body: bytes | None
    base_url: str
    hub: str
    generation: int

    @property
    def address(self) -> str:
        """Its rel=self, which is also its topic in WebSub."""
        return f"{self.base_url}/{addresses.encode(self.path)}{self.format.extension}"

    @property
    def links(self) -> str:
        """The Link header of its bytes, wherever they are sent (WebSub, sections 4 and 7)."""
        own = f'<{self.address}>; rel="self"'
        return f'<{self.hub}>; rel="hub", {own}' if self.hub else own


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The canonical path of what was asked for; answered with 301."""

    path: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The operator retired it; answered with 410."""

    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """A feed and its state in one snapshot."""

    feed: Feed
    state: FeedState


@dataclass(frozen=True, slots=True)
class TermPage:
    feed: Feed
    state: FeedState
    term: Term | None
    articles: list[Article]
    older: int | None


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """An article, and what its body does not already open with."""

    article: Article
    show_picture: bool
    show_summary: bool


def document(
    connection: sa.Connection, edition: Edition, path: str, format: Format, known: Callable[[FeedState], bool] | None
) -> Document | Elsewhere | Gone:
    """The document of a feed; nothing is rendered where its state is `known`. Raises AddressError."""
    # A rescan may have ended since `edition` was asked for: bytes and digest must be of one configuration.
    now = edition if state.generation(connection) == edition.generation else state.edition(connection)
    if now.config is None:
        raise AddressError("nothing is published yet")
    found = find(connection, now.config, path)
    if not isinstance(found, Found):
        return found
    row = found.state
    body = None if known and known(row) else documents.render(connection, now.config, found.feed, row, format)
    site, hub = now.config.site, now.config.hub_url
    return Document(row.path, format, row.digest, row.changed, body, site.base_url, hub, now.generation)


def page(connection: sa.Connection, config: Config, path: str, before: int | None) -> TermPage | Elsewhere | Gone:
    """A feed's page for people: its articles without bodies, PAGE at a time."""
    found = find(connection, config, path)
    if not isinstance(found, Found):
        return found
    clauses = catalog.resolve(connection, definitions.names_of(config), found.feed.selection)
    articles = catalog.select(connection, clauses, PAGE + 1, before, with_html=False)
    older = articles[PAGE - 1].position if len(articles) > PAGE else None
    return TermPage(found.feed, found.state, _term_of(connection, config, found.feed), articles[:PAGE], older)


def home(connection: sa.Connection, config: Config) -> tuple[list[Article], dict[str, list[Term]], list[FeedState]]:
    """The newest articles, the most used terms of each facet, the operator's own feeds."""
    articles = catalog.select(connection, catalog.Clauses(), 12, with_html=False)
    top = {facet: terms(connection, config, facet, 24) for facet in definitions.enabled_facets(config)}
    paths = [f"feeds/{named.name}" for named in config.feeds.feeds]
    named = [row for path in paths if (row := documents.state_at(connection, path))]
    return articles, top, named


def article(connection: sa.Connection, slug: str) -> ArticlePage | None:
    """By the slug that its address has."""
    found = catalog.article(connection, addresses.unslug(slug)) or catalog.article(connection, slug)
    if found is None:
        return None
    return ArticlePage(
        found,
        show_picture=bool(found.picture) and not opens_with_picture(found.html, found.picture),
        show_summary=bool(found.summary) and not opens_with_summary(found.html, found.summary),
    )


def find(connection: sa.Connection, config: Config, path: str) -> Found | Elsewhere | Gone:
    """Raises AddressError. `moved` and `gone` are asked first: the operator's word is above what the store holds."""
    if (answer := _retired(config, path)) is not None:
        return answer
    feed = definitions.feed_at(connection, config, path)
    if feed is None:
        raise AddressError(f"no feed has the address /{path}")
    if feed.path != path:
        return _retired(config, feed.path) or Elsewhere(feed.path)
    row = documents.state_at(connection, path)
    if row is None:  # the configuration is newer than the rescan; the next one makes it
        raise AddressError(f"no feed has the address /{path} yet")
    return Found(feed, row)


def _retired(config: Config, path: str) -> Elsewhere | Gone | None:
    target = config.retired.get(addresses.fold(path))
    if target is None:
        return None
    return Elsewhere(target) if target else Gone(path)


def terms(connection: sa.Connection, config: Config, facet: str, limit: int | None) -> list[Term]:
    minimum = config.feeds.facet(facet).min_articles
    return [known.term for known in catalog.terms_of(connection, facet, minimum, limit)]


def _term_of(connection: sa.Connection, config: Config, feed: Feed) -> Term | None:
    if not feed.facet:
        return None
    known = catalog.term_at(connection, definitions.names_of(config), feed.facet, feed.path.partition("/")[2])
    return known.term if known else None
