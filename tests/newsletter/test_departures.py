"""The list of departures: in the order of events, durable, private, without addresses, and readable after any end."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from feeds import database
from feeds.database.tables import subscribers
from feeds.newsletter.subscribers import departures, suppression, unsubscribe
from feeds.newsletter.subscribers.departures import ACTIVE, ERASED, LINKS, REFUSED, Departure, Standing

from .club import NOW, Club

READER = "reader@example.org"


@pytest.fixture
def club(site: Any) -> Club:
    return Club(site)


def listed(club: Club) -> list[dict[str, Any]]:
    path: Path = club.site.runtime.departures
    return [json.loads(line) for line in path.read_text().splitlines()[1:]] if path.exists() else []


def test_each_way_to_leave_is_a_line_without_an_address(club: Club) -> None:
    club.join(READER)
    assert listed(club) == [], "nobody has left"
    token = club.site.runtime.tokens().unsubscribe(1)
    unsubscribe.unsubscribe(club.context, token, "", NOW + 100)
    unsubscribe.unsubscribe(club.context, token, "", NOW + 200)
    assert [line["what"] for line in listed(club)] == ["unsubscribed"], "once"
    club.join(READER, now=NOW + 4 * 86400)
    unsubscribe.erase_address(club.context, READER, NOW + 5 * 86400)
    assert [line["what"] for line in listed(club)] == ["unsubscribed", ACTIVE, ERASED, "unsubscribed"]
    path: Path = club.site.runtime.departures
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"reader" not in path.read_bytes() and b"example" not in path.read_bytes()


def test_a_sign_up_that_its_owner_refuses_is_a_line(club: Club) -> None:
    club.sign_up(READER)
    token = club.letters()[-1]["List-Unsubscribe"].split("/unsubscribe/")[1].partition(">")[0]
    unsubscribe.unsubscribe(club.context, token, "", NOW + 100)
    assert [line["what"] for line in listed(club)] == [REFUSED]


def test_the_list_begins_with_everyone_who_has_left(club: Club) -> None:
    for number in range(3):
        club.join(f"reader{number}@example.org")
    for number in range(2):
        unsubscribe.unsubscribe(club.context, club.site.runtime.tokens().unsubscribe(number + 1), "", NOW + 100)
    club.site.runtime.departures.unlink()
    with database.writing(club.context.engine) as connection:
        departures.begin(connection)
    history = departures.read(club.site.runtime.departures)
    found = [history.find(f"reader{number}@example.org", ()) for number in range(3)]
    assert [one.reason if one else "" for one in found] == ["unsubscribed", "unsubscribed", ""]


def test_a_departure_is_written_before_it_is_committed_and_a_return_afterwards(club: Club) -> None:
    club.join(READER)
    hashed = club.site.runtime.tokens().salted(READER)
    with pytest.raises(KeyboardInterrupt), club.context.writing() as connection:
        suppression.end_subscription(connection, 1, "unsubscribed", "", NOW + 100, hashed)
        raise KeyboardInterrupt
    assert [line["what"] for line in listed(club)] == ["unsubscribed"]
    with pytest.raises(KeyboardInterrupt), club.context.writing() as connection:
        departures.record_return(connection, READER, hashed, NOW + 200)
        raise KeyboardInterrupt
    with club.context.writing() as connection:  # the next one of this connection does not take it over
        assert connection.execute(sa.select(subscribers.c.status)).scalar() == "active"
    assert [line["what"] for line in listed(club)] == ["unsubscribed"]


def test_leaving_works_where_the_list_cannot_be_written(club: Club, capsys: pytest.CaptureFixture[str]) -> None:
    club.join(READER)
    club.site.runtime.departures.mkdir()
    unsubscribe.unsubscribe(club.context, club.site.runtime.tokens().unsubscribe(1), "", NOW + 100)
    assert club.status() == "unsubscribed"
    assert "departure_not_recorded" in "".join(capsys.readouterr())


WHAT = (*departures.ENDS, ERASED, ACTIVE, REFUSED, LINKS)
EVENTS = st.tuples(st.sampled_from(("a", "b")), st.sampled_from(WHAT), st.integers(1, 99))


def write(path: Path, events: Any) -> None:
    made = (Departure(what, at, who, f"hash of {who}", at if what == LINKS else 0) for who, what, at in events)
    departures._append(path, list(made))


def seen(path: Path) -> dict[str, Any]:
    history = departures.read(path)
    names = ("reason", "returned", "erased", "refused", "version", "hash")
    found = {who: history.find(who, ()) for who in "ab"}
    return {who: tuple(getattr(one, name) for name in names) for who, one in found.items() if one is not None}


@given(events=st.lists(EVENTS, min_size=1, max_size=12))
def test_a_list_that_is_written_again_says_the_same(tmp_path_factory: pytest.TempPathFactory, events: list[Any]) -> None:
    path = tmp_path_factory.mktemp("list") / "departures.jsonl"
    write(path, events)
    before = seen(path)
    departures._compact(path)
    assert seen(path) == before
    departures._compact(path)
    assert seen(path) == before
    write(path, [("a", "unsubscribed", 200)])
    after = seen(path)["a"]
    assert after[0] in ("unsubscribed", "complained", "operator"), "the salt stays, and lines go on"


@given(
    events=st.lists(EVENTS, min_size=2, max_size=8),
    cut=st.integers(1, 200),
    junk=st.sampled_from((b"", b"\xff\n", b"{}\n", b"[1]\n", b"null\n")),
)
def test_a_line_that_a_power_cut_has_torn_is_dropped_and_the_next_ones_count(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any], cut: int, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("list") / "departures.jsonl"
    write(path, events[:-1])
    whole = path.stat().st_size
    write(path, events[-1:])
    os.truncate(path, max(whole, path.stat().st_size - cut))
    with path.open("ab") as file:
        file.write(junk)
    write(path, [("a", "complained", 300)])
    assert seen(path)["a"][0] in ("complained", "operator")


def test_a_list_grows_no_longer_than_twice_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "COMPACT_BYTES", 4000)
    path = tmp_path / "departures.jsonl"
    for number in range(300):
        write(path, [("a", "unsubscribed", number), ("a", ACTIVE, number), (f"p{number % 5}", "bounced", number)])
    assert path.stat().st_size < 5000
    assert seen(path)["a"][1] is True


def _append_many(path: Path, name: str) -> None:
    for number in range(40):
        write(path, [(f"{name}{number}", "unsubscribed", number)])


def test_processes_write_at_the_same_time_also_while_the_list_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "COMPACT_BYTES", 2000)
    path = tmp_path / "departures.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append_many, args=(path, name)) for name in "xyz"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    history = departures.read(path)
    missing = [f"{name}{number}" for name in "xyz" for number in range(40) if history.find(f"{name}{number}", ()) is None]
    assert missing == []


@pytest.mark.parametrize("events", [(), ("unsubscribed",), ("bounced", ACTIVE), (ERASED, ACTIVE, "complained")])
def test_what_a_standing_says_is_what_its_events_say(events: tuple[str, ...]) -> None:
    standing, again = Standing(), Standing()
    for order, what in enumerate(events):
        standing.follow({"what": what, "at": order + 1}, order)
    for order, event in enumerate(standing.events()):
        again.follow(event, order)
    assert (again.reason, again.returned, again.erased) == (standing.reason, standing.returned, standing.erased)
