"""What an SMTP server says: bytes, in whatever pieces they arrive, -> replies (RFC 5321, 4.2). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import FeedsError

#: RFC 5321 allows 512 octets a line; real servers write more. Beyond this it is no SMTP server.
MAX_LINE = 8192
MAX_LINES = 256
#: What of a reply is kept for the operator.
MAX_TEXT = 500
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


class ReplyError(FeedsError):
    """The other side does not speak SMTP; the connection is of no more use."""


class Reply(NamedTuple):
    """One whole reply; `lines` without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it in one printable line."""
        return one_line(f"{self.code} {' '.join(self.lines)}")

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def passing(self) -> bool:
        """4xx: another time."""
        return 400 <= self.code < 500


def one_line(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()[:MAX_TEXT]


class Replies:
    """Collects bytes; gives the replies that are complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = b""
        self._lines: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing is left over from the replies given so far."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Reply]:
        """Raises ReplyError; after that the connection must be closed."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ReplyError("a line without an end")
        found = (self._line(line.removesuffix(b"\r")) for line in lines)
        return [reply for reply in found if reply is not None]

    def _line(self, line: bytes) -> Reply | None:
        parts = _LINE.fullmatch(line)
        if parts is None or len(line) > MAX_LINE or (self._lines and parts[1] != self._code):
            raise ReplyError("not an SMTP reply: " + one_line(line[:100].decode("utf-8", "replace")))
        self._code = parts[1]
        self._lines.append((parts[3] or b"").decode("utf-8", "replace"))
        if parts[2] == b"-":
            if len(self._lines) >= MAX_LINES:
                raise ReplyError("a reply without an end")
            return None
        reply = Reply(int(self._code), tuple(self._lines))
        self._lines = []
        return reply
