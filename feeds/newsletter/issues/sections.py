"""Decide which articles selections take, which of them one reader gets, and under which headings. Pure.

Invariant: the same content and selections give the same sections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import selections
from ...errors import AddressError
from ...model import FACETS, Article, IssueContent, Section, Selection

if TYPE_CHECKING:
    from ...config.models import Config


def resolve_selection(config: Config, query: str) -> Selection | None:
    """Return the selection that a subscriber's query means; None for a feed that the operator has taken away."""
    try:
        found = selections.parse(query)
    except AddressError:
        return None
    if isinstance(found, Selection):
        return found
    feed = config.named(found)
    return feed.select.selection() if feed else None


class ArticleMatcher:
    """Some articles, by rank, and which of them a subscriber's queries take."""

    def __init__(self, config: Config, articles: Sequence[Article]) -> None:
        self._config, self._aliases = config, selections.Aliases.from_config(config.feeds.aliases)
        self._terms = [selections.term_keys(article) for article in articles]

    def ranks(self, query: str) -> tuple[int, ...]:
        """Return the ranks of the articles that a query takes, in order; none for a feed that is gone."""
        selection = resolve_selection(self._config, query)
        if selection is None:
            return ()
        condition = selections.condition(selection, self._aliases)
        return tuple(rank for rank, terms in enumerate(self._terms) if selections.matches(condition, terms))


def arrange_sections(content: IssueContent, reach: int, chosen: Sequence[int], limit: int) -> tuple[Section, ...]:
    """Return the sections of a reader who has come to `reach` and has `chosen` selections (keys), in the reader's order.

    Each article stands once, in its first section; at most `limit` in all, the others are counted in `more`. Ranks stay in
    their order (editor's choice, then the newest). A selection with nothing new has no section; one that the limit leaves
    nothing for still has, so that its articles are counted.
    """
    seen: set[int] = set()
    new: dict[int, list[int]] = {}
    for key in dict.fromkeys(chosen):
        if ranks := [rank for rank in content.sections.get((reach, key), ()) if rank not in seen]:
            new[key] = sorted(ranks)
            seen.update(ranks)
    shares, left = dict.fromkeys(new, 0), limit
    # Room as even as the sizes allow; what does not divide goes to those in front.
    while left > 0 and (unfilled := [key for key, ranks in new.items() if shares[key] < len(ranks)]):
        each = max(1, left // len(unfilled))
        for key in unfilled:
            given = min(each, len(new[key]) - shares[key], left)
            shares[key] += given
            left -= given
    return tuple(Section(key, tuple(ranks[: shares[key]]), len(ranks) - shares[key]) for key, ranks in new.items())


def title_and_page(config: Config, query: str, language: str) -> tuple[str, str, str]:
    """Return what a selection is called, and the path and the query string of its page ("" where the site has none).

    A query that no longer parses, or names a feed that is gone, is its own title.
    """
    try:
        found = selections.parse(query)
    except AddressError:
        return query, "", ""
    if isinstance(found, str):
        feed = config.named(found)
        return (feed.title, f"feeds/{feed.name}", "") if feed else (found, "", "")
    facets = [facet for facet in FACETS if config.feeds.facet(facet).enabled]
    path, own = selections.page(found, facets=facets, builder=config.feeds.select.enabled)
    return selections.title(found, chinese=language == "zh-CN"), path, own
