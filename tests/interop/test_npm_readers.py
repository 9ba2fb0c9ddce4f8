"""rss-parser and feedsmith, readers from npm, see what we wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop
HERE = Path(__file__).resolve().parent
PATHS = ("/all", "/tags/C++", "/tags/HTML", "/translators/Demo-Max", "/feeds/kernel")


@pytest.fixture(scope="module")
def read(live: Any, tool: Callable[[str], str], npm_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("npm")
    shutil.copy(HERE / "read.mjs", folder)
    (folder / "node_modules").symlink_to(npm_packages / "node_modules")
    done = subprocess.run([tool("node"), "read.mjs", live.base, *PATHS], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ours(live: Any, path: str) -> Any:
    return json.loads(live.request(f"{path}.json")[2])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("reader", ["rss-parser atom", "rss-parser rss", "feedsmith atom", "feedsmith rss", "feedsmith json"])
def test_ids_titles_and_links_arrive(live: Any, read: Any, path: str, reader: str) -> None:
    feed, found = ours(live, path), read[path][reader]
    assert found["title"] == feed["title"]
    assert len(found["items"]) == len(feed["items"]) > 1
    for item, expected in zip(found["items"], feed["items"], strict=True):
        assert (item["id"], item["title"], item["url"]) == (expected["id"], expected["title"], expected["url"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("format", ["atom", "rss", "json"])
def test_originals_people_and_tags_arrive(live: Any, read: Any, path: str, format: str) -> None:
    found = read[path][f"feedsmith {format}"]
    assert found["kind"] == format
    assert found["encoding"] in ("gzip", "br")
    for item, expected in zip(found["items"], ours(live, path)["items"], strict=True):
        assert item["via"] == expected.get("external_url")
        assert list(dict.fromkeys(item["tags"])) == expected.get("tags", [])
        everyone = [person["name"] for person in expected.get("authors", [])]
        if format == "json":
            assert item["authors"] == everyone
        else:
            assert list(dict.fromkeys([*item["authors"], *item["translators"]])) == everyone


def test_a_title_with_markup_is_text_to_every_reader(read: Any) -> None:
    title = "What a title with <b> & friends teaches about escaping"
    for reader, found in read["/tags/HTML"].items():
        assert title in [item["title"] for item in found["items"]], reader
