"""The clock, in real processes: edits are live within seconds, bad ones change nothing, one acts, all end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from feeds import file_watch
from feeds import rescan as rescan_
from feeds.scheduler import Clock
from feeds.syndication import editions

from . import forking


def children_of(pid: int) -> list[int]:
    """All processes below `pid`, by /proc."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        below = [child for child, above in parents.items() if above == parent]
        found += below
        waiting += below
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def live(site: Any, running: Callable[..., Any]) -> Iterator[Any]:
    """A service over a site of one article; the sweep is slow, so that what is quick is the bell. `live.site` is the site."""
    site.settle("site.yaml", rescan_seconds=3600)
    site.write("1.md", tags=["Linux"], title="The first title")
    site.close()
    service = running(site.config_dir, "--workers", "1").ready()
    service.site = site
    # The bell listens to the store once the clock has learnt where it is.
    time.sleep(0.5)
    yield service
    service.stop()


def write_now(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name("." + path.name + ".tmp")
    beside.write_text(text, "utf-8")
    beside.replace(path)


def test_an_edit_a_new_file_and_a_removed_one_are_served_within_two_seconds(live: Any, text_of: Callable[..., str]) -> None:
    def feed() -> bytes:
        body: bytes = live.request("/tags/Linux.atom")[2]
        return body

    assert b"The first title" in feed()
    started = time.monotonic()
    write_now(live.site.store / "1.md", text_of("1.md", tags=["Linux"], title="The second title"))
    live.wait(lambda: b"The second title" in feed(), 10)
    assert time.monotonic() - started < 2
    started = time.monotonic()
    write_now(live.site.store / "2020" / "2.md", text_of("2020/2.md", tags=["Linux"], title="Another article"))
    live.wait(lambda: b"Another article" in feed(), 10)
    assert time.monotonic() - started < 2
    started = time.monotonic()
    (live.site.store / "2020" / "2.md").unlink()
    live.wait(lambda: b"Another article" not in feed(), 10)
    assert time.monotonic() - started < 2


def test_an_edit_of_the_configuration_is_live_and_a_bad_one_is_named_once_and_changes_nothing(live: Any) -> None:
    feeds_yaml = live.site.config_dir / "feeds.yaml"
    good = feeds_yaml.read_text("utf-8")
    assert live.request("/feeds/mine.atom")[0] == 404
    write_now(feeds_yaml, good + "feeds:\n  - {name: mine, title: Mine, select: {tag: [Linux]}}\n")
    live.wait(lambda: live.request("/feeds/mine.atom")[0] == 200, 10)

    write_now(feeds_yaml, good + "colour: red\n")
    place = f"{feeds_yaml}:{len(good.splitlines()) + 1}:1: colour: unknown setting"
    live.wait(lambda: place in live.log(), 10)
    assert live.request("/feeds/mine.atom")[0] == 200
    write_now(live.site.config_dir / "newsletter.yaml", "enabled: false\nbounces: {soft_days: 10}\n")
    live.wait(lambda: "newsletter.yaml:2:11: bounces.soft_days: no longer a setting" in live.log(), 10)
    for number in range(3):  # further rescans while the fault is there
        write_now(live.site.store / f"x{number}.md", "---\ntitle: x\ntags: [Linux]\n---\n")
        live.wait(lambda n=number: live.request(f"/articles/x{n}")[0] in (200, 302), 10)
    assert live.log().count("unknown setting") == live.log().count("setting_removed") == 1

    write_now(feeds_yaml, good)
    live.wait(lambda: live.request("/feeds/mine.atom")[0] == 404, 10)
    assert live.request("/tags/Linux.atom")[0] == 200


def test_a_second_clock_stands_by_and_takes_over(site: Any, tmp_path: Path) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    site.close()
    command = [sys.executable, "-m", "feeds", "clock", "--config", str(site.config_dir)]
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    clocks = []
    try:
        for log in logs:
            with log.open("wb") as file:
                clocks.append(forking.Popen(command, stderr=file, stdout=file))
            wait_until(lambda n=len(clocks): settled(site, logs, n), 20)
        assert "standby" in logs[1].read_text()
        assert "standby" not in logs[0].read_text()
        clocks[0].terminate()
        assert clocks[0].wait(10) == 0
        site.write("9.md", tags=["after"])
        wait_until(lambda: "added=1" in logs[1].read_text(), 20)
    finally:
        for clock in clocks:
            clock.kill()
            clock.wait()


def settled(site: Any, logs: list[Path], started: int) -> bool:
    """The first clock has rescanned; the second has said that it stands by."""
    return site.reopen().read(editions.load_generation) > 0 if started == 1 else "standby" in logs[1].read_text()


def wait_until(what: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_every_process_of_the_service(live: Any, number: signal.Signals) -> None:
    family = children_of(live.process.pid)
    assert any(" clock " in command_of(pid) for pid in family)
    assert len(family) >= 2
    started = time.monotonic()
    live.process.send_signal(number)
    assert live.process.wait(15) == 0
    wait_until(lambda: not any(is_alive(pid) for pid in family), 5)
    assert time.monotonic() - started < 10
    assert "Traceback" not in live.log()


def test_the_clock_and_the_workers_end_where_the_parent_is_killed(live: Any) -> None:
    family = children_of(live.process.pid)
    clock = next(pid for pid in family if " clock " in command_of(pid))
    live.process.kill()
    live.process.wait()
    wait_until(lambda: not is_alive(clock), 10)
    for pid in family:  # granian's workers may outlive a killed parent: not ours to leave behind
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def test_a_clock_that_was_killed_is_started_again_and_works(live: Any, text_of: Callable[..., str]) -> None:
    def clock() -> int:
        return next((pid for pid in children_of(live.process.pid) if " clock " in command_of(pid)), 0)

    first = clock()
    os.kill(first, signal.SIGKILL)
    live.wait(lambda: clock() not in (0, first), 10)
    assert "clock_ended" in live.log()
    write_now(live.site.store / "1.md", text_of("1.md", tags=["Linux"], title="After the fall"))
    live.wait(lambda: b"After the fall" in live.request("/all.atom")[2], 10)


def test_the_service_says_what_it_cannot_listen_on(live: Any) -> None:
    command = [sys.executable, "-m", "feeds", "serve", "--config", str(live.site.config_dir), "--port", str(live.port)]
    second = forking.run(command, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"cannot serve on 127.0.0.1:{live.port}" in second.stderr
    assert "Traceback" not in second.stderr
    assert live.request("/health")[0] == 200


# -- in this process -------------------------------------------------------


def test_bells_that_ring_while_a_rescan_runs_cause_one_more_and_not_many(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock over a real service whose rescans are made slow."""
    site.settle("site.yaml", rescan_seconds=3600)
    begun, overlapping, running = [], [], threading.Lock()
    rescan = rescan_.rescan

    def slow(*arguments: Any, **options: Any) -> Any:
        if not running.acquire(blocking=False):
            overlapping.append(time.monotonic())
        begun.append(time.monotonic())
        try:
            time.sleep(0.3)
            return rescan(*arguments, **options)
        finally:
            running.release()

    monkeypatch.setattr(rescan_, "rescan", slow)
    clock = Clock(site.runtime)
    thread = threading.Thread(target=clock.run_until_stopped)
    thread.start()
    try:
        wait_until(lambda: len(begun) == 1, 10)
        for _ in range(20):
            clock.wake.set()
            time.sleep(0.01)
        wait_until(lambda: len(begun) == 2, 10)
        time.sleep(0.8)
        assert len(begun) == 2
        assert overlapping == []
    finally:
        clock.stop()
        thread.join(10)
    assert not thread.is_alive()


def test_a_store_that_is_not_there_does_not_end_the_clock(site: Any) -> None:
    site.settle("site.yaml", rescan_seconds=1)
    site.write("1.md", tags=["Linux"])
    editions.adopt_config(site.runtime.engine, site.runtime.environment)
    clock = Clock(site.runtime)
    site.store.rename(site.root / "away")
    thread = threading.Thread(target=clock.run_until_stopped)
    thread.start()
    try:
        time.sleep(1.2)
        assert thread.is_alive()
        (site.root / "away").rename(site.store)
        wait_until(lambda: site.runtime.read(editions.load_generation) > 0, 10)
    finally:
        clock.stop()
        thread.join(10)


def test_a_clock_that_ends_by_a_fault_of_its_own_leaves_nothing_running(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent starts it again; it must not stay behind with half of its threads."""
    site.settle("site.yaml", rescan_seconds=3600)
    site.rescan()
    clock = Clock(site.runtime)
    monkeypatch.setattr(file_watch, "watched_folders", lambda _runtime: [])  # no bell but ours
    ticks = iter([3600])
    monkeypatch.setattr(clock, "tick", lambda: next(ticks))
    ended: list[BaseException] = []

    def run() -> None:
        try:
            clock.run_until_stopped()
        except StopIteration as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_until(lambda: any(one.name == "push" for one in threading.enumerate()), 20)
    clock.wake.set()
    thread.join(30)
    assert not thread.is_alive() and len(ended) == 1
    assert not any(one.name == "push" for one in threading.enumerate())


def test_a_change_from_before_watching_has_begun_is_looked_for_at_once(site: Any) -> None:
    site.rescan()  # which says where the store is
    changed, stopped, faults = threading.Event(), threading.Event(), []
    thread = threading.Thread(target=file_watch.watch, args=(site.runtime, changed, stopped, faults.append))
    thread.start()
    try:
        assert changed.wait(20)  # nothing has changed since: what may have, has
        changed.clear()
        assert not changed.wait(2.5)  # nor is silence a change
        site.write("1.md")
        assert changed.wait(20)
    finally:
        stopped.set()
        thread.join(20)
    assert not faults
