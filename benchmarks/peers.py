"""What else makes feeds in Python, under the same server: Django's syndication framework, and feedgen in a Flask view.

All serve the same 20 articles as Atom, in turns. The peers make the document at each request, as their documentation shows it,
and hash it for a 304; their articles come from a list in memory, where a site would ask a database. This service has the
document in its cache, as it has for all but the first reader after a change; what making it costs is the figure "not cached".
Django and this service send it packed (gzip), feedgen in a view has nothing that packs.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from .bench import Bench
from .figures import Figure, middle, need, ratio, spread
from .processes import get, serving
from .throughput import GZIP, Target, rate

PEERS = {"Django's syndication framework": "peer_django", "feedgen in a Flask view": "peer_feedgen"}
ENTRIES = 20


def measure(bench: Bench) -> Iterator[Figure]:
    wrk = need("wrk")
    site = bench.site("main", bench.store(bench.articles)).catalogued()
    with contextlib.ExitStack() as stack:
        port, _pid = stack.enter_context(serving(site.command("serve"), "/all.atom"))
        ours = Target("feeds", port, "/all.atom", "/all.atom", {})
        kept = bench.folder / "entries.json"
        kept.write_bytes(get(port, "/all.json")[2])
        targets = [ours, *(_peer(name, module, kept, stack) for name, module in PEERS.items())]
        sizes = {target.name: _checked(target, kept) for target in targets}
        for _round in range(bench.rounds(5)):
            for status in (200, 304):
                for target in targets:
                    target.rates.setdefault(status, []).append(rate(wrk, target, status, 1 if bench.quick else 3))
    for status in (200, 304):
        for peer in targets[1:]:
            yield _against(ours, peer, status, sizes)


def _peer(name: str, module: str, kept: Path, stack: contextlib.ExitStack) -> Target:
    factory = f"benchmarks.{module}:create"
    command = ["env", f"BENCH_ENTRIES={kept}", sys.executable, "-m", "benchmarks.under_granian", factory]
    port, _pid = stack.enter_context(serving(command, "/feed"))
    return Target(name, port, "/feed", "/feed", {})


def _checked(target: Target, kept: Path) -> int:
    """Bytes that go over the wire; it is a feed of the very articles."""
    body = get(target.port, target.full)[2]
    if body.count(b"<entry") != ENTRIES:
        raise RuntimeError(f"{target.name} has {body.count(b'<entry')} entries")
    for item in json.loads(kept.read_text("utf-8"))["items"]:
        if item["url"].encode() not in body:
            raise RuntimeError(f"{target.name} lacks {item['url']}")
    return len(get(target.port, target.full, GZIP)[2])


def _against(ours: Target, peer: Target, status: int, sizes: dict[str, int]) -> Figure:
    mine, theirs = ours.rates[status], peer.rates[status]
    size = "" if status == 304 else f"; {sizes[ours.name] / 1000:.0f} KB, there {sizes[peer.name] / 1000:.0f} KB"
    note = f"requests/s: {middle(mine):,.0f} ({spread(mine)}), there {middle(theirs):,.0f} ({spread(theirs)}){size}"
    return Figure(
        f"{status}, against {peer.name}",
        ratio(mine, theirs),
        "x",
        None,
        note=note,
        sides=((ours.name, middle(mine)), (peer.name, middle(theirs))),
    )
