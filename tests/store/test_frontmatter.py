"""A file's text -> article, problem or draft. Cases are files: `tests/cases/frontmatter/NAME.md` beside `NAME.json`.

A JSON file says what differs from the plainest article (`PLAIN` below), or the problem, or that it is a draft. The path of
every case is `2020/01/7.md`.
"""

from __future__ import annotations

import contextlib
import json
import string
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from feeds.config.models import Site
from feeds.model import ParsedArticle, Problem
from feeds.store import frontmatter
from feeds.store.parse import parse_article
from feeds.store.parse_settings import ParseSettings

from .completed import completed

CASES = Path(__file__).resolve().parents[1] / "cases" / "frontmatter"
PATH = "2020/01/7.md"
SETTINGS = ParseSettings("/store", "Asia/Shanghai", 1 << 20)
PLAIN = {
    "id": "7",
    "url": "https://feeds.example/articles/7",
    "title": "甲",
    "summary": "正文。",
    "html": "<p>正文。</p>\n",
    "published": "2019-12-31T16:00:00+00:00",
    "updated": "2019-12-31T16:00:00+00:00",
    "original": "",
    "picture": "",
    "comments": 0,
    "editor_choice": False,
    "names": {},
}


def read(data: str | bytes, path: str = PATH, mtime: float = 0) -> Any:
    found = parse_article(SETTINGS, path, data if isinstance(data, bytes) else data.encode(), mtime, now=7_300_000_000).result
    return completed(found) if isinstance(found, ParsedArticle) else found


def as_json(result: ParsedArticle | Problem | None) -> dict[str, Any]:
    if result is None:
        return {"draft": True}
    if isinstance(result, Problem):
        assert result.path == PATH
        return {"problem": {name: getattr(result, name) for name in ("line", "column", "reason", "kind")}}
    article = {name: getattr(result, name) for name in PLAIN}
    for name in ("published", "updated"):
        article[name] = article[name].isoformat()
    article["names"] = {facet: list(names) for facet, names in result.names.items()}
    return {"article": article}


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.md")))
def test_a_file_reads_as_its_case_says(name: str) -> None:
    expected = json.loads((CASES / f"{name}.json").read_text("utf-8"))
    if "article" in expected:
        expected["article"] = PLAIN | expected["article"]
    assert as_json(read((CASES / f"{name}.md").read_bytes())) == expected


def test_every_case_has_both_files() -> None:
    assert {path.stem for path in CASES.glob("*.md")} == {path.stem for path in CASES.glob("*.json")} != set()


def test_both_schema_versions_of_an_article_read_the_same(text_of: Any) -> None:
    old, new = text_of(PATH), text_of(PATH).replace("\ncategory:", "\ncategories:")
    assert old != new
    assert read(old) == read(new)


def test_the_archives_schema_reads_completely(text_of: Any) -> None:
    found = read(text_of(PATH, tags=["Linux", "内核"], translator="geekpi", reviewer="wxy, pityonline", selector="lkxed"))
    assert found.names == {
        "tag": ("Linux", "内核"),
        "translator": ("geekpi",),
        "author": ("Ada Example",),
        "selector": ("lkxed",),
        "reviewer": ("wxy", "pityonline"),
        "category": ("技术",),
    }
    assert (found.id, found.url, found.original) == ("7", "https://linux.cn/article-7-1.html", "https://example.org/original")
    assert found.picture == "https://img.linux.net.cn/data/attachment/album/202001/02/030405cover.png"
    assert found.published == datetime(2020, 1, 1, 19, 4, 5, tzinfo=UTC)


# -- where an article's own address leads ------------------------------------


def _url(article_url: str, header: str) -> str:
    found = parse_article(SETTINGS, "a/b.md", f"---\n{header}\n---\n".encode(), 0, now=7_300_000_000).result
    assert isinstance(found, ParsedArticle)
    return completed(found, Site(base_url="https://feeds.example", article_url=article_url)).url


@pytest.mark.parametrize(
    ("article_url", "header", "url"),
    [
        ("", "permalink: /article-7-1.html", "https://feeds.example/articles/b"),
        ("", "permalink: https://elsewhere.example/7", "https://feeds.example/articles/b"),
        ("", "id: C/D", "https://feeds.example/articles/C~2FD"),
        ("https://h.example/p/{id}/", "id: 7", "https://h.example/p/7/"),
        ("https://h.example/p/{id}/", "id: 中文 x", "https://h.example/p/%E4%B8%AD%E6%96%87%20x/"),
        ("https://h.example{permalink}", "permalink: /a?b=1&c=2#d", "https://h.example/a?b=1&c=2#d"),
        ("https://h.example{permalink}", "permalink: ''", "https://feeds.example/articles/b"),
        ("https://h.example/sub{permalink}", "permalink: x.html", "https://h.example/sub/x.html"),
    ],
)
def test_the_address_of_an_article_follows_article_url(article_url: str, header: str, url: str) -> None:
    assert _url(article_url, header) == url


# -- dates -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "published"),
    [
        ("2019/05/12345.md", "2019-05-01"),
        ("2019/05/99999.md", "2019-05-01"),
        ("2019/12345.md", "2019-01-01"),
        ("2019/05/06/x.md", "2019-05-06"),
        ("content/2019/05/x.md", "2019-05-01"),
        ("x/20190307 标题.md", "2019-03-07"),
        ("x/2019-03-07-title.md", "2019-03-07"),
        ("2018/01/20190307 标题.md", "2019-03-07"),
        ("2019/13/x.md", "2001-09-09"),
        ("12019/05/x.md", "2001-09-09"),
        ("x.md", "2001-09-09"),
    ],
)
def test_a_missing_date_is_taken_from_the_name_then_the_folder_then_the_time_stamp(path: str, published: str) -> None:
    found = read("---\ntitle: x\n---\n", path, mtime=1_000_000_000)
    shanghai = found.published + (timedelta(hours=8) if published != "2001-09-09" else timedelta())
    assert shanghai.date().isoformat() == published


@pytest.mark.parametrize("mtime", [-1e18, -1.5, 0, 1e10, 1e18])
def test_any_time_stamp_of_a_file_gives_a_date(mtime: float) -> None:
    found = read("---\ntitle: x\n---\n", "x.md", mtime)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= found.published <= datetime(2200, 1, 1, tzinfo=UTC)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)))
def test_a_naive_date_is_site_time_and_an_aware_one_is_itself(when: datetime) -> None:
    naive = read(f"---\ndate: '{when:%Y-%m-%d %H:%M:%S}'\n---\n")
    aware = read(f"---\ndate: '{when:%Y-%m-%dT%H:%M:%S}-03:30'\n---\n")
    exact = when.replace(microsecond=0, tzinfo=UTC)
    assert aware.published == exact + timedelta(hours=3, minutes=30)
    if when.year > 1991:  # before, Shanghai had summers
        assert naive.published == exact - timedelta(hours=8)


# -- the guard ---------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "a: " + "[" * 200_000,
        "a: " + "{x: " * 50_000,
        "- " * 50_000,
        "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "x: " + "59:" * 100_000 + "59",
        "x: " + "1" * 500_000,
        "'" * 200_001,
    ],
    ids=["sequences", "mappings", "blocks", "aliases", "sexagesimal", "digits", "quotes"],
)
def test_a_bomb_in_a_header_costs_little(header: str) -> None:
    before = time.process_time()
    read(f"---\n{header}\n---\n")
    assert time.process_time() - before < 1


def _by_libyaml(header: str) -> object:
    """Return what a header holds, None where it is refused; a comment line is left to libyaml, with all that follows it."""
    with contextlib.suppress(frontmatter.BadFrontMatter):
        return frontmatter.parse_yaml(f"#\n{header}", first_line=1)
    return None


_VALUES = st.sampled_from(
    [
        "a",
        "''",
        "'it''s'",
        '"a\\n"',
        '"\\u4e2d"',
        '"\\/"',
        "http://a/b",
        "a#b",
        "a ",
        "甲, 乙",
        "'#: ['",
        "null",
        "x]",
        "[]",
        "",
    ]
)
_NAMES = st.sampled_from(["a", "b", "x-y", "comments_data"])
_LINES = st.lists(st.sampled_from(["- ", "  ", "- a: ", "  a: ", "  b: "]).flatmap(lambda begin: _VALUES.map(begin.__add__)))
_ENTRIES = st.builds(lambda name, value, lines: "\n".join([f"{name}: {value}".rstrip(), *lines]), _NAMES, _VALUES, _LINES)
_PIECES = st.sampled_from(list(":#-'\"\\ [{&*!|>?%@`\t\x85\u2028\ufeff\x00\u3000\n")) | st.sampled_from(
    ["\n  ", "\n- ", "\n...\n"]
)


@given(st.lists(_ENTRIES, min_size=1, max_size=4).map("\n".join), st.integers(0, 60), _PIECES | st.just(""))
@example("a: b:", 0, "")
@example("a: 'b'\na: c", 0, "")
@example("a:\n- b\n c", 0, "")
@example("a:\n- b: c", 0, "")
@example("comments_data:\n- a: b\n  a: c\nx: y", 0, "")
@example("comments_data: []\nx: y\ncomments_data: z", 0, "")
def test_a_header_of_whole_lines_reads_as_libyaml_reads_it(header: str, at: int, piece: str) -> None:
    for text in (header, header[:at] + piece + header[at:] + "\n"):
        try:
            found = frontmatter.parse_yaml(text)
        except frontmatter.BadFrontMatter:
            continue  # said by libyaml
        assert found == _by_libyaml(text.removeprefix("\ufeff"))


def test_comments_are_not_even_built() -> None:
    header = "title: x\ncomments_data:\n- {message: SECRET, nested: {deep: [SECRET]}}\n- SECRET\nauthor: Ada"
    assert frontmatter.parse_yaml(header) == {"title": "x", "author": "Ada"}


def test_a_header_with_a_thousand_comments_is_read_fast() -> None:
    comment = (
        "- date: '2024-01-01 00:00:00'\n  message: \"一条<br />\\r\\n评论\"\n  postip: 192.0.2.1\n  username: 来自某地的用户\n"
    )
    text = f"---\ntitle: x\ncomments_data:\n{comment * 1178}---\n正文"
    before = time.process_time()
    assert isinstance(read(text), ParsedArticle)
    assert time.process_time() - before < 1


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_line_ends_byte_order_marks_and_a_last_newline_make_no_difference(ending: str, mark: str, last: str) -> None:
    text = "---\ntitle: x\ntags:\n- a\n---\n\n一\n\n二" + last
    assert read(mark + text.replace("\n", ending)) == read(text)


# -- totality ----------------------------------------------------------------

KEYS = [
    *("author", "category", "categories", "comments_data", "count", "date", "updated", "editorchoice", "excerpt", "summary"),
    *("fromurl", "id", "islctt", "largepic", "permalink", "pic", "related", "reviewer", "selector", "tags", "thumb", "title"),
    *("titlepic", "translator", "draft", "published", "tag", "authors", "description"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.dates(),
    st.datetimes(),
    st.sampled_from(
        ["~", "null", "0000-00-00 00:00:00", "http://[", "//", "/", "https://é.example/x", "a, b、c", "\x00", "—" * 400]
    ),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8), st.text(max_size=60))
def test_whatever_the_fields_hold_a_file_is_an_article_a_problem_or_a_draft(fields: dict[str, Any], body: str) -> None:
    header = yaml.safe_dump(fields, allow_unicode=True)
    _check(read(f"---\n{header}---\n{body}".encode("utf-8", "surrogatepass")))


@given(st.text(max_size=300))
@example("---\n---\n")
@example("[#]: \n")
@example("---\n\x85: \u2028\n---\n")
def test_whatever_a_text_is_a_file_is_an_article_a_problem_or_a_draft(text: str) -> None:
    _check(read(text.encode("utf-8", "surrogatepass")))
    _check(read(f"---\n{text}\n---\n".encode("utf-8", "surrogatepass")))
    _check(read(f'[#]: subject: "{text}"\n\n{text}\n======\n{text}'.encode("utf-8", "surrogatepass")))


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=8))
def test_a_damaged_file_is_an_article_a_problem_or_a_draft(noise: bytes, at: int, piece: bytes) -> None:
    text = (CASES / "scalar-styles.md").read_bytes()
    for damaged in (noise, text[:at], text[:at] + piece + text[at:], text[:at] + piece + text[at + len(piece) :]):
        _check(read(damaged))


def _check(result: Any) -> None:
    """What the rest of the house relies on."""
    if result is None:
        return
    if isinstance(result, Problem):
        assert result.reason and result.line >= 0 and result.column >= 0
        return
    assert isinstance(result, ParsedArticle)
    for value in asdict(result).values():
        assert not any(char in str(value) for char in "\x00\x0b\x1f\ufffe\uffff")
        str(value).encode()
    assert result.id and result.title and result.published <= result.updated
    assert result.published.tzinfo is UTC
    assert "\n" not in result.title + result.summary + result.id
    for url in filter(None, (result.url, result.original, result.picture)):
        assert url.isascii() and url.startswith(("http://", "https://")) and not set(url) & set(string.whitespace + '<>"')
    for names in result.names.values():
        assert names and all(name == name.strip() != "" for name in names)
        assert len({name.casefold() for name in names}) == len(names)
