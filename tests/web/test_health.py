"""Liveness, readiness, and the time before the first rescan."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client

from feeds.syndication import editions


@pytest.fixture
def unborn(site: Any, make_client: Callable[[Any], Client]) -> Client:
    """Tables and a configuration, but no rescan yet."""
    editions.adopt_config(site.runtime.engine, site.runtime.environment)
    site.write("1.md", tags=["Linux"])
    return make_client(site)


def test_a_process_without_a_catalog_is_alive_but_not_ready(unborn: Client) -> None:
    assert unborn.get("/health").status_code == 200
    answered = unborn.get("/ready")
    assert (answered.status_code, answered.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("path", ["/all.atom", "/tags/Linux.rss", "/", "/tags/", "/feeds.opml", "/articles/1"])
def test_before_the_first_rescan_nothing_is_called_missing(site: Any, make_client: Callable[[Any], Client], path: str) -> None:
    """A 404 or an empty feed would make readers and caches forget what they know."""
    answered = make_client(site).get(path)
    assert answered.status_code == 503
    assert answered.headers["Retry-After"]
    assert answered.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/all.atom", "/tags/Linux.rss"])
def test_the_same_where_the_configuration_is_known_already(unborn: Client, path: str) -> None:
    answered = unborn.get(path)
    assert answered.status_code == 503
    assert answered.headers["Retry-After"]


def test_after_the_first_rescan_a_running_worker_is_ready(site: Any, unborn: Client) -> None:
    site.rescan()
    unborn.application.editions.expire()
    assert unborn.get("/ready").status_code == 200
    assert unborn.get("/tags/Linux.atom").status_code == 200


def test_a_store_without_articles_is_served_all_the_same(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.rescan()
    client = make_client(site)
    assert client.get("/all.atom").status_code == 200
    assert client.get("/").status_code == 200
    assert client.get("/ready").status_code == 200


def test_health_answers_are_never_cached(demo_client: Client) -> None:
    for path in ("/health", "/ready"):
        answered = demo_client.get(path)
        assert answered.status_code == 200
        assert answered.headers["Cache-Control"] == "no-store"
        assert answered.headers["Content-Type"].startswith("text/plain")


def test_a_catalog_that_cannot_be_read_is_not_ready_and_no_trace_is_shown(
    site: Any, make_client: Callable[[Any], Client]
) -> None:
    site.rescan()
    client = make_client(site)
    site.lose_database()
    answered = client.get("/ready")
    assert answered.status_code == 503
    assert re.search("cannot be read|damaged|no such database", answered.text)
    assert str(site.root) not in answered.text
    assert client.get("/health").status_code == 200
