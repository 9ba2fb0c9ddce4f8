"""What readers ask: the feed at an address, its document, pages for people. Each inside one snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sqlalchemy as sa

from .. import selections, urls
from ..catalog import queries
from ..catalog.queries import Clauses, KnownTerm
from ..catalog.sort_key import Window
from ..config.models import Config
from ..errors import AddressError
from ..formats import Format, content_type, load_formats
from ..model import FACETS, Article, Feed, FeedState, Selection, Term
from . import documents, editions, feeds
from .documents import Volume
from .editions import Edition
from .pages import Portrait, portray

PAGE = 20
#: Articles on the home page.
NEWEST = 12


@dataclass(frozen=True, slots=True)
class Document:
    """One representation of a feed, rendered but not compressed. `changed` in UTC seconds.

    `body` is None where the caller needs no bytes. `base_url`, `hub` (the hub's address, "" for none) and `generation` are
    those of the snapshot it was made in. `query` is that of its address; `closed`: its articles are all that it will ever hold.
    `groups`, of a feed that no rescan keeps account of: keys of terms, of each group of which all of its articles have one;
    empty where that is not known.
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
        """Its rel=self, which is also its topic in WebSub."""
        return urls.url(self.base_url, self.path, self.format.extension, self.query)

    @property
    def content_type(self) -> str:
        """Return the Content-Type header of its bytes."""
        return content_type(self.format)

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
class Found:
    """A feed and its state in one snapshot."""

    feed: Feed
    state: FeedState


@dataclass(frozen=True, slots=True)
class TermPage:
    """A feed's articles as a page. `number` is None for the newest, which has all that no numbered page has.

    `older` and `newer` are the numbers of the pages beside it; the page after the last numbered one is the newest.
    `portrait`: what a term's articles say about it.
    """

    feed: Feed
    state: FeedState
    term: Term | None
    articles: list[Article]
    number: int | None
    older: int | None
    newer: int | None
    history: str
    portrait: Portrait | None


@dataclass(frozen=True, slots=True)
class VolumePage:
    """An archive document's page for people; articles without bodies."""

    volume: Volume
    articles: list[Article]


def document(
    connection: sa.Connection, edition: Edition, path: str, format: Format, known: Callable[[FeedState], bool] | None = None
) -> Document | Elsewhere | Gone:
    """The document of a feed; nothing is rendered where its state is `known`. Raises AddressError."""
    now, config = _now(connection, edition)
    found = (
        find_volume(connection, config, path, now.changed) if urls.split_archive(path)[1] else find(connection, config, path)
    )
    if isinstance(found, Volume):
        row = found.state
        [body] = [None] if known and known(row) else documents.render_volume(connection, config, found, [format])
        return _document(now, config, row, format, body, closed=found.neighbours.closed)
    if not isinstance(found, Found):
        return found
    row = found.state
    body = None if known and known(row) else documents.render(connection, config, found.feed, row, format)
    return _document(now, config, row, format, body)


def volume(connection: sa.Connection, edition: Edition, path: str) -> dict[str, bytes]:
    """An archive document in all formats, by their names. Raises AddressError, also for what has moved or is gone."""
    now, config = _now(connection, edition)
    found = find_volume(connection, config, path, now.changed)
    if not isinstance(found, Volume):
        raise AddressError(f"no archive document has the address /{path}")
    return dict(zip(load_formats(), documents.render_volume(connection, config, found, load_formats().values()), strict=True))


def _now(connection: sa.Connection, edition: Edition) -> tuple[Edition, Config]:
    """A rescan may have ended since `edition` was asked for: bytes and digest must be of one configuration."""
    now = edition if editions.generation(connection) == edition.generation else editions.edition(connection)
    if now.config is None:
        raise AddressError("nothing is published yet")
    return now, now.config


def _document(
    now: Edition, config: Config, row: FeedState, format: Format, body: bytes | None, query: str = "", *, closed: bool = False
) -> Document:
    base, hub = config.site.base_url, "" if urls.split_archive(row.path)[1] else config.hub_url  # the past is not pushed
    return Document(row.path, format, row.digest, row.changed, body, base, now.generation, query, closed, hub)


def find_volume(connection: sa.Connection, config: Config, path: str, changed: int) -> Volume | Elsewhere | Gone:
    """The archive document at `path`. Raises AddressError."""
    of, name = urls.split_archive(path)
    found = find(connection, config, of)
    if isinstance(found, Gone):
        return found
    if isinstance(found, Elsewhere):
        return Elsewhere(urls.archive_path(found.path, name))
    volume = documents.volume(connection, config, found.feed, name, changed)
    if volume is None:
        raise AddressError(f"no article of this feed is of {name}")
    return volume


def selected(
    connection: sa.Connection, edition: Edition, text: str, format: Format, known: Callable[[FeedState], bool] | None = None
) -> Document | Elsewhere:
    """The document of any selection. Raises SelectionError for what is none, AddressError where no term of it exists."""
    now, config = _now(connection, edition)
    found = find_selected(connection, config, text)
    if isinstance(found, Elsewhere):
        return found
    clauses = feeds.clauses_of(connection, config, found)
    row = documents.selected_state(connection, config, found, clauses, now.changed)
    body = None if known and known(row) else documents.render(connection, config, found, row, format)
    return replace(_document(now, config, row, format, body, found.query), groups=_groups(found, clauses))


def _groups(feed: Feed, clauses: Clauses) -> tuple[tuple[int, ...], ...]:
    """None while one of the names is no term: any rescan may make it one."""
    wanted = feed.selection
    names = sum(len(found) for part in (wanted.any, wanted.all) for found in part.values())
    return clauses.some if sum(map(len, clauses.some)) == names else ()


def find_selected(connection: sa.Connection, config: Config, text: str) -> Feed | Elsewhere:
    """The feed of a selection, if `text` is its canonical form. Raises as `selected`."""
    if not config.feeds.select.enabled:
        raise AddressError("selections are not offered as feeds here")
    wanted = selections.parse(text)
    if isinstance(wanted, str):
        return Elsewhere(f"{feeds.NAMED}/{wanted}", "")
    if not selections.clauses(wanted):
        return Elsewhere(feeds.ALL, "")
    found = queries.respell(connection, feeds.aliases_of(config), wanted)
    if not found.known:
        raise AddressError("no article has any of these terms")
    feed = feeds.selected_feed(config, found)
    return feed if feed.query == text else Elsewhere(feeds.SELECT, feed.query)


def page(connection: sa.Connection, config: Config, path: str, number: int | None = None) -> TermPage | Elsewhere | Gone:
    """A feed's page for people: its articles without bodies. Raises AddressError, also where no page has the number."""
    found = find(connection, config, path)
    if not isinstance(found, Found):
        return found
    count = found.state.articles
    last = urls.older_pages(count, PAGE)
    if number is not None and number > last:
        raise AddressError(f"/{path} has no page {number}")
    clauses = feeds.clauses_of(connection, config, found.feed)
    skip, limit = (0, count - last * PAGE) if number is None else (count - number * PAGE, PAGE)
    articles = queries.select(connection, clauses, Window(limit, skip=skip), with_html=False)
    known = _term_of(connection, config, found.feed)
    term = known.term if known else None
    sides = neighbours(number, last)
    if number is not None:  # it would change with every article if it named the newest volume, or counted anything
        return TermPage(found.feed, found.state, term, articles, number, *sides, "", None)
    history = documents.history_of(config, found.feed, found.state, articles).older
    portrait = portray(connection, config, known) if known else None
    return TermPage(found.feed, found.state, term, articles, number, *sides, history, portrait)


def neighbours(number: int | None, last: int) -> tuple[int | None, int | None]:
    """(older, newer) of a page, where numbered ones go up to `last`."""
    if number is None:
        return last or None, None
    return number - 1 or None, number + 1 if number < last else None


def volume_page(connection: sa.Connection, config: Config, path: str) -> VolumePage | Elsewhere | Gone:
    """An archive document's page for people. Raises AddressError."""
    found = find_volume(connection, config, path, 0)
    if not isinstance(found, Volume):
        return found
    return VolumePage(found, documents.articles_of(connection, config, found))


def home(connection: sa.Connection, config: Config) -> tuple[list[Article], dict[str, list[Term]], list[FeedState]]:
    """The newest articles, the most used terms of each facet, the operator's own feeds."""
    articles = queries.select(connection, queries.Clauses(), Window(NEWEST), with_html=False)
    top = {facet: terms(connection, config, facet, 24) for facet in feeds.enabled_facets(config)}
    paths = [f"feeds/{named.name}" for named in config.feeds.feeds]
    named = [row for path in paths if (row := documents.state_at(connection, path))]
    return articles, top, named


def find(connection: sa.Connection, config: Config, path: str) -> Found | Elsewhere | Gone:
    """Raises AddressError. `moved` and `gone` are asked first: the operator's word is above what the store holds."""
    if (answer := _retired(config, path)) is not None:
        target = feeds.feed_at(connection, config, answer.path) if isinstance(answer, Elsewhere) else None
        return Elsewhere(target.path) if target else answer
    feed = feeds.feed_at(connection, config, path)
    if feed is None:
        raise AddressError(f"no feed has the address /{path}")
    if feed.path != path:
        return _retired(config, feed.path) or Elsewhere(feed.path)
    row = documents.state_at(connection, path)
    if row is None:  # the configuration is newer than the rescan; the next one makes it
        raise AddressError(f"no feed has the address /{path} yet")
    return Found(feed, row)


def _retired(config: Config, path: str) -> Elsewhere | Gone | None:
    target = config.retired.get(urls.fold(path))
    if target is None:
        return None
    return Elsewhere(target) if target else Gone(path)


def terms(connection: sa.Connection, config: Config, facet: str, limit: int | None = None) -> list[Term]:
    """The terms of a facet that have a feed at their own address, most used first."""
    minimum = config.feeds.facet(facet).min_articles
    more = limit and limit + len(config.retired)
    found = [known.term for known in queries.terms_of(connection, facet, minimum, more)]
    return [term for term in found if urls.fold(term.path) not in config.retired][:limit]


def _term_of(connection: sa.Connection, config: Config, feed: Feed) -> KnownTerm | None:
    if not feed.facet:
        return None
    return queries.term_at(connection, feeds.aliases_of(config), feed.facet, feed.path.partition("/")[2])


# The feed builder's use cases: what a selection takes, and which terms there are to choose from.

PREVIEW = 10
#: Terms that a search offers.
OFFERED = 12


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that is no term, and the terms that may have been meant."""

    facet: str
    name: str
    similar: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """A selection as a feed would carry it. `term` where it is one term alone, which has a feed of its own."""

    feed: Feed
    articles: tuple[Article, ...]
    total: int
    unknown: tuple[Unknown, ...]
    term: Term | None


def build(connection: sa.Connection, config: Config, text: str) -> Built | Elsewhere | None:
    """What the selection `text` takes, if that is its canonical form; None for none at all.

    Raises SelectionError; AddressError where selections are not offered.
    """
    if not config.feeds.select.enabled:
        raise AddressError("selections are not offered as feeds here")
    wanted = selections.parse(text)
    if isinstance(wanted, str):
        return Elsewhere(f"{feeds.NAMED}/{wanted}", "")
    if not selections.clauses(wanted):
        return None
    found = queries.respell(connection, feeds.aliases_of(config), wanted)
    feed = feeds.selected_feed(config, found)
    if feed.query != text:
        return Elsewhere(feeds.SELECT, feed.query)
    clauses = feeds.clauses_of(connection, config, feed)
    return Built(
        feed,
        tuple(queries.select(connection, clauses, Window(PREVIEW), with_html=False)),
        queries.count(connection, clauses),
        tuple(Unknown(facet, name, tuple(queries.similar_terms(connection, facet, name))) for facet, name in found.unknown),
        _alone(config, found.selection, found.known),
    )


def _alone(config: Config, selection: Selection, known: tuple[Term, ...]) -> Term | None:
    names = [name for part in (selection.any, selection.all) for clause in part.values() for name in clause]
    alone = len(names) == len(known) == 1 and not selection.none
    return known[0] if alone and config.feeds.facet(known[0].facet).enabled else None


def search(connection: sa.Connection, facet: str, text: str) -> list[Term]:
    """Terms whose name has `text` in it, those that begin with it first; the most used ones where there is no text."""
    folded = urls.fold(text.strip())
    if not folded:
        return [known.term for known in queries.terms_of(connection, facet, limit=OFFERED)]
    found = queries.terms_containing(connection, facet, folded, 4 * OFFERED)
    return sorted(found, key=lambda term: not urls.fold(term.name).startswith(folded))[:OFFERED]


def most_used(connection: sa.Connection, limit: int) -> dict[str, list[Term]]:
    """Of every facet that articles have."""
    found = {facet: [known.term for known in queries.terms_of(connection, facet, limit=limit)] for facet in FACETS}
    return {facet: terms for facet, terms in found.items() if terms}


def states(connection: sa.Connection) -> list[tuple[FeedState, Selection]]:
    """Return every feed with its selection, in the order of `feeds list`; none before the first rescan."""
    config = editions.edition(connection).config
    if config is None:
        return []
    defined = {feed.path: feed.selection for feed, _known in feeds.every_feed(connection, config)}
    return [(row, defined.get(row.path, Selection())) for row in documents.states(connection)]
