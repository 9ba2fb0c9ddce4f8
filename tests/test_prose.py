"""Docstrings, comments, documentation and templates are written in plain modern English: some turns are banned."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Turns that hide who does what. What stands between backticks or in a template's own code is not prose.
BANNED = re.compile(r"(?i:\b(amid|anew|whoever|for who|told of|bargain|no more than that)\b|\bLaws?:)|(?<!there )\bis none\b")
#: The help of a metric is read by monitors: it is part of the contract.
KEPT = {
    "feeds/web/views/monitoring.py": "Readers that an aggregator told of",
    "docs/reference/metrics.md": "an aggregator told of",
}
PROSE = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").glob("*.yaml"), ROOT / "Makefile"])
CODE = sorted(
    path
    for folder in ("feeds", "tools", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
)
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*") if path.is_file())


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each comment and string of a module, of each comment of a template, of a whole page."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in kinds:
                yield token.start[0], token.string
    elif path in TEMPLATES:
        for found in re.finditer(r"\{#.*?#\}|<!--.*?-->", text, re.DOTALL):
            yield text.count("\n", 0, found.start()) + 1, found.group()
    else:
        yield 1, text


@pytest.mark.parametrize("path", [*PROSE, *CODE, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_turn_stands_in_it(path: Path) -> None:
    for first, text in texts_of(path):
        text = text.replace(KEPT.get(str(path.relative_to(ROOT)), "\0"), "")
        for number, line in enumerate(re.sub(r"`[^`\n]*`", "``", text).splitlines(), first):
            assert not (found := BANNED.search(line)), (
                f"{path.relative_to(ROOT)}:{number}: {found.group()!r} in {line.strip()!r}"
            )


def test_the_ban_list_finds_what_it_is_for() -> None:
    assert BANNED.search("The index is made anew.") and BANNED.search("Law: sums only.") and not BANNED.search("lawyers")
