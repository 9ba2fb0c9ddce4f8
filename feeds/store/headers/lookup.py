"""Look up the fields of a header, in any case of letters, and what it inherits from the generator's defaults. Pure."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ...model import FACETS
from .. import markdown
from ..field_names import DETAILS, FIELDS
from ..frontmatter import Value
from ..kinds import Defaults, GeneratorSite, Place, StoreKind
from ..names import leaves

_MAX_UNUSED, _MAX_LEVELS = 100, 8
#: Read by others than the table of fields.
_READ_ELSEWHERE = frozenset(
    {"build", "_build", "excerpt_separator", "params", "untranslated", "original_date", "count", "editorchoice"}
)

#: Fields that `verdict.judge` looks at, as `squash` spells them.
FLAGS = frozenset(
    "draft drafts isdraft 草稿 published ispublished publish dgpublish public listed unlisted hidden hide private isprivate "
    "password encrypt encrypted status poststatus visibility permalink eleventyexcludefromcollections headless "
    "article home build build.list build.render".split()
)
#: Fields that keep an article out of feeds or digests where they say no, and where they say yes; that pin it to the front.
_MORE_FLAGS: Mapping[str, str] = {
    "feed no": "feed feeds rss rssfeed infeed infeeds inrss showinfeed showinrss includeinfeed includeinrss enablerss",
    "feed yes": (
        "nofeed norss hidefromfeed hidefromfeeds hidefromrss hiddenfromfeed hiddenfromrss hideinfeed hideinrss hiddeninfeed "
        "hiddeninrss excludefromfeed excludefromfeeds excludefromrss excludefeed excluderss feedexclude rssexclude feedhidden "
        "rsshidden feedignore rssignore disablefeed disablerss skipfeed skiprss"
    ),
    "digest no": (
        "newsletter email digest digests innewsletter indigest sendnewsletter sendemail emailnewsletter includeinnewsletter"
    ),
    "digest yes": (
        "nonewsletter noemail nodigest hidefromnewsletter hidefromdigest excludefromnewsletter excludefromdigest "
        "newsletterexclude skipnewsletter skipemail skipdigest"
    ),
    "pinned": "pinned pin ispinned sticky issticky stick top istop ontop 置顶",
}
_ALL_FLAGS = FLAGS.union(*(names.split() for names in _MORE_FLAGS.values()))


#: Fields of the archive that may be lists and objects.
_DETAILS = frozenset(name.lower() for wanted in DETAILS for name in DETAILS[wanted])
#: Fields of the archive that may be lists.
_LISTS = frozenset(name for facet in FACETS.values() for name in facet.fields)


def squash(name: str) -> str:
    """Return the spelling of a field's name that all share: `is_draft`, `isDraft` and `Is-Draft` are one."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


@functools.lru_cache(maxsize=4096)
def flag_name(name: str) -> str:
    """Return the flag that a field is; "" for any other field."""
    flag = squash(name)
    return flag if flag in _ALL_FLAGS else ""


def flag_names(what: str) -> frozenset[str]:
    """Return the flags that mean one thing, as `flag_name` spells them: "feed no", "feed yes", "digest no", "pinned" ..."""
    return frozenset(_MORE_FLAGS[what].split())


def text_of(value: Any) -> str:
    """Return a value as text on one line; "" for lists, for mappings and for what YAML calls nothing."""
    if isinstance(value, str):
        return "" if value in ("null", "~") else markdown.one_line(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return str(value.isoformat()) if hasattr(value, "isoformat") else ""


def archive_fields(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Return what the archive takes of a header: no mappings, and lists of texts where they name people or topics.

    What may withhold an article counts in any form.
    """
    found = dict(fields)
    for key, value in fields.items():
        if isinstance(value, list) and key.lower() in _LISTS:
            found[key] = [one for one in value if isinstance(one, str)]
        elif isinstance(value, list | dict) and not flag_name(key) and key.lower() not in _DETAILS:
            del found[key]
    return found


def is_empty(value: Any) -> bool:
    """Return whether a value says nothing: none, no text, no entry."""
    return value.strip() in ("", "null", "~") if isinstance(value, str) else value is None or value == {}


class Header:
    """The fields of a header, then those that it inherits, asked for in any case of letters."""

    def __init__(self, fields: Mapping[str, Value], inherited: Mapping[str, Value]) -> None:
        self.own, self.inherited = fields, inherited
        params = fields.get("params")  # Hugo's place for fields of one's own
        levels: Iterable[Any] = (fields, params if isinstance(params, dict) else None, inherited)
        #: The first of the keys that differ in case alone comes last, and counts.
        self._levels = [(level, {key.lower(): key for key in reversed(level)}) for level in levels if level]
        self._known = frozenset().union(*(folded for _level, folded in self._levels))

    def all(self, *names: str) -> Iterator[tuple[str, Any]]:
        """Give the fields of these names that say something, with their names, the header's own first."""
        if self._known.isdisjoint(_keys_of(names)):
            return  # of most names that there are, a header has none
        for level, folded in self._levels:
            for name in names:
                value = level[name] if name in level else _look_up(level, folded, name)
                if not is_empty(value):
                    yield name, value

    def first(self, *names: str) -> Any:
        """Return the first of these fields that says something; None for none."""
        for _, value in self.all(*names):
            return value
        return None

    def text(self, *names: str) -> str:
        """Return the first of these fields that has a text, on one line."""
        for _, value in self.all(*names):
            if text := text_of(value):
                return text
        return ""

    def raw(self, name: str) -> str:
        """Return the text of a field with its line ends."""
        value = self.first(name)
        return value if isinstance(value, str) else ""

    def unused(self, known: frozenset[str]) -> tuple[str, ...]:
        """Return the names of fields that nothing reads, as they are written; `known` are those that something does."""
        names = [key for key in self.own if key.lower() not in known and not flag_name(key)]
        return tuple(markdown.one_line(name)[:60] for name in names[:_MAX_UNUSED])


#: Header fields by what is wanted of them, () for none.
Wanted = Mapping[str, tuple[str, ...]]


@functools.lru_cache(maxsize=64)
def wanted_fields(kind: StoreKind, overrides: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[Wanted, frozenset[str]]:
    """Return the fields that a kind reads, a facet's own where it names none, and all of their names in lower case.

    Those of `overrides` stand in their place.
    """
    facets = {name: facet.fields for name, facet in FACETS.items()}
    fields = {**dict.fromkeys(FIELDS, ()), **facets, **kind.fields, **dict(overrides)}
    names = [name.lower() for found in fields.values() for name in found]
    known = {*names, *(re.split(r"[.\[]", name)[0] for name in names), *_READ_ELSEWHERE}
    return fields, frozenset(known)


@functools.cache
def _keys_of(names: tuple[str, ...]) -> frozenset[str]:
    """Return the keys of a header under which these names may be, in lower case."""
    return frozenset(key for name in names for key in (name.lower(), re.split(r"[.\[]", name.lower())[0]))


def _look_up(level: Mapping[str, Any], folded: Mapping[str, str], name: str) -> Any:
    """Return the value under a name; `a.b` leads into a mapping, `a[0]` into a list."""
    if (key := folded.get(name.lower())) is not None:
        return level[key]
    if "." not in name and "[" not in name:
        return None
    first, *rest = re.findall(r"[^.\[\]]+", name)[:_MAX_LEVELS] or [""]
    found: Any = level.get(folded.get(first.lower(), first))
    for part in rest:
        if isinstance(found, dict):
            found = next((one for key, one in found.items() if isinstance(key, str) and key.lower() == part.lower()), None)
        elif isinstance(found, list) and part.isdecimal():
            found = found[int(part)] if int(part) < len(found) else None
        else:
            return found if part == "0" and isinstance(found, str) else None
    return found


# -- what is inherited -----------------------------------------------------------


def inherited_fields(site: GeneratorSite, place: Place) -> dict[str, Value]:
    """Return the values that the generator's configuration gives to the file, the most specific scope's over others."""
    found: dict[str, Value] = {}
    if not site.defaults:
        return found
    types, paths = _types(site, place), _paths(site, place)
    fitting = [one for one in site.defaults if (not one.type or one.type in types) and _in_scope(one.scope, paths)]
    for one in sorted(fitting, key=_specificity):
        for name, text in one.values:
            value: Any = text.split("\n") if "\n" in text else text
            if site.kind == "eleventy" and name == "tags" and name in found:  # data of folders adds up
                value = [*leaves(found[name]), *leaves(value)]
            found[name] = value
    return found


def _specificity(one: Defaults) -> tuple[int, bool]:
    return len(PurePosixPath(one.scope).parts), bool(one.type)


def _types(site: GeneratorSite, place: Place) -> set[str]:
    """Return what Jekyll calls the type of a document."""
    folders = site.path_of(place.path).split("/")[:-1]
    if "_posts" in folders:
        return {"posts"}
    if "_drafts" in folders:
        return {"drafts", "posts"}
    collections = {folder[1:] for folder in folders[:2] if folder.startswith("_")}
    if place.root and place.root.collection:
        collections.add(place.root.collection)
    return collections or {"pages"}


def _paths(site: GeneratorSite, place: Place) -> tuple[str, ...]:
    """Return the path of a file below the generator's root, the store's folder and its content root."""
    return site.path_of(place.path), place.path, below_root(site, place)


def below_root(site: GeneratorSite, place: Place) -> str:
    """Return the path of a file below its content root."""
    root = f"{place.root.path}/" if place.root and place.root.path else ""
    return site.path_of(place.path).removeprefix(root)


def _in_scope(scope: str, paths: Iterable[str]) -> bool:
    scope = scope.strip("/")
    if not scope or any(path == scope or path.startswith(f"{scope}/") for path in paths):
        return True
    if not any(mark in scope for mark in "*?["):
        return False
    pattern = _glob(scope)
    return any(pattern.match(path) or pattern.match(str(PurePosixPath(path).with_suffix(""))) for path in paths)


@functools.lru_cache(maxsize=256)
def _glob(scope: str) -> re.Pattern[str]:
    """Compile a glob for a path or a folder of it: `**` is any folders, `*` any name."""
    pattern = ""
    for part in scope.split("/")[:50]:
        if part == "**":
            pattern += "(?:[^/]+/)*"
        else:
            pattern += fnmatch.translate(part).removeprefix("(?s:").removesuffix(")\\Z").replace(".*", "[^/]*") + "/"
    return re.compile(f"{pattern[:-1]}(?:/|$)" if pattern.endswith("/") else pattern, re.DOTALL)
