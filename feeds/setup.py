"""A new site: configuration, templates and demo articles, copied; nothing that exists is overwritten."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from . import share
from .errors import FeedsError


def make_site(folder: Path, *, store: str | None, title: str | None, base_url: str | None) -> Iterator[str]:
    """Yields a line for each thing done and, at the end, what to do next. Raises FeedsError."""
    if folder.exists() and not folder.is_dir():
        raise FeedsError(f"{folder} is not a folder")
    (folder / "config").mkdir(parents=True, exist_ok=True)
    chosen = {"store": store and str(Path(store).expanduser().absolute()), "title": title, "base_url": base_url}
    for source in sorted(share.default_config().glob("*.yaml")):
        yield _write(folder / "config" / source.name, with_settings(source.read_text("utf-8"), chosen))
    yield _copy(share.templates(), folder / "templates")
    if store is None:
        yield _copy(share.demo() / "articles", folder / "demo" / "articles")
    yield f"next: feeds serve --config {folder / 'config'}"


def with_settings(text: str, chosen: dict[str, str | None]) -> str:
    """The default file with some values set; comments and order stay."""
    for name, value in chosen.items():
        if value:
            # A JSON string is a YAML string; the function keeps backslashes as they are.
            line = f"{name}: {json.dumps(value, ensure_ascii=False)}"
            text = re.sub(rf"^{name}: [^#\n]*?(?=[ ]+#|$)", _constant(line), text, count=1, flags=re.MULTILINE)
    return text


def _constant(line: str) -> Callable[[re.Match[str]], str]:
    return lambda _match: line


def _write(path: Path, text: str) -> str:
    if path.exists():
        return f"kept    {path}"
    path.write_text(text, "utf-8")
    return f"wrote   {path}"


def _copy(source: Path, target: Path) -> str:
    if target.exists():
        return f"kept    {target}"
    shutil.copytree(source, target)
    return f"wrote   {target}/"
