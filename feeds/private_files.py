"""Create files and folders that nobody else may read, whatever the umask; temporary files beside their target; wide modes.

A temporary file is `.NAME.RANDOM.feeds-tmp` in the folder of its target. The process that uses it holds a lock on it (flock):
a lock that is free shows that a killed process left the file behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import secrets
import shlex
import stat
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
#: How the names of temporary files end.
SUFFIX = ".feeds-tmp"
#: Files that SQLite makes beside a database, with the mode of the database.
SATELLITES = ("-journal", "-wal", "-shm")
#: A temporary file, or what is made beside it if it is a database: those, and locks.
_TEMPORARY = re.compile(rf"(\..+{re.escape(SUFFIX)})({'|'.join(SATELLITES)}|\.\w+\.lock)?")
#: What an exported static tree keeps beside its files (`static.files`).
STATIC_TREE = ".feeds-export"
#: Files of a folder that is private already whose modes are looked at: a maildir may hold a million.
_LOOKED_AT = 10_000
#: Bytes of a target's name in the name of its temporary file: file systems allow 255 in all.
_NAME_BYTES = 200


def make_private_folder(path: Path, mode: int = FOLDER) -> Path:
    """Make a folder, and the ones above it that are missing, with this mode. The modes of existing folders stay. Idempotent."""
    if not path.is_dir():
        make_private_folder(path.parent, mode)
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.mkdir(mode)
            with contextlib.suppress(PermissionError):  # a file system without modes
                path.chmod(mode)  # a umask such as 0777 would keep us out
    return path


def open_private(path: Path | str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a file and return its descriptor; with O_CREAT it has mode 0600 from its first instant, whatever the umask.

    An existing file of ours that others may read is narrowed before anything is written. Symbolic links are not followed:
    OSError (ELOOP). A device or a pipe is opened as it is.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE)
    status = os.fstat(descriptor)
    if flags & os.O_CREAT and stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) != FILE and is_ours(status):
        try:
            os.fchmod(descriptor, FILE)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


@contextlib.contextmanager
def temporary_beside(path: Path, known_in: Path | None = None) -> Iterator[Path]:
    """Yield the path of a new, empty, locked file of mode 0600 in the folder of `path`; remove it at the end.

    Give it to `replace_file` when it is complete. What SQLite makes beside it is removed as well; its VACUUM INTO accepts
    the file, because it is empty. Close connections to it before the end. What killed processes left in the same folder is
    removed first. `known_in`: a folder that is looked through at every start (var/), where a link to the temporary file stands
    as long as it exists.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "readers.csv"
    ...     with temporary_beside(target) as draft:
    ...         _ = draft.write_text("email")
    ...         replace_file(draft, target)
    ...     os.listdir(folder), oct(target.stat().st_mode & 0o777)
    (['readers.csv'], '0o600')
    """
    remove_leftovers(path.parent)
    draft, descriptor = _create_locked(path)
    link = known_in / draft.name if known_in and known_in.is_dir() and not known_in.samefile(path.parent) else None
    try:
        if link:
            with contextlib.suppress(OSError):  # not ours to write: a leftover is removed by the next command in its folder
                link.symlink_to(draft.absolute())
        yield draft
    finally:
        if _is_same(draft, descriptor):
            _remove(draft)
        if link:
            with contextlib.suppress(OSError):
                link.unlink(missing_ok=True)
        os.close(descriptor)


def replace_file(temporary: Path, target: Path) -> None:
    """Rename a complete file to `target`, whole or not at all, also by a power cut. A link is replaced, not followed."""
    _sync(temporary, os.O_RDONLY)
    temporary.replace(target)
    _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


def write_private(path: Path, data: bytes, known_in: Path | None = None) -> None:
    """Replace a file by one of mode 0600 with these bytes, whole or not at all; `known_in` as for `temporary_beside`."""
    with temporary_beside(path, known_in) as draft:
        draft.write_bytes(data)
        replace_file(draft, path)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove temporary files in `folder` that no living process uses, of this user only; return their paths. Idempotent."""
    removed: list[Path] = []
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(".") and SUFFIX in name)
    except OSError:  # there is no such folder, or it is not ours to read
        return removed
    for path, found in ((folder / name, _TEMPORARY.fullmatch(name)) for name in names):
        if not found:
            continue
        with contextlib.suppress(OSError):
            if path.is_symlink():
                elsewhere = Path(os.readlink(path))
                removed += [elsewhere] if _TEMPORARY.fullmatch(elsewhere.name) and _remove_if_free(elsewhere) else []
                if not os.path.lexists(elsewhere):
                    path.unlink()
            elif found[1] != path.name and not path.with_name(found[1]).exists():  # SQLite's, of a file that is gone
                path.unlink()
                removed.append(path)
            elif found[1] == path.name and _remove_if_free(path):
                removed.append(path)
    return removed


@dataclass(frozen=True, slots=True)
class WideMode:
    """A private file or folder that others may read; `FOLDER/*` stands for many files.

    `mended`: `after` is its mode now; else the operator has to set it.
    """

    path: Path
    before: int
    after: int
    mended: bool

    def __str__(self) -> str:
        """Return what was done, or is to be done.

        >>> str(WideMode(Path("var"), 0o755, 0o700, True)), str(WideMode(Path("a b/*"), 0o644, 0o640, False))
        ('others could read it: mode 0755 -> 0700', "others can read it, and it is not ours to change: chmod 0640 'a b'/*")
        """
        if self.mended:
            return f"others could read it: mode {self.before:04o} -> {self.after:04o}"
        name = "*" if self.path.name == "*" else shlex.quote(self.path.name)
        command = f"chmod {self.after:04o} {shlex.quote(str(self.path.parent))}/{name}"
        return f"others can read it, and it is not ours to change: {command}"


def narrow(path: Path, public: Container[Path] = (), *, given: bool = False) -> Iterator[WideMode]:
    """Take the rights of others from a file, or a folder and all that is in it; yield those that were too wide. Idempotent.

    What belongs to another user is only reported, and only where everybody may read it: its group may be how we do. The same
    holds for a secret that was `given` to us in a folder of another user; the group of one may be on purpose. Links are not
    followed; folders in `public` and static trees stay as they are; of a private folder with very many files only the first are
    looked at.
    """
    try:
        status = path.lstat()
        own = status.st_uid == os.geteuid() and (not given or path.parent.stat().st_uid == os.geteuid())
    except OSError:
        return
    folder = stat.S_ISDIR(status.st_mode)
    if stat.S_ISLNK(status.st_mode) or path in public or (folder and (path / STATIC_TREE).exists()):
        return
    mode = stat.S_IMODE(status.st_mode)
    after = mode & (FOLDER if own and (not given or status.st_gid == os.getegid()) else ~0o007)
    if mode != after:
        mended = False
        with contextlib.suppress(OSError):  # read-only, or without modes
            if own:
                path.chmod(after)
                mended = True
        yield WideMode(path, mode, after, mended)
    if folder:
        with contextlib.suppress(OSError), os.scandir(path) as entries:
            for entry in itertools.islice(entries, _LOOKED_AT if mode == FOLDER else None):
                yield from narrow(Path(entry.path), public)


def summarize(found: Iterable[WideMode]) -> list[WideMode]:
    """Return wide modes with one entry, `FOLDER/*`, for more than three alike in a folder."""
    alike: dict[WideMode, list[WideMode]] = {}
    for one in found:
        alike.setdefault(replace(one, path=one.path.with_name("*")), []).append(one)
    return [one for whole, several in alike.items() for one in ([whole] if len(several) > 3 else several)]


def _create_locked(path: Path) -> tuple[Path, int]:
    """Create a temporary file and lock it. Repeats where another process took it for a leftover before it was locked."""
    name = os.fsdecode(os.fsencode(path.name)[:_NAME_BYTES])
    while True:
        draft = path.with_name(f".{name}.{secrets.token_hex(6)}{SUFFIX}")
        descriptor = open_private(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        locked = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            locked = False
        except OSError:  # a file system without locks, where nobody takes it for a leftover either
            pass
        if locked and _is_same(draft, descriptor):
            return draft, descriptor
        os.close(descriptor)


def _remove_if_free(path: Path) -> bool:
    """Remove a file of this user whose lock no process holds; return whether it was."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is removed: see `_create_locked`
        free = is_ours(os.fstat(descriptor)) and _is_same(path, descriptor)
        if free:
            _remove(path)
        return free
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    for name in os.listdir(path.parent):
        if name.startswith(path.name) and (found := _TEMPORARY.fullmatch(name)) and found[1] == path.name:
            path.with_name(name).unlink(missing_ok=True)


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False


def is_ours(status: os.stat_result) -> bool:
    """Return whether this process may set the mode of a file."""
    return os.geteuid() in (0, status.st_uid)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
