"""Front matter: parse the text of one file into header fields and a Markdown body.

A form of headers is a `Kind`; the first one that recognizes a file reads it. The archive's are `BUILT_IN`, then those that
installed packages bring through the entry point group `feeds.kinds`. Stores of other kinds name theirs (`select_forms`), which
read as those generators do (`header_forms`, `credits`).

The archive's YAML is built from libyaml's events: aliases, explicit tags, merge keys, repeated keys and deep nesting are
refused, and every scalar stays text (`No`, `1.10`, `007`). The reasons: deep nesting ends the process
(https://github.com/yaml/pyyaml/issues/895), sexagesimal integers are quadratic, dates that do not exist are ValueErrors.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ..errors import StoreError
from ..plugins import Plugin, load_plugin
from .headers.languages import EventBuilder, build_yaml, refused
from .headers.source import MAX_DEPTH, PRIVATE_KEYS, BadFrontMatter, Kind, Source, Value

__all__ = [
    "BUILT_IN",
    "GROUP",
    "BadFrontMatter",
    "Kind",
    "Source",
    "Value",
    "load_kinds",
    "read_source",
    "select_forms",
]

#: A header that lost its first line, or its place, must not be published as a body.
_PRIVATE = ("comments_data", "postip", "islctt", "largepic", "titlepic")  # what stands in and after the comments
_PRIVATE_LINE = re.compile(r"^[ \t-]*(?:%s)[ \t]*:" % "|".join(_PRIVATE), re.MULTILINE)

_FENCE = re.compile(r"---[ \t]*$", re.MULTILINE)


def read_source(text: str, path: str, kinds: Sequence[Kind]) -> Source:
    """Return the content of a file by the first of `kinds` that recognizes it. Raises BadFrontMatter.

    Where credits of translations are among them, those in the body of another form are fields, too.
    """
    for kind in kinds:
        if kind.recognizes(text):
            source = kind.read(text, path)
            if any(key in source.body for key in _PRIVATE) and _PRIVATE_LINE.search(source.body):
                raise BadFrontMatter(1, 1, "header lines outside the front matter (is it damaged?)")
            if not source.form:
                return dataclasses.replace(source, form=kind.name)
            if source.form in _WITH_CREDITS and any(kind.name == "credits" for kind in kinds):
                from .headers.credits import with_credits

                return with_credits(source)
            return source
    tried = [getattr(kind, "expected", f"the kind {kind.name}") for kind in kinds]
    expected = f"{', '.join(tried[:-1])}, or {tried[-1]}" if len(tried) > 1 else "".join(tried)
    raise BadFrontMatter(1, 1, f"no front matter: expected {expected}")


# -- YAML between two lines of three hyphens -------------------------------


class YamlKind:
    """A YAML header between two lines of three hyphens, read strictly: as the archive's own program writes it."""

    name = "yaml"
    expected = "a first line of three hyphens"

    def recognizes(self, text: str) -> bool:
        """Return whether the first line is a fence."""
        return text.startswith("---") and _FENCE.match(text) is not None

    def read(self, text: str, path: str) -> Source:
        """Return the header's mapping and the rest. `---` within a line of the header is content."""
        start = text.find("\n") + 1 or len(text)
        at, end = start - 1, None
        while end is None and (at := text.find("\n---", at)) >= 0:
            at += 1
            end = _FENCE.match(text, at)
        if end is None:
            raise BadFrontMatter(1, 1, "the front matter is not closed by a line of three hyphens (half-written?)")
        return Source(parse_yaml(text[start : end.start()]), text[end.end() + 1 :], self.name)


def parse_yaml(text: str, *, first_line: int = 2) -> dict[str, Value]:
    """Return a YAML mapping whose leaves are all text. Raises BadFrontMatter with places in the file it was cut from.

    >>> parse_yaml("title: 007\\ntags: [No, 1.10]")
    {'title': '007', 'tags': ['No', '1.10']}
    """
    if (plain := _read_lines(text)) is not None:
        return plain
    return build_yaml(text, first_line, _Builder())


# Headers as programs write them, with each scalar on one line: libyaml and its events take four times as long for these.
# What could be read in another way, or is not certain to be good YAML, does not match; then libyaml reads all of the header.
_NOT = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff"
_KEY = "[A-Za-z_][A-Za-z0-9_-]{0,50}"
_SINGLE, _DOUBLE = rf"'(?:[^'{_NOT}]++|'')*+'", rf'"(?:[^"\\{_NOT}]++|\\(?:["\\nrt]|u[0-9A-C][0-9A-F]{{3}}))*+"'
_PLAIN = rf"""[^-?:,\[\]{{}}#&*!|>'"%@` {_NOT}](?:[^:#{_NOT}]++|:(?=[^ \n])|(?<! )#)*+"""
_SCALAR = f"(?:{_PLAIN}|{_SINGLE}|{_DOUBLE})"
_PAIR = f"{_KEY}: {_SCALAR}"
_ENTRY = re.compile(
    rf"({_KEY}):(?: ({_SCALAR}|\[\])"
    rf"|((?:\n- {_SCALAR})++|(?:\n  {_PAIR})++)(?!\n[ -])"
    rf"|((?:\n- {_PAIR}(?:\n  {_PAIR})*+)++)(?!\n[ -])|)(?:\n|\Z)"
)


def _read_lines(text: str) -> dict[str, Value] | None:
    """Return the mapping of a header of whole lines, as libyaml would; None for any other."""
    fields: dict[str, Value] = {}
    at = 0
    while match := _ENTRY.match(text, at):
        key, value, lines, records = match.groups()
        at = match.end()
        if key in fields or (records and key not in PRIVATE_KEYS):
            return None
        if value is not None and value != "[]":
            fields[key] = _scalar(value)
        elif key in PRIVATE_KEYS and (value or lines or records):
            continue
        elif lines is None:
            fields[key] = [] if value else ""
        elif lines.startswith("\n- "):
            fields[key] = [_scalar(item) for item in lines.split("\n- ")[1:]]
        else:
            pairs = [line.split(": ", 1) for line in lines.split("\n  ")[1:]]
            fields[key] = inner = {name: _scalar(written) for name, written in pairs}
            if len(inner) != len(pairs):
                return None
    return fields if fields and at == len(text) else None


def _scalar(written: str) -> Value:
    if written[0] == '"':
        return str(json.loads(written)) if "\\" in written else written[1:-1]
    return written[1:-1].replace("''", "'") if written[0] == "'" else written.rstrip(" ")


class _Builder(EventBuilder):
    """A stack of open collections. `key` waits for its value in `inner`; `skip` counts open collections of a private key."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[Any, str | None]] = []
        self.inner: Any = self.documents
        self.key: str | None = None
        self.skip = 0

    def scalar(self, event: Any) -> None:
        if self.skip:
            return
        if type(self.inner) is not dict or self.key is not None:
            self.put(event.value)
            return
        if event.value in self.inner:
            raise refused(event, "a key is repeated")
        if event.value == "<<" and event.implicit[0]:
            raise refused(event, "merge keys are not allowed")
        self.key = event.value

    def put(self, value: Value) -> None:
        if type(self.inner) is list:
            self.inner.append(value)
        else:
            self.inner[self.key] = value
            self.key = None

    def start(self, event: Any) -> None:
        if len(self.stack) + self.skip >= MAX_DEPTH:
            raise refused(event, f"nested deeper than {MAX_DEPTH} levels")
        if self.skip or (len(self.stack) == 1 and self.key in PRIVATE_KEYS):
            self.skip += 1
            return
        if type(self.inner) is dict and self.key is None:
            raise refused(event, "a key must be plain text")
        self.stack.append((self.inner, self.key))
        self.inner, self.key = ({} if type(event) is yaml.MappingStartEvent else []), None

    def end(self, event: Any) -> None:
        if self.skip:
            self.skip -= 1
            self.key = self.key if self.skip else None
            return
        value = self.inner
        self.inner, self.key = self.stack.pop()
        self.put(value)


# -- files of LCTT's own: header lines, a heading, a credit footer ---------

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


class LcttKind:
    """A file of the LCTT project: `[#]:` header lines, the title as a heading, and a footer with credits."""

    name = "lctt"
    expected = "LCTT's [#]: header lines"

    def recognizes(self, text: str) -> bool:
        """Return whether a file begins with header lines, or has both parts of the footer."""
        return text.startswith("[#]:") or (_VIA.search(text) is not None and _CREDITS["translator"].search(text) is not None)

    def read(self, text: str, path: str) -> Source:
        """Return the fields of the header, and those of the footer where the header leaves them empty."""
        header: dict[str, str] = {}
        lines = text.split("\n")
        count = 0
        while count < len(lines) and (match := _HEADER_LINE.match(lines[count])):
            value = match["value"].rstrip(" \t")
            quoted = len(value) >= 2 and value[0] + value[-1] in ('""', "()", "''")
            header[match["key"].lower()] = (value[1:-1] if quoted else value).strip()
            count += 1
        body = "\n".join(lines[count:]).lstrip("\n")
        footer = body[-3000:]
        fields: dict[str, Value] = {}
        for field, pattern in _CREDITS.items():
            names = _LINKED.findall(match["names"]) if (match := pattern.search(footer)) else []
            if signed := [name for name in names if name not in _UNSIGNED]:
                fields[field] = signed
        if match := _VIA.search(footer):
            fields["fromurl"] = match["url"]
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
        return Source(fields, body, self.name)


# -- the table of kinds ----------------------------------------------------

BUILT_IN: tuple[Kind, ...] = (YamlKind(), LcttKind())
GROUP = "feeds.kinds"
#: Names of the built-in forms in the table of kinds of stores; `header_forms.FORMS` has those of other generators.
_OWN: Mapping[str, Kind] = {"archive": BUILT_IN[0], "lctt": BUILT_IN[1]}
#: Forms of which the body may have credits, too.
_WITH_CREDITS = frozenset({"yaml", "toml", "json", "hexo-json", "bare", "pelican"})


@functools.cache
def select_forms(names: tuple[str, ...], installed: tuple[Plugin, ...] = ()) -> tuple[Kind, ...]:
    """Return the forms that `names` say, in order, and `installed` ones behind them: before `none`, which reads every file.

    >>> [form.name for form in select_forms(("toml", "none"))]
    ['toml', 'none']
    """
    known = [find_form(name) for name in names if name != "none"]
    others = [kind for kind in load_kinds(installed) if kind not in _OWN.values()]
    return (*known, *others, *(find_form(name) for name in names if name == "none"))


def find_form(name: str) -> Kind:
    """Return the form of a name in the table of kinds of stores. Raises KeyError."""
    if name in _OWN:
        return _OWN[name]
    from .headers.forms import FORMS  # with their patterns, which a process that parses an archive does without

    return FORMS[name]


@functools.cache
def load_kinds(installed: tuple[Plugin, ...]) -> tuple[Kind, ...]:
    """Return the table of kinds: the built-in ones, then `installed`. Raises StoreError that names a broken package."""
    kinds = list(BUILT_IN)
    for one in installed:
        try:
            found: Any = load_plugin(one)
            found = found() if isinstance(found, type) else found
            if not (isinstance(found.name, str) and callable(found.recognizes) and callable(found.read)):
                raise TypeError("it has not got the members name, recognizes and read")
        except Exception as error:
            raise StoreError(one.fault(error)) from None
        kinds.append(found)
    return tuple(kinds)
