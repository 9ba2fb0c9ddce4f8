"""Replace elements of a body that no reader of feeds shows: players, frames, formulas, what scripts would load. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from . import embeds, pictures
from .elements import ELEMENTS
from .nodes import LexborNode, Pass, rename, unwrap

#: Elements for which more is done than to keep them or their contents.
_SPECIAL = tuple(
    name
    for name, treatment in ELEMENTS.items()
    if treatment in ("block", "link", "picture", "code", "text", "formula", "dropped")
)
RARE = frozenset((*_SPECIAL, "noscript", "canvas"))
#: Elements that stand in a paragraph or are one: no other paragraph stands in them.
_INLINE = frozenset("p a b i em strong span small sub sup u s del ins mark q cite font h1 h2 h3 h4 h5 h6 dt summary".split())


def replace_rare(work: Pass, body: LexborNode) -> None:
    """Replace players, frames, formulas and the like; those within others come first."""
    for node in reversed(body.css(",".join(RARE))):
        tag = node.tag or ""
        if node.parent is None:
            continue
        if tag == "section" and "footnotes" in (node.attributes.get("class") or "").split():
            if node.prev is not None:
                node.insert_before(work.make("hr"))
            unwrap(node)
        elif ELEMENTS.get(tag) == "block":
            rename(work, node, "div")
        elif tag in ("embed", "object") and _is_within(node, ("object", "video", "audio")):
            continue  # another form of what is around it
        elif tag == "noscript":
            _noscript(work, node)
        elif tag == "canvas":
            work.changes["<canvas>: its drawing left out"] += 1
            unwrap(node)
        elif (treatment := ELEMENTS.get(tag)) == "link":
            _link(work, node)
        elif treatment == "picture":
            _picture(work, node)
        elif treatment == "code":
            _preformat(work, node)
        elif treatment == "text":
            _input(node)
        elif treatment == "formula":
            _formula(work, node)
        elif tag == "script" and embeds.is_widget(node.attributes.get("src") or ""):
            _link(work, node)
        elif tag in ("source", "param", "track"):
            continue  # of the element around it, which comes next
        elif tag in ("script", "style", "template"):
            work.drop(node, f"<{tag}>: left out")
        else:
            node.decompose()


def drop_line_numbers(body: LexborNode) -> None:
    """Leave of tables of line numbers and code the code, as highlighters make them."""
    for numbers in body.css("td.gutter, td.rouge-gutter, td.linenos"):
        around = numbers.parent
        while around is not None and around.tag != "table":
            around = around.parent
        numbers.decompose()
        if around is not None and len(code := around.css("pre")) == 1:
            around.replace_with(code[0], move=True)


def _is_within(node: LexborNode, tags: tuple[str, ...]) -> bool:
    around = node.parent
    while around is not None:
        if around.tag in tags:
            return True
        around = around.parent
    return False


def _link(work: Pass, node: LexborNode) -> None:
    """Put a link where an embedded player, program or document is, with its picture if it has one."""
    attributes = node.attributes
    title = attributes.get("title") or attributes.get("aria-label") or ""
    known = [one for written in _sources(node) if (one := embeds.find_embed(written, title))]
    found = next((one for one in known if one.service), known[0] if known else None)
    inner = node.css_first("a[href], img") if node.tag in ("object", "video", "audio") else None
    if found is None:
        if inner is not None:
            unwrap(node)
        else:
            work.drop(node, f"<{node.tag}> without an address: left out")
        return
    work.changes[f"<{node.tag}>: a link instead"] += 1
    if node.tag in ("audio", "video"):
        work.media.insert(0, next(_sources(node)).strip())  # elements come from the last to the first
    link = work.make("a", href=found.address)
    if picture := found.picture or (attributes.get("poster") or "").strip():
        link.insert_child(work.make("img", src=picture, alt=""))
        link.insert_child(work.make("br"))
    link.insert_child(f"▶ {found.label}" if _plays(node, found) else found.label)
    _stand(work, node, link)


def _plays(node: LexborNode, found: embeds.Embed) -> bool:
    return node.tag in ("video", "audio") or bool(found.picture) or found.service in ("Vimeo", "bilibili", "腾讯视频", "优酷")


def _sources(node: LexborNode) -> Iterator[str]:
    """Yield what an element may have as its address, the best first."""
    attributes = node.attributes
    for name in ("src", "data", "data-src", "data-lazy-src", "data-original", "data-url", "movie"):
        if value := attributes.get(name):
            yield value
    for inner in node.css("source[src], param[value], embed[src]"):
        if inner.tag != "param" or (inner.attributes.get("name") or "").lower() in ("movie", "src", "url", "filename"):
            yield inner.attributes.get("src") or inner.attributes.get("value") or ""
    if (film := attributes.get("src") or attributes.get("data")) and (flash := attributes.get("flashvars")):
        yield f"{film}{'&' if '?' in film else '?'}{flash}"  # says which film a player of Flash shows


def _stand(work: Pass, node: LexborNode, made: LexborNode) -> None:
    """Put `made` where an element is: in a paragraph of its own, unless it stands in one."""
    parent = node.parent
    if parent is None or parent.tag in _INLINE or _runs_on(node):
        node.replace_with(made, move=True)
        return
    paragraph = work.make("p")
    paragraph.insert_child(made)
    node.replace_with(paragraph, move=True)


def _runs_on(node: LexborNode) -> bool:
    """Return whether words stand directly before or after an element."""
    around = (node.prev, node.next)
    return any(one is not None and one.tag == "-text" and (one.text_content or "").strip() for one in around)


def _picture(work: Pass, node: LexborNode) -> None:
    """Leave of a `picture` its `img`, with an address of one of its sources where it has none."""
    image = node.css_first("img")
    address = pictures.real_address(image.attributes) if image is not None else ""
    if not address:
        address = next((one for source in node.css("source") if (one := pictures.real_address(source.attributes))), "")
    if image is None:
        image = work.make("img", src=address, alt="")
        node.replace_with(image, move=True)
        return
    if address:
        image.attrs["src"] = address
    node.replace_with(image, move=True)


def _noscript(work: Pass, node: LexborNode) -> None:
    """Show what is in a `noscript`; of a picture that a script would have loaded, one copy."""
    image = node.css_first("img")
    before = node.prev
    while before is not None and before.tag == "-text" and not (before.text_content or "").strip():
        before = before.prev
    if image is not None and before is not None:
        earlier = before if before.tag == "img" else before.css_first("img")
        if earlier is not None:
            own, other = pictures.real_address(image.attributes), pictures.real_address(earlier.attributes)
            if other in ("", own) or not own or pictures.shows_nothing(other):
                if other != own and own:
                    earlier.attrs["src"] = own
                node.decompose()
                return
    unwrap(node)


def _preformat(work: Pass, node: LexborNode) -> None:
    """Make preformatted text of what old elements show as it is written; no paragraph has such a one in it."""
    parent = node.parent
    node.replace_with(work.make("pre", (node.text(deep=True) or "").strip("\n")), move=True)
    if parent is not None and parent.tag == "p":
        unwrap(parent)


def _input(node: LexborNode) -> None:
    """Show a box of a list of tasks as a sign, and what a button says."""
    kind = (node.attributes.get("type") or "text").lower()
    if kind in ("checkbox", "radio"):
        node.replace_with("☑" if "checked" in node.attributes else "☐")
    elif kind in ("button", "submit", "reset") and (said := node.attributes.get("value")):
        node.replace_with(said)
    else:
        node.decompose()


def _formula(work: Pass, node: LexborNode) -> None:
    """Leave MathML as it is, and put its TeX behind it, for readers that drop MathML and join its letters."""
    note = node.css_first('annotation[encoding="application/x-tex"], annotation[encoding="TeX"], annotation[encoding="LaTeX"]')
    source = ((note.text() if note is not None else "") or node.attributes.get("alttext") or "").strip()
    for inner in reversed(node.css("annotation, annotation-xml")):
        inner.decompose()
    if not (node.text() or "").strip():
        node.replace_with(work.make("code", source), move=True) if source else node.decompose()
    elif source:
        code = work.make("code", source)
        code.attrs["class"] = "language-tex"
        work.classes = True
        node.insert_after(code)
        node.insert_after(" ")
