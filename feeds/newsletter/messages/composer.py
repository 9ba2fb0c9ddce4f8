"""Compose the messages of an issue, one for each reader, by joining fragments that were encoded once.

A composer belongs to one issue. What is the same for many readers is made when it is first needed: a part for each language and
time zone, a heading for each selection, a subject for each first article. Invariant: equal input gives equal bytes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ... import i18n, urls
from ...config.models import Config
from ...model import Issue, IssueArticle, IssueContent, Message, Recipient, Section
from ...tokens import Tokens
from ..issues.sections import arrange_sections, title_and_page
from . import mime
from .dkim import Signer
from .mime import Fragment
from .templates import FragmentTemplate, PartCutter, PartTemplate, SectionTitle, Templates, base_values

#: Octets of the HTML part: Gmail hides the end of a message, and with it the link to unsubscribe, from about 102 KB on.
MAX_HTML = 90_000
_TEASERS = 3
#: What differs from reader to reader; a template finds the first three in `links`.
_PERSONAL = ("browser", "preferences", "unsubscribe", "address", "changed")
#: Days in which a digest says that its reader's choices were changed: the next one of each frequency does.
_NOTICE_DAYS = {"daily": 2, "weekly": 8, "monthly": 32}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class MessagePreview:
    """A message as a person sees it."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class _Localized:
    """An issue in one language and time zone."""

    language: str
    values: Mapping[str, Any]
    html: PartTemplate
    text: PartTemplate


class DigestComposer:
    """Makes the messages of one issue. `folders` of templates in order of preference, the operator's first.

    Raises TemplateFault with the first message in a language whose template is faulty, HeaderError for an address or a setting
    that no header can carry.
    """

    def __init__(
        self, config: Config, content: IssueContent, tokens: Tokens, folders: Sequence[Path], signer: Signer | None = None
    ) -> None:
        self._config, self._tokens, self._signer = config, tokens, signer
        self._content = replace(content, articles=tuple(_clean(article) for article in content.articles))
        self._templates = Templates(folders)
        self._headers = DigestHeaders(config, content.issue, tokens)
        # One composer lives as long as its issue is sent; these bounds only keep a huge issue from filling the memory.
        self._localized = lru_cache(64)(self._localize)
        self._subject_field = lru_cache(10_000)(lambda *lead: mime.text_field("Subject", self._subject(*lead)))
        self._sections = lru_cache(10_000)(self._arrange)
        self._heading = lru_cache(20_000)(self._make_heading)

    def message(self, recipient: Recipient, now: int) -> Message:
        """Return the message of this issue to one reader; `now` is its Date (UTC seconds). Its id depends on neither."""
        localized, sections, values = self._prepare(recipient)
        text = mime.encode_part("plain", self._join(localized, localized.text, sections, values))
        html = mime.encode_part("html", self._join(localized, localized.html, sections, values))
        subject = self._subject_field(localized, *_lead(sections))
        envelope, fields = self._headers.write(recipient, now, subject, localized.language, values)
        return mime.build_message(envelope, fields, text, html, self._signer)

    def preview(self, recipient: Recipient, issued: int | None = None) -> MessagePreview:
        """Return what the message says, not encoded; its link to change it counts as made at `issued` (UTC seconds)."""
        localized, sections, values = self._prepare(recipient, issued)
        html, text = (mime.join_text(self._join(localized, one, sections, values)) for one in (localized.html, localized.text))
        return MessagePreview(self._subject(localized, *_lead(sections)), html, text)

    def _prepare(
        self, recipient: Recipient, issued: int | None = None
    ) -> tuple[_Localized, tuple[Section, ...], dict[str, str]]:
        """Return the issue in the reader's language, the reader's sections, and what is personal in the message."""
        localized = self._localized(i18n.match_language(recipient.language), recipient.timezone)
        base = self._config.site.base_url
        issued = self._content.issue.due if issued is None else issued
        own = self._tokens.preferences(recipient.subscriber, recipient.version, issued)
        leave = self._tokens.unsubscribe(recipient.subscriber)
        chosen = ".".join(map(str, recipient.selections))
        values = {
            "browser": f"{base}/digests/{self._content.issue.id}?reach={recipient.reach}&s={chosen}",
            "preferences": f"{base}/preferences/{own}",
            "unsubscribe": f"{base}/unsubscribe/{leave}",
            "address": _line(recipient.address),
            "token": leave,
            "changed": self._changed(localized, recipient),
        }
        return localized, self._sections(localized, recipient.reach, recipient.selections), values

    def _changed(self, localized: _Localized, recipient: Recipient) -> str:
        """Return the day on which the reader's choices were changed, if that was since the last digest, else ""."""
        issue = self._content.issue
        recently = recipient.changed > issue.due - _NOTICE_DAYS[issue.frequency] * 86400
        return str(localized.values["day"](recipient.changed)) if recipient.changed and recently else ""

    def _localize(self, language: str, timezone: str) -> _Localized:
        base, articles = self._config.site.base_url, self._content.articles
        zone = self._config.zone
        with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):  # one that has left the time zone database
            zone = ZoneInfo(timezone)
        values = base_values(language, zone) | {
            "site": self._config.site,
            "issue": self._content.issue,
            "postal_address": self._config.newsletter.postal_address.strip(),
            "links": {"home": f"{base}/", "archive": f"{base}/digests/"},
        }
        html, text = (PartCutter(self._templates.get(name), values).cut(articles) for name in ("digest.html", "digest.txt"))
        return _Localized(language, values, html, text)

    def _subject(self, localized: _Localized, first: int, count: int) -> str:
        values = {**localized.values, "count": count, "first": self._content.articles[first] if count else None}
        return " ".join(self._templates.render("digest.subject", values).split())

    def _make_heading(
        self, localized: _Localized, html: bool, selection: int, one: bool
    ) -> tuple[FragmentTemplate, FragmentTemplate]:
        """Return the heading of a section, linked where the selection has a page, and the line that counts what is left out."""
        title, path, own = title_and_page(self._config, self._content.queries.get(selection, ""), localized.language)
        page, feed = (urls.url(self._config.site.base_url, path, extension, own) if path else "" for extension in ("", ".atom"))
        section, part = SectionTitle(_line(title), page, feed), localized.html if html else localized.text
        return part.fill_macro("section", section, "many"), part.fill_macro("more", section, "one" if one else "many")

    def _arrange(self, localized: _Localized, reach: int, selections: tuple[int, ...]) -> tuple[Section, ...]:
        """Return as many articles as the settings allow and the HTML part has room for."""
        part, limit = localized.html, self._config.newsletter.max_articles
        while True:
            sections = arrange_sections(self._content, reach, selections, limit)
            ranks = [rank for section in sections for rank in section.ranks]
            headings = [self._heading(localized, True, section.selection, section.more == 1) for section in sections]
            size = part.frame.size + part.notice.size + sum(part.articles[rank].size for rank in ranks)
            size += sum(heading.size + more.size for heading, more in headings)
            if size <= MAX_HTML or not ranks:
                return sections
            limit = min(len(ranks) - 1, len(ranks) * MAX_HTML // size + 1)

    def _join(
        self, localized: _Localized, part: PartTemplate, sections: Sequence[Section], values: Mapping[str, str]
    ) -> list[Fragment]:
        """Return the fragments of one part for one reader."""
        personal = {name: Fragment(part.escape(values[name]), personal=True) for name in _PERSONAL}
        found: list[Fragment | str] = []
        for item in part.frame.items:
            if item == "content":
                for section in sections:
                    heading, more = self._heading(localized, part.html, section.selection, section.more == 1)
                    found += _counted(heading, section.more)
                    for rank in section.ranks:
                        found += part.articles[rank].items
                    if section.more:
                        found += _counted(more, section.more)
            elif item == "teasers":
                for rank in [rank for section in sections for rank in section.ranks][:_TEASERS]:
                    found += part.teasers[rank].items
            elif item == "tally":
                count = _lead(sections)[1]
                found += _counted(part.tally[count != 1], count)
            elif item == "notice":
                found += part.notice.items if values["changed"] else ()
            else:
                found.append(item)
        return [personal[item] if isinstance(item, str) else item for item in found]


def _counted(template: FragmentTemplate, count: int) -> Iterator[Fragment | str]:
    return (Fragment(str(count), personal=True) if item == "count" else item for item in template.items)


def _lead(sections: Sequence[Section]) -> tuple[int, int]:
    """Return the rank of the first article, and how many there are."""
    ranks = [rank for section in sections for rank in section.ranks]
    return (ranks[0] if ranks else -1), len(ranks)


def _clean(article: IssueArticle) -> IssueArticle:
    """Return an article with each text in one line, as subjects and text parts need it."""
    named: dict[str, Any] = {
        role: tuple(replace(credit, name=_line(credit.name)) for credit in getattr(article, role))
        for role in ("authors", "translators", "tags", "series")
    }
    return replace(article, title=_line(article.title), summary=_line(article.summary), **named)


def _line(text: str) -> str:
    return _CONTROL.sub("", " ".join(text.split()))


class DigestHeaders:
    """The envelopes and header fields of an issue: RFC 5322, 2369 and 2919 (lists), 3834, 8058 (one click).

    What is the same for every reader is written once. Raises HeaderError for a setting that no field can carry.
    """

    def __init__(self, config: Config, issue: Issue, tokens: Tokens) -> None:
        settings = config.newsletter
        self._tokens, self._issue = tokens, issue
        self._domain = _address(settings.sender).rpartition("@")[2]
        self._boundary = b"=_%b" % issue.id.encode("ascii")
        bounces = _address(settings.bounces.address or settings.sender)
        self._bounce_local, _, self._bounce_domain = bounces.rpartition("@")
        leave = parseaddr(settings.unsubscribe_mailto)[1]
        self._unsubscribe_mailto = f", <mailto:{mime.ascii_address(leave)}?subject=unsubscribe%20" if leave else ""
        self._above = b"MIME-Version: 1.0\r\n" + mime.mailbox_field("From", settings.sender)
        if settings.reply_to:
            self._above += mime.mailbox_field("Reply-To", settings.reply_to)
        # For Google's reports: one word for this sender, the same for years.
        sender_id = re.sub(r"[^a-z0-9]", "", self._domain.lower())[:15]
        base = config.site.base_url
        list_id = settings.list_id or _address(settings.sender).replace("@", ".")
        title = mime.phrase("List-Id", config.site.title[:80], 9)
        blank = " " if len(title) + len(list_id) < 64 else mime.CRLF + " "  # the id in one piece, whatever the title needs
        self._below = b"".join(
            (
                f"List-Id: {title}{blank}<{list_id}>\r\n".encode("ascii"),
                mime.token_field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                mime.token_field("List-Archive", f"<{base}/digests/>"),
                mime.token_field("List-Subscribe", f"<{base}/subscribe>"),
                mime.token_field("List-Owner", f"<mailto:{_address(settings.reply_to or settings.sender)}>"),
                mime.token_field("List-Post", "NO"),
                b"Precedence: bulk\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n",
                mime.token_field("Feedback-ID", f"{issue.id}:{issue.frequency}:digest:{sender_id}"),
                mime.MULTIPART % self._boundary,
            )
        )

    def write(
        self, recipient: Recipient, now: int, subject: bytes, language: str, links: Mapping[str, str]
    ) -> tuple[mime.Envelope, Sequence[bytes]]:
        """Return the envelope and all header fields of a message to a reader; `subject` is a whole field.

        The envelope's sender says whom the message was for (VERP). The Message-ID is the same however often it is made.
        """
        local = f"{self._bounce_local}+{self._tokens.bounce(self._issue.key, recipient.subscriber)}"
        if len(local) > 64:  # RFC 5321, 4.5.3.1.1
            raise mime.HeaderError("the local part of the bounce address is too long to carry a token")
        mac = self._tokens.salted(f"message-id {self._issue.id} {recipient.subscriber}")[:12]
        message_id = f"<{self._issue.id}.{recipient.subscriber}.{mac}@{self._domain}>"
        address = mime.ascii_address(recipient.address)
        by_mail = f"{self._unsubscribe_mailto}{links['token']}>" if self._unsubscribe_mailto else ""
        fields = (
            mime.date_field(now),
            self._above,
            b"To: <%b>\r\n" % address.encode("ascii"),
            subject,
            mime.token_field("Message-ID", message_id),
            mime.token_field("List-Unsubscribe", f"<{links['unsubscribe']}>{by_mail}"),
            mime.token_field("List-Help", f"<{links['preferences']}>"),
            self._below,
            b"Content-Language: %b\r\n" % language.encode("ascii"),
        )
        envelope = mime.Envelope(f"{local}@{self._bounce_domain}", address, message_id, now, self._boundary)
        return envelope, fields


def _address(written: str) -> str:
    return mime.ascii_address(parseaddr(written)[1])
