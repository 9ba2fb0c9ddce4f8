"""Addresses of articles, of links and pictures in them: kept without the site's own, completed where they are read."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import nh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feeds import urls
from feeds.config.models import Site
from feeds.store import addresses, markdown
from feeds.store.bodies import constructs, tree

#: None is a page of one of SITES: there, what is beside an article is published by another way, or its words stay.
PAGES = [
    "https://linux.cn/article-7-1.html",
    "http://127.0.0.1:8000/reading/7",
    "https://h.example/a/b/c/d/e/%E5%86%85.html?id=7&b=/x",
    "https://h.example?id=7",
    "https://H.example:443/../x/./y;z",
]
SITES = [Site(image_url="https://img.linux.net.cn"), Site(base_url="http://127.0.0.1:8000", image_url="")]
_ROOTED = re.compile(r"""(<img\s(?:[^<>]*?\s)?src=["']?)/(?!/)""", re.IGNORECASE)


def directly(text: str, site: Site, url: str) -> str:
    """The HTML that the sanitizer makes where it is given the address of the article at once."""
    prepared = constructs.prepare(text)
    mended = tree.mend(prepared.restore(markdown._to_html(prepared)), prepared, "in-", alone=True).html
    raw = _ROOTED.sub(rf"\g<1>{site.image_url or site.base_url}/", mended)
    cleaner = nh3.Cleaner(
        markdown._TAGS,
        {"script", "style"},
        {**markdown._ATTRIBUTES, "code": {"class"}, "*": {*markdown._ATTRIBUTES["*"], "id"}},
        url_schemes=set(addresses.SCHEMES),
        url_relative=("rewrite_with_base", url),
    )
    return markdown._ILLEGAL.sub("", cleaner.clean(raw))


def later(text: str, site: Site, url: str) -> str:
    return addresses.complete_links(site, markdown.render_html(text), url)


SEGMENTS = st.sampled_from(["..", ".", "x", "内核", "a b", "%2e%2e", "%41", "", "x.html", "a;b", "h.example", "h:443", "h:80"])
PATHS = st.lists(SEGMENTS, max_size=9).map("/".join)
ENDS = st.sampled_from(["", "#part", "?a=1&b=2", "?a#b", "#", "?", "&quot;", "'", "\\x"])
STARTS = [
    "",
    "/",
    "//",
    "///",
    "./",
    "https://",
    "http://",
    "HTTP://",
    "https:",
    "http:",
    "mailto:",
    "ftp://",
    "javascript:",
    " ",
]
LINKS = st.builds("".join, st.tuples(st.sampled_from(STARTS), PATHS, ENDS))
FORMS = [
    "[x]({})",
    "![x]({})",
    "[x](<{}>)",
    '<a href="{}">x</a>',
    "<A HREF='{}'>x</A>",
    '<img alt="" src="{}">',
    "<a href={}>x</a>",
]
BODIES = st.lists(st.builds(str.format, st.sampled_from(FORMS), LINKS) | st.text(max_size=9), max_size=6).map("\n\n".join)


@given(BODIES, st.sampled_from(SITES), st.sampled_from(PAGES))
@example("[a](//h.example:80/x) [b](//h.example:443/x)", SITES[1], PAGES[1])
@example("[a](../../../../../../../../../x)", SITES[0], PAGES[2])
@example('<a href="//[">x</a><a href="">y</a>', SITES[0], PAGES[0])
@example("![x]()", SITES[0], PAGES[0])
def test_a_link_leads_where_it_would_if_it_had_been_completed_at_once(text: str, site: Site, url: str) -> None:
    assert later(text, site, url) == directly(text, site, url)


@pytest.mark.corpus
def test_every_real_body_is_what_it_would_be_if_it_had_been_completed_at_once(corpus: Path) -> None:
    for path in sorted(corpus.rglob("*.md")):
        text = path.read_text("utf-8-sig")
        assert later(text, SITES[0], PAGES[0]) == directly(text, SITES[0], PAGES[0]), path


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("![x](a.png)", "x"),
        ("![x](./)", "x"),
        ('<img src="../b.png" alt="y">', "y"),
        ("![x](/c.png)", "http://127.0.0.1:8000/c.png"),
    ],
)
def test_beside_an_article_that_is_read_here_there_is_no_picture_but_those_that_are_published(written: str, shown: str) -> None:
    found = later(written, SITES[1], "http://127.0.0.1:8000/articles/7")
    assert shown in found and ("<img" in found) == shown.startswith("http")


MARKS = [addresses.RELATIVE, addresses.PICTURE, "&#1;", "&#2;", "&#x01;", "&#x2"]


@given(st.lists(st.sampled_from([*MARKS, ' href="', ' src="', '"', "x", "`", "<b>", "<a", ">", "<img", " "]), max_size=14))
@example(['`<a href="', "&#1;", '/x"`'])
@example(["<b>", ' href="', "&#1;", "x", '"'])
def test_nobody_can_write_a_mark(pieces: list[str]) -> None:
    """Beside a link that gets one: what an author wrote is dropped from texts and addresses, as XML forbids it."""
    written = markdown.render_html("".join(pieces))
    for found in (written, markdown.render_html("".join(pieces) + "\n\n[y](z) ![y](/z)")):
        real = re.findall(r'<(?:a|img)(?: [a-z]+="[^"]*")*? (?:href|src)="[\x01\x02]', found)
        assert len(real) == len(re.findall("[\x01\x02]", found))
        assert not re.search("[\x01\x02]", addresses.complete_links(SITES[0], found, PAGES[0]))


def test_what_stands_for_a_mark_on_the_way_is_of_the_text_itself() -> None:
    """Who looks up the hash of a text and writes it down has another text, with another hash."""
    text = "[x](y)"
    for _round in range(3):
        text = f"{text} {hashlib.sha256(text.encode()).hexdigest()[:40]}r"
    body = markdown.render_html(text)
    assert body.count(addresses.RELATIVE) == 1 and body.endswith(f"{text.removeprefix('[x](y)')}</p>\n")


@pytest.mark.parametrize("url", ["https://1.2.3.999/x", "https://h.example:99999/x", "https://[::1/x"])
def test_a_link_against_no_address_is_left_out_and_its_words_stay(url: str) -> None:
    assert "href" not in later("[word](x) [other](https://h.example/)", SITES[0], url).partition("word")[0]
    assert "word" in later("[word](x)", SITES[0], url)


def test_a_body_without_relative_addresses_is_given_as_it_is_kept() -> None:
    body = markdown.render_html("[x](https://h.example/a?b=1&c=2) ![y](http://h.example/z.png) <me@h.example>")
    assert not re.search("[\x01\x02]", body) and addresses.complete_links(SITES[0], body, PAGES[0]) is body


# -- pictures and pages ------------------------------------------------------


@given(LINKS, st.sampled_from(["https://img.example", "http://img.example/base", "https://IMG.example:8443/a/b"]))
@example("/?", "https://img.example")
def test_a_picture_of_a_header_is_completed_as_an_address_is(written: str, image_url: str) -> None:
    reference = markdown.one_line(written)
    site = Site(image_url=image_url)
    assert addresses.picture_url(site, reference, "https://example.org/") == (
        urls.absolute_url(reference, f"{image_url}/") if reference else ""
    )


@pytest.mark.parametrize(
    ("article_url", "permalink", "url"),
    [
        ("", "/a.html", "https://feeds.example/articles/7"),
        ("https://h.example{permalink}", "/a.html", "https://h.example/a.html"),
        ("https://h.example{permalink}", "", "https://feeds.example/articles/7"),
        ("https://h.example/{id}", "", "https://h.example/7"),
        ("https://h.example{permalink}", "https://other.example/a", "https://other.example/a"),
        ("https://h.example{permalink}", "https://[", "https://feeds.example/articles/7"),
    ],
)
def test_the_address_of_an_article_is_made_where_it_is_read(article_url: str, permalink: str, url: str) -> None:
    site = Site(base_url="https://feeds.example", article_url=article_url)
    assert addresses.article_url(site, "/articles/7", permalink, "7") == url


def test_an_article_that_an_older_program_read_keeps_its_address_until_its_file_is_read_again() -> None:
    site = Site(base_url="https://new.example")
    assert addresses.article_url(site, "https://old.example/articles/7", "", "7") == "https://old.example/articles/7"
