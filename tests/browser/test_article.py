"""The page of an article with all that Markdown and HTML have: places, boxes that scroll, colours that can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.conftest import serve_settled

pytestmark = pytest.mark.interop

WIDE = "a very long line that goes on " * 12
BODY = f"""词[^1]，又[^2]，再[^1]。[那里](#own)。

## Code

```python
class A(Exception):  # comment
\tdef f(self, x: int = 1) -> str: return f"{{x!r}}" + 'a' * 42
@decorator
def g(): return "{WIDE}"
```

```console
$ ls
total 0
```

```diff
--- a
+++ b
@@ -1 +1 @@
-old
+new
```

| 名称 | 说明 | 更多 | 还有 | 第五 | 第六列标题 |
|--|--|--|--|--|--|
| `kubectl get pods --all` | {"说明文字" * 6} | abc | def | 值 | {"说明" * 8} |

## Own {{#own}}

Term
: meaning

> [!NOTE]
> Mind this.

<details><summary>More</summary>

Words.

</details>

<ruby>漢字<rt>かんじ</rt></ruby> <kbd>C</kbd> H<sub>2</sub>O <mark>mark</mark>
<math><msub><mi>x</mi><mn>1</mn></msub>
<annotation encoding="application/x-tex">x_1</annotation></math>

<math display="block"><mrow>{"<mi>a</mi><mo>+</mo>" * 60}<mi>z</mi></mrow></math>

- [x] done

{chr(10).join(["words " * 120 + chr(10)] * 8)}

[^1]: One.
[^2]: Two.
"""
_RUN = """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
    .flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html}`))"""
#: Whether the place is the one that was meant, within the window, and in front of all else.
_TARGET = """id => {
    const found = document.querySelector(':target'), box = found.getBoundingClientRect()
    const front = document.elementFromPoint(box.left + 2, box.top + box.height / 2)
    return found.id === id && box.top >= 0 && box.bottom <= innerHeight && found.contains(front)
        && getComputedStyle(found).outlineStyle === 'solid'
}"""


def follow_all(page: Any) -> None:
    """Follow each link of the body that leads within it; none loads a page."""
    links = page.eval_on_selector_all(".body a[href^='#']", "found => found.map(link => link.getAttribute('href').slice(1))")
    assert len(links) == 7
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url) if request.is_navigation_request() else None)
    for number, id in enumerate(links):
        page.eval_on_selector_all(".body a[href^='#']", "(found, number) => found[number].click()", number)
        page.wait_for_function("id => location.hash === '#' + id", arg=id)
        assert page.evaluate(_TARGET, id), id
    assert loaded == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light"), (390, "light"), (1280, "dark")])
def test_everything_fits_and_can_be_read_and_links_within_lead_to_what_is_seen(
    chromium: Any, new_site: Callable[..., Any], running: Callable[..., Any], axe: str, width: int, scheme: str
) -> None:
    site = new_site(article_url="", image_url="", store={"path": "articles", "kind": "plain"})
    site.write("a.md", f"---\ntitle: A\ndate: 2024-05-06\n---\n\n{BODY}\n")
    service = serve_settled(running, site)
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce", locale="en"
    )
    page = context.new_page()
    page.goto(f"{service.base}/articles/a", wait_until="networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.eval_on_selector_all(
        ".body pre, .body .scroll", "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    )
    assert boxes >= (2 if width == 390 else 1)
    narrow = page.eval_on_selector_all(".body td", "cells => Math.min(...cells.map(cell => cell.clientWidth))")
    assert narrow > 60, "no cell has one character in a line"
    colour = "all => new Set(all.map(one => getComputedStyle(one).color)).size"
    assert page.eval_on_selector_all(".body pre span", colour) >= 6
    assert page.evaluate("document.querySelector('math').getBoundingClientRect().width") > 0
    assert "x_1" not in page.inner_text(".body")
    page.evaluate(axe)
    assert page.evaluate(_RUN) == []
    follow_all(page)
    assert page.evaluate(_RUN) == [], "also where a place is marked"
    context.close()
