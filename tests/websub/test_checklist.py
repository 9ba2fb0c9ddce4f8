"""The checklist of w3c/websub for hubs (implementation-reports/HUB-TEMPLATE.md), a test for each line, and what websub.rocks
looks at in its tests of hubs, 100 to 106."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from .conftest import BASE, Hub
from .listening import Subscriber

TYPES = {"atom": "application/atom+xml", "rss": "application/rss+xml", "json": "application/feed+json"}

# -- subscription ------------------------------------------------------------


def test_100_supports_subscriptions_with_mode_topic_and_callback(hub: Hub, reader: Subscriber) -> None:
    accepted = hub.ask(f"{reader.url}/cb")
    assert accepted.status_code == 202
    hub.until(lambda: hub.subscriptions)
    hub.change("The second title")
    [delivery] = hub.until(reader.deliveries)
    assert "X-Hub-Signature" not in delivery.headers, "no secret, no signature"
    assert delivery.path == "/cb"


def test_101_supports_subscriptions_with_a_secret(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb", hub_secret="correct horse 电池")
    hub.change("The second title")
    [delivery] = hub.until(reader.deliveries)
    method, _, signature = delivery.headers["X-Hub-Signature"].partition("=")
    assert signature == hmac.new("correct horse 电池".encode(), delivery.body, getattr(hashlib, method)).hexdigest()


def test_102_ignores_unrecognized_parameters(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb", foo="bar", hub_foo="hub.bar", hub_verify=["sync", "async"])
    assert len(hub.subscriptions) == 1


def test_103_allows_to_re_request_active_subscriptions_and_updates_them(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb", hub_lease_seconds="600", hub_secret="first")
    [before] = hub.subscriptions
    hub.later(300)
    hub.subscribe(f"{reader.url}/cb", hub_lease_seconds="1200")
    [after] = hub.subscriptions
    assert (after.key, after.secret) == (before.key, "") and after.expires >= before.expires + 900
    hub.change("The second title")
    hub.subscribe(f"{reader.url}/sentinel", "/tags/%E5%86%85%E6%A0%B8.atom")
    hub.change("Another", tags=["内核"], name="2.md")
    hub.until(lambda: reader.deliveries("/sentinel"))
    assert len(reader.deliveries("/cb")) == 1, "one subscription, one notification"
    assert "X-Hub-Signature" not in reader.deliveries("/cb")[0].headers, "the new request had no secret"


def test_104_supports_unsubscription(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/leaves")
    hub.subscribe(f"{reader.url}/stays")
    assert hub.ask(f"{reader.url}/leaves", mode="unsubscribe").status_code == 202
    hub.until(lambda: len(hub.subscriptions) == 1)
    hub.change("The second title")
    hub.until(lambda: reader.deliveries("/stays"))
    hub.until(lambda: not [row for row in hub.subscriptions if row.due])
    assert reader.deliveries("/leaves") == []


@pytest.mark.parametrize("mode", ["subscribe", "unsubscribe"])
def test_1xx_sends_a_properly_formatted_verification_request(hub: Hub, reader: Subscriber, mode: str) -> None:
    callback = f"{reader.url}/cb?foo=bar&red=%7Efish&hub.mode=mine"
    hub.ask(callback, mode=mode)
    [asked] = hub.until(reader.verifications)
    own, added = (
        asked.path[: len("/cb?foo=bar&red=%7Efish&hub.mode=mine")],
        asked.path.removeprefix("/cb?foo=bar&red=%7Efish&hub.mode=mine"),
    )
    assert own == "/cb?foo=bar&red=%7Efish&hub.mode=mine", "the callback's own query comes first, as it was"
    assert added.startswith(f"&hub.mode={mode}&")
    assert asked.query["hub.topic"] == f"{BASE}/tags/Linux.atom"
    assert len(asked.query["hub.challenge"]) >= 20
    assert asked.query.get("hub.lease_seconds") == ("864000" if mode == "subscribe" else None)
    assert asked.method == "GET" and asked.body == b""


def test_allows_subscribers_to_request_a_specific_lease_duration(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb", hub_lease_seconds="86400")
    [asked] = reader.verifications()
    assert asked.query["hub.lease_seconds"] == "86400"
    [row] = hub.subscriptions
    assert abs(row.expires - hub.now() - 86400) < 30


# -- distribution ------------------------------------------------------------


@pytest.mark.parametrize("format", TYPES)
def test_100_105_106_sends_a_notification_with_the_content_type_of_the_topic(hub: Hub, reader: Subscriber, format: str) -> None:
    hub.subscribe(f"{reader.url}/cb", f"/tags/Linux.{format}")
    hub.change("The second title")
    [delivery] = hub.until(reader.deliveries)
    assert delivery.headers["Content-Type"] == hub.client.get(f"/tags/Linux.{format}").headers["Content-Type"]
    assert delivery.headers["Content-Type"].startswith(TYPES[format])


@pytest.mark.parametrize("format", TYPES)
def test_100_sends_a_notification_with_the_full_contents_of_the_topic(hub: Hub, reader: Subscriber, format: str) -> None:
    hub.subscribe(f"{reader.url}/cb", f"/tags/Linux.{format}")
    hub.change("The second title")
    [delivery] = hub.until(reader.deliveries)
    assert delivery.body == hub.document(f"/tags/Linux.{format}") and b"The second title" in delivery.body


def test_101_sends_a_notification_with_a_valid_signature_by_sha256(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb", hub_secret="s" * 199)
    hub.change("The second title")
    [delivery] = hub.until(reader.deliveries)
    expected = hmac.new(b"s" * 199, delivery.body, "sha256").hexdigest()
    assert delivery.headers["X-Hub-Signature"] == f"sha256={expected}"


def test_it_is_the_whole_feed_and_not_only_a_diff(hub: Hub, reader: Subscriber) -> None:
    hub.site.write("3.md", tags=["Linux"], title="An older one")
    hub.site.rescan()
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    [delivery] = hub.until(reader.deliveries)
    assert b"The second title" in delivery.body and b"An older one" in delivery.body


# -- what the recommendation asks for besides ----------------------------------


def test_a_notification_links_to_the_hub_and_to_the_topic_in_one_header(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/cb?a=1")
    hub.change("The second title")
    [delivery] = hub.until(reader.deliveries)
    assert delivery.headers["Link"] == f'<{BASE}/hub>; rel="hub", <{BASE}/tags/Linux.atom>; rel="self"'
    assert delivery.headers["Link"] == hub.client.get("/tags/Linux.atom").headers["Link"]
    assert delivery.path == "/cb?a=1", "the exact callback"


def test_the_hub_that_a_feed_names_is_the_one_that_answers(hub: Hub) -> None:
    link = hub.client.get("/tags/Linux.rss").headers["Link"]
    assert f"<{BASE}/hub>" in link and hub.client.get("/hub").status_code == 200


@pytest.mark.parametrize(
    "agreed",
    [False, (200, b"wrong", {}), (200, b"", {}), (302, b"", {"Location": "/elsewhere"}), (500, b"", {}), (410, b"", {})],
    ids=["404", "wrong challenge", "no challenge", "redirect", "500", "410"],
)
def test_a_request_that_is_not_confirmed_leaves_everything_as_it_was(hub: Hub, reader: Subscriber, agreed: Any) -> None:
    hub.subscribe(f"{reader.url}/cb", hub_secret="mine", hub_lease_seconds="7200")
    before = hub.subscriptions
    reader.agrees = lambda _seen: agreed
    for mode in ("subscribe", "unsubscribe"):
        hub.ask(f"{reader.url}/cb", mode=mode, hub_secret="theirs")
        hub.ask(f"{reader.url}/new", mode=mode)
    hub.until(lambda: len(hub.requests) == 4 and all(row.due is None for row in hub.requests))
    assert hub.subscriptions == before
    assert not reader.of("GET", "/elsewhere"), "redirects are not followed"
    assert {row.secret for row in hub.requests} == {""}, "no secret is kept of what was refused"


def test_the_challenge_followed_by_more_is_no_confirmation(hub: Hub, reader: Subscriber) -> None:
    reader.agrees = lambda seen: (200, seen.query["hub.challenge"].encode() + b"\n", {})
    hub.ask(f"{reader.url}/cb")
    hub.until(lambda: [row for row in hub.requests if row.due is None])
    assert hub.subscriptions == []


def test_every_verification_has_a_challenge_of_its_own(hub: Hub, reader: Subscriber) -> None:
    for _ in range(3):
        hub.subscribe(f"{reader.url}/cb")
    assert len({seen.query["hub.challenge"] for seen in reader.verifications()}) == 3


@pytest.mark.parametrize(("asked", "granted"), [("1", 300), ("300", 300), ("999999999999", 2592000), ("", 864000)])
def test_leases_are_bounded_and_never_perpetual(hub: Hub, reader: Subscriber, asked: str, granted: int) -> None:
    hub.subscribe(f"{reader.url}/cb", hub_lease_seconds=asked)
    [seen] = reader.verifications()
    assert seen.query["hub.lease_seconds"] == str(granted)


def test_a_lease_that_has_ended_is_enforced(hub: Hub, reader: Subscriber) -> None:
    hub.subscribe(f"{reader.url}/short", hub_lease_seconds="600")
    hub.subscribe(f"{reader.url}/long", hub_lease_seconds="6000")
    hub.later(601)
    hub.change("The second title")
    hub.until(lambda: reader.deliveries("/long"))
    hub.until(lambda: len(hub.subscriptions) == 1)
    assert reader.deliveries("/short") == []


def test_a_subscription_is_accepted_before_it_is_verified(still_hub: Hub, reader: Subscriber) -> None:
    """Nothing runs that could verify: the answer cannot depend on it."""
    accepted = still_hub.ask(f"{reader.url}/cb")
    assert accepted.status_code == 202 and reader.seen == [] and len(still_hub.requests) == 1


def test_410_ends_a_subscription_and_other_answers_do_not(hub: Hub, reader: Subscriber) -> None:
    answers = {"/gone": 410, "/missing": 404, "/moved": 301, "/broken": 500}
    reader.receives = lambda seen: answers[seen.path] if seen.path != "/moved" else (301, b"", {"Location": "/elsewhere"})
    for path in answers:
        hub.subscribe(f"{reader.url}{path}")
    hub.change("The second title")
    hub.until(lambda: len(reader.deliveries()) == 4 and len(hub.subscriptions) == 3)
    hub.until(lambda: all(row.failures == 1 for row in hub.subscriptions))
    assert {row.callback.rpartition("/")[2] for row in hub.subscriptions} == {"missing", "moved", "broken"}
    assert not [seen for seen in reader.seen if seen.path == "/elsewhere"], "redirects are not followed"


def test_the_body_of_an_answer_to_a_notification_does_not_matter(hub: Hub, reader: Subscriber) -> None:
    reader.receives = lambda _seen: (204, b"", {})
    hub.subscribe(f"{reader.url}/cb")
    hub.change("The second title")
    hub.until(lambda: reader.deliveries() and not any(row.due for row in hub.subscriptions))
    assert hub.subscriptions[0].failures == 0
