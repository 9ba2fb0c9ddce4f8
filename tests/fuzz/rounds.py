"""How long to fuzz: a second or two for each test by default, with the same examples every time.

`make fuzz` sets FEEDS_FUZZ_EXAMPLES, how many examples each test has, and begins again with others until ten minutes are over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.examples import some

EXAMPLES = int(os.environ.get("FEEDS_FUZZ_EXAMPLES", 0))


def fuzz(usual: int, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`given` by name, for `usual` examples where the environment does not say how many."""
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    bounds = settings(
        max_examples=EXAMPLES or some(usual), deadline=None, derandomize=not EXAMPLES, suppress_health_check=checks
    )
    return lambda test: bounds(given(**strategies)(test))
