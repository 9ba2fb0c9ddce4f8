"""What an export wrote, remembered beside the tree: the mark of every file, so that the next one need look at nothing else.

A mark is made of all that decides a file's bytes. It is taken away before the file is written and put back after, so what an
interrupted export was about to write is written by the next one, whatever became of it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import FeedsError

#: Raise it when what a row means changes; manifests of another form are begun anew.
FORM = 1
#: Of a file that an export was about to write.
UNFINISHED = ""
#: Of a folder that has to be looked into.
UNKNOWN = -1

_TABLES = """
CREATE TABLE files (path TEXT PRIMARY KEY, mark TEXT NOT NULL, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE folders (path TEXT PRIMARY KEY, stamp INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Done(NamedTuple):
    """A file with all of its codings is as it should be. `content` is the digest of its bytes."""

    path: str
    mark: str
    content: str


class Manifest:
    """A file of SQLite, in the hands of one export at a time. Reading it changes nothing on the disk."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        # A killed process leaves a journal that the next one plays back; a power cut may leave less, which is told below.
        self._connection.execute("PRAGMA synchronous=OFF")
        form = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if form != FORM:
            self._begin_anew()

    def _begin_anew(self) -> None:
        with self._transaction():
            for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                self._connection.execute(f'DROP TABLE "{name}"')
            for statement in filter(None, map(str.strip, _TABLES.split(";"))):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version={FORM}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()

    def marks(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT path, mark FROM files"))

    def contents(self, paths: Iterable[str]) -> dict[str, str]:
        known = dict(self._connection.execute("SELECT path, content FROM files"))
        return {path: known[path] for path in paths if known.get(path)}

    def folders(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT path, stamp FROM folders"))

    def noted(self, name: str) -> str:
        """`open`: an export is writing, or was cut off. `packed`: there are, or may be, files of other codings.

        `whole`: the mark of all leaves, `files`: how many files they are; both only where everything is as it should be.
        """
        row = self._connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def begin(self, paths: Iterable[str], folders: Iterable[str], *, packed: bool) -> None:
        """Files that will be written or removed, and the folders that they are in."""
        with self._transaction():
            self._connection.execute("DELETE FROM state WHERE name = 'whole'")
            notes = {"open": "1"} | ({"packed": "1"} if packed else {})
            self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", notes.items())
            rows = [(path, UNFINISHED) for path in paths]
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, '')", rows)
            self._connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?)", [(f, UNKNOWN) for f in folders])

    def done(self, rows: Iterable[Done]) -> None:
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)

    def finish(self, removed: Iterable[str], folders: Mapping[str, int], unfinished: Iterable[str], *, packed: bool) -> None:
        """`folders` with their stamps, UNKNOWN for those that are no more."""
        with self._transaction():
            gone = [(path,) for path in removed]
            self._connection.executemany("DELETE FROM files WHERE path = ?", gone)
            self._connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?)", folders.items())
            self._connection.execute("DELETE FROM folders WHERE stamp = ?", (UNKNOWN,))
            self._connection.executemany(
                "UPDATE files SET mark = '', content = '' WHERE path = ?", [(path,) for path in unfinished]
            )
            self._connection.execute("DELETE FROM state WHERE name = 'open'")
            if not packed:
                self._connection.execute("DELETE FROM state WHERE name = 'packed'")

    def settle(self, whole: str, files: int) -> None:
        """Everything is as the mark `whole` says."""
        with self._transaction():
            rows = {"whole": whole, "files": str(files)}
            self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", rows.items())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Manifest]:
    """Raises FeedsError where it cannot be used."""
    manifest = None
    try:
        manifest = Manifest(path)
        yield manifest
    except sqlite3.Error as error:
        raise FeedsError(f"{path}: cannot be used ({error}); remove it to export everything anew") from None
    finally:
        if manifest is not None:
            manifest.close()
