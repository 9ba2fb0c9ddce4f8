"""What a reader can press on the way to a feed: language, search, filter and order of a directory, the builder, copying."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .live_site import LiveSite

pytestmark = pytest.mark.interop


@pytest.fixture(
    params=[(375, True), (375, False), (1280, True), (1280, False)], ids=lambda kind: f"{kind[0]}, scripts {kind[1]}"
)
def page(request: pytest.FixtureRequest, live_site: LiveSite, driven: Any, chromium: Any) -> Iterator[Any]:
    width, scripts = request.param
    options = {"locale": "en", "java_script_enabled": scripts, "permissions": ["clipboard-read", "clipboard-write"]}
    faults: list[str] = []
    with driven.page(width, only=live_site.base, **options) as opened:
        opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.scripts = scripts
        yield opened
    assert [fault for fault in faults if "net::ERR_FAILED" not in fault] == []


def test_the_language_of_every_further_page_is_the_one_pressed(live_site: LiveSite, page: Any) -> None:
    page.goto(live_site.base + "/tags/Linux")
    page.click(".switch button")
    assert page.url == live_site.base + "/tags/Linux" and page.locator("html").get_attribute("lang") == "zh-CN"
    page.click("a.brand")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.click(".switch button")
    assert page.locator("html").get_attribute("lang") == "en"


def test_search_leads_to_a_person_and_to_articles(live_site: LiveSite, page: Any) -> None:
    page.goto(live_site.base + "/")
    page.fill(".search input", "demo")
    page.press(".search input", "Enter")
    page.wait_for_url("**/search?q=demo")
    page.click("main a[href='/translators/Demo-Max']")
    assert page.inner_text("h1") == "Demo-Max"
    page.fill(".search input", "shell 脚本")
    page.click(".search button")
    assert page.locator("main .articles li").count() >= 1


def test_a_directory_is_filtered_and_ordered(live_site: LiveSite, page: Any) -> None:
    page.goto(live_site.base + "/tags/")
    page.click(".sorts a[href*='sort=name']")
    page.wait_for_url("**/tags/?sort=name")
    names = page.locator(".directory li > a:first-child").all_inner_texts()
    assert len(names) > 50
    page.fill(".sift input[type=search]", "li")
    if not page.scripts:
        page.click(".sift button")
    page.wait_for_url("**q=li**")
    page.wait_for_function("document.querySelectorAll('.directory li').length < 10")
    found = page.locator(".directory li > a:first-child").all_inner_texts()
    assert "Linux" in found and all("li" in name.lower() for name in found)
    page.click(".sorts a:has-text('Show all')")
    assert page.locator(".directory li").count() == len(names)


def test_a_selection_is_put_together_followed_and_taken_apart(live_site: LiveSite, page: Any) -> None:
    page.goto(live_site.base + "/select?tag=Linux")
    page.select_option("#mode", "not-")
    page.select_option("#facet", "translator")
    page.fill("#term", "demo-lin")
    page.click("form.step button")
    page.wait_for_url("**/select?tag=Linux&not-translator=demo-lin")
    assert (
        page.locator(".addresses code").first.inner_text() == f"{live_site.base}/select.atom?tag=Linux&not-translator=demo-lin"
    )
    page.click("a.chip:has-text('demo-lin')")
    page.wait_for_url("**/select?tag=Linux")


def test_an_address_is_copied_with_one_press_or_marked_with_one_click(live_site: LiveSite, page: Any) -> None:
    page.goto(live_site.base + "/translators/Demo-Max")
    address = f"{live_site.base}/translators/Demo-Max.atom"
    if page.scripts:
        page.locator(".addresses .copy").first.click()
        page.locator(".addresses .copy", has_text="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == address
    else:
        assert page.locator(".addresses .copy").count() == 0
        assert page.locator(".addresses code").first.evaluate("code => getComputedStyle(code).userSelect") == "all"
    assert page.locator(".open-in a[href^='feed:']").first.get_attribute("href") == f"feed:{address}"
