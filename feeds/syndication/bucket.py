"""A bucket of object storage (S3 and what speaks like it) as the place of a static tree, through obstore: extra `[s3]`.

A page lies at its very address (`tags/Linux`), as nothing looks for `tags/Linux.html` there; `.gz` and `.br` lie beside each
object with their Content-Encoding, for a CDN that chooses. The manifest is an object, too, replaced only by who read it last:
of two exports at once one is told so, and what both were about to write is written once more by the next.

obstore reads keys from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT ...); no message
of its own is shown, as servers quote keys in theirs.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..errors import FeedsError
from .leaves import CODINGS, OWN, TYPES, File, extension_of, key_of, names_of
from .manifest import Manifest, opened

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
            "Content-Type": TYPES.get(extension_of(file.path), "text/plain; charset=utf-8"),
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
