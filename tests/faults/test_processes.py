"""Processes that are killed: at any moment, without a word (SIGKILL)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from .house import House

KINDS = ("folder", "edit", "delete", "configuration", "edit")


@dataclass(frozen=True, slots=True)
class Step:
    """A change of store or configuration that happens at once, as by a rename; then a feed shows `words`, or no more."""

    now: int
    words: str
    there: bool
    change: Callable[[Any], None]


def begin(site: Any) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    site.settle("feeds.yaml", all={"limit": 500})
    for id in range(1, 41):
        site.write(
            f"2020/{id}.md", tags=["Linux", f"t{id % 4}"], translator="geekpi", date=f"2020-01-{id % 28 + 1:02} 08:00:00"
        )
    site.rescan()


def history(now: int, length: int) -> Iterator[Step]:
    chance = random.Random(0)
    for number in range(length):
        kind, words = KINDS[number % len(KINDS)], f"step {number}."
        change = _CHANGES[kind](number, words, chance.randint(1, 40))
        yield Step(now + 60 * (number + 1), words, kind != "delete", change)


def _folder(number: int, words: str, _id: int) -> Callable[[Any], None]:
    def change(site: Any) -> None:
        for id in range(3):
            site.write(f"../aside/{number}-{id}.md", tags=["Linux", f"new{number % 7}"], title=words)
        (site.root / "aside").rename(site.store / f"from-{number}")

    return change


def _edit(number: int, words: str, id: int) -> Callable[[Any], None]:
    def change(site: Any) -> None:
        aside = site.write(f"../{id}.md", title=words, tags=["Linux", f"t{number % 5}"], translator="wxy")
        aside.replace(site.store / "2020" / aside.name)

    return change


def _delete(number: int, _words: str, _id: int) -> Callable[[Any], None]:
    """An article that came with the folder of two steps before."""
    return lambda site: (site.store / f"from-{number - 2}" / f"{number - 2}-0.md").unlink()


def _configuration(number: int, words: str, _id: int) -> Callable[[Any], None]:
    def change(site: Any) -> None:
        before = (site.config_dir / "site.yaml").read_text("utf-8")
        site.settle("site.yaml", description=words)
        after = site.root / "site.yaml"
        after.write_text((site.config_dir / "site.yaml").read_text("utf-8"), "utf-8")
        (site.config_dir / "site.yaml").write_text(before, "utf-8")
        after.replace(site.config_dir / "site.yaml")

    return change


_CHANGES = {"folder": _folder, "edit": _edit, "delete": _delete, "configuration": _configuration}


class Killer:
    """Kills one kind of process after another, and does what systemd would."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.chance = house, random.Random(seed)
        self.kills = 0

    def strike(self) -> None:
        kind = ("worker", "clock", "parent")[self.kills % 3]
        self.kills += 1
        time.sleep(self.chance.choice((0.0, 0.05, 0.2, 0.5)) * self.chance.random())
        if kind == "parent":
            self.house.kill_parent()
        elif pids := {"worker": self.house.workers, "clock": self.house.clocks}[kind]():
            self.house.kill(self.chance.choice(pids))
        self.start_again()

    def start_again(self) -> None:
        """A parent ends where its only worker has died twice within seconds."""
        if not self.house.running:
            self.house.start()

    def is_over(self, step: Step) -> bool:
        self.start_again()
        return self.house.shows(step.words) is step.there


@pytest.mark.interop
@pytest.mark.fault(
    "A web worker, the clock or the parent is killed",
    readers="a connection that is cut, then every feed again; never half of one, and none that stays old",
    lost="nothing: every feed ends as without the kills, byte for byte, with the same ETag and Last-Modified",
    heals="by itself: the parent starts workers and clock again; what a killed parent leaves behind ends within a second, so "
    "that its successor (systemd, the container) finds the port free",
)
def test_feeds_after_random_kills_are_those_of_a_run_without_any(
    new_site: Any, make_house: Callable[..., House], rounds: int, record_property: Callable[[str, object], None]
) -> None:
    disturbed, calm = new_site(), new_site()
    for site in (disturbed, calm):
        begin(site)
    house = make_house(disturbed).start()
    killer = Killer(house, seed=random.randrange(1 << 30))
    with house.readers() as readers:
        for step in history(disturbed.now, rounds):
            house.set_time(step.now)
            step.change(disturbed)
            killer.strike()
            house.wait(lambda step=step: killer.is_over(step))
    assert readers.wrong == [] and set(readers.statuses) <= {200, 503} and readers.statuses[200] > rounds
    for step in history(calm.now, rounds):
        step.change(calm)
        calm.rescan(step.now)
    expected = make_house(calm, "--no-clock", "--workers", "1").start().everything()
    found = house.everything()
    assert found.keys() == expected.keys()
    assert [address for address in expected if found[address] != expected[address]] == []
    record_property("shown", f"{killer.kills} kills, {sum(readers.statuses.values())} answers")
