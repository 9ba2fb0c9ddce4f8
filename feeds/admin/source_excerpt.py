"""Excerpts of quarantined files: the lines around a fault, without the comments of readers. Pure apart from reading the file.

A quarantined file is damaged, so the end of its comments is uncertain. Every line is hidden from the first sign of comments to
the one place where the archive's files go on behind them; where that is missing too, all the rest is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Lines shown before and behind the one that is named; how much of a line; how much of a file is read.
AROUND, WIDTH, MAX_BYTES = 3, 200, 1024 * 1024
#: Any of these says that the file has, or had, comments of the archive's kind.
_MARKS = re.compile(r"comments_data|postip|islctt|commentnum|largepic")
_BEGIN = re.compile(r"comments_data\s*:\s*")
_NO_COMMENTS = re.compile(r"comments_data\s*:\s*(\[\s*\]|\{\s*\}|''|\"\"|null|~)\s*")
_COMMENTS = re.compile(
    r"[\s\-'\"{\[,]*(?:comments_data|postip|username|message)\b|.*\b(?:comments_data|postip)\b", re.IGNORECASE
)
_BEHIND = re.compile(r"count\s*:\s*(\{[\w\s:,]*\})?\s*")
_FENCE = re.compile(r"---[ \t]*|\[#\]:.*")
_ITEM = re.compile(r"\s*- ")
_KEY = re.compile(r"(?P<key>[A-Za-z_]\w*)\s*:(?:\s|$)")
#: Keys whose values may be lists; items under any other key may be comments that have lost theirs.
_LISTS = frozenset(
    {"tags", "tag", "categories", "category", "authors", "author", "translator", "related", "aliases", "keywords"}
)


@dataclass(frozen=True, slots=True)
class Line:
    """`text` is None where the line may hold a comment; `cut` where there is more of it."""

    number: int
    text: str | None
    cut: bool = False


def read_excerpt(store: Path, path: str, line: int) -> Sequence[Line]:
    """Return the lines around number `line` of a file. Empty without a line, or where no such file is below the store."""
    if line < 1:
        return ()
    try:
        file = (store / path).resolve()
        if not file.is_relative_to(store.resolve()) or not file.is_file():
            return ()
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ()
    return excerpt(text, line)


def excerpt(text: str, line: int) -> Sequence[Line]:
    """Return the lines of `text` around number `line`, counted from 1."""
    rows = re.split(r"\r\n|\n|\r", text)
    first, last = max(1, line - AROUND), min(len(rows), line + AROUND)
    shown = list(_hide_comments(rows[:last], marked=bool(_MARKS.search(text))))
    return [
        Line(number, row[:WIDTH], cut=True) if row is not None and len(row) > WIDTH else Line(number, row)
        for number, row in enumerate(shown[first - 1 :], first)
    ]


def _hide_comments(rows: Sequence[str], *, marked: bool) -> Iterator[str | None]:
    """Yield each line, or None in its place. `marked`: the file is of the archive's kind; its beginning must look so, too."""
    begin = next((number for number, row in enumerate(rows) if row.strip()), 0)
    hidden, key, fences = False, "", 0
    for number, row in enumerate(rows):
        if number == begin:
            hidden = marked and not _FENCE.fullmatch(row)
        fences += bool(_FENCE.fullmatch(row))
        hidden = not _BEHIND.fullmatch(row) and (hidden or _may_be_comment(row, key, header=marked and fences < 2))
        yield None if hidden else row
        hidden = hidden or bool(_BEGIN.fullmatch(row))
        if found := _KEY.match(row):
            key = found["key"]


def _may_be_comment(row: str, key: str, *, header: bool) -> bool:
    if _BEGIN.fullmatch(row) or _NO_COMMENTS.fullmatch(row):
        return False
    return bool(_COMMENTS.match(row)) or (header and bool(_ITEM.match(row)) and key not in _LISTS)
