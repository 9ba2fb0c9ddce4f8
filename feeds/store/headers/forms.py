"""Read headers as the generators of sites do, each in its forms, which `FORMS` names for the table of kinds.

They take what generators take and the archive's own reader refuses: blank lines and a byte order mark before the header, `...`
that closes it, and what `header_languages` says. What is code is never run. A header that is never closed is no body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .credits import CreditsForm
from .languages import read_json, read_json_start, read_toml, read_yaml
from .source import PRIVATE_KEYS, BadFrontMatter, Kind, Source, Value, field_name, line_at

_BLANK_LINES = re.compile(r"(?:[ \t\ufeff]*\n)*\ufeff?")
_KEY_LINE = re.compile(r"""["']?[^\s:#"'\-\[{>|&*!%@`][^:\n]{0,60}[ \t]*:(?:[ \t]|$)""", re.MULTILINE)


def _start(text: str) -> int:
    """Return where the first line that is not blank begins."""
    found = _BLANK_LINES.match(text)
    return found.end() if found else 0


_LANGUAGES: Mapping[str, Any] = {"yaml": None, "yml": None, "toml": read_toml, "json": read_json}


_FENCE = re.compile(r"(-{3,})[ \t]*([A-Za-z]*)[ \t]*$", re.MULTILINE)
_FENCE_END = re.compile(r"^(?:-{3,}|\.{3})[ \t]*$", re.MULTILINE)
_SCRIPTS = frozenset("js javascript mjs cjs jsx ts typescript coffee coffeescript cson py python rb ruby php ejs".split())


class YamlForm:
    """YAML between two lines of three hyphens; `---toml` and `---json` say another language, as in gray-matter."""

    name = "yaml"
    expected = "a first line of three hyphens"

    def recognizes(self, text: str) -> bool:
        """Return whether the first line is a fence, and no thematic break before prose."""
        fence = _FENCE.match(text, _start(text))
        if fence is None:
            return False
        if fence[2]:
            return fence[2].lower() in _LANGUAGES or fence[2].lower() in _SCRIPTS
        at = fence.end() + 1
        if len(fence[1]) == 3 and text[at : at + 1] not in ("", "\n", " ", "\t"):
            return True
        at = _start_of_content(text, at)
        return _KEY_LINE.match(text, at) is not None or _FENCE_END.match(text, at) is not None or at >= len(text)

    def read(self, text: str, path: str) -> Source:
        """Return the header's mapping and the rest."""
        fence = _FENCE.match(text, _start(text))
        assert fence is not None
        first = line_at(text, fence.start())
        language = fence[2].lower()
        if language in _SCRIPTS:
            raise BadFrontMatter(first, 1, "the header is a script: it is never run")
        start = min(fence.end() + 1, len(text))
        end = _FENCE_END.search(text, start)
        if end is None:
            raise BadFrontMatter(first, 1, "the front matter is not closed by a line of three hyphens (half-written?)")
        header, body = text[start : end.start()], text[end.end() + 1 :]
        if language in ("", "yaml", "yml"):
            fields, notices, lines = read_yaml(header, first + 1)
            return Source(fields, body, self.name, notices, lines)
        fields, notices = _LANGUAGES[language](header, first + 1)
        return Source(fields, body, language, notices)


def _start_of_content(text: str, at: int) -> int:
    """Return where the first line at or after `at` begins that is neither blank nor a comment."""
    found = _BLANKS_AND_COMMENTS.match(text, at)
    return found.end() if found else at


_BLANKS_AND_COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*")

# -- TOML and JSON ------------------------------------------------------------

_PLUSES = re.compile(r"\+\+\+[ \t]*$", re.MULTILINE)
_PLUSES_END = re.compile(r"^\+\+\+[ \t]*$", re.MULTILINE)


class TomlForm:
    """TOML between two lines of three plus signs, as Hugo and Zola have it."""

    name = "toml"
    expected = "a first line of three plus signs"

    def recognizes(self, text: str) -> bool:
        """Return whether the first line is a fence."""
        return _PLUSES.match(text, _start(text)) is not None

    def read(self, text: str, path: str) -> Source:
        """Return the header's table and the rest."""
        begin = _start(text)
        first, start = line_at(text, begin), text.find("\n", begin) + 1 or len(text)
        end = _PLUSES_END.search(text, start)
        if end is None:
            raise BadFrontMatter(first, 1, "the front matter is not closed by a line of three plus signs (half-written?)")
        fields, notices = read_toml(text[start : end.start()], first + 1)
        return Source(fields, text[end.end() + 1 :], self.name, notices)


class JsonForm:
    """A JSON object at the start of the file, as Hugo has it: the body comes after its brace."""

    name = "json"
    expected = "a JSON object"
    _OPEN = re.compile(r'\{\s*(?:"|\}[ \t]*$)', re.MULTILINE)

    def recognizes(self, text: str) -> bool:
        """Return whether the file begins like an object with keys."""
        return self._OPEN.match(text, _start(text)) is not None

    def read(self, text: str, path: str) -> Source:
        """Return the object and the rest."""
        begin = _start(text)
        fields, end, notices = read_json_start(text[begin:], line_at(text, begin))
        return Source(fields, text[begin + end :].lstrip(" \t").removeprefix("\n"), self.name, notices)


class HexoJsonForm:
    """Hexo's JSON: members of an object without its braces, up to a line of three semicolons."""

    name = "hexo-json"
    expected = "JSON up to a line of three semicolons"
    _MEMBER = re.compile(r'"[^"\n]{1,200}"[ \t]*:[^\n]*')
    _END = re.compile(r"^;{3,}[ \t]*$", re.MULTILINE)

    def recognizes(self, text: str) -> bool:
        """Return whether the first line is a member, and the header is closed or goes on."""
        begin = _start(text)
        if self._END.match(text, begin):
            return True
        member = self._MEMBER.match(text, begin)
        return member is not None and (
            member[0].rstrip().endswith((",", "[", "{")) or self._END.search(text, begin) is not None
        )

    def read(self, text: str, path: str) -> Source:
        """Return the members and the rest."""
        begin = _start(text)
        if opened := self._END.match(text, begin):
            begin = min(opened.end() + 1, len(text))
        first = line_at(text, begin)
        end = self._END.search(text, begin)
        if end is None:
            raise BadFrontMatter(first, 1, "the header is not closed by a line of three semicolons (half-written?)")
        header = text[begin : end.start()].rstrip().removesuffix(",")
        try:
            fields, notices = read_json("{" + header + "}", first)
        except BadFrontMatter as error:
            column = error.column - 1 if error.line == first and error.column > 1 else error.column  # without our brace
            raise BadFrontMatter(error.line, column, error.reason) from None
        return Source(fields, text[end.end() + 1 :], self.name, notices)


# -- lines of keys without a fence ----------------------------------------------


class BareForm:
    """Hexo's YAML without an opening fence, up to a line of three hyphens; so do SwiftGG's files begin, a few behind a heading.

    Where it is no YAML it is read as lines (`title:x`), since nobody's generator has seen it.
    """

    name = "bare"
    expected = "`key: value` lines up to a line of three hyphens"
    _HEADING = re.compile(r"#[ \t][^\n]*\n(?:[ \t]*\n)*")
    _KEY = re.compile(r" {0,3}([A-Za-z_][\w-]{0,60})[ \t]*:")
    _END = re.compile(r"^ {0,3}(?:-[ \t]*){3,}$", re.MULTILINE)
    _PROSE = re.compile(r"""^(?![ \t#]|-[ \t]|$|["']?[\w.-]+["']?[ \t]*:(?:[ \t]|$)|[\]}])""", re.MULTILINE)
    _KNOWN = frozenset(
        "title date tags tag categories category layout permalink author authors updated description keywords comments toc "
        "published draft slug abbrlink excerpt cover top lang".split()
    )

    def _begin(self, text: str) -> int:
        """Return where the first key stands; behind a heading only one that every generator knows."""
        begin = _start(text)
        if (heading := self._HEADING.match(text, begin)) and (key := self._KEY.match(text, heading.end())):
            return heading.end() if key[1].lower() in ("title", "date", "layout") else begin
        return begin

    def recognizes(self, text: str) -> bool:
        """Return whether the file begins with a field that every generator knows, or with nothing but lines of fields."""
        begin = self._begin(text)
        if (key := self._KEY.match(text, begin)) is None:
            return False
        if key[1].lower() in self._KNOWN:
            return True
        end = self._END.search(text, begin)
        return end is not None and self._PROSE.search(text, begin, end.start()) is None

    def read(self, text: str, path: str) -> Source:
        """Return the mapping and the rest."""
        begin = self._begin(text)
        first, end = line_at(text, begin), self._END.search(text, begin)
        if end is None:
            raise BadFrontMatter(first, 1, "the header is not closed by a line of three hyphens (half-written?)")
        header, body = text[begin : end.start()], text[end.end() + 1 :]
        try:
            fields, notices, lines = read_yaml(header, first)
        except BadFrontMatter as error:
            if (read := _read_lines(header, first)) is None:
                raise
            fields, lines = read
            notices = (f"{error.reason} (line {error.line}): read as lines",)
        return Source(fields, body, self.name, notices, lines)


_PLAIN_LINE = re.compile(r"[ \t]{0,3}([\w.-]{1,100})[ \t]*:[ \t]*(.*)")
_LIST_LINE = re.compile(r"[ \t]*-[ \t]+(.*)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def _read_lines(header: str, first_line: int) -> tuple[dict[str, Value], dict[str, int]] | None:
    """Return `key: value` lines as fields, lists also as lines with a hyphen; None where there are other lines."""
    fields: dict[str, Value] = {}
    lines: dict[str, int] = {}
    items: list[Value] = []
    for number, line in enumerate(_CONTROL.sub("", header).split("\n"), first_line):
        if not line.strip() or line.startswith("#"):
            continue
        if found := _PLAIN_LINE.fullmatch(line):
            key, value = found[1], found[2].strip()
            if key.lower() in PRIVATE_KEYS:
                return None
            items = []
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            listed: Value = [part.strip() for part in re.split("[,，\\[\\]|]", value) if part.strip()]
            fields[key] = listed if value.startswith("[") else value[1:-1] if quoted else value
            lines[key] = number
        elif fields and (item := _LIST_LINE.fullmatch(line)):
            items.append(item[1].strip())
            fields[next(reversed(fields))] = items
        else:
            return None
    return fields, lines


class PelicanForm:
    """Pelican's `Key: value` lines up to a blank one, also after a line of three hyphens: lines, which are no YAML.

    Keys are in lower case. An indented line continues a value. A key that is repeated becomes a list, but for those of which
    Pelican takes the first.
    """

    name = "pelican"
    expected = "`Key: value` lines up to a blank line"
    _OPEN = re.compile(r"-{3}(?:\s.*)?$")
    _END = re.compile(r"(?:-{3}|\.{3})(?:\s.*)?$")
    _KEY = re.compile(r" {0,3}([A-Za-z0-9_-]{1,100}):\s*(.*)$")
    _MORE = re.compile(r"(?: {4,}|\t)\s*(.*)$")
    _FIRST = frozenset({"date", "modified", "status", "category", "author", "save_as", "url", "slug", "title", "lang"})
    _JOINED = frozenset({"tags", "authors", "keywords"})

    def recognizes(self, text: str) -> bool:
        """Return whether the first line is a field, or a fence before one."""
        begin = _start(text)
        first, _, rest = text[begin : begin + 400].partition("\n")
        return self._KEY.match(rest.partition("\n")[0] if self._OPEN.match(first) else first) is not None

    def read(self, text: str, path: str) -> Source:
        """Return the fields and the rest."""
        begin = _start(text)
        number = line_at(text, begin)
        rows = text[begin:].split("\n")
        at = 1 if self._OPEN.match(rows[0]) else 0
        values: dict[str, list[str]] = {}
        lines: dict[str, int] = {}
        key = ""
        while at < len(rows):
            if not rows[at].strip() or self._END.match(rows[at]):
                at += 1
                break
            if found := self._KEY.match(rows[at]):
                key = found[1].lower()
                values.setdefault(key, []).append(found[2].strip())
                lines.setdefault(key, number + at)
            elif key and (more := self._MORE.match(rows[at])):
                values[key].append(more[1].strip())
            else:
                break
            at += 1
        told: list[str] = []
        fields = {key: self._value(key, given, told) for key, given in values.items() if key not in PRIVATE_KEYS}
        return Source(fields, "\n".join(rows[at:]), self.name, tuple(told), lines)

    def _value(self, key: str, given: list[str], told: list[str]) -> Value:
        if len(given) == 1:
            return given[0]
        if key in self._FIRST:
            told.append(f"{field_name(key)} is repeated: the first one counts")
            return given[0]
        if key in self._JOINED:
            return ("; " if any(";" in one for one in given) else ", ").join(one.strip(" ,;") for one in given)
        return "\n".join(given) if key == "summary" else list(given)


class NoForm:
    """A file without a header: its whole text is the body. A header of a form that is not among those tried is no body."""

    name = "none"
    expected = "no header"

    def recognizes(self, text: str) -> bool:
        """Every file is one."""
        return True

    def read(self, text: str, path: str) -> Source:
        """Return the text. Raises BadFrontMatter for a header in another form."""
        for form in (YamlForm(), TomlForm(), JsonForm()):
            if form.recognizes(text):
                raise BadFrontMatter(
                    line_at(text, _start(text)), 1, f"{form.expected} begins a header that this kind does not read"
                )
        return Source({}, text.lstrip("\ufeff"), self.name)


#: Of a row in the table of kinds of stores: a name -> its form (`frontmatter.find_form`, which knows the archive's, too).
FORMS: Mapping[str, Kind] = {
    form.name: form
    for form in (YamlForm(), TomlForm(), JsonForm(), HexoJsonForm(), BareForm(), PelicanForm(), CreditsForm(), NoForm())
}
