"""What the page of an article does with its body: colours, places, formulas, tables; no letter of the text changes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html
from pygments.lexers import get_all_lexers

from feeds import resources
from feeds.store.markdown import render_body
from feeds.web import highlight
from feeds.web.article_body import article_body
from feeds.web.highlight import highlight_code
from tests.examples import some

URL = "https://example.org/articles/5"
LANGUAGES = sorted({alias for _name, aliases, _files, _types in get_all_lexers() for alias in aliases} | set(highlight.ALIASES))
#: What opens strings, comments and blocks somewhere.
PIECES = [
    "\t",
    "\n",
    "\r",
    "  ",
    "\xa0",
    "'",
    '"',
    '"""',
    "/*",
    "*/",
    "//",
    "#",
    "<b>",
    "&amp;",
    "<!--",
    "$ ls",
    "\\",
    "{%",
    "文",
    "1",
    "if",
    "é",
    "😀",
]


def shown(html: str) -> str:
    """Return the text of HTML, each blank of it."""
    return "".join(lxml_html.fragment_fromstring(html, create_parent="main").itertext())


def code(text: str, language: str) -> str:
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 3)
    return render_body(f"{fence}{language}\n{text}\n{fence}\n").html


@settings(max_examples=some(60, 1500), deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=30).map("".join), st.sampled_from(LANGUAGES))
def test_colours_leave_every_letter_of_code_where_it_is(text: str, language: str) -> None:
    plain = code(text, language)
    coloured = highlight_code(plain)
    assert shown(coloured) == shown(plain)
    assert re.sub(r'<span class="t[a-z]">|</span>', "", coloured) == re.sub("</span>", "", plain)


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("sh", "if true; then\n\techo 1\nfi", '<span class="tk">if </span>'),
        ("console", "$ ls -l\na b", '<span class="tc">$ </span>'),
        ("js", "let a = 'x'", "<span class=\"ts\">'x'"),
        ("yml", "a: 1 # b", '<span class="tc"># b'),
        ("c++", "int a = 1;", '<span class="tt">int'),
        ("C#", "class A {}", '<span class="tk">class'),
        ("patch", "-a\n+b", '<span class="td">-a'),
        ("jsonc", '{"a": 1}', '<span class="tn">1</span>'),
        ("h", "int a = 1;", '<span class="tt">int'),
        ("dockerfile", "FROM a", '<span class="tk">FROM'),
    ],
)
def test_languages_go_by_the_names_that_people_write(language: str, text: str, found: str) -> None:
    assert found in highlight_code(code(text, language))


@pytest.mark.parametrize("language", ["", "nothing-known", "text", "x" * 40])
def test_code_in_no_known_language_stays_plain(language: str) -> None:
    assert highlight_code(plain := code("if a: 'b'", language)) == plain


def test_sessions_need_no_end_of_line() -> None:
    plain = render_body('<pre><code class="language-console">$ ls</code></pre>').html
    assert highlight_code(plain).endswith("ls</code></pre>\n") and '<span class="tc">$ </span>' in highlight_code(plain)


def test_code_with_elements_in_it_stays_as_its_author_wants_it() -> None:
    plain = render_body('<pre><code class="language-py">if <b>a</b>: pass</code></pre>').html
    assert "<b>" in plain and highlight_code(plain) == plain


def test_more_code_than_a_page_shows_stays_plain() -> None:
    assert highlight_code(plain := code("if 1: 2\n" * (highlight.MAX_CODE // 8 + 1), "py")) == plain
    piece = code("if 1: 2\n" * (highlight.MAX_CODE // 8 - 10), "py")
    coloured = highlight_code(piece * 10)
    assert coloured.count('class="tk"') // highlight_code(piece).count('class="tk"') == highlight.MAX_PAGE // (
        highlight.MAX_CODE - 80
    )


def test_a_lexer_that_fails_or_loses_text_leaves_code_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bad:
        def get_tokens_unprocessed(self, text: str) -> Any:
            yield 0, ("Keyword",), text[1:]

    class Failing(Bad):
        def get_tokens_unprocessed(self, text: str) -> Any:
            yield 0, ("Keyword",), text[:1]
            raise ValueError

    for lexer in (Bad(), Failing()):
        assert highlight._coloured(lexer, "a &lt; b") == "a &lt; b"


@pytest.mark.parametrize("piece", ['"', "'", "(", "<", "/*", "a", " ", "\t", "\\", "`", "$", "{", "a ", "a:", "\n", '"\\'])
@pytest.mark.parametrize(
    "language",
    [
        "sh",
        "console",
        "js",
        "ts",
        "py",
        "c",
        "c++",
        "java",
        "go",
        "rust",
        "html",
        "css",
        "yaml",
        "php",
        "sql",
        "ruby",
        "json",
        "md",
    ],
)
def test_the_longest_code_of_a_piece_takes_no_seconds(language: str, piece: str) -> None:
    line = (piece * 200)[:200] + "x\n"
    text = (line * highlight.MAX_CODE)[: highlight.MAX_CODE * 4 // 5]
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    before = time.process_time()
    highlight_code(f'<pre><code class="language-{language}">{escaped}</code></pre>')
    assert time.process_time() - before < 2


FOOTNOTES = "a[^1] b[^1] [see](#my-head)\n\n# My head\n\n[^1]: note"


def test_links_within_the_article_stay_on_its_page_and_lead_to_its_places() -> None:
    body = render_body(FOOTNOTES, prefix="in-5-").html.replace("\x03#", f"{URL}#")
    page = lxml_html.fragment_fromstring(article_body(body, URL, "Back", "Table"), create_parent="main")
    links = [link.get("href") for link in page.iter("a")]
    ids = {element.get("id") for element in page.iter() if element.get("id")}
    assert len(links) == 5 and all(link[:1] == "#" and link[1:] in ids for link in links)
    assert [link.get("aria-label") for link in page.iter("a") if link.text == "↩\ufe0e"] == ["Back", "Back 2"]


def test_links_to_other_articles_and_places_stay_whole() -> None:
    body = f'<a href="{URL}0#a">x</a><a href="{URL}">y</a><p title="{URL}#a"> href="{URL}#a"</p>'.replace('"</p>', "</p>")
    assert article_body(body, URL, "", "").count(URL) == 4, "text and titles stay, too"


def test_formulas_show_once() -> None:
    formula = '<math><mi>x</mi><annotation encoding="application/x-tex">x_1</annotation></math>'
    body = render_body(f"a {formula} b `x_1` c").html
    assert body.count("x_1") == 2
    assert article_body(body, URL, "", "") == "<p>a <math><mi>x</mi></math> b <code>x_1</code> c</p>\n"


def test_tables_and_code_scroll_in_boxes_that_keys_reach() -> None:
    body = render_body("|a|\n|-|\n|<table><tr><td>b</td></tr></table>|\n\n```\nx\n```\n").html
    page = lxml_html.fragment_fromstring(article_body(body, URL, "", '"T"'), create_parent="main")
    assert all(
        table.getparent().get("role") == "group" and table.getparent().get("aria-label") == '"T"'
        for table in page.iter("table")
    )
    assert [pre.get("tabindex") for pre in page.iter("pre")] == ["0"]


def test_lists_of_tasks_have_boxes_and_no_marks() -> None:
    body = article_body(render_body("- [x] a\n- [ ] b\n- c\n\n1. x\n\n- [x] d\n\n- [ ] e\n").html, URL, "", "")
    assert body.count('<li class="task">') == 4 and body.count("<li>") == 2


def test_words_in_attributes_that_look_like_elements_change_nothing() -> None:
    evil = '<abbr title="&lt;table&gt;&lt;pre&gt;&lt;code class=&quot;language-py&quot;&gt;if">a</abbr>'
    assert article_body(render_body(evil).html, URL, "", "") == render_body(evil).html


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1])
def test_all_colours_of_code_can_be_read(scheme: int) -> None:
    style = Path(resources.STATIC / "style.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    tokens = {**dict(re.findall(r"--([a-z]+): (#\w+);", blocks[0])), **dict(re.findall(r"--([a-z]+): (#\w+);", blocks[scheme]))}
    used = dict(re.findall(r"^((?:\.t[a-z](?:, )?)+) \{ color: var\(--([a-z]+)\)", style, re.MULTILINE))
    classes = {name for names in used for name in re.findall(r"\.(t[a-z])", names)}
    assert classes == set(highlight.CLASSES.values())
    for name in used.values():
        light, dark = sorted((luminance(tokens[name]), luminance(tokens["card"])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_pages_colour_code_and_feeds_do_not(web_site: Any, make_client: Callable[[Any], Any]) -> None:
    web_site.write("100.md", title="码", date="2020-03-01 00:00:00", body="```py\nif a:\n\tpass\n```\n\nx[^1]\n\n[^1]: note")
    web_site.rescan()
    client = make_client(web_site)
    page = client.get("/articles/100", headers={"Accept-Language": "zh-CN"}).text
    assert '<span class="tk">if </span>' in page and "\n\t" in page and 'aria-label="返回正文"' in page
    assert re.search(r'href="#[a-z0-9-]+-fn-1"', page) and "style=" not in page.partition('<div class="body')[2]
    feed = client.get("/all.atom").text
    assert "language-py" in feed and "span class" not in feed and "aria-label" not in feed
    assert re.search(r"http://localhost/articles/100#[a-z0-9-]+-fn-1\b", feed)
