"""A package with a kind of front matter, as pip would leave it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feeds.plugins import find_plugins
from feeds.store.frontmatter import load_kinds, select_forms

from ..conftest import PARSERS

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package with one kind, as pip would leave it, and begin like a new process."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(code: str, version: str = "1.0", package: str = "acme-toml", target: str = "acme_toml:Toml") -> None:
        for old in folder.glob("*.dist-info"):
            shutil.rmtree(old)
        (folder / "acme_toml.py").write_text(code, "utf-8")
        info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[feeds.kinds]\ntoml = {target}\n", "utf-8")
        forget()

    yield install
    monkeypatch.undo()
    forget()


def forget() -> None:
    PARSERS.close()
    sys.modules.pop("acme_toml", None)
    find_plugins.cache_clear()
    load_kinds.cache_clear()
    select_forms.cache_clear()
