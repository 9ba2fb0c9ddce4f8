"""A folder as the place of a static tree. Law: whoever reads a file there finds all of it or none, old or new.

Files are written aside and renamed into place, and only where their bytes differ. No two contents of a file have the same
time stamp in seconds, so validators made of time and size, as web servers make them, are strong.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import FeedsError
from .leaves import OWN, File, names_of
from .manifest import UNKNOWN, Manifest, opened

MANIFEST = f"{OWN}/manifest.db"
_LOCK = f"{OWN}/lock"
_ASIDE = f"{OWN}/aside"


@dataclass(frozen=True, slots=True)
class Folder:
    """Pickled into the processes that write."""

    root: str
    alone = True

    @property
    def name(self) -> str:
        return self.root

    @contextlib.contextmanager
    def held(self) -> Iterator[tuple[Manifest, Callable[[], None]]]:
        """One export at a time; another one waits. What a killed one left aside is cleared away."""
        try:
            self._at(_ASIDE).mkdir(parents=True, exist_ok=True)
            lock = os.open(self._at(_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._fault(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self._at(_ASIDE).iterdir():
                left.unlink()
            with opened(self._at(MANIFEST)) as manifest:
                yield manifest, lambda: None  # it is where it belongs
        finally:
            os.close(lock)

    def absent(self, manifest: Manifest, codings: Collection[str]) -> set[str]:
        """Paths of which a file is not there any more. Folders as the last export left them need no look inside."""
        stale = {folder for folder, stamp in manifest.folders().items() if stamp == UNKNOWN or self._stamp(folder) != stamp}
        if not stale:
            return set()
        inside = {folder: self._names(folder) for folder in stale}
        return {
            path
            for path in manifest.marks()
            if (folder := _folder(path)) in stale
            and not inside[folder].issuperset(name.rpartition("/")[2] for name in names_of(path, codings))
        }

    def _names(self, folder: str) -> set[str]:
        try:
            return set(os.listdir(self._at(folder)))
        except OSError:
            return set()

    def stamps(self, folders: Iterable[str]) -> dict[str, int]:
        return {folder: stamp for folder in folders if (stamp := self._stamp(folder)) != UNKNOWN}

    def _stamp(self, folder: str) -> int:
        try:
            return os.stat(self._at(folder)).st_mtime_ns
        except OSError:
            return UNKNOWN

    # -- files -------------------------------------------------------------

    def put(self, files: Iterable[File]) -> int:
        """How many were not as they are now."""
        try:
            return sum(self._put(file) for file in files)
        except OSError as error:
            raise self._fault(error) from None

    def _put(self, file: File) -> bool:
        target = self._at(file.name)
        before = _bytes(target)
        if before == file.data:
            return False
        aside = self._at(f"{_ASIDE}/{os.getpid()}")
        aside.write_bytes(file.data)
        if before is not None:
            _make_younger(aside, os.stat(target).st_mtime)
        try:
            aside.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(target)
        return True

    def remove(self, paths: Iterable[str], codings: Collection[str]) -> int:
        """Only below the folder, whatever the manifest says; folders that are empty then go, too."""
        removed = 0
        root = Path(self.root).resolve()
        for path in paths:
            if root not in self._at(path).parent.resolve().joinpath("x").parents:
                continue
            for name in names_of(path, codings):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    self._at(name).unlink()
                    removed += 1
            self._prune(_folder(path))
        return removed

    def _prune(self, folder: str) -> None:
        while folder:
            try:
                self._at(folder).rmdir()
            except OSError:
                return
            folder = _folder(folder)

    def _at(self, path: str) -> Path:
        return Path(self.root, path)

    def _fault(self, error: OSError) -> FeedsError:
        return FeedsError(f"{error.filename2 or error.filename or self.root}: {error.strerror}")


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _make_younger(path: Path, than: float) -> None:
    """By a second at least: web servers make ETag and Last-Modified of whole seconds."""
    if int(os.stat(path).st_mtime) <= int(than):
        os.utime(path, (int(than) + 1, int(than) + 1))
