"""The feed builder's use cases: what a selection takes, and which terms there are to choose from."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .. import addresses, selections
from ..config import Config
from ..errors import AddressError
from ..library import catalog
from ..model import FACETS, Article, Feed, Selection, Term
from ..syndication import definitions
from .reading import Elsewhere

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
        return Elsewhere(f"{definitions.NAMED}/{wanted}", "")
    if not selections.clauses(wanted):
        return None
    found = catalog.respell(connection, definitions.names_of(config), wanted)
    feed = definitions.selected_feed(config, found)
    if feed.query != text:
        return Elsewhere(definitions.SELECT, feed.query)
    clauses = definitions.clauses_of(connection, config, feed)
    return Built(
        feed,
        tuple(catalog.select(connection, clauses, PREVIEW, with_html=False)),
        catalog.count(connection, clauses),
        tuple(Unknown(facet, name, tuple(catalog.similar(connection, facet, name))) for facet, name in found.unknown),
        _alone(config, found.selection, found.known),
    )


def _alone(config: Config, selection: Selection, known: tuple[Term, ...]) -> Term | None:
    names = [name for part in (selection.any, selection.all) for clause in part.values() for name in clause]
    alone = len(names) == len(known) == 1 and not selection.none
    return known[0] if alone and config.feeds.facet(known[0].facet).enabled else None


def search(connection: sa.Connection, facet: str, text: str) -> list[Term]:
    """Terms whose name has `text` in it, those that begin with it first; the most used ones where there is no text."""
    folded = addresses.fold(text.strip())
    if not folded:
        return [known.term for known in catalog.terms_of(connection, facet, limit=OFFERED)]
    found = catalog.containing(connection, facet, folded, 4 * OFFERED)
    return sorted(found, key=lambda term: not addresses.fold(term.name).startswith(folded))[:OFFERED]


def most_used(connection: sa.Connection, limit: int) -> dict[str, list[Term]]:
    """Of every facet that articles have."""
    found = {facet: [known.term for known in catalog.terms_of(connection, facet, limit=limit)] for facet in FACETS}
    return {facet: terms for facet, terms in found.items() if terms}
