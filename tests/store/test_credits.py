"""Credits of translation projects: who they name, where the original is, and a text that holds none of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feeds.store.frontmatter import Source, read_source, select_forms
from feeds.store.headers.credits import find_credits, take_heading, with_credits

from ..examples import some

FORMS = select_forms(("yaml", "toml", "json", "bare", "credits", "lctt", "none"))
TEXT = "一段话。\n\n```sh\n译者：no\n```\n\n又一段。\n"


def read(text: str) -> Source:
    return read_source(text, "a.md", FORMS)


FOUND: dict[str, tuple[str, dict[str, Any]]] = {
    "quoted list": (
        "> * 原文地址：[Doors](https://example.com/doors)\n> * 原文作者：[Sam Tull](https://example.com/@sam)\n"
        "> * 译文出自：[某计划](https://example.org/plan)\n"
        "> * 本文永久链接：[https://example.org/a.md](https://example.org/a.md)\n> * 译者：[甲](https://example.com/jia)\n"
        "> * 校对者：[乙](https://example.com/yi)、[丙](https://example.com/bing)\n\n# 门\n\n" + TEXT,
        {
            "title": "门",
            "fromurl": "https://example.com/doors",
            "author": ["Sam Tull"],
            "permalink": "https://example.org/a.md",
            "translator": ["甲"],
            "reviewer": ["乙", "丙"],
        },
    ),
    "quote on the first line only": (
        "\n>* 原文链接 : [Walls](https://example.com/walls_(a))\n* 原文作者 : [Uma](https://example.com/u)\n* 译者 : [丁](https://e.com)\n"
        "* 校对者:  [甲](https://e.com), [戊](https://e.com)\n* 状态 :  完成\n\n墙\n==\n\n" + TEXT,
        {
            "title": "墙",
            "fromurl": "https://example.com/walls_(a)",
            "author": ["Uma"],
            "translator": ["丁"],
            "reviewer": ["甲", "戊"],
        },
    ),
    "names without links": (
        "> -   原文地址：[Windows 窗户](https://example.com/windows/)\n> -   原文作者：Xia Zed\n"
        "> -   译者：己六, 庚七\n> -   校对者：\n\n" + TEXT,
        {
            "title": "Windows 窗户",
            "fromurl": "https://example.com/windows/",
            "author": ["Xia Zed"],
            "translator": ["己六", "庚七"],
        },
    ),
    "a list with an empty line in the quote": (
        "  > * 原文地址：[X](https://example.com/x)\n  >\n  > * 译者：[甲](https://e.com)\n\n# 题\n" + TEXT,
        {"title": "题", "fromurl": "https://example.com/x", "translator": ["甲"]},
    ),
    "a link on two lines": (
        "> * 原文地址：[X\n](https://example.com/x)\n* 译者：[甲](https://e.com) [乙](https://e.com)\n\n# 题\n" + TEXT,
        {"title": "题", "fromurl": "https://example.com/x", "translator": ["甲", "乙"]},
    ),
    "behind a heading and a line": (
        "# 题\n\n本文已授权。\n\n>* 原文链接 : [X](https://example.com/x)\n* 原文作者 : [A]()\n* 译者 : 甲乙 丙丁\n\n" + TEXT,
        {"title": "题", "fromurl": "https://example.com/x", "author": ["A"], "translator": ["甲乙", "丙丁"]},
    ),
    "a sentence around a name": (
        "> * 原文地址：<https://example.com/x>\n> * 原文作者：本文已获 [Sam Buna](https://e.com) 授权\n"
        "> * 译者：`甲`\n\n# **题**\n" + TEXT,
        {"title": "题", "fromurl": "https://example.com/x", "author": ["Sam Buna"], "translator": ["甲"]},
    ),
    "after the text": (
        "首发于：https://example.org/1\n\n# 题\n\n" + TEXT + "\n---\n\nvia: https://example.com/x/\n\n"
        "作者：[Abe Coy](https://e.com)\n译者：[庚](https://e.com)\n校对：[辛](https://e.com)\n\n"
        "本文由 [某组](https://e.com) 原创编译，[某网](https://e.com) 荣誉推出\n",
        {
            "title": "题",
            "permalink": "https://example.org/1",
            "fromurl": "https://example.com/x/",
            "author": ["Abe Coy"],
            "translator": ["庚"],
            "reviewer": ["辛"],
        },
    ),
    "after the text, with another label and a bare address": (
        "# 题\n\n"
        + TEXT
        + "\n---\nhttps://example.com/x\n作者：[A](https://e.com)\n译者：[庚](https://e.com)\n\n[1]: https://e.com/1\n",
        {"title": "题", "fromurl": "https://example.com/x", "author": ["A"], "translator": ["庚"]},
    ),
    "lines behind a bare header": (
        'title: "题"\ndate: 2019-05-06\n\n---\n\n原文链接=https://example.com/heap/\n'
        "作者=JOY KAY\n原文日期=2019-01-07\n译者=Lio\n"
        "校对=Mo,Nan\n定稿=Oz\n\n<!--此处开始正文-->\n" + TEXT,
        {
            "title": "题",
            "date": "2019-05-06",
            "fromurl": "https://example.com/heap/",
            "author": ["JOY KAY"],
            "original_date": "2019-01-07",
            "translator": ["Lio"],
            "reviewer": ["Mo", "Nan"],
            "selector": ["Oz"],
        },
    ),
    "in bold, behind the original in comments": (
        "---\ntitle: 题\n---\n\n<!--\n**Author:** Sam\n-->\n**作者：** Sam Lee (ACME)、[Kim](https://e.com) (Other)\n\n"
        "**译者**：[甲](https://e.com)\n\n" + TEXT,
        {"title": "题", "author": ["Sam Lee", "Kim"], "translator": ["甲"]},
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_credits_are_fields_and_no_part_of_the_text(name: str) -> None:
    text, fields = FOUND[name]
    source = read(text)
    assert source.fields == fields
    assert "credits" in source.form
    kept = source.body.replace("译者：no", "")
    assert not [
        label for label in ("原文", "译者", "作者", "校对", "首发于", "via", "定稿", "原创编译", "状态") if label in kept
    ]
    assert TEXT.strip() in source.body


def test_what_credits_do_not_take_stays_as_it_is() -> None:
    source = read(FOUND["after the text, with another label and a bare address"][0])
    assert source.body == TEXT + "\n[1]: https://e.com/1\n"


@pytest.mark.parametrize("value", ["", " ", "[]()", "[译者ID](https://github.com/译者ID)", "待认领", "无"])
def test_a_translator_who_is_asked_for_and_not_named_makes_a_file_that_is_not_translated(value: str) -> None:
    fields = read(
        f"> * 原文地址：[Still](https://example.com/s)\n> * 译者：{value}\n> * 校对者：[]()\n\n# Still\n\nText.\n"
    ).fields
    assert fields == {"title": "Still", "fromurl": "https://example.com/s", "translator": "", "untranslated": "译者"}


def test_what_templates_hold_is_empty() -> None:
    fields = read(
        "# 标题\n\n正文\n\n----\n\nvia: 原文链接\n\n作者：[作者名](主页)\n译者：[译者ID](主页)\n校对：[校对者ID](主页)\n"
    ).fields
    assert fields == {"title": "标题", "translator": "", "untranslated": "译者"}


def test_a_header_that_names_somebody_counts_before_the_credits() -> None:
    body = "> * 原文地址：[X](https://example.com/x)\n> * 译者：\n> * 校对者：乙\n\n正文\n"
    source = with_credits(Source({"translators": ["甲"], "title": "题"}, body, "yaml"))
    assert source.fields == {"translators": ["甲"], "title": "题", "fromurl": "https://example.com/x", "reviewer": ["乙"]}
    assert (source.body, source.form) == ("正文\n", "yaml + credits")


@pytest.mark.parametrize(
    "text",
    [
        "# 积分\n\n| 译者 | 积分 |\n|---|---|\n| 甲 | 1 |\n",
        "作者：今天天气很好，我想说几句话。\n\n正文。\n",
        "```\n> * 原文地址：[X](https://example.com/x)\n> * 译者：甲\n```\n\n正文。\n",
        "正文。\n\n```\nvia: https://example.com\n\n作者：[a](https://e.com)\n译者：[b](https://e.com)\n",
        "    > * 原文地址：[X](https://example.com/x)\n    > * 译者：甲\n\n正文。\n",
        "正文。\n\n译者注：这里有误。\n",
        "翻译：作为一个开发者，你应该学习它。\n\n正文。\n",
        "正文\n\n本文由某组原创编译\n",
    ],
)
def test_words_in_a_text_or_in_code_are_no_credits(text: str) -> None:
    assert find_credits(text) is None
    assert read(text).body == text


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# 题 #\n\nx", "题", "x"),
        ("---\n\n![](a.png)\n\n## 题 \\#1\n\nx", "题 #1", "---\n\n![](a.png)\n\n\nx"),
        ("题\n===\nx", "题", "x"),
        ("[题](https://e.com)\n===\nx", "题", "x"),
        ("x\n\n# 题", "", "x\n\n# 题"),
        ("", "", ""),
    ],
)
def test_a_heading_is_taken_where_the_text_begins_with_it(text: str, title: str, body: str) -> None:
    assert take_heading(text) == (title, body)


@pytest.mark.parametrize(
    "text",
    [
        "译者：" + "[" * 100_000,
        "译者：" + "、" * 100_000 + "a(" * 1000,
        "> * 译者：[x](" + "(" * 100_000,
        "> * 译者：x\n" + "a: b\n" * 50_000,
        "> * 译者：x\n" * 50_000,
        "text\n" * 50_000 + "```\n" * 20_000 + "\n作者：[x](y)\n译者：[z](y)\n",
        "<!--\n" * 100_000 + "译者：x",
        "# " + " #" * 100_000 + "x\n\n作者：x\n译者：y",
        "作者：" + " " * 100_000 + "x\n译者：y\n" + "本文由" * 50_000,
        "-" + " " * 200_000 + "x\n译者：",
    ],
)
def test_a_long_file_costs_little(text: str) -> None:
    before = time.process_time()
    find_credits(text)
    assert time.process_time() - before < 1


_PIECES = st.sampled_from(
    "译者 ： : = 原文地址 via: [甲](https://e.com/x) 、 , > * ** - --- ``` ~~~ <!-- --> # == 本文由x原创编译 [ ]( ) "
    "作者 校对 http://e.com/ x 译者ID".split()
)


@given(st.lists(_PIECES | st.sampled_from("\n "), max_size=40).map("".join))
@settings(max_examples=some(400))
@example("译者：\n```")
@example("> * 译者：[a\n> * 译者：[a\n")
def test_any_text_has_credits_or_none_and_nothing_new_comes_into_it(text: str) -> None:
    found = find_credits(text)
    if found is None:
        return
    lines = text.split("\n")
    at = 0
    for line in found.body.split("\n"):
        at = lines.index(line, at) + 1 if line else at
    assert all(isinstance(value, (str, list)) for value in found.fields.values())
    assert all(
        name.strip() == name != "" for value in found.fields.values() if isinstance(value, list) for name in map(str, value)
    )
