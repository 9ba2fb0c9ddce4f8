"""The body as a contract: what becomes of each element and construct. Cases are rows of `tests/cases/bodies.yaml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from feeds.store import markdown
from feeds.store.addresses import HERE, PICTURE, RELATIVE
from feeds.store.bodies import autolinks, embeds, pictures
from feeds.store.bodies.elements import ELEMENTS, FORMULAS
from feeds.store.header_text import plain_summary, plain_title

CASES = Path(__file__).resolve().parents[1] / "cases" / "bodies.yaml"
ROWS: dict[str, list[dict[str, Any]]] = yaml.safe_load(CASES.read_text("utf-8"))
DOCS = Path(__file__).resolve().parents[2] / "docs" / "bodies.md"


#: What `plain_text` leaves out, and readers show above other words.
READINGS = {"rt", "rp"}


def rows(part: str) -> list[Any]:
    return [pytest.param(row, id=f"{number}-{row.get('name', '')}") for number, row in enumerate(ROWS[part])]


def written(html: str) -> str:
    """HTML as the cases write it: without marks and `rel`, on one line."""
    plain = re.sub(f'[{HERE}{PICTURE}{RELATIVE}]| rel="noopener noreferrer"', "", html)
    return " ".join(re.sub(r">\n\s*<", "><", plain).split())


@pytest.mark.parametrize("row", rows("bodies"))
def test_a_construct_becomes_what_its_row_says(row: dict[str, Any]) -> None:
    body = markdown.render_body(row["body"], is_html=row.get("html", False))
    assert written(body.html) == " ".join(row["shown"].split())
    assert dict(body.changes) == row.get("changes", {})


@pytest.mark.parametrize("name", sorted({*ELEMENTS} - READINGS))
def test_the_words_in_every_element_are_shown_or_their_loss_is_counted(name: str) -> None:
    body = markdown.render_body(f"<p>before</p>\n<{name} src='https://h.example/x'>words</{name}>\n<p>after</p>", is_html=True)
    text = markdown.plain_text(body.html)
    assert "before" in text and "after" in text
    assert "words" in text or "h.example" in text or body.changes or ELEMENTS[name] in ("dropped", "text", "picture")
    assert f"&lt;{name}" not in body.html


@pytest.mark.parametrize("name", sorted({*ELEMENTS, *FORMULAS} - READINGS))
def test_a_second_sanitiser_takes_no_words_away(name: str) -> None:
    """Readers have sanitisers of their own; what they unwrap keeps its words."""
    import nh3

    shown = markdown.render_html(f"<p>before</p>\n<{name}>words</{name}>\n<p>after</p>", is_html=True)
    plain = {"p", "a", "img", "br", "b", "i", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li"}
    assert markdown.plain_text(nh3.clean(shown, tags=plain)) == markdown.plain_text(shown)


@pytest.mark.parametrize("row", rows("summaries"))
def test_a_summary_is_plain_text(row: dict[str, Any]) -> None:
    assert plain_summary(row["written"], markdown.render_html(row.get("body", ""))) == row["shown"]


@pytest.mark.parametrize("row", rows("titles"))
def test_a_title_is_what_its_author_wrote(row: dict[str, Any]) -> None:
    assert plain_title(row["written"]) == row["shown"]


@pytest.mark.parametrize("row", rows("embeds"))
def test_an_embedded_document_leads_to_its_page(row: dict[str, Any]) -> None:
    found = embeds.find_embed(row["written"], row.get("title", ""))
    assert (found.address if found else None) == row["address"]
    assert found is None or "label" not in row or found.label == row["label"]


@pytest.mark.parametrize("row", rows("pictures"))
def test_a_picture_has_one_address(row: dict[str, Any]) -> None:
    assert pictures.real_address(row["attributes"]) == row["address"]


@pytest.mark.parametrize("row", rows("addresses"))
def test_a_bare_address_ends_where_the_sentence_goes_on(row: dict[str, Any]) -> None:
    assert [one.address for one in autolinks.find_addresses(row["text"])] == row["found"]


PARTS = st.sampled_from(
    """[^1] [^1]: [^注] \\[^2\\] ^[ # ## <a·id='x'> <a·href='#x'>t</a> [t](#x) <svg> </svg> <math> <mi>x</mi> </math> <video>
    <iframe·src=//y.example/a> <source·src=a.mp4> <picture> <img> <img·data-src=a.png> <noscript> </noscript> <xmp> <b> <table>
    <th> <td> <p> <div> <section> <pre·class='brush:x'> <code·class=language-c> ``` > >·[!NOTE] *[A]:·x A $x_1$ $$ &lt; &amp; 中
    https://h.example/甲乙 www.h.example, a@h.example -·[x] :·term | |-| <script> <style> <template> <select>""".split()
).map(lambda piece: piece.replace("·", " "))


@given(st.lists(st.one_of(PARTS, st.sampled_from(["\n", "\n\n", " ", "    "])), max_size=30).map("".join), st.booleans())
def test_any_mixture_is_settled(text: str, is_html: bool) -> None:
    """Every link within the article has its place, every picture an address, no heading skips a level, and ids are unique."""
    body = markdown.render_body(text, is_html=is_html)
    tree = LexborHTMLParser(f"<!DOCTYPE html><body>{body.html}")
    ids = [node.attributes["id"] for node in tree.css("[id]")]
    assert len(ids) == len(set(ids)) and all((id or "").startswith("in-") for id in ids)
    links = [(node.attributes.get("href") or "") for node in tree.css("a[href]")]
    assert {link.removeprefix(f"{HERE}#") for link in links if link.startswith(f"{HERE}#")} <= set(ids)
    assert not any(link.startswith("#") for link in links)
    assert all(node.attributes.get("src") for node in tree.css("img"))
    level = 1
    for heading in tree.css("h1, h2, h3, h4, h5, h6"):
        assert 2 <= int((heading.tag or "h0")[1]) <= level + 1
        level = int((heading.tag or "h0")[1])


def test_the_documentation_names_every_element() -> None:
    named = set(re.findall(r"`([a-z0-9]+)`", DOCS.read_text("utf-8")))
    assert set(ELEMENTS) <= named
