"""Read titles and summaries of headers as plain text, through what exporters and editors left in them. Pure and total.

The Linux.cn archive has lost every ">" of its excerpts (`<ruby树莓派<rtRaspberry Pi</rt</ruby`), and cuts them anywhere.
"""

from __future__ import annotations

import re

from . import markdown
from .bodies.elements import ELEMENTS

#: What shows: `<script>` in a summary is a word of it.
_NAMES = "|".join(sorted((name for name, what in ELEMENTS.items() if what != "dropped"), key=len, reverse=True))
_ATTRIBUTES = r"""(?:\s+[\w:@.-]{1,60}(?:\s*=\s*(?:"[^"<>]{0,2000}"?|'[^'<>]{0,2000}'?|[^\s"'<>]{1,2000}))?){0,40}"""
_TAG = re.compile(rf"<(/?)({_NAMES})\b({_ATTRIBUTES})\s*/?>", re.IGNORECASE)
#: Tags whose ">" is lost: behind one comes another, a word that is not Latin, a blank, or the end.
_BROKEN = re.compile(
    rf"</(?:{_NAMES})(?![\w>])|<(?:{_NAMES})(?:(?=<|[^\x00-\x7f])|\s+[\w-]{{1,40}}=\"[^\"<>]*\"(?!\s*/?>|\s+[\w-]+=))",
    re.IGNORECASE,
)
_BROKEN_TAG = re.compile(
    rf"</?(?:{_NAMES})(?:\s+[\w:-]{{1,40}}=(?:\"[^\"<>]{{0,2000}}\"?|'[^'<>]{{0,2000}}'?)){{0,40}}(?:\s*/)?>?", re.IGNORECASE
)
_READING = re.compile(r"<(rt|rp)\b[^<>]{0,200}>?[^<]{0,300}(?:</\1\s*>?|$)", re.IGNORECASE)
_BROKEN_READING = re.compile(
    r"<(rt|rp)(?![a-z]*>)[^<]{0,300}(?:</\1\s*>?|$)|<(rt|rp)\b[^<]{0,300}(?:</\2\s*>?|$)", re.IGNORECASE
)
#: Tags that are markup also where they stand alone.
_ALONE = frozenset({"br", "hr", "img", "p", "wbr", "li", "ruby", "rt", "rp", "center"})
_CUT_OFF = re.compile(r"\s*<(?:/?[a-z]{0,10}|[a-z]{1,10}\s[^<>]*)$", re.IGNORECASE)
_ESCAPED_TAG = re.compile(r"&lt;/?(?:ruby|rt|rp)\b", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_PICTURE = re.compile(r"!\[([^\[\]]{0,300})\](?:\([^()\s]{1,2000}(?:\s+\"[^\"]*\")?\)| ?\[\d{1,3}\])")
_LINK = re.compile(r"\[([^\[\]]{1,500})\](?:\((?:https?://|/|\.)[^()\s]{0,2000}(?:\s+\"[^\"]*\")?\)| ?\[\d{1,3}\])")
#: What an editor's paste put behind a title: the line under it, and the picture below, whole or cut off.
_UNDERLINED = re.compile(r"\s+(?:={8,}|-{8,})(?:\s.*)?$|\s*!\[[^\[\]]{0,300}\]\([^()\s]*\)?$", re.DOTALL)
_STRONG = re.compile(
    r"(?<![\w*])(\*\*|__)(?=\w)([^*_\n]{1,500}?)(?<=[\w。！？.!?])\1(?![\w*])|(?<!\*)(\*\*)(?=\w)([^*\n]{1,200}?\w)\3(?!\*)"
)
_TEMPLATE = re.compile(r"\{\{[<%][^{}]{0,500}[>%]\}\}|\{%[^{}]{0,500}%\}|<!--.{0,300}?-->")
_NOTE = re.compile(r"\\?\[\\?\^[^\[\]\s]{1,40}\\?\]")
_MAX_PARAGRAPHS = 12
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)


def plain_title(text: str) -> str:
    """Return a title as it is to be read: entities that an exporter left are decoded once, ruby loses its readings.

    An author's title about HTML stays: it has signs that an exporter would have escaped.

    >>> plain_title("Q&amp;A: it&#8217;s &lt;b&gt;"), plain_title("Write &lt; for < in HTML"), plain_title("R&D &amp; more")
    ('Q&A: it’s <b>', 'Write &lt; for < in HTML', 'R&D &amp; more')
    >>> plain_title("A lake ========== ![](http://h.exam"), plain_title("What === means"), plain_title("========== lake")
    ('A lake', 'What === means', '========== lake')
    """
    if "<ruby" in text.lower():
        text = _without_tags(text)
    if "&" in text and "<" not in text and ">" not in text and "&" not in _ENTITY.sub("", text):
        text = markdown.unescape(text)
    plain = markdown.one_line(text)
    return (_UNDERLINED.sub("", plain) or plain) if "===" in plain or "---" in plain or "![" in plain else plain


def plain_summary(text: str, body: str = "") -> str:
    """Return a summary without markup, "" for none that could be read. `body` is the article's HTML, made safe.

    What is damaged is taken from the paragraph of the body that it was made of, where there is one.

    >>> plain_summary("<ruby树莓派<rtRaspberry Pi</rt</ruby 很<strong>小</strong>，见 [这里](https://example.org/)")
    '树莓派 很小，见 这里'
    >>> plain_summary("[KDE] [1]，[Xfce][2]，see [a] [b]")
    'KDE，Xfce，see [a] [b]'
    >>> plain_summary("--------------------"), plain_summary("***"), plain_summary("C++")
    ('', '', 'C++')
    >>> plain_summary("用 <iframe> 标签")
    '用 <iframe> 标签'
    """
    text = markdown.unescape(text)
    if not text.strip("-=_*#~.|+ \t\r\n"):  # a line that separates
        return ""
    if _ESCAPED_TAG.search(text):
        text = markdown.unescape(text)
    if text.isprintable() and not any(sign in text for sign in "<[*_{"):
        return markdown.one_line(text)
    is_damaged = _BROKEN.search(text) is not None
    text = _NOTE.sub("", _LINK.sub(r"\1", _PICTURE.sub("", _TEMPLATE.sub("", text))))
    text = _STRONG.sub(lambda match: match[2] or match[4], text)
    cleaned = _without_tags(text) if "<" in text else text
    cleaned = markdown.one_line(cleaned)
    if not is_damaged and cleaned == markdown.one_line(text):
        return cleaned
    return _whole_paragraph(cleaned, body) or ("" if _BROKEN.search(cleaned) else cleaned)


def _without_tags(text: str) -> str:
    """Return text without tags and readings of ruby; a tag that is a word of the sentence stays."""
    if _BROKEN.search(text):
        return _CUT_OFF.sub("", _BROKEN_TAG.sub("", _BROKEN_READING.sub("", text)))
    text = _READING.sub("", text) if "<rt" in text.lower() or "<rp" in text.lower() else text
    found = list(_TAG.finditer(text))
    opened = {match[2].lower() for match in found if not match[1]}
    closed = {match[2].lower() for match in found if match[1]}

    def take(match: re.Match[str]) -> str:
        name = match[2].lower()
        markup = name in _ALONE or match[3].strip() or (name in opened and name in closed)
        return (" " if name in ("br", "p", "li") else "") if markup else match[0]

    taken = _TAG.sub(take, text)
    return _CUT_OFF.sub("", taken) if taken != text or len(text) > 100 else taken


def _letters(text: str) -> str:
    return re.sub(r"[\s\W_]+", "", text)


def _whole_paragraph(summary: str, body: str) -> str:
    """Return the paragraph of a body that a damaged summary was made of, as long as the summary; "" for none."""
    start = _letters(summary)[:16]
    if len(start) < 8:
        return ""
    for number, match in enumerate(_PARAGRAPH.finditer(body[:40_000])):
        if number >= _MAX_PARAGRAPHS:
            break
        words = markdown.plain_text(match[1])
        if _letters(words).startswith(start):
            return markdown.shorten(words, max(len(summary) + 40, 80))
    return ""
