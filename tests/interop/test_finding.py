"""Readers in Chromium, with and without JavaScript: follow somebody, search, look through a directory, copy an address."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from feeds.static.render import make_renderer

pytestmark = pytest.mark.interop


@pytest.fixture
def open_page(driven: Any, chromium: Any, live: Any) -> Iterator[Callable[..., Any]]:
    """A page of a browser of its own; nothing but the service is asked for anything, and no script may fail."""
    faults: list[str] = []
    with contextlib.ExitStack() as opened:

        def make(width: int = 1280, *, script: bool = True) -> Any:
            options = {"java_script_enabled": script, "locale": "en-GB", "has_touch": width < 500}
            allowed = ["clipboard-read", "clipboard-write"]
            page = opened.enter_context(driven.page(width, height=740, only=live.base, permissions=allowed, **options))
            page.on("pageerror", lambda error: faults.append(str(error)))
            return page

        yield make
    assert faults == []


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_on_a_phone_a_translator_is_followed_by_three_touches(open_page: Any, live: Any, script: bool) -> None:
    page = open_page(375, script=script)
    page.goto(live.base)
    for name, leads_to in (("Follow a translator", "/translators/"), ("demo-lin", "/translators/demo-lin")):
        link = page.get_by_role("link", name=name, exact=name == "demo-lin")
        box = link.bounding_box()
        assert box["y"] + box["height"] < 740, "seen without scrolling"
        assert box["height"] >= 44
        link.tap()
        page.wait_for_url(live.base + leads_to)  # the page before has links of the same names
    reader = page.get_by_role("link", name="Reader app")
    assert reader.get_attribute("href") == f"feed:{live.base}/translators/demo-lin.atom"
    assert reader.bounding_box()["height"] >= 44
    assert page.get_by_label("E-mail address").is_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("width", [375, 1280])
def test_a_search_leads_from_any_page_to_terms_and_articles(open_page: Any, live: Any, script: bool, width: int) -> None:
    page = open_page(width, script=script)
    page.goto(f"{live.base}/about/feeds")
    page.get_by_role("search").get_by_role("searchbox").fill("ruby")
    page.get_by_role("search").get_by_role("button").click()
    page.wait_for_url(f"{live.base}/search?q=ruby")
    page.get_by_role("link", name="Ruby text on the web").first.click()
    page.wait_for_url("**/articles/*")


def test_a_directory_is_looked_through_while_a_name_is_typed(open_page: Any, live: Any) -> None:
    page = open_page()
    page.goto(f"{live.base}/tags/?sort=name")
    box = page.locator(".sift input[type=search]")
    box.press_sequentially("net")
    page.wait_for_url("**/tags/?sort=name&q=net")
    assert page.locator(".directory li").all_inner_texts() == [".NET\n3\nAtom"]
    assert page.get_by_role("status").first.inner_text() == "1 found"
    box.fill("")
    page.wait_for_url("**/tags/?sort=name")
    assert page.locator(".directory li").count() > 40
    assert page.evaluate("history.length") == 2, "typing leaves no trail of pages"


def test_without_javascript_the_directory_has_a_form(open_page: Any, live: Any) -> None:
    page = open_page(script=False)
    page.goto(f"{live.base}/tags/")
    page.locator(".sift input[type=search]").fill("net")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(f"{live.base}/tags/?q=net")
    page.get_by_role("link", name="by name").click()
    assert page.locator(".directory li").count() == 1
    assert not page.locator(".copy").count()


def test_an_exported_directory_is_looked_through_without_a_service(open_page: Any, live: Any, demo: Any) -> None:
    page = open_page()
    still = make_renderer(demo.environment)("/tags/", None)
    page.route("**/still/", lambda route: route.fulfill(body=still, content_type="text/html; charset=utf-8"))
    page.goto(f"{live.base}/still/")
    rows = page.locator(".directory li:visible")
    every = rows.count()
    page.get_by_role("searchbox").fill("NET")
    assert rows.all_inner_texts() == [".NET\n3\nAtom"]
    page.get_by_role("searchbox").fill("")
    assert rows.count() == every > 40


def test_an_address_is_copied_with_one_press_and_it_is_said(open_page: Any, live: Any) -> None:
    page = open_page()
    page.goto(f"{live.base}/tags/C++")
    button = page.get_by_role("button", name="Copy RSS")
    button.click()
    assert page.evaluate("navigator.clipboard.readText()") == f"{live.base}/tags/C++.rss"
    assert page.locator(".addresses [role=status]").all_inner_texts()[1] == "Copied"


def test_the_builder_goes_on_having_its_buttons_after_a_step(open_page: Any, live: Any) -> None:
    page = open_page()
    page.goto(f"{live.base}/select?tag=Linux")
    page.locator(".side a", has_text="Ubuntu").first.click()
    page.wait_for_url("**/select?tag=Linux&tag=Ubuntu")
    page.get_by_role("button", name="Copy Atom").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"{live.base}/select.atom?tag=Linux&tag=Ubuntu"


def test_the_related_and_the_next_article_are_one_press_away(open_page: Any, live: Any) -> None:
    page = open_page(375)
    page.goto(f"{live.base}/articles/146")
    title = page.locator(".related a").first.inner_text()
    page.locator(".related a").first.click()
    assert page.locator("h1").inner_text() == title
    page.locator("a[rel=prev]").click()
    page.locator("a[rel=next]").click()
    assert page.locator("h1").inner_text() == title
