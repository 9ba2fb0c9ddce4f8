"""What subscribers can do on their own pages: see, change, take along, leave, be forgotten; with and without JavaScript."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from feeds.web.views.newsletter import FASTEST

from .live_site import LiveSite

pytestmark = pytest.mark.interop


@pytest.fixture(params=[(375, True), (1280, False)], ids=["phone, scripts", "desktop, none"])
def page(request: pytest.FixtureRequest, live_site: LiveSite, chromium: Any) -> Iterator[Any]:
    width, scripts = request.param
    context = chromium.new_context(viewport={"width": width, "height": 800}, locale="en", java_script_enabled=scripts)
    opened = context.new_page()
    opened.route(lambda url: not url.startswith(live_site.base), lambda route: route.abort())
    opened.scripts = scripts
    yield opened
    context.close()


def join(live_site: LiveSite, page: Any, address: str) -> str:
    """The address of a new subscriber's own page."""
    page.goto(live_site.base + "/subscribe?select=tag%3DLinux")
    page.fill("#email", address)
    time.sleep(FASTEST + 0.1)
    page.click("form.sheet button.main")
    page.goto(live_site.link(address, "confirm"))
    page.click("main button.main")
    page.click("main a[href^='/preferences/']:not([href$='/next'])")
    page.wait_for_url("**/preferences/*")
    return str(page.url)


def test_a_fault_is_said_beside_its_field_and_keeps_what_was_typed(live_site: LiveSite, page: Any) -> None:
    page.goto(live_site.base + "/subscribe")
    page.fill("#email", "reader@example")
    page.fill("#more", "no such tag")
    time.sleep(FASTEST + 0.1)
    page.click("form.sheet button.main")
    assert page.locator("#email-fault").is_visible() or page.locator("#select-fault").is_visible()
    assert page.input_value("#email") == "reader@example" and page.input_value("#more") == "no such tag"
    described = page.locator("[aria-invalid=true]").first.get_attribute("aria-describedby")
    assert page.locator(f"#{described}").inner_text().strip()


def test_everything_on_ones_own_page_works(live_site: LiveSite, page: Any) -> None:
    address = f"leaving-{page.scripts}@example.org"
    own = join(live_site, page, address)
    page.select_option("#how-1", "daily")
    page.locator(".adding > summary").click()
    page.fill("#more", "translator: Demo-Max")
    page.locator("input[name=frequency][value=monthly]").check()
    page.select_option("#timezone", "Europe/Berlin")
    page.click("button[value=save]")
    assert "Saved" in page.inner_text("[role=status]") and "Demo-Max" in page.inner_text(".wishes")
    page.click("a[href$='/next']")
    assert {"Daily digest", "Monthly digest"} <= set(page.locator("main h2").all_inner_texts())
    mail = page.locator("main a[href*='/next/']")
    if mail.count():
        mail.first.click()
        assert page.locator("a[href*='/unsubscribe/']").count() >= 1
    page.goto(own)
    with page.expect_download() as waiting:
        page.click("a[href$='data.json']")
    kept = json.loads(waiting.value.path().read_text("utf-8"))
    assert kept["address"] == address and {one["frequency"] for one in kept["subscriptions"]} == {"daily", "monthly"}
    page.locator("summary", has_text="Somebody else").click()
    page.click("button[value=revoke]")
    assert page.goto(own).status == 404
    own = live_site.link(address, "preferences", known=own)
    assert page.goto(own).status == 200
    page.click("a[href^='/unsubscribe/']")
    page.fill("#reason", "too much to read")
    page.click("main button.main")
    page.locator("h1", has_text="You are unsubscribed").wait_for()
    page.click("button[name=erase]")
    assert "deleted" in page.inner_text("main")
    assert page.goto(own).status == 404


def test_being_forgotten_wants_a_tick_first(live_site: LiveSite, page: Any) -> None:
    own = join(live_site, page, f"forgotten-{page.scripts}@example.org")
    page.locator("summary", has_text="Forget me").click()
    page.locator("input[name=sure]").evaluate("field => field.removeAttribute('required')")
    page.click("button[value=erase]")
    assert page.locator("#erase-fault").is_visible()
    page.locator("input[name=sure]").check()
    page.click("button[value=erase]")
    assert "deleted" in page.inner_text("main")
    assert page.goto(own).status == 404
