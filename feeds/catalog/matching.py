"""Which of some articles a selection takes, without asking the database: for a few articles and very many selections. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .. import urls
from ..model import Article, Selection
from .terms import Names


class Matcher:
    """Articles by their terms. Indexes are those of the sequence given."""

    def __init__(self, articles: Sequence[Article], aliases: Mapping[str, Mapping[str, str]]) -> None:
        self._names = Names.of(aliases)
        self._every = frozenset(range(len(articles)))
        self._by_term: dict[tuple[str, str], set[int]] = {}
        for index, article in enumerate(articles):
            for term in article.terms:
                self._by_term.setdefault((term.facet, urls.fold(term.name)), set()).add(index)

    def take(self, selection: Selection) -> tuple[int, ...]:
        """Indexes of the articles for which every clause holds, in order."""
        found: Iterable[int] = self._every
        for facet, names in selection.any.items():
            found = self._some(facet, names) & set(found)
        for facet, names in selection.all.items():
            for name in names:
                found = self._some(facet, (name,)) & set(found)
        for facet, names in selection.none.items():
            found = set(found) - self._some(facet, names)
        return tuple(sorted(found))

    def _some(self, facet: str, names: Iterable[str]) -> set[int]:
        found: set[int] = set()
        for name in names:
            folded = urls.fold(self._names.resolve(facet, name.strip()))
            found |= self._by_term.get((facet, folded), set())
        return found
