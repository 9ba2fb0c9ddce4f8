"""Show the body of an article on its own page, where more can be done with it than in feeds. Pure."""

from __future__ import annotations

import html
import re

from .highlight import highlight_code
from .pictures import lazy_pictures

#: As the sanitizer writes what `store.bodies` makes.
_SOURCE_OF_FORMULA = re.compile(r'(</math>) <code class="language-tex">[^<]*</code>')
_WAY_BACK = re.compile(r'(<a href="#[^"]*")([^>]*)>(?=↩\ufe0e(?:<sup>(\d+)</sup>)?</a>)')
_TASK = re.compile(r"<li>(?=\n?(?:<p>)?[☑☐] )")
_CODE_BLOCK = re.compile(r"<pre(?=[ >])")


def article_body(body: str, url: str, back: str, table: str, at_once: int = 1) -> str:
    """Return the sanitized HTML of an article for its own page, which is at `url`.

    Links within it lead to its places without loading it again, wherever a copy of the page is; code is coloured; formulas show
    without the TeX that stands behind them for readers of feeds; what is too wide scrolls in a box of its own, also by keys;
    boxes of tasks stand instead of the marks of a list; pictures, but for the first `at_once`, are loaded when a reader comes
    near. `back` and `table` are what screen readers say of the way back of a footnote and of a table.

    >>> article_body('<a href="https://example.org/a#in-1">↩\\ufe0e</a>', "https://example.org/a", "Back", "Table")
    '<a href="#in-1" aria-label="Back">↩︎</a>'
    """
    if (here := f' href="{html.escape(url.partition("#")[0])}#') in body:
        body = re.sub(rf'(<a(?: [a-z-]+="[^"]*")*){re.escape(here)}', r'\1 href="#', body)
    if "</math>" in body:
        body = _SOURCE_OF_FORMULA.sub(r"\1", body).replace('<math display="block"', '<math display="block" tabindex="0"')
    if "↩" in body:
        body = _WAY_BACK.sub(lambda match: _named(match, back), body)
    if "☑" in body or "☐" in body:
        body = _TASK.sub('<li class="task">', body)
    if "<pre" in body:
        body = _CODE_BLOCK.sub('<pre tabindex="0"', highlight_code(body))
    if "<table" in body:
        box = f'<div class="scroll" role="group" tabindex="0" aria-label="{html.escape(table)}">'
        body = body.replace("<table", f"{box}<table").replace("</table>", "</table></div>")
    return lazy_pictures(body, at_once)


def _named(match: re.Match[str], back: str) -> str:
    """Return the opening tag of a way back with a name: its sign has none that is spoken."""
    label = f"{back} {match[3]}" if match[3] else back
    return f'{match[1]}{match[2]} aria-label="{html.escape(label)}">'
