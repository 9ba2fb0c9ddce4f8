"""Put values into the patterns of addresses: `:year`, `{date:%Y}`, `{{ page.fileSlug | slugify }}`. Pure.

What the tokens of one generator mean is in `permalinks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ..kinds import ContentRoot, GeneratorSite, Place, SiteLanguage, StoreKind
from .slugs import eleventy_slug

if TYPE_CHECKING:
    from ..fields import Fields

MAX_ADDRESS = 2000


#: Name of a token -> how its value is found. Those of one generator.
Tokens = Mapping[str, Callable[["Subject"], str]]


class Unknown(Exception):
    """A token of a pattern that has no value for this one."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An article whose address is made, with all that decides it."""

    site: GeneratorSite
    kind: StoreKind
    place: Place
    fields: Fields
    header: Mapping[str, object]
    when: datetime | None  # in the zone whose day stands in addresses
    tokens: Tokens  # besides those of dates, and fields of the header

    @property
    def tail(self) -> str:
        """The last part of the path, with a date in it, without suffix and language."""
        return self.place.stem.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path without its last part."""
        return self.place.stem.rpartition("/")[0]

    @property
    def below_root(self) -> str:
        """The path of the file below its content root."""
        path = self.site.path_of(self.place.path)
        return path.removeprefix(f"{self.root.path}/") if self.root.path else path

    @property
    def root(self) -> ContentRoot:
        """The content root in which the file is."""
        return self.place.root or ContentRoot("")

    @property
    def language(self) -> SiteLanguage:
        """The language of the article as the site's configuration describes it."""
        code = (self.place.language or self.fields.language or self.site.language).casefold()
        return next((one for one in self.site.languages if one.code.casefold() == code), SiteLanguage(code))

    def pattern(self, *names: str) -> str:
        """Return the configured pattern of the first of some sections or collections, else that of all, else ""."""
        patterns = dict(self.site.permalinks)
        return next((found for name in (*names, "") if (found := patterns.get(name, ""))), "")

    def names(self, facet: str) -> tuple[str, ...]:
        """Return the names that the article has in a facet."""
        return self.fields.names.get(facet, ())


_TOKEN = re.compile(r":([A-Za-z0-9_]+(?:\[[^\[\]]{1,20}\])?)|\{\{-?([^{}]{1,200}?)-?\}\}|\{([^{}]{1,80})\}")
#: Tokens of the date in an address, in strftime's form; the last two rows are the layouts of Go's dates, which Hugo takes.
_DATES: Mapping[str, str] = dict(
    token.split("=")
    for token in (
        "year=%Y month=%m day=%d hour=%H minute=%M second=%S i_month=%-m i_day=%-d short_year=%y y_day=%j yearday=%-j "
        "week=%V w_year=%G w_day=%u weekday=%w monthname=%B long_month=%B short_month=%b weekdayname=%A long_day=%A "
        "short_day=%a date=%Y-%m-%d timestamp=%s "
        "2006=%Y 06=%y 01=%m 1=%-m 02=%d 2=%-d 15=%H 04=%M 05=%S January=%B Jan=%b Monday=%A Mon=%a"
    ).split()
)
_MONTHS = "January February March April May June July August September October November December".split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


_GO_PART = re.compile("2006|January|Jan|Monday|Mon|0[1-6]|15|1|2")
_GO_LAYOUT = re.compile(f"(?:{_GO_PART.pattern}|_)+")
DATE_TOKENS = tuple(name for name in _DATES if name.isidentifier())


def _format_date(when: datetime, form: str) -> str:
    """Return a date by strftime's directives, in English whatever the locale of the process; others stay as they are."""
    month, weekday = _MONTHS[when.month - 1], _WEEKDAYS[when.weekday()]
    names = {"B": month, "b": month[:3], "A": weekday, "a": weekday[:3], "s": str(unix_seconds(when)), "e": str(when.day)}

    def directive(match: re.Match[str]) -> str:
        value = names.get(match[2]) or when.strftime(f"%{match[2]}")
        return value.lstrip("0") or "0" if match[1] else value

    return re.sub(r"%(-?)([ABCFGHIMSUVWYabdejmsuwy])", directive, form)


def unix_seconds(when: datetime) -> int:
    """Return the seconds since 1970."""
    return int(when.timestamp())


def expand(one: Subject, pattern: str) -> str:
    """Return a pattern with its tokens replaced. Raises Unknown for one that has no value."""
    if len(pattern) > MAX_ADDRESS:
        raise Unknown("a pattern of such a length")

    def replace(match: re.Match[str]) -> str:
        if match[1] is not None:
            return _colon(one, match[1])
        return _template(one, match[2].strip()) if match[2] is not None else _brace(one, match[3].strip())

    return _TOKEN.sub(replace, pattern)


def _colon(one: Subject, name: str) -> str:
    for known, rest in ((name, ""), (name.rstrip("_"), name[len(name.rstrip("_")) :])):
        if (value := _value(one, known)) is not None:
            return value + rest
    if name.isdigit():
        return f":{name}"
    raise Unknown(f":{name}")


def _value(one: Subject, name: str) -> str | None:
    """Return what a token means; None for an unknown one. Raises Unknown where it has no value for this one."""
    name, _bracket, part = name.partition("[")
    if make := one.tokens.get(name):
        value = make(one)
        return _sliced(value, part.rstrip("]")) if part else value
    form = _DATES.get(name, "")
    if not form and one.kind.name == "hugo" and _GO_LAYOUT.fullmatch(name):
        form = _GO_PART.sub(lambda match: _DATES[match[0]], name)
    if form:
        if one.when is None:
            raise Unknown(f":{name}")
        return _format_date(one.when, form)
    text = header_text(one, name)
    return text if text is not None else option_map(one.site, "permalink_defaults").get(name)


def _sliced(value: str, part: str) -> str:
    """Return some of the sections as Hugo's `:sections[1:]` and `:sections[last]` do."""
    parts = value.split("/")
    first, colon, end = part.replace("last", str(len(parts) - 1)).partition(":")
    try:
        start = int(first or 0)
        stop = (int(end) if end else len(parts)) if colon else start + 1
    except ValueError:
        return ""
    return "/".join(parts[start:stop])


def option_map(site: GeneratorSite, name: str) -> dict[str, str]:
    """Return an option that has a line `key=value` for each entry."""
    pairs = (line.partition("=") for line in site.option(name).split("\n")[:200])
    return {key: value for key, _mark, value in pairs if key}


def header_value(one: Subject, name: str) -> object:
    """Return the value of a header field, in any case of its name; None where it is missing."""
    folded = name.casefold()
    return next((value for key, value in one.header.items() if key.casefold() == folded), None)


def header_text(one: Subject, name: str) -> str | None:
    """Return the text of a header field, of a list its first; None for none."""
    value = header_value(one, name)
    if isinstance(value, list) and value:
        value = value[0]
    return str(value) if isinstance(value, str | int | float) and str(value).strip() else None


def _brace(one: Subject, text: str) -> str:
    """Return what `{slug}`, `{date:%Y}` or `{any_field}` means. Pelican's own names come before header fields."""
    name, _mark, form = text.partition(":")
    if form and name in ("date", "modified"):
        if one.when is None:
            raise Unknown(f"{{{name}}}")
        return _format_date(one.when, form)
    if name in ("date.year", "date.month", "date.day"):
        return _value(one, {"year": "year", "month": "i_month", "day": "i_day"}[name[5:]]) or ""
    name = name.removesuffix(".slug") if one.kind.name == "pelican" else name
    own = one.kind.name == "pelican" and name in ("slug", "lang", "category", "author")
    value = (None if own else header_text(one, name)) or _value(one, name)
    if value is None:
        raise Unknown(f"{{{name}}}")
    return value


_QUOTED = re.compile(r"""^(["'])([^"']*)\1$""")
_TEXTS = re.compile(r"""\s*(["'])([^"']+)\1(?:\s*,\s*(["'])([^"']*)\3)?\s*""")


def _template(one: Subject, expression: str) -> str:
    """Return what a simple expression of Nunjucks or Liquid means: a name or a text, and filters that are known."""
    first, *filters = re.split(r"\s*\|\s*", expression)
    value: str | None = None
    for name in re.split(r"\s+or\s+", first.strip()):
        literal = _QUOTED.match(name)
        value = literal[2] if literal else _template_value(one, name)
        if value:
            break
    if value is None:
        raise Unknown(f"{{{{ {first.strip()} }}}}")
    for text in filters:
        value = _filtered(one, value, text)
    return value


def _template_value(one: Subject, name: str) -> str | None:
    name = name.strip().removeprefix("data.")
    if name in ("page.date", "date"):
        return _value(one, "date")
    if name == "page.fileSlug":
        return re.sub(r"^\d{4}-\d\d-\d\d-", "", one.tail)
    if name == "page.filePathStem":
        return "/" + one.place.stem
    if name == "page.outputFileExtension":
        return "html"
    if name == "title":
        return one.fields.title
    return one.fields.slug or None if name == "slug" else header_text(one, name)


def _filtered(one: Subject, value: str, text: str) -> str:
    name, _mark, argument = re.sub(r"\s*[:(]\s*", ":", text.rstrip(") "), count=1).partition(":")
    literal = _QUOTED.match(argument.strip())
    if name in ("slug", "slugify", "slugifyFilter", "url_slug"):
        return eleventy_slug(value)
    if name in ("downcase", "lower"):
        return value.lower()
    if name in ("url", "safe", "string", "trim", "strip"):
        return value.strip()
    if name in ("replace", "remove") and (texts := _TEXTS.fullmatch(argument)):
        return value.replace(texts[2], texts[4] or "")
    if name == "date" and literal and one.when is not None and "%" in literal[2]:
        return _format_date(one.when, literal[2])
    raise Unknown(f"the filter {name}")
