"""Say what decides how the files of a store are parsed, and the key of what they were parsed to."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..plugins import Plugin, find_plugins
from .frontmatter import GROUP, load_kinds
from .kinds import KINDS, GeneratorSite, StoreKind, StoreOptions

if TYPE_CHECKING:  # a process that parses does without
    from ..config.models import Config, Store

#: When one of these sources or libraries changes, stores are read again.
SOURCES = (
    "licences.py",
    "model.py",
    "urls.py",
    "catalog/subjects.py",
    *(
        f"store/{name}.py"
        for name in (
            "addresses assets/drawings assets/finding assets/kinds assets/opening bodies/autolinks bodies/code_spans "
            "bodies/components bodies/constructs bodies/dialects bodies/elements bodies/embeds bodies/fragments "
            "bodies/html_blocks bodies/nodes bodies/picture_sizes bodies/pictures bodies/public_source bodies/replacements "
            "bodies/template_tags bodies/tree dates field_names fields frontmatter header_text headers/credits "
            "headers/details headers/forms headers/languages headers/lookup headers/source kinds links/javascript "
            "links/permalinks links/references links/slugs links/url_patterns markdown names parse parse_settings parsed "
            "places prose verdict"
        ).split()
    ),
)
LIBRARIES = ("comrak", "nh3", "PyYAML", "selectolax")


@functools.cache
def source_key(package: Path = Path(__file__).parents[1]) -> str:
    """Return a hash of the code that parses: the bytes of SOURCES below `package`, the versions of LIBRARIES."""
    from importlib.metadata import version  # as in `plugins`

    versions = repr([(name, version(name)) for name in LIBRARIES]).encode()
    return hashlib.sha256(b"".join((package / name).read_bytes() for name in SOURCES) + versions).hexdigest()


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """What one file may cost: seconds of time and of a processor, megabytes of address space of the process that parses it."""

    seconds: int = 10
    megabytes: int = 512


@dataclass(frozen=True, slots=True)
class AssetSettings:
    """Which files beside articles are published: of up to `max_bytes` each; `rooted`: pictures that begin with "/", too."""

    max_bytes: int
    rooted: bool = True


#: A store without a generator, in the archive's format.
ARCHIVE = GeneratorSite("archive")


@dataclass(frozen=True, slots=True)
class ParseSettings:
    """What decides how a file is parsed, besides the code: no address, which `addresses` adds where an article is read.

    `kinds` are installed kinds of front matter; `extensions` are those of all documents, which article addresses escape;
    `pages`: whether pages are published; `assets`: which files beside articles are, None for none;
    `limits` do not decide what a file is parsed to, so they are no part of the key.
    """

    root: str
    timezone: str
    max_bytes: int
    dates: bool = False
    kinds: tuple[Plugin, ...] = ()
    extensions: tuple[str, ...] = ()
    site: GeneratorSite = ARCHIVE
    holds_future: bool = True
    pages: bool = False
    assets: AssetSettings | None = None
    limits: ParserLimits = field(default=ParserLimits(), repr=False)

    @classmethod
    def from_config(cls, config: Config, store: Store, found: GeneratorSite) -> ParseSettings:
        """Return the settings of one store of a configuration, and of what `find_site` has found in it.

        Raises StoreError where an installed kind of front matter cannot be loaded.
        """
        from ..feed_formats import OTHER_EXTENSIONS, load_formats  # XML, which processes that parse need nothing of

        site, kinds = config.site, find_plugins(GROUP)
        load_kinds(kinds)
        extensions = (*(format.extension for format in load_formats().values()), *OTHER_EXTENSIONS)
        limits = ParserLimits(site.parser.seconds, site.parser.megabytes)
        # A generator that publishes what is dated in the future does so because its configuration says it, not by default.
        holds_future = store.future == "hold" or (store.future is None and found.future is not True)
        dates = site.store_git.dates
        # Where articles are read elsewhere, so are their pictures; but those beside articles of an archive are nowhere else.
        is_archive = found.kind == "archive"
        is_home = is_archive or bool(store.prefix) or "://" not in site.article_url or bool(found.base_url)
        rooted = not is_archive and not site.image_url
        files = AssetSettings(site.files.max_bytes, rooted) if site.files.publish and is_home else None
        return cls(
            store.path,
            site.timezone,
            site.max_file_bytes,
            dates,
            kinds,
            extensions,
            found,
            holds_future,
            store.pages == "publish",
            files,
            limits,
        )

    @property
    def kind(self) -> StoreKind:
        """The kind of the store."""
        return KINDS[self.site.kind]

    @property
    def folder(self) -> str:
        """What the paths of its files begin with, "" or a name with a slash; below the store itself they are without it."""
        return f"{self.site.prefix}/" if self.site.prefix else ""

    def file(self, path: str) -> str:
        """Return where the file of a path of the catalog lies."""
        return os.path.join(self.root, path.removeprefix(self.folder))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the names of files end in that are read, in lower case."""
        return self.kind.suffixes

    @property
    def key(self) -> str:
        """The key of stored results: it differs wherever the same file might be parsed to something else."""
        return hashlib.sha256(repr((source_key(), self)).encode()).hexdigest()[:16]


def store_options(store: Store) -> StoreOptions:
    """Return what site.yaml says about a store."""
    fields = tuple((name, tuple(names)) for name, names in store.fields.items())
    same = (store.kind, store.prefix, store.include, store.exclude, fields, store.permalink, store.site, store.timezone)
    return StoreOptions(*same, store.future or "", tuple(store.languages.items()), store.pages)
