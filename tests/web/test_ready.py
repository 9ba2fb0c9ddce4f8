"""/ready tells whether a node can serve, and what is not as it should be though it can."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds import database
from feeds.errors import StoreError
from feeds.monitoring import health
from feeds.web.app import create_app


@pytest.fixture
def fresh(web_site: Any) -> Any:
    """A site that was rescanned just now."""
    web_site.rescan(int(time.time()))
    return web_site


def ask(site: Any) -> tuple[int, dict[str, Any], str]:
    client = Client(create_app(site.environment))
    said = client.get("/ready", headers={"Accept": "application/json"})
    plain = client.get("/ready", headers={"Accept": "*/*"})
    assert said.status_code == plain.status_code and said.content_type == "application/json"
    assert plain.content_type.startswith("text/plain")
    return said.status_code, json.loads(said.text), plain.text


def set_version(site: Any, version: str) -> None:
    with site.runtime.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_all_is_well(fresh: Any) -> None:
    fresh.runtime.write(health.write_heartbeat, time.time())
    assert ask(fresh) == (200, {"ready": True, "degraded": {}}, "ready\n")


def test_without_a_rescan_there_is_nothing_to_serve(site: Any) -> None:
    status, said, plain = ask(site)
    assert (status, said["ready"]) == (503, False)
    assert said["fault"] == "no rescan has finished yet" and plain == "no rescan has finished yet\n"


def test_tables_that_are_too_old_cannot_be_served_and_newer_ones_can(fresh: Any) -> None:
    set_version(fresh, "0001")
    status, said, _plain = ask(fresh)
    assert status == 503 and "run `feeds migrate`" in said["fault"]
    set_version(fresh, "9999")
    status, said, plain = ask(fresh)
    assert status == 200 and "newer than this program" in said["degraded"]["schema"]
    assert plain.startswith("ready\ndegraded: schema: ")


def test_a_store_that_is_gone_is_told_and_takes_nobody_out_of_rotation(fresh: Any) -> None:
    fresh.store.rename(fresh.root / "away")
    with pytest.raises(StoreError):
        fresh.rescan(int(time.time()))
    status, said, plain = ask(fresh)
    assert status == 200 and set(said["degraded"]) == {"store"}
    assert str(fresh.root) not in plain, "anyone may ask"
    (fresh.root / "away").rename(fresh.store)
    fresh.rescan(int(time.time()))
    assert ask(fresh)[1] == {"ready": True, "degraded": {}}


def test_a_refused_configuration_is_told(fresh: Any) -> None:
    fresh.set("feeds.yaml", "colour: red\n")
    fresh.rescan(int(time.time()))
    assert set(ask(fresh)[1]["degraded"]) == {"config"}


def test_a_catalog_that_nobody_renews_is_told(fresh: Any) -> None:
    fresh.rescan(int(time.time()) - health.STALE_SECONDS - 10)
    status, said, _plain = ask(fresh)
    assert status == 200 and set(said["degraded"]) == {"rescan"}


def test_a_clock_that_has_fallen_silent_is_told_and_one_that_never_was_is_not(fresh: Any) -> None:
    assert ask(fresh)[1]["degraded"] == {}
    fresh.runtime.write(health.write_heartbeat, time.time() - health.SILENT_SECONDS - 10)
    assert set(ask(fresh)[1]["degraded"]) == {"clock"}
    fresh.runtime.write(health.write_heartbeat, time.time())
    assert ask(fresh)[1]["degraded"] == {}


def test_the_monitor_is_told_the_same(fresh: Any) -> None:
    set_version(fresh, "9999")
    fresh.set("feeds.yaml", "colour: red\n")
    fresh.rescan(int(time.time()))
    text = Client(create_app(fresh.environment)).get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text
    assert 'feeds_degraded{fact="config"} 1.0' in text and 'feeds_degraded{fact="store"} 0.0' in text
    assert 'feeds_degraded{fact="schema"} 1.0' in text


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_facts_depend_on_nothing_but_the_state_and_the_time(stale: int, silent: int, store: bool, config: bool) -> None:
    now = 2_000_000_000
    stored = {"rescan": json.dumps({"at": now - stale}), "clock": str(now - silent)}
    stored |= {"rescan_fault": "x"} if store else {}
    stored |= {"config_fault": "x"} if config else {}
    expected = {"store"} if store else set()
    expected |= {"config"} if config else set()
    expected |= {"rescan"} if stale > health.STALE_SECONDS else set()
    expected |= {"clock"} if silent > health.SILENT_SECONDS else set()
    assert set(health.find_degraded(stored, database.HEAD, now)) == expected
