"""Read the dates of headers and of file names as each generator does. Pure and total: what is no date gives None.

A reader is a row of `READERS`. Dates without a zone are of the zone that the caller names; all results are in UTC, to the
second, from 1970 to 2200.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

#: Longer texts are no dates.
MAX_DATE = 100
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Reader = Callable[[str, tzinfo], datetime | None]


def read_date(text: str, zone: str, reader: str = "any") -> datetime | None:
    """Return a date in UTC, to the second, by the reader of that name; None for other text and for dates outside 1970 to 2200.

    `zone` (a name of the time zone database) is that of dates without one.

    >>> print(read_date("2020/1/2 3:04", "Asia/Shanghai"))
    2020-01-01 19:04:00+00:00
    """
    text = text.strip()
    if not text or len(text) > MAX_DATE:
        return None
    with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
        if found := READERS[reader](text, find_zone(zone)):
            return in_utc(found, zone)
    return None


@functools.lru_cache(maxsize=64)
def find_zone(name: str) -> tzinfo:
    """Return a time zone by its name; UTC where there is none of that name."""
    with contextlib.suppress(KeyError, ValueError, OSError):
        return ZoneInfo(name)
    return UTC


def in_utc(when: datetime, zone: str) -> datetime | None:
    """Return the instant in UTC, to the second; None outside 1970 to 2200. `zone` is that of naive ones."""
    with contextlib.suppress(ValueError, OverflowError):
        aware = when if when.tzinfo else when.replace(tzinfo=find_zone(zone))
        instant = aware.astimezone(UTC).replace(microsecond=0)
        if EARLIEST <= instant < LATEST:
            return instant
    return None


# -- names of files and folders ----------------------------------------------

_DATED_NAME = re.compile(r"^(\d{4})-?(\d\d)-?(\d\d)(?!\d)")
_DATED_FOLDER = re.compile(r"(?:^|/)(\d{4})/(?:(\d\d)/(?:(\d\d)/)?)?")
_HUGO_NAME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:-(\d\d)-(\d\d)-(\d\d)(?=[-_ ]|$))?[-_ ]*(.*)", re.DOTALL)


def path_dates(path: str) -> Iterator[tuple[int, ...]]:
    """Return the dates in the name of a file and in its folders (year, month, day), as the archive writes them.

    >>> list(path_dates("news/2020/02/20200304-hello.md"))
    [(2020, 3, 4), (2020, 2, 1)]
    """
    for match in filter(None, (_DATED_NAME.search(PurePosixPath(path).name), _DATED_FOLDER.search(path))):
        parts = tuple(int(part or 1) for part in match.groups())
        if all(parts) and parts[0] > 100:
            yield parts


def date_of(parts: tuple[int, ...], zone: str) -> datetime | None:
    """Return the date of a name: year, month, day and, where it has them, hour, minute and second, in `zone`.

    A month or day 0 counts as 1: names such as `2015-03-00-spring` are dates of which the day was not known.
    """
    year, month, day = (max(part, 1) for part in (*parts, 1, 1)[:3])
    with contextlib.suppress(ValueError, OverflowError):
        hour, minute, second = (*parts[3:6], 0, 0, 0)[:3]
        return in_utc(datetime(year + (2000 if year < 100 else 0), month, day, hour, minute, second), zone)
    return None


def hugo_name(stem: str) -> tuple[tuple[int, ...], str]:
    """Return the date at the beginning of a name, () for none, and the slug that Hugo makes of the rest.

    >>> hugo_name("2023-04-05-from-name")
    ((2023, 4, 5), 'from-name')
    """
    if match := _HUGO_NAME.fullmatch(stem):
        return tuple(int(part) for part in match.groups()[:6] if part), match[7].strip("-_ ")
    return (), ""


# -- what is read everywhere -----------------------------------------------------

_MONTHS = {month: at + 1 for at, month in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())}
_DAYS = frozenset("mon tue wed thu fri sat sun".split())
#: Offsets in hours. An abbreviation that the zone of the site has itself is that zone's (CST: Shanghai, or Chicago).
_OFFSETS: Mapping[str, float] = {
    name: hours
    for hours, names in {
        0: "z utc gmt ut wet",
        1: "west bst cet",
        2: "cest eet",
        3: "eest msk",
        5.5: "ist",
        8: "hkt sgt",
        9: "jst kst",
        10: "aest",
        11: "aedt",
        12: "nzst",
        13: "nzdt",
        -4: "edt",
        -5: "est cdt",
        -6: "cst mdt",
        -7: "mst pdt",
        -8: "pst",
    }.items()
    for name in names.split()
}
_WEEKDAY = re.compile(r"([A-Za-z]{3,9})\.?,?\s+|(?:星期|周|週)[一二三四五六日天]\s*")
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_CLOCK = (
    r"(?P<half>上午|下午|晚上|中午|凌晨|早上)?\s*(?P<hour>\d{1,2})"
    r"(?:\s*[:：时時点點]\s*(?P<minute>\d{1,2})分?(?:[:：]?\s*(?P<second>\d{1,2})秒?(?:[.,]\d{1,9})?)?)?"
    r"\s*(?P<noon>[AaPp]\.?[Mm]\.?)?"
)
_OFFSET = (
    r"(?P<zone>(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?|[A-Za-z]{1,5}|[A-Za-z_]{2,20}/[A-Za-z_/+-]{2,40})"
    r"(?:\s*\([^()]*\)|\s[A-Z]{3,5})?"
)
_TAIL = rf"(?:(?:[Tt]|,|\s+at\s|\s|(?<=日))\s*{_CLOCK})?\s*(?:{_OFFSET})?"
#: Forms of a day, each with the rest of a date after it.
_FORMS = (
    rf"(?P<year>\d{{4}})\s*[-/.年]\s*(?P<m>\d{{1,2}})\s*[-/.月]\s*(?P<day>\d{{1,2}})\s*日?{_TAIL}",
    rf"{_MONTH}\s+{_DAY},?\s+(?P<year>\d{{4}}){_TAIL}",
    rf"{_DAY}[\s-]+{_MONTH},?[\s-]+(?P<year>\d{{4}}|\d\d){_TAIL}",
    rf"{_MONTH}\s+{_DAY}\s+{_CLOCK}(?:\s+{_OFFSET})?\s+(?P<year>\d{{4}})",
    rf"(?P<first>\d{{1,2}})[-/.](?P<then>\d{{1,2}})[-/.](?P<year>\d{{4}}){_TAIL}",
    rf"(?P<year>\d{{4}})(?P<m>\d\d)(?P<day>\d\d)(?:[T ]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?)?\s*(?:{_OFFSET})?",
    r"(?P<year>\d{4})(?:\s*[-/.年]\s*(?P<m>\d{1,2})月?)?年?",
    rf"{_MONTH},?\s+(?P<year>\d{{4}})",
)


@functools.cache  # they take long to compile, and an archive does without
def _forms() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(form, re.ASCII) for form in _FORMS)


_EPOCH = re.compile(r"-?\d{9,10}(?:\.\d{1,9})?|\d{13}", re.ASCII)


def _any(text: str, zone: tzinfo, *, day_first: bool = False) -> datetime | None:
    """Read what people write: ISO 8601, RFC 2822, `2020/1/2 3:04`, `Jan 2, 2020`, `2020年1月2日`, seconds since 1970."""
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(float(text) / (1000 if len(text) == 13 else 1), UTC)
    if (match := _WEEKDAY.match(text)) and (match[1] is None or match[1][:3].lower() in _DAYS):
        text = text[match.end() :]
    text = re.sub(r"\s*(?:星期|周|週)[一二三四五六日天]\s*", " ", text)
    for form in _forms():
        if match := form.fullmatch(text):
            return _compose(match.groupdict(), zone, day_first)
    return datetime.fromisoformat(text)


def _compose(parts: Mapping[str, str | None], zone: tzinfo, day_first: bool) -> datetime | None:
    """Return the date of the parts of a form. Raises ValueError where there is no such day or time."""
    written = parts["year"] or ""
    year = int(written) + (0 if len(written) > 2 else 1900 if int(written) > 68 else 2000)
    day, month = int(parts.get("day") or 1), int(parts.get("m") or 1)
    if name := parts.get("month"):
        month = _MONTHS.get(name[:3].lower(), 0)
    if first := parts.get("first"):
        one, two = int(first), int(parts["then"] or 0)
        day, month = (one, two) if day_first or one > 12 else (two, one)
        day, month = (day, month) if month <= 12 else (month, day)
    hour, minute, second = (int(parts.get(part) or 0) for part in ("hour", "minute", "second"))
    noon = (parts.get("noon") or "")[:1].lower()
    half = parts.get("half") or ""
    if parts.get("hour") and not parts.get("minute") and not (noon or half):
        return None
    if noon and not 1 <= hour <= 12:
        return None
    if (noon == "p" or half in ("下午", "晚上", "中午")) and hour < 12 and not (half == "中午" and hour > 10):
        hour += 12
    elif (noon == "a" or half in ("上午", "凌晨")) and hour == 12:
        hour = 0
    when = datetime(year, month, day, hour, minute, min(second, 59))
    return when.replace(tzinfo=_offset(parts.get("zone") or "", when, zone))


def _offset(text: str, when: datetime, zone: tzinfo) -> tzinfo | None:
    """Return the zone that a text names; None for none. Raises ValueError for a name that nobody knows."""
    if not text:
        return None
    if match := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?", text):
        shift = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        return timezone(shift if match[1] == "+" else -shift)
    if "/" in text:
        return ZoneInfo(text) if find_zone(text) is not UTC else None
    if text == when.replace(tzinfo=zone).tzname():
        return zone
    if (hours := _OFFSETS.get(text.lower())) is None:
        raise ValueError("no zone")
    return timezone(timedelta(hours=hours))


# -- the ways of each generator ------------------------------------------------------


def _archive(text: str, zone: tzinfo) -> datetime | None:
    """Read ISO 8601, `2020/1/2 3:04` and RFC 2822. Raises ValueError and others."""
    for read in (datetime.fromisoformat, _slashed, _mailed):
        with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
            return read(text)
    return None


def _mailed(text: str) -> datetime:
    """Read RFC 2822. Raises ValueError and TypeError."""
    import email.utils  # takes a while, and few files need it

    return email.utils.parsedate_to_datetime(text)


def _slashed(text: str) -> datetime:
    """Read `2020/1/2 3:04` and the like. Raises ValueError."""
    dashed = re.sub(r"^(\d{4})[-/.](\d\d?)[-/.](\d\d?)", lambda m: f"{m[1]}-{int(m[2]):02}-{int(m[3]):02}", text)
    return datetime.fromisoformat(re.sub(r"(?<=\d[ T])(?=\d:)", "0", dashed))


#: What Go's `time.Parse` takes with the layouts of Hugo (github.com/spf13/cast), tried with Hugo 0.111.3. All else is no date.
_HUGO = re.compile(
    r"\d{4}-\d\d-\d\d(?:(?:T| +)\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
    r"| +\d{1,2}:\d\d:\d\d(?:[.,]\d+)? +[+-]\d\d:?\d\d(?: [A-Z]{3,5})?)?"
    r"|\d\d [A-Z][a-z]{2} \d{4}|\d\d [A-Z][a-z]{2} \d\d \d\d:\d\d (?:[+-]\d{4}|[A-Z]{3,5})"
    r"|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:[+-]\d{4}|[A-Z]{3,5})"
    r"|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d [A-Z]{3,5}"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d (?:(?:[+-]\d{4}|[A-Z]{3,5}) )?\d{4}",
    re.ASCII,
)


def _hugo(text: str, zone: tzinfo) -> datetime | None:
    """Read what Hugo reads; a whole number is seconds since 1970, however short."""
    if re.fullmatch(r"-?\d{1,11}", text, re.ASCII):
        return datetime.fromtimestamp(int(text), UTC)
    return _any(text, zone) if _HUGO.fullmatch(text) else None


#: A timestamp of YAML, which Ruby reads as UTC where it names no zone; a day alone is not one, and local.
_TIMESTAMP = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?", re.ASCII)


def _ruby(text: str, zone: tzinfo) -> datetime | None:
    """Read what Jekyll reads: `01/02/2020` is a day in February."""
    found = _any(text, zone, day_first=True)
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None and _TIMESTAMP.fullmatch(text) else found


def _pelican(text: str, zone: tzinfo) -> datetime | None:
    return _any(text.replace("_", " "), zone)


#: Readers of dates, by the name that `StoreKind.shapes` gives.
_MONTH_END = re.compile(r"(\d{4}-\d\d)-(29|30|31)(?!\d)")


def _javascript(text: str, zone: tzinfo) -> datetime | None:
    """Read a date as js-yaml does: a day after the end of its month is one of the next month."""
    try:
        return _any(text, zone)
    except ValueError:
        match = _MONTH_END.match(text)
        last = _any(f"{match[1]}-28{text[match.end() :]}", zone) if match else None
        return last + timedelta(days=int(match[2]) - 28) if match and last else None


READERS: Mapping[str, Reader] = {
    "any": _any,
    "javascript": _javascript,
    "archive": _archive,
    "hugo": _hugo,
    "ruby": _ruby,
    "pelican": _pelican,
}
