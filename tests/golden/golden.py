"""The golden documents: a fixed store, and every byte that its feeds are made of.

    python tests/golden/golden.py              compare with tests/golden/expected, exit 1 on a difference
    python tests/golden/golden.py --write DIR  write the documents below DIR
    python tests/golden/golden.py --regenerate replace tests/golden/expected; read the difference before you commit it

The program's version, which each document names, is written as VERSION, so that a release does not change them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from feeds import rescan
from feeds.config.environment import Environment
from feeds.feed_formats import load_formats
from feeds.runtime import Runtime
from feeds.syndication import lookup
from feeds.syndication.feed_states import program_version
from feeds.syndication.lookup import Document

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected"
#: Configuration -> what is rendered with it: feeds, archive documents, and selections (`?...`).
SITES = {
    "config": ("all", "feeds/brief", "feeds/empty", "tags/Linux", "translators/geekpi"),
    "config.en": ("all", "all/archive/2020-01", "tags/Linux", "tags/Linux/archive/2020", "?tag=Linux&not-translator=geekpi"),
}
NOW = 1_767_225_600  # no document contains it


def documents() -> dict[str, bytes]:
    """Return file name -> bytes, each configuration with a catalog of its own."""
    return {name: data for config in SITES for name, data in _documents(config).items()}


def _documents(config: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(HERE / config, root / "config")
        shutil.copytree(HERE / "store", root / "store")
        for path in sorted((root / "store").rglob("*.md")):
            os.utime(path, (NOW - 86400, NOW - 86400))
        runtime = Runtime(Environment.read(root / "config", {}), create=True)
        try:
            runtime.prepare()
            rescan.rescan(runtime.engine, runtime.environment, now=NOW)
            below = config.removeprefix("config").removeprefix(".")
            made = {
                f"{'select' if '?' in path else path}.{name}": _bytes(runtime, path, name)
                for path in SITES[config]
                for name in load_formats()
            }
            return {str(Path(below, name)): data for name, data in made.items()}
        finally:
            runtime.close()


def _bytes(runtime: Runtime, path: str, name: str) -> bytes:
    format = load_formats()[name]
    if path.startswith("?"):
        found = runtime.read(lookup.find_selection_document, runtime.edition(), path[1:], format)
    else:
        found = runtime.read(lookup.find_document, runtime.edition(), path, format)
    assert isinstance(found, Document) and found.body is not None
    mine = f'version="{program_version()}"'.encode()
    return found.body.replace(mine, b'version="VERSION"')


def expected() -> dict[str, bytes]:
    return {str(path.relative_to(EXPECTED)): path.read_bytes() for path in sorted(EXPECTED.rglob("*")) if path.is_file()}


def write(folder: Path) -> None:
    for name, data in documents().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--write"]:
        write(Path(arguments[1]))
    elif arguments == ["--regenerate"]:
        shutil.rmtree(EXPECTED, ignore_errors=True)
        write(EXPECTED)
    else:
        made, wanted = documents(), expected()
        different = sorted(name for name in made.keys() | wanted.keys() if made.get(name) != wanted.get(name))
        print("\n".join(different) or "all golden documents are as expected")
        return 1 if different else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
