"""axe-core finds nothing to say against any page: both languages, light and dark, phone and desktop.

In a full run each language in each sight; else Chinese on a dark phone, English on a light desktop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.examples import FULL

from .live_site import LiveSite

pytestmark = pytest.mark.interop
READER = "reader@example.com"
LANGUAGES = ("zh-CN", "en")
SIGHTS = ((375, "dark"), (1280, "light"))
#: What a page may be: its address, or what leads to it.
PAGES = [
    "/",
    "/tags/",
    "/translators/",
    "/tags/Linux",
    "/translators/Demo-Max",
    "/all/page/1",
    "/all/archive/2026-09",
    "/articles/146",
    "/articles/113",
    "/about/feeds",
    "/hub",
    "/select",
    "/select?tag=Linux&not-tag=C%2B%2B",
    "/digests/",
    "/digests/monthly-2026-11-01",
    "/subscribe?select=tag%3DLinux",
    "/preferences",
    "/preferences/next",
    "/unsubscribe",
    "/confirm/nothing",
    "/tags/nothing-at-all",
    "/tags/C++.atom",
    "/search?q=Linux",
    "/tags/?q=li&sort=name",
    "/operator/sign-in",
    "/operator/",
    "/operator/quarantine",
    "/operator/articles",
    "/operator/feeds",
    "/operator/feeds/show?path=tags/Linux",
    "/operator/feeds/own",
    "/operator/feeds/new?tag=Linux",
    "/operator/subscribers",
    "/operator/issues",
    "/operator/configuration",
    "/operator/log",
]
_RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  return violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html} (${node.failureSummary})`));
}"""


@pytest.fixture(scope="module")
def windows(driven: Any, live_site: LiveSite) -> Iterator[Callable[[str, bool], Any]]:
    """`windows(language, operator)`: a page that stays open, of a reader or of the operator, who has signed in."""
    opened: dict[tuple[str, bool], Any] = {}

    def window(language: str, operator: bool) -> Any:
        if (language, operator) not in opened:
            context = driven.browser.new_context(locale=language, reduced_motion="reduce")
            context.add_cookies([{"name": "language", "value": language, "url": live_site.base}])
            page = context.new_page()
            page.route(lambda url: not url.startswith(live_site.base), lambda route: route.abort())
            if operator:
                live_site.sign_in(page)
            opened[language, operator] = page
        return opened[language, operator]

    yield window
    with driven.at_work():
        for page in opened.values():
            page.context.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_no_violation(
    chromium: Any, live_site: LiveSite, axe: str, windows: Callable[[str, bool], Any], page: str, language: str
) -> None:
    opened = windows(language, page.startswith("/operator/") and page != "/operator/sign-in")
    sights = SIGHTS if FULL else SIGHTS[LANGUAGES.index(language) :][:1]
    _look(opened, *sights[0])
    assert opened.goto(live_site.page_of(READER, page)).status in (200, 404)
    assert opened.locator("html").get_attribute("lang") == language
    opened.evaluate(axe)
    for sight in sights:
        _look(opened, *sight)
        assert opened.evaluate(_RUN) == [], sight


def _look(page: Any, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
