"""A limit for all that no number of clients can use up for another."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from feeds.fair_share import is_within_share


@given(limit=st.integers(1, 200), asked=st.lists(st.integers(0, 30), max_size=600))
def test_no_attackers_keep_a_newcomer_from_its_first_nor_from_its_share(limit: int, asked: list[int]) -> None:
    used: Counter[str] = Counter()
    for attacker in asked:
        if is_within_share(used, f"attacker {attacker}", limit):
            used[f"attacker {attacker}"] += 1
    attackers = len(used)
    assert is_within_share(used, "newcomer", limit)
    while is_within_share(used, "newcomer", limit):
        used["newcomer"] += 1
    assert used["newcomer"] >= max(1, limit // (attackers + 1))
    assert used.total() <= limit + sum(max(1, limit // number) for number in range(1, attackers + 2)), "a bound for all"


@given(limit=st.integers(1, 200), asked=st.integers(0, 400))
def test_one_network_alone_may_have_it_all_and_no_more(limit: int, asked: int) -> None:
    used: Counter[str] = Counter()
    for _number in range(asked):
        used["one"] += is_within_share(used, "one", limit)
    assert used["one"] == min(limit, asked)
