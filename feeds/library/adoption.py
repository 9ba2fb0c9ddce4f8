"""Whose feed a term goes on with where an alias has made several terms one: that of the spelling that was published first.

Which one that is, the term's oldest article says. It is decided when the aliases change, or with the term's first articles, and
then kept: nothing that is published later changes the id of a feed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from .. import addresses
from ..database import articles, memberships, terms
from .vocabulary import Names

Place = tuple[str, str]  # facet, folded name


def differing(before: Names, after: Names) -> Iterator[Place]:
    """The terms that other spellings belong to now than before."""
    for facet in sorted(before.aliases.keys() | after.aliases.keys()):
        old, new = before.sources(facet), after.sources(facet)
        yield from ((facet, folded) for folded in sorted(old.keys() | new.keys()) if old.get(folded) != new.get(folded))


def settle(connection: sa.Connection, names: Names, due: Iterable[Place]) -> None:
    """Decide for some terms. Call it when memberships and terms are written."""
    query = sa.select(terms.c.facet, terms.c.folded).where(terms.c.adopted != "")
    adopting = {(facet, folded) for facet, folded in connection.execute(query)}
    sources = {facet: names.sources(facet) for facet in names.aliases}
    for facet, folded in due:
        if folded not in sources.get(facet, {}) and (facet, folded) not in adopting:
            continue  # it has no other names, as nearly all
        term = connection.execute(sa.select(terms).where(terms.c.facet == facet, terms.c.folded == folded)).first()
        if term is not None:
            adopted = _adopted(connection, names, term.key, facet, folded)
            connection.execute(sa.update(terms).where(terms.c.key == term.key).values(adopted=adopted))


def _adopted(connection: sa.Connection, names: Names, key: int, facet: str, folded: str) -> str:
    """The first slug of the term whose feed goes on, "" for the term's own."""
    sources = names.sources(facet).get(folded, frozenset())
    written = {addresses.fold(name): name for name in _oldest(connection, key).get(facet, ())}
    candidates = sorted(written.keys() & sources)
    if folded in written or not candidates:
        return ""
    eldest = candidates[0]
    query = sa.select(terms.c.feed_path).where(terms.c.facet == facet, terms.c.folded == eldest)
    # A catalog made anew has never met the other term by itself: it was called what the oldest article calls it.
    return str(connection.execute(query).scalar() or addresses.slug(written[eldest]))


def _oldest(connection: sa.Connection, key: int) -> dict[str, list[str]]:
    """The names of the term's oldest article, as they are written."""
    query = (
        sa.select(articles.c.names)
        .join(memberships, memberships.c.article_key == articles.c.key)
        .where(memberships.c.term_key == key)
        .order_by(memberships.c.position)
        .limit(1)
    )
    found: dict[str, list[str]] = json.loads(connection.execute(query).scalar() or "{}")
    return found
