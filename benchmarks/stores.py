"""Stores of any size, made of real articles: copies with other ids, years and file names.

The corpus (a folder `content/YYYY/MM/ID.md`) is taken from FEEDS_CORPUS or from beside the checkout; without one the demo
articles stand in, and the figures say so.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_DEMO = ROOT / "demo" / "articles"
_ID = re.compile(r"^id: (\d+)$", re.MULTILINE)
_COMMENTS = re.compile(r"^comments_data:\n(?:[ -].*\n)+", re.MULTILINE)


def corpus() -> Path:
    named = os.environ.get("FEEDS_CORPUS")
    beside = ROOT.parent / "shared" / "corpus" / "content"
    if named:
        return Path(named)
    return beside if beside.is_dir() else _DEMO


def is_demo() -> bool:
    return corpus() == _DEMO


def build(folder: Path, articles: int, *, body: int | None = None) -> Path:
    """A store of exactly `articles` files in `folder`; kept from one run to the next.

    `body` cuts bodies to so many characters and leaves comments out: for stores whose number of files matters, not their size.
    """
    done = folder.with_name(folder.name + ".complete")
    made_of = f"{articles} {body} {corpus()}"
    if done.exists() and done.read_text() == made_of:
        return folder
    done.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    sources = [(path, text) for path, text in _texts() if _ID.search(text)]
    for index in range(articles):
        copy, which = divmod(index, len(sources))
        path, text = sources[which]
        _write(folder, path, text if body is None else _short(text, body), copy, index)
    done.write_text(made_of)
    return folder


def of_corpus(times: int) -> int:
    """How many articles the corpus has, so many times over."""
    return times * sum(1 for _path, text in _texts() if _ID.search(text))


def _texts() -> list[tuple[Path, str]]:
    return [(path, path.read_text("utf-8")) for path in sorted(corpus().rglob("*.md"))]


def _short(text: str, body: int) -> str:
    head, fence, rest = text.partition("\n---\n")
    return _COMMENTS.sub("", head + "\n") + fence.lstrip("\n") + rest[:body]


def _write(folder: Path, source: Path, text: str, copy: int, index: int) -> None:
    found = _ID.search(text)
    assert found is not None
    old = found[1]
    new = str(100_000 + index)
    text = text.replace(f"\nid: {old}\n", f"\nid: {new}\n", 1).replace(f"article-{old}-1", f"article-{new}-1")
    years = copy % 12
    text = re.sub(r"^(date|updated): '(\d{4})", lambda m: f"{m[1]}: '{int(m[2]) - years}", text, flags=re.MULTILINE)
    year, month = source.parts[-3:-1]
    target = folder / str(int(year) - years if year.isdigit() else year) / month / f"{new}.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")


def retitle(path: Path, title: str) -> None:
    """Save an article with another title: in one step, as an editor does."""
    text = re.sub(r"^title: .*(?:\n .*)*$", f"title: '{title}'", path.read_text("utf-8"), count=1, flags=re.MULTILINE)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    beside.replace(path)
