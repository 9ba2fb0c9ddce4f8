"""`feeds check` shows a store as a portrait: what it is, what its files are, and the line that would say what is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from feeds import check
from feeds.check import Findings
from feeds.cli import main
from feeds.cli.portrait import portrait_lines
from feeds.config.models import Site as Settings
from feeds.model import ParsedArticle
from feeds.resources import flow_text, with_settings
from feeds.store.parse_settings import ParseSettings
from feeds.store.portrait import Portrait, StoreFile

from ..conftest import Site

CASES = Path(__file__).parent / "cases"
Look = Callable[..., Findings]


def run(root: Path, *options: str) -> Any:
    """`feeds check` over the site that was looked at last."""
    return CliRunner().invoke(main, ["check", "--config", str(root / "site" / "config"), *options], catch_exceptions=False)


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Look]:
    """Look at files, or at a case, with what site.yaml says about the store."""
    site = Site(tmp_path / "site", article_url="", image_url="", timezone="UTC")

    def look(files: dict[str, str] | str, **said: Any) -> Findings:
        folder = tmp_path / "store"
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(files, str):
            shutil.copytree(CASES / files, folder)
            (folder / "expected.json").unlink()
        else:
            for path, text in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, "utf-8")
        site.settle("site.yaml", store={"path": str(folder), **said})
        return check.check(site.environment)

    yield look
    site.remove()


def lines(found: Findings) -> list[str]:
    assert found.portraits and found.site
    return list(portrait_lines(found.portraits[0], found.site))


def faults(found: Findings) -> list[str]:
    return [problem.reason for problem in found.problems if problem.kind != "hint"]


def row(found: Findings, name: str) -> str:
    return next((line[15:] for line in lines(found) if line.startswith(f"  {name} ")), "")


def test_a_store_is_told_by_its_kind_its_counts_and_links_to_compare(look: Look) -> None:
    found = look("hugo")
    assert lines(found)[0] == "store: hugo (hugo.yaml is in the folder)"
    assert row(found, "content") == "content/ (hugo.yaml)"
    assert row(found, "articles") == "3"
    assert row(found, "pages") == "2: 1 section, 1 undated top-level page"
    assert row(found, "withheld") == "4: 2 future, 1 draft, 1 expired"
    assert row(found, "not read") == "1 .png, 1 .yaml"
    assert row(found, "authors") == "2: Ann Lee 2, Bo Chen 1"
    assert row(found, "languages") == "1: en 3"
    assert row(found, "time zone").startswith("Asia/Shanghai")
    assert row(found, "links") == "compare them with those of https://example.org/"
    assert "    https://example.org/2024/03/the-first-pot/  <- content/posts/First Pot.md" in lines(found)
    assert not row(found, "missing") and not faults(found)


def test_what_a_hidden_configuration_lacks_is_a_line_that_mends_it(look: Look) -> None:
    found = look("eleventy")
    assert "does not say where its articles are read" in row(found, "missing")
    line = lines(found)[-1].strip()
    said = yaml.safe_load(line)["store"]
    again = look("eleventy", **{name: value for name, value in said.items() if name != "path"})
    assert not again.portraits[0].mend(again.site or Settings())
    assert "https://example.org/blog/linked/" in " ".join(lines(again)) or row(again, "links").startswith("compare")


def test_a_header_field_that_nothing_reads_is_counted_and_offered_for_what_it_is(look: Look) -> None:
    texts = {f"{n}.md": f"---\ntitle: T{n}\ndate: 2024-01-0{n}\nkeywords: [Linux]\nmood: {n}\n---\nText.\n" for n in (1, 2, 3)}
    found = look(texts)
    assert row(found, "not used") == "header fields keywords 3, mood 3"
    assert found.portraits and found.site
    [(line, why)] = found.portraits[0].mend(found.site)
    assert "keywords may be the tag" in why
    said = yaml.safe_load(line)["store"]
    again = look(texts, fields=said["fields"])
    assert row(again, "tags") == "1: Linux 3" and row(again, "not used") == "header fields mood 3"


def test_undated_articles_are_counted_and_git_is_named_as_a_source(look: Look) -> None:
    found = look({"a.md": "# A\n\nText.\n", "b.md": "# B\n\nText.\n"})
    assert row(found, "noticed") == "no date: first seen (2 articles)"
    assert lines(found)[-1] == "    store_git: {dates: true}"
    assert not faults(found), "nothing that the operator must mend"


def test_where_no_file_is_an_article_the_folder_with_most_texts_is_offered(look: Look) -> None:
    text = "---\ntitle: A\ndate: 2024-01-01\n---\nText.\n"
    files = {"hugo.toml": 'baseURL = "https://example.org/"\n', "content/.keep": "", "notes/a.md": text, "notes/b.md": text}
    found = look(files)
    assert row(found, "articles") == "0"
    assert found.portraits and found.site
    [(line, _why)] = found.portraits[0].mend(found.site)
    again = look(files, include=yaml.safe_load(line)["store"]["include"])
    assert row(again, "articles") == "2"


def test_a_token_of_a_pattern_that_nobody_knows_is_a_fault_at_its_place(look: Look) -> None:
    found = look("hugo", permalink="/:yeer/:slug/")
    [fault] = [problem for problem in found.problems if problem.kind != "hint"]
    assert fault.path.endswith("site.yaml") and fault.line and fault.column > 1
    assert fault.reason == "store.permalink: :yeer has no value in most articles; did you mean :year?"


def test_only_what_the_operator_should_mend_ends_with_1(look: Look) -> None:
    assert not faults(look("hugo"))
    assert not faults(look("obsidian"))
    assert faults(look("eleventy")) == ["the header is a script: it is never run"]
    broken = look({"hugo.toml": "baseURL = [\n", "content/posts/a.md": "---\ntitle: A\ndate: 2024-01-01\n---\nText.\n"})
    assert any("hugo.toml" in reason for reason in faults(broken))


def test_json_has_all_that_the_text_has(look: Look, tmp_path: Path) -> None:
    look("hugo")
    said = json.loads(run(tmp_path, "--json").stdout)
    assert said["ok"] is True
    assert (said["kind"], said["why"], said["base_url"]) == ("hugo", "hugo.yaml is in the folder", "https://example.org/")
    assert said["counts"] == {"published": 3, "page": 2, "withheld": 4, "ignored": 3, "quarantined": 0}
    assert said["reasons"]["withheld"] == {"future": 2, "draft": 1, "expired": 1}
    assert said["facets"]["authors"] == 2 and said["languages"] == {"en": 3}
    assert said["samples"]["content/posts/own-url.md"] == "https://example.org/old/kettle.html"
    assert said["mend"] == said["missing"] == [] and said["unread"] == {".png": 1, ".yaml": 1}
    assert len(said["files"]) == 12


def test_a_large_store_stays_short(tmp_path: Path) -> None:
    settings = ParseSettings(str(tmp_path), "UTC", 1 << 20)
    files = [
        StoreFile(f"{n % 97}/{n}.md", "published", "", ("no date",), article(n), unused=(f"f{n % 50}",)) for n in range(5000)
    ]
    files += [StoreFile(f"x/{n}.md", "withheld", f"reason {n % 40}") for n in range(2000)]
    portrait = Portrait.of(settings, files, {f".{n}": n for n in range(300)})
    shown = list(portrait_lines(portrait, Settings()))
    assert len(shown) < 30 and max(map(len, shown)) < 300
    assert "reason 0" in " ".join(shown) and "and 34 more" in " ".join(shown)


def article(number: int) -> ParsedArticle:
    when = datetime(2024, 1, 1, tzinfo=UTC)
    names = {"tag": (f"t{number}", "Linux")}
    return ParsedArticle(
        id=str(number), url=f"/articles/{number}", permalink="", title=f"T{number}", summary="", html="", published=when,
        updated=when, original="", picture="", comments=0, editor_choice=False, names=names, digest="",
    )  # fmt: skip


def test_many_files_with_one_hint_are_one_line(look: Look, tmp_path: Path) -> None:
    look({f"{n}.md": f"# T{n}\n\nText.\n" for n in range(30)})
    done = run(tmp_path)
    assert done.exit_code == 0
    assert done.stdout.count(": no date: first seen") == 4 and "... and 27 more files: no date: first seen" in done.stdout


def test_a_line_that_mends_is_yaml_as_it_stands() -> None:
    value = {"path": '/srv/a "b": c', "fields": {"tag": ["关键词", "x: y"]}, "dates": True}
    assert yaml.safe_load(f"store: {flow_text(value)}")["store"] == value
    assert yaml.safe_load(with_settings("store: demo   # here\nlast: 1\n", {"store": value})) == {"store": value, "last": 1}
