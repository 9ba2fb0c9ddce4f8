"""The words of a body are the same to every reader: none is lost on the way, whatever a reader's own sanitiser takes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nh3
import pytest
import yaml
from lxml import html

from feeds.store.bodies.elements import ELEMENTS
from tests.conftest import Site
from tests.interop.conftest import free_port
from tests.interop.readers import READERS, Reader

pytestmark = pytest.mark.interop

CASES = yaml.safe_load((Path(__file__).resolve().parents[1] / "cases" / "bodies.yaml").read_text("utf-8"))
#: Elements that mean something around others alone.
WITHIN = {
    "rt": "<ruby>字<rt>words</rt></ruby>",
    "rp": "<ruby>字<rp>(</rp><rt>words</rt></ruby>",
    "rb": "<ruby><rb>words</rb></ruby>",
}
#: What readers with a sanitiser of few elements keep (FreshRSS and others keep more).
FEW = {"p", "a", "img", "br", "b", "i", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li", "div", "span"}


def bodies() -> dict[str, str]:
    """Id of an article -> its Markdown: one for each construct, and for each element of HTML."""
    found = {f"case-{number}": row["body"] for number, row in enumerate(CASES["bodies"]) if not row.get("html")}
    for name in ELEMENTS:
        inner = WITHIN.get(name, f"<{name} src='https://h.example/x' title='t'>words in {name}</{name}>")
        found[f"element-{name}"] = f"Before.\n\n<div>{inner}</div>\n\nAfter."
    return found


def words(fragment: str) -> str:
    """The words of HTML, without blanks, which blocks have around them in some readers."""
    return "".join("".join(html.fromstring(f"<div>{fragment}</div>").itertext()).split())


@pytest.fixture(scope="module")
def served(running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service whose feed has one article for each construct and each element; `served.shown`: its words by id."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    site = Site(tmp_path_factory.mktemp("bodies") / "site", article_url="", base_url=base)
    for number, (id, body) in enumerate(bodies().items()):
        site.write(f"{id}.md", title=id, body=body, date=f"2024-01-01 00:{number // 60:02}:{number % 60:02}")
    site.settle("feeds.yaml", all={"limit": 500})
    site.rescan()
    service = running(site.config_dir, "--workers", "1", "--port", str(port))
    service.port, service.base = port, base
    service.ready()
    items = json.loads(service.request("/all.json")[2])["items"]
    service.shown = {item["id"]: item["content_html"] for item in items}
    yield service
    site.remove()


def test_each_construct_and_element_has_its_words_in_the_feed(served: Any) -> None:
    assert len(served.shown) == len(bodies())
    lost = [
        id
        for id, shown in served.shown.items()
        if "element-" in id and not ("Before." in words(shown) and "After." in words(shown))
    ]
    assert lost == []


@pytest.mark.parametrize("format", ["atom", "rss"])
@pytest.mark.parametrize("reader", [one for one in READERS if "npm" not in one.tools], ids=lambda reader: reader.name)
def test_every_reader_has_the_same_words(served: Any, reader: Reader, format: str, tmp_path: Path) -> None:
    seen = reader.visit(tmp_path, f"{served.base}/all.{format}")
    assert not seen.complaint and len(seen.entries) == len(served.shown)
    texts = {id: words(" ".join(entry.get("full text", ()))) for id, entry in seen.entries.items()}
    if reader.name == "rss2email":  # which writes the title above
        texts = {id: text.removeprefix(id.rpartition("/")[2]) for id, text in texts.items()}
    assert {id: text for id, text in texts.items() if text != words(served.shown[id])} == {}


def test_a_sanitiser_that_knows_few_elements_takes_no_words(served: Any) -> None:
    """As FreshRSS, Miniflux and programs on telephones run one over what feeds say."""
    # Some take MathML out with all that is in it: its TeX stands beside it as code.
    once = {id: nh3.clean(shown, tags=FEW) for id, shown in served.shown.items() if "<math" not in shown}
    assert {id: text for id, text in once.items() if words(text) != words(served.shown[id])} == {}
