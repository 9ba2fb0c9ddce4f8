"""Parts of a message from pieces that were encoded beforehand: a message for one reader is a join of bytes.

Quoted-printable pieces end in a line break of their own or in a soft one, so that they can stand in any order. Base64 works on
groups of three octets: a piece is kept for each of the three places in a group where it may begin, and the few octets between
two pieces are encoded when they meet. What a reader decodes is exactly the pieces' text, one after the other.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable, Sequence
from functools import lru_cache

_LINE = 76  # RFC 2045, 6.7 (5) and 6.8
_LAST_UNIT = re.compile(rb"(?:=[0-9A-F]{2}|[^=])\Z")


#: What a piece is where a group of base64 still needs some octets: the octets that fill it, the encoded lines after it
#: (None where the piece is too short to fill it), what is left over, and how many octets that needs in turn.
_Cut = tuple[bytes, bytes | None, bytes, int]


class Piece:
    """Some text of a part, with CRLF line ends, in both encodings. What is personal is encoded only when it is needed."""

    __slots__ = ("_quoted", "cuts", "gain", "raw")

    def __init__(self, text: str, *, personal: bool = False) -> None:
        self.raw = text.encode("utf-8")
        if not personal or b"\n" in self.raw or b"\r" in self.raw:
            self.raw = self.raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        self._quoted: bytes | None = None
        #: By how many octets quoted-printable is the smaller one.
        self.gain = 0 if personal else len(self.raw) * 4 * (_LINE + 2) // (3 * _LINE) - len(self.quoted)
        self.cuts: list[_Cut | None] = [None, None, None]

    @property
    def quoted(self) -> bytes:
        if self._quoted is None:
            self._quoted = _quote(self.raw.replace(b"\r\n", b"\n"))
        return self._quoted

    def cut(self, need: int) -> _Cut:
        if len(self.raw) < need:
            found: _Cut = (self.raw, None, b"", need - len(self.raw))
        else:
            end = need + (len(self.raw) - need) // 3 * 3
            tail = self.raw[end:]
            # The first line leaves room for the four characters of the group that was filled.
            found = self.raw[:need], _lines(self.raw[need:end]) or (b"\r\n" if need else b""), tail, -len(tail) % 3
        self.cuts[need] = found
        return found


def quoted_printable(pieces: Iterable[Piece]) -> list[bytes]:
    return [piece.quoted for piece in pieces]


def base64(pieces: Iterable[Piece]) -> list[bytes]:
    found: list[bytes] = []
    carry, need = b"", 0
    for piece in pieces:
        head, lines, tail, following = piece.cuts[need] or piece.cut(need)
        if lines is None:
            carry += head
        else:
            if need:
                found.append(_group(carry + head))
            found.append(lines)
            carry = tail
        need = following
    if carry:
        found.append(_group(carry) + b"\r\n")
    return found


@lru_cache(8192)
def _group(octets: bytes) -> bytes:
    return b2a_base64(octets, newline=False)


def body(pieces: Sequence[Piece]) -> list[bytes]:
    """The whole of a part, to be joined: its Content-Transfer-Encoding, whichever is the smaller, and the encoded text."""
    if sum([piece.gain for piece in pieces]) >= 0:
        return [b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", *quoted_printable(pieces)]
    return [b"Content-Transfer-Encoding: base64\r\n\r\n", *base64(pieces)]


def text(pieces: Iterable[Piece]) -> str:
    """What a reader sees, with plain line ends."""
    return b"".join([piece.raw for piece in pieces]).decode("utf-8").replace("\r\n", "\n")


def _quote(plain: bytes) -> bytes:
    if not plain:
        return b""
    quoted = b2a_qp(plain, istext=True)
    if not quoted.endswith(b"\n"):
        last = quoted[quoted.rfind(b"\n") + 1 :]
        if len(last) >= _LINE:  # the last line may be full, and the soft break needs a place
            unit = _LAST_UNIT.search(last)
            assert unit is not None
            quoted = quoted[: len(quoted) - len(unit[0])] + b"=\n" + unit[0]
        quoted += b"=\n"
    return quoted.replace(b"\n", b"\r\n")


def _lines(octets: bytes) -> bytes:
    if not octets:
        return b""
    encoded = b2a_base64(octets, newline=False)
    first = _LINE - 4
    lines = [encoded[:first], *(encoded[at : at + _LINE] for at in range(first, len(encoded), _LINE)), b""]
    return b"\r\n".join(lines)
