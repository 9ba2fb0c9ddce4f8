"""Open files of a store that are published beside articles: no link is followed, and what is open is what is looked at."""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from ..bodies.picture_sizes import HEAD as PICTURE_HEAD
from ..bodies.picture_sizes import Size, picture_size
from ..walk import UNSETTLED, Stamp, file_stamp
from .kinds import HEAD, KINDS, MAX_TEXT, AssetKind, kind_of

#: What the path of all published files begins with.
FOLDER = "/files/"
#: The stamp of a file that is not there.
MISSING: Stamp = 0
#: A file as young as this may change again within the resolution of its time stamp; nanoseconds.
_UNSETTLED_NS = 2_000_000_000
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that an article refers to, as it was read; `path` is below its store. One that may be published has a `hash`.

    `data`: the bytes of a picture that the article itself contains, whose `path` is no file's. `pixels`: of a picture.
    """

    path: str
    stamp: Stamp
    hash: str = ""
    name: str = ""
    size: int = 0
    data: bytes | None = None
    pixels: Size | None = field(default=None, compare=False)

    @property
    def address(self) -> str:
        """The path of its address here: another one when its content changes."""
        return f"{FOLDER}{self.hash}/{quote(self.name, safe='')}"


def content_hash(parts: Iterable[bytes]) -> str:
    """Return the hash of a file's bytes that stands in its address: half of SHA-256."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:32]


def hash_of(descriptor: int, size: int) -> str:
    """Return the hash of the first `size` bytes of an open file."""
    return content_hash(os.pread(descriptor, min(_CHUNK, size - at), at) for at in range(0, size, _CHUNK))


def open_inside(root: str, path: str) -> int:
    """Open a file below the folder `root` and return its descriptor: it is a regular one, and no part of `path` is a link.

    Raises OSError. What `root` itself is may be a link.
    """
    *folders, name = parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise OSError(errno.ENOENT, "no path below the store")
    within = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
            os.close(within)
            within = inner
        # Asked before it is opened, too: to open a device may do something.
        _check_regular(os.stat(name, dir_fd=within, follow_symlinks=False))
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=within)
    finally:
        os.close(within)
    try:
        _check_regular(os.fstat(found))
    except OSError:
        os.close(found)
        raise
    return found


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "a folder, link, pipe, socket or device")


def current_stamp(root: str, path: str) -> Stamp:
    """Return the stamp of what is at a path below `root` now, which is not opened; MISSING where there is nothing."""
    try:
        return file_stamp(os.lstat(f"{root}/{path}"))
    except (OSError, ValueError):
        return MISSING


def read_asset(root: str, path: str, max_bytes: int, now_ns: int) -> tuple[Asset, str]:
    """Read a file below `root`; return it with "", or with the reason why it is not published, in words."""
    name = path.rpartition("/")[2]
    kind = kind_of(name)
    if kind is None:
        return Asset(path, MISSING), "its name ends like no file that is published"
    try:
        descriptor = open_inside(root, path)
    except (OSError, ValueError):
        stamp = current_stamp(root, path)
        return Asset(path, stamp), "" if stamp == MISSING else "it cannot be read, or is reached by a link, or is no file"
    try:
        status = os.fstat(descriptor)
        stamp, size = file_stamp(status), status.st_size
        if fault := _too_large(kind, size, max_bytes):
            return Asset(path, stamp), fault
        head = os.pread(descriptor, size if kind.whole else PICTURE_HEAD, 0)
        if not kind.fits(head if kind.whole else head[:HEAD]):
            return Asset(path, stamp), "it is not what its name says, or nothing that is published"
        hash = hash_of(descriptor, size)
        if file_stamp(os.fstat(descriptor)) != stamp:
            return Asset(path, UNSETTLED), "it is being written"
    finally:
        os.close(descriptor)
    settled = now_ns - status.st_mtime_ns > _UNSETTLED_NS
    return Asset(path, stamp if settled else UNSETTLED, hash, name, size, None, picture_size(head)), ""


def _too_large(kind: AssetKind, size: int, max_bytes: int) -> str:
    """Return in words why a file of so many bytes is not published, "" where it may be."""
    if size > max_bytes:
        return f"it is larger than {max_bytes} bytes (`files.max_bytes` in site.yaml, or what is left for one article)"
    if kind.whole and size > MAX_TEXT:
        return f"it is larger than {MAX_TEXT} bytes, as no text or drawing may be"
    return ""


#: As an author's tool writes a picture into an address; the type that it names does not count.
_DATA = re.compile(r"data:image/[a-z0-9.+-]{1,40}(?:;(?!base64,)[^,;]{0,100}){0,4}(;base64)?,", re.IGNORECASE)
#: A picture with no longer side keeps a place, or counts readers.
_POINT = 2
_NAMES = {"jpg": "picture.jpg", "png": "picture.png", "gif": "picture.gif", "webp": "picture.webp", "avif": "picture.avif"}


def read_data(address: str, max_bytes: int) -> Asset | None:
    """Return the picture that a `data:` address contains, by content; None for no picture, a drawing, a point."""
    match = _DATA.match(address)
    if match is None or len(address) > 4 * max_bytes:
        return None
    try:
        written = unquote_to_bytes(address[match.end() :])
        data = base64.b64decode(written + b"==") if match[1] else written  # what is no digit, as a blank, is passed over
    except (ValueError, binascii.Error):
        return None
    name = next((name for suffix, name in _NAMES.items() if KINDS[suffix].fits(data[:HEAD])), "")
    if not name or len(data) > max_bytes:
        return None
    size = picture_size(data[:PICTURE_HEAD])
    if size is not None and max(size) <= _POINT:
        return None
    hash = content_hash([data])
    return Asset(f"data:{hash}", MISSING, hash, name, len(data), data, size)
