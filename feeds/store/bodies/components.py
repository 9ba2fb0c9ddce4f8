"""Take the JavaScript out of MDX and the templates out of Vue: imports, expressions, components. Their words stay. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .template_tags import Tag, Work, link_to, picture_of

_MODULE = re.compile(
    r"import\s+(?:['\"{*]|[\w$]+\s*(?:,|from\b)|type\s)|export\s+(?:default|const|let|var|function|async|class|type|interface|[{*])"
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w.:-]{0,60}|)(?=[\s/>])")
_ATTRIBUTE = re.compile(r"""([\w:@.-]{1,60})\s*=\s*(?:"([^"]*)"|'([^']*)'|(\{))""")
_LITERAL = re.compile(r"""["'`]([^"'`]*)["'`]""")
_OWN_ID = re.compile(r"#[^\s{}]{1,100}")
_IN_TAG = re.compile(r"""["'{<>]""")
_MAX_TAG = 2000
_PICTURES = frozenset({"image", "img", "figure", "picture", "zoomimage", "idealimage", "themedimage"})
#: Of the file: what `src`, `url` and the like say.
_SOURCES = ("src", "url", "image", "img", "source")


def mdx(work: Work) -> None:
    """Take modules, comments, expressions and components out of MDX, which is what Docusaurus reads plain Markdown as, too."""
    if not work.context.mdx:
        return
    work.body.text = "\n".join(_without_modules(work, work.body.text.split("\n")))
    _components(work, braces=True)
    work.body.text = "".join(_without_expressions(work, work.body.text))


def vue(work: Work) -> None:
    """Take components and printed values out of Markdown for Vue."""
    text = work.body.text
    for name in ("script", "style"):
        text = _without_blocks(text, f"<{name}", f"</{name}>")
    parts, at = [], 0
    while (start := text.find("{{", at)) >= 0 and (end := text.find("}}", start + 2)) >= 0:
        parts += [text[at:start], work.drop("{{ }}")]
        at = end + 2
    work.body.text = "".join((*parts, text[at:]))
    _components(work, braces=False)


def _without_blocks(text: str, opening: str, closing: str) -> str:
    """Return a text without blocks that begin a line with `opening`, up to `closing`."""
    parts, at = [], 0
    for match in re.finditer(rf"^{opening}\b", text, re.MULTILINE):
        if match.start() < at:
            continue
        if (end := text.find(closing, match.end())) < 0:
            break
        parts.append(text[at : match.start()])
        at = end + len(closing)
    return "".join((*parts, text[at:]))


def _without_modules(work: Work, lines: list[str]) -> Iterator[str]:
    """Yield the lines that are no import or export: these begin a paragraph, and end at a blank line outside of brackets."""
    depth, inside, blank = 0, False, True
    for line in lines:
        if not inside and blank and line.startswith(("import", "export")) and _MODULE.match(line):
            inside, depth = True, 0
            work.dropped["import, export"] += 1
        if inside:
            depth += sum(line.count(one) for one in "({[") - sum(line.count(one) for one in ")}]")
            inside = bool(line.strip()) or depth > 0
            if inside:
                continue
        yield line
        blank = not line.strip()


def _without_expressions(work: Work, text: str) -> Iterator[str]:
    """Yield a text without `{expressions}`; of one that is a literal text, its words."""
    ends = _closing_braces(text)
    at = 0
    for match in re.finditer(r"(?<!\\)\{", text):
        start = match.start()
        end = ends.get(start)
        if start < at or end is None:
            continue
        yield text[at:start]
        inside = text[start + 1 : end].strip()
        at = end + 1
        if literal := _LITERAL.fullmatch(inside):
            yield literal[1]
        elif _OWN_ID.fullmatch(inside) and text.startswith("#", text.rfind("\n", 0, start) + 1):
            yield text[start:at]  # of a heading
        elif inside and not inside.startswith(("/*", "#")):
            work.drop("{ }")
    yield text[at:]


def _closing_braces(text: str) -> dict[int, int]:
    """Return for each brace the place of the one that closes it, in one go."""
    ends: dict[int, int] = {}
    stack: list[int] = []
    for match in re.finditer(r"\\[{}]|[{}]", text):
        if match[0] == "{":
            stack.append(match.start())
        elif match[0] == "}" and stack:
            ends[stack.pop()] = match.start()
    return ends


def _components(work: Work, *, braces: bool) -> None:
    """Replace the tags of components by what is in them; make attributes of HTML tags with braces those of HTML."""
    text = work.body.text
    ends = _Ends(text, braces)
    parts, at = [], 0
    for match in _TAG.finditer(text):
        name = match[2]
        component = _is_component(name, braces)
        if match.start() < at or not (component or braces):
            continue
        end = ends.after(match.end())
        if end < 0:
            continue
        attributes = text[match.end() : end - 1]
        if not component and "{" not in attributes:
            continue
        parts.append(text[at : match.start()])
        at = end
        if component:
            parts.append("" if match[1] else _component(work, name, attributes, _is_alone(text, match.start(), end)))
        else:
            single = "/" if attributes.endswith("/") else ""
            kept = (
                f' {key}="{value}"' for key, value in _attributes(attributes).items() if key in ("src", "href", "alt", "title")
            )
            parts.append(f"<{match[1]}{name}{''.join(kept)}{single}>")
    work.body.text = "".join((*parts, text[at:]))


def _is_component(name: str, fragments: bool) -> bool:
    """Return whether a tag is a component's: in capitals and small letters, with a dot or a hyphen; "" is a fragment of JSX."""
    if not name:
        return fragments
    return "-" in name or "." in name or (name[0].isupper() and not name.isupper())


class _Ends:
    """Where tags end: over texts in quotes and braces, within a bound on the steps that all of them take together."""

    def __init__(self, text: str, braces: bool) -> None:
        self.text = text
        self._closing = _closing_braces(text) if braces else None
        self._steps = 20_000 + len(text) // 4

    def after(self, at: int) -> int:
        """Return the place behind the ">" of the tag whose name ends at `at`; -1 where there is none nearby."""
        limit = min(len(self.text), at + _MAX_TAG)
        while self._steps > 0 and (match := _IN_TAG.search(self.text, at, limit)):
            self._steps -= 1
            at = match.end()
            if match[0] in "<>":
                return at if match[0] == ">" else -1
            if match[0] != "{":
                at = self.text.find(match[0], at, limit) + 1
            elif self._closing is not None:
                at = self._closing.get(match.start(), -1) + 1
            if at <= 0:
                return -1
        return -1


def _is_alone(text: str, start: int, end: int) -> bool:
    return not text[text.rfind("\n", max(0, start - 20), start) + 1 : start].strip() and text[end : end + 1] in ("", "\n")


def _attributes(text: str) -> dict[str, str]:
    """Return the attributes of a tag that are texts: `a="x"`, and the first text in `a={require('x')}`."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text[:_MAX_TAG]):
        if match[4]:
            literal = _LITERAL.search(text, match.end(), match.end() + 300)
            if literal and "}" not in text[match.end() : literal.start()]:
                found.setdefault(match[1].lower(), literal[1])
        else:
            found.setdefault(match[1].lower(), match[2] if match[2] is not None else match[3])
    return {key: re.sub(r'["<>]', "", value) for key, value in found.items()}


def _component(work: Work, name: str, attributes: str, alone: bool) -> str:
    values = _attributes(attributes)
    lower = name.lower()
    source = next((values[key] for key in _SOURCES if values.get(key)), "")
    if lower in _PICTURES and source:
        return picture_of(source, values.get("alt") or values.get("caption", ""), "")
    if "youtube" in lower and (video := values.get("id") or values.get("videoid") or values.get("url")):
        return link_to(video if video.startswith("http") else f"https://www.youtube.com/watch?v={video}", "YouTube")
    if attributes.rstrip().endswith("/"):
        return work.drop(Tag(name).name[:30], alone)
    work.dropped[f"<{name[:30]}>"] += 0  # its words stay
    return ""
