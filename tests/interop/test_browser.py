"""Chromium opens pages and a feed at the width of a desktop and of a phone; tests/screenshots/ has what a full run sees."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.examples import FULL

pytestmark = pytest.mark.interop
SCREENSHOTS = Path(__file__).resolve().parents[1] / "screenshots"
WIDTHS = {"phone": 375, "desktop": 1280}
PAGES = {
    "home": ("/", "Linux 中国"),
    "directory": ("/tags/", "标签"),
    "term": ("/tags/C++", "C++"),
    "translator": ("/translators/Demo-Max", "Demo-Max"),
    "feed": ("/tags/C++.atom", "C++"),
    "article": ("/articles/146", "Ruby text on the web"),
    "code": ("/articles/113", ""),
    "about": ("/about/feeds", ""),
    "builder": ("/select?tag=Linux&not-tag=C%2B%2B", "Linux"),
    "archive": ("/all/archive/2026-09", "2026-09"),
    "missing": ("/tags/nothing-at-all", "404"),
}


@pytest.fixture(scope="module", autouse=True)
def _folder() -> None:
    SCREENSHOTS.mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [(name, width, "light") for name in PAGES for width in WIDTHS]
    + [(name, "phone", "dark") for name in ("home", "feed", "code")],
)
def test_a_page_is_readable_at_any_width(chromium: Any, driven: Any, live: Any, name: str, width: str, scheme: str) -> None:
    address, words = PAGES[name]
    faults: list[str] = []
    # Pictures of the demo articles are on a host that a test does not ask for.
    with driven.page(WIDTHS[width], height=900, scheme=scheme, only=live.base, locale="zh-CN") as page:
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        answered = page.goto(live.base + address)
        assert answered.status == (404 if name == "missing" else 200)
        assert words in page.inner_text("body")
        assert page.locator("h1").first.is_visible()
        wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], f"{wide[0]} px of content in {wide[1]} px"
        small = page.evaluate("parseFloat(getComputedStyle(document.querySelector('main p, main li')).fontSize)")
        assert small >= 13
        if FULL:
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
    ignored = ("net::ERR_FAILED", "status of 404") if name == "missing" else ("net::ERR_FAILED",)
    assert [fault for fault in faults if not any(word in fault for word in ignored)] == []


def test_a_feed_opened_in_a_browser_explains_itself_and_gives_its_address(chromium: Any, driven: Any, live: Any) -> None:
    with driven.page(locale="en") as page:
        answered = page.goto(f"{live.base}/tags/C++.atom")
        assert answered.headers["content-type"].startswith("text/html")
        assert f"{live.base}/tags/C++.atom" in page.inner_text("main")
        assert page.locator("link[rel=alternate][type='application/atom+xml']").get_attribute("href").endswith("/tags/C++.atom")
        # A script of a reader in the same browser gets the feed itself.
        kind = page.request.get(f"{live.base}/tags/C++.atom").headers["content-type"]
        assert kind == "application/atom+xml; charset=utf-8"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """Another origin, where a web reader lives."""
    (tmp_path / "index.html").write_text("<!doctype html><title>reader</title>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_reader_in_a_browser_may_fetch_a_feed_from_another_origin(
    chromium: Any, driven: Any, live: Any, elsewhere: str
) -> None:
    with driven.page(locale="en") as page:
        page.goto(elsewhere)
        script = """async (url) => {
            const first = await fetch(url);
            const tag = first.headers.get('etag');
            const again = await fetch(url, {headers: {'If-None-Match': tag}, cache: 'no-store'});
            return [first.status, first.headers.get('content-type'), tag, again.status];
        }"""
        status, kind, tag, again = page.evaluate(script, f"{live.base}/all.json")
        assert (status, kind, again) == (200, "application/feed+json; charset=utf-8", 304)
        assert tag


def test_the_builder_changes_the_page_in_place_and_searches_as_one_types(chromium: Any, driven: Any, live: Any) -> None:
    faults: list[str] = []
    with driven.page(only=live.base, locale="en") as page:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(live.base + "/select")
        page.evaluate("window.same = true")
        page.fill("#term", "linu")
        page.wait_for_selector("#known option[label^='Linux (']", state="attached")
        page.fill("#term", "linux")
        page.keyboard.press("Enter")
        page.wait_for_url("**/select?tag=Linux")
        page.select_option("#mode", "not-")
        page.fill("#term", "c++")
        page.keyboard.press("Enter")
        page.wait_for_url("**/select?tag=Linux&not-tag=C%2B%2B")
        assert "without C++" in page.title() or "不含 C++" in page.title()
        page.get_by_label("Remove C++").click()
        page.wait_for_url("**/select?tag=Linux")
        page.go_back()
        page.get_by_label("Remove C++").wait_for()
        assert page.evaluate("window.same") is True, "the page was loaded anew"
        assert faults == []


def test_the_page_can_be_used_with_the_keyboard(chromium: Any, driven: Any, live: Any) -> None:
    with driven.page(locale="en") as page:
        page.goto(live.base + "/")
        page.keyboard.press("Tab")
        first = page.evaluate("document.activeElement.getAttribute('href')")
        assert first == "#content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id || location.hash") in ("content", "#content")
