"""Prepare what CommonMark does not know: footnotes as people write them, abbreviations, formulas, drawings. Pure.

Code stays as it is. What is hidden from the Markdown parser comes back in `Prepared.restore`.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import html_blocks
from .code_spans import Masked, code_spans

_LABEL = r"[^\[\]\^\s][^\[\]\n]{0,79}"
_NOTE = re.compile(rf"\[\^({_LABEL})\]")
_DEFINITION = re.compile(
    rf"^(?P<lead>[ \t>]{{0,12}})(?:[-*+][ \t]+)?\[\^(?P<label>{_LABEL})\](?P<colon>[:：]?)(?P<rest>[^\n]*)$", re.MULTILINE
)
_ESCAPED = re.compile(rf"\\\[\\?\^({_LABEL}?)\\\]|\[\\\^({_LABEL})\]")
_ABBREVIATION = re.compile(r"^ {0,3}\*\[([^\[\]\n]{1,60})\]:[ \t]*([^\n]{1,300})$\n?", re.MULTILINE)
_FORMULA = re.compile(r"(?<![\\$\w])(\$\$?)(?=[^\s$])([^$\n]{1,500}?)(?<=[^\s\\])\1(?![\w$])")
#: What no sum of money and no variable of a shell has.
_TEX = re.compile(r"\\[A-Za-z]|[_^]\{|[A-Za-z0-9)][_^][A-Za-z0-9\\]|\\[{}|,;]")
_PUNCTUATION = re.compile(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]")
_FOREIGN = re.compile(r"<(/?)(svg|math)(?=[\s/>])", re.IGNORECASE)
#: Stand in the text for what is hidden, and around notes that nothing refers to; nobody writes noncharacters.
STASH, NOTES = "\ufdd1", "\ufdd2"
MAX_ABBREVIATIONS = 200
_MAX_FORMULA = 200_000


@dataclass(slots=True)
class Prepared:
    """A body for the Markdown parser. `unused`: labels of footnotes that nothing refers to, which it would leave out;
    `has_notes`: it defines some."""

    text: str
    unused: tuple[str, ...] = ()
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    stash: list[str] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    has_notes: bool = False

    def with_notes(self, *, first: bool = False) -> str:
        """Return the text with a paragraph at its end, or its beginning, that refers to all unused footnotes."""
        if not self.unused:
            return self.text
        notes = NOTES + "".join(f"[^{label}]" for label in self.unused) + NOTES
        return f"{notes}\n\n{self.text}" if first else f"{self.text}\n\n{notes}"

    def restore(self, raw: str) -> str:
        """Return HTML with what was hidden put back."""
        if STASH not in raw:
            return raw
        return re.sub(f"{STASH}(\\d+){STASH}", lambda match: self.stash[int(match[1])], raw)


def prepare(body: str, *, is_html: bool = False) -> Prepared:
    """Return a body whose footnotes are all referred to, and in which formulas and drawings are hidden."""
    lowered = body.lower() if "<" in body else ""
    foreign = "<svg" in lowered or "<math" in lowered
    notes = not is_html and ("[^" in body or "\\^" in body)
    abbreviations = not is_html and "*[" in body and "]:" in body
    formulas = not is_html and "$" in body and any(_TEX.search(match[2]) for match in _FORMULA.finditer(body))
    # Nearly all texts have nothing to mend, and to find their code would take as long as to make HTML of them.
    differs = not is_html and html_blocks.mend_markdown(body, Counter()) != body
    if not (foreign or notes or abbreviations or formulas or differs):
        return Prepared(body)
    prepared = Prepared(body)
    if is_html:
        prepared.text = _hide_foreign(body, prepared)
        return prepared
    body = body.replace(STASH, "").replace(NOTES, "")
    masked = Masked(_hide_foreign(body, prepared, list(code_spans(body))) if foreign else body)
    if differs:
        masked.text = html_blocks.mend_markdown(masked.text, prepared.changes)
    if abbreviations:
        masked.text, prepared.abbreviations = _take_abbreviations(masked.text)
    if formulas:
        masked.text = _FORMULA.sub(_keep_formula, masked.text)
    if notes:
        masked.text, prepared.unused, prepared.has_notes = _join_notes(masked.text)
    prepared.text = masked.restore(masked.text)
    return prepared


def _hide_foreign(text: str, prepared: Prepared, code: Sequence[tuple[int, int]] = ()) -> str:
    """Take drawings out, and hide MathML, in which neither Markdown nor blank lines mean anything. `code`: where code is."""
    starts = [start for start, _end in code]
    parts, at, begin, depth, name = [], 0, 0, 0, ""
    for match in _FOREIGN.finditer(text):
        found = match[2].lower()
        place = bisect.bisect_right(starts, match.start()) - 1
        if depth == 0 and place >= 0 and match.start() < code[place][1]:
            continue
        if depth == 0 and not match[1] and f"</{found}" in text[match.end() :][:_MAX_FORMULA].lower():
            name, begin, depth = found, match.start(), 1
        elif depth and found == name:
            depth += -1 if match[1] else 1
            if depth == 0:
                end = text.find(">", match.end()) + 1 or len(text)
                parts.append(text[at:begin])
                if name == "math":
                    parts.append(f"{STASH}{len(prepared.stash)}{STASH}")
                    prepared.stash.append(" ".join(text[begin:end].split()))
                else:
                    prepared.changes["<svg>: left out"] += 1
                at = end
    return "".join((*parts, text[at:]))


def _take_abbreviations(text: str) -> tuple[str, dict[str, str]]:
    """Return a text without the definitions of abbreviations (`*[HTML]: Hypertext Markup Language`), and these."""
    found: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        if len(found) < MAX_ABBREVIATIONS:
            found.setdefault(match[1].strip(), match[2].strip())
            return ""
        return match[0]

    text = _ABBREVIATION.sub(take, text)
    return text, {short: long for short, long in found.items() if short and long}


def _keep_formula(match: re.Match[str]) -> str:
    """Return TeX between dollars so that Markdown leaves every sign of it as it is."""
    if not _TEX.search(match[2]) or "](" in match[2]:
        return match[0]
    return _PUNCTUATION.sub(r"\\\g<0>", match[0])


def _join_notes(text: str) -> tuple[str, tuple[str, ...], bool]:
    """Return a text whose definitions of footnotes are as Markdown has them; labels that nothing refers to; are there any."""
    text = _ESCAPED.sub(lambda match: f"[^{match[1] or match[2]}]", text)
    counts = Counter(label.casefold() for label in _NOTE.findall(text))
    defined = {match["label"].casefold() for match in _DEFINITION.finditer(text) if match["colon"]}
    spare: dict[str, int] = {}  # label -> where the last line begins with it, which would do as a definition
    for match in _DEFINITION.finditer(text):
        label = match["label"].casefold()
        if not match["colon"] and label not in defined and counts[label] > 1 and match["rest"].strip():
            spare[label] = match.start()

    def define(match: re.Match[str]) -> str:
        label = match["label"].casefold()
        if not match["colon"] and spare.get(label) != match.start():
            return match[0]
        lead = match["lead"] if match["lead"].strip() or len(match["lead"].expandtabs(4)) < 4 else ""
        return f"{lead}[^{match['label']}]: {match['rest'].strip()}"

    text = _tell_apart(_DEFINITION.sub(define, text))
    made = {match["label"].casefold(): match["label"] for match in _DEFINITION.finditer(text) if match["colon"]}
    used = Counter(label.casefold() for label in _NOTE.findall(text))
    return text, tuple(label for folded, label in made.items() if used[folded] < 2), bool(made)


def _tell_apart(text: str) -> str:
    """Return a text in which no label is defined twice: each chapter of some articles counts its footnotes from 1."""
    starts = {match.start("label"): match["label"].casefold() for match in _DEFINITION.finditer(text) if match["colon"]}
    total = Counter(starts.values())
    if not any(number > 1 for number in total.values()):
        return text
    seen: Counter[str] = Counter()

    def number(match: re.Match[str]) -> str:
        label = match[1].casefold()
        if total[label] < 2:
            return match[0]
        if match.start(1) in starts:
            seen[label] += 1
            place = seen[label]
        else:
            place = min(seen[label] + 1, total[label])
        return match[0] if place == 1 else f"[^{match[1]}--{place}]"

    return _NOTE.sub(number, text)
