"""Tell the width and height of a picture from its first bytes, so that a page leaves room for it. Pure.

Of PNG, JPEG, GIF, WebP, AVIF and BMP. Turned pictures have the size in which browsers show them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

Size = tuple[int, int]
#: Bytes of a file in which its size stands, but for JPEG files with very long notes of a camera.
HEAD = 256 * 1024
#: What a browser shows is no larger; a size beyond it is a mistake, or a trap for pages.
_MAX_SIDE = 65_500
#: Markers of JPEG that begin a frame: baseline, progressive and so on, without DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Those that stand alone, without a length.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
#: Values of Exif's orientation that swap width and height.
_TURNED = range(5, 9)


def picture_size(head: bytes) -> Size | None:
    """Return width and height in pixels by the first bytes of a file; None where they do not tell. Total: never raises.

    >>> picture_size(b"GIF89a" + bytes([0x20, 3, 0x58, 2, 0]))
    (800, 600)
    >>> picture_size(b"<html>") is None
    True
    """
    try:
        found = _find_size(head)
    except (struct.error, IndexError):  # it ends too early
        return None
    return found if found and 0 < found[0] <= _MAX_SIDE and 0 < found[1] <= _MAX_SIDE else None


def _find_size(head: bytes) -> Size | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack(">II", head[16:24])
    if head.startswith((b"GIF87a", b"GIF89a")):
        return struct.unpack("<HH", head[6:10])
    if head.startswith(b"\xff\xd8\xff"):
        return _of_jpeg(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _of_webp(head)
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return _of_avif(head)
    if head.startswith(b"BM"):
        width, height = struct.unpack("<ii", head[18:26])
        return width, abs(height)  # negative where the first row is the top one
    return None


def _of_jpeg(head: bytes) -> Size | None:
    """Return the size of the first frame, turned as Exif says."""
    at, is_turned = 2, False
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return (height, width) if is_turned else (width, height)
        (length,) = struct.unpack(">H", head[at + 2 : at + 4])
        if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
            is_turned = is_turned or _orientation(head[at + 10 : at + 2 + length]) in _TURNED
        at += 2 + max(length, 2)
    return None


def _orientation(tiff: bytes) -> int:
    """Return the orientation that Exif notes (1 to 8), 0 for none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 0
    (at,) = struct.unpack(f"{order}I", tiff[4:8])
    fields = tiff[at : at + 2]
    for number in range(min(struct.unpack(f"{order}H", fields)[0], 500) if len(fields) == 2 else 0):
        entry = tiff[at + 2 + 12 * number : at + 14 + 12 * number]
        if len(entry) == 12 and struct.unpack(f"{order}H", entry[:2])[0] == 0x0112:
            return int(struct.unpack(f"{order}H", entry[8:10])[0])
    return 0


def _of_webp(head: bytes) -> Size | None:
    form = head[12:16]
    if form == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if form == b"VP8L" and head[20] == 0x2F:
        (bits,) = struct.unpack("<I", head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _of_avif(head: bytes) -> Size | None:
    """Return the largest size among the parts of the picture (its tiles, a thumbnail), turned where any part is."""
    sizes = [struct.unpack(">II", head[match.end() + 4 : match.end() + 12]) for match in re.finditer(b"ispe", head[:16_384])]
    turned = re.search(b"\0\0\0\x09irot([\x01\x03\x05\x07])", head[:16_384], re.DOTALL) is not None
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return (height, width) if turned else (width, height)


# -- in a body -------------------------------------------------------------------

#: As the sanitizer writes it: quotes in values are escaped.
_PICTURE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>')
_SIDE = re.compile(r' (width|height)="([^"]*)"')


def with_sizes(body: str, sizes: Mapping[str, Size]) -> str:
    """Return sanitized HTML with width and height of pictures, by what stands in their `src`, where an author gave none.

    >>> with_sizes('<img src="/a.png" width="400"><img src="/b.png">', {"/a.png": (800, 600)})
    '<img src="/a.png" width="400" height="300"><img src="/b.png">'
    """

    def complete(match: re.Match[str]) -> str:
        source = re.search(r' src="([^"]*)"', match[1])
        size = sizes.get(source[1]) if source else None
        given = dict(_SIDE.findall(match[1]))
        if size is None or "height" in given or not given.get("width", "1").isdecimal():
            return match[0]
        width = int(given.get("width", size[0]))
        height = max(1, round(size[1] * width / size[0]))
        return f'<img{_SIDE.sub("", match[1])} width="{width}" height="{height}">'

    return _PICTURE.sub(complete, body)
