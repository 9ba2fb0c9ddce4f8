"""Sizes of pictures, by their first bytes."""

from __future__ import annotations

import random
import struct

import pytest

from feeds.store.bodies.picture_sizes import picture_size


def jpeg(width: int, height: int, orientation: int = 0, order: str = "<") -> bytes:
    """Return the head of a JPEG file, with Exif where an orientation is given."""
    exif = b""
    if orientation:
        tiff = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIHHHIHH", 42, 8, 1, 0x0112, 3, 1, orientation, 0)
        exif = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    table = b"\xff\xdb" + struct.pack(">H", 67) + bytes(65)
    return b"\xff\xd8" + exif + table + b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)


def boxes(*inner: bytes) -> bytes:
    """Return the head of an AVIF file with some properties."""
    return b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf" + b"".join(inner)


def extent(width: int, height: int) -> bytes:
    return b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", width, height)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 800, 600), (800, 600)),
        (b"GIF87a" + struct.pack("<HH", 3, 4), (3, 4)),
        (b"BM" + bytes(16) + struct.pack("<ii", 5, -6), (5, 6)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (99).to_bytes(3, "little") + (49).to_bytes(3, "little"), (100, 50)),
        (b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 99 | 49 << 14), (100, 50)),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 100, 50), (100, 50)),
        (boxes(extent(64, 64), extent(800, 600)), (800, 600)),
        (boxes(extent(800, 600), b"\0\0\0\x09irot\x01"), (600, 800)),
        (jpeg(800, 600), (800, 600)),
        (jpeg(800, 600, 3), (800, 600)),
        (jpeg(800, 600, 6), (600, 800)),
        (jpeg(800, 600, 8, ">"), (600, 800)),
    ],
)
def test_a_picture_has_the_size_in_which_browsers_show_it(head: bytes, size: tuple[int, int]) -> None:
    assert picture_size(head) == size


def test_what_is_cut_off_or_senseless_has_no_size() -> None:
    whole = jpeg(800, 600, 6)
    assert not any(picture_size(whole[:length]) for length in range(len(whole) - 12))
    assert picture_size(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 4_000_000_000, 1)) is None
    assert picture_size(b"GIF89a\0\0\0\0") is None
    for start in (b"\xff\xd8\xff\xe1\0\x40Exif\0\0II*\0\x08\0\0\0", b"RIFF\0\0\0\0WEBPVP8L", b"\0\0\0\x20ftypavif", b"BM"):
        for seed in range(300):
            found = picture_size(start + random.Random(seed).randbytes(seed))
            assert found is None or min(found) > 0
