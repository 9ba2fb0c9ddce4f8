"""Hugo as the peer: a site of the same articles (`hugo/`), of which it writes the feeds of terms, or all pages too.

Its Atom and JSON Feed are output formats beside its own RSS, from templates of a few lines; an entry has in all three what it
has in ours: title, address, dates, people, tags, summary and the whole body.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .figures import need
from .processes import cpu_seconds

FORMATS = ("rss", "atom", "jsonfeed")
_SOURCE = Path(__file__).with_name("hugo")


@dataclass(slots=True)
class Hugo:
    """Builds of a store, round by round: seconds, and seconds of processors. `folder` is made again each time."""

    store: Path
    folder: Path
    settings: dict[str, Any]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def build(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(_SOURCE, self.folder)
        config = self.folder / "config.yaml"
        settings = {**yaml.safe_load(config.read_text("utf-8")), **self.settings}
        config.write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
        places = ["--source", str(self.folder), "--contentDir", str(self.store), "--destination", str(self.folder / "public")]
        command = [need("hugo"), "--quiet", *places]
        started, before = time.perf_counter(), cpu_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        self.seconds.append(time.perf_counter() - started)
        self.cpu.append(cpu_seconds() - before)

    def files(self) -> int:
        """How many it has written."""
        return sum(1 for path in (self.folder / "public").rglob("*") if path.is_file())


def feeds(store: Path, folder: Path, formats: Sequence[str] = FORMATS) -> Hugo:
    """Feeds of tags and translators, and nothing else: articles are read but get no page of their own."""
    settings = {
        "disableKinds": ["home", "section", "taxonomy", "sitemap", "robotsTXT", "404"],
        "ignoreErrors": ["error-disable-taxonomy"],
        "outputs": {"term": list(formats)},
        "cascade": [{"_build": {"render": "never"}, "_target": {"kind": "page"}}],
    }
    return Hugo(store, folder, settings)


def site(store: Path, folder: Path) -> Hugo:
    """A page of each article, pages of terms and of all with feeds in three formats, directories, sitemap, 404."""
    both = ["html", *FORMATS]
    settings = {
        "disableKinds": ["section", "robotsTXT"],
        "outputs": {"home": both, "term": both, "taxonomy": ["html"], "page": ["html"]},
    }
    return Hugo(store, folder, settings)
