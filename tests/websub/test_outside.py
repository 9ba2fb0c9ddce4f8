"""A hub outside: one line of configuration, and it is told of every feed that changed, once, or until it listens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from feeds.syndication import lookup
from feeds.websub import delivery

from .conftest import BASE, Hub
from .listening import Seen, Subscriber


@pytest.fixture
def outside(site: Any, reader: Subscriber) -> Iterator[Hub]:
    """`reader` is the hub outside. The operator named it, so it may be on this machine."""
    site.settle("feeds.yaml", websub={"hub": f"{reader.url}/outside?key=1", "timeout_seconds": 60})
    site.settle("site.yaml", base_url=BASE)
    site.write("1.md", tags=["Linux"], title="The first title")
    site.write("2.md", tags=["内核"], title="Another tag")
    site.rescan()
    made = Hub(site).start()
    made.until(lambda: told(made))
    yield made
    made.stop()


def told(hub: Hub) -> dict[str, str]:
    from sqlalchemy import select

    from feeds import database
    from feeds.database import tables

    with database.reading(hub.site.runtime.engine) as connection:
        return {path: digest for path, digest in connection.execute(select(tables.hub_announced))}


def knows_all(hub: Hub) -> bool:
    """What the hub outside was told of is what there is."""
    known = told(hub)
    known.pop("", None)
    return known == {state.path: state.digest for state, _selection in hub.site.runtime.read(lookup.list_feeds)}


def urls(seen: Seen) -> list[str]:
    form = parse_qs(seen.body.decode(), strict_parsing=True)
    assert form["hub.mode"] == ["publish"]
    return form["hub.url"]


def test_the_feeds_that_changed_are_announced_in_all_formats(outside: Hub, reader: Subscriber) -> None:
    outside.change("The second title")
    [seen] = outside.until(reader.deliveries)
    expected = {f"{BASE}/{path}.{format}" for path in ("all", "tags/Linux") for format in ("atom", "rss", "json")}
    assert set(urls(seen)) == expected and len(urls(seen)) == len(expected)
    assert seen.path == "/outside?key=1" and seen.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_hub_that_is_new_is_not_told_of_every_feed_there_is(outside: Hub, reader: Subscriber) -> None:
    assert reader.seen == []
    outside.change("The second title")
    outside.until(reader.deliveries)
    assert not any("%E5%86%85" in url for url in urls(reader.deliveries()[0]))


def test_each_change_is_announced_once(outside: Hub, reader: Subscriber) -> None:
    for number in range(1, 4):
        outside.change(f"Number {number}")
        outside.until(lambda n=number: len(reader.deliveries()) == n and knows_all(outside))
    outside.site.rescan(full=True)
    before = told(outside)
    outside.stop()
    outside.start()
    outside.change("Edited", tags=["内核"], name="2.md")
    outside.until(lambda: len(reader.deliveries()) == 4 and knows_all(outside))
    assert {path for path, digest in told(outside).items() if before.get(path) != digest} <= {"all", "tags/内核"}
    assert all("Linux" not in url for url in urls(reader.deliveries()[3]))


def test_a_hub_that_does_not_listen_is_told_later(outside: Hub, reader: Subscriber) -> None:
    reader.receives = lambda _seen: 503
    outside.change("The second title")
    outside.until(reader.deliveries)
    outside.change("Edited", tags=["内核"], name="2.md")
    reader.receives = lambda _seen: 204
    assert len(reader.deliveries()) == 1
    outside.until(lambda: outside.later(delivery.RETRY_SECONDS + 1) or knows_all(outside))
    assert {f"{BASE}/tags/Linux.atom", f"{BASE}/tags/%E5%86%85%E6%A0%B8.atom"} <= set(urls(reader.deliveries()[1]))


def test_what_changed_while_no_clock_ran_is_announced(outside: Hub, reader: Subscriber) -> None:
    outside.stop()
    outside.change("The second title")
    outside.start()
    [seen] = outside.until(reader.deliveries)
    assert f"{BASE}/tags/Linux.atom" in urls(seen)


def test_many_changes_are_announced_in_bounded_groups(outside: Hub, reader: Subscriber) -> None:
    for number in range(70):
        outside.site.write(f"many/{number + 100}.md", tags=[f"tag{number}"])
    outside.site.rescan()
    outside.tick()
    outside.until(lambda: sum(len(urls(seen)) for seen in reader.deliveries()) == 3 * 71)
    assert all(len(urls(seen)) <= 3 * delivery.BATCH_SIZE for seen in reader.deliveries())
    outside.until(lambda: len(told(outside)) == 1 + 3 + 70)


def test_a_feed_that_is_no_more_is_forgotten(outside: Hub, reader: Subscriber) -> None:
    assert "tags/Linux" in told(outside)
    outside.change("Of another tag", tags=["Other"])
    outside.until(lambda: "tags/Other" in told(outside) and "tags/Linux" not in told(outside))


def test_another_hub_begins_anew(outside: Hub, reader: Subscriber) -> None:
    outside.site.settle("feeds.yaml", websub={"hub": f"{reader.url}/new"})
    outside.change("The second title")
    outside.until(lambda: told(outside).get("") == f"{reader.url}/new")
    outside.change("The third title")
    [seen] = outside.until(reader.deliveries)
    assert seen.path == "/new"


def test_subscriptions_of_the_built_in_hub_rest_meanwhile(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb")
    hub.site.settle("feeds.yaml", websub={"hub": "none"})
    hub.change("The second title")
    hub.set_limits()
    hub.until(lambda: reader.deliveries("/cb"))
    assert len(reader.deliveries("/cb")) == 1 and b"The second title" in reader.deliveries("/cb")[0].body


def test_what_changes_while_the_hub_is_being_told_is_announced_next(outside: Hub, reader: Subscriber) -> None:
    begun, go = threading.Event(), threading.Event()

    def receives(_seen: Seen) -> int:
        begun.set()
        return 204 if go.wait(60) else 500

    reader.receives = receives
    outside.change("The second title")
    assert begun.wait(60)
    outside.change("The third title")
    for _ in range(5):
        outside.tick()
    go.set()
    outside.until(lambda: len(reader.deliveries()) == 2)
