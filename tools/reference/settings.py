"""Every setting of config/*.yaml: types, bounds and defaults from the models, words from the comments of the files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import BaseModel

from feeds import resources
from feeds.cli.serving import serve
from feeds.config.environment import Environment, SecretStr, variable
from feeds.config.models import FeedSettings, Newsletter, Site
from feeds.model import FACETS

from .words import code, explained, table

FILES: dict[str, type[BaseModel]] = {"site.yaml": Site, "feeds.yaml": FeedSettings, "newsletter.yaml": Newsletter}
#: An address in the words is an example, not a link.
_ADDRESS = re.compile(r"(?<!`)\b((?:https?://|[\w.]+@)[^\s;,`]*[^\s;,:.`])")
#: A setting, also one that is shown in a comment.
_LINE = re.compile(r"(?:# )?(?P<indent> *)(?P<item>- )?(?P<key>[a-z_0-9]+):(?P<value>.*?)(?:\s+#\s(?P<words>.*))?")


@dataclass(frozen=True, slots=True)
class Setting:
    """`path` as it is shown, `key` as the file has it."""

    path: str
    key: str
    default: str
    values: str


def page() -> str:
    parts = [_HEAD]
    for file, model in FILES.items():
        text = (resources.DEFAULT_CONFIG / file).read_text("utf-8")
        words = comments(text)
        rows = [_row(file, one, words) for one in settings(model, yaml.safe_load(text))]
        parts.append(f"## {file}\n\n{table(('setting', 'default', 'values', 'what'), rows)}")
    parts.append(_VARIABLES + table(("variable", "default", "what"), sorted(_variables())))
    return "\n".join(parts)


def _row(file: str, one: Setting, words: Mapping[str, str]) -> tuple[str, str, str, str]:
    said = explained(f"{file}: {one.path}", words.get(one.key))
    choices = one.values.replace("`", "").replace(", ", " | ")
    return code(one.path), one.default, one.values, _ADDRESS.sub(r"`\1`", said.removeprefix(f"{choices}: "))


def comments(text: str) -> dict[str, str]:
    """Dotted key -> the comment at the end of its line."""
    found: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        indent = len(match["indent"]) + len(match["item"] or "")
        stack = [*(step for step in stack if step[0] < indent), (indent, match["key"])]
        name = ".".join(key for _indent, key in stack)
        found[name] = match["words"] or found.get(name, "")
    return found


def settings(model: type[BaseModel], example: Mapping[str, Any]) -> Iterator[Setting]:
    """Those of the model; of a mapping of free names, such as `frequencies`, those that the file shows, too."""
    schema = model.model_json_schema(by_alias=True)
    for one in _walk(schema, schema.get("$defs", {}), "", ""):
        yield one
        shown = example.get(one.path)
        if isinstance(shown, Mapping) and one.values == "names and text":
            for name, value in shown.items():
                yield Setting(f"{one.path}.{name}", f"{one.path}.{name}", code(json.dumps(value)), "text")


def _walk(schema: dict[str, Any], kinds: dict[str, Any], path: str, key: str) -> Iterator[Setting]:
    for name, member in schema["properties"].items():
        if path.endswith(".select.") and name in FACETS and name != "tag":
            continue  # the words of `tag` name the others
        shown = f"{path}<facet>" if path.endswith(".select.") and name == "tag" else path + name
        inner, suffix, example = _inner(member, kinds)
        yield Setting(shown, key + name, _default(member, inner, name in schema.get("required", ())), _values(member))
        if inner:
            yield from _walk(inner, kinds, f"{shown}{suffix}.", f"{key}{name}.{example}")


def _inner(member: dict[str, Any], kinds: dict[str, Any]) -> tuple[dict[str, Any] | None, str, str]:
    """What a setting holds that has settings of its own, how that is written in its path, and the key of an example."""
    for schema, suffix, example in (
        (member, "", ""),
        (member.get("items", {}), "[]", ""),
        (member.get("additionalProperties", {}), ".<facet>", "tag."),
    ):
        if isinstance(schema, dict) and "$ref" in schema:
            return kinds[schema["$ref"].rpartition("/")[2]], suffix, example
    return None, "", ""


def _default(member: dict[str, Any], inner: dict[str, Any] | None, required: bool) -> str:
    if required:
        return "(required)"
    if inner or "default" not in member:
        return ""
    value = member["default"]
    return code(json.dumps(value, ensure_ascii=False)) if value is not None else ""


def _values(member: dict[str, Any]) -> str:
    """What may be written there, in words."""
    either = [one for one in member.get("anyOf", ()) if one.get("type") != "null"]
    if either:
        return _values(either[0])
    if "enum" in member:
        return ", ".join(map(code, member["enum"]))
    if "examples" in member:
        return ", ".join(map(code, member["examples"])) + ", or the name of an installed one"
    if member.get("type") in ("integer", "number"):
        return _range(member)
    if member.get("additionalProperties") == {"type": "string"}:
        return "names and text"
    words = {"boolean": "`true`, `false`", "string": "text", "array": "list", "object": "mapping"}
    return words.get(member.get("type", ""), "")


def _range(member: dict[str, Any]) -> str:
    low, high = member.get("minimum"), member.get("maximum")
    return f"{low:,.0f} to {high:,.0f}" if high is not None else f"{low:,.0f} or more"


def _variables() -> Iterator[tuple[str, str, str]]:
    for param in serve.params:
        if isinstance(param, click.Option) and isinstance(param.envvar, str):
            yield code(param.envvar), code(str(param.default)) if param.default else "", explained(param.envvar, param.help)
    plain = Environment.read(Path("/site/config"), {})
    for field in fields(Environment):
        if (name := field.name) != "config_dir":
            value = getattr(plain, name)
            default = str(value.get_secret_value() if isinstance(value, SecretStr) else value).replace("/site/", "")
            yield (
                code(variable(name)),
                code(default) if default else "",
                explained(variable(name), field.metadata["description"]),
            )


_HEAD = """\
# Settings

Three files in one folder, `config/` by default, which `--config` or `FEEDS_CONFIG` names. `feeds init` writes them with these
defaults. An edit is in force after the next rescan; nothing has to be restarted. A mistake is named by `file:line:column`, by
`feeds check`, in the log and in `feeds status`, and the last good configuration stays in force. Relative paths are taken from
the folder that holds `config/`.

This page is written by `make reference`, from the code and the comments of the files.
"""
_VARIABLES = """\
## Environment

Read when a process begins. Secrets and what differs from machine to machine live here and nowhere else; no secret is stored or
logged. A variable stands over the setting of the same name. Every command finds them the same way, in its environment, else in
the file `.env` beside `config/`; those that are or hold a secret may be files, too (`FEEDS_SECRET_KEY_FILE=/run/secrets/key`):
[secrets](../secrets.md).

"""
