"""List each setting in force with where its value comes from: a line of a file, the environment, the default. Hides secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from .environment import OVERRIDES, Environment, variable
from .load import SECTIONS, Keys, positions
from .models import Config


@dataclass(frozen=True, slots=True)
class Setting:
    """`name` as in the file, with dots. `variable` or `line` say where the value comes from; with neither it is the default."""

    file: str
    name: str
    value: str
    line: int = 0
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """One FEEDS_*: its value where that is no secret."""

    name: str
    is_set: bool
    value: str = ""


def settings(config: Config, environment: Environment) -> list[Setting]:
    """Return all that `config` says; an operator's own feed is one setting. Lines are those of the files as they are now."""
    found: list[Setting] = []
    for file, name in SECTIONS.items():
        section = getattr(config, name)
        written = positions(environment.config_dir / file)
        values = list(_flatten((), section.model_dump(by_alias=True, mode="json", exclude={"feeds"})))
        for index, feed in enumerate(getattr(section, "feeds", ())):
            summary = {"name": feed.name, "title": feed.title, "select": feed.select.selection().as_json()}
            values.append((("feeds", index), summary))
        for keys, value in values:
            dotted = ".".join(map(str, keys))
            over = variable(dotted) if name == "site" and dotted in OVERRIDES and getattr(environment, dotted) else ""
            line = 0 if over else written.get(keys, (0, 0))[0]
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found.append(Setting(file, dotted, shown, line, over))
    return found


def _flatten(at: Keys, value: Any) -> Iterator[tuple[Keys, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flatten((*at, key), inner)
    else:
        yield at, value


def variables(environment: Environment) -> list[Variable]:
    """Return what the environment overrides or hides: secrets without their values, the database without its user."""
    found = [Variable(variable(name), bool(value), value) for name, value in environment if name in OVERRIDES]
    for name, value in environment:
        if isinstance(value, SecretStr):
            shown = re.sub(r"//[^/]*@", "//…@", value.get_secret_value()).partition("?")[0] if name == "database_url" else ""
            found.append(Variable(variable(name), bool(value), shown))
    return found
