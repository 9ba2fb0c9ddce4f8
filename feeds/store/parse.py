"""One file -> ParsedArticle or Problem. Total: whatever lies in a file, this returns.

Articles are made safe here, once. Only the fields named below are looked at; everything else in a header ends here.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from .. import urls
from ..config.models import Config
from ..model import FACETS, Facet, ParsedArticle, Problem
from . import markdown
from .frontmatter import BadFrontMatter, Source, Value, read
from .git import UNDATED, Dates
from .walk import UNSETTLED, Stamp, stamp_of

#: Raise it when a change in this department makes other articles of the same files: every store is then read anew.
PARSER = "4"

MAX_NAME = 300
MAX_TERMS = 100
#: Longer ones are cut, and end in "…"; feeds, pages and mails show them again and again.
MAX_TITLE = 500
MAX_SUMMARY = 3000
#: What is looked at of one field that names people, and of one list: names are short.
_MAX_FIELD = 2000
_MAX_ITEMS = 1000
#: HTML may be so many times as long as a file may be: every relative link becomes an absolute one.
_MAX_GROWTH = 8
PLACEHOLDERS = ("/static/image/common/nophoto.png", "/201610/12/095124vr9cmdgilii8rrwr.png")


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the configuration decides how a file reads."""

    root: str
    timezone: str
    article_url: str
    base_url: str
    image_url: str
    max_bytes: int
    dates: bool = False

    @classmethod
    def of(cls, config: Config) -> Rules:
        site = config.site
        image_url = site.image_url or site.base_url
        return cls(
            site.store, site.timezone, site.article_url, site.base_url, image_url, site.max_file_bytes, site.store_git.dates
        )

    @property
    def key(self) -> str:
        """Differs when the same file would read otherwise."""
        return hashlib.sha256(repr((PARSER, self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one file: None is a draft, which is not for publication.

    `settled` is False while the file may still be being written or could not be read at all.
    """

    path: str
    stamp: Stamp
    result: ParsedArticle | Problem | None
    settled: bool = True


#: A file as young as this may change again within the resolution of its time stamp; the next rescan reads it once more.
UNSETTLED_NS = 2_000_000_000
NO_DATES: Mapping[str, Dates] = {}


def read_files(rules: Rules, paths: Iterable[str], now_ns: int, dates: Mapping[str, Dates] = NO_DATES) -> list[Reading]:
    """Read files by their paths below the store's root; `dates` are git's. Never raises for what is in them."""
    return [read_file(rules, path, now_ns, dates.get(path, UNDATED)) for path in paths]


def read_file(rules: Rules, path: str, now_ns: int, dates: Dates = UNDATED) -> Reading:
    try:
        descriptor = os.open(os.path.join(rules.root, path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return Reading(path, UNSETTLED, Problem(path, 0, 0, _io_reason(error), "unreadable"), settled=False)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):  # since the sweep
            return Reading(path, UNSETTLED, Problem(path, 0, 0, "not a file any more", "unreadable"), settled=False)
        try:
            data = file.read(rules.max_bytes + 1)
        except OSError as error:
            return Reading(path, UNSETTLED, Problem(path, 0, 0, _io_reason(error), "unreadable"), settled=False)
    settled = now_ns - status.st_mtime_ns > UNSETTLED_NS
    result = parse(rules, path, data, status.st_mtime, dates)
    return Reading(path, stamp_of(status), result, settled)


def _io_reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"


def parse(rules: Rules, path: str, data: bytes, mtime: float, dates: Dates = UNDATED) -> ParsedArticle | Problem | None:
    """Git's dates, then `mtime` (seconds), are the last fallbacks for an article without any date. None for a draft."""
    if len(data) > rules.max_bytes:
        return Problem(path, 0, 0, f"larger than {rules.max_bytes} bytes", "oversized")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        return Problem(path, line, column, "not UTF-8", "encoding")
    try:
        source = read(text.replace("\r\n", "\n").replace("\r", "\n"))
        return None if _is_draft(source.fields) else _article(rules, path, source, mtime, dates)
    except BadFrontMatter as error:
        return Problem(path, error.line, error.column, error.reason)
    except markdown.Unreasonable as error:
        return Problem(path, 0, 0, str(error))
    except Exception as error:  # the message could quote the file, the type cannot
        return Problem(path, 0, 0, f"could not be read ({type(error).__name__})")


def _article(rules: Rules, path: str, source: Source, mtime: float, dates: Dates) -> ParsedArticle:
    fields = source.fields
    id = _id(fields, path)
    url = _url(rules, fields, id)
    content = _content(rules, source, url)
    summary = _excerpt(fields) or markdown.opening(content)
    published = _published(rules, fields, path, mtime, dates)
    original = markdown.absolute(_text(fields, "fromurl"), "")
    updated = max(published, _date(rules, fields.get("updated")) or _committed(dates.last) or published)
    article = ParsedArticle(
        id=id,
        url=url,
        permalink=_text(fields, "permalink")[:MAX_NAME],
        title=_title(fields) or _name_of_file(path),
        summary=summary,
        html=content,
        published=published,
        updated=updated,
        original=original if original != url else "",
        picture=_picture(rules, fields),
        comments=_comment_count(fields),
        editor_choice=_text(fields, "editorchoice").lower() in _YES,
        names=_names(fields),
        digest="",
    )
    return _with_digest(article)


def _content(rules: Rules, source: Source, url: str) -> str:
    found = markdown.render(source.body, url, rules.image_url)
    if len(found) > _MAX_GROWTH * rules.max_bytes:
        raise markdown.Unreasonable(f"more than {_MAX_GROWTH * rules.max_bytes} bytes as HTML")
    return found


def _is_draft(fields: Mapping[str, Value]) -> bool:
    """As Hugo (`draft: true`) and Jekyll (`published: false`) mark what is not for publication."""
    return _text(fields, "draft").lower() in _YES or _text(fields, "published").lower() in ("false", "no", "off")


_YES = ("true", "yes", "on", "1")


def _with_digest(article: ParsedArticle) -> ParsedArticle:
    values = {name: getattr(article, name) for name in ParsedArticle.__slots__ if name != "digest"}
    published = "\0".join(str(value) for value in values.values())
    return ParsedArticle(**values, digest=hashlib.sha256(published.encode()).hexdigest()[:32])


# -- fields: each may be missing, empty or of another type -----------------


def _text(fields: Mapping[str, Value], name: str) -> str:
    value = fields.get(name)
    return markdown.plain(value) if isinstance(value, str) and value not in ("null", "~") else ""


def _id(fields: Mapping[str, Value], path: str) -> str:
    return _text(fields, "id")[:MAX_NAME] or markdown.plain(_name_of_file(path)) or path


def _name_of_file(path: str) -> str:
    """`2024/01/5.md` -> `5`; of `hello/index.md`, a folder that is one article, the folder's name."""
    file = PurePosixPath(path)
    return file.parent.name if file.stem in ("index", "_index") and file.parent.name else file.stem


def _url(rules: Rules, fields: Mapping[str, Value], id: str) -> str:
    """The article's own address: absolute in the header, made by `article_url`, or a page of this service."""
    own = f"{rules.base_url}/articles/{urls.encode(urls.slug(id))}"
    permalink = _text(fields, "permalink")
    if not rules.article_url:
        return own
    if len(permalink) > MAX_NAME:
        return own
    if permalink.startswith(("http://", "https://")):
        return markdown.absolute(permalink, "") or own
    if "{permalink}" in rules.article_url and not permalink:
        return own
    joined = rules.article_url.replace("{permalink}", "/" + permalink.lstrip("/")).replace("{id}", urls.encode(id))
    return markdown.absolute(joined, "") or own


_WRAPPED = re.compile(
    r"<(h[1-6]|p|div|span|center|font|b|strong|i|em|u)(?:\s[^<>]*)?>\s*((?:(?!</?\1\b).)*?)\s*</\1>", re.IGNORECASE
)


def _title(fields: Mapping[str, Value]) -> str:
    """Tags around the whole title are an editor's leftovers; a tag within is a word of it (`What <b>bold</b> does`)."""
    text = _text(fields, "title")[: 2 * MAX_TITLE]
    while match := _WRAPPED.fullmatch(text):
        text = match[2]
    return markdown.shorten(text, MAX_TITLE)


def _excerpt(fields: Mapping[str, Value]) -> str:
    """Entities are the archive's leftovers: taken away once."""
    text = _text(fields, "excerpt") or _text(fields, "summary") or _text(fields, "description")
    return markdown.shorten(markdown.plain(markdown.unescape(text[: 2 * MAX_SUMMARY])), MAX_SUMMARY)


def _picture(rules: Rules, fields: Mapping[str, Value]) -> str:
    for name in ("largepic", "pic"):
        reference = _text(fields, name)
        if reference and not reference.endswith(PLACEHOLDERS):
            return markdown.absolute(reference, rules.image_url + "/")
    return ""


def _comment_count(fields: Mapping[str, Value]) -> int:
    count = fields.get("count")
    number = count.get("commentnum") if isinstance(count, dict) else None
    return int(number) if isinstance(number, str) and re.fullmatch(r"[0-9]{1,9}", number) else 0


# -- dates: the header's, else the file's name, else its folder, else its first commit, else its modification time ---

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_DATED_NAME = re.compile(r"^(\d{4})-?(\d\d)-?(\d\d)(?!\d)")
_DATED_FOLDER = re.compile(r"(?:^|/)(\d{4})/(?:(\d\d)/(?:(\d\d)/)?)?")


def _published(rules: Rules, fields: Mapping[str, Value], path: str, mtime: float, dates: Dates) -> datetime:
    return (
        _date(rules, fields.get("date"))
        or _dated(rules, _DATED_NAME.search(PurePosixPath(path).name))
        or _dated(rules, _DATED_FOLDER.search(path))
        or _committed(dates.first)
        or datetime.fromtimestamp(min(max(int(mtime), 0), int(_LATEST.timestamp())), UTC)
    )


def _committed(seconds: int | None) -> datetime | None:
    """A commit can claim any time; the bounds are those of all dates."""
    if seconds is None or not _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _date(rules: Rules, value: Value | None) -> datetime | None:
    """A date in UTC, to the second; None for what is no date or lies outside 1970 to 2200. Naive ones are site time."""
    if not isinstance(value, str) or not value.strip():
        return None
    found = _first(value.strip(), (datetime.fromisoformat, _slashed, email.utils.parsedate_to_datetime))
    return _in_utc(rules, found) if found else None


def _slashed(text: str) -> datetime:
    dashed = re.sub(r"^(\d{4})[-/.](\d\d?)[-/.](\d\d?)", _dashed, text)
    return datetime.fromisoformat(re.sub(r"(?<=\d[ T])(?=\d:)", "0", dashed))


def _dashed(match: re.Match[str]) -> str:
    return f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"


def _first(text: str, readers: tuple[Callable[[str], datetime], ...]) -> datetime | None:
    for reader in readers:
        with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
            return reader(text)
    return None


def _dated(rules: Rules, match: re.Match[str] | None) -> datetime | None:
    if match is None:
        return None
    year, month, day = (int(part or 1) for part in match.groups())
    with contextlib.suppress(ValueError):
        return _in_utc(rules, datetime(year, month, day))
    return None


def _in_utc(rules: Rules, when: datetime) -> datetime | None:
    with contextlib.suppress(ValueError, OverflowError):
        aware = when if when.tzinfo else when.replace(tzinfo=ZoneInfo(rules.timezone))
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


def _names(fields: Mapping[str, Value]) -> dict[str, tuple[str, ...]]:
    found = {facet.name: _clean(_split(facet, _values(fields, facet))) for facet in FACETS.values()}
    return {facet: names for facet, names in found.items() if names}


def _values(fields: Mapping[str, Value], facet: Facet) -> list[str]:
    """The texts of the facet's first field that has any."""
    for key in facet.fields:
        value = fields.get(key)
        if isinstance(value, list):
            return [item for item in value if isinstance(item, str)][:_MAX_ITEMS]
        if isinstance(value, str) and value not in ("", "null", "~"):
            return _COMMAS.split(value)[:_MAX_ITEMS] if facet.style == "commas" else [value]
    return []


def _split(facet: Facet, values: list[str]) -> Iterable[str]:
    if facet.style == "people":
        return (name for text in values for name in _split_people(text[:_MAX_FIELD]))
    return (_without_markup(name[:_MAX_FIELD]) for name in values) if facet.style == "person" else values


@functools.lru_cache(maxsize=4096)  # the same few people sign thousands of articles
def _split_people(text: str) -> tuple[str, ...]:
    """One field, several people: `wxy, pityonline`, `甲、乙`, `a/b`."""
    names = _SEPARATORS.split(_without_markup(text))
    return tuple(re.sub(r"\\+(?=[_*])", "", name) for name in names)


def _without_markup(text: str) -> str:
    return _MARKUP.sub("", _LINK.sub(r"\1", text))


def _clean(names: Iterable[str]) -> tuple[str, ...]:
    """Without blanks at the ends, empty ones and repetitions (by folded spelling), at most MAX_TERMS."""
    kept: dict[str, str] = {}
    for text, folded in (_clean_name(name[:_MAX_FIELD]) for name in names):
        if text and folded not in _UNSIGNED:
            kept.setdefault(folded, text)
    return tuple(kept.values())[:MAX_TERMS]


@functools.lru_cache(maxsize=8192)
def _clean_name(name: str) -> tuple[str, str]:
    text = markdown.plain(name if name.isascii() else _INVISIBLE.sub("", name))[:MAX_NAME].rstrip()
    return text, urls.fold(text)
