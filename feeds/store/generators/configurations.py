"""Configuration files that are data (YAML, TOML, JSON): read into mappings whose leaves are text, whatever they contain."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from ..headers.languages import MAX_HEADER, read_json, read_toml, read_yaml
from ..headers.source import BadFrontMatter, Value

MAX_BYTES = MAX_HEADER
SUFFIXES = (".toml", ".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Configuration:
    """Values of configuration files, later files over earlier ones; keys are found in any case of letters.

    `sources` are the files that were read, and `faults` say in words why others could not be; both name paths below the root.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def at(self, *names: str) -> Value:
        """Return the value at a path of keys, "" where there is none."""
        value: Value = dict(self.values)
        for name in names:
            value = _member(value, name)
        return value

    def text(self, *names: str) -> str:
        """Return a text, "" for another type and for null."""
        value = self.at(*names)
        return value.strip() if isinstance(value, str) and value not in ("null", "~") else ""

    def flag(self, *names: str) -> bool | None:
        """Return a truth value, None where none is said."""
        return as_flag(self.at(*names))

    def texts(self, *names: str) -> tuple[str, ...]:
        """Return a list of texts, which may be written as one."""
        return as_texts(self.at(*names))

    def table(self, *names: str) -> dict[str, Value]:
        """Return a mapping, an empty one for another type."""
        value = self.at(*names)
        return value if isinstance(value, dict) else {}

    def with_file(self, root: str, path: str, *names: str) -> Configuration:
        """Return the configuration with a file of `root` over it, at a path of keys; with a fault where it cannot be read."""
        read = read_file(os.path.join(root, path))
        if isinstance(read, str):
            return Configuration(self.values, self.sources, (*self.faults, f"{path}: {read}"))
        for name in reversed(names):
            read = {name: read}
        return Configuration(_merged(self.values, read), (*self.sources, path), self.faults)


def _member(value: Value, name: str) -> Value:
    if not isinstance(value, dict):
        return ""
    if name in value:
        return value[name]
    folded = name.lower()
    return next((one for key, one in value.items() if key.lower() == folded), "")


def member(value: Value, *names: str) -> Value:
    """Return the first of the members that a mapping has, in any case of letters; "" where it has none."""
    return next((found for name in names if (found := _member(value, name)) != ""), "")


def as_flag(value: Value) -> bool | None:
    """Return a truth value, None for anything else."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return True if text in ("true", "yes", "on", "1") else False if text in ("false", "no", "off", "0") else None


def as_texts(value: Value) -> tuple[str, ...]:
    """Return the texts of a list, or of one text."""
    found = value if isinstance(value, list) else [value]
    return tuple(one.strip() for one in found[:200] if isinstance(one, str) and one.strip() not in ("", "null", "~"))


def flattened(values: Mapping[str, Value], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a mapping with the path of their keys (`build.list`); a list of texts is joined by line ends."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", "\n".join(as_texts(value))


def _merged(lower: Mapping[str, Value], upper: Mapping[str, Value]) -> dict[str, Value]:
    found = dict(lower)
    names = {key.lower(): key for key in lower}
    for key, value in upper.items():
        key = names.get(key.lower(), key)
        old = found.get(key)
        found[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def first_file(root: str, names: Iterable[str]) -> str:
    """Return the first of the files (paths below `root`) that is there, "" for none."""
    return next((name for name in names if os.path.isfile(os.path.join(root, name))), "")


def read_text(path: str, limit: int = MAX_BYTES) -> str | None:
    """Return the text of a regular file, None where it cannot be read; cut at `limit` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return file.read(limit).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except OSError:
        return None


def list_names(folder: str, limit: int = 5000) -> list[str]:
    """Return names in a folder, sorted, with "/" behind those of folders; at most `limit`, none where it cannot be read."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry, _ in zip(entries, range(limit), strict=False):
                found.append(f"{entry.name}/" if entry.is_dir() else entry.name)
    except OSError:
        return sorted(found)
    return sorted(found)


def read_file(path: str) -> dict[str, Value] | str:
    """Return the mapping that a file holds, or why it cannot be read."""
    text = read_text(path, MAX_BYTES + 1)
    if text is None:
        return "cannot be read"
    if len(text) > MAX_BYTES:
        return f"larger than {MAX_BYTES} bytes"
    return parse(text, PurePath(path).suffix.lower())


def parse(text: str, suffix: str) -> dict[str, Value] | str:
    """Return the mapping that a text holds in the syntax that a suffix names, or why it cannot be read, without a quotation.

    >>> parse("a: [1, yes]", ".yml"), parse("a = 1 b", ".toml")
    ({'a': ['1', 'yes']}, 'not TOML: expected newline or end of document after a statement (line 1)')
    """
    read = {".toml": read_toml, ".json": read_json}.get(suffix, read_yaml)
    try:
        return read(text, 1)[0] if text.strip() else {}
    except BadFrontMatter as error:
        return f"{error.reason} (line {error.line})"
