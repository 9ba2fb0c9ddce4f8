"""Read config/*.yaml into a `Config`. The only reader of these files.

Unknown settings and bad values are named by file:line:column, all at once. The environment overrides two settings of site.yaml
(`environment.OVERRIDES`). A file that is not read as a whole is not read at all.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import ConfigError, Fault
from ..model import Selection
from .environment import OVERRIDES, Environment, SecretStr, variable
from .models import REMOVED, Config, FeedSettings, Newsletter, Site

Model = TypeVar("Model", bound=BaseModel)
File = TypeVar("File", Site, FeedSettings, Newsletter)
#: Names and indexes from the top of a file to a setting; "[key]" at the end means its name, not its value.
Keys = tuple[str | int, ...]
#: Line and column, counted from 1.
Position = tuple[int, int]
#: File of config/ -> the section of `Config` that it holds.
SECTIONS: Mapping[str, str] = {"site.yaml": "site", "feeds.yaml": "feeds", "newsletter.yaml": "newsletter"}


def load_config(environment: Environment, texts: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of the three files. The paths of stores are absolute. Raises ConfigError with every fault found.

    `texts` stand for files, by name: the result is what would be in force if they were written.
    """
    faults: list[Fault] = []
    given = environment.config_dir, texts or {}, faults
    site, feeds, newsletter = _load_file(Site, *given), _load_file(FeedSettings, *given), _load_file(Newsletter, *given)
    overrides: dict[str, str] = {}
    if environment.store and site is not None and len(site.stores) > 1:
        faults.append(
            Fault(variable("store"), 1, 1, f"it names one folder, and site.yaml has {len(site.stores)} stores; unset it")
        )
    if environment.base_url:
        if reason := setting_fault(Site, "base_url", environment.base_url):
            faults.append(Fault(variable("base_url"), 1, 1, reason))
        overrides["base_url"] = environment.base_url.rstrip("/")
    if site is not None and site.workers and environment.database_url.get_secret_value().startswith("sqlite"):
        faults.append(Fault("site.yaml", 1, 1, "workers: true needs PostgreSQL, and FEEDS_DATABASE_URL names an SQLite file"))
    if faults or site is None or feeds is None or newsletter is None:
        raise ConfigError(faults)
    stores = []
    for store in site.stores:
        # From where the command was given, as a shell user expects.
        own = os.path.abspath(os.path.expanduser(environment.store)) if environment.store else ""
        folder = own or str(environment.root / Path(store.path).expanduser())
        stores.append(store.model_copy(update={"path": os.path.normpath(folder)}))
    site = site.model_copy(update={**overrides, "stores": tuple(stores)})
    return Config(site=site, feeds=feeds, newsletter=newsletter)


def _load_file(model: type[File], folder: Path, texts: Mapping[str, str], faults: list[Fault]) -> File | None:
    path = folder / model.file
    if path.name in texts:
        return parse_yaml(texts[path.name], str(path), model, faults)
    try:
        return parse_yaml(path.read_text("utf-8"), str(path), model, faults)
    except FileNotFoundError:
        if path.name == "newsletter.yaml":  # sites that are older than the newsletter go on without one
            return model.model_validate({"enabled": False})
        reason = "no such file; `feeds init DIR` writes one with every setting"
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 (byte {error.start})"
    except OSError as error:
        reason = error.strerror or "cannot be read"
    faults.append(Fault(str(path), 1, 1, reason))
    return None


def parse_yaml(text: str, path: str, model: type[Model], faults: list[Fault]) -> Model | None:
    """Return one YAML text as a `model`; where it is faulty, None, and `faults` gets each fault with its position.

    Aliases are refused: they could make a small file a huge value, and hide where a setting is written.
    """
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):
                alias: Any = event.start_mark
                raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=alias)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        positions = dict(_positions_below(node)) if node else {}
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        faults.append(Fault(path, line, column, f"not YAML: {error.problem or error.context}"))
        return None
    except (yaml.YAMLError, ValueError) as error:
        faults.append(Fault(path, 1, 1, f"not YAML: {error}".splitlines()[0]))
        return None
    try:
        return model.model_validate({} if value is None else value, context={"path": path})
    except ValidationError as error:
        found = error.errors()
        outer = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
        # Where every member of a list is bad, the list counts as empty, too; that says nothing new.
        faults.extend(_as_fault(path, positions, item) for item in found if item["loc"] not in outer)
        return None


def _as_fault(path: str, positions: Mapping[Keys, Position], item: Any) -> Fault:
    """Return what pydantic found, at the setting or at the innermost one around it that the file writes."""
    keys: Keys = tuple(item["loc"])
    if keys[1:2] == (0,) and keys[:2] not in positions:  # one that is written without a list
        keys = (keys[0], *keys[2:])
    unknown = item["type"] == "extra_forbidden"
    around = [keys[:length] for length in range(len(keys), -1, -1)]
    wanted = [(*keys, "[key]"), *around] if unknown else around
    line, column = next((positions[place] for place in wanted if place in positions), (1, 1))
    name = ".".join(map(str, keys))
    reason = "unknown setting" if unknown else item["msg"].removeprefix("Value error, ")
    return Fault(path, line, column, f"{name}: {reason}" if name else reason)


def setting_fault(model: type[BaseModel], setting: str, value: object) -> str:
    """Return what is wrong with a value of one setting of `model`; "" if nothing.

    >>> setting_fault(Site, "timezone", "Moon")
    "no time zone is called 'Moon'; expected a name such as Asia/Shanghai"
    """
    try:
        model.model_validate({setting: value})
    except ValidationError as error:
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return ""


def positions(path: Path) -> Mapping[Keys, Position]:
    """Return where each setting that a file writes is, by its keys; {} for a file that cannot be read."""
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        return dict(_positions_below(node)) if node else {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def removed_settings(environment: Environment) -> list[Fault]:
    """Return a hint for each setting in the files that was REMOVED since the last release: it does nothing any more."""
    found = []
    for setting, hint in REMOVED.items():
        file, _, name = setting.partition(": ")
        path = environment.config_dir / file
        if place := positions(path).get((*name.split("."), "[key]")):
            found.append(Fault(str(path), *place, f"{name}: {hint}"))
    return found


def _positions_below(node: yaml.Node, at: Keys = ()) -> Iterator[tuple[Keys, Position]]:
    """Raises MarkedYAMLError for a key that is not text, or is written twice."""
    yield at, (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="a key must be text; put it in quotes", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is set twice", problem_mark=key.start_mark)
            seen.add(key.value)
            yield (*at, key.value, "[key]"), (key.start_mark.line + 1, key.start_mark.column + 1)
            yield from _positions_below(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _positions_below(value, (*at, index))


def selection_yaml(selection: Selection, title: str) -> str:
    """Return a selection as an entry of `feeds:` in feeds.yaml, for people to copy."""
    names = [name for part in (selection.any, selection.all) for clause in part.values() for name in clause]
    words = re.findall(r"[A-Za-z0-9]+", " ".join(names).lower())
    head = {"name": "-".join(words)[:40].strip("-") or "selection", "title": title}
    lines = _dump_lines(head, flow=False) + _dump_lines({"select": selection.as_json()}, flow=None)
    return "feeds:\n" + "".join(f"  {'  ' if number else '- '}{line}\n" for number, line in enumerate(lines))


def _dump_lines(value: Mapping[str, object], *, flow: bool | None) -> list[str]:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, default_flow_style=flow, width=1000).splitlines()


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


def settings_in_force(config: Config, environment: Environment) -> list[Setting]:
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
            setting = dotted.removesuffix(".path")  # of the store
            over = variable(setting) if name == "site" and setting in OVERRIDES and getattr(environment, setting) else ""
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
    found = [Variable(variable(name), bool(value), value) for name, value in vars(environment).items() if name in OVERRIDES]
    for name, value in vars(environment).items():
        if isinstance(value, SecretStr):
            shown = re.sub(r"//[^/]*@", "//…@", value.get_secret_value()).partition("?")[0] if name == "database_url" else ""
            found.append(Variable(variable(name), bool(value), shown))
    return found
