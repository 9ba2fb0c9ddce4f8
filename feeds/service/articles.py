"""An article's page: the article, and where to read on."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .. import addresses
from ..library import catalog, relation
from ..library.body import opens_with_picture, opens_with_summary
from ..library.relation import Place, Vicinity
from ..model import Article, Term
from ..syndication import definitions, documents


@dataclass(frozen=True, slots=True)
class Turn:
    """The articles before and after in the order of time: of all, or of those of one term."""

    term: Term | None
    older: Article | None
    newer: Article | None


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """An article, what its body does not already open with, and what belongs beside it, without bodies."""

    article: Article
    show_picture: bool
    show_summary: bool
    turns: tuple[Turn, ...] = ()
    related: tuple[Article, ...] = ()


def article(connection: sa.Connection, slug: str) -> ArticlePage | None:
    """By the slug that its address has."""
    key = catalog.key_of(connection, addresses.unslug(slug)) or catalog.key_of(connection, slug)
    if key is None:
        return None
    (found,) = catalog.load(connection, [key])
    turns, related = _beside(connection, key, found)
    return ArticlePage(
        found,
        show_picture=bool(found.picture) and not opens_with_picture(found.html, found.picture),
        show_summary=bool(found.summary) and not opens_with_summary(found.html, found.summary),
        turns=turns,
        related=related,
    )


def _beside(connection: sa.Connection, key: int, own: Article) -> tuple[tuple[Turn, ...], tuple[Article, ...]]:
    row = documents.state_at(connection, definitions.ALL)
    near = relation.vicinities(connection, key, own.position, row.articles if row else 1)
    sides: list[tuple[Term | None, Place | None, Place | None]] = [(None, *relation.neighbours(connection, own.position))]
    sides += [(term, *_nearest(one)) for term, one in zip(own.of("tag")[:1], near, strict=False)]
    related = relation.related(own.position, near)
    wanted = {place[1] for _term, *places in sides for place in places if place} | set(related)
    found = dict(zip(sorted(wanted), catalog.load(connection, sorted(wanted), with_html=False), strict=True))
    turns = [Turn(term, older and found[older[1]], newer and found[newer[1]]) for term, older, newer in sides]
    return tuple(turn for turn in turns if turn.older or turn.newer), tuple(found[one] for one in related)


def _nearest(near: Vicinity) -> tuple[Place | None, Place | None]:
    return near.older[0] if near.older else None, near.newer[0] if near.newer else None
