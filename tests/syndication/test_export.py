"""The static tree: the bytes that the service would send, written once, touched only where they change."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest

from feeds.errors import AddressError, FeedsError
from feeds.service import FORMATS
from feeds.syndication import export

BIG = 32


@pytest.fixture
def filled(site: Any) -> Any:
    for number in range(1, 6):
        site.write(f"{number}.md", tags=["Linux", "TCP/IP", "内核"] if number > 1 else ["once"], translator="geekpi")
    site.rescan()
    return site


def files(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """path -> (inode, mtime, bytes)."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = (status.st_ino, status.st_mtime_ns, path.read_bytes())
    return found


def test_every_document_is_there_with_the_bytes_that_are_served(
    filled: Any, tmp_path: Path, body: Callable[..., bytes]
) -> None:
    filled.service.export(tmp_path / "out")
    for state, _selection in filled.service.states():
        for format in FORMATS:
            written = tmp_path / "out" / f"{state.path}.{format}"
            assert written.read_bytes() == body(filled.service, state.path, format)
            assert gzip.decompress(written.with_name(written.name + ".gz").read_bytes()) == written.read_bytes()
            assert brotli.decompress(written.with_name(written.name + ".br").read_bytes()) == written.read_bytes()
    assert (tmp_path / "out" / "tags" / "TCP~2FIP.atom").is_file()
    assert {path.name for path in (tmp_path / "out").glob("*.opml")} == {"feeds.opml", "tags.opml", "translators.opml"}


def test_a_second_export_writes_nothing_and_touches_nothing(filled: Any, tmp_path: Path) -> None:
    first = filled.service.export(tmp_path)
    before = files(tmp_path)
    second = filled.service.export(tmp_path)
    assert first["written"] == second["unchanged"] > 0
    assert (second["written"], second["removed"]) == (0, 0)
    assert files(tmp_path) == before


def test_only_feeds_that_changed_are_written_again(filled: Any, tmp_path: Path) -> None:
    filled.service.export(tmp_path)
    before = files(tmp_path)
    filled.write("1.md", tags=["once"], translator="", title="Edited")
    filled.rescan()
    filled.service.export(tmp_path)
    after = files(tmp_path)
    changed = {path for path in after if after[path] != before.get(path) and not path.startswith(".")}
    assert {path for path in changed if path.endswith(".atom")} == {"all.atom", "tags/once.atom", "translators/geekpi.atom"}


def test_files_of_a_term_that_is_gone_are_removed_and_foreign_files_stay(filled: Any, tmp_path: Path) -> None:
    filled.service.export(tmp_path)
    foreign = tmp_path / "tags" / "mine.html"
    foreign.write_text("not ours")
    (filled.store / "1.md").unlink()
    filled.rescan()
    report = filled.service.export(tmp_path)
    assert report["removed"] == len(FORMATS) * 3
    assert not list((tmp_path / "tags").glob("once.*"))
    assert foreign.read_text() == "not ours"


def test_a_manifest_that_points_outside_removes_nothing_there(filled: Any, tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "precious"
    outside.write_text("mine")
    filled.service.export(out)
    manifest = out / export.MANIFEST
    known = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**known, "../precious": "x", str(outside): "x"}))
    filled.service.export(out)
    assert outside.read_text() == "mine"


def test_a_file_that_someone_deleted_is_written_again(filled: Any, tmp_path: Path) -> None:
    filled.service.export(tmp_path)
    (tmp_path / "all.rss").unlink()
    assert filled.service.export(tmp_path)["written"] == len(FORMATS) * 3
    assert (tmp_path / "all.rss").is_file()


def test_a_broken_manifest_is_named_and_nothing_is_written(filled: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / export.MANIFEST).write_text("{")
    with pytest.raises(FeedsError, match=r"\.feeds-export\.json: cannot be read"):
        filled.service.export(out)
    assert os.listdir(out) == [export.MANIFEST]


def test_before_the_first_rescan_there_is_nothing_to_export(site: Any, tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="nothing is published yet"):
        site.service.export(tmp_path)


def test_several_processes_write_what_one_writes(site: Any, tmp_path: Path) -> None:
    for number in range(BIG):
        site.write(f"{number}.md", tags=[f"tag {number}", "Linux"], translator=f"person {number}")
    site.rescan()
    edition = site.service.edition()
    for name, workers in (("one", 1), ("two", 2)):
        with site.service.snapshot() as connection:
            export.export(connection, edition.config, tmp_path / name, workers=workers)
    one, two = ({path: data for path, (_i, _m, data) in files(tmp_path / name).items()} for name in ("one", "two"))
    assert len(one) > BIG * 2 * len(FORMATS)
    assert one == two


def test_two_exports_of_equal_stores_are_equal(new_site: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("a", "b"):
        site = new_site()
        site.write("1.md", tags=["Linux"], translator="geekpi")
        site.rescan()
        site.service.export(tmp_path / name)
    one, two = ({path: data for path, (_i, _m, data) in files(tmp_path / name).items()} for name in ("a", "b"))
    assert one == two
