"""docs/reliability.md: a row for each test that is marked `fault`, with what its run showed. Read from the tests' sources.

    @pytest.mark.fault("a web worker is killed", readers="...", lost="nothing", heals="...")

The rows are grouped by file, under the words that its docstring begins with.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
#: In this order; what is marked elsewhere comes last.
FILES = ("processes", "databases", "disks", "store", "mail", "time", "upgrade")

_HEAD = """\
# When something breaks

What readers see, what is lost and how it heals when a process is killed, a database or a disk goes away, a clock is wrong. Each
row is a test with real processes, servers and disks where there are any; the last column is what its last long run showed.

This page is written by `make faults`, from the tests and their run. Readers are people and programs that ask for feeds and
pages; subscribers are those who get mail.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """`file` is below tests/; `test` the function."""

    file: str
    group: str
    test: str
    name: str
    readers: str
    lost: str
    heals: str


def faults() -> list[Fault]:
    """All that are marked, in the order of the page."""
    paths = [path for path in sorted(TESTS.rglob("test_*.py")) if "mark.fault(" in path.read_text("utf-8")]
    return sorted((fault for path in paths for fault in _in(path)), key=lambda fault: _order(fault.file))


def _order(file: str) -> tuple[int, str]:
    name = Path(file).stem.removeprefix("test_")
    return (FILES.index(name) if file.startswith("faults/") and name in FILES else len(FILES), file)


def _in(path: Path) -> Iterator[Fault]:
    tree = ast.parse(path.read_text("utf-8"))
    group = (ast.get_docstring(tree) or "").partition(":")[0]
    for node in tree.body:
        for call in getattr(node, "decorator_list", ()):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
                said = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
                file = path.relative_to(TESTS).as_posix()
                yield Fault(file, group, node.name, ast.literal_eval(call.args[0]), **said)  # type: ignore[attr-defined]


def page(shown: Mapping[str, str]) -> str:
    """`shown`: test -> what its run showed."""
    parts, group = [_HEAD], ""
    for fault in faults():
        if fault.group != group:
            group = fault.group
            parts.append(f"\n## {group}\n\n| fault | readers see | lost | heals | shown |\n|---|---|---|---|---|\n")
        link = f"[{shown[fault.test]}](../tests/{fault.file}#{fault.test})"
        parts.append(f"| {fault.name} | {fault.readers} | {fault.lost} | {fault.heals} | {link} |\n")
    return "".join(parts)


_ROW = re.compile(r"^\| .* \| \[([^\]]*)\]\(\.\./tests/[^#]*#(\w+)\) \|$", re.MULTILINE)


def shown_on(text: str) -> dict[str, str]:
    """What the page says that runs showed."""
    return {test: words for words, test in _ROW.findall(text)}
