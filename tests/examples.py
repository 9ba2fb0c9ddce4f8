"""How many examples a property is tried with: all of them, or, where somebody waits for the suite, some.

FEEDS_TEST_EXAMPLES=full tries all; .ci/run sets it. Examples are other ones in every run, so that many quick runs see as much
as a full one; a failure prints the seed that repeats it.
"""

from __future__ import annotations

import os

FULL = os.environ.get("FEEDS_TEST_EXAMPLES") == "full"


def some(usual: int) -> int:
    """`usual` in a full run; else a quarter of it, but no fewer than five where there are so many."""
    return usual if FULL else max(min(usual, 5), usual // 4)
