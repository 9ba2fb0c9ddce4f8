"""What the measured figures mean for very large sites: docs/capacity.md, by arithmetic that the page shows.

`python -m benchmarks.capacity` writes it from the last results. Where a figure is missing, so is what rests on it.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from . import stores

TEMPLATE = Path(__file__).with_suffix(".md.jinja")
PAGE = stores.ROOT / "docs" / "capacity.md"
ARTICLES, REQUESTS_A_MINUTE, SUBSCRIBERS = 10_000_000, 1_000_000, 50_000_000
#: Of what a CDN is asked, the share that it asks the origin; an assumption.
MISSES = 0.05
#: Hours in which a weekly issue is to be in every mailbox.
HOURS = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """What the arithmetic begins with; None where it was not measured."""

    cold_s: float | None  #: 16,000 articles into an empty catalog, two cores
    idle_ms: float | None
    full_rate: float | None  #: answers 200 of 30 KB a second, one machine of two cores
    short_rate: float | None  #: answers 304 a second
    planning_s: float | None  #: a million subscribers
    planning_mb: float | None
    composing_rate: float | None  #: messages made and sent a second, one process
    worker_mb: float | None
    database_bytes: float | None  #: of an article in the catalog


def read(results: Path) -> Measured:
    """From results.json, and the size of the catalog that the bench keeps."""
    runs = json.loads(results.read_text("utf-8"))["runs"]
    rows: dict[str, Mapping[str, Any]] = {row["name"]: row for run in runs for row in run["results"]}

    def value(beginning: str) -> float | None:
        found = [
            row["measured"] for name, row in rows.items() if name.startswith(beginning) and row.get("measured") is not None
        ]
        return float(found[0]) if found else None

    def rate(beginning: str, ending: str) -> float | None:
        notes = [row["note"] for name, row in rows.items() if name.startswith(beginning) and name.endswith(ending)]
        found = re.search(r"requests/s: ([\d,]+)", notes[0]) if notes else None
        return float(found[1].replace(",", "")) if found else None

    catalog = results.parent / "site-main-store-16000" / "var" / "feeds.db"
    return Measured(
        cold_s=value("cold rescan"),
        idle_ms=value("idle rescan"),
        full_rate=rate("cached 200", "against bare Flask"),
        short_rate=rate("304,", "against bare Flask"),
        planning_s=value("planning one weekly issue"),
        planning_mb=value("memory while planning"),
        composing_rate=value("composing and sending into smtp-sink"),
        worker_mb=value("memory of a"),
        database_bytes=catalog.stat().st_size / 16_000 if catalog.exists() else None,
    )


def page(found: Measured) -> str:
    """The whole page."""
    second, rate = REQUESTS_A_MINUTE / 60, SUBSCRIBERS / HOURS / 3600
    mixed = 1 / (0.9 / found.short_rate + 0.1 / found.full_rate) if found.short_rate and found.full_rate else None
    workers = rate / found.composing_rate if found.composing_rate else None
    template = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, autoescape=False)
    return (
        template.from_string(TEMPLATE.read_text("utf-8")).render(
            m=found,
            articles=ARTICLES,
            requests=REQUESTS_A_MINUTE,
            subscribers=SUBSCRIBERS,
            misses=MISSES,
            hours=HOURS,
            second=second,
            rate=rate,
            mixed=mixed,
            bare=math.ceil(second / mixed / 0.5) if mixed else None,
            workers=math.ceil(workers) if workers else None,
            spare=math.ceil(workers * 1.5) if workers else None,
        )
        + "\n"
    )


def main() -> None:
    folder = Path(os.environ.get("FEEDS_BENCH") or stores.ROOT / "var" / "bench")
    PAGE.write_text(page(read(folder / "results.json")), "utf-8")
    print(f"wrote {PAGE.relative_to(stores.ROOT)}")


if __name__ == "__main__":
    main()
