"""The words by which articles are found: the same for all ways of writing, and for anything that may be written."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opencc import OpenCC

from feeds.store import search_words
from feeds.store.search_words import article_words, clean_query, html_text, name_words, sought_words, text_words, written_parts

#: What is written on the left is found by each of the others, and by nothing else of them all.
SAME = [
    ("Linux 内核", ["linux", "LINUX", "ＬＩＮＵＸ", "内核", "內核", "核", "内", "Linux内核"]),
    ("Café São", ["cafe", "CAFÉ", "cafe\u0301", "sao"]),
    ("running kernels", ["run", "runs", "kernel", "Kernels"]),
    ("node.js", ["node", "js", ".js", "node.js", "Node.JS", "node-js"]),
    ("C++17 与 C#", ["C++", "c++17", "c#", "17"]),
    ("ASP.NET", [".net", "asp", "asp.net", "NET"]),
    ("TCP/IP", ["tcp", "ip", "tcp/ip", "tcp-ip"]),
    ("Python3", ["python", "python3", "3"]),
    ("O’Reilly", ["O'Reilly", "reilly"]),
    ("tcp_set_state", ["set_state", "state", "states"]),
    ("Ядро ёлка", ["ядро", "ЯДРО", "елка"]),
    ("हिन्दी", ["हिन्दी"]),
    ("커널 개발", ["커널", "커", "널"]),
    ("カーネル ﾃｽﾄ", ["カーネル", "ネル", "テスト"]),
    ("🐧 ①", ["🐧", "1"]),
    ("soft\u00adware 内\u200b核", ["software", "内核"]),
    ("Straße Øl", ["strasse", "ol"]),
    ("𠀀𠀁", ["𠀀𠀁", "𠀁"]),
    ("AT&T R&D", ["at&t", "r&d"]),
]


def finds(text: str, query: str) -> bool:
    """Whether a text has all that is looked for, as the index decides it."""
    words = set(article_words("", "", text).split())
    sought = sought_words(clean_query(query))
    return bool(sought) and all(
        set(one.words) <= words and all(any(word.startswith(start) for word in words) for start in one.begins) for one in sought
    )


@pytest.mark.parametrize(("text", "queries"), SAME)
def test_a_text_is_found_however_its_words_are_written(text: str, queries: list[str]) -> None:
    assert [query for query in queries if not finds(text, query)] == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("C language", "C++"),
        ("js and node", "node.js"),
        ("IO", "iOS"),
        ("network", ".NET"),
        ("内容与核心", "内核"),
        ("++", "C++"),
        ("x", "%"),
    ],
)
def test_what_only_looks_like_it_is_not_found(text: str, query: str) -> None:
    assert not finds(text, query)


def test_markup_neither_hides_words_nor_joins_them() -> None:
    assert finds("<p>内<b>核</b></p>", "内核") and finds("<p>内\n核</p>", "内核")
    assert not finds("<p>内</p><p>核</p>", "内核") and not finds("<p>op</p><p>en</p>", "open")
    assert html_text('<a title="x > y">A</a>&amp;<ruby>世<rt>shì</rt></ruby>') == "A&世"
    assert not finds('<a href="https://secret.example">A</a>', "secret")


def test_characters_that_are_folded_are_those_of_the_library() -> None:
    library = OpenCC("t2s")
    rows = b"".join(bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF)).decode("gb2312", "ignore")
    assert {one for one in rows if library.convert(one) != one} == set(search_words._FOLDED_IN_GB2312)


TEXTS = st.text() | st.text(alphabet="内核云ab1.+#-/' \n<>&é１Ａ後𠀀🐧\u0301\u200b")


@given(TEXTS)
def test_any_text_has_words_that_are_found_again(text: str) -> None:
    words = text_words(text)
    assert len(words) == len(set(words))
    for word in words:
        assert word and not set(word) & set(" \n\"'%_\\"), "no sign of a database"
    assert not {word[0] for word in words} & {search_words.TITLE, search_words.SUMMARY}
    assert isinstance(name_words(text), str) and isinstance(html_text(text), str)
    for one in sought_words(clean_query(text)):
        assert written_parts(one) is not None


@given(TEXTS.filter(lambda text: clean_query(text) == text))
@example("®")
@example("©2024 °C ¦")
def test_a_text_is_found_by_itself(text: str) -> None:
    words = set(text_words(text))
    for one in sought_words(text):
        if '"' not in text and "“" not in text and "「" not in text:
            assert set(one.words) <= words, one


@given(TEXTS)
def test_the_way_for_ascii_gives_what_the_way_for_all_scripts_gives(text: str) -> None:
    folded = search_words.fold(text)
    plain = "".join(one for one in folded if one.isascii() or search_words._RUN.match(one))
    by_bytes = set().union(*map(search_words._parts, search_words._written_words(plain)))
    assert by_bytes == set().union(*map(search_words._parts, search_words._WORD.findall(plain)))
