"""Deliveries that go well, badly, slowly, or are interrupted: everyone gets what changed, nobody waits for another."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from feeds import database
from feeds.config.models import WebSub
from feeds.database.tables import hub_subscriptions
from feeds.websub import protocol, subscriptions
from feeds.websub.protocol import Drop, FailureRecord, Response, Retry
from feeds.websub.requests import Topics
from feeds.websub.worker import FairQueue

from .conftest import BASE, Hub
from .listening import Seen, Subscriber, subscriber

OTHER = "/tags/%E5%86%85%E6%A0%B8.atom"


# -- what changed -----------------------------------------------------------------


def test_only_subscribers_of_what_changed_are_told(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/linux")
    hub.subscribe(f"{reader.url}/other", OTHER)
    hub.subscribe(f"{reader.url}/all", "/all.json")
    hub.change("The second title")
    hub.until(lambda: reader.deliveries("/linux") and reader.deliveries("/all"))
    hub.change("Another tag, edited", tags=["内核"], name="2.md")
    hub.until(lambda: reader.deliveries("/other") and len(reader.deliveries("/all")) == 2)
    assert len(reader.deliveries("/linux")) == 1


def test_a_rescan_that_changes_nothing_tells_nobody(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb")
    for _ in range(3):
        hub.site.rescan(full=True)
        hub.tick()
    hub.change("The second title")
    hub.until(lambda: reader.deliveries())
    assert len(reader.deliveries()) == 1


def test_a_subscription_is_no_reason_to_send_what_the_subscriber_has(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb")
    hub.subscribe(f"{reader.url}/cb")
    hub.subscribe(f"{reader.url}/sentinel", OTHER)
    hub.change("Edited", tags=["内核"], name="2.md")
    hub.until(lambda: reader.deliveries("/sentinel"))
    assert reader.deliveries("/cb") == []


def test_a_change_between_request_and_verification_is_not_lost(still_hub: Hub, reader: Subscriber) -> None:
    still_hub.ask(f"{reader.url}/cb")
    still_hub.change("The second title")
    still_hub.start()
    try:
        [delivery] = still_hub.until(reader.deliveries)
        assert b"The second title" in delivery.body
    finally:
        still_hub.stop()


def test_what_changed_while_no_clock_ran_is_caught_up(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb")
    hub.stop()
    hub.change("The second title")
    hub.change("The third title")
    hub.start()
    [delivery] = hub.until(reader.deliveries)
    assert b"The third title" in delivery.body
    hub.until(lambda: hub.subscriptions[0].due is None)
    assert len(reader.deliveries()) == 1


def test_a_change_during_a_delivery_is_delivered_next(hub: Hub, reader: Subscriber) -> None:
    begun, go = threading.Event(), threading.Event()

    def receives(_seen: Seen) -> int:
        begun.set()
        assert go.wait(60)
        return 200

    reader.receives = receives
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    assert begun.wait(60)
    hub.change("The third title")
    hub.until(
        lambda: (
            Topics(hub.site.runtime.engine).digests([BASE + "/tags/Linux.atom"])[BASE + "/tags/Linux.atom"]
            == hub.subscriptions[0].wanted
        )
    )
    go.set()
    hub.until(lambda: len(reader.deliveries()) == 2)
    first, second = reader.deliveries()
    assert b"The second title" in first.body and b"The third title" in second.body
    hub.until(lambda: hub.subscriptions[0].due is None)


def test_a_document_is_made_once_for_all_who_get_it(
    still_hub: Hub, reader: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Counter[str] = Counter()
    content = Topics.content

    def counted(self: Topics, topic: str) -> Any:
        made[topic] += 1
        return content(self, topic)

    monkeypatch.setattr(Topics, "content", counted)
    hub = still_hub.start()
    try:
        for number in range(20):
            assert hub.ask(f"{reader.url}/{number}").status_code == 202
        hub.until(lambda: len(hub.subscriptions) == 20)
        hub.change("The second title")
        hub.until(lambda: len(reader.deliveries()) == 20)
        assert made == {f"{BASE}/tags/Linux.atom": 1}
        assert len({seen.path for seen in reader.deliveries()}) == 20
    finally:
        hub.stop()


def test_a_feed_that_moves_goes_on_under_its_new_address(hub: Hub, reader: Subscriber) -> None:
    """The spelling of a term follows the commonest; the subscription was made under the older one."""
    hub.subscribe(f"{reader.url}/cb")
    for number in (3, 4):
        hub.site.write(f"{number}.md", tags=["LINUX"], title=f"Shouted {number}")
    hub.site.rescan()
    hub.tick()
    [delivery] = hub.until(reader.deliveries)
    assert f'<{BASE}/tags/LINUX.atom>; rel="self"' in delivery.headers["Link"]
    hub.ask(f"{reader.url}/cb", "/tags/Linux.atom", "unsubscribe")
    hub.until(lambda: not hub.subscriptions)


def test_a_site_that_moves_keeps_its_subscriptions(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb")
    hub.site.settle("site.yaml", base_url="https://new.example")
    hub.site.rescan()
    hub.tick()
    [delivery] = hub.until(reader.deliveries)
    assert 'https://new.example/tags/Linux.atom>; rel="self"' in delivery.headers["Link"]


def test_a_feed_that_is_away_for_a_while_keeps_its_subscriptions(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb")
    hub.change("Of another tag now", tags=["Other"])
    hub.until(lambda: hub.subscriptions[0].due is None)
    hub.change("Back again")
    [delivery] = hub.until(reader.deliveries)
    assert b"Back again" in delivery.body


def test_subscribers_of_a_feed_that_is_retired_are_told_so(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb?x=1")
    hub.subscribe(f"{reader.url}/stays", "/all.atom")
    hub.site.settle("feeds.yaml", gone=["tags/Linux"])
    hub.site.rescan()
    hub.tick()
    hub.until(lambda: len(hub.subscriptions) == 1)
    [denied] = [seen for seen in reader.verifications("/cb") if seen.query["hub.mode"] == "denied"]
    assert denied.query["hub.topic"] == f"{BASE}/tags/Linux.atom" and denied.query["hub.reason"]
    assert denied.path.startswith("/cb?x=1&hub.mode=denied&")


def test_a_selection_is_pushed_like_any_feed(hub: Hub, reader: Subscriber) -> None:
    address = "/select.json?tag=Linux&tag=%E5%86%85%E6%A0%B8&not-tag=Other"
    hub.subscribe(f"{reader.url}/cb", address)
    hub.subscribe(f"{reader.url}/other", "/tags/Linux.atom")
    hub.change("Another tag, edited", tags=["内核"], name="2.md")
    [delivery] = hub.until(reader.deliveries)
    assert delivery.path == "/cb" and delivery.body == hub.document(address) and b"edited" in delivery.body
    assert f'<{BASE}{address}>; rel="self"' in delivery.headers["Link"]


# -- failures -----------------------------------------------------------------------


def test_a_delivery_that_failed_is_tried_again_until_it_succeeds(hub: Hub, reader: Subscriber) -> None:
    answers = [500, 503, 404, 200]
    reader.receives = lambda _seen: answers.pop(0)
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    for failures in (1, 2, 3):
        hub.until(lambda n=failures: hub.subscriptions[0].failures == n)
        row = hub.subscriptions[0]
        assert row.due > hub.now() + 10 * failures and row.problem.startswith("answered")
        hub.later(row.due - hub.now() + 1)
    hub.until(lambda: not answers and hub.subscriptions[0].due is None)
    row = hub.subscriptions[0]
    assert (row.failures, row.failing_since, row.problem, row.delivered) == (0, None, "", row.wanted)
    assert len({seen.body for seen in reader.deliveries()}) == 1


def test_a_delivery_that_goes_on_failing_is_given_up_and_the_next_change_is_tried(hub: Hub, reader: Subscriber) -> None:
    hub.set_limits(max_attempts=2)
    reader.receives = lambda _seen: 500
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    hub.until(lambda: hub.subscriptions[0].failures == 1)
    hub.later(3600)
    hub.until(lambda: hub.subscriptions[0].failures == 2)
    assert hub.subscriptions[0].due is None, "given up; the subscription stays"
    hub.later(86400)
    hub.subscribe(f"{reader.url}/sentinel", OTHER)
    reader.receives = lambda _seen: 200
    hub.change("Edited", tags=["内核"], name="2.md")
    hub.until(lambda: reader.deliveries("/sentinel"))
    assert len(reader.deliveries("/cb")) == 2
    hub.change("The third title")
    hub.until(lambda: len(reader.deliveries("/cb")) == 3)
    hub.until(lambda: hub.subscriptions[0].failures == 0)


def test_a_failing_callback_is_not_tried_more_often_because_its_feed_changes_often(hub: Hub, reader: Subscriber) -> None:
    reader.receives = lambda seen: 500 if seen.path == "/cb" else 200
    hub.subscribe(f"{reader.url}/cb")
    hub.subscribe(f"{reader.url}/fine")
    hub.change("Number 0")
    hub.until(lambda: hub.subscriptions[0].failures == 1 and reader.deliveries("/fine"))
    for number in range(1, 4):
        hub.change(f"Number {number}")
        hub.until(lambda n=number: len(reader.deliveries("/fine")) == n + 1)
    assert len(reader.deliveries("/cb")) == 1
    hub.later(600)
    hub.until(lambda: len(reader.deliveries("/cb")) == 2)
    assert b"Number 3" in reader.deliveries("/cb")[1].body


def test_a_dead_callback_is_dropped_and_told_so(hub: Hub, reader: Subscriber) -> None:
    hub.set_limits(drop_after_failures=3, drop_after_hours=2)
    reader.receives = lambda _seen: 500
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    for failures in (1, 2, 3):
        hub.until(lambda n=failures: hub.subscriptions[0].failures == n)
        hub.later(hub.subscriptions[0].due - hub.now() + 1)
    hub.until(lambda: hub.subscriptions[0].failures == 4)
    assert len(hub.subscriptions) == 1, "enough failures, but not for long enough"
    hub.later(2 * 3600)
    hub.until(lambda: not hub.subscriptions)
    denied = reader.verifications()[-1]
    assert denied.query["hub.mode"] == "denied" and "5 failures in a row" in denied.query["hub.reason"]


def test_renewing_makes_a_failing_callback_a_good_one(hub: Hub, reader: Subscriber) -> None:
    reader.receives = lambda _seen: 500
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    hub.until(lambda: hub.subscriptions[0].failures == 1)
    reader.receives = lambda _seen: 200
    hub.subscribe(f"{reader.url}/cb")
    hub.until(lambda: len(reader.deliveries()) == 2)
    hub.until(lambda: (hub.subscriptions[0].failures, hub.subscriptions[0].due) == (0, None))


def test_a_callback_that_does_not_answer_a_verification_is_asked_again_a_few_times(hub: Hub) -> None:
    with subscriber() as gone:
        url = gone.url
    hub.ask(f"{url}/cb")
    for attempts in (1, 2, 3):
        hub.until(lambda n=attempts: hub.requests[0].attempts == n)
        hub.later(100)
    hub.until(lambda: hub.requests[0].due is None)
    assert hub.requests[0].problem == "no connection" and hub.subscriptions == []


# -- slow ones ------------------------------------------------------------------------


def test_slow_callbacks_hold_up_nobody(hub: Hub, reader: Subscriber) -> None:
    """More of them than the hub sends at a time to one host."""
    hub.set_limits(parallel_per_host=2)
    go = threading.Event()
    with subscriber() as slow:
        slow.receives = lambda _seen: 200 if go.wait(60) else 500
        for number in range(5):
            hub.subscribe(f"http://localhost:{slow.port}/{number}")
        for number in range(5):
            hub.subscribe(f"{reader.url}/{number}")
        hub.change("The second title")
        hub.until(lambda: len(reader.deliveries()) == 5)
        hub.change("The third title")
        hub.until(lambda: len(reader.deliveries()) == 10)
        assert len(slow.deliveries()) <= 2, "no more at a time than allowed"
        hub.subscribe(f"{reader.url}/new", OTHER)
        go.set()
        hub.until(lambda: all(row.due is None for row in hub.subscriptions))
        assert {f"/{number}" for number in range(5)} == {seen.path for seen in slow.deliveries()}


def test_a_callback_that_takes_too_long_has_failed(hub: Hub, reader: Subscriber) -> None:
    hub.set_limits(timeout_seconds=1)
    go = threading.Event()
    reader.receives = lambda _seen: 200 if go.wait(60) else 500
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    hub.until(lambda: hub.subscriptions[0].failures == 1)
    assert hub.subscriptions[0].problem == "no answer within 1 s"
    go.set()


def test_a_hub_that_is_stopped_lets_what_is_under_way_end_and_notes_it(hub: Hub, reader: Subscriber) -> None:
    begun = threading.Event()

    def receives(_seen: Seen) -> int:
        begun.set()
        time.sleep(0.5)
        return 200

    reader.receives = receives
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    assert begun.wait(60)
    hub.stop()
    assert hub.subscriptions[0].due is None and hub.subscriptions[0].failures == 0


def test_a_database_that_fails_for_a_while_costs_no_delivery(
    hub: Hub, reader: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feeds.scheduler.PAUSE_SECONDS", 0.1)
    hub.subscribe(f"{reader.url}/cb")
    with monkeypatch.context() as broken:
        failed = threading.Event()

        def fails(_self: Topics) -> int:
            failed.set()
            raise sa.exc.OperationalError("SELECT", {"secret": "sesame"}, Exception("disk I/O error"))

        broken.setattr(Topics, "generation", fails)
        hub.change("The second title")
        assert failed.wait(60)
    [delivery] = hub.until(reader.deliveries)
    assert b"The second title" in delivery.body


# -- numbers and logs --------------------------------------------------------------------


def test_the_numbers_say_what_waits_and_what_fails(hub: Hub, reader: Subscriber) -> None:
    reader.receives = lambda seen: 500 if seen.path == "/bad" else 200
    reader.agrees = lambda seen: seen.path.startswith(("/bad", "/good"))
    hub.subscribe(f"{reader.url}/bad")
    hub.subscribe(f"{reader.url}/good", "/all.rss")
    hub.change("The second title")
    hub.until(lambda: hub.site.runtime.read(subscriptions.counts)["failing"] == 1 and len(reader.deliveries("/good")) == 1)
    expected = {"subscriptions": 2, "topics": 2, "pending": 0, "due": 1, "failing": 1}
    hub.until(lambda: hub.site.runtime.read(subscriptions.counts) == expected)
    hub.stop()
    hub.ask(f"{reader.url}/later")
    assert hub.site.runtime.read(subscriptions.counts)["pending"] == 1


def test_callbacks_and_secrets_are_in_no_log(hub: Hub, reader: Subscriber) -> None:
    with structlog.testing.capture_logs() as lines:
        hub.subscribe(f"{reader.url}/capability", hub_secret="sesame-open")
        hub.change("The second title")
        hub.until(lambda: hub.subscriptions[0].due is None and reader.deliveries())
        reader.receives = lambda _seen: 410
        hub.change("The third title")
        hub.until(lambda: not hub.subscriptions)
        hub.stop()
    assert {"hub_subscribed", "hub_dropped"} <= {line["event"] for line in lines}
    said = repr(lines)
    assert "capability" not in said and "sesame" not in said


def test_an_error_of_the_database_does_not_tell_what_was_being_written(hub: Hub) -> None:
    with pytest.raises(sa.exc.IntegrityError) as error, database.writing(hub.site.runtime.engine) as connection:
        connection.execute(sa.insert(hub_subscriptions).values(secret="sesame-open", callback="http://a.example/capability"))
    assert "sesame" not in str(error.value) and "capability" not in str(error.value)


# -- the rules, alone ---------------------------------------------------------------------


@given(st.integers(1, 10**6), st.integers(1, 10**9))
def test_the_back_off_grows_to_a_bound_and_differs_between_subscriptions(failures: int, key: int) -> None:
    delay = protocol.backoff(failures, key)
    assert protocol.FIRST_RETRY <= delay <= protocol.LAST_RETRY * 1.2
    assert protocol.backoff(failures + 1, key) >= delay or delay >= protocol.LAST_RETRY
    assert len({protocol.backoff(9, number) for number in range(key, key + 50)}) > 25


@given(st.integers(0, 599), st.integers(0, 20), st.integers(0, 50), st.none() | st.integers(0, 10**6))
def test_a_failure_leads_to_another_try_to_rest_or_to_the_end(
    status: int, attempts: int, failures: int, since: int | None
) -> None:
    settings, now = WebSub(), 10**6
    outcome = protocol.decide_after_failure(
        Response(status), FailureRecord(attempts, failures, since), key=1, now=now, settings=settings
    )
    long_enough = since is not None and now - since >= settings.drop_after_hours * 3600
    if status == 410:
        assert isinstance(outcome, Drop) and not outcome.denied
    elif failures + 1 >= settings.drop_after_failures and long_enough:
        assert isinstance(outcome, Drop) and outcome.denied
    else:
        assert isinstance(outcome, Retry)
        assert (outcome.due is None) == (attempts + 1 >= settings.max_attempts)
        assert outcome.due is None or outcome.due > now


@given(
    st.sampled_from(["http://a.example/", "http://a.example/?", "http://a.example/?x=1", "http://a.example/?x=1&"]), st.text()
)
def test_parameters_are_joined_to_the_callbacks_own(callback: str, topic: str) -> None:
    url = protocol.add_parameters(callback, mode="subscribe", topic=topic)
    assert url.startswith(callback) and url.isascii()
    added = url.removeprefix(callback).removeprefix("?").removeprefix("&")
    assert added.startswith("hub.mode=subscribe&hub.topic=") and url.count("?") == 1 and "&&" not in url


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=40), st.integers(1, 5), st.integers(1, 3))
def test_a_fair_queue_keeps_its_bounds_and_loses_nothing(items: list[tuple[str, int]], slots: int, per_host: int) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue(slots, per_host)
    for host, number in items:
        queue.add(host, (host, number))
    under_way: list[tuple[str, int]] = []
    ended: list[tuple[str, int]] = []
    while len(ended) < len(items):
        while (item := queue.pop()) is not None:
            under_way.append(item)
        assert len(under_way) <= slots and max(Counter(host for host, _ in under_way).values()) <= per_host
        ended.append(under_way.pop(0))
        queue.release(ended[-1][0])
    assert queue.pop() is None
    for name in "abc":
        assert [item for item in ended if item[0] == name] == [item for item in items if item[0] == name]


def test_hosts_take_turns() -> None:
    queue: FairQueue[str] = FairQueue(100, 100)
    for number in range(5):
        queue.add("many.example", f"many {number}")
    queue.add("one.example", "one")
    assert [queue.pop() for _ in range(3)] == ["many 0", "one", "many 1"]
