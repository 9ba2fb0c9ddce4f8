"""The console in Chromium, before a real service with its clock: from signing in to a feed that readers get, and back."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from feeds import database, rescan
from feeds.config.environment import Environment
from feeds.database import tables
from feeds.newsletter import NewsletterContext, digests
from feeds.newsletter.subscribers import importer
from feeds.runtime import Runtime
from tests.conftest import settle_database

pytestmark = pytest.mark.interop
TOKEN = "open-sesame-0123456789"
#: Width, whether scripts run, language, colour scheme.
BROWSERS = {"phone": (375, False, "zh-CN", "dark"), "desktop": (1280, True, "en-GB", "light")}
ROOMS = (
    "",
    "quarantine",
    "feeds",
    "feeds/show?path=all",
    "feeds/own",
    "feeds/new?tag=Linux",
    "subscribers",
    "issues",
    "configuration",
    "log",
)


@pytest.fixture(scope="module")
def served(demo: Any, running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The demo with two subscribers and issues that take minutes to send."""
    root = tmp_path_factory.mktemp("console")
    for name in ("config", "articles"):
        shutil.copytree(demo.root / name, root / name)
    for file, change in (("newsletter.yaml", ("rate: 0 ", "rate: 0.01 ")), ("site.yaml", ("127.0.0.1:8000", "127.0.0.1:8000"))):
        text = (root / "config" / file).read_text("utf-8")
        assert change[0] in text
        (root / "config" / file).write_text(text.replace(*change), "utf-8")
    settle_database(root)
    runtime = Runtime(Environment.read(root / "config", {}))
    runtime.prepare()
    rescan.rescan(runtime.engine, runtime.environment, now=int(time.time()))
    config = runtime.edition().config
    assert config is not None
    with (Path(__file__).resolve().parents[2] / "demo" / "readers.csv").open("rb") as readers:
        importer.import_csv(NewsletterContext.of(runtime, config), readers, "readers.csv", int(time.time()))
    for day in ("2024-12-02", "2025-06-02", "2026-02-02", "2026-11-02"):
        digests.plan(
            NewsletterContext.of(runtime, config),
            int(datetime.fromisoformat(f"{day}T00:00:00+08:00").timestamp()),
            written_at=int(time.time()),
        )
    runtime.close()
    started = running(root / "config", "--workers", "1", environment={"FEEDS_OPERATOR_TOKEN": TOKEN}).ready()
    started.config_dir = root / "config"
    return started


@pytest.fixture(scope="module")
def sessions() -> dict[str, Any]:
    """Cookies of each browser that has signed in, and not out."""
    return {}


@pytest.fixture(params=sorted(BROWSERS))
def page(request: pytest.FixtureRequest, driven: Any, chromium: Any, served: Any, sessions: dict[str, Any]) -> Iterator[Any]:
    """Signed in. Fails on anything that the browser complains about."""
    width, scripts, language, scheme = BROWSERS[request.param]
    faults: list[str] = []
    kind = {"java_script_enabled": scripts, "locale": language}
    with driven.page(width, height=900, scheme=scheme, only=served.base, **kind) as page:
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.context.add_cookies(sessions.pop(request.param, []))
        page.goto(f"{served.base}/operator/")
        if not page.url.endswith("/operator/"):
            page.fill("#token", TOKEN)
            page.click("button.main")
            page.wait_for_url(f"{served.base}/operator/")
        yield page
        if "/sign-in" not in page.url:
            sessions[request.param] = page.context.cookies()
    assert [fault for fault in faults if "net::ERR_FAILED" not in fault] == []


def test_every_room_fits_its_screen_and_every_plot_is_drawn(page: Any, served: Any) -> None:
    for room in ROOMS:
        assert page.goto(f"{served.base}/operator/{room}").status == 200
        wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], room
        assert page.evaluate(
            "[...document.querySelectorAll('img.plot')].every((one) => one.complete && one.naturalWidth > 0)"
        ), room
        if wide[1] < 500:
            low = "[...document.querySelectorAll('.rooms a, button, input:not([type=hidden]):not([type=checkbox]), select')]"
            assert page.evaluate(
                f"{low}.every((one) => !one.checkVisibility() || one.getBoundingClientRect().height >= 43.9)"
            ), room


def test_a_feed_is_set_up_followed_taken_back_and_retired(page: Any, served: Any) -> None:
    def answer(path: str) -> int:
        return int(served.request(path)[0])

    page.goto(f"{served.base}/select?tag=Linux")
    page.locator("details", has=page.locator("a[href^='/operator/']")).locator("summary").click()
    page.locator("a[href^='/operator/feeds/new']").click()
    page.fill("#term", "Ubuntu")
    page.locator("form.step button").click()
    page.wait_for_url("**/operator/feeds/new?tag=Linux&tag=Ubuntu")
    assert page.locator(".articles li").count() > 3
    for turn in ("undo", "remove"):
        page.goto(f"{served.base}/operator/feeds/new?tag=Linux&tag=Ubuntu")
        page.fill("#name", "penguins")
        page.fill("#title", "Penguins & 企鹅")
        page.locator("form[action$='/save'] button").click()
        page.wait_for_url("**/operator/feeds/own?said=saved")
        expect(page.locator(".live")).to_be_visible()
        assert answer("/feeds/penguins.atom") == 200
        if turn == "undo":
            page.locator("form[action$='/undo'] button").click()
            page.wait_for_url("**/operator/feeds/own?said=undone")
            expect(page.locator(".live")).to_be_visible()
            assert answer("/feeds/penguins.atom") == 404
    own = page.locator("section.own", has_text="Penguins")
    own.locator("summary").click()
    own.locator("form[action$='/remove'] button").click()
    page.wait_for_url("**/operator/feeds/own?said=removed")
    expect(page.locator(".live")).to_be_visible()
    assert answer("/feeds/penguins.atom") == 410
    for _change in ("removed", "saved"):
        page.locator("form[action$='/undo'] button").click()
        page.wait_for_url("**/operator/feeds/own?said=undone")
    expect(page.locator(".live")).to_be_visible()
    assert answer("/feeds/penguins.atom") == 404


def test_an_issue_is_paused_and_goes_on(page: Any, served: Any) -> None:
    page.goto(f"{served.base}/operator/issues")
    under_way = page.locator("section.own", has=page.locator("form[action$='/pause']")).first
    name = under_way.locator("code").inner_text()
    under_way.locator("form[action$='/pause'] button").click()
    page.wait_for_url("**/issues?said=pause")
    same = page.locator("section.own", has_text=name)
    expect(same.locator(".state.paused")).to_be_visible()
    same.locator("form[action$='/resume'] button").click()
    page.wait_for_url("**/issues?said=resume")
    expect(page.locator("section.own", has_text=name).locator("form[action$='/pause']")).to_be_visible()


def test_messages_in_doubt_are_sent_again_and_an_issue_is_cancelled(page: Any, served: Any) -> None:
    page.goto(f"{served.base}/operator/issues")
    waiting = page.locator("section.own", has=page.locator("form[action$='/cancel']")).last
    name = waiting.locator("code").inner_text()
    same = page.locator("section.own", has=page.locator("code", has_text=re.compile(f"^{re.escape(name)}$")))
    for status, action in (("uncertain", "retry"), ("failed", "retry-failed")):
        _mark(served, name, status)
        page.goto(f"{served.base}/operator/issues")
        assert page.locator("table.grid tr", has_text=name).count() >= 1
        same.locator(f"form[action$='/{action}'] button").click()
        page.wait_for_url("**/issues?said=retry")
        assert page.locator("table.grid tr", has_text=name).count() == 0
    same.locator("summary").click()
    same.locator("form[action$='/cancel'] button").click()
    page.wait_for_url("**/issues?said=cancel")
    expect(same.locator(".state.cancelled")).to_be_visible()
    assert same.locator("form").count() == 0


def _mark(served: Any, issue: str, status: str) -> None:
    """As a crash, or a server, would leave the messages of an issue."""
    runtime = Runtime(Environment.read(served.config_dir, {}))
    with database.writing(runtime.engine) as connection:
        key = sa.select(tables.issues.c.key).where(tables.issues.c.id == issue).scalar_subquery()
        connection.execute(sa.update(tables.deliveries).where(tables.deliveries.c.issue == key).values(status=status))
    runtime.close()


def test_a_subscriber_and_a_feed_are_found_and_a_test_message_is_sent(page: Any, served: Any) -> None:
    page.goto(f"{served.base}/operator/subscribers")
    page.fill("main input[name=email]", "reader@example.com")
    page.locator("main form:has(input[name=email]) button").click()
    page.locator("main", has_text="reader@example.com").wait_for()
    assert "example.com" not in page.url
    page.goto(f"{served.base}/operator/feeds")
    page.fill("main form.inline input", "C++")
    page.locator("main form.inline button").click()
    page.wait_for_url("**/operator/feeds?*")
    assert page.locator("table.grid tbody tr").count() == 1
    page.locator("table.grid tbody a").first.click()
    assert "C++" in page.inner_text("h1")
    page.goto(f"{served.base}/operator/issues")
    page.fill("#email", "operator@example.org")
    page.select_option("#frequency", "monthly")
    page.locator("form[action$='/test'] button").click()
    page.wait_for_url("**/issues?said=test")


def test_who_signs_out_is_out(page: Any, served: Any) -> None:
    page.locator("form[action$='/sign-out'] button").click()
    page.wait_for_url("**/operator/sign-in?said=out")
    page.goto(f"{served.base}/operator/log")
    assert page.url.startswith(f"{served.base}/operator/sign-in")
