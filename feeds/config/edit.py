"""Change one of the operator's own feeds in the text of feeds.yaml: add, change, remove. The only user of ruamel.yaml.

Invariant: no byte of another setting changes. ruamel.yaml tells where the entries of `feeds:` are and writes the one that is
changed, keeping its comments, its order and its quotes; the lines around it are never written again. Callers check the result
by loading it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..errors import EditError

#: The settings of a feed that are edited, in the order of a new entry; others stay as they are.
EDITED = ("name", "title", "description", "select", "limit", "content")
#: `feeds:` without entries, with the comment behind it.
_EMPTY = re.compile(r"(?P<key>feeds[ \t]*:)(?:[ \t]+(?:\[[ \t]*\]|~|null))?(?P<rest>[ \t]*(?:[ \t]#.*)?\r?\n?)")
_EMPTY_GONE = re.compile(_EMPTY.pattern.replace("feeds", "gone"))
_ONLY_COMMENT = re.compile(r"\s*(#.*)?")
#: Texts that both YAML 1.1 and 1.2 read as text without quotes.
_PLAIN = re.compile(r"[A-Za-z一-鿿]+(?:[ _-][A-Za-z0-9一-鿿]+)*")
_EMPTY_VALUES: tuple[Any, ...] = (None, "", {}, [])
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def put_feed(text: str, feed: Mapping[str, Any]) -> str:
    """Return `text` with the feed in place of the one of its name, or at the end. Settings that are None are left out.

    Raises EditError for a file that is written in a way that only people can edit.
    """
    document = _Document.parse(text)
    given = {key: value for key in EDITED if (value := feed.get(key)) is not None}
    for entry in document.entries:
        if entry.name == feed["name"]:
            # Loaded in the column where it will be written, so that comments keep theirs.
            written = _dedent("".join(document.lines[entry.start : entry.end]), entry.column)
            rows = _load(_indent(written, 2))
            _merge(rows[0], given, EDITED)
            return document.replaced(entry, _indent(_dedent(_dump(rows), 2), entry.column))
    return document.appended(_dedent(_dump([CommentedMap((key, _styled(value)) for key, value in given.items())]), 2))


def remove_feed(text: str, name: str, *, gone: bool) -> str:
    """Return `text` without the feed; `gone` also adds its address to the list of those that are answered 410.

    Raises EditError for an unknown name, and as `put_feed`.
    """
    document = _Document.parse(text)
    found = next((entry for entry in document.entries if entry.name == name), None)
    if found is None:
        raise EditError(f"no feed is called {name!r} in feeds.yaml")
    left = document.replaced(found, "")
    if len(document.entries) == 1:
        left = re.sub(r"(?m)^feeds[ \t]*:", lambda match: f"{match[0]} []", left, count=1)
    return _with_gone(left, f"feeds/{name}") if gone else left


@dataclass(frozen=True, slots=True)
class _Entry:
    """One feed: its lines, without the comments and blank lines behind it; `column` is that of its hyphen."""

    name: str
    start: int
    end: int
    column: int


@dataclass(frozen=True, slots=True)
class _Document:
    """The lines of feeds.yaml, with the entries of `feeds:`. `at` is the line of that key, None where it is missing."""

    lines: Sequence[str]
    entries: Sequence[_Entry]
    at: int | None

    @classmethod
    def parse(cls, text: str) -> _Document:
        lines = text.splitlines(keepends=True)
        found = _load(text)
        if found is not None and (not isinstance(found, CommentedMap) or found.fa.flow_style()):
            raise EditError("feeds.yaml is not written as one setting a line: please edit the file by hand")
        if found is None or "feeds" not in found:
            return cls(lines, (), None)
        at, rows = found.lc.key("feeds")[0], found["feeds"]
        if not rows:
            return cls(lines, (), at)
        if not isinstance(rows, CommentedSeq) or rows.fa.flow_style():
            raise EditError("the list `feeds` is written in brackets: please edit the file by hand")
        after = [found.lc.key(key)[0] for key in found if found.lc.key(key)[0] > at]
        return cls(lines, _find_entries(lines, rows, min(after, default=len(lines))), at)

    def replaced(self, entry: _Entry, by: str) -> str:
        return "".join([*self.lines[: entry.start], self._with_line_ends(by), *self.lines[entry.end :]])

    def appended(self, entry: str) -> str:
        if self.entries:
            last = self.entries[-1]
            return self._inserted(last.end, _indent(entry, last.column))
        if self.at is None:
            return self._inserted(len(self.lines), "feeds:\n" + _indent(entry, 2))
        match = _EMPTY.fullmatch(self.lines[self.at])
        if match is None:
            raise EditError("the setting `feeds` is written in a way that only people understand: please edit the file by hand")
        begun = [*self.lines[: self.at], match["key"] + match["rest"], *self.lines[self.at + 1 :]]
        return _Document(begun, (), self.at)._inserted(self.at + 1, _indent(entry, 2))

    def _inserted(self, at: int, text: str) -> str:
        before = "".join(self.lines[:at])
        if before and not before.endswith("\n"):
            before += self._with_line_ends("\n")
        return before + self._with_line_ends(text) + "".join(self.lines[at:])

    def _with_line_ends(self, text: str) -> str:
        return text.replace("\n", "\r\n") if self.lines and self.lines[0].endswith("\r\n") else text


def _find_entries(lines: Sequence[str], rows: CommentedSeq, stop: int) -> list[_Entry]:
    column = rows.lc.col
    starts = []
    for index in range(len(rows)):
        line = rows.lc.item(index)[0]
        while line > 0 and lines[line][column : column + 1] != "-":
            line -= 1  # the hyphen is on a line before its value
        starts.append(line)
    found = []
    for row, start, end in zip(rows, starts, [*starts[1:], stop], strict=True):
        while end > start + 1 and _ONLY_COMMENT.fullmatch(lines[end - 1].rstrip("\r\n")):
            end -= 1
        found.append(_Entry(str(row.get("name", "")) if isinstance(row, dict) else "", start, end, column))
    return found


class _Representer(RoundTripRepresenter):
    """Write null as the shipped file does; ruamel.yaml would leave it out."""

    def represent_none(self, _data: None) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def _yaml() -> YAML:
    made = YAML()
    made.Representer = _Representer
    made.preserve_quotes = True
    made.width = 1_000_000
    made.indent(mapping=2, sequence=4, offset=2)
    return made


def _load(text: str) -> Any:
    try:
        return _yaml().load(text)
    except YAMLError:
        raise EditError("feeds.yaml is not YAML; `feeds check` names the place") from None


def _dump(value: Any) -> str:
    out = io.StringIO()
    _yaml().dump(value, out)
    return out.getvalue()


def _merge(row: CommentedMap, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Change `row` to what is given, keeping the form of values that stay; remove other `known` keys unless they are empty."""
    for key in known:
        if key not in given and row.get(key) not in _EMPTY_VALUES:
            del row[key]
    for number, (key, value) in enumerate(given.items()):
        if key not in row:
            row.insert(min(number, len(row)), key, _styled(value))
        elif isinstance(row[key], CommentedMap) and isinstance(value, Mapping) and row[key]:
            _merge(row[key], value, list(row[key]))
        elif _plain(row[key]) != value:
            row[key] = _styled(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


def _styled(value: Any) -> Any:
    """Quote texts that one version of YAML would read as another type; write lists and selections in one line."""
    if isinstance(value, Mapping):
        made = CommentedMap((key, _styled(inner)) for key, inner in value.items())
        made.fa.set_flow_style()
        return made
    if isinstance(value, list | tuple):
        row = CommentedSeq(map(_styled, value))
        row.fa.set_flow_style()
        return row
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or value.lower() in _WORDS):
        return DoubleQuotedScalarString(value)
    return value


def _indent(text: str, column: int) -> str:
    return "".join(" " * column + line if line.strip() else line for line in text.splitlines(keepends=True))


def _dedent(text: str, column: int) -> str:
    return "".join(line[min(column, len(line) - len(line.lstrip(" "))) :] for line in text.splitlines(keepends=True))


def _with_gone(text: str, path: str) -> str:
    """Add `path`, which needs no quotes, to the list `gone`."""
    found = _load(text)
    lines = text.splitlines(keepends=True)
    if "gone" not in found:
        at = found.lc.key("feeds")[0]
        return "".join([*lines[:at], f"gone: [{path}]\n", *lines[at:]])
    start = found.lc.key("gone")[0]
    if not found["gone"]:
        match = _EMPTY_GONE.fullmatch(lines[start])
        if match is None:
            raise EditError("the setting `gone` is written in a way that only people understand: please edit the file by hand")
        return "".join([*lines[:start], f"{match['key']} [{path}]{match['rest']}", *lines[start + 1 :]])
    end = min((line for key in found if (line := found.lc.key(key)[0]) > start), default=len(lines))
    while end > start + 1 and _ONLY_COMMENT.fullmatch(lines[end - 1].rstrip("\r\n")):
        end -= 1
    part = _load("".join(lines[start:end]))
    if path not in part["gone"]:
        part["gone"].append(path)
    return "".join([*lines[:start], _dump(part), *lines[end:]])
