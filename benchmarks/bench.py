"""What all figures share: sizes, stores, and sites (a configuration and a catalog) on those stores."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from feeds.config.environment import Environment
from feeds.resources import make_site
from feeds.runtime import Runtime

from . import stores
from .shape import ARCHIVE
from .stores import ROOT


@dataclass(frozen=True, slots=True)
class Site:
    """A site of its own below the bench's folder; nothing of the caller's environment reaches it."""

    folder: Path
    store: Path

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "feeds", *words, "--config", str(self.config)]

    def run(self, *words: str) -> None:
        subprocess.run(self.command(*words), check=True, stdout=subprocess.DEVNULL, env=clean_environ(), cwd=ROOT, timeout=600)

    def runtime(self) -> Runtime:
        return Runtime(Environment.read(self.config, {}))

    def store_to_memory(self) -> None:
        """Every file is read once, so that no measurement pays for the disk and none is spared it."""
        for path in self.store.rglob("*.md"):
            path.read_bytes()

    def forget(self) -> None:
        """Back to an empty database."""
        shutil.rmtree(self.folder / "var", ignore_errors=True)

    def catalogued(self) -> Site:
        """With all of its articles in the catalog; made again where the code that makes it, or the store, has changed."""
        mark, made_by = self.folder / "var" / "made-by", _code() + stores.made_of(self.store)
        if not mark.exists() or mark.read_text() != made_by:
            self.forget()
        self.run("rescan")
        mark.write_text(made_by)
        return self


def clean_environ() -> dict[str, str]:
    """Return the caller's environment without settings of the program, and with modules that stay compiled."""
    dropped = ("FEEDS_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def _code() -> str:
    """Of everything that decides what is in a catalog."""
    package = ROOT / "feeds"
    paths = [
        package / "model.py",
        *sorted(path for part in ("database", "store", "catalog") for path in (package / part).rglob("*.py")),
    ]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


@dataclass(frozen=True, slots=True)
class Bench:
    """`quick`: a tenth of the sizes and fewer rounds; it shows that everything runs, its numbers prove nothing."""

    folder: Path
    quick: bool = False

    @property
    def articles(self) -> int:
        return 1_600 if self.quick else 16_000

    @property
    def archive(self) -> int:
        """As many as the real archive has, for comparisons with Hugo."""
        return ARCHIVE // 10 if self.quick else ARCHIVE

    @property
    def growing(self) -> tuple[int, int, int]:
        return (1_000, 2_000, 4_000) if self.quick else (10_000, 32_000, 100_000)

    def rounds(self, number: int) -> int:
        return min(number, 2) if self.quick else number

    def store(self, articles: int, *, short: bool = False) -> Path:
        return stores.build(self.folder / f"store-{articles}{'-short' * short}", articles, short=short)

    def site(self, name: str, store: Path, feeds: dict[str, object] | None = None) -> Site:
        """With the default configuration; `feeds` replaces feeds.yaml."""
        made = Site(self.folder / f"site-{name}-{store.name}", store)
        for folder in (made.config, made.folder / "templates"):
            shutil.rmtree(folder, ignore_errors=True)
        for _line in make_site(made.folder, {"site.yaml": {"store": str(store)}}, demo=False, templates=True):
            pass
        if feeds is not None:
            (made.config / "feeds.yaml").write_text(yaml.safe_dump(feeds, allow_unicode=True, sort_keys=False), "utf-8")
        return made
