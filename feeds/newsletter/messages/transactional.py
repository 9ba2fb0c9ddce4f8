"""Single mails: the confirmation that a sign-up asks for, the receipt with a subscriber's own links. Whole, into the outbox.

Rendered from `confirm.*` and `receipt.*` (subject, html, txt), the operator's templates first. A confirmation names nothing
that whoever filled in the form has written, so that nobody can send words of his own with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import sqlalchemy as sa

from ... import i18n
from ...config.models import Config
from ...database.tables import outbox
from ...errors import FeedsError
from ..subscribers.address import Mailbox
from .mime import POLICY, plain

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class LetterError(FeedsError):
    """A template of a mail is faulty; names the file and the line."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`data` is a whole message in ASCII; `recipient` the envelope's."""

    recipient: str
    message_id: str
    data: str


def post(connection: sa.Connection, letters: Sequence[Letter], now: int) -> None:
    """Into the outbox, to be sent with the next round."""
    rows = [
        {
            "recipient": letter.recipient,
            "message_id": letter.message_id,
            "message": letter.data,
            "status": "pending",
            "attempts": 0,
            "next_at": now,
            "created": now,
            "reply": "",
        }
        for letter in letters
    ]
    if rows:
        connection.execute(sa.insert(outbox), rows)


def rhythm(config: Config, language: str, frequency: str, day: int) -> str:
    """How often and when, in words: `every Monday at 08:00`. `day` of weekly digests only."""
    cron = config.newsletter.cron(frequency, day)
    time = f"{cron.hour:02}:{cron.minute:02}"
    if frequency == "weekly":
        return i18n.translate(language, "every %(day)s at %(time)s") % {
            "day": i18n.translate(language, DAYS[cron.day]),
            "time": time,
        }
    if frequency == "monthly":
        return i18n.translate(language, "on day %(day)s of every month at %(time)s") % {"day": cron.day, "time": time}
    return i18n.translate(language, "every day at %(time)s") % {"time": time}


@dataclass(slots=True)
class Letters:
    """Of one configuration. `folders`: where templates are looked for, the operator's first."""

    config: Config
    folders: Sequence[Path]
    _moulds: dict[tuple[str, int], _Mould] = field(default_factory=dict)

    def confirmation(self, mailbox: Mailbox, token: str, language: str, now: int) -> Letter:
        """Of `token` are made the link and the address that says "it was not me". Fast enough for many at a time."""
        mould = self._moulds.get((language, len(token))) or self._moulds.setdefault(
            (language, len(token)), self._mould(language, len(token))
        )
        message_id = self._message_id("confirm", token)
        fields = {"To": mailbox.envelope, "Message-ID": message_id, "Date": _date(now)}
        heads = "".join(f"{name}: {plain(name, value)}\r\n" for name, value in fields.items())
        return Letter(mailbox.envelope, message_id, heads + mould.cast(token))

    def _mould(self, language: str, length: int) -> _Mould:
        # Letters of base64 that no text has in a row; as long as the token, so that lines are broken alike.
        marker = ("Zq9xJ7vK" * (length // 8 + 1))[:length]
        values = {"link": f"{self._base}/confirm/{marker}", "hours": self.config.newsletter.confirm_hours}
        message = self._message("confirm", language, f"{self._base}/unsubscribe/{marker}", values)
        return _Mould.of(message.as_bytes().decode("ascii"), marker)

    def receipt(self, mailbox: Mailbox, token: str, language: str, wanted: Mapping[str, Sequence[str]], now: int) -> Letter:
        """`wanted`: how often and when, in words -> titles of selections; `token` of the subscriber's own links."""
        values = {"preferences": f"{self._base}/preferences/{token}", "unsubscribe": f"{self._base}/unsubscribe/{token}"}
        message = self._message("receipt", language, values["unsubscribe"], {**values, "wanted": wanted})
        message["To"] = Address(addr_spec=mailbox.envelope)
        message["Message-ID"] = self._message_id("receipt", f"{token}:{now}")
        message["Date"] = _date(now)
        return Letter(mailbox.envelope, message["Message-ID"], message.as_bytes().decode("ascii"))

    @property
    def _base(self) -> str:
        return self.config.site.base_url

    def _message_id(self, kind: str, text: str) -> str:
        """Of a hash: mail servers log message ids, and tokens are nobody else's business."""
        domain = self._sender().rpartition("@")[2].strip(">")
        return f"<{kind}.{hashlib.sha256(text.encode()).hexdigest()[:32]}@{domain}>"

    def _sender(self) -> str:
        return self.config.newsletter.confirmations_from or self.config.newsletter.sender

    def _message(self, template: str, language: str, unsubscribe: str, values: Mapping[str, Any]) -> EmailMessage:
        """Without the fields that differ from one recipient to the next."""
        tag = i18n.match_language(language)
        environment = self._environment(tag)
        found = [_render(environment, f"{template}.{end}", values) for end in ("subject", "txt", "html")]
        message = EmailMessage(policy=POLICY)
        message["From"] = _address(self._sender())
        message["Subject"] = plain("Subject", " ".join(found[0].split()))
        if self.config.newsletter.reply_to:
            message["Reply-To"] = _address(self.config.newsletter.reply_to)
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(found[1], cte="quoted-printable")
        message.add_alternative(found[2], subtype="html", cte="quoted-printable")
        message["Content-Language"] = tag  # `set_content` takes away what begins with Content-
        return message

    def _environment(self, language: str) -> jinja2.Environment:
        made = jinja2.Environment(
            loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(folder) for folder in self.folders]),
            undefined=jinja2.StrictUndefined,
            autoescape=jinja2.select_autoescape(("html",)),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        site = self.config.site
        made.globals.update(_=lambda text: i18n.translate(language, text, context=i18n.MAIL), language=language, site=site)
        made.globals.update(chinese=language == "zh-CN")
        made.globals.update(postal_address=self.config.newsletter.postal_address)
        return made


def _date(now: int) -> str:
    return format_datetime(datetime.fromtimestamp(now, UTC))


def _address(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(display_name=name, addr_spec=address)


def _render(environment: jinja2.Environment, name: str, values: Mapping[str, Any]) -> str:
    try:
        return environment.get_template(name).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise LetterError(f"{error.filename or name}:{error.lineno}: {error.message}") from None
    except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
        raise LetterError(f"{name}:{_line_of(error)}: {error}".splitlines()[0]) from None


def _line_of(error: Exception) -> int:
    """The line of the template, which Jinja2 puts into the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith((".subject", ".txt", ".html")):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


@dataclass(frozen=True, slots=True)
class _Mould:
    """A message cut where its token stands. A token may be broken by soft line ends of quoted-printable; they stay in place."""

    pieces: tuple[str, ...]
    breaks: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, text: str, marker: str) -> _Mould:
        pattern = re.compile("(?:=\r\n)?".join(map(re.escape, marker)))
        pieces, breaks, end = [], [], 0
        for found in pattern.finditer(text):
            pieces.append(text[end : found.start()])
            parts = found[0].split("=\r\n")
            breaks.append(tuple(sum(map(len, parts[:number])) for number in range(len(parts) + 1)))
            end = found.end()
        return cls((*pieces, text[end:]), tuple(breaks))

    def cast(self, token: str) -> str:
        made = [self.pieces[0]]
        for piece, cuts in zip(self.pieces[1:], self.breaks, strict=True):
            made.append("=\r\n".join(token[start:stop] for start, stop in pairwise(cuts)))
            made.append(piece)
        return "".join(made)
