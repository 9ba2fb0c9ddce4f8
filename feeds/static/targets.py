"""A folder as the place of a static tree. Law: whoever reads a file there finds all of it or none, old or new.

Files are written aside and renamed into place, and only where their bytes differ. No two contents of a file have the same
time stamp in seconds, so validators made of time and size, as web servers make them, are strong.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..errors import FeedsError
from .files import CODINGS, OWN, File, content_type_of, key_of, names_of
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


# A bucket of object storage (S3 and what speaks like it) as the place of a static tree, through obstore: extra `[s3]`.
#
# A page lies at its very address (`tags/Linux`), as nothing looks for `tags/Linux.html` there; `.gz` and `.br` lie beside each
# object with their Content-Encoding, for a CDN that chooses. The manifest is an object, too, replaced only by who read it last:
# of two exports at once one is told so, and what both were about to write is written once more by the next.
#
# obstore reads keys from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT ...); no message
# of its own is shown, as servers quote keys in theirs.

_MANIFEST = f"{OWN}/manifest.db"
_AT_ONCE = 16
_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_FORM = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?")


@dataclass(frozen=True, slots=True)
class Bucket:
    """`prefix` without slashes around it. `max_age` in seconds."""

    bucket: str
    prefix: str
    max_age: int
    alone = False

    @classmethod
    def named(cls, url: str, max_age: int) -> Bucket:
        """Raises FeedsError. What else stands in the address may be a secret, so it is not repeated."""
        found = _FORM.fullmatch(url)
        if found is None:
            raise FeedsError("expected a folder or s3://BUCKET/PREFIX; keys and endpoint come from the environment (AWS_...)")
        return cls(found[1], (found[2] or "").strip("/"), max_age)

    @property
    def name(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    # -- the manifest ------------------------------------------------------

    @contextlib.contextmanager
    def held(self) -> Iterator[tuple[Manifest, Callable[[], None]]]:
        """A copy of the object here; it goes back over the version that it was made from, or not at all."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "manifest.db")
            version = self._told(lambda store: _fetch(store, copy))

            def keep() -> None:
                nonlocal version
                version = self._told(lambda store: _return(store, copy, version))

            with opened(copy) as manifest:
                yield manifest, keep

    def absent(self, manifest: Manifest, codings: Collection[str]) -> set[str]:
        """Nobody looks: listing a bucket takes longer than an export. `full` is there for that."""
        return set()

    def stamps(self, folders: Iterable[str]) -> dict[str, int]:
        return {}

    # -- objects -----------------------------------------------------------

    def put(self, files: Iterable[File]) -> int:
        wanted = list(files)
        if wanted:
            self._told(lambda store: _together(lambda file: self._put(store, file), wanted))
        return len(wanted)

    def _put(self, store: Any, file: File) -> None:
        import obstore

        key = key_of(file.path) + CODINGS[file.coding]
        obstore.put(store, key, file.data, attributes=self._attributes(file), use_multipart=False)

    def _attributes(self, file: File) -> dict[str, str]:
        found = {
            "Content-Type": content_type_of(file.path),
            "Cache-Control": f"public, max-age={self.max_age}, stale-while-revalidate=600, stale-if-error=86400",
        }
        return found if file.coding == "identity" else found | {"Content-Encoding": file.coding}

    def remove(self, paths: Iterable[str], codings: Collection[str]) -> int:
        import obstore

        names = [
            key_of(path) + CODINGS[coding]
            for path in paths
            for coding in codings
            if path + CODINGS[coding] in set(names_of(path, codings))
        ]
        for start in range(0, len(names), 1000):
            part = names[start : start + 1000]
            self._told(lambda store, part=part: obstore.delete(store, part))  # type: ignore[misc]
        return len(names)

    def _told(self, work: Callable[[Any], Any]) -> Any:
        """Faults in words of our own: kind and place, nothing that the other side said."""
        try:
            return work(self._store())
        except Exception as error:
            kind = type(error).__name__
            if not (isinstance(error, OSError) or type(error).__module__.startswith("obstore")):
                raise
            raise FeedsError(f"{self.name}: {_WORDS.get(kind, kind)}") from None

    def _store(self) -> Any:
        try:
            from obstore.store import S3Store
        except ImportError:
            raise FeedsError("s3:// needs obstore: pip install 'feeds[s3]'") from None
        return S3Store(self.bucket, prefix=self.prefix or None, retry_config=_RETRIES)


_Version = dict[str, str] | None


def _fetch(store: Any, copy: Path) -> _Version:
    import obstore

    try:
        found = obstore.get(store, _MANIFEST)
    except FileNotFoundError:
        return None
    copy.write_bytes(bytes(found.bytes()))
    return _version(found.meta)


def _return(store: Any, copy: Path, version: _Version) -> _Version:
    import obstore

    attributes = {"Content-Type": "application/octet-stream", "Cache-Control": "no-store"}
    mode: Any = version or "create"
    made = obstore.put(store, _MANIFEST, copy.read_bytes(), attributes=attributes, use_multipart=False, mode=mode)
    return _version(made)


def _version(meta: Any) -> _Version:
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}


_WORDS = {
    "AlreadyExistsError": "another export has begun there meanwhile; what is unfinished is written by the next one",
    "PreconditionError": "another export has been there meanwhile; what is unfinished is written by the next one",
    "PermissionDeniedError": "permission denied",
    "UnauthenticatedError": "the keys in the environment are not accepted",
    "NotFoundError": "no such bucket",
    "FileNotFoundError": "no such bucket",
    "GenericError": "the storage cannot be reached, or answers with an error",
}


def _together(work: Callable[[File], None], files: list[File]) -> None:
    """Several at a time: each waits for the network. The first fault ends it."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _done in threads.map(work, files):
            pass
