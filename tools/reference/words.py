"""Words found in the code, and tables made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Unexplained(Exception):
    """Something that users meet has no words."""


def explained(what: str, words: str | None) -> str:
    if not words or not words.strip():
        raise Unexplained(f"{what} has no words")
    return words.strip()


def sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    line = " ".join(text.strip().partition("\n\n")[0].split())
    return line.partition(". ")[0].rstrip(".") + "."


def code(text: str) -> str:
    return f"`{text}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
