"""All terms of a facet, a page at a time: by use or by name, all or those with some text in their name."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from .. import addresses
from ..library import collation
from ..library.finding import plain
from ..model import Term

PAGE = 200
SORTS = ("count", "name")


@dataclass(frozen=True, slots=True)
class Directory:
    """`groups`: the terms of this page, under the letters that they begin with where they are in the order of names.

    `total` is how many terms were found, `pages` how many pages they take; `text` is what was looked for.
    """

    groups: tuple[tuple[str, tuple[Term, ...]], ...]
    total: int
    everything: int
    sort: str
    text: str
    page: int
    pages: int


def arrange(terms: Sequence[Term], sort: str, text: str, page: int, size: int = PAGE) -> Directory:
    """One page of `terms`, which come most used first; the last page where there are not so many."""
    text = plain(text)
    found = [term for term in terms if addresses.fold(text) in addresses.fold(term.name)] if text else list(terms)
    if sort == "name":
        found.sort(key=lambda term: collation.key(term.name))
    pages = max(1, -(-len(found) // size))
    page = min(page, pages)
    shown = found[(page - 1) * size : page * size]
    return Directory(_grouped(shown, sort), len(found), len(terms), sort, text, page, pages)


def _grouped(terms: Sequence[Term], sort: str) -> tuple[tuple[str, tuple[Term, ...]], ...]:
    if sort != "name":
        return (("", tuple(terms)),) if terms else ()
    groups = itertools.groupby(terms, key=lambda term: collation.initial(term.name))
    return tuple((letter, tuple(inside)) for letter, inside in groups)
