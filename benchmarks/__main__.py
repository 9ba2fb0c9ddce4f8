"""`python -m benchmarks [--only NAME ...] [--quick] [--write FILE]`: measure, print a table, exit 1 if any bound does not hold.

Everything is kept below FEEDS_BENCH (var/bench of the checkout by default): stores and catalogs from one run to the next, and
the results as results.json.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from . import (
    against_hugo,
    change,
    cold,
    composing,
    crash,
    exporting,
    growth,
    idle,
    load,
    page,
    pages,
    peers,
    planning,
    postfix,
    render,
    restart,
    scale,
    selecting,
    sending,
    static_tree,
    stores,
    throughput,
    websub,
    worker_memory,
)
from .bench import Bench
from .figures import Absent, NotMeasured, Result, save, table

#: In this order: the quiet ones while nothing else has warmed the machine up.
MEASURES: dict[str, Callable[[Bench], Iterable[Result]]] = {
    "cold": cold.measure,
    "hugo": against_hugo.measure,
    "idle": idle.measure,
    "change": change.measure,
    "restart": restart.measure,
    "export": exporting.measure,
    "static": static_tree.measure,
    "throughput": throughput.measure,
    "load": load.measure,
    "peers": peers.measure,
    "render": render.measure,
    "memory": worker_memory.measure,
    "pages": pages.measure,
    "growth": growth.measure,
    "selecting": selecting.measure,
    "planning": planning.measure,
    "composing": composing.measure,
    "sending": sending.measure,
    "postfix": postfix.measure,
    "crash": crash.measure,
    "push": websub.measure,
    "scale": scale.measure,
}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the project promises.")
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="NAME", help=f"some of: {', '.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds: only shows that everything runs")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the table as a Markdown page")
    chosen = parser.parse_args(words)
    bench = Bench(Path(os.environ.get("FEEDS_BENCH") or stores.ROOT / "var" / "bench").absolute(), chosen.quick)
    bench.folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for name in chosen.only or MEASURES:
        results += _measured(name, bench)
    print(table(results))
    for line in _remarks(results, bench):
        print(line)
    if chosen.write:
        page.write(chosen.write, results, _remarks(results, bench))
    about = {"quick": bench.quick, "demo": stores.is_demo(), "python": platform.python_version()}
    save(bench.folder / "results.json", results, about)
    return _status(results, bench)


def _measured(name: str, bench: Bench) -> list[Result]:
    """One measurement that fails does not end the others."""
    started = time.monotonic()
    print(f"{name} ...", end="", file=sys.stderr, flush=True)
    results: list[Result] = []
    try:
        results.extend(MEASURES[name](bench))
    except NotMeasured as missing:
        results.append(Absent(name, f"not measured: {missing}", failed=False))
    except Exception as error:
        results.append(Absent(name, f"{type(error).__name__}: {error}", failed=True))
    print(f" {time.monotonic() - started:.0f} s", file=sys.stderr)
    return results


def _remarks(results: list[Result], bench: Bench) -> Iterable[str]:
    if stores.is_demo():
        yield "The corpus is not here: copies of the demo articles stand in, which are shorter than real ones."
    if bench.quick:
        yield "A quick run: its sizes are small and its numbers prove nothing; it fails only where something does not run."
    missed = [result.name for result in results if not isinstance(result, Absent) and not result.holds]
    if missed:
        yield f"Does not hold: {'; '.join(missed)}."
    absent = [result.name for result in results if isinstance(result, Absent)]
    if absent:
        yield f"Without a number: {'; '.join(absent)}."


def _status(results: list[Result], bench: Bench) -> int:
    failed = any(isinstance(result, Absent) and result.failed for result in results)
    missed = any(not isinstance(result, Absent) and not result.holds for result in results)
    return int(failed or (missed and not bench.quick))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
