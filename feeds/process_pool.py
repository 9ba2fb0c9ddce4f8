"""Processes: a pool for work that is all CPU, begun the way that is safe where it is called; and memory that is given back."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

#: What glibc's mallopt calls its parameters (malloc.h), and their values here: bytes, and arenas.
_MALLOPT = {"M_MMAP_THRESHOLD": (-3, 128 * 1024), "M_TRIM_THRESHOLD": (-1, 128 * 1024), "M_ARENA_MAX": (-8, 2)}


def give_memory_back() -> None:
    """Documents and messages that are done with leave nothing behind. For processes that run for months with many threads.

    Left alone, glibc keeps a heap for each thread and puts buffers of some hundred kilobytes between what stays: no object is
    too many, and the process grows all the same. Costs a document a tenth of its time. Nothing where the C library is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOPT.values():
            mallopt(parameter, value)


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
