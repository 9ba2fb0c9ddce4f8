"""The store: its disk goes away, comes back empty, or answers no more."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feeds.monitoring import health
from feeds.syndication import editions

from . import disks
from .house import House


def fill(site: Any, **settings: Any) -> None:
    site.settle("site.yaml", rescan_seconds=1, **settings)
    for id in range(1, 31):
        site.write(
            f"2020/{id}.md", tags=["Linux", f"t{id % 3}"], date=f"2020-01-{id % 28 + 1:02} 08:00:00", title=f"title {id}."
        )


def status(site: Any) -> dict[str, Any]:
    found: dict[str, Any] = site.runtime.read(health.catalog_status)
    return found


@pytest.mark.interop
@pytest.mark.fault(
    "The store's disk is unmounted, and mounted again",
    readers="every feed and page as before",
    lost="nothing; `feeds status`, the log, the console and `feeds_held_articles` tell the operator",
    heals="by itself when the disk is back: no feed has changed",
)
def test_an_unmounted_store_takes_nothing_away(site: Any, make_house: Callable[..., House], mount: Callable[..., Path]) -> None:
    disk = mount(4096)
    site.settle("site.yaml", store=str(site.store))
    fill(site)
    shutil.copytree(site.store, disk / "content")
    shutil.rmtree(site.store)
    site.store.mkdir()
    subprocess.run(["mount", "--bind", str(disk / "content"), str(site.store)], check=True)
    try:
        site.rescan()
        before = site.runtime.read(editions.load_generation)
        house = make_house(site, "--workers", "1").start()
        expected = house.everything()
        with house.readers() as readers:
            disks.unmount(site.store)
            assert list(site.store.iterdir()) == []
            house.wait(lambda: status(site)["held"])
            house.wait(lambda: "removals_held" in house.log())
            assert house.log().count("removals_held") == 1 and "30 of 30" in house.log()
            assert house.everything() == expected
            subprocess.run(["mount", "--bind", str(disk / "content"), str(site.store)], check=True)
            house.wait(lambda: status(site)["held"] is None)
        assert house.everything() == expected and site.runtime.read(editions.load_generation) == before
        assert readers.wrong == [] and set(readers.statuses) == {200} and readers.unanswered == 0
    finally:
        disks.unmount(site.store)


@pytest.mark.interop
@pytest.mark.fault(
    "The store is renamed or emptied while the service runs",
    readers="every feed and page as before; what else is edited in a store that is half there is live within seconds",
    lost="nothing",
    heals="by itself when the files are back; deleted on purpose, they go with `feeds rescan --accept-removals`",
)
def test_a_store_that_is_renamed_or_emptied_takes_nothing_away(site: Any, make_house: Callable[..., House]) -> None:
    fill(site)
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    expected = house.everything()
    away = site.root / "away"
    with house.readers() as readers:
        site.store.rename(away)
        house.wait(lambda: "no such folder" in status(site)["rescan_fault"])
        assert house.everything() == expected
        site.store.mkdir()
        house.wait(lambda: (status(site)["held"] or {}).get("articles") == 30)
        assert house.everything() == expected
        (away / "2020" / "1.md").rename(site.store / "1.md")
        site.write("new.md", title="while the others are away", tags=["odd"], date="2021-01-01 00:00:00")
        house.wait(lambda: house.shows("while the others are away"))
        house.wait(lambda: (status(site)["held"] or {}).get("articles") == 29)
        (site.store / "new.md").unlink()
        (site.store / "1.md").rename(away / "2020" / "1.md")
        site.store.rmdir()
        away.rename(site.store)
        house.wait(lambda: status(site)["held"] is None and status(site)["articles"] == 30)
    assert readers.wrong == [] and set(readers.statuses) == {200} and readers.unanswered == 0
    found = house.everything()
    untouched = [address for address in expected if address.startswith("/tags/") and "odd" not in address]
    assert len(untouched) == 24 and [address for address in untouched if found[address] != expected[address]] == []
    assert "Traceback" not in house.log()


@pytest.mark.interop
@pytest.mark.fault(
    "The store lies on a disk that answers no more (a network disk whose server is away)",
    readers="every feed and page as before; a service that is started meanwhile serves at once",
    lost="nothing",
    heals="by itself when the disk answers: what was edited meanwhile is live then",
)
def test_a_disk_that_hangs_holds_up_no_reader(site: Any, make_house: Callable[..., House]) -> None:
    fill(site)
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    expected = house.everything()
    with house.readers() as readers:
        house.hang()
        site.write("2020/1.md", title="edited meanwhile", tags=["Linux"], date="2024-01-01 00:00:00")
        time.sleep(1.5)
        assert house.everything() == expected and not house.shows("edited meanwhile")
        assert readers.unanswered == 0
        assert make_house(site, "--workers", "1", "--no-clock").start().everything() == expected, "begun while the disk hangs"
        house.come_back()
        house.wait(lambda: house.shows("edited meanwhile"))
    assert readers.wrong == [] and set(readers.statuses) <= {200, 503}
    assert "Traceback" not in house.log()
