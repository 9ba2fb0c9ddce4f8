"""Files that kill or exceed their parser: each is named with what it exceeded, is remembered, and stops no other file."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from feeds.catalog import queries
from feeds.errors import StoreError
from feeds.model import ParsedArticle
from feeds.plugins import Plugin
from feeds.store import parser_pool
from feeds.store.parse_settings import ParserLimits, ParseSettings
from feeds.store.parsed import ParsedFile
from feeds.store.parser_pool import EXCEEDED, ParserPool

from ..conftest import PARSERS, Site
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
        for number in range(3, 1024):
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
    return ParseSettings(str(root), "UTC", 1 << 20, kinds=kinds, limits=ParserLimits(1, 128))


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


def test_a_caller_that_gives_up_waits_for_no_file(settings: ParseSettings) -> None:
    settings = replace(settings, limits=ParserLimits(600, 512))
    paths = [f"{number:03}.md" for number in range(101)]
    for path in paths:
        write(settings, path, "!sleep" if path == "100.md" else article(1))
    with ParserPool() as parsers:
        batches = parsers.parse_all(settings, paths, int(time.time()))
        assert len(next(batches)) == 100
        started = time.monotonic()
        batches.close()
        assert time.monotonic() - started < 60
        [[file]] = parsers.parse_all(settings, paths[:1], int(time.time()))
        assert isinstance(file.result, ParsedArticle)


def quarantined(site: Site) -> dict[str, str]:
    return {problem.path: problem.reason for problem in site.runtime.read(queries.list_problems)}


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths in the order in which rescans had them parsed."""
    asked: list[str] = []
    really = PARSERS.parse_all
    monkeypatch.setattr(PARSERS, "parse_all", lambda *all: asked.extend(all[1]) or really(*all))
    return asked


def test_a_deadly_file_is_remembered_until_it_or_the_limits_change(site: Site, install: Install, tried: list[str]) -> None:
    install(DEADLY, target="acme_toml:Deadly")
    site.settle("site.yaml", parser={"seconds": 1, "megabytes": 128})
    site.write("1.md", title="good")
    site.write("2.md", title="sound")
    site.rescan()
    site.write("1.md", "!loop")
    site.write("2.md", title="sound, edited")
    report = site.rescan()
    assert (report.changed, report.quarantined, report.articles) == (1, 1, 2), "its last good version stays"
    assert quarantined(site) == {"1.md": TIME}
    for again in (
        lambda: None,
        lambda: site.write("3.md", title="another"),
        lambda: site.settle("site.yaml", rescan_seconds=31),
    ):
        tried.clear()
        again()
        site.rescan()
        assert "1.md" not in tried and quarantined(site) == {"1.md": TIME}
    site.settle("site.yaml", parser={"seconds": 2, "megabytes": 128})
    tried.clear()
    site.rescan()
    site.rescan()
    assert tried == ["1.md"] and quarantined(site) == {"1.md": "took more than 2 s"}
    tried.clear()
    site.rescan(full=True)
    site.rescan()
    assert tried.count("1.md") == 1, "a full rescan tries once"
    site.write("1.md", title="mended")
    report = site.rescan()
    assert (report.changed, report.quarantined) == (1, 0)


def test_files_that_are_left_for_the_next_rescan_come_to_their_end(
    site: Site, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(DEADLY, target="acme_toml:Deadly")
    monkeypatch.setattr(parser_pool, "_SECOND_TRIES", 0.5)
    site.settle("site.yaml", parser={"seconds": 1, "megabytes": 128})
    for number in range(3):
        site.write(f"{number}.md", "!loop")
    site.write("9.md", title="sound")
    assert site.rescan().articles == 1
    assert sorted(quarantined(site).values()) == ["is expensive to parse: the next rescan tries again"] * 2 + [TIME]
    site.rescan()
    site.rescan()
    assert quarantined(site) == {f"{number}.md": TIME for number in range(3)}


def test_a_parser_that_cannot_start_is_no_fault_of_any_file(
    site: Site, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("1.md")
    site.rescan()
    site.write("1.md", title="edited")
    for start in ("raise ImportError('no comrak')", "import os; os.abort()"):
        PARSERS.close()
        monkeypatch.setattr(parser_pool, "_START", start)
        with pytest.raises(StoreError, match=r"does not start: (ImportError: no comrak|it was ended)"):
            site.rescan()
        assert quarantined(site) == {}
    monkeypatch.undo()
    assert site.rescan().changed == 1


def test_a_process_that_parses_knows_no_secrets_and_ends_with_its_parent(settings: ParseSettings, tmp_path: Path) -> None:
    code = (
        "import os, sys, time, pickle\n"
        "from feeds.store.parser_pool import ParserPool\n"
        "pool = ParserPool(); settings = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "list(pool.parse_all(settings, ['1.md'], 0)); print(pool._idle[0]._process.pid, flush=True); time.sleep(3600)\n"
    )
    write(settings, "1.md", article(1))
    secrets = {"FEEDS_OPERATOR_TOKEN": "geheim", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, pickle.dumps(settings).hex()]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | secrets, cwd=tmp_path)
    assert parent.stdout
    child = Path(f"/proc/{int(parent.stdout.readline())}")
    assert b"geheim" not in (child / "environ").read_bytes()
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while child.exists() and "Z" not in (child / "stat").read_text().split() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or "Z" in (child / "stat").read_text().split()
