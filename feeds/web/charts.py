"""Charts: a sparkline as an SVG path within a page, and charts by day as SVG documents of their own, drawn by pygal.

A chart by day carries its own styles, which the pages' policy forbids: so it has a policy of its own, under which it can do
nothing but be shown. It comes wide, or narrow for phones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal

from flask import Response
from werkzeug.wrappers import Response as Answer

#: Of a sparkline: the width of a bar with the gap behind it, and the height of the highest one, in units of its viewBox.
STEP, GAP, HEIGHT = 4, 1, 40
#: pygal's configuration, meant for its own script, and the day on which it drew.
_UNWANTED = re.compile(r"<script\b.*?</script>|<!--.*?-->", re.DOTALL)
Series = Sequence[tuple[str, Sequence[int]]]
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
#: The colours of the style sheet; pictures follow the reader's light or dark by themselves.
_COLOURS = ("#0a6259", "#c98a1b", "#a3271c")
_STYLE = """inline:
svg, .graph > .background, .plot > .background {background: transparent !important; fill: transparent !important}
text {font-family: system-ui, "PingFang SC", "Noto Sans CJK SC", sans-serif !important; fill: #57626a !important}
.axis .line, .axis .guide.line, .axis .guides .line {stroke: #d5d0c4 !important; stroke-dasharray: none !important}
.axis.x .guide.line, .axis.x .line {stroke: none !important}
.reactive {fill-opacity: .9 !important; stroke-width: 2 !important}
.bars .reactive {stroke-width: 0 !important}
@media (prefers-color-scheme: dark) {
  text {fill: #9fabb0 !important}
  .axis.y .line, .axis.y .guide.line {stroke: #323b3f !important}
  .color-0 {fill: #73cfc0 !important; stroke: #73cfc0 !important}
  .color-1 {fill: #e5b35b !important; stroke: #e5b35b !important}
  .color-2 {fill: #ff9d8e !important; stroke: #ff9d8e !important}
}
"""


def sparkline(numbers: Sequence[int]) -> str:
    """Return the outline of one bar for each number, from the left. One that is not 0 is visible however high the others are.

    >>> sparkline([1, 0, 2])
    'M0 40v-20h3v20zM8 40v-40h3v40z'
    """
    most = max(numbers, default=0)
    heights = [max(1, round(HEIGHT * number / most)) if number else 0 for number in numbers]
    return "".join(
        f"M{index * STEP} {HEIGHT}v-{height}h{STEP - GAP}v{height}z" for index, height in enumerate(heights) if height
    )


def draw(kind: Literal["bars", "lines"], days: Sequence[date], series: Series, *, narrow: bool) -> Answer:
    """Return an SVG document: one bar a day with the series on top of one another, or one line for each series."""
    import pygal
    from pygal.style import Style

    size = 15 if narrow else 12
    highest = max(map(sum, zip(*(numbers for _name, numbers in series), strict=True)), default=0)
    chart = (pygal.StackedBar if kind == "bars" else pygal.Line)(
        width=420 if narrow else 860,
        height=260,
        js=[],
        css=["file://style.css", "file://graph.css", _STYLE],
        disable_xml_declaration=True,
        style=Style(
            colors=_COLOURS, label_font_size=size, major_label_font_size=size, legend_font_size=size, font_family="inherit"
        ),
        show_dots=False,
        show_legend=len(series) > 1,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(series),
        legend_box_size=10,
        margin=6,
        spacing=6,
        min_scale=2,
        max_scale=5,
        range=(0, max(highest, 4)),
        show_minor_x_labels=False,
        x_labels_major_every=30 if narrow else 14,
        truncate_label=-1,
        value_formatter=lambda value: f"{value:.0f}" if float(value).is_integer() else "",
    )
    chart.uuid = "plot"
    chart.x_labels = [f"{one.month}-{one.day}" for one in days]
    for name, numbers in series:
        chart.add(name, list(numbers))
    document = _UNWANTED.sub("", chart.render())
    return Response(document, content_type="image/svg+xml; charset=utf-8", headers={"Content-Security-Policy": _POLICY})
