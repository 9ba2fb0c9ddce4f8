"""The results as a page of the documentation, with plots. It says what was kept and no more: equal results, equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from . import plots
from .figures import Absent, Figure, cells
from .plots import Bar
from .results import Run

#: Where plots are, seen from the page.
PICTURES = Path("pictures") / "benchmarks"
#: A bar longer than this is cut: how far beyond its bound a figure is, the table says.
_MOST = 2.0
_HEAD = """\
# Benchmarks

Written by `make bench`, which measures all of it (in a checkout, with hugo, nginx, wrk and Postfix installed). Below each
heading stands the command that measures its figures again; with `--write docs/benchmarks.md` it puts them here and leaves the
others. Figures stand beside the bounds that this project promises. A ratio compares two programs that took turns in the same
run; its note has the medians of both sides, and in brackets the lowest and the highest.

Stores have the shape of the real archive of 7,976 articles: as many articles in each month and of each of its 2,403 terms, as
many terms an article, bodies as long (`benchmarks/shape.py`, which also says what a larger one is like). Their texts are those
of the corpus, cut and joined; names are invented.

Before, a store was the corpus of 1,134 articles copied seven times. That has 276 terms with many articles each: a quarter of
the feeds that the archive has for the same number of articles to read, and so it hid what feeds cost. Hugo made one format
where we made three, and wrote a page of each article although its settings seemed to forbid it. It said 0.61 to 0.95 of
Hugo's time; with the archive's shape and the same three formats on both sides, the same code took 1.48 of it.
"""


def write(path: Path, runs: Sequence[Run]) -> None:
    """The page, and its plots beside it; nothing is plotted that was not measured."""
    pictures = path.parent / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = dict(_plots(runs))
    for old in pictures.glob("*.svg"):
        if old.name not in drawn:
            old.unlink()
    for name, (_said, svg) in drawn.items():
        (pictures / name).write_text(svg, "utf-8")
    shown = [f"![{said}]({(PICTURES / name).as_posix()})\n" for name, (said, _svg) in drawn.items()]
    path.write_text("\n".join((_HEAD, *_remarks(runs), *shown, *_sections(runs), *_surroundings(runs))), "utf-8")


def _remarks(runs: Sequence[Run]) -> Iterator[str]:
    lines = list(remarks(runs))
    if lines:
        yield "\n".join(f"- {line}" for line in lines) + "\n"


def remarks(runs: Sequence[Run]) -> Iterator[str]:
    """What a reader of the figures has to know."""
    if any(run.demo for run in runs):
        yield "The corpus was not here: the demo articles' texts stand in."
    if any(run.quick for run in runs):
        yield "A quick run: its sizes are small and its numbers prove nothing; it fails only where something does not run."
    missed = [result.name for run in runs for result in run.results if isinstance(result, Figure) and not result.holds]
    if missed:
        yield f"Does not hold: {'; '.join(missed)}."
    absent = [result.name for run in runs for result in run.results if isinstance(result, Absent)]
    if absent:
        yield f"Without a number: {'; '.join(absent)}."


# -- figures -------------------------------------------------------------------


def _sections(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        rows = [cells(result) for result in run.results]
        yield f"## {run.measure}\n\n{run.what}\n\n`python -m benchmarks --only {run.measure}` · {_when(run)}\n"
        yield "| figure | measured | bound | ratio to the bound | holds | how |\n|---|---|---|---|---|---|"
        yield "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)


def _when(run: Run) -> str:
    took = f", took {run.seconds:.0f} s" if run.seconds < 120 else f", took {run.seconds / 60:.0f} min"
    return f"measured {run.at.replace('T', ' ').replace('Z', ' UTC')}{took if run.seconds else ''}"


def _surroundings(runs: Sequence[Run]) -> Iterator[str]:
    """Where all of it was measured, or what was measured where."""
    found: dict[str, list[str]] = {}
    for run in runs:
        said = f"{run.machine}; " + ", ".join(f"{name} {version}" for name, version in run.versions.items())
        found.setdefault(said, []).append(run.measure)
    if found:
        yield "## Machine and versions\n"
    for said, measures in found.items():
        yield said + ".\n" if len(found) == 1 else f"- {', '.join(measures)}: {said}."


# -- plots ---------------------------------------------------------------------


def _plots(runs: Sequence[Run]) -> Iterator[tuple[str, tuple[str, str]]]:
    """File name -> (what it shows, SVG)."""
    bounds = [_share(result) for run in runs for result in run.results if isinstance(result, Figure) and result.bound]
    if bounds:
        title = "Each figure as a share of its bound: what ends before the line holds"
        yield "bounds.svg", (title, plots.bars(title, bounds, most=_MOST, mark=1.0))
    peers = [bar for run in runs for result in run.results if isinstance(result, Figure) for bar in _sides(result)]
    if peers:
        title = "Requests a second, beside others under the same server or serving the same bytes"
        yield "peers.svg", (title, plots.bars(title, peers))
    for run in runs:
        if run.series:
            title = "Memory of each process under load (PSS)"
            yield f"{run.measure}.svg", (title, plots.lines(title, run.series, "MB"))


def _share(figure: Figure) -> Bar:
    """A figure that must be at least so much is turned round: shorter is better for all."""
    ratio = figure.ratio or 0.0
    share = ratio if not figure.at_least else 1 / ratio if ratio else float("inf")
    said = f"{share:.2f}" if share < 100 else "> 100"
    return Bar(figure.name, share, said, "good" if figure.holds else "bad")


def _sides(figure: Figure) -> Iterator[Bar]:
    for number, (name, value) in enumerate(figure.sides):
        label = f"{figure.name.partition(', against')[0]}: {name}"
        yield Bar(label, value, f"{value:,.0f}", "peer" if number else "good")
