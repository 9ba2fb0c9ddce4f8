"""One message for one reader: header fields and two parts, joined from what an issue was cut into.

A press belongs to one issue. What is the same for many readers is made once, when it is first needed: a form for each language
and time zone, a heading for each selection, a subject for each first article. Equal input gives equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ... import i18n, selections, urls
from ...config.models import Config
from ...errors import AddressError
from ...model import FACETS, Credit, IssueArticle, IssueContent, Message, Recipient, Section
from ...tokens import Tokens
from . import fragments, mime
from .dkim import Signer
from .fragments import Piece
from .headers import Headers
from .templates import Form, Mould, SectionTitle, TemplateFault, Templates, html_form, text_form

# Which articles one reader gets, under which headings. Pure: the same content and selections give the same sections.


def sections_for(content: IssueContent, reach: int, selections: Sequence[int], limit: int) -> tuple[Section, ...]:
    """In the reader's order; each article once, in its first section; at most `limit` in all, the others counted in `more`.

    Ranks stay in their order (editor's choice, then the newest). A selection with nothing new has no section; one that the
    limit leaves nothing for still has, so that its articles are counted.
    """
    found = [(key, ranks) for key, ranks in _new(content, reach, selections) if ranks]
    shares = _shares([len(ranks) for _key, ranks in found], limit)
    return tuple(Section(key, ranks[:share], len(ranks) - share) for (key, ranks), share in zip(found, shares, strict=True))


def _new(content: IssueContent, reach: int, selections: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """What each selection adds to those before it."""
    seen: set[int] = set()
    found = []
    for key in dict.fromkeys(selections):
        ranks = [rank for rank in content.sections.get((reach, key), ()) if rank not in seen]
        seen.update(ranks)
        found.append((key, tuple(sorted(ranks))))
    return found


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    """Room for each: as even as the sizes allow; what does not divide goes to those in front."""
    shares = [0] * len(sizes)
    left = limit
    while left > 0 and (hungry := [at for at, size in enumerate(sizes) if shares[at] < size]):
        each = max(1, left // len(hungry))
        for at in hungry:
            given = min(each, sizes[at] - shares[at], left)
            shares[at] += given
            left -= given
    return shares


__all__ = ["MAX_HTML", "Press", "Preview", "TemplateFault"]

#: Octets of the HTML part: Gmail hides the end of a message, and with it the link to unsubscribe, from about 102 KB on.
MAX_HTML = 90_000
_TEASERS = 3
_LINKS = ("browser", "preferences", "unsubscribe")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Preview:
    """A message as a person sees it."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class _Edition:
    """An issue in one language and time zone."""

    language: str
    zone: ZoneInfo
    html: Form
    text: Form


class Press:
    """Makes the messages of one issue. `templates`: folders in order of preference, the operator's first.

    Raises TemplateFault with the first message of a language whose template is at fault, HeaderError for an address or a
    setting that no header can carry.
    """

    def __init__(
        self,
        config: Config,
        content: IssueContent,
        tokens: Tokens,
        templates: Sequence[Path],
        signer: Signer | None = None,
    ) -> None:
        self._config, self._tokens, self._signer = config, tokens, signer
        self._content = replace(content, articles=tuple(_clean(article) for article in content.articles))
        self._templates = Templates(templates)
        self._headers = Headers(config, content.issue, tokens)
        # One press lives as long as its issue is sent; these bounds only keep a huge issue from filling the memory.
        self._edition = lru_cache(64)(self._make_edition)
        self._subject = lru_cache(10_000)(self._make_subject)
        self._layout = lru_cache(10_000)(self._make_layout)
        self._heads = lru_cache(20_000)(self._make_heads)

    def message(self, recipient: Recipient, now: int) -> Message:
        """The message of this issue to one reader; `now` is its Date (UTC seconds). Its id depends on neither."""
        edition = self._of(recipient)
        sections = self._sections(edition, recipient)
        links = self._links(recipient)
        html, text = self._parts(edition, sections, recipient, links)
        subject = self._subject(edition, *_lead(sections))
        message_id = self._headers.message_id(recipient.subscriber)
        head = self._headers.write(recipient, message_id, subject, edition.language, links, now)
        data = self._headers.join(head, fragments.body(text), fragments.body(html))
        if self._signer:
            data = self._signer.sign(data, now)
        return Message(
            sender=self._headers.sender(recipient.subscriber),
            recipient=mime.envelope(recipient.address),
            message_id=message_id,
            data=data,
        )

    def preview(self, recipient: Recipient, now: int) -> Preview:
        """What the message says, not encoded."""
        edition = self._of(recipient)
        sections = self._sections(edition, recipient)
        html, text = self._parts(edition, sections, recipient, self._links(recipient))
        return Preview(self._subject_text(edition, *_lead(sections)), fragments.text(html), fragments.text(text))

    # -- the same for many -------------------------------------------------

    def _of(self, recipient: Recipient) -> _Edition:
        return self._edition(i18n.match_language(recipient.language), recipient.timezone)

    def _make_edition(self, language: str, timezone: str) -> _Edition:
        zone = _zone(timezone, self._config)
        values, articles = self._values(), self._content.articles
        html = html_form(self._templates, language, zone, articles, values)
        return _Edition(language, zone, html, text_form(self._templates, language, zone, articles, values))

    def _values(self) -> dict[str, Any]:
        base = self._config.site.base_url
        return {
            "site": self._config.site,
            "issue": self._content.issue,
            "postal_address": self._config.newsletter.postal_address.strip(),
            "links": {"home": f"{base}/", "archive": f"{base}/digests/"},
        }

    def _make_subject(self, edition: _Edition, first: int, count: int) -> bytes:
        return mime.text_field("Subject", self._subject_text(edition, first, count))

    def _subject_text(self, edition: _Edition, first: int, count: int) -> str:
        values = {**self._values(), "count": count, "first": self._content.articles[first] if count else None}
        return self._templates.subject(edition.language, edition.zone, values)

    def _make_heads(self, edition: _Edition, html: bool, selection: int, one: bool) -> tuple[Mould, Mould]:
        """The heading of a section and the line that counts what it leaves out."""
        form = edition.html if html else edition.text
        section = self._titled(selection, edition.language)
        return form.heading(section), form.more(section, one=one)

    def _titled(self, selection: int, language: str) -> SectionTitle:
        """In the reader's language; with a page where the site has one for exactly this selection."""
        query, site = self._content.queries.get(selection, ""), self._config.site
        title, path, own = _named(self._config, query, language)
        if not path:
            return SectionTitle(_line(title), "", "")
        page, feed = (urls.url(site.base_url, path, extension, own) for extension in ("", ".atom"))
        return SectionTitle(_line(title), page, feed)

    # -- the layout --------------------------------------------------------

    def _sections(self, edition: _Edition, recipient: Recipient) -> tuple[Section, ...]:
        return self._layout(edition, recipient.reach, recipient.selections)

    def _make_layout(self, edition: _Edition, reach: int, selections: tuple[int, ...]) -> tuple[Section, ...]:
        """As many articles as the settings allow and the HTML part has room for."""
        limit = self._config.newsletter.max_articles
        while True:
            sections = sections_for(self._content, reach, selections, limit)
            shown = sum(len(section.ranks) for section in sections)
            size = self._size(edition, sections)
            if size <= MAX_HTML or not shown:
                return sections
            limit = min(shown - 1, shown * MAX_HTML // size + 1)

    def _size(self, edition: _Edition, sections: Sequence[Section]) -> int:
        """Octets of the HTML part."""
        form = edition.html
        shown = sum(form.articles[rank].size for section in sections for rank in section.ranks)
        heads = [self._heads(edition, True, section.selection, section.more == 1) for section in sections]
        return form.frame.size + shown + sum(heading.size + more.size for heading, more in heads)

    # -- one reader --------------------------------------------------------

    def _links(self, recipient: Recipient) -> dict[str, str]:
        base = self._config.site.base_url
        token = self._tokens.preferences(recipient.subscriber, recipient.version)
        wanted = ".".join(map(str, recipient.selections))
        return {
            "browser": f"{base}/digests/{self._content.issue.id}?reach={recipient.reach}&s={wanted}",
            "preferences": f"{base}/preferences/{token}",
            "unsubscribe": f"{base}/unsubscribe/{token}",
            "token": token,
        }

    def _parts(
        self, edition: _Edition, sections: Sequence[Section], recipient: Recipient, links: Mapping[str, str]
    ) -> tuple[list[Piece], list[Piece]]:
        """The pieces of the HTML part and of the text part."""
        plain = {name: Piece(links[name], personal=True) for name in _LINKS}
        plain["address"] = Piece(_line(recipient.address), personal=True)
        made = []
        for html, form in ((True, edition.html), (False, edition.text)):
            values = dict(plain)
            if html:  # the other values look the same in HTML
                values["browser"] = Piece(form.escape(links["browser"]), personal=True)
                values["address"] = Piece(form.escape(_line(recipient.address)), personal=True)
            heads = [self._heads(edition, html, section.selection, section.more == 1) for section in sections]
            made.append(_assemble(form, sections, heads, values))
        return made[0], made[1]


def _assemble(
    form: Form, sections: Sequence[Section], heads: Sequence[tuple[Mould, Mould]], values: Mapping[str, Piece]
) -> list[Piece]:
    found: list[Piece | str] = []
    for part in form.frame.parts:
        if part == "content":
            _sections_of(found, form, sections, heads)
        elif part == "teasers":
            for rank in [rank for section in sections for rank in section.ranks][:_TEASERS]:
                found += form.teasers[rank].parts
        elif part == "tally":
            count = sum(len(section.ranks) for section in sections)
            _count(found, form.tally[count != 1], count)
        else:
            found.append(part)
    return [values[part] if isinstance(part, str) else part for part in found]


def _sections_of(
    found: list[Piece | str], form: Form, sections: Sequence[Section], heads: Sequence[tuple[Mould, Mould]]
) -> None:
    for section, (heading, more) in zip(sections, heads, strict=True):
        _count(found, heading, section.more)
        for rank in section.ranks:
            found += form.articles[rank].parts
        if section.more:
            _count(found, more, section.more)


def _count(found: list[Piece | str], mould: Mould, count: int) -> None:
    found += [Piece(str(count), personal=True) if part == "count" else part for part in mould.parts]


def _lead(sections: Sequence[Section]) -> tuple[int, int]:
    """The first article, and how many there are."""
    ranks = [rank for section in sections for rank in section.ranks]
    return (ranks[0] if ranks else -1), len(ranks)


def _named(config: Config, query: str, language: str) -> tuple[str, str, str]:
    """The title of what is selected, the path and the query of its page: "" where it has none."""
    try:
        wanted = selections.parse(query)
    except AddressError:
        return query, "", ""
    if isinstance(wanted, str):
        feed = config.named(wanted)
        return (feed.title, f"feeds/{feed.name}", "") if feed else (wanted, "", "")
    facets = [facet for facet in FACETS if config.feeds.facet(facet).enabled]
    path = selections.page(wanted, facets=facets, builder=config.feeds.select.enabled)
    return selections.title(wanted, chinese=language == "zh-CN"), *path


def _clean(article: IssueArticle) -> IssueArticle:
    """All text in one line, as subjects and text parts need it."""
    return replace(
        article,
        title=_line(article.title),
        summary=_line(article.summary),
        authors=_named_plainly(article.authors),
        translators=_named_plainly(article.translators),
        tags=_named_plainly(article.tags),
    )


def _named_plainly(credits: Sequence[Credit]) -> tuple[Credit, ...]:
    return tuple(replace(credit, name=_line(credit.name)) for credit in credits)


def _line(text: str) -> str:
    return _CONTROL.sub("", " ".join(text.split()))


def _zone(name: str, config: Config) -> ZoneInfo:
    """The site's own where a subscriber's has left the time zone database."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return config.zone
