"""What becomes of each element of HTML in a body. The one table: the sanitizer, the tree pass and docs/bodies.md follow it.

Words in angle brackets that are not in the table are no HTML: the author's text, which stays to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

#: `kept` with its words; `block`: a `div`, so that its words do not run into others; `contents`: the tags go, what is in them
#: stays; `link`: a link to what it would show; `picture`: one picture with an address; `code`: preformatted text; `text`: a
#: sign or words; `formula`: MathML, its TeX as code behind it; `dropped` with all that is in it, and counted.
Treatment = Literal["kept", "block", "contents", "link", "picture", "code", "text", "formula", "dropped"]


def _rows(treatment: Treatment, names: str) -> dict[str, Treatment]:
    return dict.fromkeys(names.split(), treatment)


#: Element -> what becomes of it, the same in feeds, on pages and in mails.
ELEMENTS: Mapping[str, Treatment] = {
    **_rows("kept", "a abbr acronym b bdi blockquote br caption cite code col colgroup data dd del details dfn div dl dt em"),
    **_rows("kept", "figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp small span"),
    **_rows("kept", "strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"),
    # What readers drop or validators warn of: landmarks of a page, image maps, text that reads otherwise than it is.
    **_rows("block", "address article aside center dialog dir fieldset footer form header hgroup legend main menu nav"),
    **_rows("block", "optgroup option section select"),
    **_rows("contents", "area basefont bdo big blink body button canvas font head html label map marquee meter nobr noscript"),
    **_rows("contents", "output portal progress rb rtc slot textarea title"),
    **_rows("link", "applet audio embed frame iframe object video"),
    **_rows("picture", "picture"),
    **_rows("code", "listing plaintext xmp"),
    **_rows("text", "input"),
    **_rows("formula", "math"),
    # What only means something within an element above, or to a browser.
    **_rows("dropped", "base frameset keygen link meta noembed noframes param script source style svg template track"),
}
#: Elements of MathML Core that show (https://www.w3.org/TR/mathml-core/), within `math` alone.
FORMULAS = frozenset(
    "math maction merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt mstyle "
    "msub msubsup msup mtable mtd mtext mtr munder munderover none semantics mfenced menclose".split()
)
#: What else stands in a formula, and is not shown.
ANNOTATIONS = frozenset({"annotation", "annotation-xml"})
