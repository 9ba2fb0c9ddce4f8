"""Processes: a pool for CPU-bound work, started in the way that is safe where it is called; and memory for long-lived ones."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

#: Parameters of glibc's mallopt (malloc.h), and their values here: bytes, and arenas.
_MALLOPT = {"M_MMAP_THRESHOLD": (-3, 128 * 1024), "M_TRIM_THRESHOLD": (-1, 128 * 1024), "M_ARENA_MAX": (-8, 2)}


def give_memory_back() -> None:
    """Make glibc return freed memory to the system, in processes that run for months. Does nothing with another C library.

    By default glibc keeps a heap for each thread, with buffers of some hundred kilobytes between objects that stay, so that the
    process grows. Costs a document a tenth of its time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOPT.values():
            mallopt(parameter, value)


def pool(count: int, *, forks: bool = True) -> ProcessPoolExecutor:
    """Return a pool of processes: forked, which is ready at once, or spawned where this process has more than one thread.

    Pass `forks=False` where there are threads that Python does not see. Workers end with the process that started them.
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
