"""Compose transactional messages: the confirmation that a sign-up asks for, the receipt with a subscriber's own links.

Rendered from `confirm.*`, `receipt.*` and `notice.*` (subject, html, txt), the operator's templates first, and put into the
outbox whole. A confirmation names nothing that was typed into the form, so that nobody can send words of their own with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import quoprimime
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ... import i18n
from ...config.models import Config
from ...database.tables import outbox
from ...model import Message
from ..subscribers.email_address import EmailAddress
from . import mime
from .templates import Templates, base_values

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Messages about the owner's own data -> the page that their link leads to, "" where they have none: the link itself, the
#: question to a new address, the word to the old one, and the last word after an erasure.
NOTICES = {"owner": "preferences", "address": "confirm", "moved": "", "erased": ""}
_LINE = 78  # of a body in quoted-printable, with the `=` of a soft break
_SOFT_BREAK = b"=\r\n"


def enqueue(connection: sa.Connection, messages: Sequence[Message], now: int) -> None:
    """Put messages into the outbox, to be sent with the next round; the outbox settles the envelope's sender then."""
    state = {"status": "pending", "attempts": 0, "next_at": now, "created": now, "reply": ""}
    rows = [
        {"recipient": one.recipient, "message_id": one.message_id, "message": one.data.decode("ascii"), **state}
        for one in messages
    ]
    if rows:
        connection.execute(sa.insert(outbox), rows)


def envelope_sender(config: Config) -> str:
    """Return where bounces of transactional messages go: the bounce mailbox, else who the message is from."""
    settings = config.newsletter
    return parseaddr(settings.bounces.address or settings.confirmations_from or settings.sender)[1]


def describe_schedule(config: Config, language: str, frequency: str, day: int) -> str:
    """Return how often and when a digest is sent, in words: `every Monday at 08:00`. `day` of weekly digests only."""
    cron = config.newsletter.cron(frequency, day)
    time = f"{cron.hour:02}:{cron.minute:02}"
    if frequency == "weekly":
        day_name = i18n.translate(language, DAYS[cron.day])
        return i18n.translate(language, "every %(day)s at %(time)s") % {"day": day_name, "time": time}
    if frequency == "monthly":
        return i18n.translate(language, "on day %(day)s of every month at %(time)s") % {"day": cron.day, "time": time}
    return i18n.translate(language, "every day at %(time)s") % {"time": time}


@dataclass(frozen=True, slots=True)
class OwnLinks:
    """Tokens of a subscriber's own links, one for each purpose."""

    preferences: str
    unsubscribe: str


@dataclass(frozen=True, slots=True)
class ConfirmationLinks:
    """Tokens of the mail that asks for confirmation, equally long: one confirms, one says "that was not me"."""

    confirm: str
    refuse: str


@dataclass(frozen=True, slots=True)
class _Content:
    """What a message says: header fields that are the same for all recipients, two encoded parts."""

    language: str
    fields: bytes
    text: bytes
    html: bytes

    def for_token(self, marker: str, token: str) -> _Content:
        """Return the content with a token, as long as the marker, in its places; soft line ends in a marker stay."""

        def insert(found: re.Match[bytes]) -> bytes:
            lines, at = [], 0
            for part in found[0].split(_SOFT_BREAK):
                lines.append(token[at : at + len(part)].encode("ascii"))
                at += len(part)
            return _SOFT_BREAK.join(lines)

        pattern = re.compile(rb"(?:=\r\n)?".join(re.escape(letter.encode()) for letter in marker))
        return _Content(self.language, *(pattern.sub(insert, part) for part in (self.fields, self.text, self.html)))


class TransactionalComposer:
    """Makes single messages of one configuration. `folders` of templates in order of preference, the operator's first.

    Raises TemplateFault for a faulty template, HeaderError for a setting that no header can carry.
    """

    def __init__(self, config: Config, folders: Sequence[Path]) -> None:
        self._config, self._templates = config, Templates(folders)
        self._sender = config.newsletter.confirmations_from or config.newsletter.sender
        self._with_markers: dict[tuple[str, int], _Content] = {}

    def confirmation(self, address: EmailAddress, links: ConfirmationLinks, language: str, now: int) -> Message:
        """Return the message with the link to confirm, and in its header the one that says "it was not me".

        Templates are rendered once for a language and a length of tokens: an import asks many at a time.
        """
        # Letters of base64 that no text has in a row; as long as the tokens, so that lines are broken alike.
        length = len(links.confirm)
        confirm, refuse = ((word * (length // 8 + 1))[:length] for word in ("Zq9xJ7vK", "Wk3yQ8zH"))
        known = self._with_markers.get((language, length))
        if known is None:
            base = self._config.site.base_url
            values = {"link": f"{base}/confirm/{confirm}", "hours": self._config.newsletter.confirm_hours}
            known = self._render("confirm", language, f"{base}/unsubscribe/{refuse}", values)
            self._with_markers[language, length] = known
        content = known.for_token(confirm, links.confirm).for_token(refuse, links.refuse)
        return self._build("confirm", links.confirm, content, address, now)

    def receipt(
        self,
        address: EmailAddress,
        links: OwnLinks,
        language: str,
        wanted: Mapping[str, Sequence[str]],
        now: int,
        *,
        is_changed: bool = False,
    ) -> Message:
        """Return the message that says what is `wanted` (schedule in words -> titles), with the subscriber's own links.

        With `is_changed`, it also says that this was changed just now, and how to undo that.
        """
        base = self._config.site.base_url
        values = {
            "preferences": f"{base}/preferences/{links.preferences}",
            "unsubscribe": f"{base}/unsubscribe/{links.unsubscribe}",
        }
        shown = {**values, "wanted": wanted, "changed": now if is_changed else 0}
        content = self._render("receipt", language, values["unsubscribe"], shown)
        return self._build("receipt", f"{links.preferences}:{now}", content, address, now)

    def notice(
        self, kind: str, recipient: EmailAddress, language: str, now: int, *, link: str = "", address: str = ""
    ) -> Message:
        """Return a message of one of NOTICES, with the token of its `link`; `address` is what it speaks of, masked.

        It has no link to unsubscribe: nothing of the kind is sent unless its recipient asks for it, or the old address's owner.
        """
        page = f"{self._config.site.base_url}/{NOTICES[kind]}/{link}" if link and NOTICES[kind] else ""
        values = {"kind": kind, "link": page, "address": address, "hours": self._config.newsletter.confirm_hours}
        content = self._render("notice", language, "", values)
        return self._build(kind, f"{link}:{recipient.mailbox}:{now}", content, recipient, now)

    def _render(self, name: str, language: str, unsubscribe: str, values: Mapping[str, Any]) -> _Content:
        site, settings = self._config.site, self._config.newsletter
        language = i18n.match_language(language)
        known = base_values(language, self._config.zone) | {"site": site, "postal_address": settings.postal_address}
        known |= {"chinese": language == "zh-CN", **values}
        subject, text, html = (self._templates.render(f"{name}.{end}", known) for end in ("subject", "txt", "html"))
        fields = [mime.folded_field("From", self._sender), mime.folded_field("Subject", " ".join(subject.split()))]
        if settings.reply_to:
            fields.append(mime.folded_field("Reply-To", settings.reply_to))
        if unsubscribe:
            fields.append(mime.token_field("List-Unsubscribe", f"<{unsubscribe}>"))
            fields.append(mime.token_field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        fields += [
            b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n",
        ]
        return _Content(language, b"".join(fields), _encode("plain", text), _encode("html", html, b"MIME-Version: 1.0\r\n"))

    def _build(self, kind: str, text: str, content: _Content, address: EmailAddress, now: int) -> Message:
        """Return the message, whose Message-ID is a hash of `text`: mail servers log message ids, and tokens are secret.

        The boundary is made of the Message-ID, so that equal input gives equal bytes.
        """
        domain = self._sender.rpartition("@")[2].strip(">")
        message_id = f"<{kind}.{hashlib.sha256(text.encode()).hexdigest()[:32]}@{domain}>"
        boundary = f"{'=' * 15}{int(hashlib.sha256(message_id.encode()).hexdigest()[:15], 16):019}==".encode("ascii")
        identity = mime.token_field("Message-ID", message_id), mime.date_field(now)
        shared = content.fields, mime.MULTIPART % boundary, b"Content-Language: %b\r\n" % content.language.encode("ascii")
        if kind == "confirm":
            fields = mime.token_field("To", address.envelope), *identity, *shared
        else:
            fields = *shared, mime.folded_field("To", address.envelope), *identity
        envelope = mime.Envelope(envelope_sender(self._config), address.envelope, message_id, now, boundary)
        return mime.build_message(envelope, fields, [content.text], [content.html])


def _encode(subtype: str, text: str, fields: bytes = b"") -> bytes:
    """Return a part in quoted-printable; `fields` are further header fields of it."""
    plain = b"\n".join(text.encode("utf-8").splitlines()) + b"\n"
    body = quoprimime.body_encode(plain.decode("latin-1"), _LINE).replace("\n", "\r\n")
    head = b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n%b\r\n'
    return head % (subtype.encode("ascii"), fields) + body.encode("ascii")
