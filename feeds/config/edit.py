"""feeds.yaml with one of the operator's own feeds more, changed or less. Text in, text out; the only user of ruamel.yaml.

Law: no byte of another setting changes. ruamel.yaml says where the entries of `feeds:` stand and writes the one that is meant,
keeping its comments, its order and its quotes; the lines around it are never written anew. Whoever calls checks by loading
the result.
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

#: The settings of an entry that are edited, in the order in which a new one has them; others stay as they are.
EDITED = ("name", "title", "description", "select", "limit", "content")
#: `feeds:` with nothing in it, and the comment behind.
_EMPTY = re.compile(r"(?P<key>feeds[ \t]*:)(?:[ \t]+(?:\[[ \t]*\]|~|null))?(?P<rest>[ \t]*(?:[ \t]#.*)?\r?\n?)")
_EMPTY_GONE = re.compile(_EMPTY.pattern.replace("feeds", "gone"))
_ONLY_COMMENT = re.compile(r"\s*(#.*)?")
#: What YAML 1.1 and 1.2 both read as text without quotes.
_PLAIN = re.compile(r"[A-Za-z一-鿿]+(?:[ _-][A-Za-z0-9一-鿿]+)*")
_NOTHING: tuple[Any, ...] = (None, "", {}, [])
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def put(text: str, entry: Mapping[str, Any]) -> str:
    """With the feed `entry` in the place of the one of its name, or at the end. Settings that are None are left out."""
    sheet = _Sheet.read(text)
    for item in sheet.items:
        if item.name == entry["name"]:
            return sheet.replaced(item, _changed("".join(sheet.lines[item.start : item.end]), item.column, entry))
    return sheet.appended(_written(entry))


def remove(text: str, name: str, *, gone: bool) -> str:
    """Without the feed; `gone` also adds its address to the list that is answered 410."""
    sheet = _Sheet.read(text)
    found = next((item for item in sheet.items if item.name == name), None)
    if found is None:
        raise EditError(f"no feed is called {name!r} in feeds.yaml")
    left = sheet.replaced(found, "")
    if len(sheet.items) == 1:
        left = _emptied(left)
    return _with_gone(left, f"feeds/{name}") if gone else left


@dataclass(frozen=True, slots=True)
class _Item:
    """One entry: its lines, without the comments and blank lines behind it; `column` is that of its hyphen."""

    name: str
    start: int
    end: int
    column: int


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The lines of a file, with the entries of `feeds:`. `at` is the line of that key, None where it is missing."""

    lines: Sequence[str]
    items: Sequence[_Item]
    at: int | None

    @classmethod
    def read(cls, text: str) -> _Sheet:
        lines = text.splitlines(keepends=True)
        found = _load(text)
        if found is None:
            return cls(lines, (), None)
        if not isinstance(found, CommentedMap) or found.fa.flow_style():
            raise EditError("feeds.yaml is not written as one setting a line: please edit the file by hand")
        if "feeds" not in found:
            return cls(lines, (), None)
        at, rows = found.lc.key("feeds")[0], found["feeds"]
        if not rows:
            return cls(lines, (), at)
        if not isinstance(rows, CommentedSeq) or rows.fa.flow_style():
            raise EditError("the list `feeds` is written in brackets: please edit the file by hand")
        after = [found.lc.key(key)[0] for key in found if found.lc.key(key)[0] > at]
        return cls(lines, _items(lines, rows, min(after, default=len(lines))), at)

    def replaced(self, item: _Item, by: str) -> str:
        return "".join([*self.lines[: item.start], self._as_here(by), *self.lines[item.end :]])

    def appended(self, entry: str) -> str:
        if self.items:
            last = self.items[-1]
            return self._inserted(last.end, _indented(entry, last.column))
        if self.at is None:
            return self._inserted(len(self.lines), "feeds:\n" + _indented(entry, 2))
        match = _EMPTY.fullmatch(self.lines[self.at])
        if match is None:
            raise EditError("the setting `feeds` is written in a way that only people understand: please edit the file by hand")
        begun = [*self.lines[: self.at], match["key"] + match["rest"], *self.lines[self.at + 1 :]]
        return _Sheet(begun, (), self.at)._inserted(self.at + 1, _indented(entry, 2))

    def _inserted(self, at: int, text: str) -> str:
        before = "".join(self.lines[:at])
        if before and not before.endswith("\n"):
            before += "\r\n" if self._has_crlf() else "\n"
        return before + self._as_here(text) + "".join(self.lines[at:])

    def _as_here(self, text: str) -> str:
        return text.replace("\n", "\r\n") if self._has_crlf() else text

    def _has_crlf(self) -> bool:
        return bool(self.lines) and self.lines[0].endswith("\r\n")


def _items(lines: Sequence[str], rows: CommentedSeq, stop: int) -> list[_Item]:
    column = rows.lc.col
    starts = [_hyphen(lines, rows.lc.item(index)[0], column) for index in range(len(rows))]
    found = []
    for row, start, end in zip(rows, starts, [*starts[1:], stop], strict=True):
        while end > start + 1 and _ONLY_COMMENT.fullmatch(lines[end - 1].rstrip("\r\n")):
            end -= 1
        found.append(_Item(str(row.get("name", "")) if isinstance(row, dict) else "", start, end, column))
    return found


def _hyphen(lines: Sequence[str], line: int, column: int) -> int:
    """The line of the hyphen before a value: the same one, as a rule."""
    while line > 0 and lines[line][column : column + 1] != "-":
        line -= 1
    return line


def _emptied(text: str) -> str:
    """`feeds:` of which the last entry is gone."""
    return re.sub(r"(?m)^feeds[ \t]*:", lambda match: f"{match[0]} []", text, count=1)


# -- one entry ---------------------------------------------------------------


class _Representer(RoundTripRepresenter):
    """Writes null as the shipped file does, where ruamel.yaml would leave it out."""

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


def _written(entry: Mapping[str, Any]) -> str:
    """A new entry, its hyphen in the first column."""
    return _dedented(_dump([CommentedMap((key, _value(entry[key])) for key in EDITED if entry.get(key) is not None)]), 2)


def _changed(written: str, column: int, entry: Mapping[str, Any]) -> str:
    rows = _load(_indented(_dedented(written, column), 2))  # where it will be written: comments keep their columns
    given = {key: value for key in EDITED if (value := entry.get(key)) is not None}
    _merge(rows[0], given, EDITED)
    return _indented(_dedented(_dump(rows), 2), column)


def _merge(row: CommentedMap, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """What does not change stays as it is written; of `known` keys, those that are not given go, unless they say nothing."""
    for key in known:
        if key not in given and row.get(key) not in _NOTHING:
            del row[key]
    for number, (key, value) in enumerate(given.items()):
        if key not in row:
            row.insert(min(number, len(row)), key, _value(value))
        elif isinstance(row[key], CommentedMap) and isinstance(value, Mapping) and row[key]:
            _merge(row[key], value, list(row[key]))
        elif _plain(row[key]) != value:
            row[key] = _value(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


def _value(value: Any) -> Any:
    """In quotes where one version of YAML would take a text for something else; lists and selections in one line."""
    if isinstance(value, Mapping):
        made = CommentedMap((key, _value(inner)) for key, inner in value.items())
        made.fa.set_flow_style()
        return made
    if isinstance(value, list | tuple):
        row = CommentedSeq(map(_value, value))
        row.fa.set_flow_style()
        return row
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or value.lower() in _WORDS):
        return DoubleQuotedScalarString(value)
    return value


def _indented(text: str, column: int) -> str:
    return "".join(" " * column + line if line.strip() else line for line in text.splitlines(keepends=True))


def _dedented(text: str, column: int) -> str:
    return "".join(line[min(column, len(line) - len(line.lstrip(" "))) :] for line in text.splitlines(keepends=True))


# -- what is retired -----------------------------------------------------------


def _with_gone(text: str, path: str) -> str:
    """A path of a feed needs no quotes."""
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
