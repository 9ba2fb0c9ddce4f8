"""What the documentation points at exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from feeds.cli import main

ROOT = Path(__file__).resolve().parent.parent
#: The names of all commands.
PROGRAM = main.list_commands(click.Context(main))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "stores").glob("*.md")])
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


def test_every_promise_of_security_names_a_test_that_holds_it() -> None:
    promises, shown = [], False
    for line in (ROOT / "docs" / "security.md").read_text("utf-8").splitlines():
        shown = line.endswith("| shown by |") if line.startswith(("| promise", "| who")) else shown and line.startswith("|")
        if shown:
            promises.append(line)
    rows = [line for line in promises if not line.startswith(("| promise", "| who", "|---"))]
    assert len(rows) > 50
    assert [line for line in rows if "](../tests/" not in line.rstrip(" |").rpartition(" | ")[2]] == []


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
                if word.rpartition("/")[2] == "feeds" and words[at + 1 :] and (begins or words[at + 1] in PROGRAM):
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
        while isinstance(command, click.Group) and rest and (inner := command.get_command(click.Context(command), rest[0])):
            command, rest = inner, rest[1:]
        assert command is not main, words
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_commands_of_the_documentation_are_found() -> None:
    assert ["digest", "preview", "--select", "tag=Linux", "--open"] in list(commands(ROOT / "docs" / "newsletter.md"))
    assert sum(len(list(commands(page))) for page in PAGES) > 50
