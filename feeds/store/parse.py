"""Parse the files of the store: one file -> ParsedArticle, Problem or draft, whatever the file contains.

Articles are made safe here, once. Only the header fields named here and in `model.FACETS` are looked at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import functools
import hashlib
import itertools
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from .. import urls
from ..model import FACETS, ParsedArticle, Problem
from ..plugins import Plugin, find_plugins
from . import addresses, markdown
from .frontmatter import GROUP, BadFrontMatter, Source, Value, load_kinds, read_source
from .walk import UNSETTLED, Stamp, file_stamp

if TYPE_CHECKING:  # a process that parses does without
    from ..config.models import Config

MAX_NAME, MAX_TERMS = 300, 100
#: Longer ones are cut, and end in "…"; feeds, pages and mails show them again and again.
MAX_TITLE, MAX_SUMMARY = 500, 3000
#: What is looked at of one field that names people, and of one list: names are short.
_MAX_FIELD, _MAX_ITEMS = 2000, 1000
#: HTML may be so many times as long as a file may be.
_MAX_GROWTH = 8
#: Characters that all links together may grow by, as each is written out with its base; and those of a base besides what the
#: file says.
MAX_LINK_GROWTH, _SITE_ADDRESS = 8_000_000, 40
PLACEHOLDERS = ("/static/image/common/nophoto.png", "/201610/12/095124vr9cmdgilii8rrwr.png")

# -- what decides how a file is parsed -------------------------------------

#: When one of these sources or libraries changes, stores are read again.
SOURCES = ("model.py", "urls.py", "store/addresses.py", "store/frontmatter.py", "store/markdown.py", "store/parse.py")
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
    limits: ParserLimits = field(default=ParserLimits(), repr=False)

    @classmethod
    def from_config(cls, config: Config) -> ParseSettings:
        """Return the settings of a configuration. Raises StoreError where an installed kind cannot be loaded."""
        from ..feed_formats import OTHER_EXTENSIONS, load_formats  # XML, which processes that parse need nothing of

        site, kinds = config.site, find_plugins(GROUP)
        load_kinds(kinds)
        extensions = (*(format.extension for format in load_formats().values()), *OTHER_EXTENSIONS)
        limits = ParserLimits(site.parser.seconds, site.parser.megabytes)
        return cls(site.store, site.timezone, site.max_file_bytes, site.store_git.dates, kinds, extensions, limits)

    @property
    def key(self) -> str:
        """The key of stored results: it differs wherever the same file might be parsed to something else."""
        return hashlib.sha256(repr((source_key(), self)).encode()).hexdigest()[:16]


# -- files -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The result of one file, None for a draft. `settled` is False while it may still be being written, or was unreadable."""

    path: str
    stamp: Stamp
    result: ParsedArticle | Problem | None
    settled: bool = True


#: A file as young as this may change again within the resolution of its time stamp; the next rescan reads it once more.
UNSETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class FileDates:
    """UTC seconds of the first and the last commit of a file; None where no commit says.

    `known_as`: the id of the article that the file was before its name changed in nothing but case; "" for none.
    """

    first: int | None = None
    last: int | None = None
    known_as: str = ""

    def changed(self, when: int) -> FileDates:
        """Return the dates after a commit at `when` that changed the file."""
        return FileDates(self.first, max(when, self.last or when))


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
_WRAPPED = re.compile(
    r"<(h[1-6]|p|div|span|center|font|b|strong|i|em|u)(?:\s[^<>]*)?>\s*((?:(?!</?\1\b).)*?)\s*</\1>", re.IGNORECASE
)


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
    title = _text(fields, "title")[: 2 * MAX_TITLE]
    while match := _WRAPPED.fullmatch(title):  # an editor's leftovers; a tag within is a word (`What <b>bold</b> does`)
        title = match[2]
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
    value = fields.get(name)
    return markdown.one_line(value) if isinstance(value, str) and value not in ("null", "~") else ""


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

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_DATED_NAME = re.compile(r"^(\d{4})-?(\d\d)-?(\d\d)(?!\d)")
_DATED_FOLDER = re.compile(r"(?:^|/)(\d{4})/(?:(\d\d)/(?:(\d\d)/)?)?")


def _published(settings: ParseSettings, fields: Mapping[str, Value], path: str, mtime: float, dates: FileDates) -> datetime:
    if found := _date(settings, fields.get("date")):
        return found
    for match in filter(None, (_DATED_NAME.search(PurePosixPath(path).name), _DATED_FOLDER.search(path))):
        year, month, day = (int(part or 1) for part in match.groups())
        with contextlib.suppress(ValueError):
            if found := _in_utc(settings, datetime(year, month, day)):
                return found
    seconds = min(max(int(mtime), 0), int(_LATEST.timestamp()))
    return _commit_date(dates.first) or datetime.fromtimestamp(seconds, UTC)


def _commit_date(seconds: int | None) -> datetime | None:
    """A commit can claim any time; the bounds are those of all dates."""
    if seconds is None or not _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _date(settings: ParseSettings, value: Value | None) -> datetime | None:
    """Return a date in UTC, to the second; None for other text and for dates outside 1970 to 2200. Naive ones are site time."""
    if not isinstance(value, str) or not value.strip():
        return None
    for read in (datetime.fromisoformat, _slashed_date, email.utils.parsedate_to_datetime):
        with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
            return _in_utc(settings, read(value.strip()))
    return None


def _slashed_date(text: str) -> datetime:
    """Read `2020/1/2 3:04` and the like. Raises ValueError."""
    dashed = re.sub(r"^(\d{4})[-/.](\d\d?)[-/.](\d\d?)", lambda m: f"{m[1]}-{int(m[2]):02}-{int(m[3]):02}", text)
    return datetime.fromisoformat(re.sub(r"(?<=\d[ T])(?=\d:)", "0", dashed))


def _in_utc(settings: ParseSettings, when: datetime) -> datetime | None:
    with contextlib.suppress(ValueError, OverflowError):
        aware = when if when.tzinfo else when.replace(tzinfo=ZoneInfo(settings.timezone))
        instant = aware.astimezone(UTC).replace(microsecond=0)
        if _EARLIEST <= instant < _LATEST:
            return instant
    return None


# -- names of terms --------------------------------------------------------

_COMMAS = re.compile(r"[,，、]")
_SEPARATORS = re.compile(r"[,，、;；/]")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_MARKUP = re.compile(r"<[^>]*>?|[(（]\s*https?.*$")
#: What nobody sees in a name. Joiners stay where scripts and emoji need them: not beside ASCII or Han.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]"
    "|(?<![^\x00-\x7f\u4e00-\u9fff])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u4e00-\u9fff])"
)
_UNSIGNED = frozenset({"译者id", "校对者id", "选题者id", "null", "~", "none"})
_EMPTY = ("", "null", "~")


def _names(fields: Mapping[str, Value]) -> dict[str, tuple[str, ...]]:
    """Return the names in each facet's first field that has a value, each once (by folded spelling), at most MAX_TERMS."""
    found: dict[str, tuple[str, ...]] = {}
    for facet in FACETS.values():
        values = (fields.get(name) for name in facet.fields)
        value = next((one for one in values if isinstance(one, list) or (isinstance(one, str) and one not in _EMPTY)), "")
        if isinstance(value, list):
            texts = [text for text in value if isinstance(text, str)]
        else:
            texts = _COMMAS.split(value) if facet.style == "commas" else [value]
        names: Iterable[str] = (text[:_MAX_FIELD] for text in texts[:_MAX_ITEMS])
        if facet.style == "people":
            names = itertools.chain.from_iterable(map(_split_people, names))
        elif facet.style == "person":
            names = map(_without_markup, names)
        kept: dict[str, str] = {}
        for text, folded in map(_clean_name, names):
            if text and folded not in _UNSIGNED:
                kept.setdefault(folded, text)
        if kept:
            found[facet.name] = tuple(kept.values())[:MAX_TERMS]
    return found


@functools.lru_cache(maxsize=4096)  # the same few people sign thousands of articles
def _split_people(text: str) -> tuple[str, ...]:
    """Split a field that names several people: `wxy, pityonline`, `甲、乙`, `a/b`."""
    return tuple(re.sub(r"\\+(?=[_*])", "", name) for name in _SEPARATORS.split(_without_markup(text)))


def _without_markup(text: str) -> str:
    return _MARKUP.sub("", _LINK.sub(r"\1", text))


@functools.lru_cache(maxsize=8192)
def _clean_name(name: str) -> tuple[str, str]:
    """Return a name without blanks at its ends and invisible characters, and its folded spelling."""
    text = markdown.one_line(name if name.isascii() else _INVISIBLE.sub("", name))[:MAX_NAME].rstrip()
    return text, urls.fold(text)
