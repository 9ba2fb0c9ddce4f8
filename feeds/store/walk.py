"""Walk the store: which files are there, which changed since the last rescan, and how many may be removed at once.

No file is read. A file counts as unchanged while its size, mtime and ctime are. What is hidden, or what editors, file managers
and version control leave behind, is no article: it is counted. A copy that a synchronising program made because two people
changed a file is named as a problem, because only a person can merge it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..errors import StoreError
from ..model import Problem

Stamp = int  # one column to load and one number to compare for each file
#: No file has this one, so the next rescan reads it again.
UNSETTLED: Stamp = -1
#: Ends of the names of articles where the kind of the store names no others, in any case: a suffix in another case is a file
#: that changed its name.
SUFFIXES = (".md", ".markdown")
#: Folders, besides hidden ones, that hold nothing that anybody wrote. In lower case.
_OTHER_FOLDERS = frozenset(
    {"__macosx", "node_modules", "@eadir", "lost+found", "#recycle", "#snapshot", "@recycle", "$recycle.bin"}
    | {"system volume information"}
)
#: Files, besides hidden ones, that programs leave beside articles: Office's locks, half-synchronised files, autosaves, backups.
_LEFTOVER = re.compile(
    r"~\$|~syncthing~|\#.*\#$|.*~$|4913$|thumbs\.db$|ehthumbs\.db$|desktop\.ini$|icon\r$|.*___jb_(?:tmp|old)___$"
    r"|.*\.(?:sw[a-p]|kate-swp|bak|orig|rej|tmp|temp|part|partial|crdownload|save(?:\.\d+)?)$",
    re.IGNORECASE | re.DOTALL,
)
#: git mergetool's, which are called like articles.
_MERGED = re.compile(r"_(?:BACKUP|BASE|LOCAL|REMOTE)_\d+\.\w+$")
#: Syncthing, Dropbox and Nextcloud, ownCloud.
_CONFLICT = re.compile(r"\.sync-conflict-\d{8}-\d{6}|\([^()]*conflicted copy[^()]*\)|_conflict-\d{8}-\d{6}", re.IGNORECASE)
#: No article that has another name than these needs a closer look.
_SUSPECT = re.compile(r"^[.~]|conflict|_(?:BA|LO|RE)", re.IGNORECASE)


def file_stamp(status: os.stat_result) -> Stamp:
    """Return the stamp of a file. The hash of three integers is the same in every process, and it is never -1."""
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_size))


@dataclass(slots=True)
class Listing:
    """The files of the store. `unreadable`: files, and folders (with "/" at the end), that must not count as removed.

    `ignored` counts what is hidden or a leftover; a folder counts once. `unread` counts files with other suffixes, by suffix.
    """

    files: dict[str, Stamp] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    ignored: int = 0
    unread: dict[str, int] = field(default_factory=dict)

    def add_problem(self, path: str, reason: str, kind: str) -> None:
        """Note why something that is named like an article is not one."""
        self.problems.append(Problem(path, 0, 0, reason, kind))

    def add_unreadable(self, path: str, error: OSError) -> None:
        """Note a path that cannot be seen. One that went away since it was listed was removed."""
        if not isinstance(error, FileNotFoundError):
            self.unreadable.append(path)
            self.add_problem(path, f"cannot be read: {error.strerror}", "unreadable")


def is_leftover(name: str, *, folder: bool = False) -> bool:
    """Return whether a name in the store is hidden, or of something that programs leave behind.

    >>> [is_leftover(name) for name in ("._a.md", "a.md~", "#a.md#", "a.md.swp", "~$a.md", "a.md", "#1 a.md")]
    [True, True, True, True, True, False, False]
    """
    if folder or name[0] == ".":
        return name[0] == "." or name.lower() in _OTHER_FOLDERS
    return _LEFTOVER.match(name) is not None or _MERGED.search(name) is not None


def list_files(root: str, suffixes: tuple[str, ...] = SUFFIXES) -> Listing:
    """Return all files below `root` whose names end in one of `suffixes` (lower case), in any case, with their stamps.

    Raises StoreError where the store itself is missing.
    """
    if not os.path.isdir(root):
        raise StoreError(f"{root}: no such folder; `store` in site.yaml (or FEEDS_STORE) must name the folder of articles")
    found = Listing()
    folders = [""]
    while folders:
        prefix = folders.pop()
        try:
            _list_folder(root, prefix, suffixes, found, folders)
        except OSError as error:  # also in the middle of a listing, where a network disk goes away
            if not prefix:
                raise StoreError(f"{root}: {error.strerror}") from error
            found.add_unreadable(prefix, error)
    return found


def _list_folder(root: str, prefix: str, suffixes: tuple[str, ...], found: Listing, folders: list[str]) -> None:
    """Add the files of one folder to `found`, and its subfolders to `folders`."""
    files = found.files
    with os.scandir(os.path.join(root, prefix)) as entries:
        for entry in entries:
            name = entry.name
            path = prefix + name
            if not name.isascii():
                try:
                    path.encode()
                except UnicodeEncodeError:
                    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
                    found.add_problem(shown, "the file's name is not UTF-8", "encoding")
                    continue
            try:
                if name.endswith(suffixes) and entry.is_file(follow_symlinks=False) and not _SUSPECT.search(name):
                    status = entry.stat(follow_symlinks=False)
                    files[path] = hash((status.st_mtime_ns, status.st_ctime_ns, status.st_size))  # as `file_stamp`
                elif is_leftover(name, folder=(folder := entry.is_dir(follow_symlinks=False))):
                    found.ignored += 1
                elif folder:
                    folders.append(f"{path}/")
                elif name.lower().endswith(suffixes):
                    _add_file(root, path, entry, found)
                elif (dot := name.rfind(".")) > 0:
                    suffix = name[dot:].lower()
                    found.unread[suffix] = found.unread.get(suffix, 0) + 1
            except OSError as error:
                found.add_unreadable(path, error)


#: No more files than so many that are passed over are named.
MAX_NAMED = 20_000
#: What lies beside articles in any site, and nobody takes for one.
_BESIDE = re.compile(
    r"\.(?:avif|bmp|css|eot|gif|ico|jpe?g|js|map|mp[34]|ogg|otf|pdf|png|scss|svg|ttf|wav|web[mp]|woff2?|xml|zip)$",
    re.IGNORECASE,
)


def name_passed_over(root: str, suffixes: tuple[str, ...] = SUFFIXES) -> dict[str, str]:
    """Return path -> reason of at most MAX_NAMED files that `list_files` passes over, besides pictures and the like."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(root):
        prefix = os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        prefix = "" if prefix == "./" else prefix
        outer = next((part for part in prefix.split("/") if part and is_leftover(part, folder=True)), "")
        folders[:] = sorted(name for name in folders if name not in (".git", ".hg", ".svn"))
        for name in sorted(names):
            is_article = name.lower().endswith(suffixes)
            if outer and is_article:
                found[prefix + name] = "hidden folder" if outer[0] == "." else "dependency"
            elif not outer and is_leftover(name):
                found[prefix + name] = "hidden" if name[0] == "." else "left over by a program"
            elif not outer and not is_article and not _BESIDE.search(name):
                found[prefix + name] = f"no article: {PurePosixPath(name).suffix or 'no suffix'}"
            if len(found) >= MAX_NAMED:
                return found
    return found


def _add_file(root: str, path: str, entry: os.DirEntry[str], found: Listing) -> None:
    """Add what is called like an article. Raises OSError where it cannot be looked at."""
    if _CONFLICT.search(entry.name):
        reason = "a copy that was made because two sides changed a file: merge it into that file and delete it"
        found.add_problem(path, reason, "conflict")
    elif entry.is_symlink():
        _follow_link(root, path, found)
    elif entry.is_file(follow_symlinks=False):
        found.files[path] = file_stamp(entry.stat(follow_symlinks=False))
    else:
        found.add_problem(path, "a pipe, socket or device, not a file", "special")


def _follow_link(root: str, path: str, found: Listing) -> None:
    """Add the target of a symbolic link, if it is a file inside the store."""
    target = os.path.realpath(os.path.join(root, path))
    if os.path.commonpath([root, target]) != root:
        found.add_problem(path, "a symbolic link that leaves the store is not followed", "link")
    elif os.path.isfile(target):
        found.files[path] = file_stamp(os.stat(target))
    elif not os.path.isdir(target):
        found.add_problem(path, "a symbolic link that leads to no file", "link")


@dataclass(frozen=True, slots=True)
class FileChanges:
    """Paths, sorted. A renamed file is in both. `held`: the removed files are those that the last rescan held back."""

    to_read: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    held: bool = False


def compare(
    known: Mapping[str, Stamp],
    listing: Listing,
    *,
    everything: bool = False,
    again: Iterable[str] = (),
    others: Iterable[str] = (),
    held: str = "",
) -> FileChanges:
    """Return what changed against the stamps of the last rescan. Pure.

    `again` are files to read once more if anything else changed (duplicate ids); `others` have other git dates or other
    pictures than before; `held` is the digest of the removed files that are held back already.
    """
    files = listing.files
    to_read = {path for path, stamp in files.items() if everything or known.get(path) != stamp}
    to_read.update(path for path in others if path in files)
    removed = [] if known.keys() <= files.keys() else [path for path in known if path not in files]
    hidden = tuple(listing.unreadable)
    removed = [path for path in removed if not path.startswith(hidden)]
    is_held = paths_digest(removed) == held
    if to_read or not is_held:
        to_read.update(path for path in again if path in files)
    return FileChanges(tuple(sorted(to_read)), tuple(sorted(removed)), len(files) - len(to_read), is_held)


# -- the removal guard -----------------------------------------------------

#: Removals within this time count together: a folder that is being deleted may be walked several times.
WINDOW_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class RemovalGuard:
    """How many articles a rescan may remove because their files are gone: a disk that is not mounted looks like an empty one.

    Articles that are held back stay published until the operator accepts the removal (`accepted`), or the files are back.
    Up to `percent` of the articles may go at once, or up to `articles` of them where that is more; 100 holds nothing back.
    `lately` articles were removed within WINDOW_SECONDS. `moved`: the store is another folder than before.
    """

    percent: int = 100
    articles: int = 0
    lately: int = 0
    accepted: bool = False
    moved: bool = False

    def holds_back(self, going: int, published: int, *, seen: int, added: int) -> bool:
        """Return whether `going` of the `published` articles have to stay; of `seen` files in the store, `added` are new. Pure.

        An empty store is never believed. A moved one that shares no article with the old one is: it is another archive.

        >>> RemovalGuard(percent=10).holds_back(11, 100, seen=89, added=0)
        True
        """
        if not going or self.accepted or self.percent >= 100:
            return False
        if self.moved and added and going == published:
            return False
        if not seen:
            return True
        total = going + self.lately
        return total > self.articles and total * 100 > self.percent * (published + self.lately)


ALLOW_ALL = RemovalGuard()


def paths_digest(paths: Iterable[str]) -> str:
    """Return a short hash that names a set of paths; "" for the empty set."""
    joined = "\0".join(sorted(paths))
    return hashlib.sha256(joined.encode()).hexdigest()[:16] if joined else ""
