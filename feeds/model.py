"""Define the nouns of the program. Frozen, no I/O, nothing imported from the packages above.

Times are aware and in UTC; addresses are absolute; text is legal in XML; HTML is sanitised. The parse boundary
(`store.parse`) guarantees it, so nothing behind it checks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

MODES = ("any", "all", "not")


@dataclass(frozen=True, slots=True)
class Facet:
    """A way to group articles. `name` is the configuration's word, `plural` the folder in addresses.

    `fields` are the header fields that carry an article's names; the first one with a value counts. `style` says how to read
    it: `plain` (each text is one name), `commas` (a text may list several), `person` (one name, links and markup removed) or
    `people` (several in one text, likewise). `credit` is the place of a person's role in credits; 0: the terms are categories,
    not people.
    """

    name: str
    plural: str
    zh: str
    en: str
    fields: tuple[str, ...]
    style: Literal["plain", "commas", "person", "people"] = "plain"
    credit: int = 0

    def label(self, *, chinese: bool) -> str:
        """Return what readers of a site in Chinese, or in another language, call it."""
        return self.zh if chinese else self.en


#: The table to extend for a new facet; everything else (parsing, addresses, pages, OPML, selections) follows it.
FACETS: Mapping[str, Facet] = {
    facet.name: facet
    for facet in (
        Facet("tag", "tags", "标签", "Tag", ("tags", "tag"), "commas"),
        Facet("translator", "translators", "译者", "Translator", ("translator",), "people", credit=3),
        Facet("author", "authors", "作者", "Author", ("author", "authors"), "person", credit=1),
        Facet("selector", "selectors", "选题", "Selector", ("selector",), "people", credit=2),
        Facet("reviewer", "reviewers", "校对", "Reviewer", ("reviewer",), "people", credit=4),
        Facet("category", "categories", "分类", "Category", ("category", "categories")),
        Facet("language", "languages", "语言", "Language", ("lang", "language")),
        Facet("series", "series", "系列", "Series", ("series",)),
    )
}
PLURALS: Mapping[str, Facet] = {facet.plural: facet for facet in FACETS.values()}
#: Facets whose terms are people, in the order of credits.
PEOPLE = tuple(sorted((name for name, facet in FACETS.items() if facet.credit), key=lambda name: FACETS[name].credit))
#: How often a digest may come.
FREQUENCIES = ("daily", "weekly", "monthly")


@dataclass(frozen=True, slots=True)
class Term:
    """A value of a facet, in its canonical spelling. `slug` is its path segment, not yet percent-encoded."""

    facet: str
    name: str
    slug: str
    articles: int = 0

    @property
    def path(self) -> str:
        """The path of the term's feed and page."""
        return f"{FACETS[self.facet].plural}/{self.slug}"


@dataclass(frozen=True, slots=True)
class MediaFile:
    """An audio or video file of an article: its address and media type; bytes and seconds, 0 where they are not known."""

    url: str
    type: str
    length: int = 0
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Details:
    """What few articles say. `licence` and `licence_url` are as in `licences.Licence`; `discussion` is the address of comments.

    `transcript` and `artwork` (a picture of an episode) are addresses, as those of `media`; `explicit` is "yes", "no" or "";
    `episode` and `season` are numbers, 0 for none.
    """

    licence: str = ""
    licence_url: str = ""
    discussion: str = ""
    media: tuple[MediaFile, ...] = ()
    transcript: str = ""
    artwork: str = ""
    explicit: str = ""
    episode: int = 0
    season: int = 0


#: Of nearly all articles.
NO_DETAILS = Details()


@dataclass(frozen=True, slots=True)
class ParsedArticle:
    """What a file says, made safe. `names` are spellings as written, by facet; `digest` covers every published field.

    It names no host of the site: `url` is the path of the article's page in this service, `picture` may be relative, and `html`
    has marks; `store.addresses` completes all three. Translations of one article share `translation`, "" where the language is
    not known. `changes`: what was left out of the body or mended in it -> how often. `part` orders its series,
    `pinned` says how far to the front of lists it wants (the most comes first), both 0 for none. Addresses of `details` are as
    `picture`. `source`, in no digest, is the body's Markdown as programs get it, compressed by zlib; b"" where they get `html`.
    """

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
    translation: str = ""
    changes: Mapping[str, int] = field(default_factory=dict)
    in_feeds: bool = True
    in_digests: bool = True
    pinned: int = 0
    part: int = 0
    details: Details = NO_DETAILS
    source: bytes = b""

    @property
    def language(self) -> str:
        """The language tag of the article, "" where it is not known."""
        return next(iter(self.names.get("language", ())), "")


@dataclass(frozen=True, slots=True)
class Article:
    """A published article: `terms` in canonical spelling, in the file's order within a facet.

    `position` orders articles (newest = highest) and is the cursor of `catalog.select`; 0 for a page, which is in no feed.
    `html` is "" where only headings were asked. `digest` covers all that shows of the article anywhere, its terms included.
    `language` is a tag, "" not known. `pinned` and `part` are as in `ParsedArticle`.
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
    digest: str
    language: str = ""
    pinned: int = 0
    part: int = 0
    details: Details = NO_DETAILS

    @property
    def part_number(self) -> float | None:
        """The number that the article gives itself in its series, whole where it is, None for none."""
        number = (self.part - 1) / 100
        return None if not self.part else int(number) if number.is_integer() else number

    def of(self, facet: str) -> tuple[Term, ...]:
        """Return the terms of one facet. Templates call it, operators' own among them."""
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
    """A selection of articles: by facet any of these names, all of those, none of these; every clause must hold.

    The empty selection is every article. Names are as written; the catalog folds them.
    """

    any: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    all: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    none: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def pairs(self) -> list[tuple[str, str]]:
        """Return (facet, name) of every name in the selection."""
        return [(facet, name) for part in (self.any, self.all, self.none) for facet in part for name in part[facet]]

    def renamed(self, change: Callable[[str, str], str]) -> Selection:
        """Return the same clauses with each name as `change(facet, name)` gives it."""
        parts = (self.any, self.all, self.none)
        return Selection(*({facet: tuple(change(facet, name) for name in part[facet]) for facet in part} for part in parts))

    def as_json(self) -> dict[str, object]:
        """Return the form of `feeds.yaml` and of `feeds list --json`."""
        plain: dict[str, object] = {facet: list(names) for facet, names in self.any.items()}
        for word, clauses in (("all", self.all), ("not", self.none)):
            if clauses:
                plain[word] = {facet: list(names) for facet, names in clauses.items()}
        return plain


@dataclass(frozen=True, slots=True)
class Feed:
    """A selection with a title, a limit and a content policy (`full` or `summary`). `id` never changes.

    `query` is that of its address, encoded, where the path does not say it all. `archive`: the period of its archive documents,
    `year`, `month` or "". `term`: key of the one term that it is the feed of, good in the snapshot that it was found in.
    """

    path: str
    id: str
    title: str
    subtitle: str
    selection: Selection
    limit: int
    content: str
    facet: str = ""
    query: str = ""
    archive: str = ""
    term: int | None = None


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
    """What one rescan did; `articles` is the size of the catalog afterwards, `held` those of them whose files are gone.

    `ignored`: hidden files, and what editors and the like leave behind.
    """

    articles: int
    added: int
    changed: int
    removed: int
    unchanged: int
    quarantined: int
    seconds: float
    renamed: int = 0
    feeds_changed: int = 0
    held: int = 0
    ignored: int = 0


# -- newsletter ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credit:
    """A person or tag as a digest names it: its page and its feed, "" without one."""

    name: str
    url: str = ""
    feed: str = ""


@dataclass(frozen=True, slots=True)
class IssueArticle:
    """An article as it was when its issue was planned. `published` in UTC seconds.

    `language` is a tag, "" for the site's; `licence`, by its page, is its own where that is another than the site's.
    `discussion` is the address of its comments; `media` its first sound or film, called by its media type.
    """

    id: str
    url: str
    title: str
    summary: str
    picture: str
    published: int
    original: str
    editor_choice: bool
    authors: tuple[Credit, ...] = ()
    translators: tuple[Credit, ...] = ()
    tags: tuple[Credit, ...] = ()
    series: tuple[Credit, ...] = ()
    language: str = ""
    licence: Credit | None = None
    discussion: str = ""
    media: Credit | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """One digest of one period, `due` in UTC seconds; `timezone` is that of the cohort that it was first planned for.

    `status`: open | paused | cancelled | done. `articles` is how many are new in all.
    """

    key: int
    id: str
    frequency: str
    due: int
    timezone: str
    status: str = "open"
    reason: str = ""
    articles: int = 0
    planned_at: int = 0


@dataclass(frozen=True, slots=True)
class IssueContent:
    """All that the messages of an issue are made of.

    `articles` by rank (editor's choice first, then the newest). `sections`: (reach, key of a selection) -> ranks.
    `queries`: key of a selection -> what it selects, as in an address (`tag=Linux`, `feed=kernel`).
    """

    issue: Issue
    articles: tuple[IssueArticle, ...]
    sections: Mapping[tuple[int, int], tuple[int, ...]]
    queries: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Section:
    """What one reader gets of one selection: ranks shown, and how many more there are."""

    selection: int
    ranks: tuple[int, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a message goes to, and what of the issue this reader gets. `version` is that of the links in it.

    `changed`: when this reader's choices were last changed (UTC seconds), 0 for never.
    """

    subscriber: int
    address: str
    language: str
    timezone: str
    version: int
    reach: int
    selections: tuple[int, ...]
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """Ready for a transport: CRLF line ends, not dot-stuffed. `sender` and `recipient` are the envelope's, in ASCII."""

    sender: str
    recipient: str
    message_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message. `status`: sent | retry | failed | uncertain. `reply`: the server's words, one line.

    `stage`: what the server answered with it: mail | recipient | data | body, or "".
    """

    status: str
    reply: str = ""
    stage: str = ""
