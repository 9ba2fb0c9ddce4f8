"""The stat sweep: which files are there, and which changed since the rescan before. Reads no file.

A file is the same while its size, mtime and ctime are: ctime also moves when permissions or names change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import StoreError
from ..model import Problem

# The guard of the store: how many articles a rescan may take away because their files are gone. Pure.
#
# A disk that is not mounted and a folder that somebody has emptied look alike, and only the second is meant. What is held back
# stays published; it goes when the operator says so, and is as before when the files are back.

#: What went in so many seconds counts together: a folder that is being deleted is swept several times.
WINDOW_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Guard:
    """Up to `percent` of the articles may go at once, or up to `articles` of them where that is more; 100 holds nothing back.

    `lately` articles went within the window. `accepted`: the operator has said that they may go. `moved`: the store is another
    folder than before.
    """

    percent: int = 100
    articles: int = 0
    lately: int = 0
    accepted: bool = False
    moved: bool = False

    def holds(self, going: int, published: int, *, seen: int, added: int) -> bool:
        """Whether `going` of the `published` articles have to stay; `seen` files are in the store, `added` articles are new.

        An empty store is never believed. One that was moved and shares no article with the old one is: that is another
        archive, and the setting was the operator's word.
        """
        if not going or self.accepted or self.percent >= 100:
            return False
        if self.moved and added and going == published:
            return False
        if not seen:
            return True
        total = going + self.lately
        return total > self.articles and total * 100 > self.percent * (published + self.lately)


#: For a catalog that is made to be thrown away.
OPEN = Guard()


def mark(paths: Iterable[str]) -> str:
    """Names a set of paths; "" where there is none."""
    joined = "\0".join(sorted(paths))
    return hashlib.sha256(joined.encode()).hexdigest()[:16] if joined else ""


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
    is_held = mark(removed) == held
    if to_read or not is_held:
        to_read.update(path for path in again if path in files)
    return Changes(tuple(sorted(to_read)), tuple(sorted(removed)), len(files) - len(to_read), is_held)
