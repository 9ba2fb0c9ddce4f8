"""The pages' own words in the reader's language: msgids are English, catalogs are PO files read by Babel.

A language is what the reader chose by the switch (kept in a cookie), else what the browser accepts, else the site's.
"""

from __future__ import annotations

import zoneinfo
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_location
from werkzeug.datastructures import LanguageAccept

LOCALES = Path(__file__).resolve().parents[1] / "locale"
#: The name of the cookie that keeps the reader's choice, and for how long (seconds).
COOKIE, COOKIE_SECONDS = "language", 365 * 86400
#: What a page's bytes depend on besides its address.
VARY = "Accept-Encoding, Accept-Language, Cookie"


class Languages:
    """`default` is the language of the site."""

    tags = ("zh-CN", "en")

    def choose(self, chosen: str, accepted: LanguageAccept, default: str) -> str:
        """What the reader has `chosen`, the best of what is accepted, or the site's where both say nothing."""
        if chosen in self.tags:
            return chosen
        site = "zh-CN" if default.lower().startswith("zh") else "en"
        for tag, quality in accepted:
            for known in self.tags:
                if quality > 0 and tag.lower().split("-")[0] == known.split("-")[0]:
                    return known
        return site

    def translate(self, language: str, text: str) -> str:
        return self._chinese.get(text, text) if language == "zh-CN" else text

    @cached_property
    def _chinese(self) -> dict[str, str]:
        from babel.messages.pofile import read_po

        with (LOCALES / "zh_CN" / "LC_MESSAGES" / "feeds.po").open("rb") as file:
            catalog = read_po(file, locale="zh_CN")
        return {str(message.id): str(message.string) for message in catalog if message.id and message.string}


def day(when: datetime, zone: ZoneInfo, language: str) -> str:
    """A date as people write it, in the site's time zone."""
    local = when.astimezone(zone)
    if language == "zh-CN":
        return f"{local.year} 年 {local.month} 月 {local.day} 日"
    return f"{local.day} {local:%B} {local.year}"


def period(year: int, month: int, language: str) -> str:
    """A month, or with `month` 0 a year."""
    if language == "zh-CN":
        return f"{year} 年 {month} 月" if month else f"{year} 年"
    return f"{datetime(year, month, 1):%B %Y}" if month else str(year)


# Time zones to choose from, by part of the world, each with its city in the reader's language.

_AREAS = {
    "Asia": "Asia",
    "Europe": "Europe",
    "America": "America",
    "Africa": "Africa",
    "Australia": "Australia",
    "Pacific": "Pacific",
    "Atlantic": "Atlantic",
    "Indian": "Indian Ocean",
    "Antarctica": "Antarctica",
}
#: Names that people know by another word than CLDR's key.
_TODAY = {"Asia/Calcutta": "Asia/Kolkata", "Asia/Saigon": "Asia/Ho_Chi_Minh", "Asia/Katmandu": "Asia/Kathmandu"}
_TODAY |= {
    "Asia/Rangoon": "Asia/Yangon",
    "Europe/Kiev": "Europe/Kyiv",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
}

Group = tuple[str, tuple[tuple[str, str], ...]]


@lru_cache(maxsize=4)
def zones(language: str) -> tuple[Group, ...]:
    """(part of the world in English, ((name, city), ...)), in the order of the zones' own names."""
    locale = Locale.parse(language.replace("-", "_"))
    known = zoneinfo.available_timezones()
    found: dict[str, list[tuple[str, str]]] = {area: [] for area in _AREAS}
    for listed in get_global("zone_territories"):
        name = _TODAY.get(listed, listed)
        area = name.partition("/")[0]
        if area in found and name in known and listed not in _TODAY.values():
            found[area].append((name, get_timezone_location(listed, locale=locale, return_city=True)))
    groups = [(_AREAS[area], tuple(sorted(rows))) for area, rows in found.items()]
    return (*groups, ("", (("UTC", "UTC"),)))


@lru_cache(maxsize=512)
def city(name: str, language: str) -> str:
    """The city that a zone is called after, with the zone's own name: `上海 (Asia/Shanghai)`."""
    for _area, rows in zones(language):
        for zone, label in rows:
            if zone == name and label != name:
                return f"{label} ({name})"
    return name
