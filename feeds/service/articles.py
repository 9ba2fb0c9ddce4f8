"""An article's page: the article, and where to read on."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .. import addresses
from ..library import catalog, relation
from ..library.body import opens_with_picture, opens_with_summary
from ..model import Article


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """An article, what its body does not already open with, and what belongs beside it, without bodies.

    `older` and `newer` are the articles published before and after it.
    """

    article: Article
    show_picture: bool
    show_summary: bool
    older: Article | None
    newer: Article | None
    related: tuple[Article, ...]


def article(connection: sa.Connection, slug: str) -> ArticlePage | None:
    """By the slug that its address has."""
    key = catalog.key_of(connection, addresses.unslug(slug)) or catalog.key_of(connection, slug)
    if key is None:
        return None
    (found,) = catalog.load(connection, [key])
    older, newer = relation.neighbours(connection, found.position)
    related = relation.related_to(connection, key, found.position)
    wanted = sorted({*related, *(other for other in (older, newer) if other is not None)})
    beside = dict(zip(wanted, catalog.load(connection, wanted, with_html=False), strict=True))
    return ArticlePage(
        found,
        show_picture=bool(found.picture) and not opens_with_picture(found.html, found.picture),
        show_summary=bool(found.summary) and not opens_with_summary(found.html, found.summary),
        older=beside.get(older or 0),
        newer=beside.get(newer or 0),
        related=tuple(beside[one] for one in related),
    )
