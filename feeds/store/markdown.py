"""Markdown -> HTML that any feed reader may show: sanitized, legal in XML, relative addresses marked. Pure and total.

CommonMark with tables and strikethrough, and the rule for emphasis beside CJK punctuation that CommonMark lacks
(https://github.com/commonmark/commonmark-spec/issues/650). The only user of comrak.
"""

from __future__ import annotations

import hashlib
import html
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import comrak
import nh3

from .addresses import HERE, PICTURE, RELATIVE, SCHEMES
from .bodies import constructs, tree
from .bodies.elements import ELEMENTS, FORMULAS

MAX_NESTING = 200
#: Of one line: comrak's time for a table grows with the square of them.
MAX_COLUMNS = 4000
#: Of all tables together: comrak makes every row as long as the head, and a cell takes a kilobyte.
MAX_CELLS = 100_000
#: Of all quotes and lists together, each counted once in every line in which it is written.
MAX_CONTAINERS = 50_000
#: The HTML parser opens formatting that was never closed again in each element that follows: elements times open formatting.
MAX_REOPENED = 400_000
_FEW_TAGS = 1200  # half of them times the other half is less than that
#: Below so many characters a text cannot cost much by what only adds up.
_LARGE = 100_000
#: Characters that HTML escapes, times bytes in which the sanitizer looks for them: three seconds' worth.
_MAX_ESCAPES = 200_000_000_000

#: What XML 1.0 forbids (section 2.2), and the controls that it discourages and HTML forbids.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_TAGS = {name for name, treatment in ELEMENTS.items() if treatment == "kept"} | FORMULAS
_ATTRIBUTES = {
    "a": {"href", "title", "hreflang"},
    "img": {"src", "alt", "title", "width", "height"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "td": {"align", "colspan", "rowspan"},
    "ol": {"start", "reversed"},
    "li": {"value"},
    "time": {"datetime"},
    "abbr": {"title"},
    "math": {"display"},
    "mo": {"stretchy", "fence", "separator"},
    "mtd": {"columnspan", "rowspan"},
    "*": {"lang", "dir"},
}


def _not_html(words: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern of `<` before a word that is no element: the author's text. Autolinks (`<https://...>`) pass."""
    known = "|".join(sorted(words, key=len, reverse=True))
    return re.compile(rf"<(?=/?[A-Za-z]|\?)(?!/?(?:{known})(?=[\s/>])|[A-Za-z][A-Za-z0-9+.-]*:)", re.IGNORECASE)


_NOT_HTML = _not_html(ELEMENTS)
#: Elements that swallow all that follows where they are not closed.
_SWALLOWING = re.compile(
    r"<(/?)(script|style|textarea|title|iframe|xmp|noembed|noframes|plaintext|template|select|svg|math|object|video|audio)(?=[\s/>])",
    re.IGNORECASE,
)
_SINGLE_TILDE = re.compile(r"(?<![~\\])~(?!~)")
#: Bidirectional embeddings, overrides and isolates.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_STAND_IN, _STAND_IN_ENCODED = "\ufdd0", "%EF%B7%90"  # a noncharacter: nobody writes it
_OPEN_OR_CLOSE = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)  # up to ">" would be quadratic where there is none
_LONG_TAG = re.compile(r"<[a-z/][^<>]{100000}", re.IGNORECASE)
#: What the HTML parser calls formatting elements.
_FORMATS = "a b big code em font i nobr s small strike strong tt u".split()
_FORMATTING = re.compile(rf"<(?:{'|'.join(_FORMATS)})[\s/>]", re.IGNORECASE)
#: What stands in the row below the head of a table, also in quotes and lists.
_RULE = "|:- \t>*+.)0123456789"
_MARKER = re.compile(r">|[*+-](?=[ \t])|[0-9][.)](?=[ \t])")
_CONTAINERS = re.compile(r"^(?:[ \t]*(?:>|[*+-](?=[ \t])|[0-9]{1,9}[.)](?=[ \t]))){8,}", re.MULTILINE)
_VOID = frozenset({"br", "hr", "img", "wbr", "col", "input", "meta", "link", "area", "source", "track", "embed", "base"})


class TooComplex(ValueError):
    """A text that would take time by the square of its length. The message says what it has too much of."""


_EXTENSION = comrak.ExtensionOptions()
for _name in ("table", "strikethrough", "cjk_friendly_emphasis", "footnotes", "tasklist", "alerts", "description_lists"):
    setattr(_EXTENSION, _name, True)
_RENDER = comrak.RenderOptions()
_RENDER.unsafe_ = True  # raw HTML (ruby) passes; the sanitizer follows


#: Says what an address in a body is: written address, is it a picture's -> address, with a mark where it is relative.
Resolver = Callable[[str, bool], str]


@dataclass(frozen=True, slots=True)
class Body:
    """Safe HTML of a body; `changes`: what was left out or mended -> how often; `media`: what it plays, as it is written."""

    html: str
    changes: Mapping[str, int] = field(default_factory=dict)
    media: tuple[str, ...] = ()


def render_html(markdown: str, resolve: Resolver | None = None, *, is_html: bool = False) -> str:
    """Return safe HTML, as `render_body`."""
    return render_body(markdown, resolve, is_html=is_html).html


def render_body(markdown: str, resolve: Resolver | None = None, *, is_html: bool = False, prefix: str = "in-") -> Body:
    """Return safe HTML of a Markdown body. Raises TooComplex; on any other failure the text comes back escaped, in <pre>.

    `is_html`: it is HTML as it stands. Relative addresses are marked, as `resolve` says if given: `addresses.complete_links`
    makes them absolute where it is known what they are relative to. `prefix` makes ids unique to the article. What becomes of
    each element is in `bodies.elements`.
    """
    _check_text(markdown)
    prepared = constructs.prepare(markdown, is_html=is_html)
    raw = prepared.text if is_html else _to_html(prepared)
    raw = prepared.restore(raw)
    _check_html(raw, raw.count("<") > _FEW_TAGS and _FORMATTING.search(markdown) is not None)
    made: dict[str, str] = {}

    def stored(address: str) -> str:
        """Return what stands for a picture that is written in the text, until it is safe."""
        found = resolve(address, True) if resolve is not None else ""
        if not found or found.startswith("data:"):
            return ""
        token = f"https://stored.invalid/{len(made)}"
        made[token] = found
        return token

    mended = tree.mend(raw, prepared, prefix, stored, alone=resolve is None)
    if mended.ids or mended.classes or made or _may_have_relative(mended.html):
        clean = _mark_relative(markdown, mended.html, resolve, prefix, made)
    else:
        clean = _CLEANER.clean(mended.html)
        # A quick look spares most articles the search for illegal characters, which an entity can make, too.
        data = markdown.encode("utf-8", "surrogatepass")
        if len(data.translate(None, _CONTROLS)) < len(data) or any(mark in data for mark in _MARKS):
            clean = _ILLEGAL.sub("", clean)
    return Body(clean, dict(prepared.changes), mended.media)


def _check_text(markdown: str) -> None:
    """Raise TooComplex for Markdown that costs much more than it is long: found before it is parsed."""
    if (bars := markdown.count("|")) > 20 or (bars and len(markdown) > _LARGE):
        cells = columns = 0
        for line in markdown.split("\n"):
            if "-" in line and not line.strip(_RULE):  # a table has as many columns as the row below its head
                columns = max(columns, min(line.count("|") + 1, line.count("-")))
            elif not line.strip("> \t"):
                columns = 0
            cells += columns
            if columns > MAX_COLUMNS:
                raise TooComplex(f"a table of more than {MAX_COLUMNS} columns")
        if cells > MAX_CELLS:
            raise TooComplex(f"tables of more than {MAX_CELLS} cells")
    if len(markdown) > _LARGE:
        depths = [len(_MARKER.findall(found[0])) for found in _CONTAINERS.finditer(markdown)]
        if max(depths, default=0) > MAX_NESTING:
            raise TooComplex(f"quotes and lists nested deeper than {MAX_NESTING} levels")
        if sum(depths) > MAX_CONTAINERS:
            raise TooComplex(f"more than {MAX_CONTAINERS} quotes and lists within each other")


def _check_html(raw: str, formatted: bool) -> None:
    """Raise TooComplex for HTML that the sanitizer could not make safe in time. `formatted`: with tags of the author's."""
    # Some tags stand in attributes: rather too deep than too slow.
    tags = _OPEN_OR_CLOSE.findall(raw) if formatted or raw.count("<") > 4000 else []
    depths = itertools.accumulate(-1 if closing else 1 for closing, name in tags if name.lower() not in _VOID)
    if max(depths, default=0) > MAX_NESTING:
        raise TooComplex(f"HTML nested deeper than {MAX_NESTING} levels")
    if formatted and _reopened(tags) > MAX_REOPENED:
        raise TooComplex("formatting that is not closed, before very many elements")
    if len(raw) > _LARGE:
        if _LONG_TAG.search(raw):
            raise TooComplex("a tag with very many attributes")
        # The serializer of html5ever stops at "&", and at what begins like a no-break blank in UTF-8.
        escapes = raw.count("&") + raw.encode("utf-8", "replace").count(b"\xc2")
        if escapes * len(raw) > _MAX_ESCAPES:
            raise TooComplex("more & and no-break blanks, or the like, than can be made safe in time")


def _reopened(tags: list[tuple[str, str]]) -> int:
    """Return how many elements the HTML parser might make besides those that are written, by its adoption agency."""
    open_ones, count, made = dict.fromkeys(_FORMATS, 0), 0, 0
    for closing, written in tags:
        if (name := written.lower()) not in open_ones:
            made += count
        elif not closing:
            open_ones[name] += 1
            count += 1
        elif open_ones[name]:
            open_ones[name] -= 1
            count -= 1
    return made


_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\r"))
_MARKS = (b"\xc2", b"\xef\xbf", b"\xed", b"&#")  # what the others begin with in UTF-8, and numeric entities


def _to_html(prepared: constructs.Prepared) -> str:
    raw = _parse(prepared.with_notes())
    if prepared.unused and f"<p>{constructs.NOTES}<sup" not in raw:  # it stands in code that is never closed
        raw = _parse(prepared.with_notes(first=True))
    if "<" not in prepared.text:
        return raw
    raw = _close_swallowing(raw)
    return _NOT_HTML.sub("&lt;", raw) if _NOT_HTML.search(raw) else raw


def _parse(markdown: str) -> str:
    """Return the HTML of Markdown, as it is written."""
    tildes = "~" in markdown and _SINGLE_TILDE.search(markdown) is not None
    if tildes:
        # comrak strikes out between single tildes too, and "5~10" is how Chinese writes a range.
        markdown = _SINGLE_TILDE.sub(_STAND_IN, markdown)
    try:
        raw = comrak.render_markdown(markdown, _EXTENSION, None, _RENDER)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # a Rust panic arrives as BaseException; the article is published nevertheless
        raw = f"<pre>{html.escape(markdown)}</pre>"
    return raw.replace(_STAND_IN, "~").replace(_STAND_IN_ENCODED, "~") if tildes else raw


def _close_swallowing(raw: str) -> str:
    """Return HTML in which an element that is never closed, and would swallow the rest of the article, is the author's text."""
    found = list(_SWALLOWING.finditer(raw))
    if not found:
        return raw
    last = {match[2].lower(): match.start() for match in found if match[1]}
    parts, at = [], 0
    for match in found:
        if not match[1] and match.start() > last.get(match[2].lower(), -1):
            parts += [raw[at : match.start()], "&lt;"]
            at = match.start() + 1
    return "".join((*parts, raw[at:]))


def _cleaner(
    change: Callable[[str, str, str], str | None] | None = None, attributes: Mapping[str, set[str]] = _ATTRIBUTES
) -> nh3.Cleaner:
    """Return a cleaner; `change` returns what becomes of a tag's attribute: tag, name, value -> value."""
    drop = {"script", "style"}
    return nh3.Cleaner(_TAGS, drop, dict(attributes), change, url_schemes=set(SCHEMES), url_relative="pass_through")


def _marking_cleaner(change: Callable[[str, str, str], str | None]) -> nh3.Cleaner:
    """Return a cleaner that lets ids and names of languages pass, of which `change` decides."""
    attributes = {**_ATTRIBUTES, "code": {"class"}, "*": {*_ATTRIBUTES["*"], "id"}}
    return _cleaner(change, attributes)


_LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}")
_CLEANER = _cleaner()
_ADDRESSES = [f' {name}="{scheme}' for name in ("href", "src") for scheme in ("http://", "https://", "mailto:")]


def _may_have_relative(raw: str) -> bool:
    """Return whether HTML of the tree pass may have an address that is not absolute: right about "no"."""
    return raw.count(' href="') + raw.count(' src="') > sum(map(raw.count, _ADDRESSES))


_LETTERS = {RELATIVE: "r", PICTURE: "p", HERE: "h"}


def _mark_relative(markdown: str, raw: str, resolve: Resolver | None, prefix: str, made: Mapping[str, str]) -> str:
    """Return `raw` made safe, with a mark before each address that may be relative.

    A mark is illegal in XML, so nothing that an author writes leaves one; until all that is illegal has gone, a hash stands for
    it that no text can have in itself. `made`: what stands for a picture that is written in the text -> its address.
    """
    own = hashlib.sha256(markdown.encode("utf-8", "surrogatepass")).hexdigest()[:40]

    def mark(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "id":
            return value if value.startswith(prefix) else None
        if attribute == "class":
            return value if _LANGUAGE.fullmatch(value) else None
        if attribute not in ("href", "src"):
            return value
        found = made.get(value) if tag == "img" else None
        if found is None:
            if value.startswith(("http://", "https://", "mailto:")):
                return value
            if value.startswith(f"#{prefix}") and tag == "a":
                return f"{own}h{value}"
            if resolve is None:
                rooted = tag == "img" and value.startswith("/") and not value.startswith("//")
                return f"{own}{'p' if rooted else 'r'}{value}"
            found = resolve(value, tag == "img")
        return f"{own}{_LETTERS[found[0]]}{found[1:]}" if found[:1] in _LETTERS else found

    clean = _ILLEGAL.sub("", _marking_cleaner(mark).clean(raw))
    for character, letter in _LETTERS.items():
        clean = clean.replace(f"{own}{letter}", character)
    return clean


_TEXT = nh3.Cleaner(tags=set())
_RUBY_TEXT = re.compile(r"<(rt|rp)\b[^>]*>.*?</\1>", re.DOTALL)


def plain_text(fragment: str) -> str:
    """Return the words of sanitized HTML in one line, without ruby readings.

    >>> plain_text("<p>Hello &amp; <ruby>世界<rt>shìjiè</rt></ruby></p>")
    'Hello & 世界'
    """
    return one_line(html.unescape(_TEXT.clean(_RUBY_TEXT.sub("", fragment))))


def one_line(text: str) -> str:
    """Return one line of text that is legal in XML: blanks of any kind (the ideographic one too) become one.

    Characters that change the direction of text are dropped: they would turn the words of the page that follow, too.

    >>> one_line(" a\\u3000\\x00\\u202eb\\n")
    'a b'
    """
    if text.isprintable():  # neither illegal nor turning, nor a blank but the usual one
        return " ".join(text.split())
    legal = _ILLEGAL.sub("", text)
    return " ".join((legal if text.isascii() else _TURNING.sub("", legal)).split())


def excerpt(fragment: str, limit: int = 200) -> str:
    """Return the first words of a body, for an article without a summary."""
    return shorten(plain_text(fragment[: limit * 20]), limit)


def shorten(text: str, limit: int) -> str:
    """Return `text`, cut to `limit` characters and an ellipsis where it is longer."""
    return text if len(text) <= limit else text[:limit].rstrip() + "…"


def unescape(text: str) -> str:
    """Return text with its entities replaced; unchanged where Python cannot (a number of thousands of digits)."""
    try:
        return html.unescape(text)
    except ValueError:
        return text


_FIRST_IMAGE = re.compile(r'\s*(?:<blockquote>.*?</blockquote>\s*)?<p>\s*(?:<a [^>]*>)?<img [^>]*src="([^"]*)"', re.DOTALL)
_SIZES = re.compile(r"(?:\.(?:large|thumb|jpe?g|png|gif|webp))+$", re.IGNORECASE)


def opens_with_picture(fragment: str, picture: str) -> bool:
    """Return whether the body begins with the cover picture.

    `x.png` and `x.png.large.jpg` are one picture, and so are copies of one name, made of many digits or letters, on two hosts.
    """
    match = _FIRST_IMAGE.match(fragment[:4000])
    if not match or not picture:
        return False
    opening, cover = (_SIZES.sub("", address.partition("?")[0]) for address in (html.unescape(match[1]), picture))
    name = cover.rpartition("/")[2]
    return opening == cover or (len(name) >= 12 and opening.rpartition("/")[2] == name)


def opens_with_summary(fragment: str, summary: str) -> bool:
    """Return whether the body begins by repeating the summary, as most of the archive does since 2018.

    Signs and spaces may differ, and some of the letters: summaries lose what stood between angle brackets.
    """
    head = re.sub(r"[\s\W]+", "", plain_text(fragment[:6000]))
    words = re.sub(r"[\s\W]+", "", summary)
    if not words or head.startswith(words[:40]):
        return bool(words)
    pairs = {words[at : at + 2] for at in range(min(len(words), 160) - 1)}
    start = head[: len(words[:160]) + 40]
    found = {start[at : at + 2] for at in range(len(start) - 1)}
    return len(pairs) > 15 and len(pairs & found) >= 0.9 * len(pairs)
