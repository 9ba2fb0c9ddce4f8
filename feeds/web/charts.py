"""Small plots as SVG paths, in the units of their own viewBox."""

from __future__ import annotations

from collections.abc import Sequence

#: Width of a bar with the gap behind it, and the height of the highest one.
STEP, GAP, HEIGHT = 4, 1, 40


def bars(numbers: Sequence[int]) -> str:
    """The outline of one bar for each number, from the left. One that is not 0 can be seen however high the others are."""
    most = max(numbers, default=0)
    heights = [max(1, round(HEIGHT * number / most)) if number else 0 for number in numbers]
    return "".join(
        f"M{index * STEP} {HEIGHT}v-{height}h{STEP - GAP}v{height}z" for index, height in enumerate(heights) if height
    )
