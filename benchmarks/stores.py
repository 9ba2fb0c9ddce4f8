"""Stores of any size with the real archive's shape (`shape.py`), made of the texts of real articles.

The corpus (a folder `content/YYYY/MM/ID.md`) is taken from FEEDS_CORPUS or from beside the checkout; without one the demo
articles stand in, and the figures say so. `python -m benchmarks.stores FOLDER ARTICLES` writes a store to look at.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import comrak

from . import shape

ROOT = Path(__file__).resolve().parents[1]
_DEMO = ROOT / "demo" / "articles"
#: Characters of a body that is cut.
SHORT = 600
#: What the service's own rendering adds to a body, such as `rel` of links.
_ADDED = 1.04
#: Articles are numbered from here in the order of their dates.
FIRST_ID = 100_000
_NAME = re.compile(r"\n(\w+):")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:.*$", re.MULTILINE)
_NOBODY = "''"


def corpus() -> Path:
    named = os.environ.get("FEEDS_CORPUS")
    beside = ROOT.parent / "shared" / "corpus" / "content"
    if named:
        return Path(named)
    return beside if beside.is_dir() else _DEMO


def is_demo() -> bool:
    return corpus() == _DEMO


def build(folder: Path, articles: int, *, short: bool = False) -> Path:
    """A store of exactly `articles` files in `folder`; kept from one run to the next.

    `short`: bodies are cut and comments left out, for measures to which the number of files matters and not their size.
    """
    wanted = f"{articles} {short} {corpus()} {_code()}"
    if made_of(folder) == wanted:
        return folder
    _mark(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in written(articles, short=short):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    _mark(folder).write_text(wanted)
    return folder


def made_of(folder: Path) -> str:
    """What a store that is complete was made of; empty for any other folder."""
    done = _mark(folder)
    return done.read_text() if done.exists() else ""


def _mark(folder: Path) -> Path:
    return folder.with_name(folder.name + ".complete")


def written(articles: int, *, short: bool = False) -> Iterator[tuple[str, str]]:
    """(path, text) of each article, oldest first. The texts are shared out by size: most bodies are nearly whole ones."""
    texts, outlines = _texts(corpus()), shape.outlines(articles)
    by_size = sorted(range(articles), key=lambda number: outlines[number].size)
    ranks = {number: rank * len(texts) // articles for rank, number in enumerate(by_size)}
    for number, outline in enumerate(outlines):
        text, id = texts[ranks[number]], str(FIRST_ID + number)
        fields = {**text.fields, **_fields(outline, id)}
        if short:
            rest, fields["comments_data"] = text.body[:SHORT], " []\n"
        else:
            rest = _joined(outline.size, itertools.chain(texts[ranks[number] :], texts))
        head = "".join(f"{name}:{value}" for name, value in fields.items())
        rest = rest.replace(f"article-{text.id}-1", f"article-{id}-1")
        yield f"{outline.when:%Y/%m}/{id}.md", f"---\n{head}---\n\n{rest}\n"


def _fields(outline: shape.Outline, id: str) -> dict[str, str]:
    """What an outline decides of a header; people of one role stand in one text, as in the archive."""
    tags = "".join(f"\n- {name}" for name in outline.terms["tag"]) or " []"
    people = {facet: f" {', '.join(names) or _NOBODY}\n" for facet, names in outline.terms.items() if facet != "tag"}
    date = f" '{outline.when:%Y-%m-%d %H:%M:%S}'\n"
    return people | {
        "id": f" {id}\n",
        "permalink": f" /article-{id}-1.html\n",
        "tags": tags + "\n",
        "date": date,
        "updated": date,
    }


# -- texts -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """An article of the corpus, taken apart. `size`: bytes of its body as HTML.

    `fields`: what stands in the header behind each name and its colon. `blocks`: paragraphs, lists and fenced code, with the
    bytes that each has as HTML, more or less. `definitions`: where the links that are named in the text lead.
    """

    id: str
    fields: Mapping[str, str]
    body: str
    size: int
    blocks: Sequence[tuple[str, float]]
    definitions: str


@functools.cache
def _texts(corpus: Path) -> list[Text]:
    """By size, the smallest first."""
    found = []
    for path in sorted(corpus.rglob("*.md")):
        head, fence, body = path.read_text("utf-8").partition("\n---\n")
        parts = _NAME.split("\n" + head)  # what stands before the first name, then each name and what follows it
        fields = {name: value + "\n" for name, value in zip(parts[1::2], parts[2::2], strict=True)}
        id = fields.get("id", "").strip()
        if fence and id.isdigit():
            found.append(_text(id, fields, body.strip()))
    return sorted(found, key=lambda text: (text.size, text.id))


def _text(id: str, fields: Mapping[str, str], body: str) -> Text:
    size = round(_ADDED * len(comrak.render_markdown(body).encode()))
    definitions = "\n".join(_DEFINITION.findall(body))
    blocks = _blocks(_DEFINITION.sub("", body))
    bytes = [len(block.encode()) for block in blocks]
    return Text(
        id,
        fields,
        body,
        size,
        [(block, size * one / sum(bytes)) for block, one in zip(blocks, bytes, strict=True)],
        definitions,
    )


def _blocks(body: str) -> list[str]:
    """What blank lines part, unless they stand in fenced code."""
    found: list[str] = []
    fenced = False
    for piece in body.split("\n\n"):
        if fenced:
            found[-1] += "\n\n" + piece
        elif piece.strip():
            found.append(piece)
        fenced ^= len(_FENCE.findall(piece)) % 2 == 1
    return found


def _joined(size: int, texts: Iterator[Text]) -> str:
    """The blocks of a text, and of those behind it, as long as they come nearer to so many bytes as HTML."""
    taken, have, definitions = [], 0.0, ""
    for text in texts:
        for block, bytes in text.blocks:
            if have + bytes / 2 <= size:
                taken.append(block)
                have += bytes
        definitions = definitions or text.definitions
        if have > 0.97 * size:
            break
    return "\n\n".join([*taken, definitions])


def retitle(path: Path, title: str) -> None:
    """Save an article with another title: in one step, as an editor does."""
    text = re.sub(r"^title: .*(?:\n .*)*$", f"title: '{title}'", path.read_text("utf-8"), count=1, flags=re.MULTILINE)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    beside.replace(path)


def _code() -> str:
    """Of what decides the texts of a store."""
    paths = [Path(__file__), Path(shape.__file__), shape.SOURCE]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
