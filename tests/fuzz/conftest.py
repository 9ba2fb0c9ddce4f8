"""A bound on the processor's time, which ends what goes beyond it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class TooLong(BaseException):
    """No handler of `Exception` keeps it."""


@pytest.fixture
def within() -> Callable[..., Any]:
    """`with within(seconds=2):` counts what this process computes, not what it waits."""

    @contextlib.contextmanager
    def bounded(seconds: float) -> Iterator[None]:
        def stop(_number: int, _frame: Any) -> None:
            raise TooLong(f"more than {seconds} s")

        before = signal.signal(signal.SIGVTALRM, stop)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 0.2)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)

    return bounded
