"""Mark what was searched for in titles and texts, and cut the part of a text out that shows it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..store.search_words import Sought, fold, stem, written_parts

#: Characters of a snippet, and of those before what it shows.
LENGTH, BEFORE = 150, 40
#: Places in a body that are looked at.
_MAX_PLACES = 200

#: A piece of a text, and whether it is marked.
Piece = tuple[str, bool]


@dataclass(frozen=True)
class Highlighter:
    """Finds what was searched for in any text."""

    sought: Sequence[Sought]

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        alternatives: list[tuple[int, str]] = []
        for number, one in enumerate(self.sought):
            for text in written_parts(one):
                begins, ends = text[0].isascii() and text[0].isalnum(), text[-1].isascii() and text[-1].isalnum()
                if text.isascii() and text.isalpha() and len(stem(text)) > 3:
                    written = rf"(?<![a-z]){re.escape(stem(text)[:-1])}[a-z]*"
                else:
                    written = (r"(?<![a-z0-9])" if begins else "") + re.escape(text) + (r"(?![a-z])" if ends else "")
                alternatives.append((len(text), f"(?P<w{number}_{len(alternatives)}>{written})"))
        alternatives.sort(key=lambda pair: -pair[0])
        return re.compile("|".join(written for _length, written in alternatives)) if alternatives else None

    def places(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, number of the word of the search) of each place in a text."""
        if self._pattern is None:
            return
        folded = fold(text)
        at: Sequence[int] = range(len(text) + 1)
        if len(folded) != len(text):
            pieces = [fold(one) for one in text]
            folded = "".join(pieces)
            at = [index for index, piece in enumerate(pieces) for _one in piece] + [len(text)]
        for match in self._pattern.finditer(folded):
            if match.end() > match.start() and self._is_meant(match):
                yield at[match.start()], at[match.end() - 1] + 1, _number(match)

    def _is_meant(self, match: re.Match[str]) -> bool:
        """Return whether a word has one of the stems: the pattern knows how they begin only."""
        found = match[0]
        if not (found.isascii() and found.isalpha()) or len(found) < 4:
            return True
        return stem(found) in self.sought[_number(match)].words or found in self.sought[_number(match)].words

    def mark(self, text: str) -> list[Piece]:
        """Return a text in pieces."""
        pieces: list[Piece] = []
        done = 0
        for start, end, _number in self.places(text):
            if start >= done:
                pieces += [(text[done:start], False), (text[start:end], True)]
                done = end
        return [piece for piece in (*pieces, (text[done:], False)) if piece[0]]

    def marks_all(self, *texts: str) -> bool:
        """Return whether some texts have all that was searched for."""
        return len({number for text in texts for _start, _end, number in self.places(text)}) == len(self.sought)

    def snippet(self, text: str) -> list[Piece]:
        """Return the part of a text with most of what was searched for, in pieces; [] where it has none of it."""
        places = [place for _count, place in zip(range(_MAX_PLACES), self.places(text), strict=False)]
        if not places:
            return []
        best, most = places[0][0], 0
        for index, (start, _end, _number) in enumerate(places):
            met = {number for at, _to, number in places[index : index + 20] if at < start + LENGTH - BEFORE}
            if len(met) > most:
                best, most = start, len(met)
        begin = _boundary(text, max(0, best - BEFORE), best) if best > BEFORE else 0
        end = min(len(text), begin + LENGTH)
        pieces = self.mark(text[begin:end])
        return [*([("…", False)] if begin else []), *pieces, *([("…", False)] if end < len(text) else [])]


def _boundary(text: str, first: int, last: int) -> int:
    """Return where a snippet begins: behind a sign or a blank, if there is one."""
    for at in range(first, last):
        if text[at] in " ，。；：！？、,.;!?":
            return at + 1
    return first


def _number(match: re.Match[str]) -> int:
    return int(str(match.lastgroup).removeprefix("w").partition("_")[0])
