"""What a reader's eye is on stays where it is while pictures of an article arrive."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.conftest import serve_settled

pytestmark = pytest.mark.interop

#: Sums what moved without a reader's doing, as https://web.dev/articles/cls says: 0.1 is called good.
SHIFTS = """() => new Promise(done => {
    let sum = 0
    new PerformanceObserver(list => list.getEntries().forEach(one => { if (!one.hadRecentInput) sum += one.value }))
        .observe({type: "layout-shift", buffered: true})
    setTimeout(() => done(sum), 300)
})"""


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(width)) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_moves_while_pictures_arrive(
    chromium: Any, new_site: Callable[..., Any], running: Callable[..., Any], width: int
) -> None:
    site = new_site(article_url="", image_url="", store={"path": "articles", "kind": "plain"})
    body = "\n\n".join(f"Some words before it.\n\n![x]({number}.png)\n\n{'More words. ' * 60}" for number in range(4))
    for number in range(4):
        site.write(f"{number}.png", png(900 + number, 500))
    site.write("a.md", f"---\ntitle: A\ndate: 2024-05-06\n---\n\n{body}\n")
    service = serve_settled(running, site)
    context = chromium.new_context(viewport={"width": width, "height": 800})

    def shifts(change: Callable[[str], str]) -> float:
        page = context.new_page()
        page.route("**/articles/a", lambda route: route.fulfill(body=change(route.fetch().text()), content_type="text/html"))
        page.route("**/files/**", lambda route: (time.sleep(0.2), route.continue_()))
        page.goto(f"{service.base}/articles/a", wait_until="networkidle")
        assert page.evaluate("[...document.images].filter(one => one.complete && one.naturalWidth >= 900).length") >= 1
        found = float(page.evaluate(SHIFTS))
        page.close()
        return found

    moved = shifts(lambda text: text)
    assert moved < 0.01
    assert shifts(lambda text: re.sub(r' (?:width|height)="\d+"', "", text)) > moved + 0.03, "the sizes did it"
    context.close()
