"""Digests in programs from outside: SpamAssassin scores them, Chromium shows them as wide as a phone and a mail window."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feeds import database
from feeds.newsletter.issues.preview import PreviewRequest, newest_content
from tests.examples import FULL

from .composing import NOW, article, composer, config, content, recipient

pytestmark = pytest.mark.interop
SCREENSHOTS = Path(__file__).resolve().parents[1] / "screenshots"
LANGUAGES = ("zh-CN", "en")
COVER = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="960" height="540"><linearGradient id="g" x2="1" y2="1">'
    '<stop stop-color="#2b5876"/><stop offset="1" stop-color="#e08e45"/></linearGradient>'
    '<rect width="960" height="540" fill="url(#g)"/></svg>'
)
#: WCAG 2.2, 1.4.3: 4.5 for text of ordinary size. The colour behind a text is that of the nearest box with one.
CONTRAST = """() => {
  const channel = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(channel); return .2126*r + .7152*g + .0722*b };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c } return 'rgb(255, 255, 255)' };
  const found = [];
  for (const e of document.querySelectorAll('h1, h2, h3, p, a, span, td')) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) || !e.offsetParent) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    found.push([(a + .05) / (b + .05), e.className, e.textContent.slice(0, 30)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}"""


def digest(language: str) -> str:
    """With all there is to show: covers wide and small, no cover, long words, a section that is cut, one without a page."""
    articles = [
        article(0),
        *(article(number) for number in range(1, 5)),
        article(5, picture="", translators=(), title="Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz" * 2),
        article(6, picture="", summary="https://example.org/" + "very-long-address/" * 12),
    ]
    made = content(articles, s1=(0, 1, 2), s2=(3, 4), s3=(5, 6))
    return composer(made, config(max_articles=6)).preview(recipient(1, 2, 3, language=language)).html


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("width", (375, 600))
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_digest_is_readable_at_any_width_by_day_and_by_night(
    chromium: Any, driven: Any, language: str, width: int, scheme: str
) -> None:
    asked: list[str] = []
    with driven.page(width, height=900, scheme=scheme) as page:
        page.route(
            "**/*", lambda route: (asked.append(route.request.url), route.fulfill(body=COVER, content_type="image/svg+xml"))
        )
        page.set_content(digest(language))
        page.wait_for_load_state("load")
        wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], f"{wide[0]} px of content in {wide[1]} px"
        assert asked and all(re.fullmatch(r"https://img\.example\.org/\d+\.jpg", address) for address in asked)
        assert not page.locator(".preheader").is_visible() and page.locator("h1").is_visible()
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(20, 24, 26)" if scheme == "dark" else "rgb(244, 242, 236)")
        contrasts = page.evaluate(CONTRAST)
        assert len(contrasts) > 30 and contrasts[0][0] >= 4.5, contrasts[:3]
        assert any("press" in names for _ratio, names, _text in contrasts)  # the button is among them
        if FULL:
            SCREENSHOTS.mkdir(exist_ok=True)
            page.screenshot(path=SCREENSHOTS / f"mail-{language}-{width}-{scheme}.png", full_page=True)


def test_a_digest_is_readable_with_pictures_blocked(chromium: Any, driven: Any) -> None:
    with driven.page(375, height=900) as page:
        page.route("**/*", lambda route: route.abort())
        page.set_content(digest("en"))
        assert page.locator("h3").count() == 6 and page.locator("h3").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        links = page.locator("a")
        assert all(
            links.nth(at).inner_text().strip() or links.nth(at).locator("img[alt]").count() for at in range(links.count())
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_spamassassin_sees_no_spam(tool: Callable[[str], str], demo: Any, language: str) -> None:
    settings = config()
    with database.reading(demo.runtime.engine) as connection:
        wanted = PreviewRequest("weekly", "Asia/Shanghai", ["feed=kernel", "tag=Linux", ""])
        made = newest_content(connection, demo.runtime.edition().config, wanted, 1_800_000_000, after=0)
    message = composer(made, settings).message(recipient(1, 2, 3, language=language), NOW)
    command = [tool("spamassassin"), "-L", "-t"]
    said = subprocess.run(command, input=message.data, capture_output=True, timeout=120, check=True).stdout.decode(
        "utf-8", "replace"
    )
    score = re.search(r"Content analysis details:\s+\((-?[\d.]+) points", said)
    assert score and float(score[1]) < 1.0, said[said.index("Content analysis details") :]
