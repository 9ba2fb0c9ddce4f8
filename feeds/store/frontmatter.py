"""One file's text -> its fields and its Markdown. Pure.

A dialect is a row in `DIALECTS`; the first that recognises a file wins.

YAML is read from libyaml's events in one pass that refuses bombs while it builds: aliases, explicit tags, merge keys, repeated
keys and deep nesting end the file, every scalar stays text (so `No`, `1.10` and `007` are what was written). The reasons:
https://github.com/yaml/pyyaml/issues/895 (deep nesting ends the process), quadratic sexagesimal integers, and ValueErrors
for dates that do not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import yaml

Value = Union[str, list["Value"], dict[str, "Value"]]  # noqa: UP007  # a name in quotes has no |

MAX_DEPTH = 20
#: Comments hold addresses and places of people. They end here: not even their text is built.
PRIVATE_KEYS = frozenset({"comments_data"})
#: A header that lost its first line, or its place, must not be published as a body.
_PRIVATE = ("comments_data", "postip", "islctt", "largepic", "titlepic")  # what stands in and after the comments
_PRIVATE_LINE = re.compile(r"^[ \t-]*(?:%s)[ \t]*:" % "|".join(_PRIVATE), re.MULTILINE)

_FENCE = re.compile(r"---[ \t]*$", re.MULTILINE)


class BadFrontMatter(ValueError):
    """Why a header cannot be read; `line` and `column` count from 1 in the file. Quotes nothing of it."""

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(line, column, reason)
        self.line, self.column, self.reason = line, column, reason


@dataclass(frozen=True, slots=True)
class Source:
    """What a dialect found: fields under the archive's names, and the Markdown body."""

    fields: Mapping[str, Value]
    body: str


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    recognises: Callable[[str], bool]
    read: Callable[[str], Source]


def read(text: str) -> Source:
    """`text` with LF line ends. Raises BadFrontMatter."""
    for dialect in DIALECTS:
        if dialect.recognises(text):
            source = dialect.read(text)
            if any(key in source.body for key in _PRIVATE) and _PRIVATE_LINE.search(source.body):
                raise BadFrontMatter(1, 1, "header lines outside the front matter (is it damaged?)")
            return source
    raise BadFrontMatter(1, 1, "no front matter: expected a first line of three hyphens, or LCTT's [#]: header lines")


# -- YAML between two lines of three hyphens -------------------------------


def _read_yaml(text: str) -> Source:
    start = text.find("\n") + 1 or len(text)
    end = _closing_fence(text, start - 1)
    if end is None:
        raise BadFrontMatter(1, 1, "the front matter is not closed by a line of three hyphens (half-written?)")
    return Source(load_mapping(text[start : end.start()]), text[end.end() + 1 :])


def _closing_fence(text: str, at: int) -> re.Match[str] | None:
    """A line of three hyphens; `---` within a line of the header is content."""
    while (at := text.find("\n---", at)) >= 0:
        if match := _FENCE.match(text, at + 1):
            return match
        at += 1
    return None


def load_mapping(text: str, *, first_line: int = 2) -> dict[str, Value]:
    """A YAML mapping whose leaves are all text. Raises BadFrontMatter with places in the file that `text` was cut from."""
    loader = yaml.CSafeLoader(text)
    try:
        return _Builder().run(loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column + 1) if mark else (0, 1)
        raise BadFrontMatter(line + first_line, column, f"not YAML: {_public(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n")  # libyaml counts bytes
        raise BadFrontMatter(line + first_line, 1, "a character that YAML does not allow") from None
    finally:
        loader.dispose()


def _public(error: yaml.MarkedYAMLError) -> str:
    """libyaml's messages name tokens, not content; ours too."""
    return str(error.problem or error.context or "unreadable")


class _Builder:
    """A stack machine over the events: builds what they say and refuses what could harm.

    `key` waits for its value in the innermost mapping; `skip` counts the open collections of a private key.
    """

    def __init__(self) -> None:
        self.stack: list[tuple[Any, str | None]] = []
        self.inner: Any = []
        self.key: str | None = None
        self.skip = 0

    def run(self, loader: Any) -> dict[str, Value]:
        steps: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.start,
            yaml.SequenceStartEvent: self.start,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.document,
        }
        while (kind := type(event := loader.get_event())) is not yaml.StreamEndEvent:
            step = steps.get(kind)
            if step:
                step(event)
        if len(self.inner) != 1 or not isinstance(root := self.inner[0], dict):
            raise yaml.MarkedYAMLError(problem="expected `key: value` lines")
        return root

    def scalar(self, event: Any) -> None:
        if event.tag is not None:
            raise _refused(event, "explicit tags are not allowed")
        if not self.skip:
            if type(self.inner) is dict and self.key is None:
                self.key = _new_key(self.inner, event)
            else:
                self.put(event.value)

    def put(self, value: Value) -> None:
        if type(self.inner) is list:
            self.inner.append(value)
        else:
            self.inner[self.key] = value
            self.key = None

    def start(self, event: Any) -> None:
        if event.tag is not None:
            raise _refused(event, "explicit tags are not allowed")
        if len(self.stack) + self.skip >= MAX_DEPTH:
            raise _refused(event, f"nested deeper than {MAX_DEPTH} levels")
        if self.skip or (len(self.stack) == 1 and self.key in PRIVATE_KEYS):
            self.skip += 1
            return
        if type(self.inner) is dict and self.key is None:
            raise _refused(event, "a key must be plain text")
        self.stack.append((self.inner, self.key))
        self.inner, self.key = ({} if type(event) is yaml.MappingStartEvent else []), None

    def end(self, _event: Any) -> None:
        if self.skip:
            self.skip -= 1
            self.key = self.key if self.skip else None
            return
        value = self.inner
        self.inner, self.key = self.stack.pop()
        self.put(value)

    def alias(self, event: Any) -> None:
        raise _refused(event, "aliases are not allowed")

    def document(self, event: Any) -> None:
        if self.inner:
            raise _refused(event, "a second document")


def _new_key(mapping: dict[str, Value], event: Any) -> str:
    key: str = event.value
    if key in mapping:
        raise _refused(event, "a key is repeated")
    if key == "<<" and event.implicit[0]:
        raise _refused(event, "merge keys are not allowed")
    return key


def _refused(event: Any, reason: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=reason, problem_mark=event.start_mark)


# -- LCTT's own files: header lines, a heading, a credit footer ------------

_MAX_VALUE = 1000  # of one that is searched in a way that is quadratic
_HEADER_LINE = re.compile(r"""^\[#\]:[ \t]*(?P<key>[A-Za-z-]+)[ \t]*:[ \t]*(?P<value>.*)$""")
_TITLE = re.compile(r"^(?P<title>[^\n]+)\n=+[ \t]*\n?|^#{1,3}[ \t]+(?P<atx>[^\n]+?)(?:[ \t]+#+)?[ \t]*$\n?", re.MULTILINE)
_VIA = re.compile(r"^via[ \t]*[:：][ \t]*<?(?P<url>https?://[^\s<>]+)", re.MULTILINE | re.IGNORECASE)
_CREDIT = (
    r"(?:%s)[^：:\n]{0,12}[：:][ \t]*"
    r"(?P<names>(?:\[[^\]\n]{1,200}\](?:\([^)\n]{0,500}\)|\[[^\]\n]{0,500}\])?[ \t]*[,，、]?[ \t]*)+)"
)
_CREDITS = {
    field: re.compile(_CREDIT % word)
    for field, word in {"author": "作者", "selector": "选题", "translator": "译者", "reviewer": "校对"}.items()
}
_LINKED = re.compile(r"\[([^\]\n]+)\](?:\([^)\n]*\)|\[[^\]\n]*\])?")
_ARTICLE_NUMBER = re.compile(r"/article-(\d+)(?:-\d+)?\.html")
#: The project's template leaves these words where nobody has signed yet.
_UNSIGNED = frozenset({"译者ID", "校对者ID", "选题者ID", "作者"})
_LCTT_KEYS = {
    "subject": "title",
    "via": "fromurl",
    "author": "author",
    "collector": "selector",
    "translator": "translator",
    "reviewer": "reviewer",
    "url": "permalink",
}


def _is_lctt(text: str) -> bool:
    return text.startswith("[#]:") or (_VIA.search(text) is not None and _CREDITS["translator"].search(text) is not None)


def _read_lctt(text: str) -> Source:
    header, body = _header_lines(text)
    fields: dict[str, Value] = _credits(body)
    for theirs, ours in _LCTT_KEYS.items():
        if value := header.get(theirs, ""):
            fields[ours] = re.sub(r"[ \t]+https?://\S+$", "", value[:_MAX_VALUE]) if ours == "author" else value
    heading = _TITLE.search(body[:2000])
    if heading and not body[: heading.start()].strip():
        # The translated heading is the title; `subject` may still hold the original's.
        fields["title"] = (heading["title"] or heading["atx"]).strip()
        body = body[heading.end() :]
    if number := _ARTICLE_NUMBER.search(str(fields.get("permalink", ""))):
        fields["id"] = number[1]
    return Source(fields, body)


def _header_lines(text: str) -> tuple[dict[str, str], str]:
    found: dict[str, str] = {}
    lines = text.split("\n")
    count = 0
    for line in lines:
        match = _HEADER_LINE.match(line)
        if match is None:
            break
        found[match["key"].lower()] = _unquote(match["value"].rstrip(" \t"))
        count += 1
    return found, "\n".join(lines[count:]).lstrip("\n")


def _unquote(value: str) -> str:
    for left, right in (('"', '"'), ("(", ")"), ("'", "'")):
        if len(value) >= 2 and value.startswith(left) and value.endswith(right):
            value = value[1:-1]
            break
    return value.strip()


def _credits(body: str) -> dict[str, Value]:
    """What the footer says, for fields that the header leaves empty."""
    footer = body[-3000:]
    fields: dict[str, Value] = {}
    for field, pattern in _CREDITS.items():
        if match := pattern.search(footer):
            names: list[Value] = [name for name in _LINKED.findall(match["names"]) if name not in _UNSIGNED]
            if names:
                fields[field] = names
    if match := _VIA.search(footer):
        fields["fromurl"] = match["url"]
    return fields


DIALECTS: tuple[Dialect, ...] = (
    Dialect("yaml", lambda text: text.startswith("---") and _FENCE.match(text) is not None, _read_yaml),
    Dialect("lctt", _is_lctt, _read_lctt),
)
