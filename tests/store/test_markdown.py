"""Markdown -> HTML. Cases are files: `tests/cases/bodies/NAME.md` beside `NAME.html`."""

from __future__ import annotations

import contextlib
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from feeds import urls
from feeds.store import addresses, markdown

from ..syndication.rules import ASCII_URL
from .completed import SITE

CASES = Path(__file__).resolve().parents[1] / "cases" / "bodies"
URL = "https://linux.cn/article-7-1.html"


def render(text: str) -> str:
    return addresses.complete_links(SITE, markdown.render_html(text), URL)


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.md")))
def test_a_body_renders_as_its_case_says(name: str) -> None:
    assert render((CASES / f"{name}.md").read_text("utf-8")) == (CASES / f"{name}.html").read_text("utf-8")


def test_every_case_has_both_files() -> None:
    assert {path.stem for path in CASES.glob("*.md")} == {path.stem for path in CASES.glob("*.html")} != set()


# -- laws of every output ----------------------------------------------------

ATTRIBUTES = {"href", "src", "alt", "title", "hreflang", "width", "height", "align", "colspan", "rowspan", "scope", "start"}
ATTRIBUTES |= {"datetime", "lang", "dir", "rel", "cite"}
#: May stand without content: no reader runs or loads any other tag that is not in this list or a plain one.
DANGEROUS = {"script", "style", "iframe", "object", "embed", "form", "input", "button", "svg", "base", "meta", "link"}
DANGEROUS |= {"video", "audio", "source", "template", "frame", "frameset", "applet", "textarea", "title", "plaintext", "xmp"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check(html: str) -> None:
    etree.fromstring(f"<x>{html.replace('&', '&amp;').replace('<', '&lt;')}</x>")  # raises on what XML forbids
    tags = _Tags()
    tags.feed(html)
    for tag, attributes in tags.found:
        assert tag not in DANGEROUS
        assert set(attributes) <= ATTRIBUTES | {"id", "class"}
        assert (attributes.get("id") or "in-").startswith("in-")
        assert "class" not in attributes or re.fullmatch(r"language-[\w+#.-]+", attributes["class"] or "")
        for name in ("href", "src", "cite"):
            value = attributes.get(name)
            assert value is None or re.match(r"(?:https?|mailto|ftp|magnet|tel|sms|xmpp|matrix|geo):", value, re.IGNORECASE), (
                name,
                value,
            )


@pytest.mark.parametrize("tag", ["bdo", "rtc", "font"])
def test_what_readers_drop_or_validators_warn_of_is_taken_off_and_its_words_stay(tag: str) -> None:
    assert render(f"<{tag} dir='rtl'>文字</{tag}>") == "<p>文字</p>\n"


PIECES = [
    *("<", ">", "</", "/>", "&", ";", "#", '"', "'", "=", "\n", " ", "\t", "\r", "`", "```", "~", "~~", "*", "**", "_"),
    *(
        "[",
        "]",
        "](",
        ")",
        "![",
        "|",
        "---",
        "> ",
        "- ",
        "1. ",
        "\\",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "&#",
        "&#x",
        "x1;",
    ),
    *("script", "style", "ruby", "rt", "img ", "a ", "b", "svg", "math", "table", "td", "title", "src=", "href=", "//", "/"),
    *("javascript:", "data:", "http://h", "中文", "“", "。", "\x00", "\x0b", "\ufffe", "\u2028", "\ufdd0", "🎉"),
]
SOUP = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=40).map("".join)


@given(SOUP)
@example("&#1;&#xFFFF;&#xD800;&#x0B;\x0c")
@example("<img src=&#1;/x>")
@example('<a href="/&#x1;">x</a>')
@example("\ufdd0~\ufdd0 [a](/\ufdd0~)")
@example("<svg><style><img src=x onerror=alert(1)></style></svg>")
@example('<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">')
def test_any_text_becomes_html_that_is_safe_and_legal_in_xml(text: str) -> None:
    check(render(text))


@given(st.text(max_size=200))
def test_plain_text_survives_word_for_word(text: str) -> None:
    kept = re.sub(r"[^\w\s]|_", "", text).strip()
    assert markdown.plain_text(render(re.sub(r"(?m)^[ \t]+", "", kept))).split() == markdown.one_line(kept).split()


@given(
    st.lists(st.sampled_from(["file", "host:port", "T", "用户名", "your name", "/foo", "a/b", "PaulPaulito.com"]), min_size=1)
)
def test_a_word_in_angle_brackets_that_is_no_html_stays_to_be_read(words: list[str]) -> None:
    text = "把 " + "、".join(f"<{word}>" for word in words) + " 换掉"
    found = markdown.plain_text(render(text))
    assert all(word.removeprefix("/") in found for word in words)


def test_no_markup_comes_to_life_from_escaped_text() -> None:
    once = render("&lt;script&gt;alert('x')&lt;/script&gt; `<img src=x onerror=y>` \\<b>")
    assert "<script" not in once and "<img" not in once and "<b" not in once


# -- addresses ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "link", "picture"),
    [
        ("/a/b.png", "https://linux.cn/a/b.png", "https://img.linux.net.cn/a/b.png"),
        ("b.png", "https://linux.cn/b.png", "https://linux.cn/b.png"),
        ("../b.png", "https://linux.cn/b.png", "https://linux.cn/b.png"),
        ("./space/3/", "https://linux.cn/space/3/", "https://linux.cn/space/3/"),
        ("//h.example/b", "https://h.example/b", "https://h.example/b"),
        ("http://h.example/b?x=1&y=2", "http://h.example/b?x=1&amp;y=2", "http://h.example/b?x=1&amp;y=2"),
    ],
)
def test_links_resolve_against_the_article_and_pictures_from_the_root_against_their_own_host(
    written: str, link: str, picture: str
) -> None:
    for html in (render(f"[x]({written})"), render(f'<a href="{written}">x</a>'), render(f"[x][1]\n\n[1]: {written}")):
        assert f'href="{link}"' in html
    for html in (render(f"![x]({written})"), render(f"<img alt='x' src='{written}'>"), render(f"![x][1]\n\n[1]: {written}")):
        assert f'src="{picture}"' in html


@pytest.mark.parametrize("written", ["#part", "?page=2"])
def test_a_link_within_the_article_names_the_article(written: str) -> None:
    for link in (f"[x]({written})", f'<a href="{written}">x</a>', f"<a href='{written}'>x</a>"):
        shown = "#in-part" if written == "#part" else written
        assert f'href="{URL}{shown}"' in render(f"{link}\n\n## Part\n")


@pytest.mark.parametrize("written", ["#", "", "#top", "javascript:void(0)", "#nothing", "file:///etc/hosts", "java\nscript:x"])
def test_of_a_link_that_leads_nowhere_the_words_stay(written: str) -> None:
    body = markdown.render_body(f'<a href="{written}">words</a> stay')
    assert body.html == "<p>words stay</p>\n" and sum(body.changes.values()) == 1


def test_a_picture_inside_a_link_keeps_both_addresses() -> None:
    html = render("[![x](/data/x.png)](/data/x.png)")
    assert 'href="https://linux.cn/data/x.png"' in html and 'src="https://img.linux.net.cn/data/x.png"' in html


AWKWARD = st.text(max_size=60) | st.lists(st.sampled_from([*"[]%#?/:@ab1|é ", "http://", "h.example", "%41"]), max_size=20).map(
    "".join
)


@given(AWKWARD)
@example("http://[::1")
@example("http://[::1]:8000/x")
@example("http://a[b]c/")
@example("https://\u2100.example/")
@example("http://h:99999999/")
@example("//[")
def test_absolute_gives_an_ascii_web_address_or_nothing(reference: str) -> None:
    for found in (urls.absolute_url(reference, ""), urls.absolute_url(reference, URL)):
        assert found == "" or ASCII_URL.fullmatch(found)


@pytest.mark.parametrize(
    ("reference", "address"),
    [
        ("http://h.example/x]", "http://h.example/x%5D"),
        ("http://h.example/x?a[]=1#b[c]", "http://h.example/x?a%5B%5D=1#b%5Bc%5D"),
        ("http://h.example/100%/%e4%b8%ad", "http://h.example/100%25/%e4%b8%ad"),
        ("http://h.example/x#a#b", "http://h.example/x#a%23b"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
        ("http://h.example/内核 1", "http://h.example/%E5%86%85%E6%A0%B8%201"),
    ],
)
def test_an_address_is_written_as_rfc_3986_has_it(reference: str, address: str) -> None:
    """feedvalidator: InvalidUriChar, UriNotIri, which are errors."""
    assert urls.absolute_url(reference, "") == address


# -- cost --------------------------------------------------------------------


@pytest.mark.parametrize("text", ["<div>" * 100_000, "<b><i>" * 50_000, "> " * 20_000 + "x", "<ul><li>" * 20_000])
def test_deep_nesting_is_refused_or_shown_fast(text: str) -> None:
    before = time.process_time()
    with contextlib.suppress(markdown.TooComplex):
        check(render(text))
    assert time.process_time() - before < 2


def test_nesting_deeper_than_any_reader_shows_is_refused() -> None:
    with pytest.raises(markdown.TooComplex):
        render("<div>" * 5000 + "x" + "</div>" * 5000)
    render("<div>" * 150 + "x" + "</div>" * 150)


@pytest.mark.parametrize(
    "piece", ["[", "![", "**", "*_", "`", "<", "<!--", "&", "~~", "|", "|-|\n", "- ", "1. x\n", "\\", "[a](", "]("]
)
def test_a_long_run_of_any_mark_costs_little(piece: str) -> None:
    before = time.process_time()
    check(render(piece * 20_000))
    assert time.process_time() - before < 2


# -- what the entries and pages ask ------------------------------------------


def test_the_words_of_a_body_leave_ruby_readings_out() -> None:
    assert (
        markdown.plain_text(render("<ruby>安装<rp>(</rp><rt>Install</rt><rp>)</rp></ruby> *它*\n\n　　好 & 坏"))
        == "安装 它 好 & 坏"
    )


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("![](/d/x.png)\n\n正文", True),
        ("> 摘要\n\n![](/d/x.png)\n\n正文", True),
        ("[![](/d/x.png)](/d/x.png)", True),
        ("![](/d/other.png)\n\n![](/d/x.png)", False),
        ("正文\n\n![](/d/x.png)", False),
        ("正文", False),
    ],
)
def test_a_body_that_opens_with_the_cover_is_recognised(text: str, opens: bool) -> None:
    assert markdown.opens_with_picture(render(text), f"{SITE.image_url}/d/x.png.large.jpg") is opens


def test_a_body_that_opens_with_the_excerpt_is_recognised() -> None:
    html = render("![](/d/x.png)\n\n> \n> 代码英雄，讲述了**开发人员**！\n> \n\n正文")
    assert markdown.opens_with_summary(html, "代码英雄讲述了开发人员。")
    assert not markdown.opens_with_summary(html, "别的摘要")
    assert not markdown.opens_with_summary(html, "")
