"""Kinds of stores: what each generator of sites means by an article, and what a site's own configuration adds to it.

A kind is a row of `KINDS`. `generators.find_site` chooses it and reads the configuration; `places.place_of` applies the rules
for paths; the readers of headers, fields, addresses and bodies take their names from the row.

Paths of a site (content roots, folders of languages, static folders, scopes, globs) are below `GeneratorSite.root`, which is
the store's folder or a folder above it; `GeneratorSite.below` leads from there to the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .field_names import ARCHIVE_FIELDS, FIELDS

# -- what site.yaml says -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What the operator says about one store; "", () and None leave it to the kind and to the generator's configuration.

    `fields` are pairs of what is wanted (a key of `StoreKind.fields`) and the header fields that carry it; `languages` pairs of
    a language and its folder below the store.
    """

    kind: str = "auto"
    prefix: str = ""
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
    """A language of a site: its content folder ("" where names tell), what its addresses begin with, its time zone."""

    code: str
    folder: str = ""
    prefix: str = ""
    timezone: str = ""
    tag: str = ""  # for documents, where it differs from the code: zh -> zh-CN


@dataclass(frozen=True, slots=True)
class ContentRoot:
    """A folder of content. `path` is below the site's root, "" for itself, without slashes at its ends."""

    path: str
    role: str = "article"  # article | page: what a regular file in it is
    language: str = ""  # of everything below, "" not said
    prefix: str = ""  # what stands before the pattern in addresses: "blog", "zh-CN/blog"
    collection: str = ""  # name of the collection that it is
    pattern: str = ""  # glob that its files must match, "" any


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values of header fields for the files below `scope` (a path below the generator's root, or a glob) and of a type.

    `type` is Jekyll's ("posts", a collection), or "" for all. The values are text; a list is joined by line ends.
    """

    scope: str
    type: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PathRule:
    """A rule for paths. Folders and files are globs of one name, in lower case; all that is given must fit."""

    state: str
    reason: str
    folders: tuple[str, ...] = ()  # a folder of the path is called so
    unless: tuple[str, ...] = ()  # names of folders that do not count
    files: tuple[str, ...] = ()  # the file is called so, with its suffix
    paths: tuple[str, ...] = ()  # globs of the whole path, in its own case
    within: str = "root"  # names of the path below the content "root", or below the "site"'s root
    top: bool = False  # the first folder only; a file that lies in no folder


@dataclass(frozen=True, slots=True)
class GeneratorSite:
    """What the generator's own configuration says, and what site.yaml says over it.

    What decides nothing about files is not in its text, of which the key of parsed files is made (`parse.ParseSettings.key`).
    """

    kind: str
    why: str = field(default="", repr=False)  # "hugo.yaml is in the folder": for `feeds check`
    root: str = ""  # absolute folder: the generator's, or the store's where the generator is in a folder below it
    below: str = ""  # path from root to the store's folder, where the store is a folder inside the generator's: "content"
    prefix: str = ""  # what the paths and ids of its files begin with, where a site has several stores
    base_url: str = ""  # with its path, no slash at the end; "" unknown
    base_path: str = field(default="", repr=False)  # "/notes": its path, where only site.yaml names the host
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
    tags: tuple[tuple[str, str], ...] = ()  # key -> label of a tags file
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rules: tuple[PathRule, ...] = ()  # tried before the kind's own
    name_dates: tuple[str, ...] = ()  # as `StoreKind.dates`, and tried before them
    static: tuple[str, ...] = ()  # folders whose files stand at the root of the site
    options: tuple[tuple[str, str], ...] = ()  # what else the kind needs: post_asset_folder, excerpt_separator ...
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()  # header fields, before those of the kind
    missing: tuple[str, ...] = field(default=(), repr=False)  # keys of site.yaml that code hides: "store.site"
    sources: tuple[str, ...] = field(default=(), repr=False)  # configuration files read, below the root
    faults: tuple[str, ...] = field(default=(), repr=False)  # configuration files that cannot be read, in words

    def option(self, name: str) -> str:
        """Return an option, "" where it is not set."""
        return next((value for key, value in self.options if key == name), "")

    def path_of(self, path: str) -> str:
        """Return the path below the site's root of a file of the store."""
        return f"{self.below}/{path}" if self.below else path


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


# -- the table -------------------------------------------------------------

_DAY = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_FOLDERS = r"(?:^|/)(?P<year>\d{4})/(?P<month>\d\d)/(?:(?P<day>\d\d)/)?"
#: A day at the beginning of a name, with or without hyphens: 2024-03-07, 20190325-x, 2019-05-06_x, 20240304 walk.
_DATED = r"(?:^|/)(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)(?![0-9])(?:[-_ .]+(?P<rest>[^/]+))?$"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoreKind:
    """What one generator means by an article. Rows are compared, and hashed, as the objects that they are.

    `fields` maps what is wanted to header fields, of which the first one present counts, in any case of letters; a dot leads
    into a mapping, `[0]` into a list. `shapes` names the reader of a value (`fields.SHAPES`) where it is not the usual one.
    """

    name: str
    suffixes: tuple[str, ...] = (".md", ".markdown")
    headers: tuple[str, ...] = ("yaml", "toml", "json", "bare", "none")
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shapes: Mapping[str, str] = field(default_factory=dict)
    future: str = "hold"  # "hold" | "publish": what the generator does with a date in the future
    address: str = ""  # default pattern, "" where there is none (pages here)
    zone: str = "site"  # zone of dates without one, where the configuration names none: "site" (this service's) | "utc"
    identity: str = "path"  # "name" | "path"
    passes: tuple[str, ...] = ()  # names of dialects.PASSES
    heading_title: bool = False  # title from the first H1, which leaves the body
    undated: str = "article"  # what `Place.undated` makes of a file without any date: article | page | quarantined
    headless: str = ""  # reason for which a file without any header is ignored, "" where it may be an article
    uncredited: str = ""  # reason for which a file without header and credits is a page, "" where it may be an article
    # places
    rules: tuple[PathRule, ...] = ()
    outside: str = "outside content"  # reason for a file in no content root
    readme: str = "readme"  # reason for READMEs and the like, "" where they count as any file
    articles: tuple[str, ...] = ()  # folders, or a collection, whose files are articles
    otherwise: str = "article"  # what the others are: article | page | dated (an article where a date is found)
    tagged: bool = False  # files are articles where the data of their folder has tags
    undated_reason: str = "undated page"
    undated_name: str = ""  # reason for which an article without a date in its name is ignored, "" where it is not
    unnamed: tuple[str, ...] = ()  # folders that are no part of a stem; what stands before them is the section
    indexes: tuple[str, ...] = ("index",)  # names that stand for their folder
    index: str = ""  # reason for which an index file is a page, unless its folder is one article
    leaf_bundles: bool = False  # what lies beside an index file belongs to it
    dates: tuple[str, ...] = ()  # patterns of dates in a stem: year, month, day, and `rest`, the name without


def _fields(**other: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({**FIELDS, **other})


def _drafts(reason: str = "draft") -> PathRule:
    return PathRule("withheld", reason, folders=("_drafts", "drafts", "draft", "草稿"))


_TEMPLATES = ("template.*", "_template.*", "*post-template.*", "*article-template.*", "*blog-template.*", "*page-template.*")
#: In every kind but the archive, before all others.
COMMON_RULES = (
    PathRule("ignored", "dependency", folders=("node_modules", "bower_components"), within="site"),
    PathRule("ignored", "dependency", folders=("vendor",), within="site", top=True),
    PathRule("ignored", "built", folders=("public", "_site"), within="site", top=True),
    PathRule("ignored", "error page", files=("404.*",)),
)
_UNDERSCORE = PathRule("ignored", "underscore", files=("_*",))
_UNDERSCORE_FOLDER = PathRule("ignored", "underscore", folders=("_*",))
_TEMPLATE = PathRule("ignored", "template", files=_TEMPLATES)
#: Where nothing but files is known, what is called a template at either end of its name is one.
_ANY_TEMPLATE = PathRule("ignored", "template", files=("*template.*", "*templates.*", "template-*", "template_*"))
_TEMPLATE_FOLDER = PathRule("ignored", "template", folders=("template", "templates", "_template", "_templates", "模板"))
_BLOG_FOLDERS = ("posts", "post", "_posts", "blog", "blogs", "articles", "article", "news")
_VUE_RULES = (
    PathRule("page", "home", files=("readme.md", "index.md"), top=True),
    PathRule("page", "folder", files=("readme.md",)),
    _drafts(),
    _TEMPLATE,
)

_ROWS = (
    StoreKind(
        "archive",
        headers=("archive", "lctt"),
        fields=ARCHIVE_FIELDS,
        shapes={"title": "header", "date": "archive"},
        identity="name",
        readme="",
        dates=(
            r"(?:^|/)(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)(?!\d)[^/]*$",
            r"(?:^|/)(?P<year>\d{4})/(?:(?P<month>\d\d)/(?:(?P<day>\d\d)/)?)?",
        ),
    ),
    StoreKind(
        "lctt",
        headers=("yaml", "bare", "credits", "lctt", "none"),
        fields=_fields(id=("id",)),
        identity="name",
        heading_title=True,
        uncredited="no credits",
        rules=(_drafts("drafts folder"), _TEMPLATE_FOLDER, _ANY_TEMPLATE),
        index="index",
        dates=(_DATED, _FOLDERS),
    ),
    StoreKind(
        "hugo",
        suffixes=(".md", ".markdown", ".html", ".htm"),
        headers=("yaml", "toml", "json", "credits", "none"),
        fields=_fields(
            date=("date", "publishDate", "pubDate", "published", "lastmod", "modified"),
            publish=("publishDate", "pubDate", "published"),
            address=("url",),
        ),
        shapes={"title": "header", "date": "hugo", "tag": "one", "category": "one"},
        address="/:sections/:filename/",
        zone="utc",
        passes=("shortcodes", "comments", "attributes", "callouts", "math"),
        undated="page",
        rules=(
            PathRule("ignored", "archetype", folders=("archetypes",), within="site", top=True),
            PathRule("ignored", "theme", folders=("themes",), within="site", top=True),
            PathRule("page", "section", files=("_index.*",)),
            _drafts(),
            _TEMPLATE,
        ),
        otherwise="dated",
        leaf_bundles=True,
    ),
    StoreKind(
        "jekyll",
        suffixes=(".md", ".markdown", ".mkd", ".mkdn", ".mkdown", ".html"),
        headers=("yaml", "none"),
        fields=_fields(address=("permalink",), tag=("tag", "tags"), category=("category", "categories")),
        shapes={"title": "slug", "date": "ruby", "tag": "blanks", "category": "blanks"},
        address="/:categories/:year/:month/:day/:title.html",
        passes=("liquid", "attributes", "callouts", "comments", "math"),
        headless="no header: a static file",
        rules=(
            _drafts(),
            PathRule("ignored", "underscore", folders=("_*",), unless=("_posts",)),
            _TEMPLATE,
        ),
        readme="no header: a static file",
        articles=("_posts",),
        otherwise="page",
        undated_name="no date in the name",
        unnamed=("_posts",),
        dates=(r"(?:^|/)(?P<year>\d{2}|\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})-(?P<rest>[^/]*)$",),
    ),
    StoreKind(
        "hexo",
        suffixes=(".md", ".markdown", ".mkd", ".mkdn", ".mkdown", ".html"),
        headers=("yaml", "hexo-json", "bare", "credits", "none"),
        fields=_fields(address=("permalink",)),
        shapes={"title": "header", "tag": "one", "category": "one"},
        future="publish",
        address="/:year/:month/:day/:title/",
        passes=("liquid", "containers", "callouts", "comments", "math"),
        rules=(
            PathRule("ignored", "scaffold", folders=("scaffolds",), within="site", top=True),
            PathRule("ignored", "theme", folders=("themes",), within="site", top=True),
            _drafts(),
            _UNDERSCORE,
            _UNDERSCORE_FOLDER,
            _TEMPLATE,
        ),
        outside="outside the source folder",
    ),
    StoreKind(
        "docusaurus",
        suffixes=(".md", ".mdx"),
        headers=("yaml", "toml", "none"),
        fields=_fields(address=()),
        shapes={"date": "javascript"},
        future="publish",
        address="/blog/:year/:month/:day/:title",
        zone="utc",
        passes=("mdx", "admonitions", "attributes", "comments", "math"),
        heading_title=True,
        rules=(
            PathRule("ignored", "underscore", files=("_*",), within="site"),
            PathRule("ignored", "underscore", folders=("_*",), within="site"),
            PathRule(
                "page", "documentation", folders=("docs", "versioned_docs", "docusaurus-plugin-content-docs*"), within="site"
            ),
            _drafts(),
            _TEMPLATE,
        ),
        dates=(
            rf"(?:^|/){_DAY}[-_ ]?(?P<rest>[^/]*)$",
            r"(?:^|/)(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})[-/](?P<rest>[^/]*)$",
        ),
        outside="outside the blog",
    ),
    StoreKind(
        "astro",
        suffixes=(".md", ".mdx", ".markdown"),
        headers=("yaml", "toml", "none"),
        fields=_fields(
            date=("pubDate", "pubDatetime", "publishDate", "date", "created", "published_at", "published"), address=()
        ),
        shapes={"date": "javascript"},
        future="publish",
        address="/:collection/:id/",
        zone="utc",
        passes=("mdx", "admonitions", "comments", "math"),
        undated="page",
        rules=(_drafts(), _TEMPLATE),
        outside="outside the collections",
        articles=_BLOG_FOLDERS,
        otherwise="dated",
        dates=(_DATED,),
    ),
    StoreKind(
        "eleventy",
        suffixes=(".md", ".html"),
        headers=("yaml", "json", "toml", "none"),
        fields=_fields(address=("permalink",)),
        shapes={"date": "javascript", "tag": "one"},
        future="publish",
        address="/:path/",
        zone="utc",
        passes=("liquid", "nunjucks", "containers", "callouts", "comments", "math"),
        undated="page",
        rules=(_drafts(), _TEMPLATE),
        outside="outside the input folder",
        otherwise="dated",
        tagged=True,
        undated_reason="page",
        dates=(
            r"(?:^|/)(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)-(?P<rest>[^/]+)$",
            r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
        ),
    ),
    StoreKind(
        "vuepress",
        headers=("yaml", "none"),
        fields=_fields(address=("permalink",)),
        shapes={"date": "javascript"},
        future="publish",
        address="/:path.html",
        zone="utc",
        passes=("containers", "vue", "attributes", "comments", "math"),
        heading_title=True,
        undated="page",
        rules=_VUE_RULES,
        outside="outside the source folder",
        articles=_BLOG_FOLDERS,
        otherwise="dated",
        dates=(
            r"(?:^|/)(?P<year>\d{4})-(?P<month>\d\d)(?:-(?P<day>\d\d))?-(?P<rest>[^/]+)$",
            r"(?:^|/)(?P<year>\d{4})/(?P<month>\d\d)/(?:(?P<day>\d\d)/)?",
        ),
        index="index",
        indexes=("readme", "index"),
    ),
    StoreKind(
        "vitepress",
        headers=("yaml", "none"),
        fields=_fields(address=("permalink",)),
        shapes={"date": "javascript"},
        future="publish",
        address="/:path.html",
        zone="utc",
        passes=("containers", "vue", "attributes", "callouts", "comments", "math"),
        heading_title=True,
        undated="page",
        rules=_VUE_RULES,
        outside="outside the source folder",
        articles=_BLOG_FOLDERS,
        otherwise="dated",
        dates=(_DATED, _FOLDERS),
        index="index",
        indexes=("readme", "index"),
    ),
    StoreKind(
        "pelican",
        suffixes=(".md", ".markdown", ".mkd", ".mdown"),
        headers=("pelican", "none"),
        fields=_fields(address=("url",)),
        shapes={"title": "header", "date": "pelican", "tag": "pelican", "category": "one", "author": "pelican"},
        future="publish",
        address="/{slug}.html",
        passes=("pelican", "tags", "callouts", "comments", "math"),
        undated="quarantined",
        rules=(PathRule("page", "page", folders=("pages",), top=True), _drafts(), _TEMPLATE),
        otherwise="dated",
        undated_reason="no date",
        dates=(r"(?:^|/)(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:[-_ ]*(?P<rest>[^/]+))?$",),
    ),
    StoreKind(
        "obsidian",
        headers=("yaml", "none"),
        fields=_fields(aliases=("redirect_from", "alias"), id=("id", "guid")),
        shapes={"tag": "hashtags"},
        passes=("wikilinks", "callouts", "comments", "highlights", "math"),
        heading_title=True,
        rules=(_TEMPLATE_FOLDER, _drafts("drafts folder")),
        dates=(_DATED,),
        index="index",
    ),
    StoreKind(
        "plain",
        suffixes=(".md", ".markdown", ".mkd", ".mdown"),
        headers=("yaml", "toml", "json", "bare", "credits", "lctt", "none"),
        fields=_fields(id=("id", "guid")),
        passes=("containers", "callouts", "comments", "math"),
        heading_title=True,
        rules=(
            _drafts("drafts folder"),
            _TEMPLATE_FOLDER,
            _ANY_TEMPLATE,
            PathRule("page", "section", files=("_index.*",)),
            PathRule("page", "about", files=("about.*", "about-me.*"), top=True),
        ),
        dates=(_DATED, _FOLDERS),
        index="index",
    ),
)
#: The kinds, by name.
KINDS: Mapping[str, StoreKind] = MappingProxyType({row.name: row for row in _ROWS})
