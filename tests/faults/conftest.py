"""Houses: real services over a site of one's own, whose time of day and whose disk a test sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from feeds.config.environment import Environment
from feeds.runtime import Runtime

from .house import House


@pytest.fixture(scope="session")
def rounds() -> int:
    """Of what happens at random moments: FEEDS_FAULT_ROUNDS, or one for each kind of process."""
    return int(os.environ.get("FEEDS_FAULT_ROUNDS", "3"))


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """`make_house(site, "--workers", "1")`: what is started is stopped in the end."""
    made: list[House] = []

    def make(site: Any, *options: str, **settings: str) -> House:
        made.append(House(site, tmp_path / f"house{len(made)}", *options, **settings))
        return made[-1]

    yield make
    for house in made:
        house.close()


@pytest.fixture
def move(site: Any) -> Iterator[Callable[[str], None]]:
    """`move(url)`: the site keeps everything there, and what this run gave it is given back in the end."""
    file = site.root / ".env"
    before = file.read_text("utf-8") if file.exists() else ""

    def to(url: str) -> None:
        site.runtime.close()
        file.write_text(f'FEEDS_DATABASE_URL="{url}"\n')
        site.environment = Environment.read(site.config_dir, {})
        site.runtime = Runtime(site.environment, create=True)

    yield to
    site.runtime.close()
    file.write_text(before)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """A disk of its own, of so many KiB: `mount(512)`, or at a folder that there is. Its pages are memory."""
    from . import disks

    mounted: list[Path] = []

    def make(size: int, at: Path | None = None) -> Path:
        folder = at or tmp_path / f"disk{len(mounted)}"
        folder.mkdir(exist_ok=True)
        if reason := disks.mount(folder, size):
            words = f"no disk can be mounted here: {reason}"
            pytest.fail(f"{words}, and CI must be able to") if os.environ.get("CI") else pytest.skip(words)
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        disks.unmount(folder)
