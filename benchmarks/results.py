"""What has been measured, kept from one run to the next: a run of some measures leaves the results of the others alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .figures import Absent, Figure, Result


@dataclass(frozen=True, slots=True)
class Run:
    """One measure's results. `what` it does, in a sentence; `at` in UTC; `series`: what its plot shows, by names of lines."""

    measure: str
    what: str
    at: str
    seconds: float
    machine: str
    versions: Mapping[str, str]
    results: Sequence[Result]
    quick: bool = False
    demo: bool = False
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


def load(path: Path) -> dict[str, Run]:
    """By the names of measures; empty where nothing was kept, or in another form."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text("utf-8"))
    return {row["measure"]: _run(row) for row in kept.get("runs", [])}


def _run(row: dict[str, Any]) -> Run:
    series = {name: [(x, y) for x, y in points] for name, points in row["series"].items()}
    return Run(**{**row, "results": [_result(one) for one in row["results"]], "series": series})


def _result(row: dict[str, Any]) -> Result:
    if "reason" in row:
        return Absent(**row)
    row = {name: value for name, value in row.items() if name not in ("holds", "ratio")}
    return Figure(**{**row, "sides": tuple((name, value) for name, value in row["sides"])})


def save(path: Path, runs: Iterable[Run]) -> None:
    rows = [{**asdict(run), "results": [_row(result) for result in run.results]} for run in runs]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": rows}, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _row(result: Result) -> dict[str, Any]:
    row = asdict(result)
    return row | {"holds": result.holds, "ratio": result.ratio} if isinstance(result, Figure) else row


def merged(before: Mapping[str, Run], now: Iterable[Run], order: Sequence[str]) -> list[Run]:
    """In this order; those of measures that there are no more are left out."""
    all = {**before, **{run.measure: run for run in now}}
    return [all[name] for name in order if name in all]
