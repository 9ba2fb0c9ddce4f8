"""Daily counts in the database: added up, reported, forgotten."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import counters, database
from feeds.audience import requests
from feeds.audience.requests import Batch, Counts
from feeds.counters import FEEDS
from feeds.database import tables
from tests.examples import some

DAY = 740_000


@pytest.fixture
def engine(tmp_path: Any) -> sa.Engine:
    made = database.connect(f"sqlite:///{tmp_path}/feeds.db", create=True)
    database.ensure_tables(made)
    return made


def add(engine: sa.Engine, counts: dict[Any, Counts] | None = None, readers: dict[Any, int] | None = None) -> None:
    with database.writing(engine) as connection:
        requests.add_batch(connection, Batch(counts or {}, readers or {}))


def report(engine: sa.Engine, since: int = DAY, limit: int = 10) -> requests.Audience:
    with database.reading(engine) as connection:
        return requests.summarize(connection, since, limit)


def by_format(connection: sa.Connection) -> dict[str, Counts]:
    found = counters.read_all(connection)
    rows = {measure.name: {labels[0]: row.number for labels, row in found.get(measure.name, {}).items()} for measure in FEEDS}
    return {format: Counts(*(rows[measure.name][format] for measure in FEEDS)) for format in rows["requests"]}


def test_what_workers_have_counted_is_added_up(engine: sa.Engine) -> None:
    add(engine, {(DAY, "tags/Linux", "atom"): Counts(10, 8, 0, 2000), (DAY, "all", "rss"): Counts(1, 0, 0, 500)})
    add(engine, {(DAY, "tags/Linux", "atom"): Counts(5, 5, 0, 0), (DAY, "tags/Linux", "json"): Counts(1, 0, 1, 0)})
    found = report(engine)
    assert found.counts == Counts(17, 13, 1, 2500)
    assert [(feed.path, feed.counts, feed.formats) for feed in found.feeds] == [
        ("tags/Linux", Counts(16, 13, 1, 2000), {"atom": 15, "json": 1}),
        ("all", Counts(1, 0, 0, 500), {"rss": 1}),
    ]


def test_an_aggregator_counts_once_with_its_highest_number(engine: sa.Engine) -> None:
    add(engine, readers={(DAY, "all", "Feedly", ".atom"): 12})
    add(engine, readers={(DAY, "all", "Feedly", ".atom"): 11})
    add(engine, readers={(DAY + 1, "all", "Feedly", ".atom"): 13, (DAY + 1, "tags/Linux", "Feedly", ".atom"): 2})
    assert report(engine).aggregators == {"Feedly": 15}


def test_readers_of_several_aggregators_and_of_one_that_has_the_feed_twice_are_added_up(engine: sa.Engine) -> None:
    add(engine, {(DAY, "all", "atom"): Counts(1)})
    add(
        engine, readers={(DAY, "all", "Feedbin", "1"): 3, (DAY, "all", "Feedbin", "2"): 4, (DAY, "all", "Inoreader", ".rss"): 5}
    )
    found = report(engine)
    assert found.readers == 12 and found.feeds[0].readers == 12
    assert list(found.aggregators.items()) == [("Feedbin", 7), ("Inoreader", 5)]


def test_whoever_makes_up_names_of_feeds_fills_no_table(engine: sa.Engine) -> None:
    for batch in range(5):
        add(engine, readers={(DAY, "all", "Feedly", f"x{batch}-{number}"): 2 for number in range(1000)})
    with database.reading(engine) as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(tables.readers)).scalar()
    assert rows == requests.MAX_FEEDS + 1
    assert report(engine).readers <= 2 * rows


def test_only_the_days_asked_for_are_reported_and_only_so_many_feeds(engine: sa.Engine) -> None:
    add(engine, {(DAY - 1, "old", "atom"): Counts(100)}, {(DAY - 1, "old", "Feedly", ""): 9})
    add(engine, {(DAY, f"tags/{number}", "atom"): Counts(number) for number in range(1, 21)})
    found = report(engine, limit=3)
    assert found.counts.requests == 210 and found.readers == 0
    assert [feed.path for feed in found.feeds] == ["tags/20", "tags/19", "tags/18"]


def test_forgotten_days_stay_in_the_sums_of_all_time(engine: sa.Engine) -> None:
    add(engine, {(DAY - 400, "all", "atom"): Counts(7, 1, 0, 10)}, {(DAY - 400, "all", "Feedly", ""): 9})
    add(engine, {(DAY, "all", "atom"): Counts(2, 1, 0, 5), (DAY, "all", "rss"): Counts(1)})
    with database.writing(engine) as connection:
        requests.delete_old_days(connection, UTC, (DAY - date(1970, 1, 1).toordinal()) * 86400, 400)
    assert report(engine, since=0).counts == Counts(3, 1, 0, 5)
    assert report(engine, since=0).readers == 0
    with database.reading(engine) as connection:
        assert by_format(connection) == {"atom": Counts(9, 2, 0, 15), "rss": Counts(1)}
        assert requests.requests_ever(connection, ["all", "none"]) == {"all": Counts(10, 2, 0, 15)}
        assert requests.most_requested(connection, 5) == {"all": Counts(10, 2, 0, 15)}


KEYS = st.tuples(st.sampled_from([DAY, DAY + 1]), st.sampled_from(["all", "tags/内核", ""]), st.sampled_from(["atom", "rss"]))
COUNTS = st.builds(Counts, *(st.integers(0, 1000) for _ in Counts._fields))


@given(st.lists(st.dictionaries(KEYS, COUNTS, max_size=6), max_size=6))
@settings(max_examples=some(30))
def test_nothing_is_lost_or_counted_twice_in_whatever_order_it_comes(
    tmp_path_factory: pytest.TempPathFactory, batches: list[dict[Any, Counts]]
) -> None:
    engine = database.connect(f"sqlite:///{tmp_path_factory.mktemp('records')}/feeds.db", create=True)
    database.ensure_tables(engine)
    for batch in batches:
        add(engine, batch)
    everything = [counts for batch in batches for counts in batch.values()]
    total = Counts(*map(sum, zip(*everything, strict=True))) if everything else Counts()
    assert report(engine).counts == total
    with database.reading(engine) as connection:
        for ever in (requests.requests_ever(connection, ["all", "tags/内核", ""]), by_format(connection)):
            assert Counts(*map(sum, zip(*ever.values(), strict=True))) == total if ever else total == Counts()
    engine.dispose()
