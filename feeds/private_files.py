"""Create files and folders that nobody else may read, whatever the umask, and temporary files beside their target.

A temporary file is `.NAME.RANDOM.feeds-tmp` in the folder of its target. The process that uses it holds a lock on it (flock):
a lock that is free shows that a killed process left the file behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
#: How the names of temporary files end.
SUFFIX = ".feeds-tmp"
#: A temporary file, or one that SQLite makes beside it.
_TEMPORARY = re.compile(rf"(\..+{re.escape(SUFFIX)})(?:-journal|-wal|-shm)?")
#: Files that SQLite makes beside a database, with the mode of the database.
SATELLITES = ("-journal", "-wal", "-shm")
#: Bytes of a target's name in the name of its temporary file: file systems allow 255 in all.
_NAME_BYTES = 200


def make_private_folder(path: Path, mode: int = FOLDER) -> Path:
    """Make a folder, and the ones above it that are missing, with this mode. The modes of existing folders stay. Idempotent."""
    if not path.is_dir():
        make_private_folder(path.parent, mode)
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.mkdir(mode)
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
            link.symlink_to(draft.absolute())
        yield draft
    finally:
        if _is_same(draft, descriptor):
            _remove(draft)
        if link:
            link.unlink(missing_ok=True)
        os.close(descriptor)


def replace_file(temporary: Path, target: Path) -> None:
    """Rename a complete file to `target`, whole or not at all, also by a power cut. A link is replaced, not followed."""
    _sync(temporary, os.O_RDONLY)
    temporary.replace(target)
    _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


def write_private(path: Path, data: bytes) -> None:
    """Replace a file by one of mode 0600 with these bytes, whole or not at all."""
    with temporary_beside(path) as draft:
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


def _create_locked(path: Path) -> tuple[Path, int]:
    """Create a temporary file and lock it. Repeats where another process took it for a leftover before it was locked."""
    name = os.fsdecode(os.fsencode(path.name)[:_NAME_BYTES])
    while True:
        draft = path.with_name(f".{name}.{secrets.token_hex(6)}{SUFFIX}")
        descriptor = open_private(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same(draft, descriptor):
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
    for suffix in ("", *SATELLITES):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


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
