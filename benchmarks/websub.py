"""Push: an article is saved, and a thousand subscribers of a feed have been told.

The whole way, in real processes: `feeds serve` with its clock and file watching, subscriptions asked for and verified by HTTP,
callbacks in a process of their own on this machine. The feed is /all.atom of full articles; each delivery carries all of it.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

from feeds.websub import subscriptions

from .bench import Bench, Site
from .figures import Figure, middle, spread
from .processes import HOST, ask, free_port, get, running, serving
from .stores import retitle

BASE = "http://127.0.0.1:8000"  # what the default configuration says; nothing listens there
FEEDS = {"websub": {"allow_private_callbacks": True, "max_pending": 10_000, "max_pending_per_host": 10_000}}


def measure(bench: Bench) -> Iterator[Figure]:
    number = 100 if bench.quick else 1_000
    site = bench.site("push", bench.store(bench.articles), FEEDS)
    site.forget()
    site.run("rescan")
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.callbacks", str(port)]) as callbacks:
        _wait(lambda: callbacks.poll() is None and _count(port, "none") == (0, 0.0), 20)
        with serving(site.command("serve"), "/all.json") as (served, _pid):
            subscribe(site, served, port, number)
            size = len(get(served, "/all.atom")[2])
            waited = [_round(site, served, port, number, one) for one in range(bench.rounds(5))]
    note = f"{bench.articles} articles, {size / 1000:.0f} KB each; the slowest of {len(waited)}, median {middle(waited):.2f} s"
    yield Figure(f"push, saved to the last of {number:,} subscribers", max(waited), "s", 5.0, note=f"{note} ({spread(waited)})")


def subscribe(site: Site, served: int, port: int, number: int) -> None:
    connection = http.client.HTTPConnection(HOST, served, timeout=30)
    for one in range(number):
        form = {"hub.mode": "subscribe", "hub.topic": f"{BASE}/all.atom", "hub.callback": f"http://{HOST}:{port}/{one}"}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/hub", urlencode(form | {"hub.secret": f"secret {one}"}), headers)
        answered = connection.getresponse()
        answered.read()
        assert answered.status == 202, answered.status
    connection.close()
    runtime = site.runtime()
    try:
        _wait(lambda: runtime.read(subscriptions.counts)["subscriptions"] == number, 120)
    finally:
        runtime.close()


def _round(site: Site, served: int, port: int, number: int, one: int) -> float:
    """Seconds from the save to the last delivery."""
    connection = http.client.HTTPConnection(HOST, served, timeout=10)
    newest = json.loads(ask(connection, "/all.json")[2])["items"][0]["id"]
    connection.close()
    path: Path = next(site.store.rglob(f"{newest.rpartition('/')[2]}.md"))
    mark = f"edition-{one}-{time.time_ns()}"
    _count(port, mark)
    time.sleep(2.0 + 0.37 * one)  # at no special moment of the clock's
    started = time.monotonic()
    retitle(path, mark)
    _wait(lambda: _count(port, mark)[0] == number, 120)
    return _count(port, mark)[1] - started


def _count(port: int, mark: str) -> tuple[int, float]:
    number, last = get(port, f"/count?{mark}")[2].split()
    return int(number), float(last)


def _wait(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
        except OSError:  # it does not listen yet
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:.0f} s")
        time.sleep(0.1)
