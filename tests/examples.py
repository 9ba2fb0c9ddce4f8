"""How much is tried: all examples of a property, every real article, installations; or, where somebody waits, some of it.

FEEDS_TEST_EXAMPLES=full tries all, and the same ones each time; .ci/run sets it. Without it examples are other ones in every
run, so that many quick runs see more than a full one; a failure prints the seed that repeats it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import TypeVar

import pytest

Item = TypeVar("Item")
FULL = os.environ.get("FEEDS_TEST_EXAMPLES") == "full"
#: Of a test that takes long, and tells little that others do not tell.
in_full_runs = pytest.mark.skipif(not FULL, reason="only where FEEDS_TEST_EXAMPLES=full")


def some(usual: int, least: int = 5) -> int:
    """`usual` in a full run; else a quarter of it, but no fewer than `least` where there are so many: each may take seconds."""
    return usual if FULL else max(min(usual, least), usual // 4)


def every(step: int, items: Iterable[Item]) -> list[Item]:
    """All of the items in a full run; else one in `step`, others each time."""
    found = list(items)
    return found if FULL else found[random.SystemRandom().randrange(step) % max(1, len(found)) :: step]
