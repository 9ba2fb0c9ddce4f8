"""Replace shortcodes of Hugo and tags of Liquid and Nunjucks by the Markdown that they stand for. Pure, in linear time.

What is a row of a table here is kept: pictures, links to other articles, videos, code, quotes. Of all others the text between
an opening and a closing tag stays, and the tags go. No tag is ever run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from .code_spans import Masked

_MAX_ARGUMENTS, _MAX_DEPTH = 2000, 40
_ARGUMENT = re.compile(r"""(?:([A-Za-z_][\w.:-]{0,60})\s*[=:]\s*)?(?:"([^"]*)"|'([^']*)'|`([^`]*)`|([^\s,"'`]+))""", re.DOTALL)
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".bmp", ".ico")


@dataclass(frozen=True, slots=True)
class BodyContext:
    """What a pass has to know of the article: where all of it can be seen, and the values that templates print.

    `mdx` is False for a plain Markdown file of a generator that reads only `.mdx` as MDX (Astro). `link` is the address to
    which what cannot be shown leads, "" for none. `values` are what templates print: "site.title".
    """

    mdx: bool = True
    link: str = ""
    base_url: str = ""
    base_path: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """A body on its way through the passes."""

    body: Masked
    context: BodyContext
    dropped: Counter[str] = field(default_factory=Counter)
    tags: dict[str, None] = field(default_factory=dict)

    def drop(self, what: str, standing_alone: bool = False) -> str:
        """Count what is left out; return a link to the article for what stands on lines of its own, and else nothing."""
        self.dropped[what] += 1
        link = self.context.link
        return f"[…]({destination(link)})" if standing_alone and link else ""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a template: `{{< figure src="a.png" >}}`, `{% asset_img a.png %}`. `inner` is what it encloses, or None."""

    name: str
    positional: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    inner: str | None = None
    text: str = ""  # the arguments as they are written

    def get(self, *names: str, default: str = "") -> str:
        """Return the first argument of these names that is there."""
        return next((self.named[name] for name in names if self.named.get(name)), default)

    def first(self, *names: str) -> str:
        """Return the argument of a name, or else the first one without."""
        return self.get(*names) or next(iter(self.positional), "")


def destination(address: str) -> str:
    """Return an address as the destination of a link in Markdown: without blanks and brackets."""
    return quote(address.strip(), safe="/-._~!$&'*+,;=:@?#%{}|", errors="ignore")


def link_to(address: str, text: str) -> str:
    """Return a link in Markdown; its address stands for a missing text."""
    label = re.sub(r"[\[\]\s]+", " ", text or address).strip()
    return f"[{label}]({destination(address)})" if address else text


def picture_of(address: str, text: str = "", title: str = "") -> str:
    """Return a picture in Markdown, "" without an address."""
    label = re.sub(r"[\[\]\s]+", " ", text).strip()
    caption = ' "' + re.sub(r'["\s]+', " ", title).strip() + '"' if title else ""
    return f"![{label}]({destination(address)}{caption})" if address else ""


def quoted(text: str, title: str = "") -> str:
    """Return a quote in Markdown, its title in bold."""
    lines = text.strip("\n").split("\n")
    head = [f"> **{title}**", ">"] if title else []
    return "\n".join(("", *head, *(f"> {line}" if line.strip() else ">" for line in lines), ""))


def fenced(work: Work, code: str, language: str = "") -> str:
    """Return code as a fence, hidden from what follows; a piece of a line as a span."""
    plain = work.body.restore(code)
    if "\n" not in plain.strip("\n"):
        plain = plain.strip("\n")
    if "\n" not in plain and "\n" not in code:
        ticks = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
        pad = " " if plain.startswith("`") or plain.endswith("`") else ""
        return work.body.mask(f"{ticks}{pad}{plain}{pad}{ticks}") if plain.strip() else ""
    ticks = "`" * max(3, max(map(len, re.findall("`+", plain)), default=0) + 1)
    word = re.match(r"[\w+#.-]*", language)
    return "\n" + work.body.mask(f"{ticks}{word[0] if word else ''}\n" + plain.strip("\n") + f"\n{ticks}") + "\n"


def is_picture(address: str) -> bool:
    """Return whether an address ends as pictures do."""
    return address.partition("?")[0].lower().endswith(_PICTURES)


# -- what tags mean ------------------------------------------------------------------

_Meaning = Callable[[Work, Tag], str]


def _figure(work: Work, tag: Tag) -> str:
    source = tag.get("src", "url", "image_path", "path", "image", "file", "img")
    source = source or next((one for one in tag.positional if is_picture(one)), "")
    caption = tag.get("caption", "title") or (tag.inner or "").strip()
    shown = picture_of(source, tag.get("alt") or caption)
    if not shown:
        return work.drop(tag.name) + caption
    shown = f"[{shown}]({destination(tag.get('link'))})" if tag.get("link") else shown
    return f"{shown}\n\n*{caption}*" if caption and "\n" not in caption else f"{shown}\n\n{caption}" if caption else shown


def _image(work: Work, tag: Tag) -> str:
    """Hexo's `img` and `asset_img`: classes, an address, sizes, then a title and a text."""
    at = next((number for number, one in enumerate(tag.positional) if is_picture(one) or "/" in one), 0)
    if not tag.positional:
        return _figure(work, tag)
    words = [one for one in tag.positional[at + 1 :] if not re.fullmatch(r"\d+%?", one)]
    if len(words) == 1 and (inner := re.findall(r""""([^"]*)"|'([^']*)'""", words[0])):
        words = [one or other for one, other in inner]
    return picture_of(tag.positional[at], words[-1] if words else "", words[0] if len(words) > 1 else "")


def _reference(work: Work, tag: Tag) -> str:
    """`ref "posts/x.md"`: the path of a file, which becomes its address where all files are known."""
    path, mark, part = tag.first("path").partition("#")
    if path and not re.search(r"\.[A-Za-z]{2,8}$", path):
        path = path.rstrip("/") + ".md"
    return destination(path + mark + part)


def _post_url(work: Work, tag: Tag) -> str:
    return destination(f"/_posts/{tag.text.strip().strip('/')}.md") if tag.text.strip() else ""


def _post_link(work: Work, tag: Tag) -> str:
    if not tag.positional:
        return ""
    name = tag.positional[0]
    words = [one for one in tag.positional[1:] if one not in ("true", "false")]
    return link_to(name if name.endswith(".md") else f"{name}.md", " ".join(words) or name.rpartition("/")[2])


def _link(work: Work, tag: Tag) -> str:
    """Jekyll's `link path`, and Hexo's `link text url`."""
    address = next((one for one in tag.positional if one.startswith(("http://", "https://", "/"))), "")
    if len(tag.positional) > 1 and address:
        return link_to(address, " ".join(tag.positional[: tag.positional.index(address)]))
    return destination("/" + tag.text.strip().lstrip("/"))


def _video(pattern: str, label: str) -> _Meaning:
    def meaning(work: Work, tag: Tag) -> str:
        name = tag.first("id", "videoId", "video_id", "v")
        return link_to(name if name.startswith("http") else pattern.format(name), label) if name else work.drop(tag.name)

    return meaning


def _gist(work: Work, tag: Tag) -> str:
    path = "/".join(one.strip("/") for one in tag.positional[:2])
    return (
        link_to(path if path.startswith("http") else f"https://gist.github.com/{path}", "Gist") if path else work.drop(tag.name)
    )


def _tweet(work: Work, tag: Tag) -> str:
    name, user = tag.first("id"), tag.get("user", default="i")
    return link_to(name if name.startswith("http") else f"https://twitter.com/{user}/status/{name}", "Twitter") if name else ""


def _source(work: Work, tag: Tag) -> str:
    """A film, a sound, a page in a frame: a link to it."""
    address = tag.first("src", "url", "href", "link", "file")
    return (
        link_to(address, tag.get("title", "text", "caption", "name") or (tag.inner or "").strip())
        if address
        else work.drop(tag.name)
    )


def _code(work: Work, tag: Tag) -> str:
    language = tag.get("lang", "language") or next(iter(tag.positional), "") if tag.name != "codeblock" else tag.get("lang")
    return fenced(work, tag.inner or "", language)


def _diagram(work: Work, tag: Tag) -> str:
    return fenced(work, f"\n{(tag.inner or '').strip(chr(10))}\n", tag.name)


def _quote(work: Work, tag: Tag) -> str:
    author = " ".join((*tag.positional, tag.get("author", "cite", "source"))).strip(" ,")
    return quoted(
        (tag.inner or "").strip("\n") + (f"\n\n— {author}" if author and tag.name not in ("cq", "centerquote") else "")
    )


def _notice(work: Work, tag: Tag) -> str:
    kind = tag.get("type") or next(iter(tag.positional), "")
    title = tag.get("title") or (
        " ".join(tag.positional[1:]) or kind.capitalize() if tag.name in _GENERAL else tag.name.capitalize()
    )
    return quoted(tag.inner or "", title)


def _details(work: Work, tag: Tag) -> str:
    return f"**{title}**\n\n{tag.inner or ''}" if (title := tag.first("summary", "title")) else tag.inner or ""


def _nothing(work: Work, tag: Tag) -> str:
    return ""


def _include(work: Work, tag: Tag) -> str:
    if tag.get("id") and "youtube" in tag.text[:60].lower():
        return _video("https://www.youtube.com/watch?v={}", "YouTube")(work, Tag(tag.name, (), tag.named))
    source = tag.get("image_path", "url", "src", "image", "img", "path", "file")
    return _figure(work, Tag(tag.name, (), tag.named)) if is_picture(source) else work.drop(tag.name)


_GENERAL = frozenset("note notice admonition alert callout hint message box".split())
_NAMES: Mapping[_Meaning, str] = {
    _figure: "figure img image picture photo pic lightbox imgcap imgproc responsive-image figureimg",
    _reference: "ref relref",
    _video("https://www.youtube.com/watch?v={}", "YouTube"): "youtube youtuber youtube-lite",
    _video("https://vimeo.com/{}", "Vimeo"): "vimeo",
    _video("https://www.bilibili.com/video/{}", "bilibili"): "bilibili bili",
    _video("https://www.instagram.com/p/{}/", "Instagram"): "instagram",
    _video("https://asciinema.org/a/{}", "asciinema"): "asciinema",
    _gist: "gist",
    _tweet: "tweet twitter x",
    _source: "video audio iframe mp4 pdf embed soundcloud button btn linkcard",
    _code: "highlight code codeblock",
    _diagram: "mermaid katex math plantuml graphviz echarts latex",
    _quote: "blockquote quote pullquote cq centerquote epigraph",
    _notice: " ".join(_GENERAL) + " tip info warning danger success caution important primary",
    _details: "details detail expand collapse fold spoiler",
    _nothing: "toc more br clear comment rawhtml ad ads adsense",
}
_COMMON: Mapping[str, _Meaning] = {name: meaning for meaning, names in _NAMES.items() for name in names.split()}
_LIQUID: Mapping[str, _Meaning] = {
    **_COMMON,
    "img": _image,
    "asset_img": _image,
    "asset_path": lambda work, tag: destination(tag.first()),
    "asset_link": lambda work, tag: link_to(tag.first(), " ".join(tag.positional[1:])),
    "post_link": _post_link,
    "post_path": lambda work, tag: destination(f"{tag.first()}.md"),
    "post_url": _post_url,
    "link": _link,
    "include": _include,
    "include_relative": _include,
    "include_cached": _include,
}
#: What prints nothing where it stands.
_SILENT = frozenset(
    "if elsif elif else unless case when for tablerow break continue assign increment decrement cycle set import extends block "
    "render layout liquid echo paginate call filter macro toc seo feed_meta css js with autoescape".split()
)
#: What encloses text that is printed elsewhere, or nowhere.
_UNSEEN = frozenset("comment capture schema style stylesheet javascript macro rawhtml".split())
_LITERAL = frozenset({"raw", "verbatim"})
_VERBATIM = (
    _LITERAL | _UNSEEN | frozenset("highlight code codeblock mermaid katex math plantuml graphviz echarts latex".split())
)


# -- reading -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    end: int
    tag: Tag
    closing: bool
    single: bool = False  # as `<br/>` is


def _parse(work: Work, text: str) -> Tag:
    """Return a tag by the text between its delimiters."""
    match = re.match(r"\s*([\w./-]{1,60})", text)
    name = match[1] if match else ""
    rest = work.body.restore(text[match.end() if match else 0 :][:_MAX_ARGUMENTS]).strip()
    positional: list[str] = []
    named: dict[str, str] = {}
    for key, *values in _ARGUMENT.findall(rest):
        value = next(filter(None, values), "")
        if key and not value.startswith("//"):
            named.setdefault(key, value)
        elif key:
            positional.append(f"{key}:{value}")
        elif value:
            positional.append(value)
    return Tag(name, tuple(positional), named, None, rest)


def _find(work: Work, opening: str, closing: str, end_of: Callable[[str], str]) -> Iterator[_Found]:
    """Yield the tags of one pair of delimiters; those that enclose what is no text come with it. Text is scanned once."""
    text, at = work.body.text, 0
    missing: set[str] = set()
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        at, start = end + len(closing), text.rfind(opening, start, end)  # one that is never closed is no tag
        inside = text[start + len(opening) : end].strip("-").strip()
        if "\n\n" in inside:
            continue
        ending = end_of(inside)
        tag = _parse(work, ending or inside.rstrip("/"))
        if not ending and tag.name in _VERBATIM and tag.name not in missing and not inside.endswith("/"):
            pattern = re.compile(
                re.escape(opening) + r"-?\s{0,20}(?:/\s{0,20}|end)" + re.escape(tag.name) + r"\s{0,20}-?" + re.escape(closing)
            )
            if match := pattern.search(text, at):
                inner, at = text[at : match.start()], match.end()
                tag = Tag(tag.name, tag.positional, tag.named, inner, tag.text)
            else:
                missing.add(tag.name)
        yield _Found(start, at, tag, bool(ending), inside.endswith("/"))


def _pairs(found: list[_Found]) -> dict[int, int]:
    """Return opening tag -> closing tag, by their numbers; tags that are never closed are left out."""
    pairs: dict[int, int] = {}
    stack: list[int] = []
    open_ones: Counter[str] = Counter()
    for number, one in enumerate(found):
        if not one.closing and not one.single and one.tag.inner is None:
            stack.append(number)
            open_ones[one.tag.name] += 1
        elif one.closing and open_ones[one.tag.name]:
            while True:
                last = stack.pop()
                open_ones[found[last].tag.name] -= 1
                if found[last].tag.name == one.tag.name:
                    pairs[last] = number
                    break
    return pairs


def _replace(work: Work, found: list[_Found], meaning: Callable[[Tag, bool], str]) -> str:
    """Return the text with its tags replaced, inner ones first. `meaning` gets a tag and whether it is alone on its line."""
    text, at = work.body.text, 0
    pairs = _pairs(found)
    closers: set[int] = set()
    open_tags: list[Tag] = []
    parts: list[list[str]] = [[]]
    for number, one in enumerate(found):
        parts[-1].append(text[at : one.start])
        at = one.end
        if number in pairs and len(open_tags) < _MAX_DEPTH:
            open_tags.append(one.tag)
            parts.append([])
            closers.add(pairs[number])
        elif number in closers:
            outer, inner = open_tags.pop(), "".join(parts.pop())
            parts[-1].append(meaning(Tag(outer.name, outer.positional, outer.named, inner, outer.text), False))
        elif not one.closing:
            alone = (
                text[text.rfind("\n", 0, one.start) + 1 : one.start].isspace() or one.start == 0 or text[one.start - 1] == "\n"
            )
            parts[-1].append(meaning(one.tag, alone and text[one.end : one.end + 1] in ("", "\n")))
    while len(parts) > 1:  # what a deeper level than is read has left open
        inner = "".join(parts.pop())
        parts[-1].append(inner)
    return "".join((*parts[0], text[at:]))


def shortcodes(work: Work) -> None:
    """Replace the shortcodes of Hugo."""
    text = work.body.text
    if "{{" not in text:
        return
    # Written so that Hugo shows it: `{{</* name */>}}`.
    text = re.sub(
        r"\{\{([<%])/\*((?:(?!\*/)[^\n]){0,500})\*/([>%])\}\}",
        lambda m: work.body.mask(f"&#123;{{&#{ord(m[1])};{m[2]}{m[3]}}}}}"),
        text,
    )
    text = _without(text, "{{/*", "*/}}")
    work.body.text = text
    for opening, closing in (("{{<", ">}}"), ("{{%", "%}}")):
        found = list(_find(work, opening, closing, lambda inside: inside[1:].strip() if inside.startswith("/") else ""))
        if found:
            work.body.text = _replace(work, found, lambda tag, alone: _mean(work, tag, alone, _COMMON))
        work.body.text = work.body.text.replace(opening, " ")


def tags(work: Work) -> None:
    """Replace the tags of Liquid and Nunjucks."""
    if "{%" not in work.body.text:
        return
    found = list(_find(work, "{%", "%}", lambda inside: inside[3:] if inside.startswith("end") else ""))
    if found:
        work.body.text = _replace(work, found, lambda tag, alone: _mean(work, tag, alone, _LIQUID))
    work.body.text = work.body.text.replace("{%", " ")


def liquid(work: Work) -> None:
    """Replace the tags and the printed values of Liquid and Nunjucks."""
    tags(work)
    if "{{" in work.body.text:
        work.body.text = _printed(work, work.body.text)


def nunjucks(work: Work) -> None:
    """Leave out the comments of Nunjucks; its tags are those of Liquid."""
    work.body.text = _without(work.body.text, "{#", "#}")
    liquid(work)


def _mean(work: Work, tag: Tag, alone: bool, meanings: Mapping[str, _Meaning]) -> str:
    if tag.name in _LITERAL:
        return re.sub(r"\{(?=[{%#])", "&#123;", tag.inner or "")
    if tag.name in _UNSEEN and tag.inner is not None:
        return ""
    if meaning := meanings.get(tag.name):
        return meaning(work, tag)
    if tag.inner is not None or tag.name in _SILENT:
        return tag.inner or ""
    return work.drop(tag.name[:30] or "tag", alone)


def _without(text: str, opening: str, closing: str) -> str:
    """Return a text without what stands between two delimiters."""
    parts, at = [], 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        parts.append(text[at:start])
        at = end + len(closing)
    return "".join((*parts, text[at:])) if at else text


def _printed(work: Work, text: str) -> str:
    """Return a text with the values that `{{ }}` prints, as far as they are known."""
    parts, at = [], 0
    while (start := text.find("{{", at)) >= 0 and (end := text.find("}}", start + 2)) >= 0:
        start = text.rfind("{{", start, end)
        parts += [text[at:start].replace("{{", " "), _value(work, text[start + 2 : end].strip("- \n\t")[:_MAX_ARGUMENTS])]
        at = end + 2
    return "".join((*parts, text[at:].replace("{{", " ")))


def _value(work: Work, expression: str) -> str:
    first, *filters = (part.strip() for part in work.body.restore(expression).split("|"))
    context = work.context
    literal = re.fullmatch(r"""(["'])([^"']*)\1""", first)
    known = {"site.baseurl": context.base_path, "baseurl": context.base_path, "site.url": _origin(context.base_url)}
    value = literal[2] if literal else {**known, **context.values}.get(first)
    if value is None:
        return work.drop("{{ }}")
    for name in filters:
        if name in ("relative_url", "url"):
            value = f"{context.base_path}/{value.lstrip('/')}" if not value.startswith(("http:", "https:")) else value
        elif name == "absolute_url":
            value = f"{context.base_url}/{value.lstrip('/')}" if not value.startswith(("http:", "https:")) else value
        elif (more := re.fullmatch(r"""(append|prepend)\s*:\s*(["']?)([^"']*)\2""", name)) is not None:
            text = more[3] if more[2] else {**known, **context.values}.get(more[3], "")
            value = value + text if more[1] == "append" else text + value
    return destination(value) if literal and "/" in value else value


def _origin(address: str) -> str:
    return re.sub(r"^(https?://[^/]*).*", r"\1", address, flags=re.DOTALL)
