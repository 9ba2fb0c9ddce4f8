"""Every word that people read is there in Chinese and in English; no page says anything that cannot be translated."""

from __future__ import annotations

import ast
import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from babel.messages.pofile import read_po
from jinja2.ext import extract_from_ast

from feeds import i18n
from feeds.errors import FeedsError

ROOT = Path(__file__).resolve().parent.parent
CATALOG = i18n.LOCALES / "zh_CN" / "LC_MESSAGES" / "feeds.po"
TEMPLATES = sorted((ROOT / "templates").rglob("*.*"))
#: Context (msgctxt) -> templates and code that look words up in it, and without it where it has none of them.
SOURCES = {
    "": ("templates/web", ("feeds/web", "feeds/newsletter")),
    i18n.MAIL: ("templates/mail", ("feeds/newsletter",)),
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


def entries() -> dict[tuple[str, str], str]:
    """(context, English) -> Chinese, as translators write it."""
    with CATALOG.open("rb") as file:
        return {
            (message.context or "", str(message.id)): str(message.string) for message in read_po(file, "zh_CN") if message.id
        }


def catalog(context: str) -> dict[str, str]:
    """What the program shows: English -> Chinese, as it looks words up in a context."""
    return {word: i18n.translate("zh-CN", word, context) for _context, word in entries()}


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


@pytest.mark.parametrize("context", SOURCES, ids=lambda context: context or "pages")
def test_every_word_is_there_in_chinese_with_the_same_fields(context: str) -> None:
    folder, code = SOURCES[context]
    known = catalog(context)
    used = {*of_templates(folder), *(word for part in code for word in of_code(part))}
    assert len(used) > 20
    assert sorted(word for word in used if word not in known) == []
    for word in used:
        assert sorted(re.findall(r"%\(\w+\)s", known[word])) == sorted(re.findall(r"%\(\w+\)s", word)), word


def test_the_catalog_keeps_no_word_that_is_never_shown() -> None:
    areas = {area for area, _rows in i18n.list_zones("en")}
    shown = {context: {*of_templates(folder), *constants(), *areas} for context, (folder, _code) in SOURCES.items()}
    shown[""] |= shown[i18n.MAIL]
    assert sorted((context, word) for context, word in entries() if word not in shown[context]) == []


def test_a_context_has_only_what_reads_otherwise_in_it() -> None:
    found = entries()
    assert [word for context, word in found if context and found.get(("", word)) in (None, found[context, word])] == []
    assert i18n.translate("zh-CN", "Change what you get") != i18n.translate("zh-CN", "Change what you get", i18n.MAIL)


def test_the_chinese_words_are_chinese() -> None:
    """A translation without a Han character is a name, or a mistake."""
    odd = {word for (_context, word), chinese in entries().items() if not re.search(r"[\u4e00-\u9fff]", chinese)}
    assert {word for word in odd if re.search(r"[a-z]{3}", SAME.sub("", re.sub(r"%\(\w+\)s", "", word)))} == set()


def test_the_compiled_words_are_those_of_the_catalog() -> None:
    for (context, word), chinese in entries().items():
        assert i18n.translate("zh-CN", word, context) == chinese
        assert i18n.translate("en", word, context) == word
    assert i18n.translate("zh-CN", "") == ""


def test_words_that_were_not_compiled_are_an_error_that_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i18n, "LOCALES", tmp_path)
    with pytest.raises(FeedsError, match="run `pybabel compile -d"):
        i18n.load_catalog.__wrapped__("zh-CN")


def test_no_command_that_only_reads_loads_babel() -> None:
    code = "import sys, feeds.cli.mail, feeds.newsletter.digests, feeds.web.app; sys.exit('babel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


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
