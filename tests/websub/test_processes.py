"""The hub in real processes: `feeds serve`, subscribers of other makes, processes that die in the middle."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import flask
import pytest
import sqlalchemy as sa
from flask_websub.errors import SubscriberError
from flask_websub.subscriber import SQLite3SubscriberStorage, SQLite3TempSubscriberStorage, discover
from flask_websub.subscriber import Subscriber as PeerSubscriber
from werkzeug.serving import make_server

from feeds import database
from feeds.database.tables import hub_subscriptions
from tests import forking

from .conftest import BASE, PATIENT, Hub
from .listening import Seen, Subscriber, wait_for

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def served(site: Any, running: Callable[..., Any]) -> Iterator[Any]:
    """A service whose base address is where it is reached; `served.site` is the site, `served.ask` subscribes."""
    site.settle("feeds.yaml", websub=PATIENT)
    site.settle("site.yaml", article_url="", rescan_seconds=1)
    site.write("1.md", tags=["Linux"], title="The first title")
    site.runtime.close()
    service = running(site.config_dir, "--workers", "1")
    service.wait = functools.partial(service.wait, seconds=60)  # on a machine that has much else to do
    site.settle("site.yaml", base_url=service.base)
    service.ready()
    service.site = site
    service.wait(lambda: service.base.encode() in service.request("/all.atom")[2])
    yield service
    service.stop()


def ask(base: str, callback: str, topic: str = "/tags/Linux.atom", **more: str) -> int:
    form = {"hub.mode": "subscribe", "hub.topic": base + topic, "hub.callback": callback, **more}
    with urlopen(Request(f"{base}/hub", urlencode(form).encode()), timeout=20) as answered:
        return int(answered.status)


def write_now(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(text, "utf-8")
    beside.replace(path)


def subscriptions(site: Any) -> list[Any]:
    engine = database.connect(site.environment.database_url.get_secret_value())
    try:
        with database.reading(engine) as connection:
            return list(connection.execute(sa.select(hub_subscriptions)))
    finally:
        engine.dispose()


def test_an_edit_on_disk_reaches_a_subscriber(served: Any, reader: Subscriber, text_of: Callable[..., str]) -> None:
    assert ask(served.base, f"{reader.url}/cb", **{"hub.secret": "mine"}) == 202
    served.wait(lambda: subscriptions(served.site))
    write_now(served.site.store / "1.md", text_of("1.md", tags=["Linux"], title="The second title"))
    [delivery] = served.wait(reader.deliveries)
    assert b"The second title" in delivery.body
    assert delivery.headers["X-Hub-Signature"].startswith("sha256=")
    assert f'<{served.base}/hub>; rel="hub"' in delivery.headers["Link"]
    command = [sys.executable, "-m", "feeds", "status", "--config", str(served.site.config_dir)]
    told = json.loads(forking.run([*command, "--json"], capture_output=True, cwd=CHECKOUT, check=True, timeout=60).stdout)
    assert told["hub"] == {"subscriptions": 1, "topics": 1, "pending": 0, "due": 0, "failing": 0}
    words = forking.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=True, timeout=60).stdout
    assert "hub: 1 subscriptions to 1 feeds, 0 to be confirmed, 0 deliveries due, 0 failing" in words


def clock(site: Any, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "feeds", "clock", "--config", str(site.config_dir)]
    with log.open("ab") as file:
        return forking.Popen(command, stdout=file, stderr=file, cwd=CHECKOUT)


def test_a_distribution_that_the_death_of_the_process_interrupted_is_made_after_its_restart(
    site: Any, reader: Subscriber, tmp_path: Path
) -> None:
    """Killed while callbacks have it in hand: those that had been noted get nothing twice, all others get it."""
    site.settle("feeds.yaml", websub={**PATIENT, "parallel_per_host": 4})
    site.settle("site.yaml", base_url=BASE, rescan_seconds=1)
    site.write("1.md", tags=["Linux"], title="The first title")
    site.rescan()
    hub = Hub(site).start()
    for number in range(12):
        assert hub.ask(f"{reader.url}/{number}").status_code == 202
    hub.until(lambda: len(hub.subscriptions) == 12)
    hub.stop()
    go, held = threading.Event(), threading.Semaphore(0)

    def receives(seen: Seen) -> int:
        if int(seen.path[1:]) >= 6:  # the second half has it in hand when the process dies
            held.release()
            go.wait(60)
        return 200

    reader.receives = receives
    site.write("1.md", tags=["Linux"], title="The second title")
    first = clock(site, tmp_path / "log")
    try:
        for _ in range(4):
            assert held.acquire(timeout=60), (tmp_path / "log").read_text()
        wait_for(lambda: len([row for row in subscriptions(site) if row.due is None]) == 6)
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    finally:
        first.kill()
    before = len(reader.deliveries())
    go.set()
    second = clock(site, tmp_path / "log")
    try:
        wait_for(lambda: all(row.due is None for row in subscriptions(site)))
    finally:
        second.terminate()
        second.wait(15)
    after = [seen.path for seen in reader.deliveries()[before:]]
    assert sorted(after, key=lambda path: int(path[1:])) == [f"/{number}" for number in range(6, 12)]
    assert all(b"The second title" in seen.body for seen in reader.deliveries())
    assert second.returncode == 0


def test_a_subscription_that_was_accepted_before_a_death_is_verified_after_it(served: Any, reader: Subscriber) -> None:
    begun, go = threading.Event(), threading.Event()

    def agrees(_seen: Seen) -> bool:
        begun.set()
        return go.wait(60)

    reader.agrees = agrees
    ask(served.base, f"{reader.url}/cb")
    assert begun.wait(60)
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
    clocks = [pid for pid in children if b"clock" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    assert len(clocks) == 1
    os.kill(int(clocks[0]), signal.SIGKILL)
    go.set()
    served.wait(lambda: subscriptions(served.site))
    assert len(reader.verifications()) >= 2


# -- a subscriber of another make ---------------------------------------------------


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Any]:
    """Flask-WebSub's subscriber behind a server of its own: `peer.heard` is what it was told, `peer.context()` lets it act."""
    app = flask.Flask("peer")
    app.config["AUTO_SET_SECRET"] = False
    folder = str(tmp_path / "peer.sqlite3")
    subscriber = PeerSubscriber(SQLite3SubscriberStorage(folder), SQLite3TempSubscriberStorage(folder))
    app.register_blueprint(subscriber.build_blueprint("/callbacks"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    app.config["SERVER_NAME"] = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    subscriber.heard, subscriber.confirmed, subscriber.context = [], [], app.app_context
    subscriber.add_listener(lambda topic, _callback, body: subscriber.heard.append((topic, body)))
    subscriber.add_success_handler(lambda topic, _callback, mode: subscriber.confirmed.append((topic, mode)))
    yield subscriber
    server.shutdown()
    thread.join(5)


def test_flask_websub_finds_the_hub_subscribes_is_pushed_to_renews_and_leaves(
    served: Any, peer: Any, text_of: Callable[..., str]
) -> None:
    topics = [f"{served.base}/tags/Linux.{format}" for format in ("atom", "rss", "json")]
    with peer.context():
        callbacks = []
        for topic in topics:
            found = discover(topic)
            assert found == {"hub_url": f"{served.base}/hub", "topic_url": topic}
            callbacks.append(peer.subscribe(**found, lease_seconds=3600))
        served.wait(lambda: sorted(peer.confirmed) == sorted((topic, "subscribe") for topic in topics))
        served.wait(lambda: len(subscriptions(served.site)) == 3)
        write_now(served.site.store / "1.md", text_of("1.md", tags=["Linux"], title="The second title"))
        served.wait(lambda: len(peer.heard) == 3)
        assert dict(peer.heard) == {topic: served.request(topic.removeprefix(served.base))[2] for topic in topics}
        peer.renew(callbacks[0])
        served.wait(lambda: len(peer.confirmed) == 4)
        for callback in callbacks:
            peer.unsubscribe(callback)
        served.wait(lambda: sorted(peer.confirmed[4:]) == sorted((topic, "unsubscribe") for topic in topics))
        served.wait(lambda: not subscriptions(served.site))


def test_flask_websub_is_told_what_is_wrong(served: Any, peer: Any) -> None:
    with peer.context(), pytest.raises(SubscriberError, match=r"404.*hub\.topic must be the address of a feed"):
        peer.subscribe(topic_url=f"{served.base}/tags/Linux", hub_url=f"{served.base}/hub")


def test_a_slow_callback_does_not_keep_the_service_from_ending(served: Any, reader: Subscriber, text_of: Any) -> None:
    begun, go = threading.Event(), threading.Event()

    def receives(_seen: Seen) -> int:
        begun.set()
        go.wait(120)
        return 200

    reader.receives = receives
    ask(served.base, f"{reader.url}/cb")
    served.wait(lambda: subscriptions(served.site))
    write_now(served.site.store / "1.md", text_of("1.md", tags=["Linux"], title="The second title"))
    assert begun.wait(60)
    served.process.terminate()
    assert served.process.wait(60) == 0
    assert subscriptions(served.site)[0].due is not None, "it is still owed"
    go.set()
