"""The header fields of an issue's messages, and the envelope: RFC 5322, 2369 and 2919 (lists), 3834, 8058 (one click)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from ...config.models import Config
from ...model import Issue, Recipient
from ...tokens import Tokens
from . import mime


class Headers:
    """What is the same for every reader is written once. Raises HeaderError for a setting that no field can carry."""

    def __init__(self, config: Config, issue: Issue, tokens: Tokens) -> None:
        self._newsletter, self._tokens, self._issue = config.newsletter, tokens, issue
        self._domain = _domain(config.newsletter.sender)
        self._boundary = b'"=_%b"' % issue.id.encode("ascii")
        self._above = self._written_above(config)
        self._below = self._written_below(config)
        bounces = parseaddr(config.newsletter.bounces.address or config.newsletter.sender)[1]
        self._bounce_local, _, self._bounce_domain = mime.envelope(bounces).rpartition("@")

    def _written_above(self, config: Config) -> bytes:
        fields = [b"MIME-Version: 1.0\r\n", mime.mailbox_field("From", config.newsletter.sender)]
        if config.newsletter.reply_to:
            fields.append(mime.mailbox_field("Reply-To", config.newsletter.reply_to))
        return b"".join(fields)

    def _written_below(self, config: Config) -> bytes:
        issue, base = self._issue, config.site.base_url
        list_id = config.newsletter.list_id or mime.envelope(parseaddr(config.newsletter.sender)[1]).replace("@", ".")
        owner = parseaddr(config.newsletter.reply_to or config.newsletter.sender)[1]
        return b"".join(
            (
                _list_id(config.site.title, list_id),
                mime.token_field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                mime.token_field("List-Archive", f"<{base}/digests/>"),
                mime.token_field("List-Subscribe", f"<{base}/subscribe>"),
                mime.token_field("List-Owner", f"<mailto:{mime.envelope(owner)}>"),
                mime.token_field("List-Post", "NO"),
                b"Precedence: bulk\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n",
                mime.token_field("Feedback-ID", f"{issue.id}:{issue.frequency}:digest:{_sender_id(self._domain)}"),
                b"Content-Type: multipart/alternative;\r\n boundary=%b\r\n" % self._boundary,
            )
        )

    def write(
        self, recipient: Recipient, message_id: str, subject: bytes, language: str, links: Mapping[str, str], now: int
    ) -> bytes:
        """All fields, and the empty line after them."""
        return b"".join(
            (
                b"Date: %b\r\n" % _date(now),
                self._above,
                b"To: <%b>\r\n" % mime.envelope(recipient.address).encode("ascii"),
                subject,
                mime.token_field("Message-ID", message_id),
                mime.token_field("List-Unsubscribe", self._unsubscribe(links)),
                mime.token_field("List-Help", f"<{links['preferences']}>"),
                self._below,
                b"Content-Language: %b\r\n\r\n" % language.encode("ascii"),
            )
        )

    def _unsubscribe(self, links: Mapping[str, str]) -> str:
        mailto = parseaddr(self._newsletter.unsubscribe_mailto)[1]
        by_mail = f", <mailto:{mime.envelope(mailto)}?subject=unsubscribe%20{links['token']}>" if mailto else ""
        return f"<{links['unsubscribe']}>{by_mail}"

    def join(self, head: bytes, text: Sequence[bytes], html: Sequence[bytes]) -> bytes:
        """The message. No line of a part can be the boundary: neither encoding has `=_`."""
        boundary = b"--" + self._boundary.strip(b'"')
        first = b"%b%b\r\nContent-Type: text/plain; charset=utf-8\r\n" % (head, boundary)
        second = b"\r\n%b\r\nContent-Type: text/html; charset=utf-8\r\n" % boundary
        return b"".join((first, *text, second, *html, b"\r\n%b--\r\n" % boundary))

    def message_id(self, subscriber: int) -> str:
        """The same however often the message is made."""
        mac = self._tokens.salted(f"message-id {self._issue.id} {subscriber}")[:12]
        return f"<{self._issue.id}.{subscriber}.{mac}@{self._domain}>"

    def sender(self, subscriber: int) -> str:
        """The envelope's: what comes back to it says whom it was for (VERP)."""
        local = f"{self._bounce_local}+{self._tokens.bounce(self._issue.key, subscriber)}"
        if len(local) > 64:  # RFC 5321, 4.5.3.1.1
            raise mime.HeaderError("the local part of the bounce address is too long to carry a token")
        return f"{local}@{self._bounce_domain}"


@lru_cache(16)
def _date(now: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(now, UTC)).encode("ascii")


def _domain(sender: str) -> str:
    return mime.envelope(parseaddr(sender)[1]).rpartition("@")[2]


def _sender_id(domain: str) -> str:
    """For Google's reports: one word for this sender, the same for years."""
    return re.sub(r"[^a-z0-9]", "", domain.lower())[:15]


def _list_id(title: str, id: str) -> bytes:
    """`"Linux" <digest.example.org>`: the id in one piece, whatever the title needs."""
    written = mime.phrase("List-Id", title[:80], 9)
    return f"List-Id: {written}{' ' if len(written) + len(id) < 64 else mime.CRLF + ' '}<{id}>\r\n".encode("ascii")
