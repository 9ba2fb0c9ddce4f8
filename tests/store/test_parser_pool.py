"""Files that kill or exceed their parser: each is named with what it exceeded, is remembered, and stops no other file."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from feeds.model import ParsedArticle
from feeds.plugins import Plugin
from feeds.store import parser_pool
from feeds.store.parse import ParsedFile, ParserLimits, ParseSettings
from feeds.store.parser_pool import EXCEEDED, ParserPool

from .conftest import Install

#: A kind of front matter that does what the file says, as a fault in the code of any parser could.
DEADLY = """
import itertools, os, re, resource, signal, sys, time
from feeds.store.frontmatter import Source

def act(what):
    class Endless:
        def __repr__(self):
            return repr(self)

    def all_signals(how):
        signal.pthread_sigmask(how, range(1, signal.NSIG))

    if what.startswith("signal "):
        os.kill(os.getpid(), int(what.split()[1]))
        time.sleep(3600)
    elif what == "exit":
        os._exit(3)
    elif what == "leave":
        os._exit(0)
    elif what == "stack":
        sys.setrecursionlimit(10**9)
        repr(Endless())
    elif what == "loop":
        while True:
            pass
    elif what == "loop in C":
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif what == "loop without timers":
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        while True:
            pass
    elif what == "loop without signals":
        all_signals(signal.SIG_BLOCK)
        while True:
            pass
    elif what == "sleep":
        time.sleep(3600)
    elif what == "memory":
        "x" * 10**12
    elif what == "memory by and by":
        list(itertools.repeat(what))
    elif what == "memory in Rust":
        import comrak
        comrak.render_markdown("> " * 4_000_000)
    elif what == "talk":
        for number in range(3, 64):
            try:
                os.write(number, b"\\xff" * 64)
            except OSError:
                pass
        time.sleep(3600)

class Deadly:
    name = "deadly"

    def recognizes(self, text):
        return text.startswith("!")

    def read(self, text, path):
        act(text[1:].strip())
        return Source({"title": "survived"}, "")
"""
#: What a file does -> what is said of it, where a file may take 1 second and 128 MB.
TIME, MEMORY = "took more than 1 s", "needed more than 128 MB"
DEATHS = {
    **{f"signal {number}": f"its parser ended with signal {number}" for number in (4, 6, 7, 8, 9, 11, 31)},
    "exit": "its parser ended with status 3",
    "leave": "its parser ended with status 0",
    "stack": "its parser ended with signal 11",
    **dict.fromkeys(("signal 19", "loop", "loop in C", "loop without timers", "loop without signals", "sleep"), TIME),
    **dict.fromkeys(("memory", "memory by and by", "memory in Rust"), MEMORY),
    "talk": "gave more than",
}


def article(number: int) -> str:
    return f"---\nid: {number}\ntitle: sound {number}\n---\ntext"


@pytest.fixture
def settings(tmp_path: Path, install: Install) -> ParseSettings:
    install(DEADLY, target="acme_toml:Deadly")
    kinds = (Plugin("feeds.kinds", "toml", "acme-toml", "1.0", "acme_toml:Deadly"),)
    root = tmp_path / "store"
    root.mkdir()
    base = ("https://feeds.example", "https://feeds.example")
    return ParseSettings(str(root), "UTC", "", *base, 1 << 20, kinds=kinds, limits=ParserLimits(1, 128))


def write(settings: ParseSettings, path: str, text: str) -> None:
    target = Path(settings.root, path)
    target.write_text(text, "utf-8")
    os.utime(target, (1_700_000_000, 1_700_000_000))


def parse(settings: ParseSettings, paths: Sequence[str], workers: int | None = None) -> dict[str, ParsedFile]:
    with ParserPool() as parsers:
        found = [file for batch in parsers.parse_all(settings, paths, int(time.time()), workers) for file in batch]
    assert [file.path for file in found] == list(paths)
    return {file.path: file for file in found}


@pytest.mark.parametrize("what", DEATHS)
def test_a_file_that_ends_its_parser_is_named_with_the_reason_and_all_others_are_parsed(
    settings: ParseSettings, what: str
) -> None:
    paths = [f"{number}.md" for number in range(9)]
    for number, path in enumerate(paths):
        write(settings, path, f"!{what}" if number == 4 else article(number))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = parse(settings, paths)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime
    assert spent < 10
    problem = found.pop("4.md")
    assert problem.settled and problem.result.kind == EXCEEDED and problem.result.reason.startswith(DEATHS[what])
    assert all(isinstance(file.result, ParsedArticle) for file in found.values())


def test_many_deaths_in_several_processes_stop_nothing_and_keep_the_order(
    settings: ParseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser_pool, "PARALLEL_FROM", 1)
    paths = [f"{number:03}.md" for number in range(350)]
    dead = dict.fromkeys(paths[::40], "!signal 9") | {paths[0]: "!exit", paths[99]: "!signal 11", paths[349]: "!memory"}
    for number, path in enumerate(paths):
        write(settings, path, dead.get(path) or article(number))
    found = parse(settings, paths, 2)
    assert {path for path, file in found.items() if not isinstance(file.result, ParsedArticle)} == set(dead)
