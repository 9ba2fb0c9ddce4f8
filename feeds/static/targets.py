"""Hold a static tree in a folder or in a bucket of object storage, with the manifest of what was written there.

Invariant of a folder: a reader of a file there finds all of it or none, old or new. Files are written aside and renamed into
place, and only where their bytes differ. No two contents of a file have the same time stamp in seconds, so validators made of
time and size, as web servers make them, are strong.

In a bucket (S3 and what speaks like it, through obstore: extra `[s3]`) a page lies at its very address (`tags/Linux`); `.gz`
and `.br` lie beside each object with their Content-Encoding, for a CDN that chooses. The manifest is an object, too, which is
replaced only over the version that was read: of two exports at once one gets an error, and the next writes what both were about
to. obstore reads keys from the environment (AWS_ACCESS_KEY_ID ...); its own messages are never shown, as servers quote keys in
theirs.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import FeedsError
from ..private_files import make_private_folder, open_private
from .files import ASSETS, CODINGS, OWN, Codings, EncodedFile, content_type_of, key_of

# -- the manifest ----------------------------------------------------------
#
# What an export wrote, beside the tree: the mark of every file, so that the next one need look at nothing else. A mark is taken
# away before the file is written and put back after, so the next export writes what an interrupted one was about to write.

#: Version of the tables; a manifest of another version is emptied. Raise it when what a row means changes.
VERSION = 1
#: Mark of a file that an export was about to write.
UNFINISHED = ""
#: Stamp of a folder that has to be looked into.
UNKNOWN = -1
MANIFEST = f"{OWN}/manifest.db"

_TABLES = """
CREATE TABLE files (path TEXT PRIMARY KEY, mark TEXT NOT NULL, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE folders (path TEXT PRIMARY KEY, stamp INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class WrittenFile(NamedTuple):
    """A file that is as it should be in all of its codings. `digest` is that of its bytes."""

    path: str
    mark: str
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A SQLite file that one export uses at a time. Reading it changes nothing on the disk."""

    _connection: sqlite3.Connection

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: str | Path, content: bytes | None = None) -> Iterator[Manifest]:
        """Open a manifest, or make an empty one; with `content`, one in memory. Raises FeedsError where it cannot be used."""
        connection = None
        try:
            connection = sqlite3.connect(path if content is None else ":memory:", isolation_level="IMMEDIATE")
            if content:
                connection.deserialize(content)
            # A killed process leaves a journal that the next one plays back; a power cut may leave less: SQLite reports that.
            connection.execute("PRAGMA synchronous=OFF")
            if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                        connection.execute(f'DROP TABLE "{name}"')
                    for statement in filter(None, map(str.strip, _TABLES.split(";"))):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version={VERSION}")
            yield cls(connection)
        except sqlite3.Error as error:
            raise FeedsError(f"{path}: cannot be used ({error}); remove it to export everything again") from None
        finally:
            if connection is not None:
                connection.close()

    def content(self) -> bytes:
        """Return the file, of a manifest in memory."""
        return self._connection.serialize()

    def marks(self) -> dict[str, str]:
        """Return the mark of every file, UNFINISHED for those that an export was about to write."""
        return dict(self._connection.execute("SELECT path, mark FROM files"))

    def paths_in(self, folder: str) -> list[str]:
        """Return the files in a folder, not those in folders below it."""
        query = "SELECT path FROM files WHERE path >= ? AND path < ?"
        ends = (f"{folder}/", f"{folder}0") if folder else ("", "\U0010ffff")  # a zero comes after a slash
        return [path for (path,) in self._connection.execute(query, ends) if path.rpartition("/")[0] == folder]

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the digests of the bytes that were written, where they are known."""
        known = dict(self._connection.execute("SELECT path, content FROM files"))
        return {path: known[path] for path in paths if known.get(path)}

    def folders(self) -> dict[str, int]:
        """Return the stamps of all folders."""
        return dict(self._connection.execute("SELECT path, stamp FROM folders"))

    def note(self, name: str) -> str:
        """Return a note, "" for none. `open`: an export is writing, or was cut off. `packed`: the codings that may exist.

        `whole`: the mark of the site, `files`: how many files it has; both only where everything is as it should be.
        """
        row = self._connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def begin(self, paths: Iterable[str], folders: Iterable[str], packed: str) -> None:
        """Record the files that will be written or removed, the folders that they are in, and the codings `packed`."""
        with self._connection:
            self._connection.execute("DELETE FROM state WHERE name = 'whole'")
            notes = {"open": "1", "packed": packed}
            self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", notes.items())
            rows = [(path, UNFINISHED) for path in paths]
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, '')", rows)
            self._connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?)", [(f, UNKNOWN) for f in folders])

    def done(self, files: Iterable[WrittenFile]) -> None:
        """Record files that were written."""
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", files)

    def finish(self, removed: Iterable[str], folders: Mapping[str, int], unfinished: Iterable[str], packed: str) -> None:
        """Record the end of an export; `folders` with their stamps, UNKNOWN for those that went; `packed` as above."""
        with self._connection:
            self._connection.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in removed])
            self._connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?)", folders.items())
            self._connection.execute("DELETE FROM folders WHERE stamp = ?", (UNKNOWN,))
            rows = [(path,) for path in unfinished]
            self._connection.executemany("UPDATE files SET mark = '', content = '' WHERE path = ?", rows)
            self._connection.execute("DELETE FROM state WHERE name = 'open'")
            self._connection.execute("INSERT OR REPLACE INTO state VALUES ('packed', ?)", (packed,))

    def settle(self, whole: str, files: int) -> None:
        """Record that everything is as the mark `whole` says."""
        with self._connection:
            rows = {"whole": whole, "files": str(files)}
            self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", rows.items())


# -- a folder --------------------------------------------------------------

#: Where files are written before they are renamed into place.
_ASIDE = f"{OWN}/aside"
#: Modes of what a web server of another user serves, whatever the umask: a static tree is public.
_READABLE_FILE, _READABLE_FOLDER = 0o644, 0o755


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as the target of an export. Pickled into the processes that write."""

    root: str
    alone = True

    @contextlib.contextmanager
    def open_manifest(self) -> Iterator[tuple[Manifest, Callable[[], None]]]:
        """Lock the folder, waiting for another export, and open its manifest. What a killed export left aside is removed."""
        try:
            make_private_folder(Path(self.root, OWN), _READABLE_FOLDER)
            make_private_folder(Path(self.root, _ASIDE))
            lock = open_private(Path(self.root, f"{OWN}/lock"))  # private: to open a file is enough to hold its lock
        except OSError as error:
            raise self._fault(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in Path(self.root, _ASIDE).iterdir():
                left.unlink()
            with contextlib.suppress(FileExistsError):  # for SQLite, with a mode of its own
                os.close(open_private(Path(self.root, MANIFEST), os.O_RDWR | os.O_CREAT | os.O_EXCL))
            with Manifest.open(Path(self.root, MANIFEST)) as manifest:
                yield manifest, lambda: None  # it is where it belongs
        finally:
            os.close(lock)

    def missing(self, manifest: Manifest, codings: Codings) -> set[str]:
        """Return paths of which a file does not exist any more. Folders as the last export left them need no look inside."""
        inside: dict[str, set[str]] = {}
        known = manifest.folders()
        stamps = self.stamps(known)
        for folder, stamp in known.items():
            if stamp == UNKNOWN or stamps.get(folder) != stamp:
                try:
                    inside[folder] = set(os.listdir(Path(self.root, folder)))
                except OSError:
                    inside[folder] = set()
        return {
            path
            for folder, names in inside.items()
            for path in manifest.paths_in(folder)
            if not names.issuperset(name.rpartition("/")[2] for name in codings.names_of(path))
        }

    def stamps(self, folders: Iterable[str]) -> dict[str, int]:
        """Return the time stamps of the folders that exist, in nanoseconds."""
        found: dict[str, int] = {}
        for folder in folders:
            with contextlib.suppress(OSError):
                found[folder] = os.stat(Path(self.root, folder)).st_mtime_ns
        return found

    def put(self, files: Iterable[EncodedFile]) -> int:
        """Write files; return how many were not as they are now."""
        written, aside = 0, Path(self.root, f"{_ASIDE}/{os.getpid()}")
        try:
            for file in files:
                target, before = f"{self.root}/{file.path}{CODINGS[file.coding]}", None
                with contextlib.suppress(FileNotFoundError, NotADirectoryError), open(target, "rb") as opened:
                    before = opened.read()
                if before == file.data:
                    continue
                with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _READABLE_FILE), "wb") as made:
                    os.fchmod(made.fileno(), _READABLE_FILE)
                    made.write(file.data)
                if before is not None:  # younger by a second at least: web servers make ETag and Last-Modified of seconds
                    seconds = int(os.stat(target).st_mtime)
                    if int(os.stat(aside).st_mtime) <= seconds:
                        os.utime(aside, (seconds + 1, seconds + 1))
                try:
                    aside.replace(target)
                except FileNotFoundError:
                    make_private_folder(Path(target).parent, _READABLE_FOLDER)
                    aside.replace(target)
                written += 1
        except OSError as error:
            raise self._fault(error) from None
        return written

    def remove(self, files: Iterable[tuple[str, str]]) -> int:
        """Remove files (path, coding), only below the folder whatever the manifest says, and folders that are empty then."""
        removed, root = 0, Path(self.root).resolve()
        for folder, inside in itertools.groupby(files, key=lambda file: file[0].rpartition("/")[0]):
            if root not in Path(self.root, folder).resolve().joinpath("x").parents:
                continue
            for path, coding in inside:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    Path(self.root, path + CODINGS[coding]).unlink()
                    removed += 1
            with contextlib.suppress(OSError):  # the first one that is not empty
                while folder:
                    Path(self.root, folder).rmdir()
                    folder = folder.rpartition("/")[0]
        return removed

    def _fault(self, error: OSError) -> FeedsError:
        return FeedsError(f"{error.filename2 or error.filename or self.root}: {error.strerror}")


# -- a bucket --------------------------------------------------------------

#: Objects that are written at once: each waits for the network.
_AT_ONCE = 16
#: Of what has another address when it changes.
_LASTING = "public, max-age=31536000, immutable"
_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?")
#: obstore's errors in words of our own.
_ERRORS = {
    "AlreadyExistsError": "another export has begun there meanwhile; what is unfinished is written by the next one",
    "PreconditionError": "another export has been there meanwhile; what is unfinished is written by the next one",
    "PermissionDeniedError": "permission denied",
    "UnauthenticatedError": "the keys in the environment are not accepted",
    "NotFoundError": "no such bucket",
    "FileNotFoundError": "no such bucket",
    "GenericError": "the storage cannot be reached, or answers with an error",
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as the target of an export. `prefix` without slashes around it; `max_age` in seconds."""

    bucket: str
    prefix: str
    max_age: int
    alone = False

    @classmethod
    def parse(cls, url: str, max_age: int) -> Bucket:
        """Parse s3://BUCKET/PREFIX. Raises FeedsError without repeating the address: the rest of it may be a secret."""
        found = _ADDRESS.fullmatch(url)
        if found is None:
            raise FeedsError("expected a folder or s3://BUCKET/PREFIX; keys and endpoint come from the environment (AWS_...)")
        return cls(found[1], (found[2] or "").strip("/"), max_age)

    @contextlib.contextmanager
    def open_manifest(self) -> Iterator[tuple[Manifest, Callable[[], None]]]:
        """Fetch the manifest; it is stored over the version that it was made from, or not at all."""
        content, meta = b"", None  # the latter of the object as it was read or written last; None where there was none
        with self._store() as (obstore, store), contextlib.suppress(FileNotFoundError):
            found = obstore.get(store, MANIFEST)
            content, meta = bytes(found.bytes()), found.meta

        with Manifest.open(MANIFEST, content) as manifest:

            def store_manifest() -> None:
                nonlocal meta
                version = {name: meta[name] for name in ("e_tag", "version") if meta and meta.get(name)}
                attributes = {"Content-Type": "application/octet-stream", "Cache-Control": "no-store"}
                options = {"attributes": attributes, "use_multipart": False, "mode": version or "create"}
                with self._store() as (obstore, store):
                    meta = obstore.put(store, MANIFEST, manifest.content(), **options)

            yield manifest, store_manifest

    def missing(self, manifest: Manifest, codings: Codings) -> set[str]:
        """Return nothing: listing a bucket takes longer than an export. `full` is there for that."""
        return set()

    def stamps(self, folders: Iterable[str]) -> dict[str, int]:
        """Return nothing: a bucket has no folders."""
        return {}

    def put(self, files: Iterable[EncodedFile]) -> int:
        """Write objects, several at a time; the first error ends it. Returns how many."""
        written, wanted = 0, iter(files)
        caching = f"public, max-age={self.max_age}, stale-while-revalidate=600, stale-if-error=86400"
        with self._store() as (obstore, store), ThreadPoolExecutor(_AT_ONCE) as threads:

            def put(file: EncodedFile) -> None:
                lasting = file.path.startswith(ASSETS)
                attributes = {"Content-Type": content_type_of(file.path), "Cache-Control": _LASTING if lasting else caching}
                if lasting and file.path.endswith(".svg"):
                    attributes["Content-Disposition"] = "attachment"
                if file.coding != "identity":
                    attributes["Content-Encoding"] = file.coding
                key = key_of(file.path) + CODINGS[file.coding]
                obstore.put(store, key, file.data, attributes=attributes, use_multipart=False)

            while some := list(itertools.islice(wanted, 2 * _AT_ONCE)):
                written += sum(1 for _done in threads.map(put, some))
        return written

    def remove(self, files: Iterable[tuple[str, str]]) -> int:
        """Remove objects (path, coding); return how many."""
        names = [key_of(path) + CODINGS[coding] for path, coding in files]
        with self._store() as (obstore, store):
            for start in range(0, len(names), 1000):
                obstore.delete(store, names[start : start + 1000])
        return len(names)

    @contextlib.contextmanager
    def _store(self) -> Iterator[tuple[Any, Any]]:
        """Yield obstore and its store. Errors are reported in our own words: kind and place, nothing that the server said."""
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise FeedsError("s3:// needs obstore: pip install 'feeds[s3]'") from None
        try:
            yield obstore, S3Store(self.bucket, prefix=self.prefix or None, retry_config=_RETRIES)
        except Exception as error:
            kind, place = type(error).__name__, f"s3://{self.bucket}/{self.prefix}".rstrip("/")
            if not (isinstance(error, OSError) or type(error).__module__.startswith("obstore")):
                raise
            raise FeedsError(f"{place}: {_ERRORS.get(kind, kind)}") from None
