"""A site with its hub at work: asked over HTTP, run as the clock runs it, with a clock that tests can put forward."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from werkzeug.test import Client, TestResponse

from feeds import database
from feeds.database.tables import hub_requests, hub_subscriptions
from feeds.scheduler import PushThread
from feeds.web.app import create_app

from .listening import Subscriber, subscriber, wait_for

BASE = "https://feeds.example"
#: Callbacks of the tests are on this machine, and some are held until something else has happened.
PATIENT = {"allow_private_callbacks": True, "timeout_seconds": 60}


class Hub:
    """Its clock shows the time, and as much more as tests have put it forward."""

    def __init__(self, site: Any) -> None:
        self.site, self._forward = site, 0.0
        self.client = Client(create_app(site.environment))
        self.stopped = threading.Event()
        self.push: PushThread | None = None

    def start(self) -> Hub:
        self.stopped = threading.Event()
        self.push = PushThread(self.site.runtime, self.now, self.stopped)
        self.push.start()
        return self

    def now(self) -> float:
        return time.time() + self._forward

    def later(self, seconds: float) -> None:
        self._forward += seconds
        self.tick()

    def stop(self) -> None:
        self.stopped.set()
        if self.push is not None:
            self.push.join()
            self.push = None

    # -- what subscribers do -----------------------------------------------------

    def post(self, network: int = 0, **fields: Any) -> TestResponse:
        """A form: `hub_mode="subscribe"` and so on."""
        form = {name.replace("hub_", "hub.", 1): value for name, value in fields.items()}
        data, base = urlencode(form, doseq=True), {"REMOTE_ADDR": f"10.{network // 200}.{network % 200}.1"}
        return self.client.post("/hub", data=data, content_type="application/x-www-form-urlencoded", environ_base=base)

    def ask(self, callback: str, topic: str = "/tags/Linux.atom", mode: str = "subscribe", **more: Any) -> TestResponse:
        topic = topic if "://" in topic else BASE + topic
        return self.post(hub_mode=mode, hub_topic=topic, hub_callback=callback, **more)

    def subscribe(self, callback: str, topic: str = "/tags/Linux.atom", **more: Any) -> None:
        """Until it is verified."""
        assert self.ask(callback, topic, **more).status_code == 202
        self.until(lambda: not self.requests)
        assert any(row.callback == callback for row in self.subscriptions)

    # -- what happens ------------------------------------------------------------

    def tick(self) -> None:
        if self.push is not None:
            self.push.wake()

    def until(self, what: Callable[[], Any], seconds: float = 60.0) -> Any:
        """The first true answer, while the clock ticks."""

        def ticked() -> Any:
            self.tick()
            return what()

        return wait_for(ticked, seconds)

    def change(self, title: str, *, tags: list[str] | None = None, name: str = "1.md") -> None:
        """A rescan after an edit, as the clock makes it."""
        self.site.write(name, tags=tags or ["Linux"], title=title)
        self.site.rescan()
        self.tick()

    def rows(self, table: sa.Table) -> list[Any]:
        with database.reading(self.site.runtime.engine) as connection:
            return list(connection.execute(sa.select(table).order_by(table.c.key)))

    @property
    def subscriptions(self) -> list[Any]:
        return self.rows(hub_subscriptions)

    @property
    def requests(self) -> list[Any]:
        return self.rows(hub_requests)

    def document(self, address: str) -> bytes:
        return self.client.get(address).data

    def set_limits(self, **websub: Any) -> None:
        self.site.settle("feeds.yaml", websub={**PATIENT, **websub})
        self.site.rescan()
        self.client = Client(create_app(self.site.environment))


@pytest.fixture
def still_hub(site: Any) -> Hub:
    """One that accepts and does nothing yet."""
    site.settle("feeds.yaml", websub=PATIENT)
    site.settle("site.yaml", article_url="", base_url=BASE)
    site.write("1.md", tags=["Linux"], title="The first title")
    site.write("2.md", tags=["内核"], title="Another tag")
    site.rescan()
    return Hub(site)


@pytest.fixture
def hub(still_hub: Hub) -> Iterator[Hub]:
    yield still_hub.start()
    still_hub.stop()


@pytest.fixture
def reader() -> Iterator[Subscriber]:
    with subscriber() as made:
        yield made
