"""The console in Chromium, before a real service with its clock: from signing in to a feed that readers get, and back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from feeds.config import Environment
from feeds.service import Service

pytestmark = pytest.mark.interop
TOKEN = "open-sesame-0123456789"
#: Width, whether scripts run, language, colour scheme.
BROWSERS = {
    "phone": (375, True, "en-GB", "light"),
    "phone, no scripts": (375, False, "zh-CN", "dark"),
    "desktop": (1280, True, "en-GB", "dark"),
    "desktop, no scripts": (1280, False, "zh-CN", "light"),
}
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
    """The demo with two subscribers and an issue that takes minutes to send."""
    root = tmp_path_factory.mktemp("console")
    for name in ("config", "articles"):
        shutil.copytree(demo.root / name, root / name)
    for file, change in (("newsletter.yaml", ("rate: 0 ", "rate: 0.01 ")), ("site.yaml", ("127.0.0.1:8000", "127.0.0.1:8000"))):
        text = (root / "config" / file).read_text("utf-8")
        assert change[0] in text
        (root / "config" / file).write_text(text.replace(*change), "utf-8")
    service = Service(Environment.read(root / "config", {}))
    service.prepare()
    service.rescan(now=int(time.time()))
    config = service.edition().config
    assert config is not None
    with (Path(__file__).resolve().parents[2] / "demo" / "readers.csv").open("rb") as readers:
        service.consent(config).import_csv(readers, "readers.csv", int(time.time()))
    service.digests(config).plan(1_793_548_800, written_at=int(time.time()))  # 2026-11-02
    service.close()
    return running(root / "config", "--workers", "1", environment={"FEEDS_OPERATOR_TOKEN": TOKEN}).ready()


@pytest.fixture(params=sorted(BROWSERS))
def page(request: pytest.FixtureRequest, chromium: Any, served: Any) -> Iterator[Any]:
    """Signed in. Fails on anything that the browser complains about."""
    width, scripts, language, scheme = BROWSERS[request.param]
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, java_script_enabled=scripts, locale=language, color_scheme=scheme
    )
    faults: list[str] = []
    page = context.new_page()
    page.route(lambda url: not url.startswith(served.base), lambda route: route.abort())
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{served.base}/operator/")
    page.fill("#token", TOKEN)
    page.click("button.main")
    page.wait_for_url(f"{served.base}/operator/")
    yield page
    context.close()
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


def test_who_signs_out_is_out(page: Any, served: Any) -> None:
    page.locator("form[action$='/sign-out'] button").click()
    page.wait_for_url("**/operator/sign-in?said=out")
    page.goto(f"{served.base}/operator/log")
    assert page.url.startswith(f"{served.base}/operator/sign-in")
