"""Time zones to choose from, by part of the world, each with its city in the reader's language."""

from __future__ import annotations

import zoneinfo
from functools import lru_cache

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_location

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
