"""SVG files that may be published, and those that may not."""

from __future__ import annotations

import pytest

from feeds.store.assets.drawings import is_drawing

ROOT = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'


@pytest.mark.parametrize(
    "inner",
    [
        '<style>.a { fill: url(#b) }</style><path class="a" d="M0 0"/>',
        '<a href="https://example.org/"><text>x</text></a><use xlink:href="#b"/>',
        '<image href="data:image/png;base64,AAAA"/><text>url(x) onload= javascript is a word \\ here</text>',
        '<metadata xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:RDF/></metadata>',
        '<rect style="fill:#fff"><animate attributeName="x" from="0" to="9"/></rect>',
    ],
)
def test_a_drawing_is_published(inner: str) -> None:
    assert is_drawing(ROOT.format(inner).encode())


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
        '<g xmlns="http://www.w3.org/1999/xhtml"><img src="x" onerror="alert(1)"/></g>',
        "<foreignObject/>",
        '<path ONLOAD="alert(1)"/>',
        '<a href="java&#9;script:alert(1)"><text>x</text></a>',
        '<a xlink:href=" JavaScript:alert(1)"><text>x</text></a>',
        '<a href="data:text/html,x"><text>x</text></a>',
        '<a><set attributeName="href" to="javascript:alert(1)"/></a>',
        '<a><animate attributeName="xlink:href" values="javascript:alert(1)"/></a>',
        '<image href="https://example.org/track.png"/>',
        '<use href="other.svg#a"/>',
        '<style>@import "https://example.org/a.css"</style>',
        "<style>a { background: url( 'https://example.org/' ) }</style>",
        "<style>a { background: u\\72l(https://example.org/) }</style>",
        '<path style="fill: url(https://example.org/#a)"/>',
        '<path fill="URL(//example.org/#a)"/>',
    ],
)
def test_what_acts_or_refers_to_something_outside_is_no_drawing(inner: str) -> None:
    assert not is_drawing(ROOT.format(inner).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<svg/>",
        '<html xmlns="http://www.w3.org/1999/xhtml"/>',
        '<?xml-stylesheet href="a.xsl"?>' + ROOT.format(""),
        '<!DOCTYPE svg [<!ENTITY a "b">]>' + ROOT.format("&a;"),
        '<!DOCTYPE svg [<!ATTLIST svg onload CDATA "alert(1)">]>' + ROOT.format(""),
        '<?xml version="1.0" encoding="iso-8859-1"?>' + ROOT.format(""),
        ROOT.format("<g>"),
        "GIF89a" + ROOT.format(""),
    ],
)
def test_what_is_another_document_is_no_drawing(text: str) -> None:
    assert not is_drawing(text.encode())


def test_bytes_that_are_no_text_are_no_drawing() -> None:
    assert not is_drawing(ROOT.format("<text>é</text>").encode("utf-16"))
    assert not is_drawing(b"\xff" + ROOT.format("").encode())
