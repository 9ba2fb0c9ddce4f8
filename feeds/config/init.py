"""A new site: configuration, templates and demo articles, copied; nothing that exists is overwritten."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .. import resources
from ..errors import FeedsError

#: File of config/ -> settings at its top level -> values.
Chosen = Mapping[str, Mapping[str, str | bool]]


def make_site(folder: Path, chosen: Chosen, *, demo: bool, templates: bool) -> Iterator[str]:
    """Yields a line for each thing done. Raises FeedsError."""
    if folder.exists() and not folder.is_dir():
        raise FeedsError(f"{folder} is not a folder")
    (folder / "config").mkdir(parents=True, exist_ok=True)
    for source in sorted(resources.default_config().glob("*.yaml")):
        text = with_settings(source.read_text("utf-8"), chosen.get(source.name, {}))
        yield _write(folder / "config" / source.name, text)
    if templates:
        yield _copy(resources.templates(), folder / "templates")
    if demo:
        yield _copy(resources.demo() / "articles", folder / "demo" / "articles")


def with_settings(text: str, chosen: Mapping[str, str | bool]) -> str:
    """The default file with some values set; comments stay, where they can in their column, and so does the order."""
    for name, value in chosen.items():
        # What JSON writes is YAML; the function keeps backslashes as they are.
        line = f"{name}: {json.dumps(value, ensure_ascii=False)}"
        text = re.sub(rf"^{name}: [^#\n]*?(?:[ ]+(?=#)|$)", _written(line), text, count=1, flags=re.MULTILINE)
    return text


def _written(line: str) -> Callable[[re.Match[str]], str]:
    def over(found: re.Match[str]) -> str:
        return line.ljust(len(found[0]) - 2) + "  " if found[0].endswith(" ") else line

    return over


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
