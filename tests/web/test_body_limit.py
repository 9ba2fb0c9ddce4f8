"""Bodies on their way: a deadline for each, and a place for every network however many others stall."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge, RequestTimeout

from feeds.web import body_limit
from feeds.web.body_limit import MAX_BODY, Bodies


async def chunks(*parts: bytes, stall: bool = False, pause: float = 0.0) -> AsyncIterator[bytes]:
    """A body, in parts; with `stall` nothing follows them and it does not end."""
    for part in parts:
        await asyncio.sleep(pause)
        yield part
    if stall:
        await asyncio.Event().wait()


async def read(bodies: Bodies, network: str, length: int | None = 4, *parts: bytes, **how: Any) -> bytes | type[HTTPException]:
    try:
        return await bodies.read(chunks(*(parts or (b"form",)), **how), network, length)
    except HTTPException as error:
        return type(error)


async def stalled(bodies: Bodies, networks: list[str]) -> list[asyncio.Task[Any]]:
    tasks = []
    for network in networks:
        tasks.append(asyncio.create_task(read(bodies, network, 100, b"a", stall=True)))
        await asyncio.sleep(0)  # it has its place before the next one comes
    return tasks


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


@given(st.lists(st.integers(0, 120), max_size=300), st.integers(1, 40))
def test_a_form_that_comes_is_read_whatever_stalls(attackers: list[int], places: int) -> None:
    async def test() -> None:
        bodies = Bodies(places)
        tasks = await stalled(bodies, [f"attacker {number}" for number in attackers])
        for network in ("newcomer", "attacker 0"):  # a neighbour of an attacker, too
            assert await read(bodies, network) == b"form"
        assert len(bodies) <= places + 1
        for task in tasks:
            task.cancel()

    run(test())


def test_the_network_that_holds_most_gives_up_its_oldest() -> None:
    async def test() -> None:
        bodies = Bodies(6)
        tasks = await stalled(bodies, ["greedy"] * 4 + ["other"] * 2)
        new = await stalled(bodies, ["newcomer", "newcomer"])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*tasks[:2]), 30)
        assert [task.done() for task in (*tasks, *new)] == [True, True] + [False] * 6
        assert [task.result() for task in tasks[:2]] == [RequestTimeout] * 2
        for task in (*tasks, *new):
            task.cancel()
        await asyncio.gather(*tasks, *new, return_exceptions=True)
        assert len(bodies) == 0, "all places are given back"

    run(test())


@pytest.mark.parametrize(
    ("length", "parts", "how"),
    [
        (100, (b"a",), {"stall": True}),
        (None, (b"a",), {"stall": True}),
        (100, (b"",) * 5, {"stall": True}),
        (1000, (b"a",) * 1000, {"pause": 0.01}),
        (None, (b"a",) * 1000, {"pause": 0.01}),
    ],
    ids=["a length that never comes", "chunks without an end", "empty chunks", "a drip", "a drip of chunks"],
)
def test_a_body_that_is_too_slow_ends(
    monkeypatch: pytest.MonkeyPatch, length: int | None, parts: tuple[bytes, ...], how: dict[str, Any]
) -> None:
    monkeypatch.setattr(body_limit, "GRACE", 0.05)

    async def test() -> None:
        bodies = Bodies()
        assert await read(bodies, "slow", length, *parts, **how) is RequestTimeout
        assert len(bodies) == 0

    run(test())


def test_a_body_that_comes_at_the_rate_has_the_time_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "GRACE", 2.0)
    monkeypatch.setattr(body_limit, "RATE", 1)

    async def test() -> None:
        assert await read(Bodies(), "slow", 300, *(b"a" * 10,) * 30, pause=0.1) == b"a" * 300, "three seconds"

    run(test())


@pytest.mark.parametrize(
    ("length", "parts", "expected"),
    [
        (MAX_BODY, (b"a" * MAX_BODY,), b"a" * MAX_BODY),
        (MAX_BODY + 1, (b"a",), RequestEntityTooLarge),
        (10**15, (b"a",), RequestEntityTooLarge),
        (None, (b"a" * MAX_BODY, b"a"), RequestEntityTooLarge),
        (None, (b"a" * MAX_BODY,), b"a" * MAX_BODY),
        (5, (b"form",), ClientDisconnected),
        (None, (b"",), b""),
    ],
)
def test_lengths_are_kept(length: int | None, parts: tuple[bytes, ...], expected: Any) -> None:
    async def test() -> None:
        assert await read(Bodies(), "one", length, *parts) == expected

    run(test())
