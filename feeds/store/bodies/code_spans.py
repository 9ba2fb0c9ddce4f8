"""Find the code in Markdown, and hide it from all that changes the rest. Pure, in time by the length of the text.

One scanner serves all dialects: fences, indented code and code spans, as CommonMark has them, also within quotes and lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(r"(`{3,})[^`\n]*$|(~{3,})")
_LIST = re.compile(r"(?:[*+-]|\d{1,9}[.)])(?:[ \t]+|$)")
#: Lines after which what is indented belongs to them: items of lists, footnotes, admonitions of Python-Markdown.
_HOLDS_INDENTED = re.compile(r"[ \t]{0,3}(?:(?:[*+-]|\d{1,9}[.)])(?:[ \t]|$)|!!!|\?\?\?|\[\^|:[ \t])")
_TICKS = re.compile("`+")
_QUOTE = re.compile(r"(?: {0,3}>[ \t]?)*")


def code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each piece of code, in order: whole lines of a block, or a span with its ticks.

    >>> text = "a `b` c"
    >>> [text[start:end] for start, end in code_spans(text)]
    ['`b`']
    """
    fence = ""
    indented = holds = False
    blank = True
    at = block = 0  # where the line and the paragraph begin
    for line in re.findall("[^\n]*\n|[^\n]+", text):
        inner = line[quote.end() :] if (quote := _QUOTE.match(line)) and ">" in line else line
        bare = inner.strip()
        end = at + len(line.removesuffix("\n"))
        if fence:
            yield at, end
            if closes(line, fence):
                fence, block = "", at + len(line)
        elif not bare:
            yield from _inline(text, block, at)
            block = at + len(line)
        elif not holds and (blank or indented) and inner.startswith(("    ", "\t")):
            yield from _inline(text, block, at)
            yield at, end
            indented, block = True, at + len(line)
        elif opened := opens(line):
            yield from _inline(text, block, at)
            yield at, end
            fence, block, indented = opened, at + len(line), False
        else:
            indented = False
            if not inner[0].isspace() or _HOLDS_INDENTED.match(inner):
                holds = _HOLDS_INDENTED.match(inner) is not None
        blank = not bare
        at += len(line)
    yield from _inline(text, block, at)


def opens(line: str) -> str:
    """Return the fence that a line opens, "" for none; it may stand in quotes and lists."""
    rest = line.lstrip(" \t>")
    for _level in range(8):
        if not (marker := _LIST.match(rest)):
            break
        rest = rest[marker.end() :].lstrip(" \t>")
    match = _FENCE.match(rest.rstrip())
    return (match[1] or match[2]) if match else ""


def closes(line: str, fence: str) -> bool:
    """Return whether a line closes a fence."""
    rest = line.strip(" \t>\r\n")
    return len(rest) >= len(fence) and rest == fence[0] * len(rest)


def _inline(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the code spans of a paragraph: from a run of ticks to the next one of the same length."""
    if text.find("`", start, end) < 0:
        return
    runs = [(match.start(), match.end()) for match in _TICKS.finditer(text, start, end)]
    later: dict[int, list[int]] = {}
    for number in range(len(runs) - 1, -1, -1):
        later.setdefault(runs[number][1] - runs[number][0], []).append(number)
    number = 0
    while number < len(runs):
        first, last = runs[number]
        if _escaped(text, first, start):
            first += 1
        same = later.get(last - first, [])
        while same and same[-1] <= number:
            same.pop()
        if last > first and same:
            number = same[-1]
            yield first, runs[number][1]
        number += 1


def _escaped(text: str, at: int, start: int) -> bool:
    slashes = at
    while slashes > start and text[slashes - 1] == "\\":
        slashes -= 1
    return (at - slashes) % 2 == 1


class Masked:
    """A text in which a mark stands for each line of code, so that nothing changes it by mistake.

    `text` may be changed at will; `mask` hides more, `restore` puts everything back.
    """

    def __init__(self, text: str) -> None:
        self._mark = next((mark for mark in map(chr, range(0xFDD0, 0xFDF0)) if mark not in text), "\ufdd0")
        self._hidden: list[str] = []
        self._pattern = re.compile(f"{self._mark}(\\d+){self._mark}")
        text = text.replace(self._mark, "")  # only where a text has all 32 noncharacters
        made, at = [], 0
        for start, end in code_spans(text):
            made += [text[at:start], self.mask(text[start:end])]
            at = end
        self.text = "".join((*made, text[at:]))

    def mask(self, code: str) -> str:
        """Return what stands for a piece of code; line ends stay, so that each line can get something before it."""
        marks = []
        for line in code.split("\n"):
            marks.append(f"{self._mark}{len(self._hidden)}{self._mark}" if line else "")
            if line:
                self._hidden.append(line)
        return "\n".join(marks)

    def restore(self, text: str) -> str:
        """Return a text with its code put back."""
        if self._mark not in text:
            return text
        restored = self._pattern.sub(lambda match: self.restore(self._hidden[int(match[1])]), text)
        return restored.replace(self._mark, "")  # half of one, in what was cut
