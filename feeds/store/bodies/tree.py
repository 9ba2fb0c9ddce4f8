"""Mend the HTML of a body in one pass over its tree, between the Markdown parser and the sanitizer.

What no reader of feeds shows becomes something that all of them show, by the table in `elements`. Nothing here makes HTML safe:
the sanitizer follows. Time and memory grow with the length of the text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..addresses import SCHEMES
from . import autolinks, pictures
from .constructs import Prepared
from .fragments import leave_unused, name_headings, settle_ids
from .nodes import HEADINGS, LexborNode, Pass, parse, rename, unwrap
from .replacements import RARE, drop_line_numbers, replace_rare

_NO_LINKS_IN = frozenset("a code pre kbd samp tt button textarea math script style".split())
_LANGUAGE = re.compile(r"(?:^|\s)(?:lang(?:uage)?-|brush:\s*|highlight-(?:source|text)-)([\w+#.-]{1,40})", re.IGNORECASE)
_HEXO = re.compile(r"(?:^|\s)highlight\s+([\w+#.-]{1,40})(?:\s|$)")
_NO_LANGUAGE = frozenset({"text", "plain", "plaintext", "txt", "none", "nohighlight", "raw", "highlighter-rouge", "default"})
_LITERAL_NOTE = re.compile(r"\[\^([^\[\]\s^-]{1,40})\]")
_NUMBERED = re.compile(r"\w{0,12}\d{1,3}|\*+|注\w{0,3}")
#: What HTML has in which code and blocks may be named, or paragraphs empty.
_NAMED = ("class=", "lang=", "language=", "<p></p>")
#: What HTML has in which there are places, or links to them.
_PLACES = ('="#', "='#", "=#", " id=", "{#", " name=", "\nid=", "\nname=")
_NOWHERE = re.compile(r"#?$|#!|javascript:|#top$", re.IGNORECASE)
#: A host without a scheme, which would be a page beside the article; with a path, of any domain.
_HOST_ALONE = re.compile(
    r"(?:www\.[\w-]+\.[\w.-]+|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|io|dev|cn|info))(?=[/?#:]|$)|[\w-]+(?:\.[\w-]+)*\.[a-z]{2}/",
    re.IGNORECASE,
)
#: What a picture has that needs nothing.
_PLAIN_PICTURE = frozenset({"src", "alt", "title"})
#: What no address of a page is: a number of a list of references, words.
_NO_PAGE = re.compile(r"\d{1,3}$|[^\x00-\x7f]|链接$")
_MAILBOX = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BROKEN_SCHEME = re.compile(r"(https?|ftp)(?::/(?!/)|//|：//|:///+|;//|:\\\\)(?=[\w\[])", re.IGNORECASE)


@dataclass(slots=True)
class Mended:
    """HTML for the sanitizer. `ids`: it has ids of the article's own, all with its prefix; `classes`: names of languages.

    `media`: addresses of audio and video files that it plays, as they are written.
    """

    html: str
    ids: bool = False
    classes: bool = False
    media: tuple[str, ...] = ()


def mend(
    raw: str, prepared: Prepared, prefix: str, stored: Callable[[str], str] | None = None, *, alone: bool = False
) -> Mended:
    """Return HTML in which every element of the table is what the table says; `prefix` makes ids unique to the article.

    `alone`: relative links lead nowhere.

    What was left out or mended is counted in `prepared.changes`.
    """
    tree = parse(raw)
    body = tree.body
    if body is None:
        return Mended(raw)
    work = Pass(tree, prefix, prepared, stored, prepared.changes, alone)
    if prepared.abbreviations:
        words = "|".join(map(re.escape, sorted(prepared.abbreviations, key=len, reverse=True)))
        work.short = re.compile(rf"(?<!\w)(?:{words})(?!\w)")
    if prepared.unused:
        leave_unused(work, body)
    nodes = list(body.traverse(include_text=True))
    rare = not RARE.isdisjoint({node.tag for node in nodes})
    has_gutter = "gutter" in raw or "lineno" in raw
    if rare:
        replace_rare(work, body)
    if has_gutter:
        drop_line_numbers(body)
    if rare or has_gutter or prepared.unused:
        nodes = list(body.traverse(include_text=True))
    with_classes = rare or any(name in raw for name in _NAMED)
    _settle_elements(work, nodes, with_classes=with_classes)
    if "{#" in raw or "{:" in raw or "{." in raw:
        name_headings(body)
    ids = settle_ids(work, body) if any(mark in raw for mark in _PLACES) else False
    html = (body.inner_html or "").replace("<p></p>", "")  # of blocks that stood in a paragraph
    return Mended(html, ids, work.classes, tuple(work.media))


# -- elements that all readers show ----------------------------------------------------


def _settle_elements(work: Pass, nodes: Iterable[LexborNode], *, with_classes: bool) -> None:
    """Settle pictures, links, headings, tables and words; code and blocks only `with_classes`: they may name something."""
    later: list[tuple[Callable[[Pass, LexborNode], None], LexborNode]] = []
    levels: list[int] = []
    wanted = {**_SETTLE, **_SETTLE_CLASSES} if with_classes else _SETTLE
    short = work.short
    for node in nodes:
        tag = node.tag or ""
        if tag == "-text":
            text = node.text_content or ""
            if "://" in text or "www." in text or "@" in text or "[^" in text or (short and short.search(text)):
                later.append((_words, node))
        elif settle := wanted.get(tag):
            later.append((settle, node))
        elif tag in HEADINGS:
            level = _level(levels, int(tag[1]))
            later.append((_drop_empty, node) if tag == f"h{level}" else (functools.partial(_relevel, level), node))
    # Inner elements come first: none is asked for after what is around it has gone.
    for settle, node in reversed(later):
        settle(work, node)


def _level(levels: list[int], written: int) -> int:
    """Return the level of the next heading below the title of its page (h1), so that none is left out."""
    while levels and levels[-1] >= written:
        levels.pop()
    levels.append(written)
    return min(len(levels) + 1, 6)


def _relevel(level: int, work: Pass, node: LexborNode) -> None:
    if node.first_child is not None:
        rename(work, node, f"h{level}")
    else:
        node.decompose()


def _drop_empty(_work: Pass, node: LexborNode) -> None:
    """Leave out a heading without words, which screen readers announce."""
    if node.first_child is None:
        node.decompose()


def _image(work: Pass, node: LexborNode) -> None:
    """Give a picture the one address that it has; leave its words where it has none."""
    attributes = node.attributes
    address = attributes.get("src") or ""
    is_whole = address.startswith(("http://", "https://")) and attributes.keys() <= _PLAIN_PICTURE
    if is_whole and not pictures.shows_nothing(address):
        if attributes.get("alt") is None:
            node.attrs["alt"] = ""
        return
    address = pictures.real_address(attributes)
    if _opens_nothing(address) and not address.startswith("data:"):
        address = ""
    if address.startswith("data:"):
        address = work.stored(address) if work.stored else ""
    said = (attributes.get("alt") or "").strip()
    if not address:
        work.changes["picture without an address: left out"] += 1
        node.replace_with(said) if said else node.decompose()
        return
    if address != attributes.get("src"):
        if not (attributes.get("src") or "").startswith("data:"):
            work.changes["picture that a script would load: its address mended"] += 1
        node.attrs["src"] = address
    if attributes.get("alt") is None:
        node.attrs["alt"] = ""


def _anchor(work: Pass, node: LexborNode) -> None:
    """Mend what is written wrong in the address of a link; of one that leads nowhere the words stay."""
    attributes = node.attrs
    written = attributes.get("href")
    if written is None or _has_no_words(node):
        if attributes.get("id") or attributes.get("name"):
            if written is not None:
                del attributes["href"]
            return
        if written and not written.startswith("#"):
            work.changes["link without words: left out"] += 1
        unwrap(node)
        return
    address = written.strip()
    if address.startswith(("http://", "https://")) and address == written and address[7:8] not in "/:":
        return
    mended = _mended_address(address)
    if _NOWHERE.match(address) or _opens_nothing(mended) or (work.alone and _NO_PAGE.match(mended)):
        if node.text().strip() or node.first_child is not None:
            work.changes["link that leads nowhere: its words stay"] += 1
        if attributes.get("id") or attributes.get("name"):
            del node.attrs["href"]
        else:
            unwrap(node)
        return
    if mended != address:
        work.changes["address without a right scheme: mended"] += 1
        node.attrs["href"] = mended


def _has_no_words(node: LexborNode) -> bool:
    """Return whether a link shows nothing that a reader could press."""
    first = node.first_child
    return first is None or (first.next is None and first.tag == "-text" and not (first.text_content or "").strip())


def _opens_nothing(address: str) -> bool:
    """Return whether an address has a scheme that readers do not open."""
    match = _SCHEME.match(re.sub(r"[\x00-\x20]+", "", address))
    return match is not None and match[0][-1] == ":" and match[0][:-1].lower() not in SCHEMES


def _mended_address(address: str) -> str:
    """Return the address of a link with the scheme that its author left out or mistyped."""
    if _BROKEN_SCHEME.match(address):
        return _BROKEN_SCHEME.sub(r"\1://", address, count=1)
    if _HOST_ALONE.match(address):
        return f"http://{address}"
    return f"mailto:{address}" if _MAILBOX.fullmatch(address) else address


def _code(work: Pass, node: LexborNode) -> None:
    """Name the language of code in the one way that readers and highlighters know."""
    code = node
    if node.tag == "pre":
        language = _language(node)
        if not language or node.css_first("code") is not None:
            return  # `code` comes by itself
        code = work.make("code")
        for child in list(node.iter(include_text=True)):
            code.insert_child(child, move=True)
        node.insert_child(code, move=True)
    elif node.parent is None or node.parent.tag != "pre" or not (language := _language(node) or _language(node.parent)):
        language = ""
    if language and language not in _NO_LANGUAGE:
        code.attrs["class"] = f"language-{language}"
        work.classes = True
    elif not _LANGUAGE.fullmatch(code.attributes.get("class") or "language-x"):
        del code.attrs["class"]


def _language(node: LexborNode) -> str:
    """Return the language that an element of code, or the frame around it, names, "" for none."""
    for one in (
        node,
        node.parent if node.tag == "pre" else None,
        node.parent.parent if node.tag == "pre" and node.parent else None,
    ):
        if one is None:
            continue
        named = one.attributes.get("class") or ""
        if match := _LANGUAGE.search(named) or _HEXO.search(named):
            return match[1].lower()
        for name in ("data-lang", "data-language", *(("lang",) if one.tag == "pre" else ())):
            if re.fullmatch(r"[\w+#.-]{1,40}", value := one.attributes.get(name) or ""):
                return value.lower()
    return ""


def _table(work: Pass, node: LexborNode) -> None:
    """Say which cells head a column or a row; a head without words goes."""
    head = node.css_first("thead")
    if head is not None and not head.text().strip() and head.css_first("img") is None:
        head.decompose()
        head = None
    for cell in node.css("th"):
        if not cell.text().strip() and cell.css_first("img") is None:
            rename(work, cell, "td")
        elif "scope" not in cell.attributes:
            row = cell.parent
            leads = row is not None and row.parent is not None and row.parent.tag != "thead" and row.css_first("td") is not None
            cell.attrs["scope"] = "row" if leads else "col"


def _block(work: Pass, node: LexborNode) -> None:
    """Make a quote of an alert (`> [!NOTE]`); leave out a paragraph without anything."""
    if node.tag == "p" and node.first_child is None:
        node.decompose()
        return
    named = (node.attributes.get("class") or "").split()
    if "markdown-alert-title" in named:
        strong = work.make("strong")
        for child in list(node.iter(include_text=True)):
            strong.insert_child(child, move=True)
        node.insert_child(strong, move=True)
    elif "markdown-alert" in named:
        rename(work, node, "blockquote")


_SETTLE: Mapping[str, Callable[[Pass, LexborNode], None]] = {
    "img": _image,
    "a": _anchor,
    "table": _table,
}
_SETTLE_CLASSES: Mapping[str, Callable[[Pass, LexborNode], None]] = {
    "div": _block,
    "p": _block,
    "pre": _code,
    "code": _code,
}


# -- words -------------------------------------------------------------------------------


def _words(work: Pass, node: LexborNode) -> None:
    """Link bare addresses, raise marks of footnotes that nothing defines, and explain abbreviations."""
    around = node.parent
    while around is not None and around.tag != "body":
        if around.tag in _NO_LINKS_IN:
            return
        around = around.parent
    text = node.text_content or ""
    found: list[tuple[int, int, LexborNode]] = [
        (one.start, one.end, work.make("a", text[one.start : one.end], href=one.address))
        for one in autolinks.find_addresses(text)
    ]
    for match in _LITERAL_NOTE.finditer(text) if "[^" in text else ():
        if work.prepared.has_notes or _NUMBERED.fullmatch(match[1]):
            work.changes["mark of a footnote that is missing: raised"] += 1
            found.append((match.start(), match.end(), work.make("sup", match[1])))
    if work.short is not None and (around is None or around.tag != "abbr"):
        for match in work.short.finditer(text):
            title = work.prepared.abbreviations[match[0]]
            found.append((match.start(), match.end(), work.make("abbr", match[0], title=title)))
    at = 0
    for start, end, made in sorted(found, key=lambda one: one[:2]):
        if start < at:
            continue
        if start > at:
            node.insert_before(text[at:start])
        node.insert_before(made)
        at = end
    if at:
        if at < len(text):
            node.insert_before(text[at:])
        node.decompose()
