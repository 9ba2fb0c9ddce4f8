"""Counters and histograms of many processes are one sum, as Prometheus wants it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from feeds import counters, database
from feeds.counters import ANSWERS, RENDER, SUM, TOP, PendingCounts, Series

SECONDS = st.lists(st.floats(0, 1e5, allow_nan=False), max_size=40)


def observed(values: Sequence[float]) -> PendingCounts:
    counts = PendingCounts()
    for value in values:
        counts.observe(RENDER, value, "atom")
    return counts


def write(site: Any, counts: PendingCounts) -> None:
    with database.writing(site.runtime.engine) as connection:
        counters.add(connection, counts.take())


def stored(site: Any) -> dict[str, dict[tuple[str, ...], Series]]:
    with database.reading(site.runtime.engine) as connection:
        return counters.read_all(connection)


def test_what_two_processes_count_is_added_up(site: Any) -> None:
    for number in (3, 4):
        counts = PendingCounts()
        counts.count(ANSWERS, "pages", "200", number=number)
        counts.count(ANSWERS, "pages", "404")
        write(site, counts)
    assert {labels: series.number for labels, series in stored(site)["http_answers"].items()} == {
        ("pages", "200"): 7,
        ("pages", "404"): 2,
    }


def test_a_histogram_keeps_bounds_number_and_sum(site: Any) -> None:
    write(site, observed([0.0004, 0.001, 0.0011, 0.2]))
    write(site, observed([99.0]))
    found = stored(site)["render_seconds"]["atom",]
    buckets = dict(found.buckets(RENDER))
    assert (buckets[0.001], buckets[0.0025], buckets[0.1], buckets[0.25], buckets[10.0]) == (2, 3, 3, 4, 4)
    assert found.number == 5 and round(found.seconds, 6) == 99.2025


@given(SECONDS)
def test_buckets_never_fall_and_hold_what_is_not_above_their_bound(values: list[float]) -> None:
    sums = observed(values).take()
    series = Series({slot: number for (_name, _label, slot), number in sums.items()})
    counts = [number for _bound, number in series.buckets(RENDER)]
    assert counts == [sum(value <= bound for value in values) for bound in RENDER.bounds]
    assert series.number == len(values) and abs(series.seconds - sum(values)) < 1e-4


def test_a_bound_that_is_no_more_counts_at_the_next_one() -> None:
    series = Series({1_500: 2, 1_000: 1, TOP: 1, SUM: 10})
    assert dict(series.buckets(RENDER))[0.001] == 1 and dict(series.buckets(RENDER))[0.0025] == 3


def test_threads_lose_no_count_while_it_is_written() -> None:
    counts, taken = PendingCounts(), []

    def many() -> None:
        for _ in range(3000):
            counts.count(ANSWERS, "pages", "200")

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken.append(counts.take())
    taken.append(counts.take())
    assert sum(sum(sums.values()) for sums in taken) == 12_000
    assert not counts
