"""The files that come with the program (templates, configuration, demo articles, static files), and a new site made of them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import FeedsError

#: The code of the package.
CODE = Path(__file__).resolve().parent
#: Beside the code in an installed wheel, at the top of a checkout.
_SHARED = CODE / "_share" if (CODE / "_share").is_dir() else CODE.parent

TEMPLATES = _SHARED / "templates"
DEFAULT_CONFIG = _SHARED / "config"
DEMO = _SHARED / "demo"
#: Style sheet and icons of pages.
STATIC = CODE / "web" / "static"


#: File of config/ -> settings at its top level -> values.
Chosen = Mapping[str, Mapping[str, object]]


def make_site(folder: Path, chosen: Chosen, *, demo: bool, templates: bool) -> Iterator[str]:
    """Make a site, and yield a line for each file or folder: `wrote ...` or `kept ...`. Raises FeedsError."""
    if folder.exists() and not folder.is_dir():
        raise FeedsError(f"{folder} is not a folder")
    (folder / "config").mkdir(parents=True, exist_ok=True)
    for source in sorted(DEFAULT_CONFIG.glob("*.yaml")):
        path = folder / "config" / source.name
        if path.exists():
            yield f"kept    {path}"
        else:
            path.write_text(with_settings(source.read_text("utf-8"), chosen.get(source.name, {})), "utf-8")
            yield f"wrote   {path}"
    copies = [(TEMPLATES, folder / "templates")] if templates else []
    copies += [(DEMO / "articles", folder / "demo" / "articles")] if demo else []
    for source, target in copies:
        if target.exists():
            yield f"kept    {target}"
        else:
            shutil.copytree(source, target)
            yield f"wrote   {target}/"


def with_settings(text: str, chosen: Mapping[str, object]) -> str:
    """Return the default file with some values set; comments stay, in their column where they can.

    >>> with_settings("title: A    # shown\\n", {"title": "B"})
    'title: "B"  # shown\\n'
    """
    for name, value in chosen.items():
        line = f"{name}: {flow_text(value)}"

        def write_over(found: re.Match[str], line: str = line) -> str:  # a function, as a replacement would read backslashes
            return line.ljust(len(found[0]) - 2) + "  " if found[0].endswith(" ") else line

        text = re.sub(rf"^{name}: [^#\n]*?(?:[ ]+(?=#)|$)", write_over, text, count=1, flags=re.MULTILINE)
        text = re.sub(rf"^({name}: .*\n)((?: +.*\n)+)", _commented, text, count=1, flags=re.MULTILINE)
    return text


def _commented(block: re.Match[str]) -> str:
    """Return a setting whose value stands on its own line now, with the lines of the old value as an example."""
    return block[1] + "".join(f"# {line}\n" for line in block[2].splitlines())


def flow_text(value: object) -> str:
    """Return a value in YAML's flow style; texts in quotes, as what JSON writes of them is YAML.

    >>> flow_text({"path": "/srv/blog", "include": ["posts/**"]})
    '{path: "/srv/blog", include: ["posts/**"]}'
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {flow_text(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow_text, value))}]"
    return json.dumps(value, ensure_ascii=False)
