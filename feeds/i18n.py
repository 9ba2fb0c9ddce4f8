"""Translate the program's own words, write dates, and name time zones in the reader's language.

The words of pages and mails are English in the code and the templates; `locale/zh_CN/LC_MESSAGES/feeds.po` has them in
simplified Chinese, and the build compiles it into the `feeds.mo` beside it, which the standard library's gettext reads.
Invariant: a text without a translation reads as it was written; nothing here knows of requests or of messages.
"""

from __future__ import annotations

import gettext
import zoneinfo
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path

from .errors import FeedsError

LOCALES = Path(__file__).resolve().parent / "locale"
#: Tags of the languages that there are words of.
LANGUAGES = ("zh-CN", "en")
#: The context (msgctxt) of words that read otherwise in mails than on pages.
MAIL = "mail"
_WEEKDAYS = "一二三四五六日"


def match_language(tag: str) -> str:
    """Return the language of `LANGUAGES` for a tag: Chinese for every kind of Chinese, English for everything else.

    >>> match_language("zh-Hant-TW"), match_language("de")
    ('zh-CN', 'en')
    """
    return "zh-CN" if tag.lower().startswith("zh") else "en"


@cache
def load_catalog(language: str) -> gettext.NullTranslations:
    """Return the compiled words of a language, read once in a process. Raises FeedsError where they were not compiled."""
    if language != "zh-CN":
        return gettext.NullTranslations()
    try:
        return gettext.translation("feeds", LOCALES, ["zh_CN"])
    except FileNotFoundError:
        raise FeedsError(f"no compiled words in {LOCALES}: run `pybabel compile -d {LOCALES} -D feeds`") from None


def translate(language: str, text: str, context: str = "") -> str:
    """Return one of the program's own texts in a language; with a context, the translation of that context first.

    >>> translate("zh-CN", "Unsubscribe"), translate("en", "Unsubscribe"), translate("zh-CN", "not a word of ours")
    ('退订', 'Unsubscribe', 'not a word of ours')
    """
    if not text:  # gettext keeps the catalog's own header fields under the empty text
        return text
    catalog = load_catalog(language)
    found = catalog.pgettext(context, text) if context else text
    return catalog.gettext(text) if found == text else found


def format_day(local: datetime, language: str, *, weekday: bool = False) -> str:
    """Return a date as people write it, also with its day of the week; `local` is in the time zone to be shown.

    >>> format_day(datetime(2014, 6, 2), "en"), format_day(datetime(2014, 6, 2), "zh-CN", weekday=True)
    ('2 June 2014', '2014 年 6 月 2 日 星期一')
    """
    if language == "zh-CN":
        day = f"{local.year} 年 {local.month} 月 {local.day} 日"
        return f"{day} 星期{_WEEKDAYS[local.weekday()]}" if weekday else day
    day = f"{local.day} {local:%B} {local.year}"
    return f"{local:%A}, {day}" if weekday else day


def format_period(year: int, month: int, language: str) -> str:
    """Return the name of a month, or of a year where `month` is 0.

    >>> format_period(2014, 6, "en"), format_period(2014, 0, "zh-CN")
    ('June 2014', '2014 年')
    """
    if language == "zh-CN":
        return f"{year} 年 {month} 月" if month else f"{year} 年"
    return f"{datetime(year, month, 1):%B %Y}" if month else str(year)


@lru_cache(maxsize=256)
def language_name(tag: str) -> str:
    """Return what speakers of a language call it; the tag itself where nobody knows.

    >>> [language_name(tag) for tag in ("en", "zh", "zh-Hant", "pt-BR", "x-own")]
    ['English', '中文', '中文 (繁體)', 'Português (Brasil)', 'x-own']
    """
    from babel import Locale, UnknownLocaleError  # as in `list_zones`

    try:
        name = Locale.parse(tag, sep="-").get_display_name() or tag
    except (ValueError, UnknownLocaleError):
        return tag
    return name[:1].upper() + name[1:]


@lru_cache(maxsize=256)
def text_direction(tag: str) -> str:
    """Return "rtl" for a language that is written from right to left, "ltr" for all others.

    >>> text_direction("fa"), text_direction("zh-CN"), text_direction("")
    ('rtl', 'ltr', 'ltr')
    """
    from babel import Locale, UnknownLocaleError  # as in `list_zones`

    try:
        return Locale.parse(tag, sep="-").text_direction
    except (ValueError, UnknownLocaleError):
        return "ltr"


#: Parts of the world, in the order of the list, by what zones' names begin with.
_AREAS = {name: name for name in "Asia Europe America Africa Australia Pacific Atlantic Indian Antarctica".split()}
_AREAS["Indian"] = "Indian Ocean"
#: CLDR's key -> the name in use today.
_RENAMED = {
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Saigon": "Asia/Ho_Chi_Minh",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Europe/Kiev": "Europe/Kyiv",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
}


@lru_cache(maxsize=4)
def list_zones(language: str) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return (part of the world in English, ((zone, city in the language), ...)), in the order of the zones' names."""
    from babel import Locale  # 30 ms that only the forms with a list of time zones need
    from babel.core import get_global
    from babel.dates import get_timezone_location

    locale = Locale.parse(language.replace("-", "_"))
    known = zoneinfo.available_timezones()
    found: dict[str, list[tuple[str, str]]] = {area: [] for area in _AREAS}
    for listed in get_global("zone_territories"):
        name = _RENAMED.get(listed, listed)
        area = name.partition("/")[0]
        if area in found and name in known and listed not in _RENAMED.values():
            found[area].append((name, get_timezone_location(listed, locale=locale, return_city=True)))
    groups = [(_AREAS[area], tuple(sorted(rows))) for area, rows in found.items()]
    return (*groups, ("", (("UTC", "UTC"),)))


@lru_cache(maxsize=512)
def format_zone(name: str, language: str) -> str:
    """Return the city of a time zone with the zone's name, `上海 (Asia/Shanghai)`; the name alone where there is no city."""
    labels = {zone: label for _area, rows in list_zones(language) for zone, label in rows}
    label = labels.get(name, name)
    return f"{label} ({name})" if label != name else name
