"""`python -m benchmarks [--only NAME ...] [--quick] [--write FILE]`: measure, print a table, exit 1 if any bound does not hold.

Everything is kept below FEEDS_BENCH (var/bench of the checkout by default): stores and catalogs from one run to the next, and
results as results.json (quick-results.json), in which a run replaces those of the measures that it runs. The page that --write
writes tells of all that is kept there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from . import (
    against_hugo,
    bombs,
    change,
    cold,
    composing,
    crash,
    databases,
    exporting,
    growth,
    idle,
    load,
    moving,
    page,
    pages,
    peers,
    planning,
    postfix,
    render,
    restart,
    results,
    scale,
    searching,
    selecting,
    sending,
    soak,
    stalled,
    starting,
    static_tree,
    stores,
    surroundings,
    throughput,
    websub,
    whole_site,
    worker_memory,
)
from .bench import Bench
from .figures import Absent, Figure, NotMeasured, Result, Traces, table
from .results import Run

#: In this order: the quiet ones while nothing else has warmed the machine up.
MEASURES: dict[str, Callable[[Bench], Iterable[Result | Traces]]] = {
    "cold": cold.measure,
    "hugo": against_hugo.measure,
    "whole": whole_site.measure,
    "idle": idle.measure,
    "change": change.measure,
    "bombs": bombs.measure,
    "restart": restart.measure,
    "start": starting.measure,
    "moving": moving.measure,
    "export": exporting.measure,
    "static": static_tree.measure,
    "throughput": throughput.measure,
    "load": load.measure,
    "stalled": stalled.measure,
    "peers": peers.measure,
    "render": render.measure,
    "memory": worker_memory.measure,
    "pages": pages.measure,
    "searching": searching.measure,
    "growth": growth.measure,
    "selecting": selecting.measure,
    "planning": planning.measure,
    "composing": composing.measure,
    "sending": sending.measure,
    "postfix": postfix.measure,
    "crash": crash.measure,
    "push": websub.measure,
    "databases": databases.measure,
    "scale": scale.measure,
    "soak": soak.measure,
}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the project promises.")
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="NAME", help=f"some of: {', '.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds: only shows that everything runs")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write all results that are kept as a Markdown page")
    chosen = parser.parse_args(words)
    bench = Bench(Path(os.environ.get("FEEDS_BENCH") or stores.ROOT / "var" / "bench").absolute(), chosen.quick)
    bench.folder.mkdir(parents=True, exist_ok=True)
    kept = bench.folder / ("quick-results.json" if bench.quick else "results.json")
    about = (surroundings.machine(), surroundings.versions())
    runs: list[Run] = []
    for name in chosen.only or MEASURES:
        runs.append(_measured(name, bench, *about))
        results.save(kept, results.merged(results.load(kept), runs, list(MEASURES)))  # what comes next may never end
    print(table(result for run in runs for result in run.results))
    for line in page.remarks(runs):
        print(line)
    if chosen.write:
        page.write(chosen.write, list(results.load(kept).values()))
    return _status(runs, bench)


def _measured(name: str, bench: Bench, machine: str, versions: dict[str, str]) -> Run:
    """One measurement that fails does not end the others."""
    began, started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"), time.monotonic()
    print(f"{name} ...", end="", file=sys.stderr, flush=True)
    found: list[Result | Traces] = []
    try:
        found.extend(MEASURES[name](bench))
    except NotMeasured as missing:
        found.append(Absent(name, f"not measured: {missing}", failed=False))
    except Exception as error:
        found.append(Absent(name, f"{type(error).__name__}: {error}", failed=True))
    seconds = time.monotonic() - started
    print(f" {seconds:.0f} s", file=sys.stderr)
    what = (sys.modules[MEASURES[name].__module__].__doc__ or "").strip()
    figures = [one for one in found if not isinstance(one, Traces)]
    series = next((one.lines for one in found if isinstance(one, Traces)), {})
    return Run(name, what, began, seconds, machine, versions, figures, bench.quick, stores.is_demo(), series)


def _status(runs: Sequence[Run], bench: Bench) -> int:
    all = [result for run in runs for result in run.results]
    failed = any(isinstance(result, Absent) and result.failed for result in all)
    missed = any(isinstance(result, Figure) and not result.holds for result in all)
    return int(failed or (missed and not bench.quick))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
