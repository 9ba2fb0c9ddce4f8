"""Make the ids of a body unique to its article, and let links within it lead to them: footnotes, headings, places. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

from .constructs import NOTES
from .nodes import HEADINGS, LexborNode, Pass, rename, unwrap


def leave_unused(work: Pass, body: LexborNode) -> None:
    """Take out the paragraph that refers to unused footnotes, and the way back to it: the notes stay."""
    for paragraph in reversed(body.css("p")):
        if not paragraph.text().startswith(NOTES):
            continue
        back = {f"#{link.attributes.get('id')}" for link in paragraph.css("a")}
        paragraph.decompose()
        for link in body.css("a[data-footnote-backref]"):
            if link.attributes.get("href") in back:
                link.decompose()
        return


#: As Pandoc, kramdown, Hugo and others write the id of a heading, with classes or without.
_OWN_ID = re.compile(r"[ \t]*\{:?[ \t]*(?:\.[\w-]+[ \t]+)*#([^\s{}]{1,100})(?:[ \t][^{}\n]{0,200})?\}[ \t]*$")


def name_headings(body: LexborNode) -> None:
    """Give headings the ids that are written behind their words: `## Words {#id}`."""
    for heading in body.css("h1, h2, h3, h4, h5, h6"):
        last = heading.last_child
        if last is None or last.tag != "-text" or (match := _OWN_ID.search(text := last.text_content or "")) is None:
            continue
        if match.start() == 0 and last.prev is None:
            continue  # nothing else is in it
        if "id" not in heading.attributes:
            heading.attrs["id"] = match[1]
        last.replace_with(text[: match.start()])


def settle_ids(work: Pass, body: LexborNode) -> bool:
    """Make ids unique to the article, and let links within it lead to them; return whether it has any."""
    places: dict[str, LexborNode] = {}
    for node in body.css("[id], a[name]"):
        name = node.attributes.get("id") or node.attributes.get("name") or ""
        if "id" in node.attributes:
            del node.attrs["id"]
        if name and name not in places:
            places[name] = _place(work, node)
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name, node in places.items():
        made[name] = _new_id(work.prefix, name, taken)
        node.attrs["id"] = made[name]
    loose: dict[str, str] | None = None
    for link in reversed(body.css('a[href^="#"]')):
        name = (link.attributes.get("href") or "")[1:]
        found = made.get(name) or made.get(unquote(name))
        if found is None:
            if loose is None:
                loose = {_fold(known): id for known, id in reversed(made.items())}
                loose = _headings(work, body, taken) | loose
            found = loose.get(_fold(name)) or loose.get(re.sub(r"\d$", "", _fold(name)))
        if found is not None:
            link.attrs["href"] = f"#{found}"
            _show_note(link)
        else:
            work.changes["link to a place that is missing: its words stay"] += 1
            unwrap(link)
    for anchor in reversed(body.css("a:not([href])")):
        if "id" not in anchor.attributes:
            unwrap(anchor)
    if loose is not None:
        wanted = {(link.attributes.get("href") or "")[1:] for link in body.css('a[href^="#"]')}
        for node in body.css("[id]"):
            if node.tag in HEADINGS and node.attributes["id"] not in wanted and node.attributes["id"] not in made.values():
                del node.attrs["id"]
    return bool(made) or body.css_first("[id]") is not None


def _place(work: Pass, node: LexborNode) -> LexborNode:
    """Return the element that has an id: for an anchor without words, the heading around it."""
    if node.tag != "a" or "href" in node.attributes:
        return node
    parent = node.parent
    if parent is not None and parent.tag in HEADINGS and "id" not in parent.attributes:
        unwrap(node)
        return parent
    return rename(work, node, "span")


def _new_id(prefix: str, name: str, taken: set[str]) -> str:
    """Return an id in ASCII that no other place has."""
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", unquote(name))[:60].strip("-") or "at"
    found, number = f"{prefix}{word}", 1
    while found in taken:
        number += 1
        found = f"{prefix}{word}-{number}"
    taken.add(found)
    return found


def _fold(name: str) -> str:
    """Return what generators have in common when they make an id of a heading: its letters and digits."""
    return "".join(char for char in unquote(name).casefold() if char.isalnum())


def _headings(work: Pass, body: LexborNode, taken: set[str]) -> dict[str, str]:
    """Give each heading an id, and return the ids by the letters of the headings; the first of several counts."""
    found: dict[str, str] = {}
    for heading in body.css("h2, h3, h4, h5, h6"):
        folded = _fold(heading.text())
        if not folded or folded in found:
            continue
        id = heading.attributes.get("id")
        if not id:
            id = _new_id(work.prefix, heading.text().strip().lower(), taken)
            heading.attrs["id"] = id
        found[folded] = id
    return found


def _show_note(link: LexborNode) -> None:
    """Show the mark of a footnote in brackets, and the way back as a sign that is no picture."""
    if "data-footnote-ref" in link.attributes:
        number = link.text()
        for child in list(link.iter(include_text=True)):
            child.decompose()
        link.insert_child(f"[{number}]")
    elif "data-footnote-backref" in link.attributes and (sign := link.first_child) is not None and sign.text_content == "↩":
        sign.replace_with("↩\ufe0e")
