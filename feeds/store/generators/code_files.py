"""Find and read the configuration of a generator that is code, below its folder: bounded, by links never out of it."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..frontmatter import BadFrontMatter, parse_yaml
from .javascript.expressions import Module, result_of
from .javascript.modules import read_module, read_value
from .literals import UNKNOWN, Budget, Unknown, Value, read_python

MAX_BYTES, MAX_FILES, MAX_NAMES = 256 * 1024, 200, 20_000
#: How an import without suffix, or with that of what is made of it, is found.
_SUFFIXES = (".ts", ".js", ".mjs", ".mts", ".cjs", ".cts", ".json")
CODE_SUFFIXES = (".js", ".ts", ".mjs", ".mts", ".cjs", ".cts")
_NO_CONTENT = frozenset({"node_modules", "_site", "dist", "__pycache__"})


@dataclass(slots=True)
class CodeFiles:
    """The files of a generator's folder (`root`, absolute): those that were read, and why others could not be."""

    root: str
    sources: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _modules: dict[str, Module | None] = field(default_factory=dict)
    _budget: Budget = field(default_factory=Budget)

    def is_file(self, path: str) -> bool:
        """Return whether a path below the root is a file, and not by a link outside of it."""
        return self._inside(path) is not None and os.path.isfile(os.path.join(self.root, path))

    def is_folder(self, path: str) -> bool:
        """Return whether a path below the root is a folder, and not by a link outside of it."""
        return self._inside(path) is not None and os.path.isdir(os.path.join(self.root, path))

    def first(self, *stems: str, suffixes: tuple[str, ...] = CODE_SUFFIXES) -> str:
        """Return the first path that is a file of these stems with one of the suffixes; "" where there is none."""
        return next((stem + suffix for stem in stems for suffix in suffixes if self.is_file(stem + suffix)), "")

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; none where it cannot be read."""
        inside = self._inside(folder)
        try:
            with os.scandir(inside or "\0") as entries:
                return sorted(entry.name for entry, _ in zip(entries, range(MAX_NAMES), strict=False))
        except (OSError, ValueError):
            return []

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, without links, hidden ones and those that hold no content."""
        found = []
        for name in self.names(folder):
            path = Path(self.root, folder, name)
            if name[0] not in "." and name not in _NO_CONTENT and path.is_dir() and not path.is_symlink():
                found.append(name)
        return found

    def walk(self, folder: str, depth: int = 6) -> Iterator[str]:
        """Yield the paths of the files below a folder, sorted, down to a depth and up to a number."""
        waiting, seen = [(folder, depth)], 0
        while waiting and seen < MAX_NAMES:
            at, left = waiting.pop()
            inner = set(self.folders(at))
            for name in self.names(at):
                seen += 1
                if name not in inner and not name.startswith("."):
                    yield posixpath.join(at, name)
            if left:
                waiting.extend((posixpath.join(at, name), left - 1) for name in sorted(inner, reverse=True))

    def read(self, path: str) -> str | None:
        """Return the text of a file and note it; None, and a fault in words, where it cannot be read."""
        inside = self._inside(path)
        if inside is None or not os.path.isfile(inside):
            return None
        try:
            with open(os.open(inside, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                data = file.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
            text = data.decode("utf-8-sig")
        except OSError as error:
            return self._fault(path, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            return self._fault(path, "is not UTF-8")
        if len(data) > MAX_BYTES:
            return self._fault(path, f"is larger than {MAX_BYTES // 1024} KB")
        if path not in self.sources:
            if len(self.sources) >= MAX_FILES:
                return None
            self.sources.append(path)
        return text.replace("\r\n", "\n")

    def module(self, path: str) -> Module | None:
        """Return a module of JavaScript or TypeScript, or a JSON file as one; None where it cannot be read."""
        if path not in self._modules:
            self._modules[path] = None  # of two that import each other
            text = self.read(path)
            if text is not None:
                source = f"export default {text}" if path.endswith(".json") else text
                folder = posixpath.dirname(path)
                self._modules[path] = read_module(source, lambda name: self._imported(folder, name), self._budget)
        return self._modules[path]

    def value(self, path: str) -> Value:
        """Return the data that a file is about: its mapping in JSON or YAML, or what a module exports as its default."""
        if path.endswith((".yml", ".yaml")):
            return self.yaml(path)
        if path.endswith(".json"):
            text = self.read(path)
            found = None if text is None else read_value(text)
            if isinstance(found, Unknown):
                self.faults.append(f"{path}: it is not JSON")
            return found
        module = self.module(path)
        return UNKNOWN if module is None else result_of(module.exports())

    def yaml(self, path: str) -> dict[str, Value]:
        """Return the mapping of a YAML file, whose leaves are text; an empty one where it cannot be read."""
        text = self.read(path)
        try:
            return dict(parse_yaml(text, first_line=1)) if text and text.strip() else {}
        except BadFrontMatter as error:
            self.faults.append(f"{path}: line {error.line}: {error.reason}")
            return {}

    def python(self, path: str, depth: int = 4) -> Mapping[str, Value]:
        """Return the names that a file of Python assigns, with those of files beside it that it imports."""
        text = self.read(path) if depth else None
        if text is None:
            return {}
        folder = posixpath.dirname(path)

        def load(name: str) -> Mapping[str, Value] | None:
            beside = posixpath.join(folder, name.lstrip(".").replace(".", "/"))
            found = self.first(beside, f"{beside}/__init__", suffixes=(".py",)) if beside else ""
            return self.python(found, depth - 1) if found and found != path else None

        try:
            return read_python(text, load)
        except ValueError as error:
            self.faults.append(f"{path}: {error}")
            return {}

    def _imported(self, folder: str, name: str) -> Module | None:
        """Return the module that an import in a folder names: a file below the root, with `@/` and `~/` for its sources."""
        if name.startswith(("@/", "~/", "@@/", "~~/")):
            rest = name.partition("/")[2]
            stems = [posixpath.join("src", rest), rest]
        elif name.startswith("."):
            stems = [posixpath.normpath(posixpath.join(folder, name))]
        else:
            stems = [posixpath.normpath(name)] if re.match(r"[\w@]+/", name) else []
        for stem in stems:
            bare = re.sub(r"\.[cm]?[jt]s$", "", stem)
            found = stem if self.is_file(stem) and stem.endswith(_SUFFIXES) else self.first(bare, stem, f"{stem}/index")
            found = found or self.first(stem, suffixes=(".json",))
            if found:
                return self.module(found)
        return None

    def _inside(self, path: str) -> str | None:
        """Return the real path of what is below the root, None for anything else."""
        try:
            root = os.path.realpath(self.root)
            found = os.path.realpath(os.path.join(root, path))
        except (OSError, ValueError):  # a null in it
            return None
        return found if found == root or found.startswith(root.rstrip("/") + "/") else None

    def _fault(self, path: str, words: str) -> str | None:
        if (fault := f"{path}: {words}") not in self.faults:
            self.faults.append(fault)
        return None
