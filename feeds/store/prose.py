"""Find what the text itself says beside the header: a title in its first heading, the end of its summary, tags.

Code is left out. Pure; the time grows with the length of the text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#(?:[ \t]+|$)")
_SOME_HEADING = re.compile(r"^ {0,3}(?:#(?:[ \t]|$)|=+[ \t]*$)", re.MULTILINE)
_RULED = re.compile(r" {0,3}=+[ \t]*$")
_NO_PARAGRAPH = re.compile(r"\s*$|\s*(?:[#>|<]|[-*+][ \t]|\d{1,9}[.)][ \t]|:::| {4}|\t)")
#: Lines before a title that say nothing of their own: imports, comments, pictures, containers, tags of HTML.
_QUIET = re.compile(r"\s*(?:import\b|export\b|<|\{|!\[|\[!\[|\[\[?toc\]|:::|%%|[-*_ ]{3,}$|$)", re.IGNORECASE)
_MARKER = re.compile(
    r"<!--[ \t]*(?:more|truncate|excerpt|endexcerpt|end[ _-]excerpt)\b[ \t]*-->|\{/\*[ \t]*(?:more|truncate)[ \t]*\*/\}"
    r"|<a id=\"more\"></a>",
    re.IGNORECASE,
)
_HASHTAG = re.compile(r"(?:^|(?<=[\s(（,，。;；、]))#([\w/-]{1,100})(?![\w/-])", re.MULTILINE)
_INLINE_CODE = re.compile(r"(?<!`)(`{1,3})(?!`)[^`\n]+\1(?!`)")
MAX_TAGS = 1000


def lines_outside_code(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines of a text that are in no fenced code, each with its place in the text and without its end."""
    at, fence = 0, ""
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end]
        match = _FENCE.match(line)
        if fence:
            if match and match[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif match and not (match[1][0] == "`" and "`" in line[match.end() :]):
            fence = match[1]
        else:
            yield at, line
        at = end + 1


def take_heading(text: str, *, at_once: bool = False) -> tuple[str, str]:
    """Return the first heading of level one, as it is written, and the text without it; ("", text) without one.

    It stays in the text where something stands before it; `at_once` says that such a one does not count.

    >>> take_heading("import Box from 'box'\\n\\n# Title {#id}\\n\\nText")
    ('Title', "import Box from 'box'\\n\\n\\nText")
    """
    if not _SOME_HEADING.search(text):
        return "", text
    quiet, last_at, last, due = True, 0, "", 0
    for at, line in lines_outside_code(text):
        quiet = quiet and at == due  # else there is code between
        due = at + len(line) + 1
        if _ATX.match(line):
            start, title = at, re.sub(r"[ \t]+#+$", "", line.strip()).lstrip("#").strip()
        elif last and last_at + len(last) + 1 == at and _RULED.match(line) and not _NO_PARAGRAPH.match(last):
            start, title = last_at, last.strip()
        else:
            quiet = quiet and (not last or _QUIET.match(last) is not None)
            if at_once and not quiet:
                break
            last_at, last = at, line
            continue
        title = re.sub(r"[ \t]*\{[#:.][^{}]*\}$", "", title)
        quiet = quiet and (start == last_at or _QUIET.match(last) is not None)
        return title, text[:start] + text[at + len(line) + 1 :] if quiet else text
    return "", text


def before_marker(text: str, separator: str = "") -> str:
    """Return the text before the mark that ends its summary (`<!-- more -->` and the like, or `separator`); "" for none."""
    mark = text.find(separator) if separator else -1
    if mark > 0:
        return text[:mark]
    if not _MARKER.search(text):
        return ""
    for at, line in lines_outside_code(text):
        if match := _MARKER.search(_INLINE_CODE.sub(lambda code: " " * len(code[0]), line)):
            return text[: at + match.start()]
    return ""


def hashtags(text: str) -> list[str]:
    """Return the tags in a text as Obsidian writes them, but none in code and comments.

    >>> hashtags("Sow early. #beans `#no` (#garden/spring) #12 %% #hidden %%")
    ['beans', 'garden/spring']
    """
    if not _HASHTAG.search(text):
        return []
    prose = "\n".join(line for _, line in lines_outside_code(text))
    seen = "".join(_INLINE_CODE.sub(" ", prose).split("%%")[::2])
    found = (match[1].strip("/") for match in itertools.islice(_HASHTAG.finditer(seen), MAX_TAGS))
    return [tag for tag in found if tag and not tag.isdigit()]
