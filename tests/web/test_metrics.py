"""/metrics: Prometheus text for whoever may see it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from feeds import database
from feeds.audience import requests
from feeds.audience.requests import Batch, Counts
from feeds.config.environment import Environment
from feeds.database import tables
from feeds.errors import StoreError
from feeds.monitoring import health
from feeds.monitoring.gauges import MOST_REQUESTED
from feeds.web.app import create_app

TOKEN = "a-token-of-the-operator"


def application(site: Any, token: str = "") -> Client:
    environ = {"FEEDS_OPERATOR_TOKEN": token} if token else {}
    return Client(create_app(Environment.read(site.config_dir, environ)))


def ask(client: Client, peer: str = "127.0.0.1", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get("/metrics", headers=sent, environ_base={"REMOTE_ADDR": peer})


def values(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values ...) -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def client(web_site: Any) -> Client:
    return application(web_site)


def count(site: Any, counts: Mapping[tuple[int, str, str], Counts], readers: Mapping[Any, int] | None = None) -> None:
    site.runtime.count(requests.add_batch, Batch(counts, readers or {}))


def today() -> int:
    return int(time.time()) // 86400 + 719_163


def test_a_monitor_reads_how_the_service_does(client: Client, web_site: Any) -> None:
    day = today()
    count(
        web_site,
        {(day, "all", "atom"): Counts(10, 7, 1, 5000), (day, "tags/内核", "rss"): Counts(2, 0, 0, 300)},
        {(day, "all", "Feedly", ".atom"): 12, (day, "all", "Feedbin", "7"): 3},
    )
    web_site.write("broken.md", "---\ntitle: [\n---\n")
    web_site.rescan()
    answered = ask(client)
    assert answered.status_code == 200 and answered.headers["Cache-Control"] == "no-store"
    assert answered.content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = values(answered.text)
    status = web_site.runtime.read(health.catalog_status)
    assert found["feeds_articles",] == status["articles"] == 30
    assert found["feeds_quarantined_files",] == 1 and found["feeds_feeds",] == status["feeds"]
    assert found["feeds_generation",] == status["generation"] and found["feeds_config_fault",] == 0
    assert found["feeds_last_rescan_duration_seconds",] == status["rescan"]["seconds"]
    assert found["feeds_last_rescan_timestamp_seconds",] == web_site.now
    assert abs(found["feeds_last_rescan_age_seconds",] - (time.time() - web_site.now)) < 60
    assert found["feeds_requests_total", "atom"] == 10 and found["feeds_requests_total", "rss"] == 2
    assert found["feeds_not_modified_total", "atom"] == 7 and found["feeds_refused_total", "atom"] == 1
    assert found["feeds_sent_bytes_total", "atom"] == 5000
    assert found["feeds_feed_requests_total", "tags/内核"] == 2
    assert found["feeds_readers", "Feedly"] == 12 and found["feeds_readers", "Feedbin"] == 3
    assert found["feeds_issues",] == 0 and found["feeds_deliveries", "sent"] == 0


def test_faults_of_the_configuration_are_seen(client: Client, web_site: Any) -> None:
    good = (web_site.config_dir / "feeds.yaml").read_text("utf-8")
    web_site.set("feeds.yaml", "no_such_setting: 1\n")
    web_site.rescan()
    assert values(ask(client).text)["feeds_config_fault",] == 1
    web_site.set("feeds.yaml", good)
    web_site.rescan()
    assert values(ask(client).text)["feeds_config_fault",] == 0


def test_subscribers_are_counted_by_state(client: Client, web_site: Any) -> None:
    row = {
        "status": "active",
        "language": "zh-CN",
        "timezone": "UTC",
        "version": 1,
        "created": 0,
        "confirmed": 0,
        "reason": "",
        "source": "test",
        "bounce_score": 0,
        "bounced_at": 0,
    }
    with database.writing(web_site.runtime.engine) as connection:
        for number, state in enumerate(["active", "active", "ended"]):
            name = f"{number}@example.org"
            connection.execute(sa.insert(tables.subscribers).values(row | {"address": name, "mailbox": name, "status": state}))
    found = values(ask(client).text)
    assert found["feeds_subscribers", "active"] == 2 and found["feeds_subscribers", "ended"] == 1
    assert "@" not in ask(client).text


def test_counters_never_go_back_when_old_days_are_forgotten(client: Client, web_site: Any) -> None:
    count(web_site, {(today() - 500, "all", "atom"): Counts(10, 7, 0, 5000)})
    before = values(ask(client).text)
    web_site.runtime.write(
        requests.delete_old_days,
        web_site.runtime.edition().config.zone,
        time.time(),
        web_site.runtime.edition().config.site.audience_days,
    )
    with database.reading(web_site.runtime.engine) as connection:
        assert requests.summarize(connection, 1, 5).counts == Counts()
    after = values(ask(client).text)
    assert {key: after[key] for key in before if key[0].endswith("_total")} == {
        key: value for key, value in before.items() if key[0].endswith("_total")
    }


def test_single_feeds_have_counters_within_a_bound(client: Client, web_site: Any) -> None:
    count(web_site, {(today(), f"tags/{number}", "atom"): Counts(number) for number in range(1, 301)})
    found = values(ask(client).text)
    shown = [key for key in found if key[0] == "feeds_feed_requests_total"]
    assert len(shown) == MOST_REQUESTED and ("feeds_feed_requests_total", "tags/300") in shown
    assert found["feeds_requests_total", "atom"] == sum(range(1, 301))


# -- who may look ------------------------------------------------------------------


def test_by_default_this_machine_may_look_and_nobody_behind_a_proxy(client: Client) -> None:
    assert ask(client).status_code == 200
    assert ask(client, "::1").status_code == 200
    for peer, forwarded in (
        ("192.0.2.7", ""),
        ("127.0.0.1", "192.0.2.7"),
        ("10.0.0.2", "127.0.0.1"),
        ("192.0.2.7", "127.0.0.1"),
    ):
        refused = ask(client, peer, **({"X_Forwarded_For": forwarded} if forwarded else {}))
        assert refused.status_code == 403 and refused.headers["Cache-Control"] == "no-store", (peer, forwarded)
        assert "articles" not in refused.text


def test_the_operators_token_always_opens(web_site: Any) -> None:
    for setting in ("local", "public", "off"):
        web_site.settle("site.yaml", metrics=setting)
        web_site.rescan()
        client = application(web_site, TOKEN)
        assert ask(client, "192.0.2.7", Authorization=f"Bearer {TOKEN}").status_code == 200
        wrong = ask(client, "192.0.2.7", Authorization="Bearer wrong")
        assert wrong.status_code == 401 and "Bearer" in wrong.headers["WWW-Authenticate"]


def test_without_a_token_none_is_right(web_site: Any) -> None:
    web_site.settle("site.yaml", metrics="off")
    web_site.rescan()
    for given in ("Bearer ", "Bearer", "", "Bearer None"):
        assert ask(application(web_site), "192.0.2.7", Authorization=given).status_code in (401, 403)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "0.0.0.0",
        "[2001:db8::1]:80",
        "localhost@evil.example",
        "evil.example#localhost",
        "xlocalhost",
        "127.0.0.1 evil.example",
        ":8000",
        "::1]",
        "[",
        "1",
        "０",
    ],
)
def test_figures_for_this_machine_are_for_its_own_names(client: Client, host: str) -> None:
    """A page elsewhere may have its name lead to this machine: its requests come from here, under that name."""
    assert ask(client, "127.0.0.1", Host=host).status_code in (400, 403)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "localhost.:80", "127.0.0.1:8000", "127.1.2.3", "[::1]", "[::1]:8000"]
)
def test_figures_for_this_machine_are_there_under_each_of_its_names(client: Client, host: str) -> None:
    assert ask(client, "127.0.0.1", Host=host).status_code == ask(client, "::1", Host=host).status_code == 200


@pytest.mark.parametrize(("setting", "far", "near"), [("local", 403, 200), ("public", 200, 200), ("off", 403, 403)])
def test_the_setting_says_who_may_look(web_site: Any, setting: str, far: int, near: int) -> None:
    (web_site.config_dir / "site.yaml").open("a").write(f"metrics: {setting}\n")  # as an operator writes it: off is false
    web_site.rescan()
    client = application(web_site)
    assert ask(client, "192.0.2.7").status_code == far
    assert ask(client).status_code == near


def test_before_the_first_rescan_there_is_nothing_to_tell(site: Any) -> None:
    assert ask(application(site)).status_code == 503


# -- what processes measure ------------------------------------------------------


def test_workers_measure_what_they_answer_and_how_long_that_takes(web_site: Any) -> None:
    for _worker in range(2):
        lane = create_app(web_site.environment)
        client = Client(lane)
        for path in ("/tags/Linux.atom", "/tags/Linux.atom", "/", "/none", "/health"):
            client.get(path)
        lane.limiter.stats.flush()
    found = values(ask(application(web_site)).text)
    assert found["feeds_requests_total", "atom"] == 4
    answers = {key[1:]: number for key, number in found.items() if key[0] == "feeds_http_answers_total"}
    # The second request of a document was the lane's; who only monitors leaves no trace.
    assert answers == {("200", "pages"): 4, ("404", "pages"): 2}
    assert found["feeds_http_answer_seconds_count", "pages"] == 6
    assert found["feeds_render_seconds_count", "atom"] == 2 and found["feeds_render_seconds_bucket", "atom", "+Inf"] == 2
    assert 0 < found["feeds_render_seconds_sum", "atom"] < 20


def test_an_answer_that_needed_no_document_is_no_rendering(web_site: Any) -> None:
    lane = create_app(web_site.environment)
    assert Client(lane).get("/tags/Linux.rss", headers={"If-None-Match": "*"}).status_code == 304
    lane.limiter.stats.flush()
    found = values(ask(application(web_site)).text)
    assert found["feeds_not_modified_total", "rss"] == 1 and not found.get(("feeds_render_seconds_count", "rss"))


def test_rescans_are_measured_by_what_came_of_them(client: Client, web_site: Any) -> None:
    web_site.rescan()
    web_site.write("31.md", tags=["Linux"])
    (web_site.store / "1.md").unlink()
    web_site.rescan()
    web_site.store.rename(web_site.root / "away")
    with pytest.raises(StoreError):
        web_site.rescan()
    found = values(ask(client).text)
    outcomes = {outcome: found["feeds_rescan_seconds_count", outcome] for outcome in ("changed", "idle", "failed")}
    assert outcomes == {"changed": 2, "idle": 1, "failed": 1}
    assert found["feeds_rescan_articles_total", "added"] == 31 and found["feeds_rescan_articles_total", "removed"] == 1
    assert found["feeds_last_rescan_articles", "added"] == 1 and found["feeds_last_rescan_articles", "removed"] == 1


def test_it_says_what_it_is(client: Client) -> None:
    text = ask(client).text
    assert f'schema="{database.HEAD}"' in text and 'version="' in text
    assert abs(values(text)["feeds_worker_start_time_seconds",] - time.time()) < 600
