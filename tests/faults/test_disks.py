"""A static tree: the disk that it is exported to is full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from feeds.cli import main

from . import disks


def export(site: Any, target: Path) -> Any:
    return CliRunner().invoke(main, ["export", str(target), "--config", str(site.config_dir)])


def tree(folder: Path) -> dict[str, bytes]:
    """What a web server would serve of it."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != disks.FILLER]
    shown = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {name: data for name, data in shown.items() if not name.startswith(".")}


@pytest.mark.fault(
    "The disk of an export is full",
    readers="each file as it was or as it is now, and all of it; never half a file",
    lost="nothing; `feeds export` says so in one line, with exit status 1",
    heals="with the next export when there is room: the tree is as if nothing had happened",
)
def test_an_export_to_a_full_disk_leaves_whole_files(site: Any, tmp_path: Path, mount: Callable[..., Path]) -> None:
    for id in range(1, 16):
        site.write(f"{id}.md", tags=["Linux", f"t{id % 3}"], date=f"2020-01-{id:02} 08:00:00", body="正文。" * 300)
    site.rescan()
    disk, aside = mount(32 * 1024), tmp_path / "aside"
    assert export(site, disk).exit_code == 0 and export(site, aside).exit_code == 0
    before = tree(disk)
    assert before == tree(aside)
    for id in range(1, 11):
        site.write(f"{id}.md", tags=["Linux", f"t{id % 3}"], date=f"2020-01-{id:02} 08:00:00", body="新的正文。" * 4000)
    site.rescan()
    disks.fill(disk, leave=48 * 1024)
    found = export(site, disk)
    assert found.exit_code == 1 and "Traceback" not in found.output, found.output
    assert "No space left" in found.output or "disk is full" in found.output, found.output
    assert export(site, aside).exit_code == 0
    after = tree(aside)
    assert after != before
    halfway = tree(disk)
    assert [name for name, data in halfway.items() if data not in (before.get(name), after.get(name))] == []
    disks.empty(disk)
    assert export(site, disk).exit_code == 0 and tree(disk) == after
