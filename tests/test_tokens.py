"""Tokens: each opens what it is for and nothing else; damaged, foreign, old ones and those of other purposes open nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.tokens import DAY, PREFERENCE_DAYS, UNDATED, Tokens
from tests.examples import some

NOW = 1_767_571_200  # 2026-01-05T00:00:00Z
TOKENS, FOREIGN = Tokens("a secret of the tests"), Tokens("another secret")
NAME = "ab" * 16
Make, Read = Callable[[Tokens, int], str], Callable[[Tokens, str], Any]


def undated(tokens: Tokens, subscriber: int) -> str:
    """A preference token as versions before made them."""
    return f"{subscriber}-3-{tokens._mac('preferences', f'{subscriber}-3', 32)}"


#: Purpose -> how it is made of a number, how it is read.
PURPOSES: dict[str, tuple[Make, Read]] = {
    "preferences": (lambda t, n: t.preferences(n, 3, NOW), lambda t, text: t.read_preferences(text, NOW)),
    "unsubscribe": (lambda t, n: t.unsubscribe(n), lambda t, text: t.read_unsubscribe(text)),
    "undo": (lambda t, n: t.undo(n, NOW), lambda t, text: t.read_undo(text)),
    "bounce": (lambda t, n: t.bounce(7, n), lambda t, text: t.read_bounce(text)),
    "stamp": (lambda t, n: t.timestamp("signup", n), lambda t, text: t.timestamp_age("signup", text, NOW)),
    **{
        purpose: (
            lambda t, n, purpose=purpose: t.request(purpose, f"{NAME}{n}"),
            lambda t, text, purpose=purpose: t.read_request(purpose, text, 60),
        )
        for purpose in ("confirm", "refuse", "owner", "address")
    },
}
#: What stands in mails is found in any case by what reads mailboxes; links of pages are exact.
ANY_CASE = {"bounce"}
numbers = st.integers(1, 10**12 - 1)


@given(number=numbers)
def test_each_purpose_reads_its_own(number: int) -> None:
    for make, read in PURPOSES.values():
        assert read(TOKENS, make(TOKENS, number)) is not None


@settings(max_examples=some(10))
@given(number=numbers)
@pytest.mark.parametrize(("made", "asked"), list(permutations(PURPOSES, 2)))
def test_a_token_of_one_purpose_is_nothing_to_the_reader_of_another(made: str, asked: str, number: int) -> None:
    assert PURPOSES[asked][1](TOKENS, PURPOSES[made][0](TOKENS, number)) is None


@given(number=numbers, data=st.data())
@pytest.mark.parametrize("purpose", PURPOSES)
def test_no_damage_leaves_a_token_valid(purpose: str, number: int, data: st.DataObject) -> None:
    make, read = PURPOSES[purpose]
    token = make(TOKENS, number)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda letter: letter != token[at]))
    bit = chr(ord(token[at]) ^ (1 << data.draw(st.integers(0, 6))))
    damaged = [token[:at] + letter + token[at + 1 :] for letter in (other, bit)]
    damaged += [token[:at], token[at + 1 :], token + other, other + token, token + "\n", token * 2, token.swapcase()]
    for text in damaged:
        if purpose in ANY_CASE and text.lower() == token:
            continue
        assert read(TOKENS, text) is None, text


@given(number=numbers)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_another_secret_opens_nothing(purpose: str, number: int) -> None:
    make, read = PURPOSES[purpose]
    assert read(TOKENS, make(FOREIGN, number)) is None and read(FOREIGN, make(TOKENS, number)) is None


@given(text=st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    for _make, read in PURPOSES.values():
        assert read(TOKENS, text) is None
    assert TOKENS.salted(text) not in (text, "")


@given(numbers, numbers)
def test_a_token_says_whom_it_was_made_for(one: int, other: int) -> None:
    for purpose in ("preferences", "unsubscribe", "undo"):
        make, read = PURPOSES[purpose]
        assert (read(TOKENS, make(TOKENS, one)) == read(TOKENS, make(TOKENS, other))) == (one == other)


@given(number=numbers, age=st.integers(0, 1000))
def test_a_preference_token_lives_for_so_many_days(number: int, age: int) -> None:
    token = TOKENS.preferences(number, 3, NOW)
    found = TOKENS.read_preferences(token, NOW + age * DAY)
    assert found == ((number, 3, NOW) if age <= PREFERENCE_DAYS else None)


@given(number=numbers)
def test_a_token_of_versions_before_unsubscribes_for_ever_and_opens_the_page_for_a_while(number: int) -> None:
    token, last = undated(TOKENS, number), (UNDATED + PREFERENCE_DAYS) * DAY
    assert TOKENS.read_unsubscribe(token) == number and TOKENS.read_preferences(token, last) == (number, 3, UNDATED * DAY)
    assert TOKENS.read_preferences(token, last + DAY) is None
    readers = {name: read for name, (_make, read) in PURPOSES.items() if name not in ("preferences", "unsubscribe")}
    assert {name: read(TOKENS, token) for name, read in readers.items()} == dict.fromkeys(readers)
    assert TOKENS.read_unsubscribe(undated(FOREIGN, number)) is None


def test_a_link_to_unsubscribe_by_mail_is_read_in_lower_case_and_a_bounce_token_in_any() -> None:
    assert TOKENS.unsubscribe(12) == TOKENS.unsubscribe(12).lower()
    assert TOKENS.read_bounce(TOKENS.bounce(7, 12).upper()) == (7, 12)
