"""What is dated in the future comes out at its second, and what expires leaves: in every output of a service at work."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from feeds import file_watch
from feeds.cli import main
from feeds.scheduler import Clock

from . import forking
from .conftest import Site
from .newsletter.conftest import MONDAY, Mailing
from .websub.listening import Subscriber
from .websub.listening import subscriber as listening

#: Seconds after its second within which an article is out everywhere.
SOON = 2.0


def text(word: str, **dates: int) -> str:
    """An article about a word; dates in UTC seconds."""
    written = {name: datetime.fromtimestamp(at, UTC).isoformat() for name, at in dates.items()}
    header = "".join(f"{name}: {value}\n" for name, value in ({"date": "2024-01-02"} | written).items())
    return f"---\ntitle: The {word} title\ntags: [Linux]\n{header}---\nAbout {word}.\n"


def place(site: Site, path: str, content: str) -> None:
    """As an editor does: the file is there at once, and has the time of now."""
    beside = site.store / f".{path}.tmp"
    beside.write_text(content, "utf-8")
    beside.replace(site.store / path)


def sleep_until(when: float) -> None:
    time.sleep(max(0.0, when - time.time()))


@pytest.fixture
def planned(new_site: Callable[..., Site]) -> Site:
    """A store in which nothing is looked for but once an hour."""
    site = new_site(store={"path": "articles", "kind": "plain"}, article_url="", rescan_seconds=3600)
    place(site, "open.md", text("open"))
    return site


@pytest.fixture
def reader() -> Iterator[Subscriber]:
    with listening() as made:
        yield made


def coming(seconds: int) -> int:
    return int(time.time()) + seconds


def test_in_a_service_an_article_comes_and_goes_at_its_second(
    planned: Site, running: Callable[..., Any], reader: Subscriber
) -> None:
    """In feeds, on pages and by push; while the file lies still, and also across a restart of the whole service."""
    site = planned
    site.settle("feeds.yaml", websub={"allow_private_callbacks": True})
    site.close()
    service = running(site.config_dir, "--workers", "1")
    site.settle("site.yaml", base_url=service.base)
    service.ready()
    service.wait(lambda: service.base.encode() in service.request("/all.atom")[2])
    form = {"hub.mode": "subscribe", "hub.topic": f"{service.base}/tags/Linux.atom", "hub.callback": f"{reader.url}/cb"}
    with urlopen(Request(f"{service.base}/hub", urlencode(form).encode()), timeout=20) as answered:
        assert answered.status == 202
    service.wait(reader.verifications)
    time.sleep(1)

    def outputs() -> list[bool]:
        """Whether the article is in a feed, in that of its term, on a list, on its page and in the results of a search."""
        found = [b"coming" in service.request(path)[2] for path in ("/all.atom", "/tags/Linux.json", "/all")]
        return [*found, service.request("/articles/coming")[0] == 200, b"The coming" in service.request("/search?q=title")[2]]

    due, expiry = coming(7), coming(12)
    place(site, "coming.md", text("coming", date=due, expiryDate=expiry))
    while time.time() < due - 0.3:
        asked = outputs()
        assert not any(asked) or time.time() >= due, asked
        time.sleep(0.2)
    sleep_until(due + SOON)
    assert all(outputs())
    [delivery] = service.wait(reader.deliveries, 5)
    assert b"coming" in delivery.body
    sleep_until(expiry + SOON)
    assert not any(outputs())
    assert b"coming" not in service.wait(lambda: reader.deliveries()[1:], 5)[0].body

    due = coming(9)
    place(site, "coming.md", text("coming", date=due))
    time.sleep(1)
    service.stop()
    again = running(site.config_dir, "--workers", "1").ready()
    service = again
    assert not any(outputs()) or time.time() >= due
    sleep_until(due + SOON)
    assert all(outputs())
    later = coming(3600)
    place(site, "coming.md", text("coming", date=later))
    again.wait(lambda: not any(outputs()), 10)
    again.stop()


def test_an_export_that_watches_writes_an_article_at_its_second_and_takes_it_back(planned: Site, tmp_path: Path) -> None:
    site, out = planned, tmp_path / "out"
    due, expiry = coming(8), coming(13)
    place(site, "coming.md", text("coming", date=due, expiryDate=expiry))
    site.close()
    command = [sys.executable, "-m", "feeds", "rescan", "--watch", "--export", str(out), "--no-compress", "--json"]
    process = forking.Popen([*command, "--config", str(site.config_dir)], stdout=subprocess.PIPE, text=True)

    def found() -> set[str]:
        """The files that have a word of it."""
        files = (path for path in out.rglob("*") if path.is_file())
        return {str(path.relative_to(out)) for path in files if b"coming" in path.read_bytes() or "coming" in path.name}

    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["articles"] == 1
        assert not found() and time.time() < due
        sleep_until(due + SOON)
        assert {"all.atom", "tags/Linux.json", "articles/coming.html"} <= found()
        sleep_until(expiry + SOON)
        assert not found()
    finally:
        process.terminate()
        assert process.wait(15) == 0


def test_the_status_says_how_many_files_wait_and_when_the_next_is_out(planned: Site) -> None:
    config = ["--config", str(planned.config_dir)]
    due = planned.now + 86_400
    for number in range(2):
        planned.write(f"later-{number}.md", text("later", date=due + number))
    planned.write("leaves.md", text("leaves", expiryDate=due - 60))
    planned.rescan()
    found = json.loads(CliRunner().invoke(main, ["status", "--json", *config]).stdout)
    assert (found["articles"], found["waiting"], found["next_due"]) == (2, 2, due)
    assert (
        "2 files wait for a date in the future; the next one is out at 20"
        in CliRunner().invoke(main, ["status", *config]).stdout
    )
    planned.rescan(due + 1)
    assert "for a date in the future" not in CliRunner().invoke(main, ["status", *config]).stdout


# -- digests -----------------------------------------------------------------------------


def test_a_digest_brings_an_article_once_after_its_second(planned: Site) -> None:
    mailing, day = Mailing(planned), 86_400
    planned.write("coming.md", text("coming", date=MONDAY - 3600))
    planned.rescan(MONDAY - day)
    reader = mailing.subscribe()
    planned.rescan(MONDAY - 3600)
    mailing.plan(MONDAY)
    assert mailing.got(reader) == [["coming"]]
    planned.write("coming.md", text("coming", date=MONDAY + 2 * day))
    planned.rescan(MONDAY + day)
    planned.rescan(MONDAY + 2 * day)
    mailing.plan(MONDAY + 7 * day)
    assert mailing.got(reader) == [["coming"]], "it has had it"


def test_an_article_that_came_too_early_and_was_held_back_is_news_at_its_new_date(planned: Site) -> None:
    mailing, day = Mailing(planned), 86_400
    planned.rescan(MONDAY - 8 * day)
    planned.write("coming.md", text("coming", date=MONDAY - 8 * day))
    planned.rescan(MONDAY - 8 * day + 60)
    planned.write("coming.md", text("coming", date=MONDAY + day))
    planned.rescan(MONDAY - 8 * day + 120)
    reader = mailing.subscribe()
    mailing.plan(MONDAY)
    assert mailing.got(reader) == []
    planned.rescan(MONDAY + day)
    mailing.plan(MONDAY + 7 * day)
    assert mailing.got(reader) == [["coming"]]


# -- the clock that wakes ----------------------------------------------------------------


def test_a_clock_misses_no_second_that_passes_while_it_rescans(planned: Site) -> None:
    """A rescan judges by the second in which it began; what comes due until it ends is judged by the next one, at once."""
    begun, site = time.time(), planned
    at = [begun]
    clock = Clock(site.runtime, now=lambda: at[0])
    due = int(begun) + 2
    place(site, "coming.md", text("coming", date=due))
    clock.tick()
    assert 0 < clock._seconds_to_due() <= 2
    at[0] = due + 0.4  # so long did the rescan take
    assert clock._seconds_to_due() <= 0
    clock.tick()
    assert clock._seconds_to_due() == float("inf")


def test_a_clock_that_cannot_rescan_tries_again_what_is_due_soon_but_not_at_once(planned: Site) -> None:
    at = [time.time()]
    clock = Clock(planned.runtime, now=lambda: at[0])
    due = int(at[0]) + 2
    place(planned, "coming.md", text("coming", date=due))
    clock.tick()
    planned.store.rename(planned.root / "away")
    at[0] = due + 0.1
    clock.tick()
    assert 0 < clock._seconds_to_due() <= 5
    (planned.root / "away").rename(planned.store)
    at[0] += clock._seconds_to_due()
    clock.tick()
    assert clock._seconds_to_due() == float("inf")


def test_who_watches_files_is_called_at_a_second_that_passed_while_they_worked(planned: Site) -> None:
    at = [time.time()]
    due = int(at[0]) + 2
    place(planned, "coming.md", text("coming", date=due))
    changes = file_watch.changes(planned.runtime, lambda reason: None, lambda: at[0])
    next(changes)
    planned.rescan(int(at[0]))
    next(changes)
    at[0] = due + 0.5  # while an export was written
    called = threading.Event()

    def wait() -> None:
        next(changes)
        called.set()

    threading.Thread(target=wait, daemon=True).start()
    assert called.wait(30)
