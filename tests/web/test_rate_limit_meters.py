"""Who is greedy and who is not: simulated readers against the two meters. Times are numbers; nothing waits."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.web.rate_limit import HOUR, MIN_WAIT, Limits, Meter
from tests.examples import some

SAME, ALL = 60, 6000
HOME = bytes([192, 0, 2, 7])


def limits(same: int = SAME, documents: int = ALL) -> Limits:
    return Limits(same, documents)


@dataclass
class Reader:
    """A well-behaved one: keeps validators, sends them back, takes what is new."""

    limits: Limits
    address: bytes = HOME
    known: dict[str, str] = field(default_factory=dict)

    def poll(self, feed: str, version: str, now: float) -> int:
        """How long it is told to wait; a 304 asks nobody."""
        before = self.known.get(feed)
        if before == version:
            return 0
        wait = self.limits.wait(self.address, f"{feed}@{version}", now, conditional=before is not None)
        if not wait:
            self.known[feed] = version
        return wait


# -- who must never be refused -------------------------------------------------


def test_an_import_of_hundreds_of_feeds_passes_at_once() -> None:
    ours, now = limits(), 1000.0
    for number in range(1000):
        for _ in range(3):  # discovery, the preview before adding, the first fetch
            assert ours.wait(HOME, f"tags/{number}@1", now, conditional=False) == 0


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 499)),
        st.tuples(st.just("change all"), st.just(0)),
        st.tuples(st.just("poll all"), st.just(0)),
        st.tuples(st.just("poll"), st.integers(0, 499)),
        st.tuples(st.just("wait"), st.integers(0, 7200)),
        st.tuples(st.just("reinstall"), st.just(0)),
    ),
    max_size=60,
)


@given(EVENTS, st.integers(1, 500))
@settings(max_examples=some(60))
def test_a_well_behaved_reader_is_never_refused_whatever_happens_and_whenever_it_comes(
    events: list[tuple[str, int]], feeds: int
) -> None:
    ours, now = limits(), 5000.0
    reader, versions, installs = Reader(ours), dict.fromkeys(range(feeds), 0), 0
    for what, number in [("poll all", 0), *events]:
        if what == "change":
            versions[number % feeds] += 1
        elif what == "change all":
            versions = {feed: version + 1 for feed, version in versions.items()}
        elif what == "wait":
            now += number
        elif what == "reinstall" and installs < 5:  # an import a second time, on another device at home
            installs += 1
            reader = Reader(ours)
        for feed in versions if what == "poll all" else [number % feeds] if what == "poll" else []:
            assert reader.poll(str(feed), str(versions[feed]), now) == 0
            now += 0.01


def test_every_feed_may_change_every_minute_all_day() -> None:
    ours, now = limits(), 0.0
    reader = Reader(ours)
    for minute in range(0, 24 * 60, 3):
        for feed in range(500):
            assert reader.poll(str(feed), str(minute), now + minute * 60) == 0


def test_many_well_behaved_readers_behind_one_address_are_not_refused() -> None:
    """A university, a mobile network: each takes every new version once."""
    ours, now = limits(), 0.0
    readers = [Reader(ours) for _ in range(SAME)]
    for version in range(24):
        for reader in readers:
            for feed in range(20):
                assert reader.poll(str(feed), str(version), now) == 0
                now += 0.001
        now += HOUR


def test_a_script_without_validators_every_few_minutes_is_let_be() -> None:
    ours = limits()
    assert not any(ours.wait(HOME, "all@1", minute * 60.0, conditional=False) for minute in range(0, 1440, 2))


# -- who is refused -------------------------------------------------------------


def hammer(ours: Limits, *, seconds: float, every: float, version: str = "all@1", conditional: bool = False) -> list[int]:
    return [ours.wait(HOME, version, step * every, conditional=conditional) for step in range(int(seconds / every))]


def test_whoever_asks_for_one_document_each_second_without_validators_is_refused_after_an_hours_worth() -> None:
    waits = hammer(limits(), seconds=600, every=1)
    assert waits[:SAME] == [0] * SAME and waits.count(0) <= SAME + 600 // 60 + 1
    assert all(wait >= MIN_WAIT for wait in waits if wait)


def test_waiting_as_told_helps_and_coming_too_early_costs_nothing() -> None:
    ours = limits()
    waits = hammer(ours, seconds=300, every=1)
    assert waits[-1] > 0
    assert ours.wait(HOME, "all@1", 299 + waits[-1], conditional=False) == 0


def test_an_empty_address_book_of_validators_does_not_help_for_long() -> None:
    """If-None-Match that never matches: free for each version once, then as much as the large meter has."""
    waits = hammer(limits(), seconds=1200, every=0.1, conditional=True)
    assert any(waits) and waits.count(0) <= 1 + ALL + 1200 * ALL / HOUR + 1


def test_whoever_fetches_everything_over_and_over_is_refused() -> None:
    ours, now, refused = limits(), 0.0, 0
    for _round in range(10):
        for feed in range(2000):
            refused += ours.wait(HOME, f"{feed}@1", now, conditional=False) > 0
            now += 0.01
    assert refused > 10_000


def test_refusing_one_client_or_one_feed_does_not_touch_another() -> None:
    ours = limits()
    hammer(ours, seconds=300, every=1)
    assert ours.wait(HOME, "all@1", 299.9, conditional=False) > 0
    assert ours.wait(HOME, "tags/Linux@1", 299.9, conditional=False) == 0
    assert ours.wait(HOME, "all@2", 299.9, conditional=False) == 0, "what is new is no repetition"
    assert ours.wait(bytes([192, 0, 2, 8]), "all@1", 299.9, conditional=False) == 0


def test_an_ipv6_household_is_one_client() -> None:
    ours = limits(same=2)
    net, other = bytes.fromhex("20010db800000001"), bytes.fromhex("20010db800000002")
    assert [ours.wait(net + bytes([0] * 7 + [host]), "all@1", 0, conditional=False) > 0 for host in range(4)] == [0, 0, 1, 1]
    assert ours.wait(other + bytes(8), "all@1", 0, conditional=False) == 0


@given(
    st.integers(1, 200),
    st.integers(1, 2000),
    st.lists(st.floats(0, 100), min_size=1, max_size=300),
    st.booleans(),
)
@settings(max_examples=some(100))
def test_one_that_honours_retry_after_never_sees_a_second_refusal_in_a_row(
    same: int, documents: int, gaps: list[float], conditional: bool
) -> None:
    """Whatever its pace was: it waits as told and is served; and at the pace that it was told it is served for ever."""
    ours, now = limits(same, documents), 0.0
    for gap in gaps:
        now += gap
        if wait := ours.wait(HOME, "all@1", now, conditional=conditional):
            for _again in range(5):
                now += wait
                assert ours.wait(HOME, "all@1", now, conditional=conditional) == 0


# -- settings and bounds ----------------------------------------------------------


@pytest.mark.parametrize(("same", "documents"), [(0, ALL), (SAME, 0), (0, 0)])
def test_a_limit_of_nought_is_none(same: int, documents: int) -> None:
    waits = hammer(limits(same, documents), seconds=500, every=0.05)
    assert any(waits) == (same > 0 or documents > 0)


def test_memory_stays_bounded_under_ever_new_addresses() -> None:
    ours, chance = limits(), random.Random(7)
    for step in range(120_000):
        ours.wait(chance.randbytes(16), f"{step % 50}@1", step / 100, conditional=bool(step & 1))
    assert len(ours.versions) <= 32_768 and len(ours.clients) <= 16_384
    one = (1 << 62, "x" * 40)
    size = (sys.getsizeof(one) + sys.getsizeof(one[0]) + sys.getsizeof(1.0) + 110) * (32_768 + 16_384)
    assert size < 16_000_000, "bytes, at most"


def test_a_greedy_client_is_still_known_in_a_flood_of_others() -> None:
    ours, chance, refused = limits(), random.Random(7), 0
    for step in range(60_000):
        ours.wait(chance.randbytes(4), "all@1", step / 1000, conditional=False)
        if step % 100 == 0:
            refused += ours.wait(HOME, "all@1", step / 1000, conditional=False) > 0
    assert refused > 500


def test_what_was_not_seen_for_hours_is_forgotten() -> None:
    meter: Meter[int] = Meter(60, 1000)
    for now in (0.0, HOUR + 1, 2 * HOUR + 2):
        meter.charge(int(now), now)
    assert not meter.knows(0) and meter.knows(int(2 * HOUR + 2))


def test_no_address_is_in_memory() -> None:
    ours, other = limits(), limits()
    for each in (ours, other):
        each.wait(HOME, "all@1", 0, conditional=False)
    assert all(isinstance(key, int) for key in ours.clients._young)
    assert repr(HOME) not in repr(vars(ours.clients)) + repr(vars(ours.versions))
    assert set(ours.clients._young) != set(other.clients._young), "each process has a key of its own"
