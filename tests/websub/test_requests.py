"""What is asked of the hub over HTTP: good requests are written down, others are told what is wrong, in plain text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from feeds.config.models import Lease, WebSub
from feeds.database import tables
from feeds.websub import requests
from feeds.websub.protocol import SubscriptionRequest
from feeds.websub.requests import PublishRequest

from .conftest import BASE, Hub

TOPIC = f"{BASE}/tags/Linux.atom"
CALLBACK = "http://reader.example/cb"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "hub.mode"),
        ({"hub_mode": "renew"}, "hub.mode"),
        ({"hub_mode": ["subscribe", "unsubscribe"]}, "hub.mode"),
        ({"hub_mode": "subscribe"}, "hub.topic"),
        ({"hub_mode": "subscribe", "hub_topic": TOPIC}, "hub.callback"),
        ({"hub_mode": "subscribe", "hub_topic": [TOPIC, TOPIC], "hub_callback": CALLBACK}, "hub.topic"),
        ({"hub_mode": "subscribe", "hub_topic": TOPIC, "hub_callback": [CALLBACK, "http://b.example/"]}, "hub.callback"),
        ({"hub_mode": "subscribe", "hub_topic": TOPIC, "hub_callback": "cb"}, "hub.callback"),
        ({"hub_mode": "publish"}, "hub.url"),
    ],
)
def test_a_request_without_what_it_needs_is_refused_in_plain_text(still_hub: Hub, fields: dict[str, Any], word: str) -> None:
    refused = still_hub.post(**fields)
    assert refused.status_code == 400 and refused.mimetype == "text/plain" and word in refused.text
    assert still_hub.requests == []


@pytest.mark.parametrize("lease", ["0", "-5", "1.5", "1e3", "ten", "٣", " 60", "9" * 30])
def test_a_lease_that_is_no_positive_decimal_integer_is_refused(still_hub: Hub, lease: str) -> None:
    refused = still_hub.ask(CALLBACK, hub_lease_seconds=lease)
    assert refused.status_code == 400 and "hub.lease_seconds" in refused.text


@pytest.mark.parametrize(
    ("secret", "status"), [("s" * 199, 202), ("s" * 200, 400), ("密" * 66, 202), ("密" * 67, 400), ("a\0b", 400)]
)
def test_a_secret_has_less_than_200_bytes(still_hub: Hub, secret: str, status: int) -> None:
    assert still_hub.ask(CALLBACK, hub_secret=secret).status_code == status


def test_a_secret_that_is_not_utf_8_is_refused(still_hub: Hub) -> None:
    body = f"hub.mode=subscribe&hub.topic={quote(TOPIC)}&hub.callback={quote(CALLBACK)}&hub.secret=%ff%fe"
    assert still_hub.client.post("/hub", data=body, content_type=FORM).status_code == 400


def test_lease_and_secret_mean_nothing_when_unsubscribing(still_hub: Hub) -> None:
    assert still_hub.ask(CALLBACK, mode="unsubscribe", hub_lease_seconds="-1", hub_secret="s" * 500).status_code == 202


@pytest.mark.parametrize(
    ("topic", "canonical"),
    [
        ("http://127.0.0.1:8000/tags/Linux.atom", "/tags/Linux.atom"),
        (f"{BASE}/tags/linux.atom", "/tags/Linux.atom"),
        (f"{BASE}/tags/Linux.ATOM", "/tags/Linux.atom"),
        (f"{BASE}/tags/Linux.atom?x=1", "/tags/Linux.atom"),
        (f"{BASE}//tags/Linux.atom", "/tags/Linux.atom"),
        ("http://feeds.example/all.rss", "/all.rss"),
    ],
)
def test_a_topic_that_is_not_a_feeds_own_address_is_told_the_right_one(still_hub: Hub, topic: str, canonical: str) -> None:
    refused = still_hub.ask(CALLBACK, topic)
    assert refused.status_code == 400 and refused.text.endswith(f" {BASE}{canonical}\n")
    assert still_hub.ask(CALLBACK, canonical).status_code == 202


@pytest.mark.parametrize(
    "topic",
    [
        "https://elsewhere.example/feed",
        "/tags/None.atom",
        "/tags/Linux",
        "/",
        "/feeds.opml",
        "/tags/Linux.atom/x",
        "http://[",
        "x",
    ],
)
def test_what_is_no_feed_of_this_site_is_no_topic(still_hub: Hub, topic: str) -> None:
    topic = topic if "/" not in topic or "://" in topic else BASE + topic
    refused = still_hub.ask(CALLBACK, topic)
    assert refused.status_code in (400, 404) and refused.mimetype == "text/plain" and refused.text.strip()
    assert still_hub.requests == []


def test_a_feed_that_is_gone_for_good_is_gone_as_a_topic(still_hub: Hub) -> None:
    still_hub.site.settle("feeds.yaml", gone=["tags/retired"])
    still_hub.site.rescan()
    still_hub.set_limits()
    assert still_hub.ask(CALLBACK, "/tags/retired.atom").status_code == 410


@pytest.mark.parametrize("written", ["内核", "%e5%86%85%e6%a0%b8", "%E5%86%85%E6%A0%B8"])
def test_needless_encoding_makes_no_other_topic(still_hub: Hub, written: str) -> None:
    assert still_hub.ask(CALLBACK, f"{BASE}/tags/{written}.atom").status_code == 202
    [row] = still_hub.requests
    assert (row.topic, row.asked) == (f"{BASE}/tags/%E5%86%85%E6%A0%B8.atom", f"{BASE}/tags/{written}.atom")


@pytest.mark.parametrize(
    "path", ["/all.atom", "/all.rss", "/all.json", "/feeds/mine.json", "/tags/Linux.rss", "/translators/wxy.atom"]
)
def test_every_feed_in_every_format_is_a_topic(still_hub: Hub, path: str) -> None:
    still_hub.site.settle("feeds.yaml", feeds=[{"name": "mine", "title": "Mine", "select": {"tag": ["Linux"]}}])
    still_hub.site.write("3.md", tags=["Linux"], translator="wxy")
    still_hub.set_limits()
    assert still_hub.ask(CALLBACK, path).status_code == 202


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("not-tag=Linux&tag=内核", "tag=%E5%86%85%E6%A0%B8&not-tag=Linux"),
        ("tag=linux&tag=内核", "tag=Linux&tag=%E5%86%85%E6%A0%B8"),
    ],
)
def test_any_selection_is_a_topic_under_its_canonical_address(still_hub: Hub, query: str, canonical: str) -> None:
    own = f"{BASE}/select.atom?{canonical}"
    assert still_hub.client.get(own.removeprefix(BASE)).headers["Link"] == f'<{BASE}/hub>; rel="hub", <{own}>; rel="self"'
    refused = still_hub.ask(CALLBACK, f"{BASE}/select.atom?{query}")
    assert refused.status_code == 400 and refused.text.endswith(f" {own}\n")
    assert still_hub.ask(CALLBACK, own).status_code == 202


@pytest.mark.parametrize("query", ["", "tag=NoSuch", "colour=red", "tag=" + "x" * 900])
def test_what_is_no_selection_is_no_topic(still_hub: Hub, query: str) -> None:
    refused = still_hub.ask(CALLBACK, f"{BASE}/select.atom?{query}")
    assert refused.status_code in (400, 404) and refused.text.strip() and still_hub.requests == []


def test_an_archive_document_names_no_hub_and_is_no_topic(still_hub: Hub) -> None:
    still_hub.site.settle("feeds.yaml", facets={"tag": {"limit": 1}})
    still_hub.site.write("3.md", tags=["Linux"], date="2019-05-05 00:00:00")
    still_hub.set_limits()
    past = still_hub.client.get("/tags/Linux/archive/2019.atom")
    assert past.status_code == 200 and b'rel="prev-archive"' in still_hub.document("/tags/Linux.atom")
    assert b'rel="hub"' not in past.data and past.headers["Link"] == f'<{BASE}/tags/Linux/archive/2019.atom>; rel="self"'
    assert b'rel="hub"' in still_hub.document("/tags/Linux.atom")
    refused = still_hub.ask(CALLBACK, "/tags/Linux/archive/2019.atom")
    assert refused.status_code == 404 and "archive document" in refused.text


def test_who_says_that_a_feed_has_changed_is_thanked_and_one_that_is_not_ours_is_not_known(still_hub: Hub) -> None:
    for name in ("hub_url", "hub_topic"):
        assert still_hub.post(hub_mode="publish", **{name: [TOPIC, f"{BASE}/all.rss"]}).status_code == 202
        assert still_hub.post(hub_mode="publish", **{name: [TOPIC, "https://elsewhere.example/feed.atom"]}).status_code == 404


def test_the_body_must_be_a_form(still_hub: Hub) -> None:
    for type in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        refused = still_hub.client.post("/hub", data=b"hub.mode=subscribe", content_type=type)
        assert refused.status_code == 415 and refused.mimetype == "text/plain"


def test_a_huge_body_is_not_read(still_hub: Hub) -> None:
    for body in (b"hub.mode=" + b"x" * 100_000, b"a=1&" * 5000):
        refused = still_hub.client.post("/hub", data=body, content_type=FORM)
        assert refused.status_code == 413 and refused.mimetype == "text/plain"


def test_other_methods_are_not_allowed(still_hub: Hub) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert still_hub.client.open("/hub", method=method).status_code == 405


# -- limits --------------------------------------------------------------------


def test_requests_that_wait_are_bounded_for_each_host_and_in_all(still_hub: Hub) -> None:
    still_hub.set_limits(max_pending=5, max_pending_per_host=3)
    asked = [still_hub.ask(f"http://a.example/{number}") for number in range(5)]
    assert [answer.status_code for answer in asked] == [202] * 3 + [429] * 2
    assert int(asked[4].headers["Retry-After"]) > 0 and asked[4].mimetype == "text/plain"
    others = [still_hub.ask(f"http://{name}.example/").status_code for name in "bcd"]
    assert others == [202, 202, 429]
    assert still_hub.ask("http://a.example/1", mode="unsubscribe").status_code == 429


def test_requests_that_were_not_confirmed_count_for_an_hour(hub: Hub, reader: Any) -> None:
    hub.set_limits(max_pending_per_host=2)
    reader.agrees = lambda _seen: False
    for number in range(2):
        assert hub.ask(f"{reader.url}/{number}").status_code == 202
    hub.until(lambda: all(row.due is None for row in hub.requests))
    assert hub.ask(f"{reader.url}/3").status_code == 429
    hub.later(3700)
    hub.until(lambda: not hub.requests)
    assert hub.ask(f"{reader.url}/3").status_code == 202


def test_subscriptions_are_bounded_and_renewals_are_not(hub: Hub, reader: Any) -> None:
    hub.set_limits(max_subscriptions=3, max_subscriptions_per_host=2)
    hub.subscribe(f"{reader.url}/1")
    hub.subscribe(f"{reader.url}/2")
    full = hub.ask(f"{reader.url}/3")
    assert full.status_code == 503 and full.headers["Retry-After"]
    hub.subscribe(f"{reader.url}/1")
    assert hub.ask(f"{reader.url}/1", mode="unsubscribe").status_code == 202


def test_where_a_limit_is_reached_each_network_still_has_its_share(still_hub: Hub) -> None:
    """A hundred networks, each with callbacks on hosts of their own, on one host, and on the host of another."""
    still_hub.set_limits(max_pending=20, max_pending_per_host=10)
    for number in range(40):
        still_hub.ask(f"http://h{number}.example/")
    assert len(still_hub.requests) == 20
    for number in range(1, 101):
        assert still_hub.ask(f"http://a{number}.example/", network=number).status_code == 202, number
    for number in range(1, 101):
        assert still_hub.ask(f"http://b{number}.example/", network=number).status_code == 429, number
    for number in range(101, 151):
        assert still_hub.ask(f"http://one.example/{number}", network=number).status_code == 202, number


def test_subscriptions_of_others_leave_a_share_to_each_network(hub: Hub, reader: Any) -> None:
    hub.set_limits(max_subscriptions=2, max_subscriptions_per_host=2)
    hub.subscribe(f"{reader.url}/1")
    hub.subscribe(f"{reader.url}/2")
    assert hub.ask(f"{reader.url}/3").status_code == 503
    for number in range(1, 4):
        assert hub.ask(f"{reader.url}/of/{number}", network=number).status_code == 202, number


@pytest.mark.parametrize("mode", ["subscribe", "unsubscribe"])
def test_who_is_subscribed_renews_and_leaves_whatever_others_have_used_up(hub: Hub, reader: Any, mode: str) -> None:
    hub.subscribe(f"{reader.url}/known")
    hub.set_limits(max_pending=1, max_pending_per_host=1, max_subscriptions=1, max_subscriptions_per_host=1)
    reader.agrees = lambda _seen: False
    for number in range(20):
        hub.ask(f"{reader.url}/{number}", network=number)
        hub.ask(f"{reader.url}/known", network=number)
    assert hub.ask(f"{reader.url}/known", mode=mode).status_code == 202


def test_one_network_may_repeat_a_renewal_only_so_often_while_it_waits(still_hub: Hub) -> None:
    with still_hub.site.runtime.engine.begin() as connection:
        row = {"topic": TOPIC, "callback": "http://a.example/", "host": "a.example", "secret": "", "created": 0}
        row |= {"expires": 2**40, "delivered": "", "wanted": "", "due": None, "attempts": 0, "failures": 0, "problem": ""}
        connection.execute(sa.insert(tables.hub_subscriptions).values(row))
    asked = [still_hub.ask("http://a.example/").status_code for _number in range(requests.MAX_REPEATED + 2)]
    assert asked == [202] * requests.MAX_REPEATED + [429] * 2
    assert still_hub.ask("http://a.example/", network=1).status_code == 202


# -- without a hub of one's own --------------------------------------------------


@pytest.mark.parametrize("named", ["none", "https://hub.example.org/"])
def test_there_is_no_hub_where_feeds_name_none_or_one_outside(still_hub: Hub, named: str) -> None:
    still_hub.set_limits(hub=named)
    assert still_hub.client.get("/hub").status_code == 404
    assert still_hub.ask(CALLBACK).status_code == 404
    assert "/hub" not in still_hub.client.get("/about/feeds").text


# -- pages -------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "words"), [("zh-CN", "推送"), ("en", "This is a WebSub hub")])
def test_a_person_who_opens_the_hub_is_told_what_it_is(still_hub: Hub, language: str, words: str) -> None:
    page = still_hub.client.get("/hub", headers={"Accept-Language": language})
    assert page.status_code == 200 and page.mimetype == "text/html" and words in page.text
    assert f"curl {BASE}/hub" in page.text and "864000" in page.text and "&lt;" not in page.text
    assert 'href="/hub"' in still_hub.client.get("/about/feeds").text


# -- whatever is asked -------------------------------------------------------------


@pytest.fixture(scope="module")
def settings() -> Iterator[WebSub]:
    yield WebSub()


VALUES = st.text(max_size=20) | st.sampled_from(["subscribe", "unsubscribe", "publish", TOPIC, CALLBACK, "60", "0"])
NAMES = st.sampled_from(["hub.mode", "hub.topic", "hub.callback", "hub.lease_seconds", "hub.secret", "hub.url"]) | st.text(
    max_size=8
)


@given(st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=2), max_size=8))
@example({"hub.mode": ["subscribe"], "hub.topic": [TOPIC], "hub.callback": [CALLBACK], "hub.lease_seconds": ["00001"]})
def test_any_form_is_understood_or_refused_in_words(settings: WebSub, form: dict[str, list[str]]) -> None:
    found = requests.parse_form(form, settings)
    if isinstance(found, SubscriptionRequest):
        assert form["hub.mode"] == [found.mode] and form["hub.topic"] == [found.topic]
        assert form["hub.callback"] == [found.callback.url]
        assert found.mode == "unsubscribe" or settings.lease_seconds.min <= found.lease <= settings.lease_seconds.max
        assert len(found.secret.encode()) < 200
    else:
        assert isinstance(found, PublishRequest) or "hub." in found


@given(st.binary(max_size=300))
@example(b"hub.mode=subscribe&hub.topic=%ff&hub.callback=%00")
@example(f"hub.mode=subscribe&hub.topic={quote(TOPIC)}&hub.callback=http://[::1".encode())
def test_any_bytes_get_an_answer_in_plain_text(still_hub: Hub, body: bytes) -> None:
    answered = still_hub.client.post("/hub", data=body, content_type=FORM)
    assert 400 <= answered.status_code < 500 and answered.mimetype == "text/plain"


@given(st.text(alphabet="abAB/%~.-_7eE2f:?=& é内", max_size=30))
def test_two_topics_are_the_same_only_if_they_differ_in_needless_encoding(path: str) -> None:
    url = "https://feeds.example/" + path
    assert requests.normalize(requests.normalize(url)) == requests.normalize(url)
    assert requests.normalize("HTTPS://Feeds.Example/" + path) == requests.normalize(url)
    assert requests.normalize(url + "%2F") != requests.normalize(url + "/")
    assert requests.normalize(url + "%7e") == requests.normalize(url + "~")


@given(st.none() | st.integers(1, 10**18), st.integers(1, 1000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_lease_is_always_within_its_bounds(wanted: int | None, low: int, more: int, most: int) -> None:
    bounds = Lease(min=low, default=max(60, low + more), max=max(60, low + more) + most)
    granted = requests.choose_lease(wanted, bounds)
    assert bounds.min <= granted <= bounds.max
    if wanted is None or bounds.min <= wanted <= bounds.max:
        assert granted == (bounds.default if wanted is None else wanted)
