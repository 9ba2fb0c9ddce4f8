"""The database: it is away, locked, or its disk is full."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql

from . import disks
from .house import House

#: How long another process holds the lock: 20 with FEEDS_FAULT_ROUNDS=100.
LOCKED_SECONDS = 1.0


def fill(site: Any) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    for id in range(1, 31):
        site.write(f"{id}.md", tags=["Linux", f"t{id % 3}"], date=f"2020-01-{id % 28 + 1:02} 08:00:00", title=f"title {id}.")


@pytest.fixture
def kept_in_postgresql(site: Any, move: Callable[[str], None]) -> Iterator[tuple[Any, postgresql.Cluster]]:
    """The site in a server of its own, which may be stopped."""
    with postgresql.running() as cluster:
        move(postgresql.new(cluster.url(), ""))
        site.runtime.prepare()
        yield site, cluster
        site.runtime.close()


@pytest.mark.interop
@pytest.mark.fault(
    "PostgreSQL is killed, and started again",
    readers="feeds that a worker has in memory as before; others 503 with Retry-After; never 500, never an empty feed",
    lost="nothing",
    heals="by itself: workers ask again, the clock takes its lock again within seconds and takes in what was edited meanwhile",
)
def test_a_database_that_goes_and_comes_back(
    kept_in_postgresql: tuple[Any, postgresql.Cluster], make_house: Callable[..., House]
) -> None:
    site, cluster = kept_in_postgresql
    fill(site)
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    house.wait(lambda: "acting" in house.log())
    expected = house.get("/all.atom")[2], house.get("/tags/t1.atom")[2]
    with house.readers("/all.atom", "/tags/t2.rss") as readers:
        time.sleep(0.3)
        cluster.stop("immediate")
        time.sleep(1.0)
        assert house.get("/all.atom")[2] == expected[0], "it is in memory"
        status, headers, _body = house.get("/tags/t0.json")
        assert (status, bool(headers["Retry-After"])) == (503, True), "it is not"
        assert house.get("/health")[0] == 200 and house.get("/ready")[0] == 503
        site.write("99.md", title="written while it was away", tags=["Linux"], date="2024-01-01 00:00:00")
        cluster.start()
        house.wait(lambda: house.shows("written while it was away"))
    assert set(readers.statuses) <= {200, 503} and readers.wrong == [] and readers.unanswered == 0
    assert house.get("/tags/t1.atom")[2] == expected[1] and house.get("/ready")[0] == 200
    assert house.running


@pytest.mark.interop
@pytest.mark.fault(
    "SQLite is locked by another process (a backup tool, a forgotten shell)",
    readers="every feed and page as before",
    lost="nothing; edits wait",
    heals="by itself when the lock falls: what was edited meanwhile is live then",
)
def test_a_locked_database_holds_up_no_reader(
    site: Any, make_house: Callable[..., House], rounds: int, record_property: Callable[[str, object], None]
) -> None:
    fill(site)
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    seconds = 20.0 if rounds >= 100 else LOCKED_SECONDS
    with house.readers() as readers:
        with site.held("state"):
            site.write("99.md", title="edited meanwhile", tags=["Linux"], date="2024-01-01 00:00:00")
            time.sleep(seconds)
            assert not house.shows("edited meanwhile") and house.shows("title 27.")
        house.wait(lambda: house.shows("edited meanwhile"))
    assert set(readers.statuses) == {200} and readers.wrong == [] and readers.unanswered == 0
    record_property("shown", f"locked for {seconds:g} s, {readers.statuses[200]} answers")


@pytest.mark.interop
@pytest.mark.fault(
    "The disk of the database is full",
    readers="every feed and page as before",
    lost="nothing; edits wait",
    heals="by itself when there is room: what was edited meanwhile is live then",
)
def test_a_full_disk_under_the_database(
    site: Any, make_house: Callable[..., House], mount: Callable[..., Path], move: Callable[[str], None]
) -> None:
    """SQLite's: where PostgreSQL has its files, and what it does then, is its own affair."""
    disk = mount(16384)
    move(f"sqlite:///{disk}/feeds.db")
    site.runtime.prepare()
    fill(site)
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    expected = house.everything()
    with house.readers() as readers:
        disks.fill(disk)
        for id in range(100, 130):
            site.write(f"{id}.md", title="edited meanwhile", tags=["Linux"], date="2024-01-01 00:00:00", body="x" * 50_000)
        house.wait(lambda: "rescan_failed" in house.log() and "disk is full" in house.log())
        assert house.log().count("rescan_failed") == 1 and "Traceback" not in house.log(), "said once"
        assert house.everything() == expected
        assert house.running
        disks.empty(disk)
        house.wait(lambda: house.shows("edited meanwhile"))
    assert set(readers.statuses) == {200} and readers.wrong == [] and readers.unanswered == 0
    with contextlib.closing(sqlite3.connect(disk / "feeds.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    site.runtime.close()


@pytest.mark.interop
@pytest.mark.fault(
    "The database file is deleted, or another one is put in its place",
    readers="feeds in memory as before; others 503 with Retry-After; forms are refused, so that nothing is lost",
    lost="nothing",
    heals="by itself when the right file is back; `/ready`, the log and `feeds status` say within seconds what is wrong",
)
def test_a_database_file_that_is_gone(
    site: Any, make_house: Callable[..., House], tmp_path: Path, move: Callable[[str], None]
) -> None:
    move(f"sqlite:///{site.root}/var/own.db")
    site.runtime.prepare()
    fill(site)
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    house.wait(lambda: "acting" in house.log())
    expected = house.get("/all.atom")[2]
    file = site.root / "var" / "own.db"
    file.rename(tmp_path / "aside.db")
    house.wait(lambda: house.get("/ready")[0] == 503)
    assert b"the database file is gone" in house.get("/ready")[2] and house.get("/health")[0] == 200
    assert house.get("/all.atom")[2] == expected and house.get("/tags/t0.json")[0] == 503
    assert house.runtime and house.runtime.send("/subscribe", {"email": "reader@example.org"})[0] in (404, 503)
    house.wait(lambda: "database_fault" in house.log())
    (tmp_path / "aside.db").rename(file)
    house.wait(lambda: house.get("/ready")[0] == 200)
    assert house.get("/tags/t0.json")[0] == 200 and "Traceback" not in house.log()


@pytest.mark.interop
@pytest.mark.fault(
    "Pages of the database are damaged",
    readers="what a worker has in memory, and what lies in tables that are whole; else 503, never 404 and never half a feed",
    lost="nothing but what lay in the damaged pages and came after the last backup",
    heals="with `feeds restore`, while the service runs; people who left since the backup stay away",
)
def test_damaged_pages_of_the_database(site: Any, make_house: Callable[..., House], move: Callable[[str], None]) -> None:
    move(f"sqlite:///{site.root}/var/own.db")
    site.runtime.prepare()
    fill(site)
    site.rescan()
    house = make_house(site, "--workers", "1").start()
    house.wait(lambda: "acting" in house.log())
    time.sleep(1.0)
    file = site.root / "var" / "own.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = file.read_bytes()
    with file.open("r+b") as written:
        for at in range(3 * 4096, len(good), 3 * 4096):
            written.seek(at)
            written.write(b"\xff" * 4096)
    house.wait(lambda: house.get("/ready")[0] == 503)
    assert b"the database is damaged" in house.get("/ready")[2] and house.get("/health")[0] == 200
    with house.readers() as readers:
        time.sleep(0.5)
    assert set(readers.statuses) <= {200, 503} and readers.wrong == []
    with file.open("r+b") as written:
        written.write(good)
    house.wait(lambda: house.get("/ready")[0] == 200)
    assert "Traceback" not in house.log()
