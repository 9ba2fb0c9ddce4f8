"""Messages as bytes: header fields that survive Python's folding, and the check that nothing smuggles a line into one."""

from __future__ import annotations

import base64
import email.policy
import re
from email.utils import parseaddr
from typing import Any

import idna

from ...errors import FeedsError

#: Fields of structured tokens (RFC 2369, 2919, 8058, 5322). Python's folding encodes any of them that is longer than a line
#: (python/cpython#85725), and one-click unsubscribe is gone without an error: they are written as they are, in ASCII.
AS_IS = frozenset(
    (
        "list-id",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "list-archive",
        "list-help",
        "list-owner",
        "list-post",
        "list-subscribe",
        "message-id",
        "references",
        "in-reply-to",
        "feedback-id",
    )
)
CRLF = "\r\n"
#: RFC 5322, 2.1.1: octets of a line, without its end.
MAX_LINE = 998
_WIDTH = 76  # of a line with encoded words: RFC 2047, 2
_FRAME = "=?utf-8?b?{}?="
_LOCAL = re.compile(r"(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


class HeaderError(FeedsError):
    """A value that no header field may have; its text names the field and not the value."""


class MailPolicy(email.policy.EmailPolicy):
    """RFC 5322 with CRLF line ends; what `AS_IS` names is neither folded nor encoded.

    Everything else is Python's: RFC 2047 words of at most 75 characters, each with whole characters in it.
    """

    def fold(self, name: str, value: Any) -> str:
        if name.lower() not in AS_IS:
            return str(super().fold(name, value))
        return f"{name}: {_token_line(name, str(value))}{self.linesep}"

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() not in AS_IS:
            return super().fold_binary(name, value)
        return self.fold(name, value).encode("ascii")


def _token_line(name: str, value: str) -> str:
    if not value.isascii() or len(name) + 2 + len(value) > MAX_LINE:
        raise HeaderError(f"{name} is not ASCII or is longer than {MAX_LINE} octets")
    return plain(name, value)


#: For every message of ours: CRLF line ends, 7 bits.
POLICY = MailPolicy(linesep="\r\n", cte_type="7bit")


def plain(name: str, value: str) -> str:
    """`value`, which holds no control character and no kind of line end; raises HeaderError (RFC 5322, 2.2; checklist M11)."""
    if _CONTROL.search(value):
        raise HeaderError(f"{name} holds a control character or a line break")
    return value


def text_field(name: str, value: str) -> bytes:
    """A field of free text with its CRLF: ASCII is folded at its blanks, everything else is RFC 2047 words.

    Python's own folding glued words together in some versions (python/cpython#144156), and takes text that looks like an
    encoded word for one; here text comes back as it went in, but for blanks, which are one space each.
    """
    text = " ".join(plain(name, value).split())
    words = text.split(" ")
    if not text.isascii() or "=?" in text or max(map(len, words)) > _WIDTH - 2 - len(name):
        return f"{name}: {encoded(text, len(name) + 2)}\r\n".encode("ascii")
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join([*lines, ""]).encode("ascii")


def token_field(name: str, value: str) -> bytes:
    """A field that must stay as it is, in one line."""
    return f"{name}: {_token_line(name, value)}\r\n".encode("ascii")


def phrase(name: str, value: str, used: int = 0) -> str:
    """A display name: quoted, or in encoded words after `used` characters of the line."""
    text = " ".join(plain(name, value).split())
    if text.isascii() and "=?" not in text and len(text) < 300:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return encoded(text, used)


def encoded(text: str, used: int = 0) -> str:
    """RFC 2047 words on folded lines of at most 76 characters, each word of whole characters."""
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


def mailbox_field(name: str, written: str) -> bytes:
    """`Name <local@domain>` as an operator wrote it, as a From, Reply-To or the like."""
    display, address = parseaddr(plain(name, written))
    bare = f"<{envelope(address)}>"
    if not display:
        return f"{name}: {bare}\r\n".encode("ascii")
    named = f"{name}: {phrase(name, display, len(name) + 2)}"
    short = len(named) + 1 + len(bare) <= _WIDTH
    return f"{named}{' ' if short else CRLF + ' '}{bare}\r\n".encode("ascii")


def envelope(address: str) -> str:
    """An address in ASCII, its domain in A-labels (RFC 5890). Raises HeaderError, also for a local part beyond ASCII (E1)."""
    local, _at, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise HeaderError("an address has a domain that the DNS cannot carry") from None
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain) or len(local) + len(domain) > 253:
        raise HeaderError("an address is not one that mail can be sent to")
    return f"{local}@{domain}"
