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
def page(request: pytest.FixtureRequest, live_site: LiveSite, driven: Any, chromium: Any) -> Iterator[Any]:
    width, scripts = request.param
    with driven.page(width, only=live_site.base, locale="en", java_script_enabled=scripts) as opened:
        opened.scripts = scripts
        yield opened


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
    own_again = live_site.base + "/preferences/" + own.rpartition("/")[2].partition("?")[0]
    page.goto(own_again)
    page.locator("form", has=page.locator("input[name=until]")).first.locator("button").click()
    assert "Linux" in page.inner_text(".wishes") and "Demo-Max" not in page.inner_text(".wishes"), "as it was at first"
    mine = ask_for_link(live_site, page, address, own_again)
    assert address in page.inner_text("main")
    with page.expect_download() as waiting:
        page.click("a[href$='data.json']")
    kept = json.loads(waiting.value.path().read_text("utf-8"))
    assert kept["address"] == address and {one["frequency"] for one in kept["subscriptions"]} == {"weekly"}
    page.locator("summary", has_text="Someone else").click()
    page.click("button[value=revoke]")
    assert page.goto(own_again).status == 404 and page.goto(mine).status == 404
    own = live_site.link(address, "preferences", known=own_again + mine)
    assert page.goto(own).status == 200
    page.click("a[href^='/unsubscribe/']")
    page.fill("#reason", "too much to read")
    page.click("main button.main")
    page.locator("h1", has_text="You are unsubscribed").wait_for()
    left = page.url
    page.click("button[name=undo]")
    page.locator("h1", has_text="You're subscribed again").wait_for()
    assert "Linux" in (page.goto(own) and page.inner_text(".wishes"))
    page.goto(left)
    page.click("main button.main")
    page.goto(left)
    assert page.locator("button[name=undo]").is_visible(), "also after coming back to the page"
    page.click("button[name=link]")
    page.goto(live_site.link(address, "preferences", known=own_again + mine + own))
    delete(page)
    assert page.goto(own).status == 404


def ask_for_link(live_site: LiveSite, page: Any, address: str, own: str) -> str:
    """Have the owner's link mailed, and open it."""
    page.goto(own)
    page.click("button[value=link]")
    page.locator("h1", has_text="Check your inbox").wait_for()
    mine = live_site.link(address, "preferences", known=own)
    page.goto(mine)
    return mine


def delete(page: Any) -> None:
    page.locator("summary", has_text="Delete my data").click()
    page.locator("input[name=sure]").check()
    page.click("button[value=erase]")
    assert "deleted" in page.inner_text("main")


def test_deleting_everything_wants_a_tick_first(live_site: LiveSite, page: Any) -> None:
    address = f"forgotten-{page.scripts}@example.org"
    own = live_site.join(address)
    mine = ask_for_link(live_site, page, address, own)
    page.locator("summary", has_text="Delete my data").click()
    page.locator("input[name=sure]").evaluate("field => field.removeAttribute('required')")
    page.click("button[value=erase]")
    assert page.locator("#erase-fault").is_visible()
    page.locator("input[name=sure]").check()
    page.click("button[value=erase]")
    assert "deleted" in page.inner_text("main")
    assert page.goto(own).status == 404 and page.goto(mine).status == 404


def test_digests_can_go_to_another_address(live_site: LiveSite, page: Any) -> None:
    address, new = (f"{word}-{page.scripts}@example.org" for word in ("moving", "arrived"))
    own = live_site.join(address)
    ask_for_link(live_site, page, address, own)
    page.locator("summary", has_text="Change your email address").click()
    page.fill("#email", "nobody@nowhere")
    page.locator("#email").evaluate("field => field.type = 'text'")
    page.click("button[value=address]")
    assert page.locator("#email-fault").is_visible() and page.input_value("#email") == "nobody@nowhere"
    page.fill("#email", new)
    page.click("button[value=address]")
    page.locator("h1", has_text="Check your inbox").wait_for()
    page.goto(live_site.link(new, "confirm"))
    page.click("main button.main")
    page.locator("h1", has_text="Your address is changed").wait_for()
    assert page.goto(own).status == 404
    assert page.goto(live_site.link(new, "preferences")).status == 200 and "a***@example.org" in page.inner_text("main")
