"""Kinds of stores: what each generator of sites means by an article, as one table, and what its own configuration adds to it.

A kind is a row of `KINDS`. `generators.find_site` chooses it and reads the configuration; `places.place_of` applies the rules for
paths; the readers of headers, fields, addresses and bodies take their names from the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# -- what site.yaml says -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What the operator says about one store; "", () and None leave it to the kind and to the generator's configuration.

    `fields` are pairs of what is wanted (a key of `StoreKind.fields`) and the header fields that carry it; `languages` pairs of
    a language and its folder below the store.
    """

    kind: str = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    permalink: str = ""
    site: str = ""
    timezone: str = ""
    future: str = ""  # "hold" | "publish"
    languages: tuple[tuple[str, str], ...] = ()
    pages: str = ""  # "ignore" | "publish"


# -- what a generator's configuration says ------------------------------------


@dataclass(frozen=True, slots=True)
class SiteLanguage:
    """A language of a site: its content folder below the store ("" where names tell), what its addresses begin with, its zone."""

    code: str
    folder: str = ""
    prefix: str = ""
    timezone: str = ""
    tag: str = ""  # for documents, where it differs from the code: zh -> zh-CN


@dataclass(frozen=True, slots=True)
class ContentRoot:
    """A folder of content. `path` is below the store's folder, "" for itself, without slashes at its ends."""

    path: str
    role: str = "article"  # article | page: what a regular file in it is
    language: str = ""  # of everything below, "" not said
    prefix: str = ""  # what stands before the pattern in addresses: "blog", "zh-CN/blog"
    collection: str = ""  # name of the collection that it is


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values of header fields for the files below `scope` (a path below the generator's root, or a glob) and of a type.

    `type` is Jekyll's ("posts", a collection), or "" for all. The values are text; a list is joined by line ends.
    """

    scope: str
    type: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GeneratorSite:
    """What the generator's own configuration says, and what site.yaml says over it."""

    kind: str
    why: str = ""  # "hugo.yaml is in the folder": for `feeds check`
    root: str = ""  # absolute folder of the generator
    below: str = ""  # path from root to the store's folder, where the store is a folder inside the generator's: "content"
    base_url: str = ""  # with its path, no slash at the end; "" unknown
    timezone: str = ""  # "" unknown
    language: str = ""  # default language, "" unknown
    languages: tuple[SiteLanguage, ...] = ()
    roots: tuple[ContentRoot, ...] = (ContentRoot(""),)
    permalinks: tuple[tuple[str, str], ...] = ()  # (section or collection, pattern); "" the default one
    ugly: bool = False
    ugly_sections: tuple[str, ...] = ()  # sections whose addresses alone are ugly
    keep_case: bool = False
    trailing_slash: bool | None = None
    future: bool | None = None  # True: publishes; None: not said
    drafts: bool = False  # True: publishes drafts
    date_fields: tuple[str, ...] = ()  # Hugo's [frontmatter].date
    defaults: tuple[Defaults, ...] = ()
    authors: tuple[tuple[str, str], ...] = ()  # key -> name of an authors file
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    static: tuple[str, ...] = ()  # folders, below the generator's root, whose files stand at the root of the site
    options: tuple[
        tuple[str, str], ...
    ] = ()  # what else the kind needs: post_asset_folder, excerpt_separator, new_post_name ...
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()  # those of site.yaml
    missing: tuple[str, ...] = ()  # keys of site.yaml that code hides: "store.site"
    sources: tuple[str, ...] = ()  # configuration files read, below the root
    faults: tuple[str, ...] = ()  # configuration files that cannot be read, in words

    def option(self, name: str) -> str:
        """Return an option, "" where it is not set."""
        return next((value for key, value in self.options if key == name), "")


@dataclass(frozen=True, slots=True)
class Place:
    """What a path alone says about a file."""

    path: str  # relative to the store
    state: str  # article | page | withheld | ignored
    reason: str = ""  # "draft", "section", "resource of a bundle", "readme", ...; "" for an article
    section: str = ""  # first folder below the content root, or the collection
    stem: str = ""  # path below the content root without suffix, language and `/index`: "posts/lake"
    language: str = ""  # "" not said by name, folder or configuration
    root: ContentRoot | None = None
    date: tuple[int, ...] = ()  # (2024, 1, 2) in the name or the folders, where the kind reads it
    name: str = ""  # last part without suffix, language and (where the kind drops it) date
    undated: str = ""  # reason for which the file is `StoreKind.undated` if no date is found; "" an article all the same


# -- the table ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PathRule:
    """A rule for paths. Folders and files are globs of one name each, in lower case; where both are given, both must fit."""

    state: str
    reason: str
    folders: tuple[str, ...] = ()  # a folder of the path is called so
    files: tuple[str, ...] = ()  # the file is called so, with its suffix
    below: str = (
        "root"  # what the folders are looked for in: "root" the path below the content root, "store", "top" its first part
    )


@dataclass(frozen=True, slots=True)
class StoreKind:
    """What one generator means by an article.

    `fields` maps what is wanted to header fields, of which the first one present counts, in any case of letters; a dot leads into a
    mapping, `[0]` into a list. `shapes` names the reader of a value (`fields.SHAPES`) where the kind's differs from the default.
    """

    name: str
    suffixes: tuple[str, ...] = (".md", ".markdown")
    headers: tuple[str, ...] = ("yaml", "toml", "json", "bare", "none")
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    shapes: Mapping[str, str] = field(default_factory=dict, hash=False)
    future: str = "hold"  # "hold" | "publish": what the generator does with a date in the future
    address: str = ""  # default pattern, "" where there is none (pages here)
    zone: str = "site"  # zone of dates without one, where the configuration names none: "site" (this service's) | "utc"
    identity: str = "path"  # "name" | "path"
    passes: tuple[str, ...] = ()  # names of dialects.PASSES
    heading_title: bool = False  # title from the first H1, which leaves the body
    dated_names: bool = False  # a date in the file's name or folder counts
    undated: str = "article"  # what an article without any date is, where `Place.undated` says so: article | page | quarantined
    rules: tuple[PathRule, ...] = ()


_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "title": ("title",),
        "date": ("date", "created", "created_at", "published_at", "createTime"),
        "updated": (
            *("lastmod", "last_modified_at", "updated", "modified", "updatedDate", "modDatetime", "lastUpdated"),
            "last_update.date",
        ),
        "publish": (),
        "expiry": ("expiryDate", "unpublishDate"),
        "slug": ("slug",),
        "address": ("permalink", "url"),
        "aliases": ("aliases", "redirect_from", "alias"),
        "tag": ("tags", "tag", "topics"),
        "category": ("categories", "category"),
        "author": ("authors", "author"),
        "translator": ("translator", "translators", "translated_by", "译者"),
        "reviewer": ("reviewer", "reviewers", "proofreader", "校对", "校对者"),
        "selector": ("collector", "selector", "选题", "定稿"),
        "original": (
            *("fromurl", "via", "original", "originallink", "original_url", "translated_from", "source_url", "canonical_url"),
            *("原文链接", "原文地址"),
        ),
        "language": ("lang", "language"),
        "series": ("series",),
        "summary": ("description", "summary", "excerpt"),
        "cover": (
            *("cover", "image", "images[0]", "featured_image", "featuredImage", "heroImage", "banner", "thumbnail"),
            *("header-img", "largepic"),
        ),
        "id": ("guid",),
    }
)
#: The archive's own names, which its files have always been read by (`model.FACETS`).
_ARCHIVE_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "title": ("title",),
        "date": ("date",),
        "updated": ("updated",),
        "address": ("permalink",),
        "tag": ("tags", "tag"),
        "category": ("category", "categories"),
        "author": ("author", "authors"),
        "translator": ("translator",),
        "reviewer": ("reviewer",),
        "selector": ("selector",),
        "original": ("fromurl",),
        "summary": ("excerpt", "summary", "description"),
        "cover": ("largepic", "pic"),
        "id": ("id",),
    }
)


def _fields(**other: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({**_FIELDS, **other})


_ROWS = (
    StoreKind(
        "archive",
        headers=("yaml", "lctt"),
        fields=_ARCHIVE_FIELDS,
        identity="name",
        dated_names=True,
        future="hold",
    ),
    StoreKind(
        "lctt",
        headers=("lctt", "yaml", "credits", "bare", "none"),
        fields=_fields(id=("id",)),
        identity="name",
        heading_title=True,
        dated_names=True,
    ),
    StoreKind(
        "hugo",
        suffixes=(".md", ".markdown", ".html", ".htm", ".org"),
        headers=("yaml", "toml", "json", "none"),
        fields=_fields(
            date=("date", "publishDate", "pubDate", "published", "lastmod", "modified"),
            publish=("publishDate", "pubDate", "published"),
            address=("url", "permalink"),
        ),
        shapes={"tag": "one", "category": "one"},
        address="/:sections/:filename/",
        zone="utc",
        passes=("shortcodes", "comments", "attributes", "callouts", "math"),
        undated="page",
    ),
    StoreKind(
        "jekyll",
        suffixes=(".md", ".markdown", ".mkd", ".mkdn", ".mkdown", ".html"),
        headers=("yaml", "none"),
        fields=_fields(),
        shapes={"tag": "blanks", "category": "blanks"},
        address="/:categories/:year/:month/:day/:title.html",
        passes=("liquid", "attributes", "comments", "math"),
        dated_names=True,
    ),
    StoreKind(
        "hexo",
        suffixes=(".md", ".markdown", ".mkd", ".mkdn", ".mkdown", ".html"),
        headers=("yaml", "hexo-json", "bare", "none"),
        fields=_fields(address=("permalink",)),
        shapes={"tag": "one", "category": "nested"},
        future="publish",
        address="/:year/:month/:day/:title/",
        passes=("liquid", "comments", "math"),
        dated_names=True,
    ),
    StoreKind(
        "docusaurus",
        suffixes=(".md", ".mdx"),
        headers=("yaml", "toml", "none"),
        fields=_fields(address=()),
        shapes={"author": "authors"},
        future="publish",
        address="/blog/:year/:month/:day/:title",
        zone="utc",
        passes=("mdx", "admonitions", "attributes", "comments", "math"),
        heading_title=True,
        dated_names=True,
    ),
    StoreKind(
        "astro",
        suffixes=(".md", ".mdx", ".markdown"),
        headers=("yaml", "toml", "none"),
        fields=_fields(date=("pubDate", "pubDatetime", "publishDate", "date", "created", "published_at")),
        future="publish",
        address="/:collection/:id/",
        zone="utc",
        passes=("mdx", "admonitions", "comments", "math"),
        undated="page",
    ),
    StoreKind(
        "eleventy",
        suffixes=(".md", ".markdown", ".html", ".njk", ".liquid"),
        headers=("yaml", "json", "toml", "none"),
        fields=_fields(address=("permalink",)),
        shapes={"tag": "one"},
        future="publish",
        address="/:path/",
        zone="utc",
        passes=("liquid", "nunjucks", "comments", "math"),
        dated_names=True,
        undated="page",
    ),
    StoreKind(
        "vuepress",
        headers=("yaml", "none"),
        fields=_fields(),
        future="publish",
        address="/:path.html",
        zone="utc",
        passes=("containers", "vue", "attributes", "comments", "math"),
        heading_title=True,
        dated_names=True,
        undated="page",
    ),
    StoreKind(
        "vitepress",
        headers=("yaml", "none"),
        fields=_fields(),
        future="publish",
        address="/:path.html",
        zone="utc",
        passes=("containers", "vue", "attributes", "callouts", "comments", "math"),
        heading_title=True,
        dated_names=True,
        undated="page",
    ),
    StoreKind(
        "pelican",
        suffixes=(".md", ".markdown", ".mkd", ".mdown"),
        headers=("yaml", "pelican", "none"),
        fields=_fields(address=("url",)),
        shapes={"tag": "commas", "category": "one", "author": "pelican"},
        future="publish",
        address="/{slug}.html",
        passes=("pelican", "comments", "math"),
        dated_names=True,
        undated="quarantined",
    ),
    StoreKind(
        "obsidian",
        headers=("yaml", "none"),
        fields=_fields(aliases=("redirect_from", "alias"), id=("id", "guid")),
        passes=("wikilinks", "callouts", "comments", "highlights", "math"),
        zone="site",
        heading_title=True,
        dated_names=True,
    ),
    StoreKind(
        "plain",
        suffixes=(".md", ".markdown", ".mkd", ".mdown"),
        headers=("yaml", "toml", "json", "lctt", "bare", "none"),
        fields=_fields(id=("id", "guid")),
        passes=("comments", "callouts", "math"),
        heading_title=True,
        dated_names=True,
    ),
)
#: The kinds, by name.
KINDS: Mapping[str, StoreKind] = MappingProxyType({row.name: row for row in _ROWS})
