"""Processes that run for months keep what they need, and no more."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from feeds import process_pool

#: Documents come and go beside small things that stay, in threads that stay, too. Says how many MB more it holds in the end.
_WORK = """
import queue, threading
from feeds import process_pool
if {settled}:
    process_pool.give_memory_back()

def held():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024

kept, done, over = [], threading.Barrier(9), threading.Event()

def work():
    for _ in range(3):
        documents = []
        for _ in range(60):
            documents.append(bytearray(200_000))
            kept.append(bytearray(600))
        del documents
    done.wait()
    over.wait()

before = held()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
done.wait()
print(held() - before)
over.set()
"""


def growth(*, settled: bool) -> float:
    done = subprocess.run([sys.executable, "-c", _WORK.format(settled=settled)], check=True, capture_output=True, text=True)
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that has to be told")
def test_what_is_done_with_goes_back_to_the_system_whatever_stays_beside_it() -> None:
    assert growth(settled=True) < 8 < 24 < growth(settled=False)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool.ctypes, "CDLL", lambda _name: object())
    process_pool.give_memory_back()
