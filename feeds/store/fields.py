"""Read the fields of a header under the names of each kind: title, dates, people, tags, what withholds the article. Pure.

Which header fields carry what, and the readers of their values, are the columns `fields` and `shapes` of `kinds.KINDS`. Total:
what cannot be read is named in `Fields.notices`, which quote nothing but names of fields.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from .. import urls
from ..model import FACETS, NO_DETAILS, Details
from . import dates, markdown, prose
from .frontmatter import Source
from .header_text import plain_title
from .headers import details
from .headers.lookup import (
    Header,
    Wanted,
    archive_fields,
    below_root,
    flag_name,
    inherited_fields,
    is_empty,
    text_of,
    wanted_fields,
)
from .kinds import GeneratorSite, Place, SiteLanguage, StoreKind
from .names import MAX_NAME, SHAPES, leaves, read_names

__all__ = ["MAX_SUMMARY", "MAX_TITLE", "PLACEHOLDERS", "SHAPES", "Fields", "read_fields", "text_of", "unwrap", "zone_of"]

#: Longer ones are cut, and end in "…"; feeds, pages and mails show them again and again.
MAX_TITLE, MAX_SUMMARY = 500, 3000
_MAX_ADDRESS, _MAX_ALIASES, _MAX_UNUSED, _MAX_LEVELS = 2000, 100, 100, 8
#: Pictures that stand where there is none.
PLACEHOLDERS = ("/static/image/common/nophoto.png", "/201610/12/095124vr9cmdgilii8rrwr.png")
_NOTHING: Mapping[str, str] = MappingProxyType({})


#: Notice of a file in which nothing says a date.
NO_DATE = "no date"


@dataclass(frozen=True, slots=True)
class Fields:
    """What a header, the name of the file and the generator's defaults say of an article. Texts are as written; times in UTC.

    `date_from` is "header", "name", "folder", "git" (the configuration says that history dates files; `date` is None) or "".
    `names` are by facet; `flags` are what may withhold the article (`verdict.judge`) or keep it out of feeds and digests
    (`details`), by lower-case name, in normalised text.
    Translations of one article share `translation`. `excerpt` is the Markdown before the mark that ends a summary, which counts
    where `summary` is "". `body` is without the title that was taken out of it. `headed` says whether the file has a header at
    all.
    """

    title: str = ""
    date: datetime | None = None
    date_from: str = ""
    updated: datetime | None = None
    publish: datetime | None = None
    expiry: datetime | None = None
    slug: str = ""
    address: str = ""
    aliases: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    original: str = ""
    language: str = ""
    translation: str = ""
    summary: str = ""
    excerpt: str = ""
    cover: str = ""
    id: str = ""
    series: str = ""
    part: int = 0
    pinned: int = 0
    details: Details = NO_DETAILS
    flags: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    notices: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    headed: bool = True


def read_fields(
    site: GeneratorSite,
    kind: StoreKind,
    place: Place,
    source: Source,
    zone: str,
    overrides: Mapping[str, tuple[str, ...]] = _NOTHING,  # type: ignore[assignment]
) -> Fields:
    """Return what is known of the article at `place`, by the rules of its kind.

    `zone` is that of this service, for dates of which neither they nor the generator name one. `overrides` are header fields of
    site.yaml by what is wanted, in place of the kind's own.
    """
    own = archive_fields(source.fields) if kind.name == "archive" else source.fields
    header = Header(own, inherited_fields(site, place))
    wanted, known = wanted_fields(kind, tuple(overrides.items()))
    notices: dict[str, None] = dict.fromkeys(source.notices)
    times = _Times(site, kind, place, zone_of(site, kind, place, zone), header, source.lines, notices)
    date, origin, slug = times.date(wanted)
    title, body = _title(kind, place, header.text(*wanted["title"]), source.body)
    names = {facet: found for facet in FACETS if (found := _names(site, kind, place, header, wanted, facet, source.body))}
    language = _language(site, place, header, wanted["language"])
    if language:
        names["language"] = (language,)
    own_slug = header.text(*wanted["slug"]) or slug
    series = header.first(*wanted["series"])
    flags = _flags_of(kind, source, header, names, notices)
    separator = header.raw("excerpt_separator") or site.option("excerpt_separator")
    summary = header.text(*wanted["summary"])[: 2 * MAX_SUMMARY]
    return Fields(
        title=title,
        date=date,
        date_from=origin,
        updated=times.first(wanted["updated"])[0],
        publish=times.first(wanted["publish"])[0],
        expiry=times.first(wanted["expiry"])[0],
        slug=own_slug[:MAX_NAME],
        address=_address(header, wanted["address"]),
        aliases=tuple(filter(None, map(markdown.one_line, leaves(header.first(*wanted["aliases"])))))[:_MAX_ALIASES],
        names=names,
        original=_original(site, header, wanted["original"]),
        language=language,
        translation=_translation(kind, place, header.text(*wanted["translation"]), own_slug or title) if language else "",
        summary=summary,
        excerpt="" if summary or kind.name == "archive" else prose.before_marker(body, separator),
        cover=_cover(header, wanted["cover"]),
        id=header.text(*wanted["id"])[:MAX_NAME],
        series=next(iter(read_names(series, "plain", "series")), "") if series else "",
        part=details.part(header, wanted["part"]) if names.get("series") else 0,
        pinned=details.pinned(flags, header.text("weight") if kind.name == "hugo" and not names.get("series") else ""),
        details=details.read_details(header, wanted),
        flags=flags,
        body=body,
        notices=tuple(notices),
        unused=header.unused(known),
        headed=bool(source.fields) or source.form not in ("", "none"),
    )


# -- dates -------------------------------------------------------------------------


def zone_of(site: GeneratorSite, kind: StoreKind, place: Place, zone: str) -> str:
    """Return the zone of dates without one: the language's, the site's, the kind's, else `zone`, this service's.

    >>> from feeds.store.kinds import KINDS
    >>> zone_of(GeneratorSite("hugo"), KINDS["hugo"], Place("a.md", "article"), "Asia/Shanghai")
    'UTC'
    """
    own = next((one.timezone for one in site.languages if place.language and one.code == place.language), "")
    return own or site.timezone or ("UTC" if kind.zone == "utc" else zone)


_EXPECTED = "cannot be read as a date; expected a form as 2024-05-06 10:00, from 1970 to 2199"
#: What fields that hold a date elsewhere say instead of one (`published: false`, `lastUpdated: true`).
_NO_DATES = frozenset("true false yes no on off 0 1 none draft".split())


_ADDRESS_DAY = re.compile(r"(?:^|/)([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})(?:/|$)")


@dataclass(frozen=True, slots=True)
class _Times:
    """The dates of one file."""

    site: GeneratorSite
    kind: StoreKind
    place: Place
    zone: str
    header: Header
    lines: Mapping[str, int]
    notices: dict[str, None]

    def date(self, wanted: Wanted) -> tuple[datetime | None, str, str]:
        """Return the date of the article, where it is from, and the slug that the name has besides a date, "" for none."""
        names = wanted["date"]
        history = False
        configured = self.site.date_fields if names == self.kind.fields.get("date") else ()
        for rule in configured or (":default",):
            if rule == ":filename":
                parts, slug = dates.hugo_name(PurePosixPath(self.place.stem or self.place.path).name)
                if parts and (found := dates.date_of(parts, self.zone)):
                    return found, "name", slug
            elif rule.startswith(":") and rule != ":default":
                history = True
            elif (result := self.first(names if rule == ":default" else (rule,)))[0]:
                return result[0], "header", ""
        found, origin = self.of_path()
        if not found and wanted["address"] == ("path",):  # Zola's, whose address often begins with the day
            found, origin = self.of_address(self.header.text("path"))
        if not found:
            self.notices[NO_DATE] = None
        return found, origin or ("git" if history else ""), ""

    def of_path(self) -> tuple[datetime | None, str]:
        """Return the date in the name or the folders, where the kind reads it."""
        written = dates.path_dates(self.place.path) if self.kind.name == "archive" else filter(None, [self.place.date])
        for parts in written:
            if found := dates.date_of(parts, self.zone):
                name = PurePosixPath(self.place.path).name
                return found, "name" if str(parts[0]) in name or name.startswith(f"{parts[0] % 100:02}-") else "folder"
        return None, ""

    def of_address(self, address: str) -> tuple[datetime | None, str]:
        """Return the date in an address that the header says."""
        day = _ADDRESS_DAY.search(address[:MAX_NAME])
        found = dates.date_of(tuple(map(int, day.groups())), self.zone) if day else None
        return found, "header" if found else ""

    def first(self, names: Iterable[str]) -> tuple[datetime | None, str]:
        """Return the first of these fields that is a date, and its name; the others that say something are noticed."""
        reader = self.kind.shapes.get("date", "any")
        for name, value in self.header.all(*names):
            text = text_of(value) or text_of(next(iter(leaves(value)), ""))
            if found := dates.read_date(text, self.zone, reader):
                return found, name
            if text.lower() not in _NO_DATES:
                self.notices[f"{name}: {_EXPECTED}{self.line(name)}"] = None
        return None, ""

    def line(self, name: str) -> str:
        """Return where a field stands, in words; "" where nobody knows."""
        field = name.partition(".")[0].lower()
        return next((f" (line {number})" for key, number in self.lines.items() if key.lower() == field), "")


# -- texts ------------------------------------------------------------------------------

_WRAPPED = re.compile(
    r"<(h[1-6]|p|div|span|center|font|b|strong|i|em|u)(?:\s[^<>]*)?>\s*((?:(?!</?\1\b).)*?)\s*</\1>", re.IGNORECASE
)
_INLINE = re.compile(r"!\[[^\]]*\]\([^()]*\)|(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)|`+|</?[A-Za-z][^<>]*>")
_INLINE_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")


def unwrap(title: str) -> str:
    """Return a title without the tags around it, an editor's leftovers; one within is a word (`What <b>bold</b> does`)."""
    while match := _WRAPPED.fullmatch(title):
        title = match[2]
    return title


def _title(kind: StoreKind, place: Place, title: str, body: str) -> tuple[str, str]:
    """Return the title, and the body without the heading that says it."""
    title = plain_title(unwrap(title[: 2 * MAX_TITLE]))
    if kind.heading_title:
        heading, rest = prose.take_heading(body, at_once=bool(title))
        heading = markdown.one_line(_INLINE.sub("", _INLINE_LINK.sub(r"\1", heading[: 2 * MAX_TITLE])))
        if heading and (not title or urls.fold(title) == urls.fold(heading)):
            title, body = title or heading, rest
    if title:
        return title, body
    shape = kind.shapes.get("title", "name")
    if shape == "slug":  # as Jekyll: `no-title` is "No Title"
        return " ".join(word.capitalize() for word in re.split(r"[-\s]+", place.name) if word), body
    return place.name if shape == "name" else "", body


def _address(header: Header, names: tuple[str, ...]) -> str:
    text = header.text(*names)
    return "" if text.lower() == "false" or len(text) > MAX_NAME else text


def _original(site: GeneratorSite, header: Header, names: tuple[str, ...]) -> str:
    """Return the address of what was translated or reprinted; "" for one of the site itself."""
    for _, value in header.all(*names):
        for text in leaves(value)[:10] or [text_of(_reference(value))]:
            linked = re.search(r"\]\(<?([^\s()<>]+)", text) or re.fullmatch(r"\s*<([^\s<>]+)>\s*", text)
            address = urls.absolute_url(linked[1] if linked else markdown.one_line(text), "")
            if 0 < len(address) <= urls.MAX_ADDRESS and not (site.base_url and f"{address}/".startswith(f"{site.base_url}/")):
                return address
    return ""


#: ISO 639-1, and languages with three letters that sites are written in: `language: Go` names no language.
_LANGUAGES = frozenset(
    (
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el "
        "en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu "
        "ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na "
        "nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so "
        "sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu "
        "ast ceb ckb cmn fil gsw haw hsb nan nds wuu yue "
    ).split()
)
_TAG = re.compile(r"([a-z]{2,3})((?:[-_][A-Za-z0-9]{1,8}){0,4})", re.ASCII | re.IGNORECASE)


def _language(site: GeneratorSite, place: Place, header: Header, names: tuple[str, ...]) -> str:
    """Return the language that the header names, else the path, else the configuration."""
    codes = {one.code.lower(): _tag_of(one) for one in site.languages}
    for _, value in header.all(*names):
        text = text_of(value) or next(iter(leaves(value)), "")
        if text.lower() in codes:
            return codes[text.lower()]
        if (match := _TAG.fullmatch(text)) and match[1].lower() in _LANGUAGES:
            return match[1].lower() + match[2].replace("_", "-")
    return codes.get(place.language.lower()) or place.language or site.language


def _tag_of(language: SiteLanguage) -> str:
    """Return the language as readers know it: of `cn`, which documents call `zh-CN`, the latter."""
    code, tag = language.code, language.tag
    return tag if tag and tag.partition("-")[0].lower() != code.partition("-")[0].lower() else code


def _translation(kind: StoreKind, place: Place, key: str, slug: str) -> str:
    """Return what the translations of an article share: the key that the header names, else the path without the language.

    Pelican's share their slug, which is made of the title where none is written.
    """
    collection = place.root.collection if place.root else ""
    if kind.name == "pelican":
        from .links.slugs import pelican_slug  # with its tables and patterns

        shared = ("slug", pelican_slug(slug))
    else:
        shared = ("key", key) if key else (collection, place.stem)
    return hashlib.blake2b(urls.fold("\0".join(shared)).encode(), digest_size=12).hexdigest()


_REFERENCE_KEYS = ("src", "image", "url", "path", "feature", "file", "name")
_EMBEDDED = re.compile(r"!?\[\[([^\[\]|]+)(?:\|[^\[\]]*)?\]\]|!\[[^\[\]]*\]\(<?([^()<>]+?)>?\)")


def _cover(header: Header, names: tuple[str, ...]) -> str:
    """Return the reference of the article's picture, as it is written; "" for none."""
    for _, value in header.all(*names):
        text = text_of(_reference(value))[:_MAX_ADDRESS]
        if text.endswith(("]", ")")) and (match := _EMBEDDED.fullmatch(text)):
            text = (match[1] or match[2]).strip()
        if text and not text.endswith(PLACEHOLDERS) and text.lower() not in _NO_DATES and not text.startswith("#"):
            return text
    return ""


def _reference(value: Any) -> Any:
    """Return the address in a list or an object, as it is written."""
    for _ in range(_MAX_LEVELS):
        if isinstance(value, list):
            value = value[0] if value else ""
        elif isinstance(value, dict):
            folded = {key.lower(): one for key, one in value.items() if isinstance(key, str)}
            value = next((folded[key] for key in _REFERENCE_KEYS if not is_empty(folded.get(key))), "")
        else:
            return value
    return ""


# -- names ------------------------------------------------------------------------------

#: Tags that stand for a collection of Eleventy's, not for what an article is about.
_COLLECTIONS = frozenset(("all", "nav", "post", "posts"))


def _names(
    site: GeneratorSite,
    kind: StoreKind,
    place: Place,
    header: Header,
    wanted: Wanted,
    facet: str,
    body: str,
) -> tuple[str, ...]:
    """Return the names of one facet: of its first field that says something, and of what the kind takes besides."""
    shape = kind.shapes.get(facet, FACETS[facet].style)
    name, value = next(header.all(*wanted[facet]), ("", None))
    known = dict(site.authors if facet == "author" else site.tags if facet == "tag" else ()) or _NOTHING
    found = read_names(value, shape, name, known) if value else ()
    more: Iterable[str] = ()
    if facet == "category" and kind.name in ("jekyll", "pelican"):
        more = _folders(site, kind, place, found)
    elif facet == "tag" and kind.name == "obsidian":
        more = prose.hashtags(body)
    elif facet == "tag" and kind.name == "eleventy":
        own = place.root.collection if place.root else ""
        inherited = header.inherited.get("tags") if value is not header.inherited.get("tags") else ()
        texts = [*read_names(inherited, shape, name), *found]
        return read_names([text for text in texts if text != own and text.lower() not in _COLLECTIONS], "plain", "tags")
    if not more:
        return found
    return read_names([*more, *found] if kind.name == "jekyll" else [*found, *more], "plain", facet)


def _folders(site: GeneratorSite, kind: StoreKind, place: Place, found: tuple[str, ...]) -> list[str]:
    """Return the categories that folders name: Jekyll's are those above `_posts`, Pelican's is the file's own."""
    if kind.name == "jekyll":
        above = below_root(site, place).split("/")[:-1]
        if place.root and place.root.path.rpartition("/")[2] in ("_posts", "_drafts"):
            return []
        marks = [at for at, folder in enumerate(above) if folder in ("_posts", "_drafts")]
        return [folder for folder in above[: marks[0]] if folder] if marks else []
    if found or site.option("USE_FOLDER_AS_CATEGORY").lower() in ("false", "no", "0"):
        return []
    return list(filter(None, [PurePosixPath(below_root(site, place)).parent.name]))


# -- what withholds ----------------------------------------------------------------------


def _flags_of(
    kind: StoreKind, source: Source, header: Header, names: Mapping[str, tuple[str, ...]], notices: dict[str, None]
) -> dict[str, str]:
    """Return the flags of a header, with those that its kind says in another way: credits without a translator, a tag."""
    flags = _flags(header)
    # A header of another kind may have a field of that name.
    asked = "untranslated" in header.own and (kind.name == "lctt" or "credits" in source.form)
    credited = "credits" in kind.headers and (asked or "译者" in header.own)
    if credited and not names.get("translator"):
        flags["untranslated"] = "true"
    if kind.name == "obsidian" and "draft" in (name.casefold() for name in names.get("tag", ())):
        flags["draft"] = "true"
    if kind.name in ("jekyll", "hexo") and flags.get("draft", "false") not in ("false", "no", "off", "0", "", "null", "~"):
        notices["draft: withheld here, although the generator would publish it"] = None
    return flags


def _flags(header: Header) -> dict[str, str]:
    """Return the fields that may withhold the article, the header's own over inherited ones."""
    found: dict[str, str] = {}
    for level in (header.inherited, header.own):
        for name, value in level.items():
            if not (flag := flag_name(name)):
                continue
            if flag.startswith("build"):
                parts = value.items() if isinstance(value, dict) else [(flag[6:], value)] if "." in flag else ()
                found |= {f"build.{part.lower()}": _flag(one) for part, one in parts if part.lower() in ("list", "render")}
            elif (text := _flag(value)) == "false" or flag != "permalink":
                found[flag] = text
            else:
                found.pop(flag, None)
    return found


#: What an object says that says no: `permalink: {build: false}`, `feed: {exclude: true}`.
_SAYS_NO = (("build", "false"), ("enable", "false"), ("enabled", "false"), ("exclude", "true"), ("hide", "true"))


def _flag(value: Any) -> str:
    """Return a flag as text in lower case, without quotes around it."""
    if isinstance(value, dict):  # `permalink: {build: false}` of Eleventy; others say that there is something
        return "false" if any(text_of(value.get(name)).lower() == said for name, said in _SAYS_NO) else "true" if value else ""
    text = " ".join(leaves(value)) if isinstance(value, list) else text_of(value)
    return markdown.one_line(text)[:100].strip("\"'“”‘’ ").lower()
