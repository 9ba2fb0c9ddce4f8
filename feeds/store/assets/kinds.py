"""Say which files may be published beside articles, by name and content, and as what. Pure.

An allow-list: pictures, sound, video, PDF, archives, plain text, and nothing that a browser would run as a document of the
site. A drawing in SVG is on it where nothing in it acts, and is a download where it is opened by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .drawings import is_drawing

#: First bytes that tell what a file is. Text and drawings are looked through.
HEAD = 4096
#: A larger text or drawing is not looked through, and so not published.
MAX_TEXT = 8 * 1024 * 1024


class AssetKind(NamedTuple):
    """A kind of file. `fits` tells it by the first HEAD bytes, or by all where it is `whole`; a `download` is never shown."""

    media_type: str
    fits: Callable[[bytes], bool]
    whole: bool = False
    download: bool = False

    @property
    def is_medium(self) -> bool:
        """Whether it is sound or video."""
        return self.media_type.startswith(("audio/", "video/"))


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(b"RIFF") and head[8:12] == form


def _has_at(place: int, *signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures, place)


def _is_mpeg(head: bytes) -> bool:
    """Return whether a file begins with a tag or with a frame of MPEG audio."""
    return head.startswith(b"ID3") or (len(head) > 3 and head[0] == 0xFF and head[1] >= 0xE0)


_MARKUP = re.compile(r"<(?:!doctype|html|head|body|script|svg|\?xml|iframe|style)\b", re.IGNORECASE)


def _is_text(data: bytes) -> bool:
    """Return whether bytes are text in UTF-8 that does not begin like a document of markup."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return "\0" not in text and not _MARKUP.match(text.lstrip())


_ZIP = _begins(b"PK\x03\x04", b"PK\x05\x06")
_MP4 = _has_at(4, b"ftyp", b"moov", b"mdat", b"wide", b"free")
_OGG = _begins(b"OggS")
_EBML = _begins(b"\x1aE\xdf\xa3")
_TEXT = AssetKind("text/plain; charset=utf-8", _is_text, whole=True)
_OFFICE = "application/vnd.openxmlformats-officedocument."


def _archive(media_type: str, fits: Callable[[bytes], bool]) -> AssetKind:
    return AssetKind(media_type, fits, download=True)


#: By the end of the name, in lower case.
KINDS: Mapping[str, AssetKind] = {
    "png": AssetKind("image/png", _begins(b"\x89PNG\r\n\x1a\n")),
    "apng": AssetKind("image/apng", _begins(b"\x89PNG\r\n\x1a\n")),
    **dict.fromkeys(("jpg", "jpeg", "jfif"), AssetKind("image/jpeg", _begins(b"\xff\xd8\xff"))),
    "gif": AssetKind("image/gif", _begins(b"GIF87a", b"GIF89a")),
    "webp": AssetKind("image/webp", _riff(b"WEBP")),
    "avif": AssetKind("image/avif", _has_at(4, b"ftypavif", b"ftypavis")),
    "bmp": AssetKind("image/bmp", _begins(b"BM")),
    "ico": AssetKind("image/x-icon", _begins(b"\0\0\1\0")),
    "svg": AssetKind("image/svg+xml; charset=utf-8", is_drawing, whole=True, download=True),
    "mp3": AssetKind("audio/mpeg", _is_mpeg),
    "aac": AssetKind("audio/aac", _is_mpeg),
    **dict.fromkeys(("m4a", "m4b"), AssetKind("audio/mp4", _MP4)),
    "flac": AssetKind("audio/flac", _begins(b"fLaC", b"ID3")),
    "wav": AssetKind("audio/wav", _riff(b"WAVE")),
    **dict.fromkeys(("ogg", "oga", "opus"), AssetKind("audio/ogg", _OGG)),
    "ogv": AssetKind("video/ogg", _OGG),
    **dict.fromkeys(("mp4", "m4v"), AssetKind("video/mp4", _MP4)),
    "mov": AssetKind("video/quicktime", _MP4),
    "weba": AssetKind("audio/webm", _EBML),
    "webm": AssetKind("video/webm", _EBML),
    "mkv": AssetKind("video/x-matroska", _EBML),
    "pdf": AssetKind("application/pdf", _begins(b"%PDF-")),
    "zip": _archive("application/zip", _ZIP),
    "epub": _archive("application/epub+zip", _ZIP),
    "odt": _archive("application/vnd.oasis.opendocument.text", _ZIP),
    "ods": _archive("application/vnd.oasis.opendocument.spreadsheet", _ZIP),
    "odp": _archive("application/vnd.oasis.opendocument.presentation", _ZIP),
    "docx": _archive(f"{_OFFICE}wordprocessingml.document", _ZIP),
    "xlsx": _archive(f"{_OFFICE}spreadsheetml.sheet", _ZIP),
    "pptx": _archive(f"{_OFFICE}presentationml.presentation", _ZIP),
    **dict.fromkeys(("gz", "tgz"), _archive("application/gzip", _begins(b"\x1f\x8b"))),
    **dict.fromkeys(("bz2", "tbz"), _archive("application/x-bzip2", _begins(b"BZh"))),
    **dict.fromkeys(("xz", "txz"), _archive("application/x-xz", _begins(b"\xfd7zXZ\0"))),
    "zst": _archive("application/zstd", _begins(b"\x28\xb5\x2f\xfd")),
    "7z": _archive("application/x-7z-compressed", _begins(b"7z\xbc\xaf\x27\x1c")),
    "tar": _archive("application/x-tar", _has_at(257, b"ustar")),
    **dict.fromkeys(("txt", "text", "csv", "tsv", "log", "diff", "patch", "srt", "vtt", "bib"), _TEXT),
}


def kind_of(name: str) -> AssetKind | None:
    """Return the kind of file that a name promises; None for one that is not published.

    >>> [found.media_type if (found := kind_of(name)) else None for name in ("a.PNG", "a.html", "a.png.js", ".png", "png")]
    ['image/png', None, None, None, None]
    """
    stem, _dot, suffix = name.rpartition(".")
    return KINDS.get(suffix.lower()) if stem else None
