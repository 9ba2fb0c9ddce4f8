"""A pool of processes for work that is all CPU, begun the way that is safe where it is called."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor


def pool(count: int, *, forks: bool = True) -> ProcessPoolExecutor:
    """Forked where this process has one thread (a command), which is at once ready; spawned where it has more (the clock),
    and where the caller knows of threads that Python does not see (`forks=False`).

    Workers end when the process that began them does, however it ends.
    """
    alone = forks and threading.active_count() == 1
    method = "fork" if alone and "fork" in multiprocessing.get_all_start_methods() else "spawn"
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context(method), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever: the workers hold each other's queue open."""
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
