"""What parsing takes and gives: what is known of a file before it is read, and what it is then."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from ..model import ParsedArticle, Problem
from .assets.opening import Asset
from .verdict import PUBLISHED, Verdict
from .walk import Stamp


@dataclass(frozen=True, slots=True)
class Reading:
    """What the bytes of one file are: `result` is None for what is no article, as `verdict` says.

    `seen` (UTC seconds): when it was first seen, for a file that says no date. `names_id`: its id is not made of its path.
    `notices`: what could not be used. `aliases`: addresses that it had before. `unused`: header fields that nothing reads.
    """

    result: ParsedArticle | Problem | None
    verdict: Verdict
    seen: int | None = None
    names_id: bool = True
    notices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    page: ParsedArticle | None = None
    assets: tuple[Asset, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file as it was read. `settled` is False while it may still be being written, or was unreadable.

    `assets`: the files that its article or page refers to.
    `words`: those that its article is found by (`search_words.article_words`).
    """

    path: str
    stamp: Stamp
    result: ParsedArticle | Problem | None
    settled: bool = True
    verdict: Verdict = PUBLISHED
    seen: int | None = None
    names_id: bool = True
    notices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    page: ParsedArticle | None = None
    assets: tuple[Asset, ...] = ()
    words: str = ""


#: A file as young as this may change again within the resolution of its time stamp; the next rescan reads it once more.
UNSETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class FileDates:
    """UTC seconds of the first and the last commit of a file, None where no commit says; and what the catalog knows of it.

    `known_as`: the id of the article that the file is, or was before its name changed in nothing but case; "" for none.
    `seen`: when the file was first seen, or the time that its article has had so far. `bundles`: folders around
    it that are one article.
    """

    first: int | None = None
    last: int | None = None
    known_as: str = ""
    seen: int | None = None
    bundles: frozenset[str] = frozenset()

    def changed(self, when: int) -> FileDates:
        """Return the dates after a commit at `when` that changed the file."""
        return dataclasses.replace(self, last=max(when, self.last or when))


UNDATED = FileDates()
NO_DATES: Mapping[str, FileDates] = {}
