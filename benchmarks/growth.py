"""Three and ten times as many articles: what grows with them, and what must not.

The articles of all stores are cut to 600 characters and have no comments: here their number matters, not their size.
"Besides looking" is the CPU of a rescan without `store_changes.find_changes`: the walk of the folder and its comparison with
what is known, which has to grow with the store.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from feeds import rescan
from feeds.catalog import store_changes
from feeds.feed_formats import load_formats
from feeds.runtime import Runtime
from feeds.store.parser_pool import ParserPool
from feeds.syndication import lookup
from feeds.syndication.lookup import Document

from .bench import Bench, Site
from .figures import Figure, middle
from .idle import bare_sweep
from .processes import cpu_seconds
from .stores import FIRST_ID, retitle

_FEEDS = ("all", "tags/Linux", "tags/Ubuntu", "feeds/kernel")


@dataclass(slots=True)
class Costs:
    """CPU seconds of one store, round by round."""

    looking: list[float] = field(default_factory=list)
    sweeping: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    changing: list[float] = field(default_factory=list)
    serving: list[float] = field(default_factory=list)


def measure(bench: Bench) -> Iterator[Figure]:
    sites = {size: bench.site("growth", bench.store(size, short=True)).catalogued() for size in bench.growing}
    costs = {size: Costs() for size in sites}
    services = {size: site.runtime() for size, site in sites.items()}
    for runtime in services.values():
        rescan.rescan(runtime.engine, runtime.environment, now=int(time.time()))
    base, *larger = bench.growing
    with ParserPool() as parsers:  # as a clock keeps it: starting one costs the same for any store
        for number in range(bench.rounds(11)):
            article = f"{FIRST_ID + random.Random(number).randrange(base)}.md"  # there is one of this number in each
            for size, site in sites.items():
                costs[size].sweeping.append(_spent(partial(bare_sweep, site.store)))
                _change(site, services[size], parsers, costs[size], article)
            time.sleep(2.1)  # the changed files are old enough now to be believed
            for size in sites:
                _leave_alone(services[size], parsers, costs[size])
    for runtime in services.values():
        runtime.close()
    for size in larger:
        yield from _figures(costs[base], costs[size], base, size)


def _figures(few: Costs, many: Costs, small: int, large: int) -> Iterator[Figure]:
    sizes = f"against {small:,}"
    per_file = [1e6 * middle(costs.looking) / size for costs, size in ((few, small), (many, large))]
    over = [middle(costs.looking) / middle(costs.sweeping) for costs in (few, many)]
    note = f"{sizes}: {per_file[0]:.1f} and {per_file[1]:.1f} us a file; {over[0]:.2f} and {over[1]:.2f} times the bare sweep"
    yield Figure(f"growth to {large:,}, looking at a file", per_file[1] / per_file[0], "x", 1.3, note=note)
    for name, a, b in (
        ("idle rescan besides looking", few.idle, many.idle),
        ("one change besides looking", few.changing, many.changing),
        ("a feed that is not cached", few.serving, many.serving),
    ):
        note = f"{sizes}: {1000 * middle(a):.1f} and {1000 * middle(b):.1f} ms CPU, medians of {len(a)}"
        yield Figure(f"growth to {large:,}, {name}", middle(b) / middle(a), "x", 1.2, note=note)


def _change(site: Site, runtime: Runtime, parsers: ParserPool, costs: Costs, article: str) -> None:
    retitle(next(site.store.rglob(article)), f"growth {time.time_ns()}")
    _looking, rest = _rescan(runtime, parsers)
    costs.changing.append(rest)


def _leave_alone(runtime: Runtime, parsers: ParserPool, costs: Costs) -> None:
    _rescan(runtime, parsers)
    looking, rest = _rescan(runtime, parsers)
    costs.looking.append(looking)
    costs.idle.append(rest)
    for _again in range(3):
        costs.serving.append(_spent(lambda: _serve(runtime)) / len(_FEEDS) / len(load_formats()))


def _serve(runtime: Runtime) -> None:
    edition = runtime.edition()
    for path in _FEEDS:
        for format in load_formats().values():
            assert isinstance(runtime.read(lookup.find_document, edition, path, format), Document)


def _rescan(runtime: Runtime, parsers: ParserPool) -> tuple[float, float]:
    """CPU seconds of a rescan: of looking, and of the rest."""
    look: Callable[..., Any] = store_changes.find_changes
    spent: list[float] = []

    def timed(*words: Any, **more: Any) -> Any:
        before = cpu_seconds()
        try:
            return look(*words, **more)
        finally:
            spent.append(cpu_seconds() - before)

    store_changes.find_changes = timed
    options = rescan.RescanOptions(parsers=parsers)
    try:
        whole = _spent(lambda: rescan.rescan(runtime.engine, runtime.environment, options, now=int(time.time())))
    finally:
        store_changes.find_changes = look
    return sum(spent), whole - sum(spent)


def _spent(work: Callable[[], object]) -> float:
    before = cpu_seconds()
    work()
    return cpu_seconds() - before
