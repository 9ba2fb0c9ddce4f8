"""Plots for the page of results, as SVG: equal numbers give equal bytes. They are read on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 860, 400, 90
ROW, TOP, FOOT = 20, 34, 24
_STYLE = """\
text {font: 12px system-ui, "PingFang SC", "Noto Sans CJK SC", sans-serif; fill: #40484d}
.title {font-weight: 600; font-size: 14px}
.good {fill: #0a6259} .bad {fill: #a3271c} .peer {fill: #8a949a}
.line {stroke: #0a6259; fill: none; stroke-width: 1.5} .c1 {stroke: #a3271c} .c2 {stroke: #2f6fb5} .c3 {stroke: #9a6a10}
.rule {stroke: #8a949a; stroke-width: 1} .dashed {stroke: #8a949a; stroke-dasharray: 4 3}
@media (prefers-color-scheme: dark) {
  text {fill: #c3cdd2} .good {fill: #4fb3a4} .bad {fill: #ff8a7a} .peer {fill: #7d878d}
  .line {stroke: #73cfc0} .c1 {stroke: #ff9d8e} .c2 {stroke: #8fbdf0} .c3 {stroke: #e5b35b}
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """`kind` is a class of the style: good, bad or peer. `said`: what stands at its end."""

    label: str
    value: float
    said: str
    kind: str = "good"


def bars(title: str, rows: Sequence[Bar], *, most: float | None = None, mark: float | None = None) -> str:
    """Bars from the left, one below the other; those longer than `most` are cut there. `mark`: a line at this value."""
    highest = most or max([1e-6, *(row.value for row in rows)])
    room = WIDTH - LEFT - RIGHT
    height = TOP + ROW * len(rows) + FOOT
    parts = [_text(8, 20, title, "title")]
    for number, row in enumerate(rows):
        y = TOP + ROW * number
        length = max(1.0, room * min(row.value, highest) / highest)
        parts.append(_text(LEFT - 8, y + 14, _shortened(row.label), anchor="end"))
        parts.append(f'<rect class="{row.kind}" x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="{ROW - 6}"/>')
        parts.append(_text(LEFT + length + 6, y + 14, row.said))
    if mark is not None:
        x = LEFT + room * mark / highest
        parts.append(_rule(x, TOP - 6, x, height - FOOT + 4, "dashed"))
    return _document(height, parts)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], unit: str) -> str:
    """One line for each name, of (second, value) each; the upright begins at 0, so that growth looks as large as it is."""
    height, left, bottom = 320, 56, 280
    longest = max([1e-6, *(x for points in series.values() for x, _y in points)])
    highest = _round_up(max((y for points in series.values() for _x, y in points), default=1.0))
    room, rise = WIDTH - left - 130, bottom - TOP
    parts = [_text(8, 20, title, "title")]
    for step in range(5):
        y = bottom - rise * step / 4
        parts += [
            _rule(left, y, left + room, y, "dashed" if step else "rule"),
            _text(left - 6, y + 4, _number(highest * step / 4), anchor="end"),
        ]
    parts += [_text(left, bottom + 18, "0 s"), _text(left + room, bottom + 18, f"{longest:.0f} s, {unit}", anchor="end")]
    for number, points in enumerate(series.values()):
        path = " ".join(f"{left + room * x / longest:.1f},{bottom - rise * y / highest:.1f}" for x, y in points)
        parts.append(f'<polyline class="line c{number % 4}" points="{path}"/>')
    y = math.inf
    for name, last in sorted(((name, points[-1][1]) for name, points in series.items()), key=lambda end: (end[1], end[0])):
        y = min(bottom - rise * last / highest + 4, y - 14)  # above the name of the line below it
        parts.append(_text(left + room + 8, y, f"{name}: {_number(last)}"))
    return _document(height, parts)


def _round_up(value: float) -> float:
    """To one of 1, 2, 4, 5, 8 times a power of ten; a millionth is as good as nothing."""
    value = max(value, 1e-6)
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 4, 5, 8) if step * power >= value), 10 * power)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _shortened(label: str, most: int = 62) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _text(x: float, y: float, said: str, kind: str = "", anchor: str = "") -> str:
    more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(said)}</text>'


def _rule(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'


def _document(height: float, parts: Iterable[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join((head, f"<style>{_STYLE}</style>", *parts, "</svg>")) + "\n"
