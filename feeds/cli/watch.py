"""Doing something again whenever a rescan has changed what is published."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

_SECONDS = 0.5


def generations(ask: Callable[[], int]) -> Iterator[int]:
    """The catalog's generation now, and each that is out once the one before has been dealt with. Endless."""
    known = None
    while True:
        found = ask()
        if found != known:
            known = found
            yield found
        else:
            time.sleep(_SECONDS)
