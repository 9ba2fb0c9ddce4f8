"""Requests are counted, readers as aggregators tell of them; nobody is recognised, and nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.audience import requests
from feeds.audience.requests import Batch, Counts
from feeds.monitoring import gauges
from feeds.web import request_stats as module
from feeds.web.app import create_app
from feeds.web.request_stats import RequestStats, Today

FEEDLY = "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers; like FeedFetcher-Google)"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 SecretAgent/115.0"


class Worker:
    """One worker's application; `seen()` writes what it has counted and reads the report."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.app = create_app(site.environment)
        self.client = Client(self.app)

    def get(self, path: str, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, headers=sent, environ_base={"REMOTE_ADDR": "127.0.0.1"})

    def seen(self) -> dict[str, Any]:
        self.app.limiter.stats.flush()
        found: dict[str, Any] = self.site.runtime.read(
            requests.recent_as_json, self.site.runtime.edition().config.zone, time.time(), 100
        )
        return found

    def feed(self, path: str) -> dict[str, Any]:
        return next((row for row in self.seen()["feeds"] if row["path"] == path), {})


@pytest.fixture
def worker(web_site: Any) -> Worker:
    return Worker(web_site)


def test_requests_304s_and_bytes_are_counted_for_each_feed_and_format(worker: Worker) -> None:
    first = worker.get("/tags/Linux.atom")
    for _ in range(3):
        assert worker.get("/tags/Linux.atom", If_None_Match=first.headers["ETag"]).status_code == 304
    other = worker.get("/tags/Linux.rss", Accept_Encoding="gzip")
    worker.get("/all.json")
    assert worker.feed("tags/Linux") == {
        "path": "tags/Linux",
        "requests": 5,
        "unchanged": 3,
        "refused": 0,
        "bytes": len(first.data) + len(other.data),
        "readers": 0,
        "formats": {"atom": 4, "rss": 1},
    }
    assert worker.seen()["requests"] == 6


def test_a_head_request_sends_no_bytes(worker: Worker) -> None:
    for _ in range(2):  # Flask answers the first, the lane the second
        worker.client.head("/all.atom")
    row = worker.feed("all")
    assert (row["requests"], row["bytes"]) == (2, 0)


def test_pages_redirects_and_what_there_is_not_are_no_requests_for_a_feed(worker: Worker) -> None:
    for path in ("/", "/tags/Linux", "/tags/", "/tags/linux.atom", "/tags/None.atom", "/tags/retired.atom", "/feeds.opml"):
        worker.get(path)
    worker.get("/all.atom", Sec_Fetch_Dest="document")
    assert worker.seen()["feeds"] == []


def test_readers_are_what_an_aggregator_tells_once_a_day_for_each_feed(worker: Worker) -> None:
    etag = worker.get("/all.atom", User_Agent=FEEDLY).headers["ETag"]
    worker.get("/all.atom", User_Agent=FEEDLY, If_None_Match=etag)
    worker.get("/all.atom", User_Agent=FEEDLY.replace("12", "15"), If_None_Match=etag)
    worker.get("/all.rss", User_Agent=FEEDLY.replace("12", "3"))
    worker.get("/all.atom", User_Agent="Feedbin feed-id:77 - 4 subscribers")
    worker.get("/all.rss", User_Agent="Feedbin feed-id:77 - 4 subscribers")
    worker.get("/tags/Linux.atom", User_Agent="Mozilla/5.0 (compatible; inoreader.com; 2 subscribers)")
    worker.get("/tags/Linux.atom", User_Agent=BROWSER)
    found = worker.seen()
    assert found["aggregators"] == {"Feedly": 18, "Feedbin": 4, "Inoreader": 2}
    assert found["readers"] == 24
    assert worker.feed("all")["readers"] == 22 and worker.feed("tags/Linux")["readers"] == 2


def test_no_address_and_no_user_agent_is_stored(worker: Worker) -> None:
    worker.get("/all.atom", User_Agent=BROWSER, X_Forwarded_For="203.0.113.77")
    worker.get("/all.atom", User_Agent=FEEDLY, X_Forwarded_For="2001:db8::77")
    assert worker.seen()["requests"] == 2
    files = (path for path in (worker.site.root / "var").iterdir() if path.is_file())
    stored = worker.site.kept().encode() + b"".join(path.read_bytes() for path in files)
    assert b"Feedly" in stored
    for secret in (b"203.0.113", b"2001:db8", b"SecretAgent", b"fetcher.html", b"FeedFetcher"):
        assert secret not in stored


def test_nothing_is_counted_where_the_operator_wants_no_counts(worker: Worker) -> None:
    worker.site.settle("site.yaml", audience_days=0)
    worker.site.rescan()
    other = Worker(worker.site)
    other.get("/all.atom", User_Agent=FEEDLY)
    assert other.seen()["requests"] == 0


def test_the_feed_of_past_digests_is_counted_too(worker: Worker) -> None:
    worker.site.set("newsletter.yaml", "enabled: true\n")
    worker.site.rescan()
    other = Worker(worker.site)
    assert other.get("/digests.atom").status_code == 200
    assert other.feed("digests")["formats"] == {"atom": 1}


def test_old_days_are_forgotten_by_the_clock_and_the_sums_stay(worker: Worker) -> None:
    worker.get("/all.atom", User_Agent=FEEDLY)
    assert worker.seen()["requests"] == 1
    runtime = worker.site.runtime
    runtime.write(
        requests.delete_old_days,
        runtime.edition().config.zone,
        time.time() + 399 * 86400,
        runtime.edition().config.site.audience_days,
    )
    assert worker.seen()["requests"] == 1
    runtime.write(
        requests.delete_old_days,
        runtime.edition().config.zone,
        time.time() + 401 * 86400,
        runtime.edition().config.site.audience_days,
    )
    assert worker.seen()["requests"] == 0 and worker.seen()["readers"] == 0
    figures = runtime.read(gauges.take_snapshot, runtime.edition().config, time.time())
    assert figures.counters["requests"]["atom",].number == 1 and figures.requested["all"].requests == 1


# -- gathering and writing --------------------------------------------------------


def taking(batches: list[Batch]) -> Callable[[Batch], None]:
    return batches.append


def test_threads_lose_no_count() -> None:
    batches: list[Batch] = []
    stats = RequestStats(taking(batches), lambda: Today(7, 60.0))

    def many() -> None:
        for number in range(5000):
            stats.count((f"tags/{number % 7}", "atom"), 304 if number % 2 else 200, 10, FEEDLY)

    threads = [threading.Thread(target=many) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        stats.flush()
    for thread in threads:
        thread.join()
    stats.flush()
    sums = [row for batch in batches for row in batch.counts.values()]
    assert [sum(column) for column in zip(*sums, strict=True)] == [30_000, 15_000, 0, 150_000]
    assert {key for batch in batches for key in batch.readers} == {(7, f"tags/{n}", "Feedly", ".atom") for n in range(7)}


def test_counts_are_written_by_themselves_and_the_thread_ends_when_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.05)
    batches: list[Batch] = []
    stats = RequestStats(taking(batches), lambda: Today(7, 60.0))
    for _round in range(2):
        stats.count(("all", "atom"), 200, 5, None)
        wait(lambda: batches)
        assert batches.pop().counts == {(7, "all", "atom"): Counts(1, 0, 0, 5)}
        wait(lambda: stats._writer is None)


def test_a_count_belongs_to_the_day_on_which_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last batch of a day is written at midnight."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 60.0)
    days = iter([Today(7, 0.05), *[Today(8, 86_400.0)] * 50])
    batches: list[Batch] = []
    stats = RequestStats(taking(batches), lambda: next(days))
    stats.count(("all", "atom"), 200, 5, None)
    wait(lambda: batches)
    stats.count(("all", "atom"), 304, 0, None)
    stats.flush()
    assert [list(batch.counts) for batch in batches] == [[(7, "all", "atom")], [(8, "all", "atom")]]


def test_what_cannot_be_written_is_kept_within_bounds_and_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 10)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 3600.0)
    batches: list[Batch] = []
    broken = True

    def write(batch: Batch) -> None:
        if broken:
            raise OSError("no database")
        batches.append(batch)

    stats = RequestStats(write, lambda: Today(7, 3600.0))
    monkeypatch.setattr(stats, "_start_writer", lambda: Today(7, 3600.0))  # flushed by hand
    for number in range(500):
        stats.count((f"tags/{number}", "atom"), 200, 1, f"Feedbin feed-id:{number} - 4 subscribers")
        if number % 50 == 0:
            stats.flush()
    broken = False
    stats.flush()
    stats.flush()
    assert len(batches) == 1
    assert sum(row.requests for row in batches[0].counts.values()) == 500
    assert len(batches[0].counts) <= 11 and len(batches[0].readers) <= 10


def test_a_busy_database_holds_up_no_reader_and_loses_no_count(worker: Worker) -> None:
    worker.get("/all.atom")
    with worker.site.held("audience"):
        writing = threading.Thread(target=worker.app.limiter.stats.flush)
        writing.start()
        for _ in range(20):
            assert worker.get("/all.atom").status_code == 200
        writing.join()  # gave up: the other still writes
    assert worker.feed("all")["requests"] == 21


def wait(what: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


# -- a real service ------------------------------------------------------------------


@pytest.fixture
def small(web_site: Any, running: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    def start(workers: int) -> Any:
        return running(web_site.config_dir, "--workers", str(workers), "--no-clock").ready()

    yield start


def requests_in(site: Any) -> int:
    return int(site.runtime.read(requests.recent_as_json, site.runtime.edition().config.zone, time.time(), 1)["requests"])


def test_workers_write_their_counts_when_the_service_ends(small: Callable[..., Any], web_site: Any) -> None:
    service = small(2)
    for _ in range(40):
        assert service.request("/all.atom", {"User-Agent": FEEDLY})[0] == 200
    service.stop()
    assert requests_in(web_site) == 40
    assert service.process.returncode == 0, service.log()


def test_a_service_with_a_busy_database_ends_in_time(small: Callable[..., Any], web_site: Any) -> None:
    service = small(1)
    assert service.request("/all.atom")[0] == 200
    with web_site.held("audience"):
        service.process.terminate()
        service.process.wait(12)
    assert requests_in(web_site) in (0, 1)
