"""Leave out of an article's Markdown what no reader sees: comments, scripts, definitions that nothing uses. Pure.

What is left is given to programs as it was written, so this is where an author's notes end.
"""

from __future__ import annotations

import re
from collections import Counter

from .code_spans import Masked

#: Comments, instructions, declarations; elements whose content is dropped with them; a comment that does not end goes on to the
#: end.
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<![A-Za-z\[].*?(?:>|\Z)|<(script|style|template|title)\b.*?(?:</\1\s*>|\Z)",
    re.S | re.I,
)
_DEFINITION = re.compile(r"^ {0,3}(?:>[ \t]?)*\[(?!\^)((?:[^\[\]\\\n]|\\.)+)\]:[^\n]*(?:\n(?:[ \t]+[\"'(][^\n]*)?|\Z)", re.M)
#: What a text has in which something may be unseen: most have nothing, and to find code takes long.
_MAY_HIDE = re.compile(r"<[!?]|<(?:script|style|template|title)\b", re.I)
_WRITTEN = re.compile(r"\[([^\[\]\n]{1,200})\]")
#: What XML has no place for.
_ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: What must be seen in the article as often as it stands in its source.
_TRACES = (("<!--", "&lt;!--"), ("<script", "&lt;script"), ("<style", "&lt;style"), ("<?", "&lt;?"))


def public_source(body: str, html: str) -> str:
    """Return the Markdown of an article without what `html`, which was made of it, does not show; "" where that is not certain.

    >>> public_source("a <!-- note --> b `<!-- code -->`\\n\\n[x]: # (note)\\n", "<p>a  b <code>&lt;!-- code --&gt;</code></p>")
    'a  b `<!-- code -->`\\n'
    """
    if not _MAY_HIDE.search(body) and _without_unused(body) == body:
        return _ILLEGAL.sub("", body).strip("\n") + "\n"
    hidden = Masked(body)
    text = _UNSEEN.sub("", hidden.text)
    text = _without_unused(text)
    found = _ILLEGAL.sub("", hidden.restore(text)).strip("\n") + "\n"
    low, shown = found.lower(), html.lower()
    return found if all(low.count(written) <= shown.count(seen) for written, seen in _TRACES) else ""


def _without_unused(text: str) -> str:
    """Return a text without definitions of links that no link names: `[//]: # (a note)` is the usual comment of Markdown."""
    defined = {_label(match[1]) for match in _DEFINITION.finditer(text)} if "]:" in text else set()
    if not defined:
        return text
    written = Counter(_WRITTEN.findall(text))
    if all(written[match[1]] > 1 for match in _DEFINITION.finditer(text)):
        return text  # as in most articles that have any
    rest = _DEFINITION.sub("", text)
    used = {_label(label) for label in re.findall(r"\[((?:[^\[\]\\]|\\.){1,999})\]", rest)}
    return _DEFINITION.sub(lambda match: match[0] if _label(match[1]) in used else "", text)


def _label(written: str) -> str:
    return " ".join(written.split()).casefold()
