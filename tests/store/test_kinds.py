"""Kinds of front matter: those of installed packages, and the key that reads stores again when the code that parses changes."""

from __future__ import annotations

import ast
import shutil
import time
from pathlib import Path

import pytest

from feeds import check
from feeds.errors import StoreError
from feeds.model import ParsedArticle
from feeds.plugins import find_plugins
from feeds.store import frontmatter, parse, parse_settings, parser_pool
from feeds.store.frontmatter import BUILT_IN, GROUP, load_kinds
from feeds.store.parse_settings import ParseSettings, source_key
from feeds.store.parsed import ParsedFile
from feeds.store.parser_pool import ParserPool

from ..conftest import Site
from .conftest import Install

PACKAGE = Path(parse.__file__).parents[1]
TOML = """
import tomllib
from feeds.store.frontmatter import BadFrontMatter, Source

class Toml:
    name = "toml"

    def recognizes(self, text):
        return text.startswith("+++\\n")

    def read(self, text, path):
        header, _, body = text[4:].partition("\\n+++\\n")
        try:
            return Source(tomllib.loads(header), body)
        except tomllib.TOMLDecodeError:
            raise BadFrontMatter(1, 1, "not TOML") from None
"""
ARTICLE = '+++\nid = "7"\ntitle = "In TOML"\ntags = ["Linux"]\n+++\nText.\n'


def settings(root: Path) -> ParseSettings:
    return ParseSettings(str(root), "UTC", 1 << 20, kinds=find_plugins(GROUP))


def parse_all(root: Path, paths: list[str], now: int = 0, workers: int | None = None) -> list[ParsedFile]:
    with ParserPool() as parsers:
        return [file for batch in parsers.parse_all(settings(root), paths, now, workers) for file in batch]


# -- kinds of installed packages ---------------------------------------------


def test_without_packages_the_table_is_what_this_project_brings() -> None:
    assert [kind.name for kind in BUILT_IN] == ["yaml", "lctt"]
    assert load_kinds(()) == BUILT_IN


def test_an_installed_kind_takes_quarantined_files_in_by_itself(site: Site, install: Install) -> None:
    site.write("1.md")
    site.write("7.md", ARTICLE)
    report = site.rescan()
    assert (report.added, report.quarantined) == (1, 1)
    install(TOML)
    report = site.rescan()
    assert (report.added, report.changed, report.quarantined) == (1, 0, 0)
    report = site.rescan()
    assert (report.added, report.changed, report.unchanged) == (0, 0, 2)


def test_processes_that_parse_use_the_same_table(tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_pool, "PARALLEL_FROM", 1)
    install(TOML)
    paths = [f"{number}.md" for number in range(120)]
    for path in paths:
        (tmp_path / path).write_text(ARTICLE, "utf-8")
    found = parse_all(tmp_path, paths, int(time.time()), 2)
    assert [file.path for file in found] == paths
    assert all(isinstance(file.result, ParsedArticle) and file.result.title == "In TOML" for file in found)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("class Other: ...", "AttributeError: module 'acme_toml' has no attribute 'Toml'"),
        ("class Toml:\n    name = 'toml'", "AttributeError: 'Toml' object has no attribute 'recognizes'"),
        ("class Toml:\n    name = 1\n    recognizes = read = print", "TypeError: it has not got the members"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    ],
)
def test_a_broken_package_is_one_error_that_names_it(site: Site, install: Install, code: str, reason: str) -> None:
    site.write("1.md")
    site.rescan()
    install(code)
    with pytest.raises(StoreError) as caught:
        site.rescan()
    said = str(caught.value)
    assert "\n" not in said and said.startswith("package acme-toml 1.0: feeds.kinds 'toml' (acme_toml:Toml) cannot be used: ")
    assert reason in said
    assert [problem.reason for problem in check.check(site.runtime.environment).problems] == [said]


def test_whatever_an_installed_kind_raises_or_returns_is_a_problem_of_the_file(tmp_path: Path, install: Install) -> None:
    (tmp_path / "7.md").write_text(ARTICLE, "utf-8")
    for read, reason in (("1 / 0", "ZeroDivisionError"), ("return None", "AttributeError")):
        install(
            f"class Toml:\n    name = 'toml'\n    def recognizes(self, text): return True\n    def read(self, *_): {read}\n"
        )
        [file] = parse_all(tmp_path, ["7.md"])
        assert file.result == parse.Problem("7.md", 0, 0, f"could not be read ({reason})")


def test_a_kind_cannot_publish_what_stands_beside_a_damaged_header(tmp_path: Path, install: Install) -> None:
    (tmp_path / "7.md").write_text("+++\ntitle = 'x'\n+++\ncomments_data:\n- SECRET\n", "utf-8")
    install(TOML)
    [file] = parse_all(tmp_path, ["7.md"])
    assert isinstance(file.result, parse.Problem) and "SECRET" not in file.result.reason


# -- the key of parsing ------------------------------------------------------


def test_the_key_changes_with_each_source_that_decides(tmp_path: Path) -> None:
    copied = tmp_path / "feeds"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    before = source_key(copied)
    assert before == source_key()
    met = {before}
    for name in parse_settings.SOURCES:
        path = copied / name
        path.write_bytes(path.read_bytes() + b"\n# touched\n")
        source_key.cache_clear()
        met.add(source_key(copied))
    assert len(met) == 1 + len(parse_settings.SOURCES)
    (copied / "store" / "walk.py").write_text("", "utf-8")
    source_key.cache_clear()
    assert source_key(copied) in met


def test_the_key_changes_with_the_libraries_and_the_installed_kinds(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [settings(tmp_path).key]
    for version in ("1.0", "1.1"):
        install(TOML, version)
        keys.append(settings(tmp_path).key)
    for name in parse_settings.LIBRARIES:
        source_key.cache_clear()
        monkeypatch.setattr("importlib.metadata.version", lambda asked, name=name: "99" if asked == name else "1")
        keys.append(settings(tmp_path).key)
    source_key.cache_clear()
    assert len(set(keys)) == len(keys)


def test_every_module_that_parsing_imports_is_part_of_the_key() -> None:
    """But for those that only carry values, or decide something that is stored by itself."""
    without = {"errors", "feed_formats", "plugins", "config.models", "store.walk", "store.generators.find"}
    without |= {"store.search_words"}  # an index has a key of its own
    met: set[str] = set()
    for name in parse_settings.SOURCES:
        package = ["feeds", *Path(name).parts[:-1]]
        for node in ast.walk(ast.parse((PACKAGE / name).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = [*package[: len(package) - node.level + 1], *filter(None, [node.module])]
                found = [".".join([*base, alias.name][1:]) for alias in node.names]
                met |= {one for one in found if (PACKAGE / (one.replace(".", "/") + ".py")).exists()} or {".".join(base[1:])}
    assert met - without == {name.removesuffix(".py").replace("/", ".") for name in parse_settings.SOURCES} - {
        "store.parse",
        "catalog.subjects",  # numbers what was parsed
    }


def test_the_key_costs_little() -> None:
    spent = []
    for _round in range(5):
        source_key.cache_clear()
        before = time.process_time()
        source_key()
        spent.append(time.process_time() - before)
    assert min(spent) < 0.005


def test_a_database_of_another_version_is_read_again_once_and_nothing_of_it_changes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        site.write(f"{number}.md", id=number)
    site.rescan()
    kept = site.kept("generation", "changed")
    monkeypatch.setattr(parse_settings, "source_key", lambda: "another version")
    opened: list[str] = []
    with ParserPool() as parsers:
        really = parsers.parse_all
        monkeypatch.setattr(parsers, "parse_all", lambda *all: opened.extend(all[1]) or really(*all))
        for _round in range(2):
            report = site.rescan(parsers=parsers)
            assert (report.added, report.changed, report.renamed, report.feeds_changed) == (0, 0, 0, 0)
    assert opened == ["0.md", "1.md", "2.md"]
    assert site.kept("generation", "changed") == kept


def test_the_digest_of_an_article_is_made_of_its_content_only() -> None:
    """Of this very article wherever the site is: another digest would publish every article again."""
    text = "---\nid: 7\ntitle: 甲\ndate: '2020-01-02 03:04:05'\ntags: [Linux]\ntranslator: wxy\n---\n正文。\n"
    found = parse.parse_article(
        ParseSettings("/s", "Asia/Shanghai", 1 << 20), "2020/01/7.md", text.encode(), 0, now=2_000_000_000
    ).result
    assert isinstance(found, ParsedArticle)
    assert found.digest == "0e35031f125c956108417e126fb57c5c"


def test_frontmatter_reads_no_clock_and_no_files() -> None:
    assert not {"os", "time", "pathlib"} & set(vars(frontmatter))
