"""A feed in the making: what its selection takes, whether its words will do, how it is written into feeds.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ... import selections
from ...config import Config, NamedFeed
from ...library import catalog
from ...model import Article, Selection
from ...syndication import definitions
from . import sheets

#: Articles that a draft shows.
SHOWN = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_TITLE, MAX_LIMIT = 200, 500


@dataclass(frozen=True, slots=True)
class Draft:
    """A selection as a feed would carry it. `query` is its canonical text; `unknown` are (facet, name) that no article has."""

    selection: Selection
    query: str
    total: int
    articles: Sequence[Article]
    unknown: Sequence[tuple[str, str]]


def draft(connection: sa.Connection, config: Config, text: str, *, everything: bool) -> Draft:
    """`everything`: the empty selection takes all articles; else it takes none yet. Raises SelectionError."""
    wanted = selections.parse(text)
    if isinstance(wanted, str):
        named = config.named(wanted)
        wanted = named.select.selection() if named else Selection()
    found = catalog.respell(connection, definitions.names_of(config), wanted)
    clauses = catalog.resolve(connection, definitions.names_of(config), found.selection)
    if not selections.clauses(found.selection) and not everything:
        return Draft(found.selection, "", 0, (), ())
    articles = catalog.select(connection, clauses, SHOWN, with_html=False)
    query = selections.canonical(found.selection)
    return Draft(found.selection, query, catalog.count(connection, clauses), articles, found.unknown)


@dataclass(frozen=True, slots=True)
class Words:
    """What the operator typed: all text, not yet checked. `former` is the name of the feed that is edited, "" for a new one."""

    name: str
    title: str
    description: str = ""
    limit: str = ""
    content: str = ""
    former: str = ""


def faults(config: Config, words: Words, selection: Selection) -> dict[str, str]:
    """Field -> what is wrong with it: empty | form | taken | retired | long | number | choice. Nothing wrong, nothing in it."""
    found: dict[str, str] = {}
    if fault := _name_fault(config, words):
        found["name"] = fault
    if not words.title.strip():
        found["title"] = "empty"
    elif len(words.title) > MAX_TITLE or not words.title.isprintable():
        found["title"] = "long"
    if len(words.description) > 1000 or not words.description.isprintable():
        found["description"] = "long"
    if words.limit and not (words.limit.isascii() and words.limit.isdecimal() and 1 <= int(words.limit[:6]) <= MAX_LIMIT):
        found["limit"] = "number"
    if words.content not in ("", "full", "summary"):
        found["content"] = "choice"
    if not selections.clauses(selection) and not words.former:
        found["select"] = "empty"
    return found


def _name_fault(config: Config, words: Words) -> str:
    if words.former:
        known = any(feed.name == words.former for feed in config.feeds.feeds)
        return "" if known and words.name == words.former else "form"
    if not _NAME.fullmatch(words.name):
        return "form" if words.name else "empty"
    if any(feed.name.casefold() == words.name.casefold() for feed in config.feeds.feeds):
        return "taken"
    if any(feed.permanent == words.name for feed in config.feeds.feeds):
        return "taken"
    return "retired" if sheets.is_retired(config, words.name) else ""


def entry(words: Words, selection: Selection) -> dict[str, Any]:
    """As `edits.put` wants it; what is not said is left to the defaults."""
    return {
        "name": words.name,
        "title": words.title.strip(),
        "description": words.description.strip() or None,
        "select": selection.as_json() or None,
        "limit": int(words.limit) if words.limit else None,
        "content": words.content or None,
    }


def with_feed(config: Config, text: str, entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text with the feed in it, and what the file's settings are then."""
    given = {key: value for key, value in entry.items() if value is not None}
    made, found = NamedFeed.model_validate(given), False
    rows = []
    for feed in config.feeds.feeds:
        if feed.name == made.name:
            kept = {"id": feed.id, "archive": feed.archive}
            rows.append(made.model_copy(update=kept))
            found = True
        else:
            rows.append(feed)
    rows = rows if found else [*rows, made]
    from ... import edits  # what writes YAML is loaded where something is written

    return edits.put(text, entry), {"feeds": tuple(feed.model_dump() for feed in rows)}


def without_feed(config: Config, text: str, name: str, *, gone: bool) -> tuple[str, dict[str, Any]]:
    rows = tuple(feed.model_dump() for feed in config.feeds.feeds if feed.name != name)
    path = f"feeds/{name}"
    retired = config.feeds.gone if not gone or path in config.feeds.gone else (*config.feeds.gone, path)
    from ... import edits

    return edits.remove(text, name, gone=gone), {"feeds": rows, "gone": retired}
