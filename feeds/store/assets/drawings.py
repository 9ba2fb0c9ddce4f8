"""Tell whether an SVG file is a drawing and no more: nothing in it acts, and it refers to nothing outside of itself. Pure."""

from __future__ import annotations

import re
from xml.parsers import expat

_SVG = "http://www.w3.org/2000/svg"
#: What programs note about a drawing; browsers pass over it.
_NOTES = re.compile(
    r"https?://(?:www\.inkscape\.org|sodipodi\.sourceforge\.net|www\.w3\.org/1999/02/22-rdf|creativecommons\.org"
    r"|web\.resource\.org/cc|purl\.org/dc|www\.bohemiancoding\.com|ns\.adobe\.com|www\.serif\.com)"
)
_ACTS = frozenset("script foreignobject iframe embed object audio video canvas handler listener link meta base".split())
#: A reference within the file, or a picture that is in it.
_INNER = re.compile(r"\s*(?:#|data:image/(?:png|jpe?g|gif|webp);)", re.IGNORECASE)
_LINK = re.compile(r"\s*(?:#|https?://)", re.IGNORECASE)
_BLANK = re.compile(r"[\x00-\x20]+")
#: In a style: an escape that could spell any of it, what loads, what acts.
_ACTIVE_STYLE = re.compile(
    r"\\|@import|javascript:|expression\(|url\((?!['\"]?(?:#|data:image/(?:png|jpe?g|gif|webp);))", re.IGNORECASE
)


class _Unsafe(Exception):
    """What is no drawing, or more than one."""


def is_drawing(data: bytes) -> bool:
    """Return whether all bytes of a file are an SVG drawing in UTF-8 that may be published.

    >>> is_drawing(b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9"/></svg>')
    True
    >>> is_drawing(b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')
    False
    """
    try:
        _Reader().read(data.decode("utf-8-sig").encode())
    except (_Unsafe, expat.ExpatError, ValueError):
        return False
    return True


class _Reader:
    """Reads one file; raises _Unsafe at the first thing that a drawing need not have."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._is_begun = False

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declare
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        # A style sheet could be a program (XSLT), and an entity anything.
        for handler in ("ProcessingInstructionHandler", "EntityDeclHandler", "AttlistDeclHandler", "ExternalEntityRefHandler"):
            setattr(parser, handler, self._refuse)
        parser.Parse(data, True)

    def _refuse(self, *_any: object) -> None:
        raise _Unsafe

    def _declare(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding and encoding.lower() != "utf-8":  # a browser would read another text
            raise _Unsafe

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        if not self._is_begun and (space, local) != (_SVG, "svg"):
            raise _Unsafe
        self._is_begun = True
        if (space != _SVG and not _NOTES.match(space)) or local.lower() in _ACTS:
            raise _Unsafe
        self._open.append(local.lower())
        for key, value in attributes.items():
            self._check(local.lower(), key.rpartition(" ")[2].lower(), _BLANK.sub("", value))

    def _check(self, element: str, name: str, value: str) -> None:
        if name.startswith("on") or "javascript:" in value.lower():
            raise _Unsafe
        if name in ("href", "src") and not (_LINK if element == "a" else _INNER).match(value):
            raise _Unsafe
        if name == "attributename" and value.lower().rpartition(":")[2] in ("href", "src", "style"):  # an animation sets it
            raise _Unsafe
        if (name == "style" or "url(" in value.lower()) and _ACTIVE_STYLE.search(value):
            raise _Unsafe

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if "style" in self._open and _ACTIVE_STYLE.search(_BLANK.sub("", text)):
            raise _Unsafe
