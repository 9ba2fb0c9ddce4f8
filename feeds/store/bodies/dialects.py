"""Turn the dialects of generators into Markdown: what a reader of a feed could only see as source. Pure, total, in linear time.

Code stays as it is (`code_spans`). Each pass is a row of `PASSES`, and a kind names those it needs (`kinds.StoreKind.passes`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from . import components, template_tags
from .code_spans import Masked
from .template_tags import BodyContext, Work, is_picture, link_to, picture_of

__all__ = ["PASSES", "BodyContext", "Plain", "plain_markdown"]

_MAX_TAGS = 100


@dataclass(frozen=True, slots=True)
class Plain:
    """A body in Markdown; what was left out, counted, in words; the tags that are written in it."""

    body: str
    notices: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def plain_markdown(body: str, passes: tuple[str, ...], context: BodyContext) -> Plain:
    """Return a body without dialects. One that has none comes back as it is.

    >>> plain_markdown("{{< figure src='a.png' alt=A >}} `{{< x >}}`", ("shortcodes",), BodyContext()).body
    '![A](a.png) `{{< x >}}`'
    """
    if not passes:
        return Plain(body)
    work = Work(Masked(body), context)
    for name in passes:
        if run := PASSES.get(name):
            run(work)
    notices = tuple(f"{name}: left out{f' ({count})' if count > 1 else ''}" for name, count in work.dropped.items() if count)
    return Plain(work.body.restore(work.body.text), notices, tuple(work.tags))


def _replacing(pattern: str, replacement: str | Callable[[re.Match[str]], str], *, holds: str) -> Callable[[Work], None]:
    """Return a pass that replaces a pattern in texts that have the mark `holds`."""
    compiled = re.compile(pattern, re.MULTILINE)

    def run(work: Work) -> None:
        if holds in work.body.text:
            work.body.text = compiled.sub(replacement, work.body.text)

    return run


# -- containers and callouts -----------------------------------------------------------

_CONTAINER = re.compile(r"([\w-]*)(?![\w-])[ \t]{0,9}(?:\[([^\[\]]{0,200})\])?([^{]{0,200})(?:\{[^{}]*\})?")
#: Containers that only arrange what is in them.
_ARRANGING = frozenset(
    "code-group code-tabs tabs tab tab-item v-pre raw center left right slide columns column row card-grid".split()
)
_MAX_QUOTES = 8


def _containers(work: Work) -> None:
    """Make a quote with a title in bold of each `::: type title` to `:::`."""
    if ":::" in work.body.text:
        work.body.text = "\n".join(_quote_containers(work.body.text.split("\n")))


def _quote_containers(lines: list[str]) -> Iterator[str]:
    open_ones = [(0, "")]  # colons, and what stands before lines within
    for line in lines:
        before = open_ones[-1][1]
        rest = line.strip()
        words = rest.lstrip(":")
        colons = len(rest) - len(words)
        match = _CONTAINER.fullmatch(words.strip()) if colons >= 3 and len(rest) < 500 else None
        if match is None:
            yield f"{before}{line}" if rest else before.rstrip() or line
        elif kind := match[1]:
            title = (match[2] or match[3]).strip()
            quote = kind.lower() not in _ARRANGING and len(before) < 2 * _MAX_QUOTES
            open_ones.append((colons, f"{before}> " if quote else before))
            if quote:
                yield f"{before}> **{title or kind.capitalize()}**"
                yield f"{before}>"
            elif title and kind.lower() in ("tab", "tab-item"):
                yield f"{before}**{title}**"
        else:  # a closing one: of the innermost that has as many colons
            while len(open_ones) > 2 and colons > open_ones[-1][0]:
                open_ones.pop()
            if len(open_ones) > 1:
                open_ones.pop()
            yield open_ones[-1][1].rstrip()


_CALLOUT = re.compile(r"^((?:[ \t]{0,3}>)+[ \t]?)\[!([\w-]{1,40})(?:\|[^\]\n]{0,60})?\][+-]?[ \t]*([^\n]*)$", re.MULTILINE)
_ADMONITION = re.compile(r"^([ \t]{0,12})(?:!!!|\?\?\?\+?)[ \t]+([\w-]{1,40})[^\n\"]{0,60}(?:\"([^\"\n]{0,200})\")?[ \t]*$")


def _callouts(work: Work) -> None:
    """Make titles in bold of `> [!NOTE] title`, and quotes of `!!! note "title"` with what is indented below."""
    if "[!" in work.body.text:
        work.body.text = _CALLOUT.sub(
            lambda match: f"{match[1]}**{match[3].strip() or match[2].capitalize()}**\n{match[1].rstrip()}", work.body.text
        )
    if "!!!" in work.body.text or "???" in work.body.text:
        work.body.text = "\n".join(_quote_admonitions(work.body.text.split("\n")))


def _quote_admonitions(lines: list[str]) -> Iterator[str]:
    indent = -1
    blanks = 0
    for line in lines:
        if indent >= 0 and not line.strip():
            blanks += 1
            continue
        if indent >= 0 and line.startswith(" " * (indent + 4)):
            yield from [">"] * blanks
            yield f"> {line[indent + 4 :]}"
            blanks = 0
            continue
        yield from [""] * max(blanks, indent >= 0)
        indent, blanks = -1, 0
        if match := _ADMONITION.match(line):
            indent = len(match[1].expandtabs(4))
            yield f"> **{match[3] or match[2].capitalize()}**"
            yield ">"
        else:
            yield line
    yield from [""] * blanks


# -- what is only for the generator ------------------------------------------------------

_ATTRIBUTES = re.compile(
    r"(?<![ \t])[ \t]*\{:[^{}\n]{0,300}\}|(?<=[^\s{])[ \t]*\{[#.][^{}\n]{1,200}\}(?=[ \t]*$)", re.MULTILINE
)
_OWN_ID = re.compile(r"[{\s:]#([^\s{}.#]{1,100})")
_TOC = re.compile(
    r"^(?:[*+-] [^\n]{0,80}\n\{:[ \t]?toc[^{}\n]{0,60}\}|[ \t]{0,3}(?:\[\[_?toc_?\]\]|\[toc\]|\$\{toc\}))[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)


def _attributes(work: Work) -> None:
    """Leave out `{: .lead}`, `{#id}`, `{.class}`; the id of a heading stays, as links lead to it."""
    if "{" in work.body.text:
        work.body.text = _ATTRIBUTES.sub(_own_id, _TOC.sub("", work.body.text))


def _own_id(match: re.Match[str]) -> str:
    start = match.string.rfind("\n", 0, match.start()) + 1
    found = _OWN_ID.search(match[0]) if match.string.startswith("#", start) else None
    return f" {{#{found[1]}}}" if found else ""


def _comments(work: Work) -> None:
    """Leave out what stands for a table of contents on a line of its own."""
    if "toc" in work.body.text.lower():
        work.body.text = _TOC.sub("", work.body.text)


def _pelican(work: Work) -> None:
    """What Python-Markdown reads besides."""
    _callouts(work)
    _attributes(work)


# -- Obsidian ------------------------------------------------------------------------

_LINK = re.compile(r"(!?)\[\[([^\[\]\n]{1,500})\]\]")
_TAG = re.compile(r"(?<![^\s(（,，、。])#([\w/-]{1,100})")
_BLOCK = re.compile(r"[ \t]\^[A-Za-z0-9-]{1,40}$", re.MULTILINE)


def _wikilinks(work: Work) -> None:
    """Make links and pictures of `[[Note|text]]` and `![[picture.png]]`, leave out `%%comments%%`, and find `#tags`."""
    text = _between(work.body.text, "%%", lambda inside: "")
    if "[[" in text:
        text = _LINK.sub(_wikilink, text).replace("[[", r"\[\[")
    if "^" in text:
        text = _BLOCK.sub("", text)
    for match in _TAG.finditer(text) if "#" in text else ():
        name = match[1].strip("/-")
        if any(char.isalpha() for char in name) and len(work.tags) < _MAX_TAGS:
            work.tags.setdefault(name)
    work.body.text = text


def _wikilink(match: re.Match[str]) -> str:
    target, _bar, shown = match[2].replace("\\|", "|").partition("|")
    name, _mark, part = target.strip().partition("#")
    if match[1] and is_picture(name):
        return picture_of(name, "" if re.fullmatch(r"\d+(?:x\d+)?", shown.strip()) else shown.rpartition("|")[0] or shown)
    text = shown.strip() or " > ".join(filter(None, (name, part.strip("^"))))
    if not name:
        return text
    path = name if re.search(r"\.[A-Za-z0-9]{2,5}$", name) else f"{name}.md"
    return link_to(path, text)


def _between(text: str, mark: str, change: Callable[[str], str | None]) -> str:
    """Return a text with what stands between two marks changed; None leaves it, with its marks."""
    parts, at = [], 0
    while (start := text.find(mark, at)) >= 0 and (end := text.find(mark, start + len(mark))) >= 0:
        changed = change(text[start + len(mark) : end])
        if changed is None:
            parts.append(text[at:end])
            at = end
            if at + len(mark) > len(text):
                break
            continue
        parts += [text[at:start], changed]
        at = end + len(mark)
    return "".join((*parts, text[at:]))


def _math(work: Work) -> None:
    """Show formulas between `$$` as the source that they are, as code."""

    def formula(inside: str) -> str | None:
        if not inside.strip() or "\n\n" in inside or inside.startswith("$"):
            return None
        return template_tags.fenced(work, inside if "\n" in inside else inside.strip(), "latex")

    if "$$" in work.body.text:
        work.body.text = _between(work.body.text, "$$", formula)


#: Passes by their names, which rows of `kinds.KINDS` list in the order in which they run.
PASSES: Mapping[str, Callable[[Work], None]] = {
    "shortcodes": template_tags.shortcodes,
    "liquid": template_tags.liquid,
    "nunjucks": template_tags.nunjucks,
    "tags": template_tags.tags,
    "mdx": components.mdx,
    "vue": components.vue,
    "containers": _containers,
    "admonitions": _containers,
    "callouts": _callouts,
    "attributes": _attributes,
    "comments": _comments,
    "pelican": _pelican,
    "wikilinks": _wikilinks,
    "highlights": _replacing(r"(?<![=\w])==(?=[^\s=])([^\n=]{1,500}?)(?<=\S)==(?!=)", r"<mark>\1</mark>", holds="=="),
    "math": _math,
}
