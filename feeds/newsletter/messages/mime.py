"""Build messages as bytes: header fields that no value can break a line of, encoded parts, and one builder that joins them.

Digests and transactional messages are built by `build_message`; they differ in their header fields and in what their parts say.
The parts of digests are joined from fragments that were encoded beforehand: a message for one reader is a join of bytes, which
takes 8-15 µs; encoding the joined text takes 400-700 µs.
"""

from __future__ import annotations

import base64
import email.policy
import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import format_datetime, parseaddr
from functools import lru_cache, partial

import idna

from ...errors import FeedsError
from ...model import Message
from .dkim import Signer

CRLF = "\r\n"
#: RFC 5322, 2.1.1: octets of a line, without its end.
MAX_LINE = 998
#: The Content-Type of a message in two alternatives, with a place for the boundary.
MULTIPART = b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n'
_WIDTH = 76  # of a line with encoded words: RFC 2047, 2
_FRAME = "=?utf-8?b?{}?="
_LOCAL = re.compile(r"(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_POLICY = email.policy.EmailPolicy(linesep=CRLF, cte_type="7bit")
_LINE = 76  # of a body: RFC 2045, 6.7 (5) and 6.8
_encode_group = lru_cache(8192)(partial(b2a_base64, newline=False))
_LAST_UNIT = re.compile(rb"(?:=[0-9A-F]{2}|[^=])\Z")
#: What a fragment is where a group of base64 still needs some octets: the octets that fill it, the encoded lines after it
#: (None where the fragment is too short to fill it), what is left over, and how many octets that needs in turn.
_Cut = tuple[bytes, bytes | None, bytes, int]


class HeaderError(FeedsError):
    """A value that no header field may have; its text names the field and not the value."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a message is from and for, in ASCII as in SMTP; `date` (UTC seconds) is also the signature's; `boundary` of parts."""

    sender: str
    recipient: str
    message_id: str
    date: int
    boundary: bytes


def build_message(
    envelope: Envelope, fields: Sequence[bytes], text: Sequence[bytes], html: Sequence[bytes], signer: Signer | None = None
) -> Message:
    """Return a message of header fields, each with its CRLF, a text part and an HTML part; signed with each key of `signer`.

    A part comes encoded, in bytes to be joined: its own header fields, an empty line, its body. A boundary that begins with
    `=_` or `==` cannot be a line of a part: base64 has no `--`, and quoted-printable has two hexadecimal digits after a `=`.
    """
    start = b"\r\n--%b\r\n" % envelope.boundary
    data = b"".join((*fields, start, *text, start, *html, b"\r\n--%b--\r\n" % envelope.boundary))
    if signer:
        data = signer.sign(data, envelope.date)
    return Message(envelope.sender, envelope.recipient, envelope.message_id, data)


def text_field(name: str, value: str) -> bytes:
    """Return a field of free text: ASCII is folded at its blanks, everything else is RFC 2047 words.

    Python's own folding glued words together in some versions (python/cpython#144156), and takes text that looks like an
    encoded word for one; here text comes back as it went in, except that each run of blanks is one space.

    >>> text_field("Subject", "New articles")
    b'Subject: New articles\\r\\n'
    """
    text = " ".join(_checked(name, value).split())
    words = text.split(" ")
    if not text.isascii() or "=?" in text or max(map(len, words)) > _WIDTH - 2 - len(name):
        return f"{name}: {_encode_words(text, len(name) + 2)}\r\n".encode("ascii")
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join([*lines, ""]).encode("ascii")


def token_field(name: str, value: str) -> bytes:
    """Return a field of structured tokens (RFC 2369, 2919, 8058, 5322), as it is, in one line of ASCII.

    Python's folding encodes those longer than a line (python/cpython#85725), and one-click unsubscribe is silently gone.
    """
    if not value.isascii() or len(name) + 2 + len(value) > MAX_LINE:
        raise HeaderError(f"{name} is not ASCII or is longer than {MAX_LINE} octets")
    return f"{name}: {_checked(name, value)}\r\n".encode("ascii")


def mailbox_field(name: str, written: str) -> bytes:
    """Return a From, Reply-To or the like of `Name <local@domain>`, as an operator wrote it."""
    display, address = parseaddr(_checked(name, written))
    bare = f"<{ascii_address(address)}>"
    if not display:
        return f"{name}: {bare}\r\n".encode("ascii")
    named = f"{name}: {phrase(name, display, len(name) + 2)}"
    return f"{named}{' ' if len(named) + 1 + len(bare) <= _WIDTH else CRLF + ' '}{bare}\r\n".encode("ascii")


def folded_field(name: str, value: str) -> bytes:
    """Return a Subject, or a field of one address, as Python's email package folds and encodes it."""
    display, address = parseaddr(value)
    content = _checked(name, value) if name == "Subject" else Address(display_name=display, addr_spec=address)
    return _POLICY.fold_binary(*_POLICY.header_store_parse(name, content))


@lru_cache(16)
def date_field(now: int) -> bytes:
    """Return the Date for UTC seconds."""
    return f"Date: {format_datetime(datetime.fromtimestamp(now, UTC))}\r\n".encode("ascii")


def phrase(name: str, value: str, used: int = 0) -> str:
    """Return a display name: quoted, or in encoded words after `used` characters of the line."""
    text = " ".join(_checked(name, value).split())
    if text.isascii() and "=?" not in text and len(text) < 300:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encode_words(text, used)


def _checked(name: str, value: str) -> str:
    """Return `value`, which holds no control character and no kind of line end (RFC 5322, 2.2; checklist M11)."""
    if _CONTROL.search(value):
        raise HeaderError(f"{name} holds a control character or a line break")
    return value


def _encode_words(text: str, used: int) -> str:
    """Return RFC 2047 words on folded lines of at most 76 characters, each word of whole characters."""
    words: list[bytes] = []
    chunk = b""
    for character in text:
        octets = character.encode("utf-8")
        room = _WIDTH - len(_FRAME.format("")) - (1 if words else used)
        if chunk and 4 * ((len(chunk) + len(octets) + 2) // 3) > room:
            words.append(chunk)
            chunk = b""
        chunk += octets
    words.append(chunk)
    return "\r\n ".join(_FRAME.format(base64.b64encode(word).decode()) for word in words)


def ascii_address(address: str) -> str:
    """Return an address in ASCII, its domain in A-labels (RFC 5890). Raises HeaderError, also for other scripts before the @.

    >>> ascii_address("reader@例子.中国")
    'reader@xn--fsqu00a.xn--fiqs8s'
    """
    local, _at, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise HeaderError("an address has a domain that the DNS cannot carry") from None
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain) or len(local) + len(domain) > 253:
        raise HeaderError("an address is not one that mail can be sent to")
    return f"{local}@{domain}"


class Fragment:
    """Some text of a part, with CRLF line ends, in both encodings. What is personal is encoded only when it is needed.

    In quoted-printable it ends in a line break of its own or in a soft one, so that fragments can stand in any order. Base64
    works on groups of three octets: a fragment is kept for each of the three places in a group where it may begin, and the few
    octets between two fragments are encoded when they meet. A reader decodes exactly the fragments' text, one after the other.
    """

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
        """The text in quoted-printable; its last line ends in a line break, a soft one where the text has none."""
        if self._quoted is None:
            quoted = b2a_qp(self.raw.replace(b"\r\n", b"\n"), istext=True)
            if quoted and not quoted.endswith(b"\n"):
                last = quoted[quoted.rfind(b"\n") + 1 :]
                if len(last) >= _LINE:  # the last line may be full, and the soft break needs a place
                    unit = _LAST_UNIT.search(last)
                    assert unit is not None
                    quoted = quoted[: len(quoted) - len(unit[0])] + b"=\n" + unit[0]
                quoted += b"=\n"
            self._quoted = quoted.replace(b"\n", b"\r\n")
        return self._quoted

    def cut(self, need: int) -> _Cut:
        """Return the fragment as it is where a group of base64 `need`s 0, 1 or 2 octets; kept in `cuts`."""
        if len(self.raw) < need:
            found: _Cut = (self.raw, None, b"", need - len(self.raw))
        else:
            end = need + (len(self.raw) - need) // 3 * 3
            tail, lines = self.raw[end:], b"\r\n" if need else b""
            if encoded := b2a_base64(self.raw[need:end], newline=False):
                # The first line leaves room for the four characters of the group that was filled.
                starts = range(_LINE - 4, len(encoded), _LINE)
                lines = b"\r\n".join([encoded[: _LINE - 4], *(encoded[at : at + _LINE] for at in starts), b""])
            found = self.raw[:need], lines, tail, -len(tail) % 3
        self.cuts[need] = found
        return found


def encode_part(subtype: str, fragments: Sequence[Fragment]) -> list[bytes]:
    """Return a part (`plain`, `html`) to be joined: its header fields and its body, in the encoding that is the smaller one."""
    quoted = sum([fragment.gain for fragment in fragments]) >= 0
    head = b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n"
    first = head % (subtype.encode("ascii"), b"quoted-printable" if quoted else b"base64")
    return [first, *([fragment.quoted for fragment in fragments] if quoted else encode_base64(fragments))]


def encode_base64(fragments: Iterable[Fragment]) -> list[bytes]:
    """Return a body in base64, to be joined."""
    found: list[bytes] = []
    carry, need = b"", 0
    for fragment in fragments:
        head, lines, tail, following = fragment.cuts[need] or fragment.cut(need)
        if lines is None:
            carry += head
        else:
            if need:
                found.append(_encode_group(carry + head))
            found.append(lines)
            carry = tail
        need = following
    if carry:
        found.append(_encode_group(carry) + b"\r\n")
    return found


def join_text(fragments: Iterable[Fragment]) -> str:
    """Return what a reader sees, with plain line ends."""
    return b"".join([fragment.raw for fragment in fragments]).decode("utf-8").replace("\r\n", "\n")
