"""Change the tree of a body: what all parts of the tree pass share. The only user of selectolax."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from .constructs import Prepared

__all__ = ["HEADINGS", "LexborNode", "Pass", "parse", "rename", "unwrap"]

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


def parse(raw: str) -> LexborHTMLParser:
    """Return the tree of the HTML of a body, as browsers without scripts make it."""
    return LexborHTMLParser(f"<!DOCTYPE html><body>{raw}")


@dataclass(slots=True)
class Pass:
    """One pass over one body. `stored` gives the address of a picture that is written in the text itself (`data:`).

    `alone`: there is nothing beside the article that a relative link could mean. `media`: addresses of what players play.
    """

    tree: LexborHTMLParser
    prefix: str
    prepared: Prepared
    stored: Callable[[str], str] | None = None
    changes: Counter[str] = field(default_factory=Counter)
    alone: bool = False
    short: re.Pattern[str] | None = None
    classes: bool = False
    media: list[str] = field(default_factory=list)

    def make(self, tag: str, text: str = "", **attributes: str) -> LexborNode:
        """Return a new element."""
        node = self.tree.create_node(tag)
        for name, value in attributes.items():
            node.attrs[name] = value
        if text:
            node.insert_child(text)
        return node

    def drop(self, node: LexborNode, what: str) -> None:
        """Leave out an element with all that is in it, and count it."""
        self.changes[what] += 1
        node.decompose()


def rename(work: Pass, node: LexborNode, tag: str) -> LexborNode:
    """Replace an element by one of another name, with the same attributes and contents."""
    made = work.make(tag, **{name: value or "" for name, value in node.attributes.items()})
    for child in list(node.iter(include_text=True)):
        made.insert_child(child, move=True)
    node.replace_with(made, move=True)
    return made


def unwrap(node: LexborNode) -> None:
    """Leave out an element whose contents stay in its place."""
    if node.first_child is None:
        node.decompose()  # the library leaves one that is empty as it is
    else:
        node.unwrap()
