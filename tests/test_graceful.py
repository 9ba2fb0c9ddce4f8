"""SIGTERM: what is under way is finished, within a bound; nothing is lost, nothing is sent twice, the exit status is 0."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.database import tables
from feeds.monitoring import health
from feeds.newsletter.transports import smtp as module
from feeds.scheduler import Clock
from feeds.syndication import editions

from . import forking
from .conftest import CHECKOUT
from .newsletter.club import Club
from .newsletter.sending import Post, Server, serving, smtp


def wait(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return found


# -- requests ----------------------------------------------------------------------


def begin(port: int, path: str, body: bytes) -> tuple[http.client.HTTPConnection, bytes]:
    """A request of which the last bytes have not been sent; they are returned."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:-5])
    return connection, body[-5:]


def test_a_request_under_way_is_answered_in_full(web_site_with_hub: Any, running: Callable[..., Any]) -> None:
    service = running(web_site_with_hub.config_dir, "--workers", "2", "--no-clock").ready()
    body = urlencode({"hub.mode": "publish", "hub.topic": "http://localhost/all.atom"}).encode()
    waiting = [begin(service.port, "/hub", body) for _ in range(2)]  # as many as one client may have open at a worker
    time.sleep(0.5)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    assert service.process.poll() is None, "it waits"
    for connection, rest in waiting:
        connection.send(rest)
        answered = connection.getresponse()
        assert answered.status == 202 and b"finds changes by itself" in answered.read()
        connection.close()
    assert service.process.wait(12) == 0
    assert "Traceback" not in service.log() and "event=stopped" in service.log()


@pytest.fixture
def web_site_with_hub(site: Any) -> Any:
    site.settle("site.yaml", base_url="http://localhost")
    site.settle("feeds.yaml", websub={"hub": "builtin"})
    site.write("1.md", tags=["Linux"])
    site.rescan()
    site.close()
    return site


# -- messages ----------------------------------------------------------------------


class Gate:
    """An SMTP server's answer to a message: withheld until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, _id: str, _number: int) -> None:
        self.reached.set()
        self.opened.wait(30)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def slow(gate: Gate) -> Iterator[Server]:
    with serving(data=gate) as server:
        yield server
        gate.opened.set()


@pytest.fixture
def club(site: Any) -> Club:
    made = Club(site)
    made.settle(transport="smtp", connections=1)
    return made


def outbox_left(club: Club) -> int:
    return club.count(tables.outbox)


@pytest.mark.parametrize("verb", ["serve", "clock"])
def test_the_message_that_a_server_has_in_hand_is_finished_and_no_other_begun(
    club: Club, slow: Server, gate: Gate, running: Callable[..., Any], tmp_path: Path, verb: str
) -> None:
    for number in range(3):
        club.sign_up(f"reader{number}@example.org", now=int(time.time()), ip=f"192.0.{number}.1")
    environment = {"FEEDS_SMTP_URL": slow.url}
    if verb == "serve":
        process = running(club.site.config_dir, "--workers", "1", environment=environment).process
    else:
        process = clock(club.site.config_dir, tmp_path / "log", environment)
    wait(gate.reached.is_set)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None, "it waits for the server's reply"
    gate.opened.set()
    assert process.wait(12) == 0
    assert len(slow.taken) == 1 and outbox_left(club) == 2


def clock(config_dir: Path, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "feeds", "clock", "--config", str(config_dir)]
    with log.open("wb") as file:
        return forking.Popen(command, stdout=file, stderr=file, cwd=CHECKOUT, env={**os.environ, **environment})


def test_a_server_that_does_not_reply_is_not_waited_for_longer_than_the_bound(
    gate: Gate, slow: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it took the message nobody can know: the row says so, and the operator decides."""
    monkeypatch.setattr(module, "STOP_SECONDS", 0.3)
    post, stop = Post(tmp_path).add(3), threading.Event()
    sending = threading.Thread(target=lambda: post.deliver(smtp(slow.url, connections=1), stop=stop))
    sending.start()
    wait(gate.reached.is_set)
    stop.set()
    sending.join(10)
    assert not sending.is_alive() and not gate.opened.is_set()
    assert post.counts() == {"uncertain": 1, "pending": 2}
    [(reply, owner)] = read(post, sa.select(tables.deliveries.c.reply, tables.deliveries.c.owner).where(_uncertain))
    assert "the sender had to stop" in reply and owner == ""


_uncertain = tables.deliveries.c.status == "uncertain"


def read(post: Post, query: Any) -> list[Any]:
    with database.reading(post.engine) as connection:
        return list(connection.execute(query).all())


# -- rescans -----------------------------------------------------------------------


def test_a_long_rescan_is_given_up_and_nothing_of_it_is_seen(site: Any) -> None:
    site.write("0.md", tags=["Linux"])
    site.rescan()
    for number in range(1, 150):
        site.write(f"{number}.md", tags=["Linux"])
    stopping = Clock(site.runtime)
    stopping.stop()
    generation = site.runtime.read(editions.load_generation)
    stopping.tick()
    assert (
        site.runtime.read(editions.load_generation) == generation and site.runtime.read(health.catalog_status)["articles"] == 1
    )
    Clock(site.runtime).tick()
    assert site.runtime.read(health.catalog_status)["articles"] == 150
