"""Headers as the generators of sites read them, form by form: fields, body, notices; what is refused, and where."""

from __future__ import annotations

import contextlib
import json
import time
import tomllib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feeds.store import frontmatter
from feeds.store.frontmatter import BadFrontMatter, Source, find_form, read_source, select_forms
from feeds.store.headers.forms import FORMS
from feeds.store.headers.languages import MAX_ALIASED, read_json, read_toml, read_yaml
from feeds.store.kinds import KINDS

from ..examples import some

ALL = ("yaml", "toml", "json", "hexo-json", "bare", "credits", "lctt", "none")


def read(text: str, *names: str) -> Source:
    return read_source(text, "a.md", select_forms(names or ALL))


def refused(text: str, *names: str) -> tuple[int, int, str]:
    with pytest.raises(BadFrontMatter) as caught:
        read(text, *names)
    return caught.value.line, caught.value.column, caught.value.reason


# -- the table ---------------------------------------------------------------


def test_every_form_that_a_kind_of_store_names_is_there() -> None:
    assert all(find_form(name) for kind in KINDS.values() for name in kind.headers)


def test_the_archive_is_read_strictly_and_other_kinds_as_their_generators_do() -> None:
    text = "---\ntitle: a\ntitle: b\n---\n"
    assert refused(text, *KINDS["archive"].headers) == (3, 1, "not YAML: a key is repeated")
    assert all(read(text, *kind.headers).fields["title"] for kind in KINDS.values() if kind.name != "archive")


def test_the_forms_that_packages_install_come_before_the_one_that_reads_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Percent:
        name = "percent"

        def recognizes(self, text: str) -> bool:
            return text.startswith("%")

        def read(self, text: str, path: str) -> Source:
            return Source({"title": text[1:]}, "")

    monkeypatch.setattr(frontmatter, "load_kinds", lambda installed: (*frontmatter.BUILT_IN, Percent()))
    select_forms.cache_clear()
    try:
        assert [form.name for form in select_forms(("yaml", "none"))] == ["yaml", "percent", "none"]
        assert read("%x", "yaml", "none").fields == {"title": "x"}
    finally:
        select_forms.cache_clear()


def test_the_message_of_a_file_that_no_form_recognizes_names_those_that_were_tried() -> None:
    assert refused("text", "yaml") == (1, 1, "no front matter: expected a first line of three hyphens")
    assert refused("text", "yaml", "toml", "json")[2] == (
        "no front matter: expected a first line of three hyphens, a first line of three plus signs, or a JSON object"
    )


# -- one file, in each form ------------------------------------------------------

READ: list[tuple[str, str, dict[str, Any], str]] = [
    ("yaml", "---\ntitle: 007\ntags: [No, 1.10]\n---\nBody\n", {"title": "007", "tags": ["No", "1.10"]}, "Body\n"),
    ("yaml", "\n \n---\ntitle: x\n---\nBody", {"title": "x"}, "Body"),
    ("yaml", "\ufeff\n\ufeff---\ntitle: x\n---\nBody", {"title": "x"}, "Body"),
    ("yaml", "---\ntitle: x\n...\nBody", {"title": "x"}, "Body"),
    ("yaml", "---  \ntitle: x\n--- \nBody", {"title": "x"}, "Body"),
    ("yaml", "-----\ntitle: x\n-----\nBody", {"title": "x"}, "Body"),
    ("yaml", "---\n\n# why\ntitle: x\n---\nBody", {"title": "x"}, "Body"),
    ("yaml", "---\n---\nBody", {}, "Body"),
    ("yaml", "---\n# nothing\n---\nBody", {}, "Body"),
    ("yaml", "---\ntitle: x\n---", {"title": "x"}, ""),
    ("yaml", "---\ntags:\n\t- a\n\t- b\n---\n", {"tags": ["a", "b"]}, ""),
    (
        "yaml",
        "---\nbase: &b {x: '1', y: '2'}\nc: {<<: *b, y: '3'}\n---\n",
        {"base": {"x": "1", "y": "2"}, "c": {"y": "3", "x": "1"}},
        "",
    ),
    (
        "yaml",
        "---\na: &a {k: 1}\nb: &b {k: 2, l: 3}\nc:\n  <<: [*a, *b]\n---\n",
        {"a": {"k": "1"}, "b": {"k": "2", "l": "3"}, "c": {"k": "1", "l": "3"}},
        "",
    ),
    ("yaml", "---\n'<<': x\n---\n", {"<<": "x"}, ""),
    ("yaml", "---\ntitle: !!str 12\ndate: !!timestamp 2020-01-02\n---\n", {"title": "12", "date": "2020-01-02"}, ""),
    ("yaml", "---\na: &x [1]\nb: *x\n---\n", {"a": ["1"], "b": ["1"]}, ""),
    ("yaml", "---\ntitle: x\nComments_Data:\n- {message: SECRET}\n---\n", {"title": "x"}, ""),
    ("yaml", '---json\n{"a": 1}\n---\nBody', {"a": "1"}, "Body"),
    ("yaml", "---toml\na = 1\n---\nBody", {"a": "1"}, "Body"),
    ("yaml", "---yaml\na: 1\n---\nBody", {"a": "1"}, "Body"),
    (
        "toml",
        '\n+++\ntitle = "x"\ndate = 2024-05-06T07:08:09+08:00\n+++\nBody',
        {"title": "x", "date": "2024-05-06T07:08:09+08:00"},
        "Body",
    ),
    (
        "toml",
        "+++\na = 2024-05-06\nb = 07:08:09\nc = 1.10\nd = [1, true]\n+++\n",
        {"a": "2024-05-06", "b": "07:08:09", "c": "1.10", "d": ["1", "true"]},
        "",
    ),
    ("toml", "+++\n[extra]\nkey = 'v'\n+++", {"extra": {"key": "v"}}, ""),
    (
        "json",
        '{\n "a": 1.10, "b": [true, null], "c": {"d": "e"}\n}\n\nBody',
        {"a": "1.10", "b": ["true", ""], "c": {"d": "e"}},
        "\nBody",
    ),
    ("json", '\ufeff{"a": "{\\"}", "comments_data": ["SECRET"]}Body', {"a": '{"}'}, "Body"),
    ("json", '{"a": "\\ud800x"}', {"a": "\ufffdx"}, ""),
    ("hexo-json", '"title": "x",\n"tags": ["a"]\n;;;\nBody', {"title": "x", "tags": ["a"]}, "Body"),
    ("hexo-json", ';;;\n"title": "x",\n;;;\nBody', {"title": "x"}, "Body"),
    ("bare", "title: x\ntags:\n  - a\n---\nBody\n\n---\n", {"title": "x", "tags": ["a"]}, "Body\n\n---\n"),
    ("bare", "\ntitle    : x\n\n- - - -\nBody", {"title": "x"}, "Body"),
    ("bare", "odd: x\nother: y\n---\nBody", {"odd": "x", "other": "y"}, "Body"),
    ("bare", '# 题\n\ntitle: "x"\n---\nBody', {"title": "x"}, "Body"),
    (
        "bare",
        "title:x\ntags: [a][b，c]\nitems:\n- d\nend: 'e'\n\n---\nBody",
        {"title": "x", "tags": ["a", "b", "c"], "items": ["d"], "end": "e"},
        "Body",
    ),
    ("pelican", "Title: On: hammers\nDATE: 2024-05-06\n\nBody", {"title": "On: hammers", "date": "2024-05-06"}, "Body"),
    ("pelican", "---\ntitle: x\ntags: [a]\n---\n\nBody", {"title": "x", "tags": "[a]"}, "\nBody"),
    (
        "pelican",
        "Summary: one\n    two\n\ttree\nTags: a,\n    b\n\nBody",
        {"summary": "one\ntwo\ntree", "tags": "a, b"},
        "Body",
    ),
    ("pelican", "Authors: A;\n    B\nX: 1\nx: 2\nText", {"authors": "A; B", "x": ["1", "2"]}, "Text"),
    ("none", "# Title\n\n---\n\ntext", {}, "# Title\n\n---\n\ntext"),
    ("none", "---\n\nProse between rules.\n\n---\n", {}, "---\n\nProse between rules.\n\n---\n"),
]


@pytest.mark.parametrize(
    ("form", "text", "fields", "body"), READ, ids=[f"{one[0]}-{number}" for number, one in enumerate(READ)]
)
def test_a_header_gives_its_fields_and_the_rest_of_the_file(form: str, text: str, fields: dict[str, Any], body: str) -> None:
    source = read(text, *(("pelican", "none") if form == "pelican" else ALL))
    assert (source.fields, source.body) == (fields, body)
    assert source.form == (json_or_toml(text) or form)


def json_or_toml(text: str) -> str:
    return next((name for name in ("json", "toml") if text.startswith(f"---{name}")), "")


@pytest.mark.parametrize(
    "text",
    [
        "Note: this is prose.\n\nMore of it.\n\n---\n\nEnd",
        '"Words": said he.\n\nText',
        "--- text\n",
        "{{< x >}}\n",
        "{ a }\n",
        "+ a\n",
        "",
    ],
)
def test_prose_that_resembles_a_header_is_a_body(text: str) -> None:
    source = read(text)
    assert (source.fields, source.body, source.form) == ({}, text, "none")


@pytest.mark.parametrize(
    ("text", "names", "notices"),
    [
        (
            "---\ntitle: a\ntitle: b\ntitle: c\n---\n",
            ALL,
            ("title is repeated: the last one counts (line 3)", "title is repeated: the last one counts (line 4)"),
        ),
        ("\n---\n秘密 话: a\n秘密 话: b\n---\n", ALL, ("a key is repeated: the last one counts (line 4)",)),
        ('{"a": 1, "a": 2}', ALL, ("a is repeated: the last one counts",)),
        ("Date: 2020-01-01\nDate: 2021-01-01\n\n", ("pelican",), ("date is repeated: the first one counts",)),
        ("title:x\n---\n", ALL, ("not YAML: expected `key: value` lines (line 1): read as lines",)),
    ],
)
def test_what_is_read_in_another_way_than_it_is_written_is_said(
    text: str, names: tuple[str, ...], notices: tuple[str, ...]
) -> None:
    assert read(text, *names).notices == notices


def test_the_lines_of_fields_are_those_in_the_file() -> None:
    assert read("\n\n---\ntitle: x\n\ndate: y\n---\n").lines == {"title": 4, "date": 6}
    assert read("\nTitle: x\n    y\nDate: z\n\n", "pelican").lines == {"title": 2, "date": 4}
    assert read("title: x\ndate: y\n---\n").lines == {"title": 1, "date": 2}


# -- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ntitle: x\n\nbody", (1, 1, "the front matter is not closed by a line of three hyphens (half-written?)")),
        ("\n---\n\ntitle: x\n\nbody", (2, 1, "the front matter is not closed by a line of three hyphens (half-written?)")),
        ("\n+++\ntitle = 1\n", (2, 1, "the front matter is not closed by a line of three plus signs (half-written?)")),
        ('"a": 1,\n"b": 2\n', (1, 1, "the header is not closed by a line of three semicolons (half-written?)")),
        ("title: x\n\nbody", (1, 1, "the header is not closed by a line of three hyphens (half-written?)")),
        ('{"a": 1,\nbody', (2, 1, "not JSON: expecting property name enclosed in double quotes")),
        ('"a": 1,\n"b": x\n;;;', (2, 6, "not JSON: expecting value")),
        ('"a": x,\n;;;', (1, 6, "not JSON: expecting value")),
        ("---js\nalert(1)\n---\n", (1, 1, "the header is a script: it is never run")),
        ("\n---coffee\nx = 1\n---\n", (2, 1, "the header is a script: it is never run")),
        ("\n+++\na = 1\nb = SECRET\n+++\n", (4, 5, "not TOML: invalid value")),
        ("+++\n[SECRET]\n[SECRET]\n+++\n", (3, 8, "not TOML: cannot declare")),
        ("---\na: *SECRET\n---\n", (2, 4, "not YAML: an alias of what is not there")),
        ("---\na: &a [*a]\n---\n", (2, 8, "not YAML: an alias of what is not there")),
        ("---\na: &a 1\n*a : 2\n---\n", (3, 1, "not YAML: a key must be plain text")),
        ("---\na: &a 1\nb: {<<: *a}\n---\n", (3, 11, "not YAML: a merge key needs mappings")),
        ("---\na: !python/object:os.system SECRET\n---\n", (2, 4, "not YAML: explicit tags are not allowed")),
        ("---\n- a\n---\n", (2, 1, "not YAML: expected `key: value` lines")),
        ("---\na: " + "[" * 30 + "\n---\n", (2, 23, "not YAML: nested deeper than 20 levels")),
        ("---\ntitle: x\n---\ncomments_data:\n- SECRET\n", (1, 1, "header lines outside the front matter (is it damaged?)")),
    ],
)
def test_a_header_that_cannot_be_read_is_a_place_and_words_that_quote_nothing(
    text: str, expected: tuple[int, int, str]
) -> None:
    assert refused(text) == expected


@pytest.mark.parametrize("text", ["+++\na = 1\n+++\nbody", '{"a": 1}\nbody'])
def test_a_header_in_a_form_that_the_kind_does_not_read_is_no_body(text: str) -> None:
    assert "begins a header that this kind does not read" in refused(text, "yaml", "none")[2]


def _bombs() -> dict[str, str]:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    merges = "\n".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 12))
    return {
        "aliases": f"---\na0: &a0 [x]\n{levels}\n---\n",
        "merges": f"---\nm0: &m0 {{x: y}}\n{merges}\n---\n",
        "tower": "---\nt0: &t0 [x]\n" + "\n".join(f"t{n}: &t{n} [*t{n - 1}]" for n in range(1, 40)) + "\n---\n",
        "many aliases": "---\na: &a [1, 2, 3]\nb: [" + "*a, " * MAX_ALIASED + "]\n---\n",
        "dotted keys": "+++\n" + "a." * 100_000 + "b = 1\n+++\n",
        "quoted keys": "+++\n" + '"a" . ' * 30_000 + "b = 1\n+++\n",
        "toml arrays": "+++\na = " + "[" * 100_000 + "\n+++\n",
        "toml digits": "+++\na = " + "1" * 200_000 + "\n+++\n",
        "json arrays": '{"a": ' + "[" * 100_000,
        "json objects": '{"a": ' * 100_000,
        "long toml": "+++\n" + "a = 1\n" * 100_000 + "+++\n",
        "hexo": '"a": ' + "[" * 100_000 + ",\n;;;\n",
    }


@pytest.mark.parametrize("name", _bombs())
def test_a_bomb_is_refused_for_little(name: str) -> None:
    text = _bombs()[name]
    before = time.process_time()
    refused(text)
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 300_000 + "x",
        " " * 300_000 + "x",
        " \t" * 150_000 + "\n---\n",
        "---\n" + "# x\n" * 100_000,
        "---\n" + "\t" * 300_000 + "\n---\n",
        "+++\n" + "a" * 250_000 + "\n+++\n",
        "+++\n" + '"' * 100_000 + "\n+++\n",
        "note: x\n" + "- " * 100_000 + "x\n---\n",
        "title: x\n" + "- " * 100_000 + "x",
        "# " + " #" * 100_000 + "x\n\n作者：x\n译者：y",
        "译者：" + "[" * 100_000,
        "译者：" + "、" * 100_000,
        "> * 译者：[x](" + "(" * 100_000,
        "> * 译者：x\n" + "a: b\n" * 50_000,
        "text\n" * 50_000 + "```\n" * 20_000 + "\n作者：[x](y)\n译者：[z](y)\n",
        "<!--\n" * 50_000 + "译者：x",
    ],
)
def test_a_long_file_costs_little(text: str) -> None:
    before = time.process_time()
    for names in (ALL, ("pelican",)):
        with contextlib.suppress(BadFrontMatter):
            read(text, *names)
    assert time.process_time() - before < 2


# -- totality --------------------------------------------------------------------------

_PIECES = st.sampled_from("\n \ufeff \t".split(" ")) | st.sampled_from(
    """--- +++ ;;; ... { } " : title tags - [ ] &a *a << !!str = ' # >* 译者： 原文地址： via: http://a.b/ ]( ) ``` <!-- --> x
    2020-01-02 comments_data ```js ---js ---json""".split()
).map(lambda piece: piece + " " * (piece in "-:!!str"))


@given(st.lists(_PIECES, max_size=40).map("".join))
@settings(max_examples=some(400))
@example("---\n: \n---\n")
@example('{"":')
@example("---\n? \n---\n")
@example("---\n<<: {<<: {}}\n---")
@example("---\n&a a: *a\n---")
@example("title\n---\n")
def test_whatever_a_file_holds_every_form_reads_or_refuses_it(text: str) -> None:
    for name in (*FORMS, "archive", "lctt"):
        for names in ((name,), ("credits", name)):
            try:
                source = read_source(text, "a.md", select_forms(names))
            except BadFrontMatter as error:
                assert error.line >= 1 and error.column >= 1 and "\n" not in error.reason
                assert error.line <= text.count("\n") + 2
            else:
                assert isinstance(source.body, str)
                is_sound(source.fields)


def is_sound(value: Any, depth: int = 0) -> None:
    assert depth <= 20
    if isinstance(value, dict):
        for key, one in value.items():
            assert isinstance(key, str)
            is_sound(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            is_sound(one, depth + 1)
    else:
        assert isinstance(value, str)
        value.encode()


_TREES = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcxyz", min_size=1, max_size=4), _TREES, max_size=5))
@settings(max_examples=some(100))
def test_the_languages_say_the_same_of_the_same_fields(fields: dict[str, Any]) -> None:
    text = json.dumps(fields, ensure_ascii=False).replace("\x85", " ").replace("\u2028", " ").replace("\u2029", " ")
    expected = json.loads(text)
    assert read_json(text, 1)[0] == expected
    assert read_yaml(text, 1)[0] == expected
    toml = "\n".join(f"{key} = {_toml(value)}" for key, value in expected.items())
    assert tomllib.loads(toml) == expected == read_toml(toml, 1)[0]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
