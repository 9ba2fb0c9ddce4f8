"""Read the names in header fields: people, tags, categories, one or several in a value, as each kind writes them. Pure."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .. import urls
from . import markdown

MAX_NAME, MAX_TERMS = 300, 100
#: What is looked at of one field that names people, and of one list: names are short.
_MAX_FIELD, _MAX_ITEMS = 2000, 1000
#: Lists within lists are read so far.
_MAX_LEVELS = 4

_COMMAS = re.compile(r"[,，、]")
_SEPARATORS = re.compile(r"[,，、;；/]")
_LINK = re.compile(r"\[([^\]]{0,300})\]\([^)]*\)")  # names are no longer
_MARKUP = re.compile(r"<[^>]*>?|[(（]\s*https?.*$")
#: What nobody sees in a name. Joiners stay where scripts and emoji need them: not beside ASCII or Han.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]"
    "|(?<![^\x00-\x7f\u4e00-\u9fff])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u4e00-\u9fff])"
)
_UNSIGNED = frozenset({"译者id", "校对者id", "选题者id", "null", "~", "none"})
#: Keys of an object that hold its name, the first one present.
_NAME_KEYS = ("name", "label", "title", "value", "key", "id")

#: A reader of names takes the value, and whether the field's name is a singular (`tag`); it gives texts not cleaned yet.
Shape = Callable[[Any, bool], Iterable[str]]


def read_names(value: Any, shape: str, field: str, known: Mapping[str, str] = {}) -> tuple[str, ...]:
    """Return the names in a value, each once (by folded spelling), at most MAX_TERMS.

    `shape` is a key of SHAPES; `field` is the name of the field; `known` are keys of a file of authors or tags and the
    names that they stand for.

    >>> read_names(["甲、乙", {"name": "Bo Chen"}], "people", "translators")
    ('甲', '乙', 'Bo Chen')
    """
    kept: dict[str, str] = {}
    for raw in SHAPES[shape](value, not field.lower().endswith(("s", "ies"))):
        text, folded = clean_name(known.get(raw.strip(), raw) if known else raw)
        if text and folded not in _UNSIGNED:
            kept.setdefault(folded, text)
    return tuple(itertools.islice(kept.values(), MAX_TERMS))


def leaves(value: Any) -> list[str]:
    """Return the texts in a value: itself, those of a list and of lists in it, the name of an object. Bounded."""
    found: list[str] = []
    _collect(value, found, 0)
    return found[:_MAX_ITEMS]


def _collect(value: Any, found: list[str], level: int) -> None:
    if isinstance(value, str):
        found.append(value[:_MAX_FIELD])
    elif isinstance(value, list) and level < _MAX_LEVELS:
        for item in value[:_MAX_ITEMS]:
            if len(found) < _MAX_ITEMS:
                _collect(item, found, level + 1)
    elif isinstance(value, dict) and level < _MAX_LEVELS:
        folded = {key.lower(): one for key, one in value.items() if isinstance(key, str)}
        if name := next((folded[key] for key in _NAME_KEYS if isinstance(folded.get(key), str) and folded[key]), None):
            found.append(name[:_MAX_FIELD])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.append(str(value))


# -- shapes -------------------------------------------------------------------


def _plain(value: Any, singular: bool) -> Iterable[str]:
    return leaves(value)


def _commas(value: Any, singular: bool) -> Iterable[str]:
    if isinstance(value, str):
        return (text[:_MAX_FIELD] for text in _COMMAS.split(value)[:_MAX_ITEMS])
    return leaves(value)


def _blanks(value: Any, singular: bool) -> Iterable[str]:
    """Jekyll's: a text splits at blanks, but not that of a field whose name is a singular."""
    return leaves(value) if singular or not isinstance(value, str) else value[:_MAX_FIELD].split()


def _semicolons(value: Any, singular: bool) -> Iterable[str]:
    """Pelican's: `Authors: A; B` or `Authors: A, B`, while `Author: A, B` is one."""
    if singular:
        return leaves(value)
    return (part for text in leaves(value) for part in text.split(";" if ";" in text else ","))


def _hashtags(value: Any, singular: bool) -> Iterable[str]:
    """Obsidian's: a text splits at commas and blanks, and a tag may have its mark."""
    parts = leaves(value) if isinstance(value, list) else re.split(r"[,，、\s]+", "".join(leaves(value)))
    return (part.strip().removeprefix("#") for part in parts)


def _person(value: Any, singular: bool) -> Iterable[str]:
    return map(without_markup, leaves(value))


def _people(value: Any, singular: bool) -> Iterable[str]:
    return itertools.chain.from_iterable(map(split_people, leaves(value)))


#: Readers of names. The default of a facet is its `Facet.style`.
SHAPES: Mapping[str, Shape] = {
    "plain": _plain,
    "one": _plain,
    "commas": _commas,
    "blanks": _blanks,
    "pelican": _semicolons,
    "hashtags": _hashtags,
    "person": _person,
    "people": _people,
}


@functools.lru_cache(maxsize=4096)  # the same few people sign thousands of articles
def split_people(text: str) -> tuple[str, ...]:
    """Split a field that names several people: `wxy, pityonline`, `甲、乙`, `a/b`."""
    return tuple(re.sub(r"\\+(?=[_*])", "", name) for name in _SEPARATORS.split(without_markup(text)))


def without_markup(text: str) -> str:
    """Return a name without the link that it may be, and without tags."""
    return _MARKUP.sub("", _LINK.sub(r"\1", text))


@functools.lru_cache(maxsize=8192)
def clean_name(name: str) -> tuple[str, str]:
    """Return a name without blanks at its ends and invisible characters, and its folded spelling."""
    text = markdown.one_line(name if name.isascii() else _INVISIBLE.sub("", name))[:MAX_NAME].rstrip()
    return text, urls.fold(text)
