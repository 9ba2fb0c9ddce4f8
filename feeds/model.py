"""The nouns. Frozen, no I/O, nothing imported from the rooms above.

Times are aware and in UTC; addresses are absolute; text is legal in XML; HTML is sanitised. The parse boundary
(`library.reading`) guarantees it, so nothing behind it checks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

MODES = ("any", "all", "not")


@dataclass(frozen=True, slots=True)
class Facet:
    """A way to group articles. `name` is the configuration's word, `plural` the folder in addresses."""

    name: str
    plural: str
    zh: str
    en: str


#: The table to extend for a new facet; everything else (addresses, pages, OPML, selections) follows it.
FACETS: Mapping[str, Facet] = {
    facet.name: facet
    for facet in (
        Facet("tag", "tags", "标签", "Tag"),
        Facet("translator", "translators", "译者", "Translator"),
        Facet("author", "authors", "作者", "Author"),
        Facet("selector", "selectors", "选题", "Selector"),
        Facet("reviewer", "reviewers", "校对", "Reviewer"),
        Facet("category", "categories", "分类", "Category"),
    )
}
PLURALS: Mapping[str, Facet] = {facet.plural: facet for facet in FACETS.values()}
PEOPLE = ("author", "selector", "translator", "reviewer")


@dataclass(frozen=True, slots=True)
class Term:
    """One value of a facet, in its canonical spelling. `slug` is its path segment, not yet percent-encoded."""

    facet: str
    name: str
    slug: str
    articles: int = 0

    @property
    def path(self) -> str:
        return f"{FACETS[self.facet].plural}/{self.slug}"


@dataclass(frozen=True, slots=True)
class ParsedArticle:
    """What one file says, made safe. `names` are spellings as written, by facet; `digest` covers every published field."""

    id: str
    url: str
    permalink: str
    title: str
    summary: str
    html: str
    published: datetime
    updated: datetime
    original: str
    picture: str
    comments: int
    editor_choice: bool
    names: Mapping[str, tuple[str, ...]]
    digest: str


@dataclass(frozen=True, slots=True)
class Article:
    """A published article as the catalog gives it: `terms` in canonical spelling, in the file's order within a facet.

    `position` orders articles (newest = highest) and is the cursor of `catalog.select`. `html` is empty where the caller
    asked for headings only.
    """

    id: str
    position: int
    url: str
    title: str
    summary: str
    html: str
    published: datetime
    updated: datetime
    original: str
    picture: str
    comments: int
    editor_choice: bool
    terms: tuple[Term, ...]

    def of(self, facet: str) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if term.facet == facet)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file could not become an article: a row in quarantine. Never quotes the file's text."""

    path: str
    line: int
    column: int
    reason: str
    kind: str = "content"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which articles someone wants. For each facet: any of these names, all of those, none of these; every clause must hold.

    The empty selection is every article. Names are as written; the catalog folds them.
    """

    any: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    all: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    none: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The form of `feeds.yaml` and of `feeds list --json`."""
        plain: dict[str, object] = {facet: list(names) for facet, names in self.any.items()}
        for word, clauses in (("all", self.all), ("not", self.none)):
            if clauses:
                plain[word] = {facet: list(names) for facet, names in clauses.items()}
        return plain


@dataclass(frozen=True, slots=True)
class Feed:
    """A selection with a title, a limit and a content policy (`full` or `summary`). `id` never changes."""

    path: str
    id: str
    title: str
    subtitle: str
    selection: Selection
    limit: int
    content: str
    facet: str = ""


@dataclass(frozen=True, slots=True)
class FeedState:
    """What the last rescan knew of a feed: `digest` decides its ETag, `changed` (UTC seconds) its Last-Modified."""

    path: str
    title: str
    articles: int
    updated: datetime
    digest: str
    changed: int


@dataclass(frozen=True, slots=True)
class RescanReport:
    """What one rescan did; `articles` is the size of the catalog afterwards."""

    articles: int
    added: int
    changed: int
    removed: int
    unchanged: int
    quarantined: int
    seconds: float
    renamed: int = 0
    feeds_changed: int = 0
