"""The stat sweep: which files are there, and which changed since the rescan before. Reads no file.

A file is the same while its size, mtime and ctime are: ctime also moves when permissions or names change.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import StoreError
from ..model import Problem
from . import guard

#: Modification, status change and size in 64 bits: one column to load and one number to compare for each file.
Stamp = int
#: No file has this one, so the next rescan reads it again.
UNSETTLED: Stamp = -1
SUFFIXES = (".md", ".markdown")


def stamp_of(status: os.stat_result) -> Stamp:
    """The hash of three integers is the same in every process, unlike that of text; it is never -1."""
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_size))


@dataclass(slots=True)
class Sweep:
    """What lies in the store. `unreadable` are folders (with "/" at the end) whose files must not count as removed."""

    files: dict[str, Stamp] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths, sorted. A renamed file is in both. `held`: what is gone is what was held back after the rescan before."""

    to_read: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    held: bool = False

    @property
    def files(self) -> int:
        """How many there are in the store."""
        return self.unchanged + len(self.to_read)


def sweep(root: str) -> Sweep:
    """Raises StoreError where the store itself is missing."""
    if not os.path.isdir(root):
        raise StoreError(f"{root}: no such folder; `store` in site.yaml (or FEEDS_STORE) must name the folder of articles")
    found = Sweep()
    folders = [""]
    while folders:
        prefix = folders.pop()
        try:
            _sweep_folder(root, prefix, found, folders)
        except OSError as error:  # also amid a listing, where a network disk goes away
            if not prefix:
                raise StoreError(f"{root}: {error.strerror}") from error
            _unreadable(found, prefix, error)
    return found


def _sweep_folder(root: str, prefix: str, found: Sweep, folders: list[str]) -> None:
    files = found.files
    with os.scandir(os.path.join(root, prefix)) as entries:
        for entry in entries:
            name = entry.name
            if not name.isascii() and not _is_unicode(prefix + name, found):
                continue
            try:
                if name.endswith(SUFFIXES):
                    if entry.is_symlink():
                        _follow(root, prefix + name, found)
                    elif entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        files[prefix + name] = hash((status.st_mtime_ns, status.st_ctime_ns, status.st_size))  # as `stamp_of`
                        continue
                    elif not entry.is_dir(follow_symlinks=False):
                        found.problems.append(Problem(prefix + name, 0, 0, "a pipe, socket or device, not a file", "special"))
                if name[0] != "." and entry.is_dir(follow_symlinks=False):
                    folders.append(f"{prefix}{name}/")
            except OSError as error:
                _unreadable(found, prefix + name, error)


def _is_unicode(path: str, found: Sweep) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        found.problems.append(Problem(shown, 0, 0, "the file's name is not UTF-8", "encoding"))
        return False
    return True


def _unreadable(found: Sweep, path: str, error: OSError) -> None:
    if isinstance(error, FileNotFoundError):
        return  # went away between the listing and the look: removed
    found.unreadable.append(path)
    found.problems.append(Problem(path, 0, 0, f"cannot be read: {error.strerror}", "unreadable"))


def _follow(root: str, path: str, found: Sweep) -> None:
    """A link to an article inside the store is followed, one that leaves it is not."""
    target = os.path.realpath(os.path.join(root, path))
    if os.path.commonpath([root, target]) != root:
        found.problems.append(Problem(path, 0, 0, "a symbolic link that leaves the store is not followed", "link"))
    elif os.path.isfile(target):
        status = os.stat(target)
        found.files[path] = stamp_of(status)
    elif not os.path.isdir(target):
        found.problems.append(Problem(path, 0, 0, "a symbolic link that leads to no file", "link"))


def compare(
    known: Mapping[str, Stamp],
    swept: Sweep,
    *,
    everything: bool = False,
    again: Iterable[str] = (),
    dated: Iterable[str] = (),
    held: str = "",
) -> Changes:
    """Pure. `everything` reads all; `again` are files to read once more if anything else changed (duplicate ids); `dated`
    are files that git dates otherwise now; `held` is the mark of the files that are gone and held back already."""
    files = swept.files
    if everything:
        to_read = set(files)
    else:
        to_read = {path for path, stamp in files.items() if known.get(path) != stamp}
        to_read.update(path for path in dated if path in files)
    removed = [] if known.keys() <= files.keys() else [path for path in known if path not in files]
    if swept.unreadable:
        hidden = tuple(swept.unreadable)
        removed = [path for path in removed if not path.startswith(hidden)]
    is_held = guard.mark(removed) == held
    if to_read or not is_held:
        to_read.update(path for path in again if path in files)
    return Changes(tuple(sorted(to_read)), tuple(sorted(removed)), len(files) - len(to_read), is_held)
