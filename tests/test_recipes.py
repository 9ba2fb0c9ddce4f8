"""The recipes of CONTRIBUTING.md, followed mechanically: each diff is applied to a copy, and what it promises is tried."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import forking
from .conftest import CHECKOUT, article_text
from .serving import served

RECIPES = {
    heading: re.findall(r"```diff (\S+)\n(.*?)```", text, re.DOTALL)
    for heading, _, text in (
        part.partition("\n") for part in (CHECKOUT / "CONTRIBUTING.md").read_text("utf-8").split("\n### ")[1:]
    )
}


def apply(root: Path, file: str, diff: str) -> None:
    """Apply a diff without line numbers: each run of context and removed lines must stand in the file exactly once."""
    path = root / file
    text = path.read_text("utf-8") if path.exists() else ""
    for hunk in hunks(diff):
        before = "".join(line[1:] for line in hunk if line[:1] in "- ")
        after = "".join(line[1:] for line in hunk if line[:1] in "+ ")
        if not before and not text:
            text = after
            continue
        assert text.count(before) == 1, f"{file}: {before!r} stands there {text.count(before)} times"
        text = text.replace(before, after)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def hunks(diff: str) -> Iterator[list[str]]:
    """Yield the hunks: a removed or context line after an added one begins the next, unless only additions came so far."""
    hunk: list[str] = []
    for line in diff.splitlines(keepends=True):
        if hunk and line[0] in "- " and hunk[-1][0] == "+" and any(kept[0] in "- " for kept in hunk):
            yield hunk
            hunk = []
        hunk.append(line)
    yield hunk


class Copy:
    """A copy of the program with a site of a few articles."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("feeds", "templates", "config", "demo", "tools"):
            shutil.copytree(CHECKOUT / folder, root / folder)  # with what is compiled: only what is edited is compiled here
        shutil.copy(CHECKOUT / "pyproject.toml", root)
        shutil.copy(CHECKOUT / "requirements.lock", root)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("FEEDS_")}
        self.environment |= {"PYTHONPATH": str(root), "FEEDS_SECRET_KEY": "only for this test"}

    def follow(self, recipe: str) -> None:
        for file, diff in RECIPES[recipe]:
            apply(self.root, file, diff)
        forking.forget_copy()

    def write(self, path: str, text: str) -> None:
        (self.root / "demo" / "articles" / path).write_text(text, "utf-8")

    def python(self, *words: str, fails: bool = False) -> str:
        done = forking.run(
            [sys.executable, *words], env=self.environment, cwd=self.root, capture_output=True, text=True, timeout=180
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def feeds(self, *words: str, fails: bool = False) -> str:
        return self.python("-m", "feeds", *words, "--config", "config", fails=fails)

    def set(self, file: str, pattern: str, text: str) -> None:
        path = self.root / "config" / file
        changed = re.sub(pattern, text, path.read_text("utf-8"), count=1, flags=re.MULTILINE)
        path.write_text(changed, "utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_every_recipe_with_a_diff_is_followed_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert len([name for name, diffs in RECIPES.items() if diffs]) == 7
    for name, diffs in RECIPES.items():
        assert not diffs or f'copy.follow("{name}")' in text, name


def test_a_new_format_is_shown_exported_listed_and_typed_right(copy: Copy) -> None:
    copy.follow("Add a feed format")
    copy.write("dotted.md", article_text("dotted.md", id=777, tags=["Node.gmi"]))
    copy.feeds("rescan")
    assert copy.feeds("show", "all.gmi").startswith("# ")
    copy.feeds("export", "out", "--no-compress")
    assert (copy.root / "out" / "all.gmi").read_text("utf-8") == copy.feeds("show", "all.gmi")
    assert not list((copy.root / "out").rglob("*.gmi.html")), "no page stands where a document does"
    assert 'type="text/gemini"' in (copy.root / "out" / "index.html").read_text("utf-8")
    assert copy.feeds("show", "tags/Node~2Egmi.gmi").count("=> ") == 1, "a tag that ends like the format is escaped"
    with served(copy.root, copy.environment) as base, urllib.request.urlopen(f"{base}/all.gmi", timeout=20) as answer:
        assert answer.headers["Content-Type"] == "text/gemini; charset=utf-8" and answer.headers["ETag"]


def test_a_new_facet_has_pages_feeds_categories_and_selections(copy: Copy) -> None:
    copy.follow("Add a facet")
    copy.set("feeds.yaml", r"^facets:", "facets:\n  project: {}")
    copy.set("feeds.yaml", r"^feeds:", "feeds:\n  - {name: kernels, title: Kernels, select: {project: [内核史]}}")
    copy.write("part.md", article_text("part.md", id=778, title="第二部分", project="内核史"))
    copy.feeds("rescan")
    assert "projects/内核史" in copy.feeds("list")
    feed = copy.feeds("show", "projects/内核史.atom")
    assert '<category term="内核史" scheme="http://127.0.0.1:8000/projects/"' in feed and "第二部分" in feed
    assert json.loads(copy.feeds("show", "feeds/kernels.json"))["items"][0]["title"] == "第二部分"
    assert "项目" in copy.feeds("opml", "projects")
    with served(copy.root, copy.environment) as base:
        article = read(f"{base}/articles/778")
        assert "项目" in article and "/projects/%E5%86%85%E6%A0%B8%E5%8F%B2" in article
        assert "内核史" in read(f"{base}/projects/")
        assert "第二部分" in read(f"{base}/select.atom?project=%E5%86%85%E6%A0%B8%E5%8F%B2&tag=Linux")


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def test_a_new_kind_takes_a_quarantined_file_in(copy: Copy) -> None:
    copy.write("plain.md", "Title: Only a title\nAnd a text.\n")
    copy.feeds("rescan")
    assert "plain.md:1:1: no front matter" in copy.feeds("check", fails=True)
    copy.follow("Add a kind of front matter")
    copy.feeds("rescan")
    assert json.loads(copy.feeds("status", "--json"))["quarantined"] == 0
    assert "Only a title" in copy.feeds("show", "all.json")


def test_a_new_transport_carries_a_digest(copy: Copy) -> None:
    copy.follow("Add a mail transport")
    copy.set("newsletter.yaml", r"^transport: \w+", "transport: lines")
    copy.feeds("rescan")
    copy.feeds("subscribers", "import", "demo/readers.csv")
    copy.feeds("digest", "plan", "--now", "2025-01-01T08:00:00+08:00")
    copy.feeds("digest", "send", "--now", "2026-11-02T00:00:00+08:00")
    lines = [json.loads(line) for line in (copy.root / "var" / "mail.jsonl").read_text().splitlines()]
    assert {line["to"] for line in lines} >= {"reader@example.org"} and "Subject: " in lines[0]["mime"]


def test_a_new_page_shows_its_form_and_acts_on_it(copy: Copy) -> None:
    copy.follow("Add a page with a form")
    copy.feeds("rescan")
    with served(copy.root, copy.environment) as base:
        with urllib.request.urlopen(f"{base}/lucky", timeout=20) as answer:
            assert 'name="tag"' in answer.read().decode() and "Content-Security-Policy" in answer.headers
        body = urllib.parse.urlencode({"tag": "Linux"}).encode()
        with urllib.request.urlopen(f"{base}/lucky", body, timeout=20) as answer:
            assert answer.url == f"{base}/tags/Linux"
    assert "| `/lucky` | A form that asks for a tag" in copy.python(
        "-c", "from tools.reference import addresses; print(addresses.page())"
    )


def test_a_new_setting_is_checked_and_in_the_reference(copy: Copy) -> None:
    copy.follow("Add a setting")
    assert "`motto`" in copy.python("-c", "from tools.reference import settings; print(settings.page())")
    copy.feeds("check")
    copy.set("site.yaml", r"^motto: .*", f"motto: {'x' * 81}")
    assert re.search(r"site\.yaml:\d+:8: motto: ", copy.feeds("check", fails=True))


def test_a_new_command_runs_and_is_listed(copy: Copy) -> None:
    copy.follow("Add a command")
    copy.feeds("rescan")
    assert re.search(r"^ +\d+  demo-lin$", copy.feeds("terms", "translator"), re.MULTILINE)
    assert "terms" in copy.python("-m", "feeds", "--help")
    assert "feeds terms" in copy.python("-c", "from tools.reference import commands; print(commands.page())")
