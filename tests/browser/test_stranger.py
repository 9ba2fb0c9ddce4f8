"""A stranger's path, by links and forms alone: a tag, a subscription by mail, its confirmation, the digest."""

from __future__ import annotations

import time
from typing import Any

import pytest

from feeds.web.views.newsletter import FASTEST

from .live_site import LiveSite

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(("width", "scripts"), [(375, True), (375, False), (1280, True), (1280, False)])
def test_from_the_home_page_to_the_digest(chromium: Any, driven: Any, live_site: LiveSite, width: int, scripts: bool) -> None:
    address = f"stranger-{width}-{scripts}@example.org"
    with driven.page(width, only=live_site.base, locale="en", java_script_enabled=scripts) as page:
        page.goto(live_site.base + "/")
        page.locator("main a[href='/tags/Linux']").first.click()
        page.wait_for_url("**/tags/Linux")
        page.fill(".by-mail input[type=email]", address)
        page.click(".by-mail button")
        assert page.input_value("#email") == address
        time.sleep(FASTEST + 0.1)
        page.click("form.sheet button.main")
        page.locator("h1", has_text="Check your inbox").wait_for()
        page.goto(live_site.link(address, "confirm"))
        page.click("main button.main")
        page.locator("h1", has_text="Your subscription is confirmed").wait_for()
        page.click("main a[href$='/next']")
        page.locator("h1", has_text="My next digest").wait_for()
        page.click("main a[href*='/preferences/']")
        assert "s***@example.org" in page.inner_text("main")
        page.click("footer a[href='/digests/']")
        page.locator("main a[href^='/digests/monthly-']").first.click()
        page.locator("main .articles a").first.wait_for()
        page.click("a.brand")
        page.wait_for_url(live_site.base + "/")
