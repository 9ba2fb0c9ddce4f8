"""Let what authors wrote in Markdown be Markdown where CommonMark reads it as HTML, or as words. Pure, in linear time.

Renderers that many texts were written for did: captions stand in `<center>`, definitions of links right below the last line.
"""

from __future__ import annotations

import re
from collections import Counter

_NAMES = (
    "address|article|aside|blockquote|center|dd|details|div|dl|dt|figcaption|figure|footer|h[1-6]|header|li|main|nav|ol|p|section"
    "|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
#: Group 1: the quotes, or the sign of a list, that a line begins with, and blanks.
_BLOCK = re.compile(
    rf"^((?: {{0,3}}>[ \t]?){{0,8}}(?: {{0,3}}(?:[-*+]|\d{{1,9}}[.)])[ \t]{{1,3}})? {{0,3}})</?(?:{_NAMES})(?=[\s/>])",
    re.IGNORECASE | re.MULTILINE,
)
_TAG = re.compile(rf"(</?(?:{_NAMES})(?:\s[^<>]*)?>)", re.IGNORECASE)
_PARAGRAPH = re.compile(r"</?p(?:\s[^<>]*)?>", re.IGNORECASE)
_AS_WRITTEN = re.compile(r"<(?:pre|script|style|textarea|code|xmp)[\s>]", re.IGNORECASE)
_BLANK = re.compile(r"\n[ \t]*(?:\n|$)")
_MARKED = re.compile(
    r"\[[^\[\]\n]{0,300}\](?:\([^()\s]{1,2000}(?:\([^()\s]*\)[^()\s]*)?(?:[ \t]+\"[^\"\n]*\")?\)|\[[^\[\]\n]{1,40}\])"
)
_CAPTION = re.compile(r"\s*(\*{1,3})[^\s*][^*\n]*(?<!\s)\1\s*")
_COMMENT = re.compile(r"^ {0,3}<!--", re.MULTILINE)
_DEFINITION = re.compile(
    r"^( {0,3}\[([^\[\]\n^]{1,80})\])([:：])[ \t]*(<?(?:https?://|www\.|mailto:|[./#])\S+)([^\n]*)",
    re.MULTILINE,
)
_TITLE = re.compile(r"\"[^\"]*\"|'[^']*'|\([^()]*\)")
_DEFINED = re.compile(r"\[(\d{1,3})\]:")
_USED = re.compile(r"\]\[(\d{1,3})\]")
_LABEL = re.compile(r"\[([^\[\]\n^]{1,80})\]")
_REFERENCE = re.compile(r"(?<![A-Za-z0-9_)\]\\!])\[([^\[\]\n]{2,300})\]\[(\d{1,3})\]")
_SPACED = re.compile(
    r"\]\([ \t]*+((?:https?://|\.{0,2}/)[^()<>\s\"]*+[ \t]++(?=[^\s\")])[^()<>\n\"]*?)([ \t]+\"[^\"\n]*\")?[ \t]*\)"
)
_BY_NUMBER = re.compile(r"\]\((\d{1,3})\)")
_DOUBLE = re.compile(r"\]\(\((https?://[^\s()<>]{1,2000})\)\)?")
#: Where a generator would put a table of contents; attributes behind a link or picture, as some generators read them.
_CONTENTS = re.compile(r"^ {0,3}(?:@?\[toc\]|\[\[_?toc_?\]\]|\{\{ ?toc ?\}\}|\[TOCM\])[ \t]*$", re.MULTILINE | re.IGNORECASE)
_NAMED = r"(?:[#.][\w-]+|[\w-]+=(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s{}\"']+))"
_ATTRIBUTES = re.compile(rf"(\]\([^()\n]{{0,2000}}\))\{{:?[ \t]*{_NAMED}(?:[ \t]+{_NAMED})*[ \t]*\}}")
_WORD = re.compile(r"[^\W\d_]")


def mend_markdown(text: str, changes: Counter[str]) -> str:
    """Return Markdown without code in which all is written as CommonMark reads it; count what had to go in `changes`."""
    if "]:" in text or "]：" in text:
        text = part_definitions(text)
    if "](" in text:
        text = bracket_addresses(text)
        if "){" in text:
            text = _ATTRIBUTES.sub(r"\1", text)
    if "toc" in text or "TOC" in text:
        text, count = _CONTENTS.subn("", text)
        if count:
            changes["place of a table of contents: left out"] += count
    if "][" in text or "](" in text:
        text = leave_words(text, changes)
    if "<!--" in text:
        text = end_comments(text)
    return open_blocks(text) if "<" in text and ("](" in text or "][" in text or "*<" in text) else text


def open_blocks(text: str) -> str:
    """Return Markdown in which links, pictures and captions within blocks of HTML stand in paragraphs of their own.

    >>> open_blocks("<center>![a](b.png)</center>")
    '<center>\\n\\n![a](b.png)\\n\\n</center>'
    """
    parts, at, end = [], 0, 0
    for match in _BLOCK.finditer(text):
        if match.start() < end:
            continue
        end = _block_end(text, match)
        block = text[match.start() : end]
        if ("](" in block or "][" in block or "*<" in block) and not _AS_WRITTEN.search(block):
            parts += [text[at : match.start()], _opened(block, match[1])]
            at = end
    return "".join((*parts, text[at:])) if parts else text


def _block_end(text: str, begin: re.Match[str]) -> int:
    """Return where a block of HTML ends: at a blank line; in quotes and lists with its line."""
    if begin[1].strip():
        end = text.find("\n", begin.end())
        return end if end >= 0 else len(text)
    blank = _BLANK.search(text, begin.end())
    return blank.start() if blank else len(text)


def _opened(block: str, before: str) -> str:
    """Return a block in parts; `before` is what its first line begins with."""
    indent = re.sub(r"[^>\s]", " ", before)  # a sign of a list stands once
    between = f"\n{indent.rstrip()}\n" if indent.strip() else "\n\n"
    tokens = _TAG.split(block)  # words at even places, tags at odd ones
    for at in range(0, len(tokens), 2):
        words = tokens[at]
        if not (_MARKED.search(words) or _CAPTION.fullmatch(words)):
            continue
        lines = (indent + line.strip() for line in words.strip().split("\n"))
        tokens[at] = between + "\n".join(lines) + between + indent
        for beside in (at - 1, at + 1):
            if 0 <= beside < len(tokens) and _PARAGRAPH.fullmatch(tokens[beside]):
                tokens[beside] = ""  # the words are a paragraph by themselves
    return "".join(tokens)


def end_comments(text: str) -> str:
    """Return Markdown in which what follows a comment on its line begins a line, so that it is no part of the comment's block.

    >>> end_comments("<!-- more -->[a](b)")
    '<!-- more -->\\n[a](b)'
    """
    parts, at = [], 0
    for match in _COMMENT.finditer(text):
        if match.start() < at:
            continue
        end = text.find("-->", match.end()) + 3
        if end < 3:
            break
        parts.append(text[at:end])
        at = end
        rest = text[end : end + 200].partition("\n")[0]
        if rest.strip() and not rest.strip().startswith("<"):
            parts.append("\n")
            at += len(rest) - len(rest.lstrip(" \t"))
    return "".join((*parts, text[at:])) if parts else text


def part_definitions(text: str) -> str:
    """Return Markdown in which definitions of links that are used do not go on with the paragraph above them.

    >>> part_definitions("See [it][1].\\n[1]:http://example.org/")
    'See [it][1].\\n\\n[1]: http://example.org/'
    """
    labels: Counter[str] | None = None
    parts, at, last = [], 0, -1
    for match in _DEFINITION.finditer(text):
        label, words = match[2], match[5].strip()
        start, end = match.span()
        last, is_next = text.find("\n", end) + 1, last == start
        above = "" if is_next else text[text.rfind("\n", 0, max(start - 1, 0)) + 1 : max(start - 1, 0)]
        follows = bool(above.strip(" \t"))
        address, is_right = match[4], match[3] == ":" and (not words or _TITLE.fullmatch(words) is not None)
        if address.count("(") != address.count(")"):
            is_right, address = False, address.replace("(", "%28").replace(")", "%29")
        if is_right and not follows:
            continue
        if labels is None:
            labels = Counter(_LABEL.findall(text))
        if labels[label] > 1:
            if words and not _TITLE.fullmatch(words):
                words = '"{}"'.format(words.strip("()\"'").replace('"', "'"))
            parts += [text[at:start], "\n" * follows, match[1], f": {address} {words}".rstrip()]
            at = end
    return "".join((*parts, text[at:])) if parts else text


def leave_words(text: str, changes: Counter[str]) -> str:
    """Return Markdown in which references by number that nothing defines are words, and count them.

    >>> leave_words("See [the manual][7] and a[0][1].", Counter())
    'See the manual and a[0][1].'
    """
    defined = set(_DEFINED.findall(text)) if "]:" in text else set()
    if defined:  # `[words](7)` means `[words][7]`
        text = _BY_NUMBER.sub(lambda match: f"][{match[1]}]" if match[1] in defined else match[0], text)

    def leave(match: re.Match[str]) -> str:
        if match[2] in defined or not _WORD.search(match[1]):
            return match[0]
        changes["link that leads nowhere: its words stay"] += 1
        return match[1]

    lost = set(_USED.findall(text)) - defined if "][" in text else set()
    return _REFERENCE.sub(leave, text) if lost else text


def bracket_addresses(text: str) -> str:
    """Return Markdown in which addresses with blanks stand in angle brackets, and those in two pairs of brackets in one.

    >>> bracket_addresses("![](/img/a b.png)")
    '![](</img/a b.png>)'
    """
    if "]((" in text:
        text = _DOUBLE.sub(r"](\1)", text)
    return _SPACED.sub(lambda match: f"](<{match[1]}>{match[2] or ''})", text)
