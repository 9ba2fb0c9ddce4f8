"""Which feeds there are: one of each term of an enabled facet, the operator's own, and /all. Pure but for looking terms up."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from .. import selections, urls
from ..catalog import queries
from ..catalog.queries import Clauses, KnownTerm, Respelled
from ..config.models import Config, NamedFeed
from ..model import FACETS, PLURALS, Feed, Selection
from ..selections import Aliases

ALL = "all"
NAMED = "feeds"
SELECT = "select"


def all_feed(config: Config) -> Feed:
    site = config.site
    subtitle = site.description or _words(config, f"{site.title} 的全部文章", f"All articles of {site.title}")
    id = urls.feed_id(site.id_authority, ALL)
    settings = config.feeds.all
    return Feed(
        ALL, id, site.title, subtitle, Selection(), settings.limit, config.feeds.content, archive=_period(settings.archive)
    )


def _period(setting: str) -> str:
    return "" if setting == "none" else setting


def named_feed(config: Config, named: NamedFeed) -> Feed:
    path = f"{NAMED}/{named.name}"
    return Feed(
        path=path,
        id=urls.feed_id(config.site.id_authority, f"{NAMED}/{named.permanent}"),
        title=f"{named.title} · {config.site.title}",
        subtitle=named.description or named.title,
        selection=named.select.selection(),
        limit=named.limit,
        content=named.content or config.feeds.content,
        archive=_period(named.archive),
    )


def term_feed(config: Config, known: KnownTerm) -> Feed:
    term = known.term
    facet = FACETS[term.facet]
    label = facet.zh if config.chinese else facet.en
    return Feed(
        path=term.path,
        id=urls.feed_id(config.site.id_authority, known.feed_path),
        title=f"{label}：{term.name} · {config.site.title}"
        if config.chinese
        else f"{label}: {term.name} · {config.site.title}",
        subtitle=_subtitle(config, term.facet, term.name),
        selection=Selection({term.facet: (term.name,)}),
        limit=config.feeds.facet(term.facet).limit,
        content=config.feeds.content,
        facet=term.facet,
        archive=_period(config.feeds.facet(term.facet).archive),
        term=known.key,
    )


def selected_feed(config: Config, found: Respelled) -> Feed:
    """The feed of any selection: its address is the canonical text, its id that of the names that never change."""
    site, title = config.site, selections.title(found.selection, chinese=config.chinese)
    return Feed(
        path=SELECT,
        id=urls.feed_id(site.id_authority, SELECT, selections.canonical(found.lasting)),
        title=f"{title} · {site.title}",
        subtitle=_words(config, f"{site.title}：{title}", f"{site.title}: {title}"),
        selection=found.selection,
        limit=config.feeds.select.limit,
        content=config.feeds.content,
        query=selections.canonical(found.selection),
    )


def _subtitle(config: Config, facet: str, name: str) -> str:
    zh = {"translator": f"{name} 翻译的文章", "author": f"{name} 撰写的文章", "reviewer": f"{name} 校对的文章"}
    en = {"translator": f"Articles translated by {name}", "author": f"Articles by {name}"}
    if config.chinese:
        return zh.get(facet, f"{FACETS[facet].zh}“{name}”下的文章")
    return en.get(facet, f"Articles under {FACETS[facet].en.lower()} {name}")


def _words(config: Config, zh: str, en: str) -> str:
    return zh if config.chinese else en


def enabled_facets(config: Config) -> list[str]:
    return [name for name in FACETS if config.feeds.facet(name).enabled]


def aliases_of(config: Config) -> Aliases:
    return Aliases.from_config(config.feeds.aliases)


def clauses_of(connection: sa.Connection, config: Config, feed: Feed) -> Clauses:
    """A feed's selection, resolved; in the snapshot that the feed was found in."""
    if feed.term is not None:
        return Clauses(((feed.term,),))
    return queries.resolve(connection, aliases_of(config), feed.selection)


def every_feed(connection: sa.Connection, config: Config) -> Iterator[tuple[Feed, KnownTerm | None]]:
    """All feeds, /all and named ones first."""
    yield all_feed(config), None
    for named in config.feeds.feeds:
        yield named_feed(config, named), None
    for facet in enabled_facets(config):
        for known in queries.terms_of(connection, facet, config.feeds.facet(facet).min_articles):
            yield term_feed(config, known), known


def is_offered(config: Config, known: KnownTerm) -> bool:
    settings = config.feeds.facet(known.term.facet)
    return settings.enabled and known.term.articles >= settings.min_articles


def feed_at(connection: sa.Connection, config: Config, path: str) -> Feed | None:
    """The feed that an address means, in any spelling; its `path` is the canonical one. None if there is none."""
    folder, _, rest = path.partition("/")
    if not rest:
        return all_feed(config) if folder.casefold() == ALL else None
    if folder.casefold() == NAMED:
        for named in config.feeds.feeds:
            if named.name.casefold() == rest.casefold():
                return named_feed(config, named)
        return None
    facet = PLURALS.get(folder.casefold())
    known = queries.term_at(connection, aliases_of(config), facet.name, rest) if facet else None
    return term_feed(config, known) if known is not None and is_offered(config, known) else None
