"""What aggregators say of their readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.audience.user_agents import MAX_READERS, OTHER, may_report_readers, parse_reader_report

CASES = [
    line.split("\t")
    for line in (Path(__file__).parent / "cases" / "user-agents.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("aggregator", "feed", "readers", "source", "agent"), CASES)
def test_an_aggregators_user_agent_tells_its_readers(aggregator: str, feed: str, readers: str, source: str, agent: str) -> None:
    claim = parse_reader_report(agent)
    if aggregator == "-":
        assert claim is None
    else:
        assert claim == (aggregator, feed, int(readers))
        assert may_report_readers(agent), "the quick look must not miss it"


def test_nearly_all_real_ones_are_known_by_name() -> None:
    assert len(CASES) > 40
    assert sum(row[0] == OTHER for row in CASES) <= 3


@given(st.text(max_size=200), st.integers(0, 10**12), st.text(max_size=60))
def test_nobody_writes_words_of_his_own(before: str, number: int, after: str) -> None:
    """Whatever is sent: a name that the program knows, an identifier of letters and digits, a number that can be."""
    claim = parse_reader_report(f"{before} {number} subscribers; feed-id={after}")
    if claim is not None:
        assert claim.aggregator in {row[0] for row in CASES} | set(_products())
        assert claim.feed == "" or (claim.feed.isascii() and claim.feed.isalnum() and len(claim.feed) <= 40)
        assert 0 < claim.readers <= MAX_READERS


def _products() -> set[str]:
    names = "AOL Reader,CommaFeed,Digg Reader,Dreamwidth,FeedHQ,Feedspot,Feedsubs,G2Reader"
    return {*names.split(","), OTHER}


@pytest.mark.parametrize(
    "agent",
    ["Feedly/1.0 (99999999999999999999 subscribers)", "Feedly/1.0 (10000001 subscribers)", "Feedly/1.0 (-5 subscribersx)"],
)
def test_numbers_that_cannot_be_are_no_claim(agent: str) -> None:
    assert parse_reader_report(agent) is None


def test_an_endless_user_agent_is_looked_at_for_its_beginning_only() -> None:
    assert parse_reader_report("x" * 100_000 + "Feedly (3 subscribers)") is None
    assert parse_reader_report("1," * 100_000 + " subscribers") is None
