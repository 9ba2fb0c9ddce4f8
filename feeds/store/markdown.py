"""Markdown -> HTML that any reader may show: sanitised, every address absolute, legal in XML. Pure and total.

CommonMark with tables and strikethrough, and the rule for emphasis beside CJK punctuation that CommonMark lacks
(https://github.com/commonmark/commonmark-spec/issues/650). The only user of comrak and nh3.
"""

from __future__ import annotations

import functools
import html
import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import comrak
import nh3

MAX_NESTING = 200
#: An address longer than this is none: every relative link of a body is written out with it.
MAX_ADDRESS = 2000
#: Of one line: comrak's time for a table grows with the square of them.
MAX_COLUMNS = 4000
#: Characters that HTML escapes, times bytes in which the sanitiser looks for them: three seconds' worth.
_MAX_ESCAPES = 200_000_000_000

#: What XML 1.0 forbids (section 2.2), and the controls that it discourages and HTML forbids; lone surrogates cannot come out
#: of UTF-8.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
#: Without what readers drop or validators warn of: landmarks of a page, image maps, bdo (text that reads otherwise than it is).
_TAGS = nh3.ALLOWED_TAGS - {"area", "map", "center", "nav", "article", "header", "footer", "hgroup", "bdo", "rtc"} | {"tfoot"}
_ATTRIBUTES = {
    "a": {"href", "title", "hreflang"},
    "img": {"src", "alt", "title", "width", "height"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "td": {"align", "colspan", "rowspan"},
    "ol": {"start"},
    "time": {"datetime"},
    "abbr": {"title"},
    "*": {"lang", "dir"},
}
_SCHEMES = {"http", "https", "mailto", "ftp", "magnet"}
#: Tags that are HTML and not for us: dropped. Any other word in angle brackets is the author's text: kept.
_FORBIDDEN = frozenset(
    "applet area article audio base bdo body button canvas center dialog embed fieldset font footer form frame frameset head "
    "header hgroup html iframe input label legend link main map math menu meta meter nav noscript object optgroup option "
    "output param picture portal progress rtc script section select slot source style svg template textarea title track "
    "video".split()
)
_WORDS = "|".join(sorted(_TAGS | _FORBIDDEN, key=len, reverse=True))
#: The second alternative lets autolinks pass (`<https://...>`).
_NOT_HTML = re.compile(rf"<(?=/?[A-Za-z]|\?)(?!/?(?:{_WORDS})(?=[\s/>])|[A-Za-z][A-Za-z0-9+.-]*:)", re.IGNORECASE)
_DROPPED = {"script", "style"}
_ROOT_RELATIVE_PICTURE = re.compile(r"""(<img\s(?:[^<>]*?\s)?src=["']?)/(?!/)""", re.IGNORECASE)
_UNUSUAL_SOURCE = re.compile(r"""src=(?:'/|/)""")  # only raw HTML writes it so
_SELF_REFERENCE = re.compile(r"""href=(?:["'][#?"']|[#?>\s])""")
_SINGLE_TILDE = re.compile(r"(?<![~\\])~(?!~)")
#: Bidirectional embeddings, overrides and isolates.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_STAND_IN = "\ufdd0"  # a noncharacter: nobody writes it
_STAND_IN_ENCODED = "%EF%B7%90"
_OPEN_OR_CLOSE = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)  # up to ">" would be quadratic where there is none
_VOID = frozenset({"br", "hr", "img", "wbr", "col", "input", "meta", "link", "area", "source", "track", "embed", "base"})


class Unreasonable(ValueError):
    """Sanitising it would take time that grows with the square; the message says of what there is too much."""


def _options() -> tuple[comrak.ExtensionOptions, comrak.RenderOptions]:
    extension = comrak.ExtensionOptions()
    extension.table = True
    extension.strikethrough = True
    extension.cjk_friendly_emphasis = True
    render = comrak.RenderOptions()
    render.unsafe_ = True  # raw HTML (ruby) passes; the sanitiser follows
    return extension, render


_EXTENSION, _RENDER = _options()


def legal(text: str) -> str:
    """Without the characters that XML forbids: one of them takes a whole feed down."""
    return _ILLEGAL.sub("", text)


def render(markdown: str, url: str, image_url: str) -> str:
    """`url` is the article's own address, against which links resolve; `image_url` the base of root-relative pictures.

    Raises Unreasonable; on anything else that goes wrong the text comes back escaped, in <pre>.
    """
    if markdown.count("|") > MAX_COLUMNS and any(map(_is_wide, markdown.split("\n"))):
        raise Unreasonable(f"a table of more than {MAX_COLUMNS} columns")
    raw = _to_html(markdown)
    _check(raw)
    # Text is escaped by now: this can only be a tag. nh3's own filter would cost half as much again.
    if 'src="/' in raw or "SRC" in raw or _UNUSUAL_SOURCE.search(raw):
        raw = _ROOT_RELATIVE_PICTURE.sub(rf"\1{image_url}/", raw)
    base = url if _SELF_REFERENCE.search(raw) or "HREF" in raw else url[: url.rindex("/") + 1]
    clean = _cleaner(base).clean(raw)
    return legal(clean) if _may_be_illegal(markdown) else clean


def _is_wide(line: str) -> bool:
    """Whether it makes a table too wide: below its head, each column has a hyphen."""
    return min(line.count("|"), line.count("-")) > MAX_COLUMNS


def _check(raw: str) -> None:
    if raw.count("<") > 4000 and _nesting(raw) > MAX_NESTING:
        raise Unreasonable(f"HTML nested deeper than {MAX_NESTING} levels")
    if len(raw) > 200_000 and _escapes(raw) * len(raw) > _MAX_ESCAPES:
        raise Unreasonable("more & and no-break blanks, or the like, than can be made safe in time")


def _escapes(raw: str) -> int:
    """How often the serialiser of html5ever stops: at "&", and at what begins like a no-break blank in UTF-8."""
    return raw.count("&") + raw.encode("utf-8", "replace").count(b"\xc2")


_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\r"))
_MARKS = (b"\xc2", b"\xef\xbf", b"\xed", b"&#")  # what the others begin with in UTF-8, and numeric entities


def _may_be_illegal(markdown: str) -> bool:
    """A quick look that spares most articles the search for illegal characters; an entity can make one, too."""
    data = markdown.encode("utf-8", "surrogatepass")
    return len(data.translate(None, _CONTROLS)) < len(data) or any(mark in data for mark in _MARKS)


def _to_html(markdown: str) -> str:
    tildes = "~" in markdown and _SINGLE_TILDE.search(markdown) is not None
    if tildes:
        # comrak strikes out between single tildes too, and "5~10" is how Chinese writes a range.
        markdown = _SINGLE_TILDE.sub(_STAND_IN, markdown)
    raw = _markdown(markdown)
    if tildes:
        raw = raw.replace(_STAND_IN, "~").replace(_STAND_IN_ENCODED, "~")
    return _NOT_HTML.sub("&lt;", raw) if "<" in markdown and _NOT_HTML.search(markdown) else raw


def _markdown(text: str) -> str:
    try:
        return comrak.render_markdown(text, _EXTENSION, None, _RENDER)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # a Rust panic arrives as BaseException; the article is published all the same
        return f"<pre>{html.escape(text)}</pre>"


@functools.lru_cache(maxsize=8)  # most articles of a site share a folder, and making a cleaner costs half of using it
def _cleaner(base: str) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        url_relative=("rewrite_with_base", base),
        clean_content_tags=_DROPPED,
    )


def _nesting(raw: str) -> int:
    depth = deepest = 0
    for closing, name in _OPEN_OR_CLOSE.findall(raw):  # some stand in attributes: rather too deep than too slow
        if name.lower() in _VOID:
            continue
        depth += -1 if closing else 1
        deepest = max(deepest, depth)
    return deepest


_TEXT = nh3.Cleaner(tags=set())
_RUBY_TEXT = re.compile(r"<(rt|rp)\b[^>]*>.*?</\1>", re.DOTALL)


def text_of(fragment: str) -> str:
    """The words of sanitised HTML in one line, ruby readings left out."""
    return plain(html.unescape(_TEXT.clean(_RUBY_TEXT.sub("", fragment))))


def plain(text: str) -> str:
    """One line of legal text: blanks of any kind (the ideographic one too) become one.

    Without what turns the direction of text that follows: it would turn the page's own words, too.
    """
    return " ".join((legal(text) if text.isascii() else _TURNING.sub("", legal(text))).split())


def opening(fragment: str, limit: int = 200) -> str:
    """The first words of a body, for an article without excerpt."""
    return shorten(text_of(fragment[: limit * 20]), limit)


def shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit].rstrip() + "…"


def unescape(text: str) -> str:
    """Without entities, but for text that means none (a number of thousands of digits)."""
    try:
        return html.unescape(text)
    except ValueError:
        return text


_FIRST_IMAGE = re.compile(r'\s*(?:<blockquote>.*?</blockquote>\s*)?<p>\s*(?:<a [^>]*>)?<img [^>]*src="([^"]*)"', re.DOTALL)


def opens_with_picture(fragment: str, picture: str) -> bool:
    """Whether the body shows the cover by itself before any other picture (`x.png` and `x.png.large.jpg` are one picture)."""
    match = _FIRST_IMAGE.match(fragment[:4000])
    return bool(match and picture and _stem(html.unescape(match[1])) == _stem(picture))


def _stem(url: str) -> str:
    return re.sub(r"(?:\.(?:large|thumb|jpe?g|png|gif|webp))+$", "", url, flags=re.IGNORECASE)


def opens_with_summary(fragment: str, summary: str) -> bool:
    """Whether the body begins by repeating the excerpt, as most of the archive does since 2018."""
    head = re.sub(r"[\s\W]+", "", text_of(fragment[:6000]))
    start = re.sub(r"[\s\W]+", "", summary)[:40]
    return bool(start) and head.startswith(start)


_PLAIN_URL = re.compile(r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]+)?/(?:[A-Za-z0-9/._~!$&'()*+,;=:@?-]|%[0-9A-Fa-f]{2})*")
#: RFC 3986 has brackets around an IPv6 address only, and a percent sign before two digits only.
_IN_URL = "%/:=&?~+!$,;'@()*"
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NETLOC = re.compile(
    r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(?::[0-9]*)?"
)


def absolute(reference: str, base: str) -> str:
    """`reference` against `base` as an http(s) address in ASCII (RSS allows no other), or "" where it is none."""
    if len(reference) > MAX_ADDRESS:
        return ""
    if _PLAIN_URL.fullmatch(reference):
        return reference
    try:
        parts = urlsplit(urljoin(base, reference.strip()))
        host = parts.hostname or ""
        netloc = parts.netloc if parts.netloc.isascii() else parts.netloc.replace(host, host.encode("idna").decode())
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or not _NETLOC.fullmatch(netloc):
        return ""
    rest = (_BARE_PERCENT.sub("%25", quote(part, safe=_IN_URL)) for part in (parts.path, parts.query, parts.fragment))
    return urlunsplit((parts.scheme, netloc, *rest))
