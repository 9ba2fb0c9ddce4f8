"""429 for who is sent again and again what it has; never for anybody else."""

from __future__ import annotations

import time
from typing import Any

import pytest
import structlog.testing
from werkzeug.test import Client

from feeds.audience import requests
from feeds.syndication import lookup
from feeds.web.app import create_app
from feeds.web.rate_limit import RateLimiter

SAME = 5
READER = "192.0.2.7"


class Door:
    """A worker's application with a clock of its own, asked through a proxy on this machine."""

    def __init__(self, site: Any, **limits: int) -> None:
        site.settle("site.yaml", limits={"same_version": SAME, "documents": 1000, **limits})
        site.rescan()
        self.site, self.now = site, 0.0
        app = create_app(site.environment)
        self.limiter: RateLimiter = app.limiter
        self.limiter.clock = lambda: self.now
        self.client = Client(app)

    def get(self, path: str, reader: str = READER, method: str = "GET", **headers: str) -> Any:
        sent = {"X-Forwarded-For": reader, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.open(path, method=method, headers=sent, environ_base={"REMOTE_ADDR": "127.0.0.1"})

    def hammer(self, path: str, times: int = SAME + 1) -> Any:
        for _ in range(times):
            answered = self.get(path)
        return answered


@pytest.fixture
def door(web_site: Any) -> Door:
    return Door(web_site)


def test_one_document_over_and_over_without_validators_is_refused_with_words_that_help(door: Door) -> None:
    statuses = [door.get("/all.atom").status_code for _ in range(SAME + 3)]
    assert statuses == [200] * SAME + [429] * 3
    refused = door.get("/all.atom")
    assert int(refused.headers["Retry-After"]) >= 60
    assert refused.headers["Cache-Control"] == "no-store" and refused.headers["Access-Control-Allow-Origin"] == "*"
    assert refused.content_type == "text/plain; charset=utf-8" and int(refused.headers["Content-Length"]) == len(refused.data)
    assert "If-None-Match" in refused.text and refused.headers["Retry-After"] in refused.text and "请" in refused.text


def test_after_the_wait_it_is_served_again(door: Door) -> None:
    wait = int(door.hammer("/all.atom").headers["Retry-After"])
    door.now += wait
    assert door.get("/all.atom").status_code == 200


def test_one_that_honours_retry_after_never_sees_a_second_429(door: Door) -> None:
    wait = int(door.hammer("/all.atom").headers["Retry-After"])
    for _ in range(20):
        door.now += wait
        assert door.get("/all.atom").status_code == 200


def test_a_refused_client_still_gets_304_head_pages_and_other_feeds(door: Door) -> None:
    etag = door.get("/all.atom").headers["ETag"]
    assert door.hammer("/all.atom").status_code == 429
    assert door.get("/all.atom", If_None_Match=etag).status_code == 304
    assert door.get("/all.atom", method="HEAD").status_code == 200
    assert door.get("/all.atom", method="OPTIONS").status_code == 200
    for path in ("/", "/tags/Linux", "/static/style.css", "/feeds.opml", "/health", "/all.rss", "/tags/Linux.atom"):
        assert door.get(path).status_code == 200, path
    assert door.get("/all.atom", reader="192.0.2.8").status_code == 200


def test_a_304_is_never_refused_and_never_counts(door: Door) -> None:
    etag = door.get("/all.atom").headers["ETag"]
    assert {door.get("/all.atom", If_None_Match=etag).status_code for _ in range(200)} == {304}
    assert [door.get("/all.atom").status_code for _ in range(SAME)] == [200] * (SAME - 1) + [429]


def test_what_is_new_is_sent_to_whoever_names_what_it_had(door: Door) -> None:
    door = Door(door.site, documents=3)
    etag = door.get("/all.atom").headers["ETag"]
    for number in range(8):
        door.site.write("new.md", title=f"第 {number} 稿", date="2024-01-01 00:00:00")
        door.site.rescan()
        time.sleep(0.21)  # a worker looks for a new edition a few times a second
        answered = door.get("/all.atom", If_None_Match=etag)
        assert answered.status_code == 200
        etag = answered.headers["ETag"]


def test_an_import_of_every_feed_in_every_format_passes(door: Door) -> None:
    paths = [f"/{row.path}" for row, _selection in door.site.runtime.read(lookup.list_feeds)]
    for path in paths:
        for extension in (".atom", ".rss", ".json"):
            for _ in range(2):
                assert door.get(path.replace("?", "%3F").replace("#", "%23") + extension).status_code == 200


def test_all_documents_together_have_a_bound(web_site: Any) -> None:
    door = Door(web_site, same_version=0, documents=30)
    statuses = [door.get(f"/tags/Linux.{('atom', 'rss', 'json')[number % 3]}").status_code for number in range(40)]
    assert statuses == [200] * 30 + [429] * 10


def test_no_limit_where_the_operator_wants_none(web_site: Any) -> None:
    door = Door(web_site, same_version=0, documents=0)
    assert {door.get("/all.atom").status_code for _ in range(100)} == {200}


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.9", "fe80::1%eth0", ""])
def test_whoever_is_near_is_not_limited_because_all_readers_may_stand_behind(door: Door, peer: str) -> None:
    statuses = {door.client.get("/all.atom", environ_base={"REMOTE_ADDR": peer}).status_code for _ in range(50)}
    assert statuses == {200}


def test_a_proxy_that_was_perhaps_forgotten_is_told_of_once_and_without_its_address(door: Door) -> None:
    with structlog.testing.capture_logs() as logs:
        door.get("/all.atom", reader="10.9.9.9")  # a neighbour, told of by a proxy that is named
        for _ in range(3):
            headers = {"X-Forwarded-For": READER}
            door.client.get("/all.atom", headers=headers, environ_base={"REMOTE_ADDR": "10.1.2.3"})
    assert [log["event"] for log in logs] == ["forwarded_ignored"]
    assert "10.1.2.3" not in str(logs) and READER not in str(logs)


def test_without_a_proxy_the_connections_address_counts_whatever_is_forwarded(door: Door) -> None:
    statuses = [
        door.client.get(
            "/all.atom", environ_base={"REMOTE_ADDR": "203.0.113.5"}, headers={"X-Forwarded-For": f"192.0.2.{number}"}
        ).status_code
        for number in range(SAME + 1)
    ]
    assert statuses == [200] * SAME + [429]


def test_new_limits_are_in_force_after_the_next_rescan_and_old_ones_survive_another_edit(door: Door) -> None:
    assert door.hammer("/all.atom").status_code == 429
    door.site.settle("site.yaml", rights="CC BY 4.0", limits={"same_version": SAME, "documents": 1000})
    door.site.rescan()
    time.sleep(0.25)
    assert door.hammer("/all.rss").status_code == 429
    door.site.settle("site.yaml", limits={"same_version": 0, "documents": 0})
    door.site.rescan()
    time.sleep(0.25)
    assert door.get("/all.rss").status_code == 200


def test_refusals_are_counted(door: Door) -> None:
    door.hammer("/all.atom", SAME + 4)
    door.limiter.stats.flush()
    row = door.site.runtime.read(requests.recent_as_json, door.site.runtime.edition().config.zone, time.time(), 5)["feeds"][0]
    assert (row["requests"], row["refused"]) == (SAME + 4, 4)
