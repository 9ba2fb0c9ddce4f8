"""Read the languages of headers: YAML as generators take it, TOML, JSON. Every scalar becomes text, dates in ISO 8601.

They take what the archive's own reader refuses: repeated keys, aliases and merge keys (within a guard). Depth is bounded, what
aliases stand for, the length of what is read in more than linear time.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from datetime import date, datetime, time
from typing import Any

import yaml

from .source import MAX_DEPTH, PRIVATE_KEYS, BadFrontMatter, Value, line_at, repeated

#: Scalars and collections that aliases may stand for, in one header.
MAX_ALIASED = 10_000
#: Characters of a TOML or JSON header, whose readers take more than their length.
MAX_HEADER = 262_144

# -- YAML as generators take it ---------------------------------------------

_LEADING_TABS = re.compile(r"^[ ]*\t[ \t]*|(?<=- )\t+|(?<=-)\t+(?=\S)", re.MULTILINE)
_HARMLESS_TAGS = frozenset(
    {"!"} | {f"tag:yaml.org,2002:{name}" for name in "str int float bool null timestamp seq map omap set".split()}
)
_MERGE: Any = object()


def read_yaml(text: str, first_line: int) -> tuple[dict[str, Value], tuple[str, ...], dict[str, int]]:
    """Return a YAML mapping whose leaves are all text, notices, and the lines of its keys. Raises BadFrontMatter.

    >>> read_yaml("base: &b {lang: en}\\ntitle: 007\\ntitle: 008\\nmore: {<<: *b, tag: No}", 2)[0]
    {'base': {'lang': 'en'}, 'title': '008', 'more': {'lang': 'en', 'tag': 'No'}}
    """
    if "\t" in text:  # JavaScript's and Go's readers take tabs as indentation or leave them out
        text = _LEADING_TABS.sub(lambda match: match[0].replace("\t", "  "), text)
    builder = _Builder(first_line)
    fields = build_yaml(text, first_line, builder)
    return fields, repeated(builder.repeated), builder.lines


class EventBuilder(ABC):
    """Builds a mapping from libyaml's events; `documents` are those that are whole."""

    takes_nothing = False  # whether an empty document is a mapping without keys
    tags: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.documents: list[Any] = []

    def build(self, loader: Any) -> dict[str, Value]:
        """Return the mapping. Raises yaml.MarkedYAMLError."""
        while (kind := type(event := loader.get_event())) is not yaml.StreamEndEvent:
            if kind is yaml.ScalarEvent or kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                if event.tag is not None and event.tag not in self.tags:
                    raise refused(event, "explicit tags are not allowed")
                if kind is yaml.ScalarEvent:
                    self.scalar(event)
                else:
                    self.start(event)
            elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                self.end(event)
            elif kind is yaml.AliasEvent:
                self.alias(event)
            elif kind is yaml.DocumentStartEvent and self.documents:
                raise refused(event, "a second document")
        root = self.documents[0] if self.documents else ""
        if self.takes_nothing and root == "":
            return {}
        if not isinstance(root, dict):
            raise yaml.MarkedYAMLError(problem="expected `key: value` lines")
        return root

    @abstractmethod
    def scalar(self, event: Any) -> None:
        """Take a scalar: a key, or a value."""

    @abstractmethod
    def start(self, event: Any) -> None:
        """Open a collection."""

    @abstractmethod
    def end(self, event: Any) -> None:
        """Close the innermost collection."""

    def alias(self, event: Any) -> None:
        """Take what an alias stands for."""
        raise refused(event, "aliases are not allowed")


def build_yaml(text: str, first_line: int, builder: EventBuilder) -> dict[str, Value]:
    """Return what a builder makes of a text that begins on a line of the file. Raises BadFrontMatter."""
    loader = yaml.CSafeLoader(text)
    try:
        return builder.build(loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column + 1) if mark else (0, 1)
        reason = str(error.problem or error.context or "unreadable")  # libyaml names tokens, not content; so do we
        raise BadFrontMatter(line + first_line, column, f"not YAML: {reason}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n")  # libyaml counts bytes
        raise BadFrontMatter(line + first_line, 1, "a character that YAML does not allow") from None
    finally:
        loader.dispose()


def refused(event: Any, reason: str) -> yaml.MarkedYAMLError:
    """Return the error that an event is refused with."""
    return yaml.MarkedYAMLError(problem=reason, problem_mark=event.start_mark)


class _Frame:
    """An open collection; `key` waits for its value, `merges` are those of `<<`, `height` is that of the tallest child."""

    __slots__ = ("anchor", "height", "key", "merges", "nodes", "value")

    def __init__(self, value: Any, anchor: str | None, nodes: int) -> None:
        self.value = value
        self.anchor = anchor
        self.nodes = nodes
        self.key: Any = None
        self.merges: list[Value] = []
        self.height = 0


class _Builder(EventBuilder):
    """Builds a header from events. `anchors`: name -> value, number of its nodes, height; `skip` counts private collections."""

    takes_nothing, tags = True, _HARMLESS_TAGS

    def __init__(self, first_line: int) -> None:
        super().__init__()
        self.stack = [_Frame(self.documents, None, 0)]
        self.anchors: dict[str, tuple[Value, int, int]] = {}
        self.nodes = self.aliased = self.skip = 0
        self.first_line = first_line
        self.lines: dict[str, int] = {}
        self.repeated: list[tuple[str, int]] = []

    def scalar(self, event: Any) -> None:
        frame = self.stack[-1]
        if self.skip:
            return
        self.nodes += 1
        if event.anchor is not None:
            self.anchors[event.anchor] = (event.value, 1, 0)
        if type(frame.value) is list or frame.key is not None:
            self.put(event.value, 0)
            return
        frame.key = _MERGE if event.value == "<<" and event.implicit[0] else event.value
        line = event.start_mark.line + self.first_line
        if frame.key in frame.value:
            self.repeated.append((event.value, line))
        if len(self.stack) == 2 and frame.key is not _MERGE:
            self.lines[frame.key] = line

    def put(self, value: Value, height: int) -> None:
        frame = self.stack[-1]
        frame.height = max(frame.height, height)
        if type(frame.value) is list:
            frame.value.append(value)
            return
        if frame.key is _MERGE:
            frame.merges += value if isinstance(value, list) else [value]
        elif len(self.stack) != 2 or frame.key.lower() not in PRIVATE_KEYS:
            frame.value[frame.key] = value
        frame.key = None

    def start(self, event: Any) -> None:
        frame = self.stack[-1]
        if len(self.stack) + self.skip > MAX_DEPTH:
            raise refused(event, f"nested deeper than {MAX_DEPTH} levels")
        private = len(self.stack) == 2 and isinstance(frame.key, str) and frame.key.lower() in PRIVATE_KEYS
        if self.skip or private:
            self.skip += 1
            return
        if type(frame.value) is dict and frame.key is None:
            raise refused(event, "a key must be plain text")
        self.nodes += 1
        self.stack.append(_Frame({} if type(event) is yaml.MappingStartEvent else [], event.anchor, self.nodes))

    def end(self, event: Any) -> None:
        if self.skip:
            self.skip -= 1
            if not self.skip:
                self.stack[-1].key = None
            return
        frame = self.stack.pop()
        value = frame.value
        if frame.merges:
            value = {}
            for merged in reversed(frame.merges):  # the first one counts, and the mapping's own keys before all
                if not isinstance(merged, dict):
                    raise refused(event, "a merge key needs mappings")
                value.update(merged)
            value.update(frame.value)
            if len(self.stack) == 1:
                value = {key: one for key, one in value.items() if key.lower() not in PRIVATE_KEYS}
        if frame.anchor is not None:
            self.anchors[frame.anchor] = (value, self.nodes - frame.nodes + 1, frame.height + 1)
        self.put(value, frame.height + 1)

    def alias(self, event: Any) -> None:
        if self.skip:
            return
        if event.anchor not in self.anchors:
            raise refused(event, "an alias of what is not there")
        value, size, height = self.anchors[event.anchor]
        self.nodes += size
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise refused(event, f"aliases of more than {MAX_ALIASED} values")
        if len(self.stack) + height > MAX_DEPTH + 1:
            raise refused(event, f"nested deeper than {MAX_DEPTH} levels")
        frame = self.stack[-1]
        if type(frame.value) is dict and frame.key is None:
            raise refused(event, "a key must be plain text")
        self.put(value, height)


# -- TOML and JSON ------------------------------------------------------------

_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
#: tomllib's time and memory grow with the square of their number.
_LONG_KEY = re.compile(r"""(?:(?:(?<![\w-])[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){%d}""" % MAX_DEPTH)
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_toml(text: str, first_line: int) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return a TOML table whose leaves are all text, and notices. Dates and times are ISO 8601. Raises BadFrontMatter.

    >>> read_toml('title = "x"\\ndate = 2024-05-06\\ndraft = true\\n[author]\\nname = "Ada"', 2)[0]
    {'title': 'x', 'date': '2024-05-06', 'draft': 'true', 'author': {'name': 'Ada'}}
    """
    import tomllib  # which a process that parses an archive does without

    _check_length(text, first_line, "TOML")
    if found := _LONG_KEY.search(text):
        raise BadFrontMatter(line_at(text, found.start()) + first_line - 1, 1, f"nested deeper than {MAX_DEPTH} levels")
    try:
        return _root(tomllib.loads(text, parse_float=str), first_line), ()
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (text.rstrip("\n").count("\n") + 1, 1)
        reason = re.split(r"""[('"]""", str(error))[0].strip().lower()  # what is in quotes or parentheses is the file's
        raise BadFrontMatter(line + first_line - 1, column, f"not TOML: {reason or 'unreadable'}") from None
    except RecursionError:
        raise BadFrontMatter(first_line, 1, f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:  # a number of thousands of digits, a day that no month has
        raise BadFrontMatter(first_line, 1, "not TOML: a number or date that does not exist") from None


def _json_decoder(found: list[str]) -> json.JSONDecoder:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(items)
        if len(mapping) < len(items):
            seen: set[str] = set()
            found.extend(key for key, _value in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return mapping

    return json.JSONDecoder(object_pairs_hook=pairs, parse_int=str, parse_float=str, parse_constant=str, strict=False)


def read_json_start(text: str, first_line: int) -> tuple[dict[str, Value], int, tuple[str, ...]]:
    """Return the object at the start of `text`, where it ends, and notices. Raises BadFrontMatter."""
    found: list[str] = []
    try:
        value, end = _json_decoder(found).raw_decode(text)
    except json.JSONDecodeError as error:
        # Its words name what was expected, never what is there.
        raise BadFrontMatter(error.lineno + first_line - 1, error.colno, f"not JSON: {error.msg.lower()}") from None
    except RecursionError:
        raise BadFrontMatter(first_line, 1, f"nested deeper than {MAX_DEPTH} levels") from None
    _check_length(text[:end], first_line, "JSON")
    if not isinstance(value, dict):
        raise BadFrontMatter(first_line, 1, "not JSON: expected an object")
    return _root(value, first_line), end, repeated((key, 0) for key in found)


def read_json(text: str, first_line: int) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return the JSON object that `text` is, with leaves that are all text, and notices. Raises BadFrontMatter."""
    lead = len(text) - len(text.lstrip())
    fields, end, notices = read_json_start(text[lead:], first_line + text.count("\n", 0, lead))
    if rest := text[lead + end :].strip():
        raise BadFrontMatter(line_at(text, text.rindex(rest)) + first_line - 1, 1, "not JSON: more than one object")
    return fields, notices


def _check_length(text: str, first_line: int, language: str) -> None:
    if len(text) > MAX_HEADER:
        raise BadFrontMatter(first_line, 1, f"a header in {language} of more than {MAX_HEADER} characters")


def _root(fields: dict[str, Any], first_line: int) -> dict[str, Value]:
    """Return fields with leaves that are all text, without private ones. Raises BadFrontMatter for what is too deep."""
    return {key: _text_of(value, 1, first_line) for key, value in fields.items() if key.lower() not in PRIVATE_KEYS}


def _text_of(value: Any, depth: int, line: int) -> Value:
    if isinstance(value, (dict, list)) and depth >= MAX_DEPTH:
        raise BadFrontMatter(line, 1, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {_sound(key): _text_of(one, depth + 1, line) for key, one in value.items()}
    if isinstance(value, list):
        return [_text_of(one, depth + 1, line) for one in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return "" if value is None else _sound(str(value))


def _sound(text: str) -> str:
    r"""JSON may name halves of characters (`\ud800`), which no document can hold."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
