"""What a figure is: a measured number beside its bound."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


class NotMeasured(Exception):
    """Something that the measurement needs is not here; the message says what."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`bound` is the most that `measured` may be, or with `at_least` the least; None where a number only explains another.

    `sides` are requests a second of this project and of its peer, by names, where that is what is compared.
    """

    name: str
    measured: float
    unit: str
    bound: float | None
    at_least: bool = False
    note: str = ""
    sides: tuple[tuple[str, float], ...] = ()

    @property
    def ratio(self) -> float | None:
        """Of the bound: 1.0 meets it exactly."""
        if self.bound == 0:
            return 1.0 if self.measured == 0 else float("inf")
        return None if self.bound is None else self.measured / self.bound

    @property
    def holds(self) -> bool:
        if self.bound is None:
            return True
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


@dataclass(frozen=True, slots=True)
class Absent:
    """A figure without a number: not measured, or its measurement failed."""

    name: str
    reason: str
    failed: bool


Result = Figure | Absent


@dataclass(frozen=True, slots=True)
class Traces:
    """How something went over time, for a plot: (second, value) of each line, by the lines' names."""

    lines: Mapping[str, Sequence[tuple[float, float]]]


def need(program: str) -> str:
    """The path of a program from outside. Raises NotMeasured."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise NotMeasured(f"{program} is not installed")
    return found


def spread(values: Iterable[float]) -> str:
    """The lowest and the highest, for a note."""
    found = sorted(values)
    return f"{_short(found[0])}-{_short(found[-1])}"


def middle(values: Iterable[float]) -> float:
    return median(values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The middle of the rounds' ratios: what slows the machine for a while slows both sides of a round."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def table(results: Iterable[Result]) -> str:
    rows = [("figure", "measured", "bound", "ratio", "ok?", "note"), *(cells(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    padded = ([*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]] for row in rows)
    lines = ["  ".join(row).rstrip() for row in padded]
    return "\n".join((lines[0], "-" * max(map(len, lines)), *lines[1:]))


def cells(result: Result) -> tuple[str, str, str, str, str, str]:
    if isinstance(result, Absent):
        return result.name, "failed" if result.failed else "-", "", "", "NO" if result.failed else "-", result.reason
    if result.bound is None or result.ratio is None:
        return result.name, f"{_short(result.measured)} {result.unit}", "", "", "", result.note
    bound = f"{'>=' if result.at_least else '<='} {_short(result.bound)} {result.unit}"
    ok = "ok" if result.holds else "NO"
    return result.name, f"{_short(result.measured)} {result.unit}", bound, f"{result.ratio:.2f}", ok, result.note


def _short(number: float) -> str:
    if number >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}"
