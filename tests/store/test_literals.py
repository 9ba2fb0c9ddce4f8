"""Literals of configuration that is code: what is read, what stays unknown, and that no text of any kind does harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.store.generators.javascript.expressions import result_of
from feeds.store.generators.javascript.modules import read_module, read_value
from feeds.store.generators.literals import UNKNOWN, Call, Unknown, lookup, mappings_in, read_python

from ..examples import some


def default(source: str, **modules: str) -> Any:
    found = {f"./{name}": read_module(text) for name, text in modules.items()}
    return result_of(read_module(source, found.get).export())


VALUES = {
    "'it\\'s'": "it's",
    '"\\u4e2d\\x41\\u{1F600}"': "中A😀",
    "'a\\\nb'": "ab",
    "`two\nlines`": "two\nlines",
    "`${'a'}/${1}`": "a/1",
    "[1, -2.5, 0x10, 1_000, true, null, undefined,]": [1, -2.5, 16, 1000, True, None, None],
    "{a: 1, 'b-c': 2, \"d\": 3, 4: 5, ['e']: 6, /* f */ // g\n}": {"a": 1, "b-c": 2, "d": 3, "4": 5, "e": 6},
    "{a: /[/'\"]/g, b: 'after a pattern'}": {"a": UNKNOWN, "b": "after a pattern"},
    "{a: 4 / 2, b: '/'}": {"a": UNKNOWN, "b": "/"},
    "{a() { return '}' }, async b() {}, get c() { return 1 }, d: x => ({}), e: function () {}, f: 1}": {"f": 1},
    "({a: 'b'} as const satisfies Config)": {"a": "b"},
    "{a: <T>x, b: y as Map<string, {c: d}[]>, e: z!, f: 1}": {"f": 1},
    "['a', ...['b'], ...c, 'd'].filter(Boolean)": ["a", "b", UNKNOWN, "d"],
    "{...{a: 1}, b: 2}": {"a": 1, "b": 2},
    "process.env.NODE_ENV === 'production' ? 'yes' : 'no'": "yes",
    "process.env.NODE_ENV !== 'production' && 'no'": False,
    "process.env.URL || 'https://example.org'": "https://example.org",
    "process.env.PREVIEW ? `https://${process.env.PREVIEW}` : 'https://example.org'": "https://example.org",
    "isDraft() ? 'a' : 'b'": UNKNOWN,
    "!process.env.ANY": UNKNOWN,
    "'/' + 'blog' + '/'": "/blog/",
    "Object.freeze({a: 1})": {"a": 1},
    "new Date().getFullYear()": UNKNOWN,
}


@pytest.mark.parametrize("source", VALUES)
def test_a_value_is_read_as_far_as_it_is_literal(source: str) -> None:
    found, expected = read_value(source), VALUES[source]
    if isinstance(expected, dict) and isinstance(found, dict):
        found = {key: value for key, value in found.items() if not isinstance(value, Unknown) or key in expected}
    assert repr(found) == repr(expected)


MODULES = {
    "export default {a: 1}": "an object",
    "export default defineConfig({a: 1})": "a call",
    "export default withMermaid(defineConfig({a: 1}))": "a call in a call",
    "export default defineConfig(({mode}) => ({a: 1}))": "a function of one expression",
    "export default async function () { const b = {a: 1}; return b }": "a function",
    "module.exports = async () => { if (x) { return {} }\n return {a: 1} }": "an arrow with a body",
    "const config: Config<{x: string}> = {a: 1} satisfies Config\nexport default config": "a name with a type",
    "const one = 1, config = {a: one};\nmodule.exports = config": "two names in one declaration",
    "function config() { return {a: 1} }\nexport default config()": "a function that is called",
    "const x = 1\n/** @type {import('x').Y} */\nmodule.exports = ({\n  a: x, // the first\n})": "a comment of a type",
    "exports.b = 2; module.exports.a = 1; exports.default = {a: 1}": "names of CommonJS",
    "#!/usr/bin/env node\n'use strict'\nexport { config as default }; const config = {a: 1}": "an export list",
}


@pytest.mark.parametrize("source", MODULES, ids=MODULES.get)
def test_the_default_export_of_a_module_is_read_whatever_its_form(source: str) -> None:
    assert default(source) == {"a": 1}


def test_a_value_of_another_module_is_read_there() -> None:
    site = "export const SITE = {url: 'https://example.org'}; export default {lang: 'zh'}"
    assert default("import own, {SITE as it} from './site'; export default {...own, url: it.url}", site=site) == {
        "lang": "zh",
        "url": "https://example.org",
    }
    assert default("const {SITE} = require('./site'); module.exports = SITE", site=site) == {"url": "https://example.org"}
    assert default("const site = require('./site'); module.exports = site", site="module.exports = {a: 1}") == {"a": 1}
    assert default("import * as site from './site'; export default site.SITE", site=site) == {"url": "https://example.org"}
    assert default("export { SITE as default } from './site'", site=site) == {"url": "https://example.org"}
    assert isinstance(default("import {other} from './site'; export default other", site=site), Unknown)


def test_what_code_may_have_put_into_a_mapping_is_unknown_and_what_is_not_there_is_none() -> None:
    config = read_value("{...shared, url: 'u'}")
    assert lookup(config, "url") == "u" and lookup(config, "baseUrl") is UNKNOWN
    assert lookup(read_value("{url: 'u'}"), "baseUrl") is None


def test_a_call_keeps_its_name_and_what_is_known_of_its_arguments() -> None:
    call = read_value("glob({ base: './blog', pattern: make() })")
    assert isinstance(call, Call) and call.name == "glob" and call.arguments[0]["base"] == "./blog"
    assert not call and [one["base"] for one in mappings_in(call)] == ["./blog"]


def test_calls_are_found_wherever_they_are() -> None:
    module = read_module(
        "export default (c) => { if (c.x()) { c.ignores.add('a/b'); c.addCollection('posts', (api) => api.all('g')) } }"
    )
    assert [(name, arguments[:1]) for name, arguments in module.calls()][1:] == [
        ("ignores.add", ("a/b",)),
        ("addCollection", ("posts",)),
        ("all", ("g",)),
    ]


# -- Python ---------------------------------------------------------------------

PYTHON = {
    "A = u'x'": "x",
    "A: str = 'x'": "x",
    "A = ('x', 1, None, True)": ["x", 1, None, True],
    "A = {'x': {'y': 'z'}}": {"x": {"y": "z"}},
    "B = 'https://e.org'\nA = B + '/' + f'{B}' + '%s/%s' % (B, 1)": "https://e.org/https://e.orghttps://e.org/1",
    "import os\nA = os.environ.get('SITEURL', 'https://e.org')": "https://e.org",
    "A = os.environ['SITEURL'] or 'x'": "x",
    "if os.path.exists('x'):\n    A = ''\nelse:\n    A = 'there'": "there",
    "if False:\n    A = 'no'\nelse:\n    A = 'yes'": "yes",
    "try:\n    A = 'x'\nexcept ImportError:\n    A = 'y'": "x",
    "A = ['a']\nA += ['b']": ["a", "b"],
    "A = dict(x=1)\nA['y'] = 2": {"x": 1, "y": 2},
    "A = os.path.join('a', 'b')": "a/b",
    "A, B = 'x', 'y'": "x",
    "A = '%(b)s' % {'b': 1}": UNKNOWN,
    "A = '%99999999d' % 1": UNKNOWN,
    "A = 9 ** 9 ** 9": UNKNOWN,
    "A = 'x' * 10 ** 12": UNKNOWN,
    "A = date.today().year": UNKNOWN,
    r"A = '(?P<date>\d{4})'": r"(?P<date>\d{4})",
}


@pytest.mark.parametrize("source", PYTHON)
def test_an_assignment_of_python_is_read_as_far_as_it_is_literal(source: str) -> None:
    assert repr(read_python(source)["A"]) == repr(PYTHON[source])


def test_python_takes_names_of_modules_that_it_is_given() -> None:
    modules = {"pelicanconf": {"A": "a", "B": "b"}}
    assert read_python("from pelicanconf import *\nB = 'c'", modules.get) == {"A": "a", "B": "c"}
    assert read_python("from pelicanconf import A as X, C", modules.get) == {"X": "a", "C": UNKNOWN}
    assert read_python("import pelicanconf\nX = pelicanconf.A", modules.get)["X"] == "a"


@pytest.mark.parametrize(
    "source", ["A = (", "print 'x'", "A = '\0'", "A = " + "(" * 5000, "A = 1" + "+1" * 20_000, "A = '\ud800'"]
)
def test_what_is_not_python_is_an_error_in_words(source: str) -> None:
    with pytest.raises(ValueError, match="not Python"):
        read_python(source)


# -- what is meant to harm --------------------------------------------------------

HOSTILE = {
    "brackets": "export default " + "[{(" * 5_000,
    "templates": "export default " + "`${" * 5_000,
    "conditions": "export default " + "a ? b : " * 5_000,
    "negations": "export default " + "!" * 20_000,
    "arrows": "export default " + "a => " * 5_000,
    "patterns": "a = /[" * 5_000,
    "names of names": "\n".join(f"const a{at + 1} = a{at}" for at in range(5000)) + "\nexport default a5000",
    "lists that double": "const a0 = [1, 1]\n"
    + "\n".join(f"const a{at + 1} = [...a{at}, ...a{at}]" for at in range(90))
    + "\nexport default a35",
    "texts that double": "const a0 = 'xx'\n"
    + "\n".join(f"const a{at + 1} = a{at} + a{at}" for at in range(90))
    + "\nexport default a35",
    "a name of itself": "const a = {...a, b: a}; export default a",
    "functions of themselves": "function a() { return a() }\nexport default a()",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_module_that_is_meant_to_harm_is_read_to_its_end(source: str) -> None:
    module = read_module(source)
    assert sum(map(len, mappings_in(result_of(module.export())))) < 1000
    assert module.calls() is not None and len(list(module.calls())) <= 500


FRAGMENTS = st.sampled_from(
    [
        *r"export default |const a = |module.exports = |=>|(|)|{|}|[|]|`|${|'|/|*|//|/*|*/|\\|,|:|?|...|.|a|b: |1|as ".split(
            "|"
        ),
        *"async |function |return |typeof |<|>|=|!|&&|new |export |true|中|import {a} from './b'".split("|"),
        *('"', "||", "\n", "\ud800", "\0"),
    ]
)


@settings(max_examples=some(200), deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(FRAGMENTS, max_size=80).map("".join)))
def test_every_text_is_a_module(source: str) -> None:
    module = read_module(source, lambda name: module)
    result_of(module.export())
    result_of(module.exports())
    for name in module.names:
        result_of(module.name(name))
    list(module.calls())
    read_value(source)


@settings(max_examples=some(200), deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.sampled_from("A = |(|)|[|]|{|}|'|\n|:|,|+|%|if |else|x|**|*|f'|\\|1".split("|")), max_size=40).map("".join),
    )
)
def test_every_text_is_python_or_an_error_in_words(source: str) -> None:
    try:
        assert isinstance(read_python(source), dict)
    except ValueError as error:
        assert str(error) == "it is not Python 3"


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(0, 10**9) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5).filter(lambda key: key != "..."), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=some(200), deadline=None)
@given(VALUE)
def test_what_is_written_as_json_is_read_as_it_was(value: Any) -> None:
    assert read_value(json.dumps(value)) == value
    assert read_value(json.dumps(value, ensure_ascii=False)) == value
