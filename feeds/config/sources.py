"""Each setting in force, and where its value comes from: a line of a file, the environment, the default. Secrets are hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import models as configuration
from .models import Config, Environment, NamedFeed

#: File -> what of `Config` it holds.
SECTIONS: Mapping[str, str] = {"site.yaml": "site", "feeds.yaml": "feeds", "newsletter.yaml": "newsletter"}
#: Settings that the environment may overrule: (file, key) -> (variable, field of Environment).
_OVERRULED = {("site.yaml", "store"): ("FEEDS_STORE", "store"), ("site.yaml", "base_url"): ("FEEDS_BASE_URL", "base_url")}
_Keys = tuple[str | int, ...]


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
    """All that `config` says. Lines are those of the files as they are now."""
    found: list[Setting] = []
    for file, section in SECTIONS.items():
        lines = configuration.lines(environment.config_dir / file)
        for keys, value in _leaves(getattr(config, section)):
            found.append(_setting(environment, file, keys, value, lines))
    return found


def _setting(environment: Environment, file: str, keys: _Keys, value: Any, lines: Mapping[_Keys, int]) -> Setting:
    name = ".".join(str(key) for key in keys)
    variable, attribute = _OVERRULED.get((file, name), ("", ""))
    if variable and getattr(environment, attribute):
        return Setting(file, name, _shown(value), variable=variable)
    return Setting(file, name, _shown(value), lines.get(keys, 0))


def _leaves(section: Any) -> Iterator[tuple[_Keys, Any]]:
    """Settings that hold no others; the operator's own feeds one by one."""
    yield from _inner((), section.model_dump(by_alias=True, mode="json", exclude={"feeds"}))
    for index, feed in enumerate(getattr(section, "feeds", ())):
        yield ("feeds", index), feed


def _inner(at: _Keys, value: Any) -> Iterator[tuple[_Keys, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _inner((*at, key), inner)
    else:
        yield at, value


def _shown(value: Any) -> str:
    """As it could be written in the file."""
    if isinstance(value, NamedFeed):
        return _in_json({"name": value.name, "title": value.title, "select": value.select.selection().as_json()})
    return value if isinstance(value, str) else _in_json(value)


def _in_json(value: Mapping[str, Any] | Sequence[Any] | float | None) -> str:
    return json.dumps(value, ensure_ascii=False)


def variables(environment: Environment) -> list[Variable]:
    """What the environment says to this process."""
    hidden = {"FEEDS_SMTP_URL": "smtp_url", "FEEDS_IMAP_URL": "imap_url", "FEEDS_SECRET_KEY": "secret_key"}
    hidden["FEEDS_OPERATOR_TOKEN"] = "operator_token"  # noqa: S105  # the name of a field
    open_ones = {
        "FEEDS_STORE": environment.store,
        "FEEDS_BASE_URL": environment.base_url,
        "FEEDS_DATABASE_URL": _place(environment.database_url),
    }
    told = [Variable(name, bool(value), value) for name, value in open_ones.items()]
    return told + [Variable(name, bool(getattr(environment, field))) for name, field in hidden.items()]


def _place(address: str) -> str:
    """A database's address without who may enter, and with what."""
    return re.sub(r"//[^/]*@", "//…@", address).partition("?")[0]
