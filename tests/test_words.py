"""Every word that people read is there in Chinese and in English; no page says anything that cannot be translated."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from babel.messages.pofile import read_po
from jinja2.ext import extract_from_ast

from feeds.web.i18n import zones

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "feeds" / "locale" / "zh_CN" / "LC_MESSAGES"
TEMPLATES = sorted((ROOT / "templates").rglob("*.*"))
#: Catalog -> templates and code whose words are in it.
SOURCES = {
    "feeds.po": ("templates/web", ("feeds/web", "feeds/newsletter/messages/transactional.py")),
    "mail.po": ("templates/mail", ("feeds/newsletter",)),
}
#: What is the same in every language: names of formats and of things, and what is typed.
SAME = re.compile(
    r"\b(Atom|RSS|JSON Feed|JSON|OPML|WebSub|URL|UTC|HTTP|Docker|hub\.[a-z_.]+|sha256|English|Content-Type|feeds\.yaml|"
    r"[a-z]+\.opml|[a-z]+@example\.org)\b"
)
_TRANSLATORS = ("_", "words", "_words", "translate", "_translate")
_READ_OUT = re.compile(r"""\b(?:aria-label|title|alt|placeholder|label)="([^"<>]*)\"""")
#: Comments, code and samples of it, addresses, and macros that make attributes.
_NOT_SAID = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"{#.*?#}",
        r"{% block (?:address|og_type|og_image) %}.*?{% endblock %}",
        r"{{.*?}}|{%.*?%}",
        r"<!--.*?-->|<!doctype[^>]*>|<(style|pre|code)\b.*?</\1>",
        r"(?m)^\s*[a-z-]+=\"[^\"<>]*\"(?: [a-z-]+=\"[^\"<>]*\")*\s*$",
        r"(?<=[\s>])[./][a-z/]+",
    )
]


def catalog(name: str) -> dict[str, str]:
    with (LOCALE / name).open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file, locale="zh_CN") if message.id}


def of_templates(folder: str) -> Iterator[str]:
    for path in sorted((ROOT / folder).rglob("*.*")):
        parsed = jinja2.Environment().parse(path.read_text("utf-8"))
        yield from (message for _line, _function, message in extract_from_ast(parsed) if isinstance(message, str))


def of_code(folder: str) -> Iterator[str]:
    path = ROOT / folder
    for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in _TRANSLATORS and node.args:
                last = node.args[-1]
                if isinstance(last, ast.Constant) and isinstance(last.value, str):
                    yield last.value


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def constants() -> set[str]:
    """Every text of the code that a catalog could be asked for."""
    found: set[str] = set()
    for source in sorted((ROOT / "feeds").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_every_word_is_there_in_chinese_with_the_same_fields(name: str) -> None:
    folder, code = SOURCES[name]
    known = catalog(name)
    used = {*of_templates(folder), *(word for part in code for word in of_code(part))}
    assert len(used) > 20
    assert sorted(word for word in used if not known.get(word)) == []
    for word in used:
        assert sorted(re.findall(r"%\(\w+\)s", known[word])) == sorted(re.findall(r"%\(\w+\)s", word)), word


@pytest.mark.parametrize("name", SOURCES)
def test_no_catalog_keeps_a_word_that_nobody_says(name: str) -> None:
    folder, _code = SOURCES[name]
    areas = {area for area, _rows in zones("en")}
    assert sorted(set(catalog(name)) - set(of_templates(folder)) - constants() - areas) == []


@pytest.mark.parametrize("name", SOURCES)
def test_the_chinese_words_are_chinese(name: str) -> None:
    """A translation without a Han character is a name, or a mistake."""
    odd = {word for word, chinese in catalog(name).items() if not re.search(r"[\u4e00-\u9fff]", chinese)}
    assert {word for word in odd if re.search(r"[a-z]{3}", SAME.sub("", re.sub(r"%\(\w+\)s", "", word)))} == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_template_says_anything_that_is_not_looked_up(path: Path) -> None:
    """Letters between tags, and in attributes that are read out."""
    plain = path.read_text("utf-8")
    for left_out in _NOT_SAID:
        plain = left_out.sub("", plain)
    said = [*re.sub(r"<[^>]*>", "\n", plain).splitlines()]
    if path.suffix == ".html":
        said += _READ_OUT.findall("".join(re.findall(r"<(?!meta)[^>]*>", plain)))
    assert [text for text in said if re.search(r"[A-Za-z\u4e00-\u9fff]{2}", SAME.sub("", html.unescape(text)))] == []
