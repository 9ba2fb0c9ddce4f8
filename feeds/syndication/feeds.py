"""Define the feeds of a site, and divide the history of a feed into archive documents.

There is one feed of each term of an enabled facet, one of each entry under `feeds` in the configuration, one of any selection,
and `/all`. Nothing here reads articles; terms are looked up where a feed depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from .. import selections, urls
from ..catalog import listing, queries
from ..catalog.queries import Clauses, KnownTerm, Respelled
from ..model import FACETS, PLURALS, Feed, Selection, Term
from ..selections import Aliases

if TYPE_CHECKING:
    from ..config.models import Archive, Config, NamedFeed

ALL = "all"
NAMED = "feeds"
SELECT = "select"


def all_feed(config: Config) -> Feed:
    """Return the feed of all articles."""
    site, settings = config.site, config.feeds.all
    subtitle = f"{site.title} 的全部文章" if config.chinese else f"All articles of {site.title}"
    return Feed(
        path=ALL,
        id=urls.feed_id(site.id_authority, ALL),
        title=site.title,
        subtitle=site.description or subtitle,
        selection=Selection(),
        limit=settings.limit,
        content=config.feeds.content,
        archive=_archive(config, settings.archive),
    )


def named_feed(config: Config, named: NamedFeed) -> Feed:
    """Return a feed of the configuration. Its id keeps the name that it was first published under."""
    return Feed(
        path=f"{NAMED}/{named.name}",
        id=urls.feed_id(config.site.id_authority, f"{NAMED}/{named.permanent}"),
        title=f"{named.title} · {config.site.title}",
        subtitle=named.description or named.title,
        selection=named.select.selection(),
        limit=named.limit,
        content=named.content or config.feeds.content,
        archive=_archive(config, named.archive),
    )


def term_feed(config: Config, known: KnownTerm) -> Feed:
    """Return the feed of one term. Its id keeps the spelling that it was first published under."""
    term, facet, settings = known.term, FACETS[known.term.facet], config.feeds.facet(known.term.facet)
    name, label = term.name, facet.label(chinese=config.chinese)
    zh = {"translator": f"{name} 翻译的文章", "author": f"{name} 撰写的文章", "reviewer": f"{name} 校对的文章"}
    en = {"translator": f"Articles translated by {name}", "author": f"Articles by {name}"}
    if config.chinese:
        title, subtitle = f"{label}：{name}", zh.get(facet.name, f"{label}“{name}”下的文章")
    else:
        title, subtitle = f"{label}: {name}", en.get(facet.name, f"Articles under {label.lower()} {name}")
    return Feed(
        path=term.path,
        id=urls.feed_id(config.site.id_authority, known.feed_path),
        title=f"{title} · {config.site.title}",
        subtitle=subtitle,
        selection=Selection({term.facet: (name,)}),
        limit=settings.limit,
        content=config.feeds.content,
        facet=term.facet,
        archive=_archive(config, settings.archive),
        term=known.key,
    )


def selection_feed(config: Config, found: Respelled) -> Feed:
    """Return the feed of any selection: its address is the canonical text, its id that of the names that never change."""
    site, title = config.site, selections.title(found.selection, chinese=config.chinese)
    return Feed(
        path=SELECT,
        id=urls.feed_id(site.id_authority, SELECT, selections.canonical(found.lasting)),
        title=f"{title} · {site.title}",
        subtitle=f"{site.title}：{title}" if config.chinese else f"{site.title}: {title}",
        selection=found.selection,
        limit=config.feeds.select.limit,
        content=config.feeds.content,
        query=selections.canonical(found.selection),
    )


def _archive(config: Config, unit: Archive) -> str:
    """Return what an archive document of a feed holds, "" for a feed without archives."""
    return unit.removeprefix("none") if config.feeds.archives else ""


def enabled_facets(config: Config) -> list[str]:
    """Return the facets whose terms have feeds, in the order of the table."""
    return [name for name in FACETS if config.feeds.facet(name).enabled]


def aliases_of(config: Config) -> Aliases:
    """Return the aliases of the configuration, followed to their ends."""
    return Aliases.from_config(config.feeds.aliases)


def resolve_clauses(connection: sa.Connection, config: Config, feed: Feed, out: tuple[int, ...] | None = None) -> Clauses:
    """Return a feed's selection in keys of terms. Call it in the snapshot that the feed was found in.

    `out`: `listing.articles_out_of_feeds`, where it is known.
    """
    out = listing.articles_out_of_feeds(connection) if out is None else out
    found = resolve_listed(connection, config, feed)
    return listing.without_articles(connection, found, out) if out else found


def resolve_listed(connection: sa.Connection, config: Config, feed: Feed) -> Clauses:
    """Return the selection of a feed's page, which has the articles that are in no feed, too."""
    if feed.term is not None:
        return Clauses(((feed.term,),))
    return queries.resolve(connection, aliases_of(config), feed.selection)


def list_feeds(connection: sa.Connection, config: Config) -> Iterator[tuple[Feed, KnownTerm | None]]:
    """Yield every feed, and its term where it is a term's: /all first, then the named ones, then facet by facet."""
    yield all_feed(config), None
    for named in config.feeds.feeds:
        yield named_feed(config, named), None
    for facet in enabled_facets(config):
        for known in queries.terms_of(connection, facet, config.feeds.facet(facet).min_articles):
            yield term_feed(config, known), known


def is_offered(config: Config, known: KnownTerm) -> bool:
    """Return whether a term has a feed: its facet is enabled, and it has enough articles."""
    settings = config.feeds.facet(known.term.facet)
    return settings.enabled and known.term.articles >= settings.min_articles


def offered_terms(connection: sa.Connection, config: Config, facet: str, limit: int | None = None) -> list[Term]:
    """Return the terms of a facet that have a feed at their own address, the most used first."""
    retired = config.retired
    found = queries.terms_of(connection, facet, config.feeds.facet(facet).min_articles, limit and limit + len(retired))
    return [known.term for known in found if not retired or urls.fold(known.term.path) not in retired][:limit]


def parse_path(connection: sa.Connection, config: Config, path: str) -> tuple[Feed, KnownTerm | None] | None:
    """Return the feed that an address means, in any spelling, and its term where it is a term's; None where it means nothing.

    The feed's own `path` is the canonical one.
    """
    folder, _, rest = path.partition("/")
    if not rest:
        return (all_feed(config), None) if folder.casefold() == ALL else None
    if folder.casefold() == NAMED:
        named = (one for one in config.feeds.feeds if one.name.casefold() == rest.casefold())
        return next(((named_feed(config, one), None) for one in named), None)
    facet = PLURALS.get(folder.casefold())
    known = queries.term_at(connection, aliases_of(config), facet.name, rest) if facet else None
    return (term_feed(config, known), known) if known is not None and is_offered(config, known) else None


# -- archive periods -------------------------------------------------------
#
# The whole history of a feed in documents of fixed periods: archived feeds of RFC 5005, section 4. A period is a year or a
# month of the site's time zone; an article is in the period of its date, so an added article changes one document and moves no
# other. A period is closed once the feed has an article in a later one: from then on its bytes stay, except for what happens to
# its own articles. The youngest period is open: linked like the others, so that a walk from the feed meets every article, and
# not marked as an archive, so that no reader keeps it for good.

_PERIOD_NAMES = {"year": re.compile(r"\d{4}"), "month": re.compile(r"\d{4}-(0[1-9]|1[0-2])")}


@dataclass(frozen=True, slots=True)
class ArchivePeriod:
    """A year or month of a feed's history, from `first` to before `end` (UTC seconds). `name` ends its address: 2016-05."""

    name: str
    first: int
    end: int

    def path(self, feed: Feed) -> str:
        """Return the path of the archive document of this period."""
        return urls.archive_path(feed.path, self.name)


@dataclass(frozen=True, slots=True)
class AdjacentPeriods:
    """The periods with articles before and after one; a period without a younger one is still open."""

    older: ArchivePeriod | None
    younger: ArchivePeriod | None

    @property
    def closed(self) -> bool:
        """Whether the period between them takes no more articles."""
        return self.younger is not None


def parse_period(unit: str, name: str, zone: ZoneInfo) -> ArchivePeriod | None:
    """Return the period that the end of an address names; None where a feed archived by `unit` has none of that name.

    >>> parse_period("month", "2016-12", ZoneInfo("UTC"))
    ArchivePeriod(name='2016-12', first=1480550400, end=1483228800)
    >>> parse_period("year", "2016-12", ZoneInfo("UTC"))
    """
    pattern = _PERIOD_NAMES.get(unit)
    if pattern is None or not pattern.fullmatch(name) or not 1 <= int(name[:4]) <= 9998:
        return None
    year, month = int(name[:4]), int(name[5:] or 1)
    after = (year + 1, 1) if unit == "year" or month == 12 else (year, month + 1)
    first, end = (int(datetime(*start, 1, tzinfo=zone).timestamp()) for start in ((year, month), after))
    return ArchivePeriod(name, first, end)


def period_name(unit: str, published: int, zone: ZoneInfo) -> str:
    """Return the name of the period of an instant (UTC seconds)."""
    local = datetime.fromtimestamp(published, zone)
    return f"{local.year:04}" if unit == "year" else f"{local.year:04}-{local.month:02}"


def period_of(unit: str, published: int | None, zone: ZoneInfo) -> ArchivePeriod | None:
    """Return the period of an instant (UTC seconds), None for none."""
    return None if published is None else parse_period(unit, period_name(unit, published, zone), zone)
