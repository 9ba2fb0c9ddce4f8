"""What the documentation points at exists."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from feeds.cli import main
from feeds.config import Environment
from feeds.service import FORMATS, Service

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one_and_to_a_test_that_there_is(page: Path) -> None:
    for link in _LINK.findall(page.read_text("utf-8")):
        if "://" in link or link.startswith(("#", "mailto:")):
            continue
        path, _, name = link.partition("#")
        target = (page.parent / path).resolve()
        assert target.exists(), link
        if target.suffix == ".py" and name:
            assert f"def {name}(" in target.read_text("utf-8"), link


def test_every_feature_is_shown_by_a_test_or_says_why_it_is_none() -> None:
    rows = [line for line in (ROOT / "docs" / "features.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    for row in rows:
        if "shown by" not in row and "](../tests/" not in row:
            assert "no, on purpose" in row or "does not apply" in row, row


# -- commands ----------------------------------------------------------------


def commands(page: Path) -> Iterator[list[str]]:
    """The words after each use of the program, in shell blocks and in code within text."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text.replace("\\\n", " "), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`(feeds [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in [*lines, *(re.sub(r"[][\\|]", " ", code) for code in inline)]:
        for words in simple_commands(line):
            for at, word in enumerate(words):
                begins = all("=" in before for before in words[:at])
                if word.rpartition("/")[2] == "feeds" and words[at + 1 :] and (begins or words[at + 1] in main.commands):
                    yield words[at + 1 :]


def simple_commands(line: str) -> Iterator[list[str]]:
    """`a && b | c > d` -> [a], [b], [c], [d]"""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_documentation_is_one_and_takes_its_options(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return
    for words in commands(page):
        command: click.Command = main
        rest = list(words)
        while isinstance(command, click.Group) and rest and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]
        assert command is not main, words
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_commands_of_the_documentation_are_found() -> None:
    assert ["digest", "preview", "--select", "tag=Linux", "--open"] in list(commands(ROOT / "docs" / "newsletter.md"))
    assert sum(len(list(commands(page))) for page in PAGES) > 50


# -- backup ------------------------------------------------------------------


@pytest.mark.parametrize("number", [pytest.param(0, marks=pytest.mark.interop), 1], ids=["sqlite3", "python"])
def test_the_copy_that_the_documentation_makes_serves_the_same_bytes(site: Any, tool: Any, tmp_path: Path, number: int) -> None:
    """Made while the service has the database open and has written to it."""
    site.write("1.md", tags=["Linux"])
    site.rescan()
    blocks = re.findall(r"```sh\n(umask.*?)```", (ROOT / "docs" / "backup.md").read_text("utf-8"), re.DOTALL)
    if number == 0:
        tool("sqlite3")
    assert subprocess.run(["sh", "-ec", blocks[number]], cwd=site.root, timeout=60).returncode == 0
    assert (site.root / "backup.db").stat().st_mode & 0o077 == 0, "for its owner alone"
    restored = tmp_path / "restored"
    (restored / "var").mkdir(parents=True)
    (site.root / "backup.db").rename(restored / "var" / "feeds.db")
    assert sqlite3.connect(restored / "var" / "feeds.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    service = Service(Environment.read(restored / "config", {}))
    service.prepare()
    for format in FORMATS.values():
        documents = [one.document(one.edition(), "tags/Linux", format).body for one in (site.service, service)]
        assert documents[0] and documents[0] == documents[1]
    service.close()
