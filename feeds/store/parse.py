"""Parse the files of the store: one file -> a verdict, and a ParsedArticle or a Problem, whatever the file contains.

The way of a file: `places` (what its path says), `frontmatter` (header and body), `fields` (what the header says), `verdict` (is it
published), `permalinks` (its address), `dialects` and `markdown` (its body). Articles are made safe here, once.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .. import urls
from ..model import FACETS, ParsedArticle, Problem
from ..plugins import Plugin, find_plugins
from . import addresses, markdown
from .dates import EARLIEST, LATEST, date_of, path_dates, read_date
from .fields import MAX_SUMMARY, MAX_TITLE, PLACEHOLDERS, unwrap
from .frontmatter import GROUP, BadFrontMatter, Source, Value, load_kinds, read_source
from .header_fields import Header, archive_fields, text_of
from .names import MAX_NAME, read_names
from .walk import UNSETTLED, Stamp, file_stamp

if TYPE_CHECKING:  # a process that parses does without
    from ..config.models import Config, Store

#: HTML may be so many times as long as a file may be.
_MAX_GROWTH = 8
#: Characters that all links together may grow by, as each is written out with its base; and those of a base besides what the
#: file says.
MAX_LINK_GROWTH, _SITE_ADDRESS = 8_000_000, 40

# -- what decides how a file is parsed -------------------------------------

#: When one of these sources or libraries changes, stores are read again.
SOURCES = (
    *("model.py", "urls.py", "store/addresses.py", "store/credits.py", "store/dates.py", "store/field_names.py"),
    *(
        "store/fields.py",
        "store/frontmatter.py",
        "store/header_fields.py",
        "store/header_forms.py",
        "store/header_languages.py",
    ),
    *("store/kinds.py", "store/markdown.py", "store/names.py", "store/parse.py", "store/prose.py", "store/source.py"),
)
LIBRARIES = ("comrak", "nh3", "PyYAML")


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
class ParseSettings:
    """What decides how a file is parsed, besides the code: no address, which `addresses` adds where an article is read.

    `kinds` are installed kinds of front matter; `extensions` are those of all documents, which article addresses escape;
    `limits` do not decide what a file is parsed to, so they are no part of the key.
    """

    root: str
    timezone: str
    max_bytes: int
    dates: bool = False
    kinds: tuple[Plugin, ...] = ()
    extensions: tuple[str, ...] = ()
    site: GeneratorSite = GeneratorSite("archive")
    holds_future: bool = True
    limits: ParserLimits = field(default=ParserLimits(), repr=False)

    @classmethod
    def from_config(cls, config: Config, found: GeneratorSite | None = None) -> ParseSettings:
        """Return the settings of a configuration, and of what `find_site` has found, which is looked for if not given.

        Raises StoreError where an installed kind of front matter cannot be loaded.
        """
        from ..feed_formats import OTHER_EXTENSIONS, load_formats  # XML, which processes that parse need nothing of

        site, kinds = config.site, find_plugins(GROUP)
        load_kinds(kinds)
        extensions = (*(format.extension for format in load_formats().values()), *OTHER_EXTENSIONS)
        limits = ParserLimits(site.parser.seconds, site.parser.megabytes)
        found = found or find_site(site.store.path, store_options(site.store))
        # A generator that publishes what is dated in the future does so because its configuration says it, not by default.
        holds_future = site.store.future == "hold" or (site.store.future is None and found.future is not True)
        dates = site.store_git.dates
        return cls(
            site.store.path, site.timezone, site.max_file_bytes, dates, kinds, extensions, found, holds_future, limits
        )

    @property
    def kind(self) -> StoreKind:
        """The kind of the store."""
        return KINDS[self.site.kind]

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
    same = (store.kind, store.include, store.exclude, fields, store.permalink, store.site, store.timezone)
    return StoreOptions(*same, store.future or "", tuple(store.languages.items()), store.pages)


def with_addresses(config: Config, site: GeneratorSite) -> Config:
    """Return the configuration with articles where their own site has them, unless it says itself where they are read."""
    if not site.base_url or config.site.article_url:
        return config
    return config.model_copy(
        update={"site": config.site.model_copy(update={"article_url": f"{site.base_url}{{permalink}}"})}
    )


# -- files -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What the bytes of one file are: `result` is None for what is no article, as `verdict` says.

    `seen` (UTC seconds): when it was first seen, for a file that says no date. `names_id`: its id is not made of its path.
    `notices`: what in its header could not be used.
    """

    result: ParsedArticle | Problem | None
    verdict: Verdict
    seen: int | None = None
    names_id: bool = True
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file as it was read. `settled` is False while it may still be being written, or was unreadable."""

    path: str
    stamp: Stamp
    result: ParsedArticle | Problem | None
    settled: bool = True
    verdict: Verdict = PUBLISHED
    seen: int | None = None
    names_id: bool = True
    notices: tuple[str, ...] = ()


#: A file as young as this may change again within the resolution of its time stamp; the next rescan reads it once more.
UNSETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class FileDates:
    """UTC seconds of the first and the last commit of a file, None where no commit says; and what the catalog knows of it.

    `known_as`: the id of the article that the file is, or was before its name changed in nothing but case; "" for none.
    `seen`: when the file was first seen, if it says no date. `bundles`: folders around it that are one article.
    """

    first: int | None = None
    last: int | None = None
    known_as: str = ""
    seen: int | None = None
    bundles: frozenset[str] = frozenset()

    def changed(self, when: int) -> FileDates:
        """Return the dates after a commit at `when` that changed the file."""
        return replace(self, last=max(when, self.last or when))


UNDATED = FileDates()
NO_DATES: Mapping[str, FileDates] = {}


def parse_file(settings: ParseSettings, path: str, now_ns: int, dates: FileDates = UNDATED) -> ParsedFile:
    """Parse one file. `now_ns` (nanoseconds, UTC) decides whether it is settled."""
    try:
        descriptor = os.open(os.path.join(settings.root, path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            regular = stat.S_ISREG(status.st_mode)  # it may have been replaced since the walk
            data = file.read(settings.max_bytes + 1) if regular else b""
            fault = "" if regular else "not a file any more"
    except OSError as error:
        fault = f"cannot be read: {error.strerror or type(error).__name__}"
    if fault:
        return ParsedFile(path, UNSETTLED, Problem(path, 0, 0, fault, "unreadable"), settled=False)
    result = parse_article(settings, path, data, status.st_mtime, dates)
    return ParsedFile(path, file_stamp(status), result, settled=now_ns - status.st_mtime_ns > UNSETTLED_NS)


def parse_article(
    settings: ParseSettings, path: str, data: bytes, mtime: float, dates: FileDates = UNDATED
) -> ParsedArticle | Problem | None:
    """Parse the bytes of the file at `path`; None for a draft. Total: never raises for what is in `data`.

    Git's dates, then `mtime` (seconds), are the last fallbacks for an article without any date.
    """
    if len(data) > settings.max_bytes:
        return Problem(path, 0, 0, f"larger than {settings.max_bytes} bytes", "oversized")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        return Problem(path, line, column, "not UTF-8", "encoding")
    try:
        source = read_source(text.replace("\r\n", "\n").replace("\r", "\n"), path, load_kinds(settings.kinds))
        # Hugo marks what must not be published by `draft: true`, Jekyll by `published: false`.
        if _text(source.fields, "draft").lower() in _YES or _text(source.fields, "published").lower() in _NO:
            return None
        return _article(settings, path, source, mtime, dates)
    except BadFrontMatter as error:
        return Problem(path, error.line, error.column, error.reason)
    except markdown.TooComplex as error:
        return Problem(path, 0, 0, str(error))
    except MemoryError:  # a fault of the process, which has a limit of it
        raise
    except Exception as error:  # the message could quote the file, the type cannot
        return Problem(path, 0, 0, f"could not be read ({type(error).__name__})")


_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off")


def article_name(path: str) -> str:
    """Return the name that an article has by its file; of `hello/index.md`, a folder that is one article, the folder's counts.

    >>> article_name("2020/hello.MD"), article_name("2020/hello/Index.md")
    ('hello', 'hello')
    """
    file = PurePosixPath(path)
    return file.parent.name if file.stem.lower() in ("index", "_index") and file.parent.name else file.stem


def _article(settings: ParseSettings, path: str, source: Source, mtime: float, dates: FileDates) -> ParsedArticle:
    fields = source.fields
    name = dates.known_as or article_name(path)
    id = _text(fields, "id")[:MAX_NAME] or markdown.one_line(name) or path
    permalink = _text(fields, "permalink")
    permalink = permalink if len(permalink) <= MAX_NAME else ""
    page = f"/articles/{urls.encode(urls.slug(id))}"
    html = markdown.render_html(source.body)
    _check_growth(settings, html, page, permalink)
    published = _published(settings, fields, path, mtime, dates)
    title = unwrap(_text(fields, "title")[: 2 * MAX_TITLE])
    # Entities are the archive's leftovers: they are replaced once.
    text = _text(fields, "excerpt") or _text(fields, "summary") or _text(fields, "description")
    summary = markdown.shorten(markdown.one_line(markdown.unescape(text[: 2 * MAX_SUMMARY])), MAX_SUMMARY)
    pictures = (_text(fields, "largepic"), _text(fields, "pic"))
    picture = next((one for one in pictures if one and not one.endswith(PLACEHOLDERS)), "")
    count = fields.get("count")
    comments = count.get("commentnum") if isinstance(count, dict) else None
    article = ParsedArticle(
        id=id,
        url=page,
        permalink=permalink,
        title=markdown.shorten(title, MAX_TITLE) or name,
        summary=summary or markdown.excerpt(html),
        html=html,
        published=published,
        updated=max(published, _date(settings, fields.get("updated")) or _commit_date(dates.last) or published),
        original=urls.absolute_url(_text(fields, "fromurl"), ""),
        picture=_picture(picture),
        comments=int(comments) if isinstance(comments, str) and re.fullmatch(r"[0-9]{1,9}", comments) else 0,
        editor_choice=_text(fields, "editorchoice").lower() in _YES,
        names=_names(fields),
        digest="",
    )
    shown = "\0".join(str(getattr(article, name)) for name in ParsedArticle.__slots__ if name != "digest")
    return dataclasses.replace(article, digest=hashlib.sha256(shown.encode()).hexdigest()[:32])


# -- fields: each may be missing, empty or of another type -----------------


def _text(fields: Mapping[str, Value], name: str) -> str:
    return text_of(fields.get(name))


def _picture(reference: str) -> str:
    """Return the address of a picture, or what `image_url` makes one of; "" for what never is one."""
    absolute = urls.absolute_url(reference, "")
    made = absolute or any(urls.absolute_url(reference, f"{scheme}://host/") for scheme in ("https", "http"))
    return absolute or (reference if made and reference else "")


def _check_growth(settings: ParseSettings, html: str, page: str, permalink: str) -> None:
    """Raise TooComplex for a body that would be too long with all addresses written out."""
    relative = html.count(addresses.RELATIVE)
    growth = relative * (max(len(page), len(urls.encode(permalink))) + _SITE_ADDRESS) if relative else 0
    if growth > MAX_LINK_GROWTH:
        raise markdown.TooComplex(f"links that are more than {MAX_LINK_GROWTH} characters long with the address of the article")
    if len(html) > _MAX_GROWTH * settings.max_bytes:
        raise markdown.TooComplex(f"more than {_MAX_GROWTH * settings.max_bytes} bytes as HTML")


# -- dates: the header's, else the file's name, else its folder, else its first commit, else its modification time ---


def _published(settings: ParseSettings, fields: Mapping[str, Value], path: str, mtime: float, dated: FileDates) -> datetime:
    if found := _date(settings, fields.get("date")):
        return found
    for parts in path_dates(path):
        if found := date_of(parts, settings.timezone):
            return found
    seconds = min(max(int(mtime), 0), int(LATEST.timestamp()))
    return _commit_date(dated.first) or datetime.fromtimestamp(seconds, UTC)


def _commit_date(seconds: int | None) -> datetime | None:
    """A commit can claim any time; the bounds are those of all dates."""
    if seconds is None or not EARLIEST.timestamp() <= seconds < LATEST.timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _date(settings: ParseSettings, value: Value | None) -> datetime | None:
    return read_date(value, settings.timezone, "archive") if isinstance(value, str) else None


def _names(fields: Mapping[str, Value]) -> dict[str, tuple[str, ...]]:
    """Return the names in each facet's first field that has a value."""
    header = Header(archive_fields(fields), {})
    found: dict[str, tuple[str, ...]] = {}
    for facet in FACETS.values():
        name, value = next(header.all(*facet.fields), ("", None))
        if names := read_names(value, facet.style, name):
            found[facet.name] = names
    return found
